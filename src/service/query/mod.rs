//! Reads of resources: lists, pages and directory queries.

pub mod cursor;
pub mod directory;
pub mod index_walk;
pub mod list;
pub mod resource;
