//! The trusted issuers of access tokens, and their keys: discovered, fetched and cached.
//!
//! It must not know the store, the services or actix. [`crate::auth::jwt`] decides whether a token
//! is valid.

mod fetch;
mod keys;
mod origin;
mod trusted;

pub use fetch::{Bounds, is_loopback};
pub use keys::Pace;
pub use origin::Origin;
pub use trusted::{Issuers, Validity, Verified};
