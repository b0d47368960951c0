//! Where an issuer's keys come from.

use crate::auth::jwt::KeySet;

/// The source of an issuer's keys.
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
