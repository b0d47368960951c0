//! Authentication without I/O: the `Authorization` header, the form of our own tokens, the
//! verification of JWTs, principals and scopes.
//!
//! It must not know the store, the services or actix.

pub mod credential;
pub mod fields;
pub mod jwt;
pub mod principal;
pub mod token;

pub use credential::Credential;
pub use fields::Fields;
pub use principal::{Principal, Scope, Scopes};
