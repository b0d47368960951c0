//! `rollcall setup` against an org that remembers: each verb, each state of the way, and what goes
//! wrong on it; and then what Okta pushes once it is set up.

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
