//! Who is calling, and what they may do: authentication, tokens and tenants.

pub mod admin;
pub mod auth_attempts;
pub mod authenticator;
pub mod caller_cache;
pub(super) mod last_used;
pub mod me;
pub mod storage;
pub mod tenants;
pub mod tokens;
