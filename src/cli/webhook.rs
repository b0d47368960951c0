//! `rollcall webhook create|list|test|redeliver|rotate|delete`.

use anyhow::bail;
use jiff::SignedDuration;

use crate::cli::token::{duration, time};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, DatabaseArgs};
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::store::Store;
use crate::webhooks::subscriptions::{NewSubscription, Redelivery, SubscriptionView};
use crate::webhooks::{self, Outcome, WebhookSender, subscriptions};

#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Make a subscription to changes and print its secret; it cannot be shown again
    Create {
        /// Unique among the tenant's webhooks
        name: String,
        /// Where changes are posted
        #[arg(long)]
        url: String,
        /// Only these kinds of change, such as `created,deactivated` [default: all]
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// Only changes of these resource types, such as `User` [default: all]
        #[arg(long, value_delimiter = ',')]
        types: Vec<String>,
        /// Begin behind the change of this number; 0 is the beginning [default: what happens from now on]
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
        #[command(flatten)]
        of: TenantArgs,
    },
    /// List a tenant's webhooks and how they are doing
    List {
        #[command(flatten)]
        of: TenantArgs,
    },
    /// Post a test message now and tell what came back
    Test {
        name: String,
        #[command(flatten)]
        of: TenantArgs,
    },
    /// List the changes that were given up
    DeadLetters {
        name: String,
        #[command(flatten)]
        of: TenantArgs,
    },
    /// Deliver once more what was given up, and have a webhook that waits or was stopped go on
    Redeliver {
        name: String,
        /// Only the change of this number
        #[arg(long, value_name = "NUMBER", conflicts_with = "after")]
        seq: Option<i64>,
        /// Everything behind the change of this number, delivered before or not
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
        #[command(flatten)]
        of: TenantArgs,
    },
    /// Make a new secret and print it; the old one signs beside it for a while
    Rotate {
        name: String,
        /// How long the old secret signs, such as `24h`
        #[arg(long, value_parser = duration, default_value = "24h")]
        keep: SignedDuration,
        #[command(flatten)]
        of: TenantArgs,
    },
    /// End a subscription
    Delete {
        name: String,
        #[command(flatten)]
        of: TenantArgs,
    },
}

#[derive(Debug, clap::Args)]
pub struct TenantArgs {
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(command: WebhookCommand) -> anyhow::Result<()> {
    let place = command.place();
    let (tenant, settings) = (place.tenant.clone(), config::load(&place.database)?);
    let store = super::store::open(&place.database)?;
    let done = act(&store, tenant, settings, command).await;
    store.close();
    done
}

impl WebhookCommand {
    fn place(&self) -> &TenantArgs {
        match self {
            Self::Create { of, .. }
            | Self::List { of }
            | Self::Test { of, .. }
            | Self::DeadLetters { of, .. }
            | Self::Redeliver { of, .. }
            | Self::Rotate { of, .. }
            | Self::Delete { of, .. } => of,
        }
    }
}

async fn act(
    store: &Store,
    tenant: String,
    settings: webhooks::Options,
    command: WebhookCommand,
) -> anyhow::Result<()> {
    let clock = SystemClock::default();
    let courier = WebhookSender::new(settings.reach, settings.timeout)?;
    match command {
        WebhookCommand::Create {
            name,
            url,
            kinds,
            types,
            after,
            ..
        } => {
            courier.check(&url)?;
            let wish = NewSubscription {
                tenant,
                name,
                url,
                kinds,
                resource_types: types,
                after,
            };
            let secret = subscriptions::create(store, wish, &clock).await?;
            println!("{}", secret.to_text());
        }
        WebhookCommand::List { .. } => show(&subscriptions::list(store, tenant).await?),
        WebhookCommand::Test { name, .. } => {
            match courier.test(store, tenant, name, &clock).await? {
                Outcome::Delivered => println!("delivered"),
                Outcome::Gone => bail!("the receiver answered 410 Gone"),
                Outcome::Failed { why, .. } => bail!("{why}"),
            }
        }
        WebhookCommand::DeadLetters { name, .. } => {
            println!(
                "{:<12} {:<28} {:<9} FAILURE",
                "CHANGE", "GIVEN UP", "ATTEMPTS"
            );
            for letter in subscriptions::dead_letters(store, tenant, name).await? {
                let at = time(Some(letter.at));
                println!(
                    "{:<12} {at:<28} {:<9} {}",
                    letter.seq, letter.attempts, letter.failure
                );
            }
        }
        WebhookCommand::Redeliver {
            name, seq, after, ..
        } => {
            let again = match (seq, after) {
                (Some(seq), _) => Redelivery::DeadLetter { seq },
                (None, Some(seq)) => Redelivery::After { seq },
                (None, None) => Redelivery::DeadLetters,
            };
            let wanted = subscriptions::redeliver(store, tenant, name, again).await?;
            match again {
                Redelivery::After { seq } => println!("delivering again from behind change {seq}"),
                Redelivery::DeadLetters | Redelivery::DeadLetter { .. } => {
                    println!("delivering {wanted} dead letters again");
                }
            }
        }
        WebhookCommand::Rotate { name, keep, .. } => {
            let secret = subscriptions::rotate(store, tenant, name, keep, clock.now()).await?;
            println!("{}", secret.to_text());
        }
        WebhookCommand::Delete { name, .. } => {
            subscriptions::delete(store, tenant, name.clone()).await?;
            println!("deleted {name}");
        }
    }
    Ok(())
}

fn show(rows: &[SubscriptionView]) {
    println!(
        "{:<24} {:<10} {:<8} {:<8} {:<6} URL",
        "NAME", "STATE", "DONE", "BEHIND", "DEAD"
    );
    for row in rows {
        let state = match (&row.stopped, &row.failure) {
            (Some(_), _) => "stopped",
            (None, Some(_)) => "failing",
            (None, None) => "well",
        };
        println!(
            "{:<24} {state:<10} {:<8} {:<8} {:<6} {}",
            row.name, row.done_seq, row.behind, row.dead_letters, row.url
        );
        if let Some(why) = row.stopped.as_ref().or(row.failure.as_ref()) {
            println!("    {why} (attempt {})", row.attempts);
        }
    }
}
