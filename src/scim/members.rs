//! Group members as the core sees them. They are rows in the store, never part of a [`crate::scim::Document`].

use crate::scim::Filter;

/// One member as a client sent it (RFC 7643 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id of the user or group.
    pub value: String,
    /// Kept as sent; `None` where the client sent none or null.
    pub display: Option<String>,
}

/// One step of a PATCH on `members`, in the order of the request.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberEdit {
    Add(Vec<Member>),
    /// Remove these ids; an id that is no member is no fault.
    Remove(Vec<String>),
    /// `remove` with a filter that is more than a list of ids.
    RemoveWhere(Filter),
    RemoveAll,
    Replace(Vec<Member>),
}
