//! Who is calling: the `Authorization` header to a credential, tokens and their scopes, JWT by issuer keys.
//!
//! Pure checks against what it is given; it must not know the store, the services or actix.

pub mod credential;
pub mod fields;
pub mod jwt;
pub mod principal;
pub mod token;

pub use credential::Credential;
pub use fields::Fields;
pub use principal::{Principal, Scope, Scopes};
