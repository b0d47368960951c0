//! `rollcall setup`: registers Rollcall in an Okta org through Okta's Management API.
//!
//! It carries the app integration as far as Okta's public API lets it, tells an admin the clicks that are left, and
//! proves that provisioning works. It talks to Okta over HTTPS and keeps its record through the services.
//! It must not know the store or the HTTP routes, and the server must not need it.

pub mod check;
pub mod client;
pub mod dpop;
pub mod failure;
pub mod key;
pub mod kind;
pub mod limits;
pub mod link;
pub mod login;
pub mod org;
pub mod report;
pub mod session;
pub mod wish;

pub use client::Client;
pub use failure::{Failure, Why};
pub use login::Login;
pub use org::{OktaId, Org};
pub use session::Session;

/// Whether this is a rehearsal: against a stand-in for Okta on this machine, over plain HTTP, with seconds of waiting
/// shortened to milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Real,
    Rehearsal,
}
