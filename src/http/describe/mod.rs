//! The parts of the OpenAPI document that declarations refer to: bodies, responses, schemas and
//! examples.

pub mod bulk;
pub mod describer;
pub mod example;
pub mod message;
pub mod names;
pub mod resources;
pub mod response;
pub mod schema;
pub mod tag;
