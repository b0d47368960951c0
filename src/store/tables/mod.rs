//! The statements of each table.

pub mod attributes;
pub mod auth_attempts;
pub mod changes;
pub mod counts;
pub mod erasure;
pub mod first_of;
pub mod group_names;
pub mod history;
pub mod indexes;
pub mod live_tokens;
pub mod members;
pub mod node_secrets;
pub mod resources;
pub mod setup;
pub mod storage_use;
pub mod subscriptions;
pub mod tenants;
pub mod tokens;
pub mod transfer;
pub(super) mod unique_values;
pub mod walks;
