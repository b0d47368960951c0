//! Writes of resources: create, replace, PATCH and delete.

pub(super) mod group_names;
pub mod membership;
pub mod passwords;
pub mod representation;
pub mod requests;
pub(super) mod roles;
pub(super) mod update;
pub(super) mod writer;
pub(super) mod writes;
