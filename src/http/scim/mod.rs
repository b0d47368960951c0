//! The SCIM endpoints under `/scim/v2` (RFC 7644 section 3).

pub mod accept;
pub mod bulk;
pub mod discovery;
pub mod me;
pub mod parameters;
pub mod preconditions;
pub mod resources;
pub mod responses;
pub mod search;
