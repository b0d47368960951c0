//! What a resource shows that is no part of its document: who is in a group, and which groups a user is in.

/// One value of `Group.members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    pub value: String,
    pub display: Option<String>,
    /// `User` or `Group`.
    pub kind: String,
    /// The absolute URI of the member.
    pub reference: String,
}

/// One value of `User.groups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    pub value: String,
    pub display: Option<String>,
    /// The absolute URI of the group.
    pub reference: String,
    /// Whether the user is a member of the group itself, not of a group within it.
    pub direct: bool,
}
