//! The thin layer over HTTP: routes, extractors, responses. [`routes`] lists every route.
//!
//! It must not know the store, diesel or SQL; [`error`] alone chooses a status.

pub mod admin;
pub mod admission;
pub mod chunked_body;
pub mod coding;
pub mod directory;
pub mod error;
pub mod json_body;
pub mod openapi;
pub mod operations;
pub mod query;
pub mod routes;
pub mod scim;
pub mod server;
pub mod state;
pub mod target;

pub use routes::{SCIM_ROOT, routes};
