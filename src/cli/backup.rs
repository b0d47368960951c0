//! `rollcall backup`.

use std::path::PathBuf;

use crate::config::{self, DatabaseArgs};
use crate::store;
use crate::store::engine::backup;

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// File to write, which must not exist yet
    path: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall backup`.
pub fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let config: store::Config = config::load(&args.database)?;
    let copied = backup::copy(&config.url, &args.path)?;
    println!("{} bytes in {}", copied.size_bytes, args.path.display());
    Ok(())
}
