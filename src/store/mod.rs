//! All SQL. Two databases behind one [`Conn`]; writes go through a writer that commits in groups.
//!
//! It must not know actix, HTTP statuses, tokens' secrets or the clock: times and ids are
//! arguments. Functions take the connection (or [`Tx`]) first and the tenant second, and never
//! begin a transaction.

pub mod engine;
pub mod query;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;

pub use super::ids::{ResourceId, TenantId};
pub use engine::conn::{Backend, Conn, DatabaseUrl};
pub use engine::error::{StoreError, Unique};
pub use engine::new_file::NewFile;
pub use engine::notify::ChangeNotifier;
pub use engine::store::{Config, Store};
pub use engine::writer::Tx;
