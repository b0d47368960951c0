//! The settings: flags over environment over file over defaults, checked once.
//!
//! It is the only reader of the environment. Every fault names the setting and the place that set it.

mod file;
mod setup;
mod sources;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use file::{Declared, ExtensionSettings, IssuerSettings, Placed, TypeAccess, TypeSettings};
pub use setup::{OktaArgs, OktaSettings};
pub use sources::{DatabaseArgs, ServeArgs};

use crate::config::sources::Sources;
use crate::service::{BulkOptions, PasswordSync, Subject, UnknownMembers, UnknownRoles};
use crate::store::engine::replica::ReplicaConfig;
use crate::store::{Backend, DatabaseUrl};
use crate::webhooks;
use crate::webhooks::Reach;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} ({place}): {problem}")]
pub struct ConfigError {
    pub setting: String,
    /// `--listen`, `environment ROLLCALL_LISTEN`, `rollcall.toml line 3`.
    pub place: String,
    pub problem: String,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: DatabaseUrl,
    /// A server that follows it, for callers that cannot write.
    pub replica: Option<ReplicaConfig>,
    /// Connections that read.
    pub readers: usize,
    /// Requests that may wait for the database before the answer is 503.
    pub queue: usize,
    /// How long one may wait.
    pub queue_wait: Duration,
}

/// All settings of `rollcall serve`.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub database: DatabaseConfig,
    /// `None`: the address that is listened on.
    pub base_url: Option<String>,
    pub tls: Option<TlsFiles>,
    pub workers: usize,
    pub max_connections: usize,
    /// Requests that are worked on at once, those that wait for the database among them.
    pub max_requests: usize,
    pub rates: Rates,
    pub body: BodySettings,
    /// How long a client may take for a piece of its answer.
    pub answer_timeout: Duration,
    pub shutdown_timeout: Duration,
    pub unknown_members: UnknownMembers,
    pub unknown_roles: UnknownRoles,
    pub password_sync: PasswordSync,
    pub default_page_size: u32,
    pub max_page_size: u32,
    pub scan_limit: u64,
    pub patch_answer_members: u32,
    pub webhooks: webhooks::Options,
    /// `None`: for ever.
    pub change_retention: Option<Duration>,
    pub bulk: BulkOptions,
    pub cursor_timeout: Duration,
    /// `None`: no `/Me`.
    pub me: Option<Subject>,
    pub issuers: Vec<IssuerSettings>,
    /// Resource types and extensions besides those of the standard.
    pub declared: Declared,
    pub bootstrap_token: Option<SecretString>,
}

/// How large a request body may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct BodySettings {
    pub limit_bytes: usize,
    pub timeout: Duration,
    /// Bytes that earn a body one more second.
    pub bytes_per_s: u64,
    /// For all large bodies at once.
    pub memory_bytes: usize,
}

/// How often clients may come.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub token: Rate,
    pub tenant: Rate,
    /// Tokens that turn out to be nobody's; 0 is no limit.
    pub unknown_tokens_per_s: u32,
}

/// How many requests may come in a second, and how many of them at once.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// 0 is no limit.
    pub per_s: u32,
    pub burst: u32,
}

/// Certificate chain and key in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Okta asks for pages of 100 and steps by 100 whatever it gets, so a lower limit would lose users.
const SMALLEST_PAGE_LIMIT: u64 = 100;

impl DatabaseConfig {
    /// The database part alone, for commands that need no server.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(args: &DatabaseArgs) -> Result<Self, ConfigError> {
        database(&Sources::of_database(args)?)
    }
}

/// The webhook settings alone, for commands that need no server.
#[derive(Debug, Clone, Copy)]
pub struct Deliveries {
    pub options: webhooks::Options,
}

impl Deliveries {
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(args: &DatabaseArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            options: webhooks(&Sources::of_database(args)?)?,
        })
    }
}

impl Declared {
    /// The declarations alone, for commands that need no server.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(args: &DatabaseArgs) -> Result<Self, ConfigError> {
        Ok(Sources::of_database(args)?.declared())
    }
}

