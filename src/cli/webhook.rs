//! `rollcall webhook create|list|test|redeliver|rotate|delete`.

use anyhow::bail;
use jiff::SignedDuration;

use crate::cli::token::{duration, time};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, DatabaseArgs};
use crate::service::access::tokens::DEFAULT_TENANT;
use crate::store::Store;
use crate::store::tables::subscriptions::DeadLetter;
use crate::webhooks::subscriptions::{NewSubscription, Redelivery, SubscriptionView};
use crate::webhooks::{self, Outcome, WebhookSender, subscriptions};

#[derive(Debug, clap::Subcommand)]
pub enum WebhookCommand {
    /// Subscribe to changes and print the signing secret; it cannot be shown again
    Create {
        /// Unique among the tenant's webhooks
        name: String,
        /// The address that changes are posted to
        #[arg(long)]
        url: String,
        /// Only these kinds of change, such as `created,deactivated` [default: all]
        #[arg(long, value_delimiter = ',')]
        kinds: Vec<String>,
        /// Only changes of these resource types, such as `User` [default: all]
        #[arg(long, value_delimiter = ',')]
        types: Vec<String>,
        /// Begin after the change with this number; 0 is the beginning [default: changes from now
        /// on]
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
        #[command(flatten)]
        target: TenantArgs,
    },
    /// List a tenant's webhooks with their state
    List {
        #[command(flatten)]
        target: TenantArgs,
    },
    /// Post a test message now and print the result
    Test {
        /// Name of the webhook
        name: String,
        #[command(flatten)]
        target: TenantArgs,
    },
    /// List the changes whose delivery was given up
    DeadLetters {
        /// Name of the webhook
        name: String,
        #[command(flatten)]
        target: TenantArgs,
    },
    /// Deliver dead letters again, and resume a webhook that waits or was stopped
    Redeliver {
        /// Name of the webhook
        name: String,
        /// Only the change with this number
        #[arg(long, value_name = "NUMBER", conflicts_with = "after")]
        seq: Option<i64>,
        /// Every change after the one with this number, whether it was delivered before or not
        #[arg(long, value_name = "NUMBER")]
        after: Option<i64>,
        #[command(flatten)]
        target: TenantArgs,
    },
    /// Create a new signing secret and print it; messages are signed with both for a while
    Rotate {
        /// Name of the webhook
        name: String,
        /// How long messages are also signed with the old secret, such as `24h`
        #[arg(long, value_parser = duration, default_value = "24h")]
        keep: SignedDuration,
        #[command(flatten)]
        target: TenantArgs,
    },
    /// Delete a webhook
    Delete {
        /// Name of the webhook
        name: String,
        #[command(flatten)]
        target: TenantArgs,
    },
}

/// The tenant that the webhooks belong to, and its database.
#[derive(Debug, clap::Args)]
pub struct TenantArgs {
    #[arg(long, default_value = DEFAULT_TENANT)]
    tenant: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `rollcall webhook`.
pub async fn run(command: WebhookCommand) -> anyhow::Result<()> {
    let target = command.target();
    let tenant = target.tenant.clone();
    let settings = config::load(&target.database)?;
    let store = super::store::open(&target.database)?;
    let done = execute(&store, tenant, settings, command).await;
    store.close();
    done
}

impl WebhookCommand {
    fn target(&self) -> &TenantArgs {
        match self {
            Self::Create { target, .. }
            | Self::List { target }
            | Self::Test { target, .. }
            | Self::DeadLetters { target, .. }
            | Self::Redeliver { target, .. }
            | Self::Rotate { target, .. }
            | Self::Delete { target, .. } => target,
        }
    }
}

async fn execute(
    store: &Store,
    tenant: String,
    settings: webhooks::Options,
    command: WebhookCommand,
) -> anyhow::Result<()> {
    let clock = SystemClock::default();
    let sender = WebhookSender::new(settings.reach, settings.timeout)?;
    match command {
        WebhookCommand::Create {
            name,
            url,
            kinds,
            types,
            after,
            ..
        } => {
            sender.check(&url)?;
            let subscription = NewSubscription {
                tenant,
                name,
                url,
                kinds,
                resource_types: types,
                after,
            };
            let secret = subscriptions::create(store, subscription, &clock).await?;
            println!("{}", secret.to_text());
        }
        WebhookCommand::List { .. } => print(&subscriptions::list(store, tenant).await?),
        WebhookCommand::Test { name, .. } => {
            match sender.test(store, tenant, name, &clock).await? {
                Outcome::Delivered => println!("delivered"),
                Outcome::Gone => bail!("the receiver answered 410 Gone"),
                Outcome::Failed { why, .. } => bail!("{why}"),
            }
        }
        WebhookCommand::DeadLetters { name, .. } => {
            print_dead_letters(&subscriptions::dead_letters(store, tenant, name).await?);
        }
        WebhookCommand::Redeliver {
            name, seq, after, ..
        } => {
            let again = match (seq, after) {
                (Some(seq), _) => Redelivery::DeadLetter { seq },
                (None, Some(seq)) => Redelivery::After { seq },
                (None, None) => Redelivery::DeadLetters,
            };
            let count = subscriptions::redeliver(store, tenant, name, again).await?;
            match again {
                Redelivery::After { seq } => println!("delivering again from after change {seq}"),
                Redelivery::DeadLetters | Redelivery::DeadLetter { .. } => {
                    println!("delivering {count} dead letters again");
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

fn print_dead_letters(letters: &[DeadLetter]) {
    println!(
        "{:<12} {:<28} {:<9} FAILURE",
        "CHANGE", "GIVEN UP", "ATTEMPTS"
    );
    for letter in letters {
        let at = time(Some(letter.at));
        println!(
            "{:<12} {at:<28} {:<9} {}",
            letter.seq, letter.attempts, letter.failure
        );
    }
}

fn print(rows: &[SubscriptionView]) {
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
