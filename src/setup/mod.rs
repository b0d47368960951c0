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
pub mod connect;
pub mod definition;
pub mod doctor;
pub mod file;
pub mod instructions;
pub mod kept;
pub mod kind;
pub mod look;
pub mod plan;
pub mod profile;
pub mod reconcile;
pub mod recover;
pub mod remove;
pub mod report;
pub mod run;
pub mod session;
pub mod status;
pub mod verify;
pub mod watch;
pub mod wish;

pub use okta_client::{Failure, Mode, OktaId, Why};
pub use run::Run;
pub use session::Session;
