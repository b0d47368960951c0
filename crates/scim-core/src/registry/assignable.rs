//! An attribute of users whose values name resources of other types.

/// The most characters that Okta imports of a description.
pub const MAX_DESCRIPTION: usize = 1_000;

/// An attribute of users, and the types that its values name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignable {
    /// `roles` or `entitlements`.
    pub attribute: &'static str,
    /// The resource types that a value may be of.
    pub types: Vec<String>,
    /// A value also names its type.
    pub tells_type: bool,
}
