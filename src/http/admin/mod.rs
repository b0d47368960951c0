//! Administration over HTTP: tenants, tokens, erasure and webhook subscriptions.

pub mod tenants_and_tokens;
pub mod webhooks;
