//! `rollcall tenant create|list`.

use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::service::tenants;

#[derive(Debug, clap::Subcommand)]
pub enum TenantCommand {
    /// Make a tenant
    Create {
        /// 1 to 63 characters out of a-z, 0-9, `-` and `_`
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the tenants
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

pub async fn run(command: TenantCommand) -> anyhow::Result<()> {
    match command {
        TenantCommand::Create { name, database } => {
            let store = super::store_of(&database)?;
            let now_us = SystemClock::default().now().as_microsecond();
            let made = tenants::create(&store, name, now_us).await;
            store.close();
            println!("{}", made?.name);
        }
        TenantCommand::List { database } => {
            let store = super::store_of(&database)?;
            let rows = tenants::list(&store).await;
            store.close();
            for row in rows? {
                println!("{}", row.name);
            }
        }
    }
    Ok(())
}
