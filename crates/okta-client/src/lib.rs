//! Okta's API: an org's address, the credential for it, and a client with manners. It does not know what is wished of the org.

pub mod client;
pub mod dpop;
pub mod failure;
pub mod key;
pub mod limits;
pub mod link;
pub mod login;
pub mod org;
pub mod transport;
pub mod value;

pub use client::Client;
pub use failure::{Failure, FailureKind};
pub use login::Login;
pub use org::{OktaId, Org};

/// Whether this is a rehearsal: against a stand-in for Okta on this machine, over plain HTTP, with seconds of waiting
/// shortened to milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Real,
    Rehearsal,
}