impl Config {
    /// Puts the sources together and checks every value.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        let sources = Sources::of_serve(args)?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let bulk = bulk(&sources)?;
        let max_page_size = sources.number("max_page_size", 1000, SMALLEST_PAGE_LIMIT..=10_000)?;
        Ok(Self {
            listen: sources.parse("listen", "127.0.0.1:8080", |text| {
                text.parse().map_err(|_| {
                    "an address with a port was expected, such as 127.0.0.1:8080".to_owned()
                })
            })?,
            database: database(&sources)?,
            base_url: sources.optional("base_url", base_url)?,
            tls: tls(&sources)?,
            workers: to_usize(sources.number("workers", to_u64(cores), 1..=1024)?),
            max_connections: to_usize(sources.number("max_connections", 8192, 1..=1_000_000)?),
            max_requests: to_usize(sources.number("max_requests", 1024, 1..=1_000_000)?),
            rates: rates(&sources)?,
            body: body(&sources, bulk.max_payload_bytes)?,
            answer_timeout: Duration::from_secs(sources.number(
                "answer_timeout_s",
                30,
                1..=3600,
            )?),
            shutdown_timeout: Duration::from_secs(sources.number(
                "shutdown_timeout_s",
                30,
                1..=3600,
            )?),
            unknown_members: sources.parse("unknown_members", "skip", |text| match text {
                "skip" => Ok(UnknownMembers::Skip),
                "refuse" => Ok(UnknownMembers::Refuse),
                _ => Err("`skip` or `refuse` was expected".to_owned()),
            })?,
            unknown_roles: sources.parse("unknown_roles", "drop", |text| match text {
                "drop" => Ok(UnknownRoles::Drop),
                "refuse" => Ok(UnknownRoles::Refuse),
                _ => Err("`drop` or `refuse` was expected".to_owned()),
            })?,
            password_sync: sources.parse("password_sync", "off", |text| match text {
                "on" => Ok(PasswordSync::On),
                "off" => Ok(PasswordSync::Off),
                _ => Err("`on` or `off` was expected".to_owned()),
            })?,
            default_page_size: to_u32(sources.number(
                "default_page_size",
                100,
                1..=max_page_size,
            )?),
            max_page_size: to_u32(max_page_size),
            scan_limit: sources.number("scan_limit", 100_000, 1..=100_000_000)?,
            patch_answer_members: to_u32(sources.number(
                "patch_answer_members",
                1000,
                0..=100_000_000,
            )?),
            webhooks: webhooks(&sources)?,
            change_retention: match sources.number("change_retention_days", 0, 0..=36_500)? {
                0 => None,
                days => Some(Duration::from_secs(days.saturating_mul(24 * 60 * 60))),
            },
            bulk,
            cursor_timeout: Duration::from_secs(sources.number(
                "cursor_timeout_s",
                3600,
                1..=31_536_000,
            )?),
            me: sources.parse("me", "userName", |text| match text {
                "userName" => Ok(Some(Subject::UserName)),
                "externalId" => Ok(Some(Subject::ExternalId)),
                "id" => Ok(Some(Subject::Id)),
                "off" => Ok(None),
                _ => Err("`userName`, `externalId`, `id` or `off` was expected".to_owned()),
            })?,
            issuers: sources.issuers(),
            declared: sources.declared(),
            bootstrap_token: sources.bootstrap_token().map(SecretString::from),
        })
    }
}

fn database(sources: &Sources) -> Result<DatabaseConfig, ConfigError> {
    let parse = |text: &str| DatabaseUrl::parse(text).map_err(|error| error.to_string());
    let url = sources.parse("database", "sqlite:rollcall.sqlite", parse)?;
    Ok(DatabaseConfig {
        replica: replica(sources, url.backend())?,
        url,
        readers: to_usize(sources.number("database_readers", 4, 1..=256)?),
        queue: to_usize(sources.number("database_queue", 1024, 1..=1_000_000)?),
        queue_wait: Duration::from_millis(sources.number(
            "database_queue_wait_ms",
            5000,
            1..=600_000,
        )?),
    })
}

