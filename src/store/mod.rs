//! All SQL is here. Two databases behind one [`Conn`]; writes go through a writer that commits in groups.
//!
//! It must not know actix, HTTP statuses, tokens' secrets or the clock: times and ids are arguments.
//! Functions take the connection (or [`Tx`]) first and the tenant second, and never begin a transaction.

pub mod conn;
pub mod error;
pub mod ids;
pub mod migrate;
pub mod predicate;
pub mod schema;

pub use conn::{Backend, Conn, DatabaseUrl};
pub use error::{StoreError, Unique};
pub use ids::{ResourceId, TenantId};
