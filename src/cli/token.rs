//! `rollcall token create|list|revoke`.

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};

use crate::auth::{Fields, Scope};
use crate::clock::{Clock, SystemClock};
use crate::config::DatabaseArgs;
use crate::service::access::tokens;
use crate::service::access::tokens::{DEFAULT_TENANT, NewToken};

#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it cannot be shown again
    Create {
        /// Unique among the tenant's live tokens; stands as the actor in every change
        #[arg(long)]
        name: String,
        /// `scim` to provision, `read` to read, `admin` to manage tokens; may be repeated
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// What it may read, for the scope `read`: attribute names or paths, such as `userName,emails.value`
        /// [default: everything]
        #[arg(long, value_delimiter = ',')]
        fields: Option<Vec<String>>,
        /// How long it is valid, such as `90d` or `12h` [default: for ever]
        #[arg(long, value_parser = duration)]
        expires: Option<SignedDuration>,
        #[arg(long, default_value = DEFAULT_TENANT)]
        tenant: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List a tenant's tokens
    List {
        #[arg(long, default_value = DEFAULT_TENANT)]
        tenant: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Make a token invalid from the next request on
    Revoke {
        name: String,
        #[arg(long, default_value = DEFAULT_TENANT)]
        tenant: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    let clock = SystemClock::default();
    match command {
        TokenCommand::Create {
            name,
            scopes,
            fields,
            expires,
            tenant,
            database,
        } => {
            let expires = expires
                .map(|span| clock.now().checked_add(span))
                .transpose()?;
            let wish = NewToken {
                tenant,
                name,
                scopes: scopes.into_iter().collect(),
                fields: fields.map(Fields::parse).transpose()?,
                expires,
            };
            let store = super::store::open(&database)?;
            let made = tokens::create(&store, wish, &clock).await;
            store.close();
            println!("{}", made?);
        }
        TokenCommand::List { tenant, database } => {
            let store = super::store::open(&database)?;
            let rows = tokens::list(&store, tenant).await;
            store.close();
            println!(
                "{:<24} {:<16} {:<28} {:<28} {:<28} {:<8} FIELDS",
                "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATE"
            );
            let now_us = clock.now().as_microsecond();
            for row in rows? {
                let state = match (row.revoked, row.expires) {
                    (Some(_), _) => "revoked",
                    (None, Some(expires)) if expires <= now_us => "expired",
                    (None, _) => "live",
                };
                println!(
                    "{:<24} {:<16} {:<28} {:<28} {:<28} {state:<8} {}",
                    row.name,
                    row.scopes,
                    time(Some(row.created)),
                    time(row.expires),
                    time(row.last_used),
                    row.fields.as_deref().unwrap_or("all")
                );
            }
        }
        TokenCommand::Revoke {
            name,
            tenant,
            database,
        } => {
            let store = super::store::open(&database)?;
            let done =
                tokens::revoke(&store, tenant, name.clone(), clock.now().as_microsecond()).await;
            store.close();
            done?;
            println!("revoked {name}");
        }
    }
    Ok(())
}

pub(super) fn time(microseconds: Option<i64>) -> String {
    microseconds
        .and_then(|us| Timestamp::from_microsecond(us).ok())
        .map_or_else(|| "-".to_owned(), |time| time.to_string())
}

pub(super) fn duration(text: &str) -> anyhow::Result<SignedDuration> {
    let span: SignedDuration = match text.strip_suffix('d') {
        Some(days) => SignedDuration::from_hours(days.trim().parse::<i64>()?.saturating_mul(24)),
        None => text.parse()?,
    };
    if span <= SignedDuration::ZERO {
        bail!("a positive duration was expected");
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(
            duration("90d").unwrap(),
            SignedDuration::from_hours(90 * 24)
        );
        assert_eq!(duration("12h").unwrap(), SignedDuration::from_hours(12));
        assert!(duration("0d").is_err() && duration("soon").is_err() && duration("-1h").is_err());
    }
}