fn webhooks(sources: &Sources) -> Result<webhooks::Options, ConfigError> {
    Ok(webhooks::Options {
        reach: sources.parse("webhook_allow_private", "off", |text| match text {
            "on" => Ok(Reach::Anywhere),
            "off" => Ok(Reach::Public),
            _ => Err("`on` or `off` was expected".to_owned()),
        })?,
        timeout: Duration::from_millis(sources.number(
            "webhook_timeout_ms",
            10_000,
            100..=60_000,
        )?),
        backoff: Duration::from_millis(sources.number(
            "webhook_backoff_ms",
            5_000,
            10..=3_600_000,
        )?),
        backoff_most: Duration::from_secs(sources.number(
            "webhook_backoff_most_s",
            3_600,
            1..=86_400,
        )?),
        give_up: Duration::from_secs(sources.number(
            "webhook_give_up_s",
            259_200,
            1..=31_536_000,
        )?),
        look_every: webhooks::LOOK_EVERY,
    })
}

fn bulk(sources: &Sources) -> Result<BulkOptions, ConfigError> {
    Ok(BulkOptions {
        enabled: sources.parse("bulk", "on", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err("`on` or `off` was expected".to_owned()),
        })?,
        max_operations: to_usize(sources.number("bulk_max_operations", 1000, 1..=100_000)?),
        max_payload_bytes: to_usize(sources.number(
            "bulk_max_payload_bytes",
            10 << 20,
            1024..=1 << 30,
        )?),
    })
}

fn rate(sources: &Sources, per_s: &str, burst: &str) -> Result<Rate, ConfigError> {
    Ok(Rate {
        per_s: to_u32(sources.number(per_s, 0, 0..=1_000_000)?),
        burst: to_u32(sources.number(burst, 200, 1..=1_000_000)?),
    })
}

fn rates(sources: &Sources) -> Result<Rates, ConfigError> {
    let unknown = sources.number("unknown_tokens_per_s", 100, 0..=1_000_000)?;
    Ok(Rates {
        token: rate(sources, "token_rate_per_s", "token_burst")?,
        tenant: rate(sources, "tenant_rate_per_s", "tenant_burst")?,
        unknown_tokens_per_s: to_u32(unknown),
    })
}

fn body(sources: &Sources, bulk_bytes: usize) -> Result<BodySettings, ConfigError> {
    let limit_bytes = to_usize(sources.number("body_limit_bytes", 16 << 20, 1024..=1 << 30)?);
    let memory = sources.number("body_memory_bytes", 128 << 20, 1024..=1 << 40)?;
    let (memory_bytes, largest) = (to_usize(memory), limit_bytes.max(bulk_bytes));
    if memory_bytes < largest {
        let problem =
            format!("it must hold the largest body that is allowed, and that has {largest} bytes");
        return Err(sources.error("body_memory_bytes", &problem));
    }
    Ok(BodySettings {
        limit_bytes,
        timeout: Duration::from_secs(sources.number("body_timeout_s", 30, 1..=3600)?),
        bytes_per_s: sources.number("body_bytes_per_s", 64 << 10, 0..=1 << 30)?,
        memory_bytes,
    })
}

fn replica(sources: &Sources, primary: Backend) -> Result<Option<ReplicaConfig>, ConfigError> {
    let lag = sources.number("database_replica_lag_ms", 5_000, 100..=600_000)?;
    let url = sources.optional("database_replica", |text| {
        let url = DatabaseUrl::parse(text).map_err(|error| error.to_string())?;
        match (primary, url.backend()) {
            (Backend::Postgres, Backend::Postgres) => Ok(url),
            (Backend::Sqlite, _) | (_, Backend::Sqlite) => Err(
                "a replica is a PostgreSQL that follows the one in `database`; SQLite has none"
                    .to_owned(),
            ),
        }
    })?;
    Ok(url.map(|url| ReplicaConfig {
        url,
        lag: Duration::from_millis(lag),
    }))
}

fn base_url(text: &str) -> Result<String, String> {
    let fits = (text.starts_with("https://") || text.starts_with("http://"))
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'\\'));
    if fits {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("a URL was expected, such as https://scim.example.com/scim/v2, without query or fragment".to_owned())
    }
}

fn tls(sources: &Sources) -> Result<Option<TlsFiles>, ConfigError> {
    let path = |text: &str| Ok(PathBuf::from(text));
    match (
        sources.optional("tls_certificate", path)?,
        sources.optional("tls_key", path)?,
    ) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(sources.error("tls_certificate", "`tls_key` must be set too")),
        (None, Some(_)) => Err(sources.error("tls_key", "`tls_certificate` must be set too")),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
