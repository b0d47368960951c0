//! The HTTP layer: endpoints, extractors, responses. [`endpoints`] lists every endpoint.
//!
//! It must not know the store, diesel or SQL. Only [`error`] chooses the status of an error.

pub mod admin;
pub mod admission;
pub mod chunked_body;
pub mod client_address;
pub mod coding;
pub mod describe;
pub mod directory;
pub mod endpoint;
pub mod endpoints;
pub mod error;
pub mod json_body;
pub mod json_parse;
pub mod listener;
pub mod openapi;
pub mod operations;
pub mod proxied;
pub mod proxy_protocol;
pub mod query;
pub mod routes;
pub mod scim;
pub mod security_headers;
pub mod server;
pub mod state;
pub mod target;

pub use endpoint::SCIM_ROOT;
