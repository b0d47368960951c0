//! The store, opened for a subcommand.

use std::sync::Arc;

use crate::app;
use crate::config::{DatabaseArgs, DatabaseConfig};
use crate::store::Store;

/// Opens the store with a single reader.
pub fn open(args: &DatabaseArgs) -> anyhow::Result<Arc<Store>> {
    let mut config = DatabaseConfig::load(args)?;
    config.readers = 1;
    app::open_store(&config)
}
