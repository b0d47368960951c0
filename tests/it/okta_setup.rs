//! `rollcall setup` against a stateful fake org: each command, each intermediate state, and the
//! possible failures; then the provisioning that Okta does once it is set up.

mod apply;
mod changes;
mod check;
mod client;
mod fake;
mod push;
mod rights;
mod story;
mod transcript;
mod verbs;
