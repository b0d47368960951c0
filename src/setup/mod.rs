//! `rollcall setup`: registers Rollcall in an Okta org through Okta's Management API.
//!
//! It carries the app integration as far as Okta's public API lets it, tells an admin the clicks that are left, and
//! proves that provisioning works. It talks to Okta over HTTPS and keeps its record through the services.
//! It must not know the store or the HTTP routes, and the server must not need it.

pub mod app;
pub mod apply;
pub mod assign;
pub mod check;
pub mod clicks;
pub mod client;
pub mod connect;
pub mod definition;
pub mod doctor;
pub mod dpop;
pub mod failure;
pub mod file;
pub mod instructions;
pub mod kept;
pub mod key;
pub mod kind;
pub mod limits;
pub mod link;
pub mod login;
pub mod look;
pub mod org;
pub mod plan;
pub mod profile;
pub mod reconcile;
pub mod recover;
pub mod remove;
pub mod report;
pub mod run;
pub mod session;
pub mod status;
pub mod value;
pub mod verify;
pub mod watch;
pub mod wire;
pub mod wish;

pub use client::Client;
pub use failure::{Failure, Why};
pub use login::Login;
pub use org::{OktaId, Org};
pub use run::Run;
pub use session::Session;

/// Whether this is a rehearsal: against a stand-in for Okta on this machine, over plain HTTP, with seconds of waiting
/// shortened to milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Real,
    Rehearsal,
}
