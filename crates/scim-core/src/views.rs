//! The rows that a resource shows beside its document: the members of a group, and the groups of a
//! user.

/// The rows to show beside a document. `None` leaves the attribute out, an empty slice shows `[]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Related<'a> {
    /// The members of a group.
    pub members: Option<&'a [MemberView]>,
    /// The groups of a user, direct and nested.
    pub groups: Option<&'a [GroupView]>,
}

/// One value of `Group.members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The id of the member.
    pub value: String,
    /// The name of the member, if it is known.
    pub display: Option<String>,
    /// `User` or `Group`.
    pub kind: String,
    /// The absolute URI of the member.
    pub reference: String,
}

/// One value of `User.groups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The id of the group.
    pub value: String,
    /// The name of the group.
    pub display: Option<String>,
    /// The absolute URI of the group.
    pub reference: String,
    /// The user is a member of the group itself, not of a group within it.
    pub direct: bool,
}
