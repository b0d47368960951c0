//! Integration tests: stories told to the real binary over HTTP, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod harness;

mod discovery;
mod errors;
mod filters;
mod groups;
mod okta_replay;
mod okta_spec;
mod okta_suite;
mod patch;
mod users;
