//! The source of an issuer's keys.

use crate::auth::jwt::KeySet;

/// A source of keys.
#[derive(Debug, Clone)]
pub enum Origin {
    /// Keys that were read from a file at the start.
    Fixed(KeySet),
    /// The address of the key set.
    Address(String),
    /// The issuer's metadata contain the address (`OpenID` Connect Discovery section 4, RFC 8414
    /// section 3).
    Discovery,
}
