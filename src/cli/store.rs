//! The store, opened for a subcommand.

use std::sync::Arc;

use crate::config::{self, DatabaseArgs};
use crate::store::{self, Store};

/// Opens the store with a single reader.
pub fn open(args: &DatabaseArgs) -> anyhow::Result<Arc<Store>> {
    let config = store::Config {
        readers: 1,
        ..config::load(args)?
    };
    Ok(Arc::new(Store::open(&config)?))
}
