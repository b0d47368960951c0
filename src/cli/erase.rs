//! `rollcall erase`.

use anyhow::bail;
use scim_core::Registry;

use crate::app::registry;
use crate::auth::{Principal, Scopes};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, DatabaseArgs};
use crate::ids::Actor;
use crate::service::access::tenants;
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::service::erasure::{self, Erased, ErasureOutcome, ErasureTarget};
use crate::service::{Context, indexes};
use crate::store::Store;
use crate::store::engine::compact;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true))]
pub struct EraseArgs {
    /// Id of the resource, which may have been deleted already
    #[arg(group = "who")]
    id: Option<String>,
    /// Finds the id of the user who has this user name, or had it when deleted
    #[arg(long, group = "who", value_name = "NAME")]
    user_name: Option<String>,
    /// Resource type, such as `User` or `Group`
    #[arg(long = "type", value_name = "NAME", default_value = "User")]
    resource_type: String,
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    /// Then rewrite the database, as `rollcall compact` does
    #[arg(long)]
    compact: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall erase`.
pub async fn run(args: EraseArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.database.clone().into())?;
    let registry = registry::build(&config.tables.types)?;
    let store = super::store::open(&args.database)?;
    let done = erase(&store, &registry, &args).await;
    store.close();
    let (id, erased) = done?;
    let what = format!("{} {id}", args.resource_type);
    match erased.tally {
        ErasureOutcome::Nothing => {
            println!("{what} was erased before, as change {}", erased.seq)
        }
        ErasureOutcome::Found(found) => println!(
            "erased {what}: {} resource, {} memberships, {} changes emptied, {} mentions; recorded as change {}",
            found.resources, found.memberships, found.changes, found.mentions, erased.seq
        ),
    }
    if args.compact {
        compact::run(&config.database.url)?;
        println!("{} is compact", config.database.url);
    } else if erased.tally != ErasureOutcome::Nothing {
        println!(
            "the files of the database may still hold erased data until you run `rollcall compact`"
        );
    }
    Ok(())
}

async fn erase(
    store: &Store,
    registry: &Registry,
    args: &EraseArgs,
) -> anyhow::Result<(String, Erased)> {
    indexes::join(store, registry).await?;
    let tenant = tenants::by_name(store, args.tenant.clone()).await?;
    let type_name = &args.resource_type;
    let id = match (&args.id, &args.user_name) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => {
            let found = erasure::find(store, registry, tenant.id, type_name, name).await?;
            match found.as_slice() {
                [id] => id.clone(),
                // They may be different people who had the name one after the other.
                several => bail!(
                    "several users have or had this user name; check their history and pass the id to erase: {}",
                    several.join(", ")
                ),
            }
        }
        (None, None) => bail!("pass an id or --user-name"),
    };
    let context = Context {
        principal: Principal {
            tenant: tenant.id,
            actor: Actor::CommandLine("erase".into()),
            scopes: Scopes::every(),
            fields: None,
            expires: None,
        },
        policy: tenant.policy,
        at: SystemClock::default().now(),
    };
    let target = ErasureTarget {
        tenant: tenant.id,
        type_name,
        id: &id,
    };
    let erased = erasure::erase(store, registry, &context, target).await?;
    Ok((id, erased))
}
