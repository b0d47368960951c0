//! Reads for internal applications: directory queries and the change feed.

pub mod feed;
pub mod queries;
