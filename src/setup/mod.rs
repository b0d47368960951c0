//! `rollcall setup`: registers Rollcall in an Okta org through Okta's Management API.
//!
//! It creates and configures the app as far as Okta's public API allows, prints the steps that are
//! left for the Admin Console, and proves that provisioning works. It stores its state through the
//! services. It must not know the store or the HTTP routes, and the server must not need it.

mod advice;
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
