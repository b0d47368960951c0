//! The access of clients to the resources of a type.

/// The access of clients to the resources of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAccess {
    /// Clients create, change and delete the resources.
    #[default]
    ReadWrite,
    /// Only the operator fills the type.
    ReadOnly,
}
