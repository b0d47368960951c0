#![doc = include_str!("../README.md")]

mod client;
mod credential;
mod dpop;
mod failure;
mod filter;
pub mod json;
mod key;
mod link;
mod mode;
mod org;
mod rate_limits;
#[cfg(test)]
mod test_server;
mod transport;

pub use client::{Client, ClientOptions, Response, RetryPolicy, TimeSource};
pub use credential::{Credential, DEFAULT_SCOPES, ServiceApp};
pub use failure::{Details, Failure, FailureKind};
pub use filter::quote;
pub use key::{InvalidKey, SigningKey};
pub use mode::Mode;
pub use org::{InvalidId, InvalidOrg, OktaId, Org};
pub use rate_limits::RateLimits;
pub use reqwest::Method;
pub use transport::RequestBody;
