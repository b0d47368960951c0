//! Who is calling, and what they may do: authentication, tokens and tenants.

pub mod admin;
pub mod auth_attempts;
pub mod authenticator;
pub mod caller_cache;
pub mod known_caller;
pub mod known_callers;
pub(super) mod last_used;
pub mod listening_caller;
mod live_tokens;
pub mod me;
pub mod storage;
pub mod tenants;
pub mod tokens;
