//! Integration tests: the real binary over HTTP, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod harness;

mod admission;
mod architecture;
mod auth;
mod backup;
mod batches;
mod boundary;
mod bulk;
mod chaos;
mod compatibility;
mod compatibility_table;
mod conformance;
mod cursors;
mod database;
mod database_role;
mod directory;
mod discovery;
mod disk;
mod entra;
mod entra_validator;
mod erasure;
mod errors;
mod examples;
mod failover;
mod fake_okta;
mod feed;
mod feed_access;
mod filters;
mod fuzz;
mod graceful;
mod group_names;
mod groups;
mod headers;
mod history;
mod hostile;
mod jwt;
mod kill;
mod leniency;
mod limits;
mod listeners;
mod me;
mod memory;
mod nodes;
mod noop;
mod okta_replay;
mod okta_setup;
mod okta_spec;
mod okta_suite;
mod openapi;
mod overload;
mod password;
mod patch;
mod query_limits;
mod replica;
mod running;
mod scimgateway;
mod search;
mod security_page;
mod smuggling;
mod sorting;
mod standards;
mod storage;
mod tenants;
mod tls;
mod tokens;
mod transfer;
mod types;
mod users;
mod versions;
mod webhooks;
