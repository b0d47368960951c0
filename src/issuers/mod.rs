//! The outside issuers that are trusted, and their keys: found by discovery, fetched, and kept.
//!
//! It must not know the store, the services or actix. What makes a token valid stands in [`crate::auth::jwt`].

mod fetch;
mod keys;
mod trusted;

pub use fetch::{Bounds, is_loopback};
pub use keys::Pace;
pub use trusted::{Issuers, Origin, Pass, Verified};
