//! Administration over HTTP: tenants, tokens, erasure and webhook subscriptions.

mod common;
pub mod erasures;
pub mod tenants;
pub mod tokens;
pub mod webhooks;
