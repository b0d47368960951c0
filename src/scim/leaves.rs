//! What the store indexes of a document: rows for the declared paths and the hot columns.

use crate::scim::registry::AttrRef;

/// One value under an indexed path.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    pub path: AttrRef,
    /// The index of the element in its array; 0 for a single-valued attribute.
    pub position: i32,
    /// Folded, or raw where the attribute is `caseExact`.
    pub text: Option<String>,
    /// A number, a boolean as 0 or 1, or a `dateTime` in microseconds since the epoch.
    pub num: Option<f64>,
}

/// Single-valued attributes that are columns of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HotColumns {
    /// Folded.
    pub user_name: Option<String>,
    /// As it is.
    pub external_id: Option<String>,
    /// Folded.
    pub display_name: Option<String>,
    pub active: Option<bool>,
}
