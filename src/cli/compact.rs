//! `rollcall compact`.

use crate::config::{self, DatabaseArgs};
use crate::store;
use crate::store::engine::compact;

#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall compact`.
pub fn run(args: &CompactArgs) -> anyhow::Result<()> {
    let config: store::Config = config::load(&args.database)?;
    compact::run(&config.url)?;
    println!("{} is compact", config.url);
    Ok(())
}
