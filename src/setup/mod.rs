//! `rollcall setup`: registers Rollcall in an Okta org through Okta's Management API.
//!
//! It carries the app integration as far as Okta's public API lets it, tells an admin the clicks that are left, and
//! proves that provisioning works. It talks to Okta over HTTPS and keeps its record through the services.
//! It must not know the store or the HTTP routes, and the server must not need it.

pub mod commands;
pub mod desired;
pub mod file;
pub mod kind;
pub mod preflight;
pub mod recover;
pub mod report;
pub mod run;
pub mod session;
pub mod state;
pub mod steps;

pub use okta_client::{Failure, FailureKind, Mode, OktaId};
pub use run::Run;
pub use session::Session;
