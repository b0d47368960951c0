//! Administration over HTTP: tenants, what they store, tokens, erasure and webhook subscriptions.

mod common;
pub mod erasures;
pub mod storage;
pub mod tenants;
pub mod tokens;
pub mod webhooks;
