//! Webhooks: takes changes from the outbox and posts them, in order for each subscription.
//!
//! Delivery is at least once: a node holds a subscription for a short while and records its
//! progress; if it crashes, another one continues from there. This module must not know HTTP's
//! server side, SQL or the rules of SCIM.

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
