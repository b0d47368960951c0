//! `rollcall migrate`.

use crate::config::DatabaseArgs;

#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall migrate`.
pub fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    // Opening the store migrates it.
    super::store::open(&args.database)?.close();
    println!("the database is up to date");
    Ok(())
}
