//! `rollcall erase`.

use anyhow::bail;
use scim_core::Registry;

use crate::app::registry;
use crate::auth::{Principal, Scopes};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, DatabaseArgs, ServeArgs};
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
    /// The id of the resource, which may be there or have been deleted
    #[arg(group = "who")]
    id: Option<String>,
    /// The one user who bears this user name, or bore it when it was deleted
    #[arg(long, group = "who", value_name = "NAME")]
    user_name: Option<String>,
    /// The resource type, such as `User` or `Group`
    #[arg(long = "type", value_name = "NAME", default_value = "User")]
    resource_type: String,
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    /// Write the database anew afterwards, as `rollcall compact` does
    #[arg(long)]
    compact: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(args: EraseArgs) -> anyhow::Result<()> {
    let config = Config::load(&ServeArgs {
        database: args.database.clone(),
        ..ServeArgs::default()
    })?;
    let registry = registry::build(&config.declared)?;
    let store = super::store::open(&args.database)?;
    let done = erase(&store, &registry, &args).await;
    store.close();
    let (id, erased) = done?;
    let what = format!("{} {id}", args.resource_type);
    match erased.tally {
        ErasureOutcome::Nothing => {
            println!("{what} was erased before, as change {} told", erased.seq)
        }
        ErasureOutcome::Found(found) => println!(
            "erased {what}: {} resource, {} memberships, {} changes emptied, {} mentions; told as change {}",
            found.resources, found.memberships, found.changes, found.mentions, erased.seq
        ),
    }
    if args.compact {
        compact::run(&config.database.url)?;
        println!("{} is compact", config.database.url);
    } else if erased.tally != ErasureOutcome::Nothing {
        println!(
            "the files of the database may still hold what was there, until `rollcall compact`"
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
                // They may be several people, one after the other.
                several => bail!(
                    "several have or had this user name; look at their history and name the ids to erase: {}",
                    several.join(", ")
                ),
            }
        }
        (None, None) => bail!("name an id, or a --user-name"),
    };
    let context = Context {
        principal: Principal {
            tenant: tenant.id,
            actor: Actor::CommandLine("erase".to_owned()),
            scopes: Scopes::every(),
            fields: None,
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
