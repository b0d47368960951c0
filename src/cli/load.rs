//! `rollcall load`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;

use crate::app::registry;
use crate::auth::{Principal, Scopes};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, DatabaseArgs};
use crate::ids::Actor;
use crate::memory::MemoryBudget;
use crate::service::access::tenants;
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::service::{Context, Options, indexes, load};

#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// A JSON file: a list of resources, each with its `id`, or a list response
    file: PathBuf,
    /// Resource type, declared with `access = "read_only"`
    #[arg(long = "type", value_name = "NAME")]
    resource_type: String,
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall load`.
pub async fn run(args: LoadArgs) -> anyhow::Result<()> {
    let file = args.file.display();
    let text =
        std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    let list: Value = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
    let config = Config::load(&args.database.clone().into())?;
    let registry = registry::build(&config.tables.types)?;
    let rt = registry
        .by_name(&args.resource_type)
        .with_context(|| format!("there is no resource type {:?}", args.resource_type))?;
    let store = super::store::open(&args.database)?;
    let done = async {
        indexes::join(&store, &registry).await?;
        let tenant = tenants::by_name(&store, args.tenant).await?;
        let context = Context {
            principal: Principal {
                tenant: tenant.id,
                actor: Actor::CommandLine("load".into()),
                scopes: Scopes::every(),
                fields: None,
                expires: None,
            },
            policy: tenant.policy,
            at: SystemClock::default().now(),
        };
        let options = Arc::new(Options {
            memory: MemoryBudget::new(usize::MAX),
            base_url: String::new(),
            scim: config.scim,
            tokens: config.tokens.limits,
        });
        load::load(&store, &context, rt, &list, options).await
    }
    .await;
    store.close();
    let tally = done.with_context(|| file.to_string())?;
    println!(
        "{}: {} created, {} changed, {} deleted, {} as before",
        rt.name, tally.created, tally.changed, tally.deleted, tally.same
    );
    Ok(())
}
