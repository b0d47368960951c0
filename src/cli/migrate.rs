//! `rollcall migrate`.

use crate::config::DatabaseArgs;

#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    // Opening migrates; there is no second way to do it.
    super::store::open(&args.database)?.close();
    println!("the database is up to date");
    Ok(())
}
