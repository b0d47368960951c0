//! `rollcall token create|list|revoke`.

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};

use crate::auth::{Fields, Scope};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, DatabaseArgs};
use crate::service::access::tokens::{self, DEFAULT_TENANT, NewToken, TokenRef};

#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Create a token and print it; it cannot be shown again
    // Because of the hidden alias, clap would show the name as optional.
    #[command(override_usage = "rollcall token create [OPTIONS] --scope <SCOPES> <NAME>")]
    Create {
        #[command(flatten)]
        name: TokenName,
        /// `scim` to provision, `read` to read, `admin` to manage the tenant, `operator` to manage all
        /// tenants; may be repeated
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// Attributes that a token with the scope `read` may read, such as `userName,emails.value`
        /// [default: all]
        #[arg(long, value_delimiter = ',')]
        fields: Option<Vec<String>>,
        /// How long the token is valid, such as `90d` or `12h` [default: until it is revoked]
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
    /// Revoke a token, effective with the next request
    Revoke {
        /// Name of the token, or its id
        name: String,
        #[arg(long, default_value = DEFAULT_TENANT)]
        tenant: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// The name of a new token.
#[derive(Debug, clap::Args)]
pub struct TokenName {
    /// Unique among the tenant's live tokens; recorded as the actor of every change made with it
    #[arg(value_name = "NAME", required_unless_present = "name_flag")]
    name: Option<String>,
    /// The former spelling, which scripts still use
    #[arg(
        long = "name",
        value_name = "NAME",
        hide = true,
        conflicts_with = "name"
    )]
    name_flag: Option<String>,
}

impl TokenName {
    /// Returns the name, however it was given. clap has ensured that there is one.
    fn into_string(self) -> String {
        self.name.or(self.name_flag).unwrap_or_default()
    }
}

/// Runs `rollcall token`.
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
            let token = NewToken {
                tenant,
                name: name.into_string(),
                scopes: scopes.into_iter().collect(),
                fields: fields.map(Fields::parse).transpose()?,
                expires,
            };
            let limits = config::load(&database)?;
            let store = super::store::open(&database)?;
            let created = tokens::create(&store, token, limits, &clock).await;
            store.close();
            println!("{}", created?);
        }
        TokenCommand::List { tenant, database } => {
            list(&tenant, &database, clock.now().as_microsecond()).await?;
        }
        TokenCommand::Revoke {
            name,
            tenant,
            database,
        } => {
            let store = super::store::open(&database)?;
            let now_us = clock.now().as_microsecond();
            let revoked = tokens::revoke(&store, tenant, TokenRef::parse(&name), now_us).await;
            store.close();
            revoked?;
            println!("revoked {name}");
        }
    }
    Ok(())
}

async fn list(tenant: &str, database: &DatabaseArgs, now_us: i64) -> anyhow::Result<()> {
    let store = super::store::open(database)?;
    let rows = tokens::list(&store, tenant.to_owned()).await;
    store.close();
    println!(
        "{:<36} {:<24} {:<16} {:<28} {:<28} {:<28} {:<8} FIELDS",
        "ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATE"
    );
    for row in rows? {
        let state = match (row.revoked, row.expires) {
            (Some(_), _) => "revoked",
            (None, Some(expires)) if expires <= now_us => "expired",
            (None, _) => "live",
        };
        println!(
            "{:<36} {:<24} {:<16} {:<28} {:<28} {:<28} {state:<8} {}",
            row.id,
            row.name,
            row.scopes,
            time(Some(row.created)),
            time(row.expires),
            time(row.last_used),
            row.fields.as_deref().unwrap_or("all")
        );
    }
    Ok(())
}

/// Formats a time, or `-` where there is none.
pub(super) fn time(microseconds: Option<i64>) -> String {
    microseconds
        .and_then(|us| Timestamp::from_microsecond(us).ok())
        .map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// Parses `90d`, or a duration as jiff reads it, such as `12h`.
pub(super) fn duration(text: &str) -> anyhow::Result<SignedDuration> {
    let span: SignedDuration = match text.strip_suffix('d') {
        Some(days) => SignedDuration::from_hours(days.trim().parse::<i64>()?.saturating_mul(24)),
        None => text.parse()?,
    };
    if span <= SignedDuration::ZERO {
        bail!("expected a positive duration");
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
