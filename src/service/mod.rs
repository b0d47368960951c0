//! The use cases: one function each, each inside one unit of work of the store.
//!
//! They know the core, the store, the clock and the caller; they must not know actix or the query
//! builder.

pub mod access;
pub mod bulk;
pub mod context;
pub mod erasure;
pub mod error;
pub mod feed;
pub mod indexes;
pub mod load;
pub mod options;
pub mod provision;
pub mod query;
pub mod setup;
pub mod shared_statement;
pub mod state;
pub mod transfer;

pub use crate::store::tables::tenants::{GroupNames, PatchAnswer, Policy};
pub use crate::store::{ResourceId, TenantId};
pub use context::Context;
pub use error::Error;
pub use options::{
    BulkOptions, Options, PasswordSync, ScimSettings, Subject, UnknownMembers, UnknownRoles,
};
pub use scim_core::Precondition;
pub use state::Service;
