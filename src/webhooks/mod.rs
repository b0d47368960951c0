//! Webhooks on their way: takes changes from the outbox and posts them, in order for each subscription.
//!
//! At least once: a node holds a subscription for a short while, notes how far it came, and when it dies another one goes on
//! from there. It must not know HTTP's server side, SQL or the rules of SCIM.

mod address;
mod context;
pub mod message;
mod outbox;
mod post;
mod sign;
pub mod subscriptions;
#[cfg(test)]
mod tests;
mod worker;

pub use address::Reach;
pub use context::Options;
pub use message::MessageRenderer;
pub use post::{Outcome, WebhookSender};
pub use sign::SigningSecret;
pub use worker::Deliveries;
