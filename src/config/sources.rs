//! The three places that a setting can come from, and which one won.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::file::{self, Declared, File, IssuerSettings};

/// Where the data is: the flags that every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DatabaseArgs {
    /// The configuration file (environment `ROLLCALL_CONFIG`) [default: rollcall.toml, where it exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME` (environment `ROLLCALL_DATABASE`)
    /// [default: sqlite:rollcall.sqlite]
    #[arg(long, value_name = "URL", global = true)]
    pub database: Option<String>,
}

/// The flags of `rollcall serve`. Every one has an environment variable: `--body-limit-bytes` is
/// `ROLLCALL_BODY_LIMIT_BYTES`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// What clients reach the service by, such as `https://scim.example.com/scim/v2`
    /// [default: the address listened on]
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Certificate chain in PEM, to serve HTTPS directly
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,
    /// Private key in PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Threads that serve HTTP [default: one a core]
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// Connections that may be open [default: 8192]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<String>,
    /// Requests that are worked on at once; more are answered 429 or 503 [default: 1024]
    #[arg(long, value_name = "N")]
    pub max_requests: Option<String>,
    /// Largest request body [default: 16777216]
    #[arg(long, value_name = "BYTES")]
    pub body_limit_bytes: Option<String>,
    /// Longest time that a request body may take to arrive [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub body_timeout_s: Option<String>,
    /// Bytes of a body that earn it one more second; 0 makes `--body-timeout-s` the time for the whole [default: 65536]
    #[arg(long, value_name = "BYTES")]
    pub body_bytes_per_s: Option<String>,
    /// Memory for all large bodies at once [default: 134217728]
    #[arg(long, value_name = "BYTES")]
    pub body_memory_bytes: Option<String>,
    /// Longest time that a client may take for 64 KiB of an answer [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub answer_timeout_s: Option<String>,
    /// Requests a second of one token; 0 is no limit [default: 0]
    #[arg(long, value_name = "N")]
    pub token_rate_per_s: Option<String>,
    /// Requests of one token that may come at once, beyond the rate [default: 200]
    #[arg(long, value_name = "N")]
    pub token_burst: Option<String>,
    /// Requests a second of all tokens of one tenant; 0 is no limit [default: 0]
    #[arg(long, value_name = "N")]
    pub tenant_rate_per_s: Option<String>,
    /// Requests of one tenant that may come at once, beyond the rate [default: 200]
    #[arg(long, value_name = "N")]
    pub tenant_burst: Option<String>,
    /// Wrong tokens a second, of all clients; 0 is no limit [default: 100]
    #[arg(long, value_name = "N")]
    pub unknown_tokens_per_s: Option<String>,
    /// How long requests in flight may take after SIGTERM [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub shutdown_timeout_s: Option<String>,
    /// What to do with member ids that are not known: `skip` or `refuse` [default: skip]
    #[arg(long, value_name = "WHAT")]
    pub unknown_members: Option<String>,
    /// What to do with roles and entitlements that are not there: `drop` or `refuse` [default: drop]
    #[arg(long, value_name = "WHAT")]
    pub unknown_roles: Option<String>,
    /// Whether passwords are kept, hashed: `on` or `off` [default: off]
    #[arg(long, value_name = "ON|OFF")]
    pub password_sync: Option<String>,
    /// Resources on a page where the client names no count [default: 100]
    #[arg(long, value_name = "N")]
    pub default_page_size: Option<String>,
    /// Most resources on a page [default: 1000]
    #[arg(long, value_name = "N")]
    pub max_page_size: Option<String>,
    /// Most resources that a filter without an index may read [default: 100000]
    #[arg(long, value_name = "N")]
    pub scan_limit: Option<String>,
    /// A PATCH of a group with more members than this answers 204 [default: 1000]
    #[arg(long, value_name = "N")]
    pub patch_answer_members: Option<String>,
    /// What of a user the subject of a JWT is, for `/Me`: `userName`, `externalId`, `id`, or `off` [default: userName]
    #[arg(long, value_name = "WHAT")]
    pub me: Option<String>,
    /// Whether there is `/Bulk`: `on` or `off` [default: on]
    #[arg(long, value_name = "ON|OFF")]
    pub bulk: Option<String>,
    /// Most operations in a bulk request [default: 1000]
    #[arg(long, value_name = "N")]
    pub bulk_max_operations: Option<String>,
    /// Largest body of a bulk request [default: 10485760]
    #[arg(long, value_name = "BYTES")]
    pub bulk_max_payload_bytes: Option<String>,
    /// Whether webhooks may go to private addresses and by plain HTTP: `on` or `off` [default: off]
    #[arg(long, value_name = "ON|OFF")]
    pub webhook_allow_private: Option<String>,
    /// How long one attempt to deliver a webhook may take [default: 10000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub webhook_timeout_ms: Option<String>,
    /// Wait before the second attempt; it doubles from one to the next [default: 5000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub webhook_backoff_ms: Option<String>,
    /// Longest wait between attempts [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub webhook_backoff_most_s: Option<String>,
    /// A change older than this that still fails is given up [default: 259200]
    #[arg(long, value_name = "SECONDS")]
    pub webhook_give_up_s: Option<String>,
    /// How many days changes are kept, for the feed and for history; 0 keeps them for ever [default: 0]
    #[arg(long, value_name = "DAYS")]
    pub change_retention_days: Option<String>,
    /// How long a cursor of a list is good [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    pub cursor_timeout_s: Option<String>,
    /// A PostgreSQL that follows `--database`, read for tokens that cannot write
    #[arg(long, value_name = "URL")]
    pub database_replica: Option<String>,
    /// How far it may lag; beyond that the primary is read [default: 5000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub database_replica_lag_ms: Option<String>,
    /// Connections that read [default: 4]
    #[arg(long, value_name = "N")]
    pub database_readers: Option<String>,
    /// Requests that may wait for the database; more are answered 503 [default: 1024]
    #[arg(long, value_name = "N")]
    pub database_queue: Option<String>,
    /// How long a request may wait for the database [default: 5000]
    #[arg(long, value_name = "MILLISECONDS")]
    pub database_queue_wait_ms: Option<String>,
}

const KNOWN: [&str; 42] = [
    "listen",
    "database",
    "base_url",
    "tls_certificate",
    "tls_key",
    "workers",
    "max_connections",
    "max_requests",
    "body_limit_bytes",
    "body_timeout_s",
    "body_bytes_per_s",
    "body_memory_bytes",
    "answer_timeout_s",
    "token_rate_per_s",
    "token_burst",
    "tenant_rate_per_s",
    "tenant_burst",
    "unknown_tokens_per_s",
    "shutdown_timeout_s",
    "unknown_members",
    "unknown_roles",
    "password_sync",
    "default_page_size",
    "max_page_size",
    "scan_limit",
    "patch_answer_members",
    "bulk",
    "bulk_max_operations",
    "bulk_max_payload_bytes",
    "me",
    "webhook_allow_private",
    "webhook_timeout_ms",
    "webhook_backoff_ms",
    "webhook_backoff_most_s",
    "webhook_give_up_s",
    "change_retention_days",
    "cursor_timeout_s",
    "database_replica",
    "database_replica_lag_ms",
    "database_readers",
    "database_queue",
    "database_queue_wait_ms",
];

const DEFAULT_FILE: &str = "rollcall.toml";

/// The sources, read once.
pub struct Sources {
    flags: Vec<(&'static str, Option<String>)>,
    file: File,
}

/// A value and where it stands.
struct SettingText<'s> {
    text: &'s str,
    place: String,
}

impl Sources {
    pub fn of_database(args: &DatabaseArgs) -> Result<Self, ConfigError> {
        Self::new(args, Vec::new())
    }

    pub fn of_serve(args: &ServeArgs) -> Result<Self, ConfigError> {
        let flags = vec![
            ("listen", args.listen.clone()),
            ("base_url", args.base_url.clone()),
            ("tls_certificate", args.tls_certificate.clone()),
            ("tls_key", args.tls_key.clone()),
            ("workers", args.workers.clone()),
            ("max_connections", args.max_connections.clone()),
            ("max_requests", args.max_requests.clone()),
            ("body_limit_bytes", args.body_limit_bytes.clone()),
            ("body_timeout_s", args.body_timeout_s.clone()),
            ("body_bytes_per_s", args.body_bytes_per_s.clone()),
            ("body_memory_bytes", args.body_memory_bytes.clone()),
            ("answer_timeout_s", args.answer_timeout_s.clone()),
            ("token_rate_per_s", args.token_rate_per_s.clone()),
            ("token_burst", args.token_burst.clone()),
            ("tenant_rate_per_s", args.tenant_rate_per_s.clone()),
            ("tenant_burst", args.tenant_burst.clone()),
            ("unknown_tokens_per_s", args.unknown_tokens_per_s.clone()),
            ("shutdown_timeout_s", args.shutdown_timeout_s.clone()),
            ("unknown_members", args.unknown_members.clone()),
            ("unknown_roles", args.unknown_roles.clone()),
            ("password_sync", args.password_sync.clone()),
            ("default_page_size", args.default_page_size.clone()),
            ("max_page_size", args.max_page_size.clone()),
            ("scan_limit", args.scan_limit.clone()),
            ("patch_answer_members", args.patch_answer_members.clone()),
            ("me", args.me.clone()),
            ("bulk", args.bulk.clone()),
            ("bulk_max_operations", args.bulk_max_operations.clone()),
            (
                "bulk_max_payload_bytes",
                args.bulk_max_payload_bytes.clone(),
            ),
            ("webhook_allow_private", args.webhook_allow_private.clone()),
            ("webhook_timeout_ms", args.webhook_timeout_ms.clone()),
            ("webhook_backoff_ms", args.webhook_backoff_ms.clone()),
            (
                "webhook_backoff_most_s",
                args.webhook_backoff_most_s.clone(),
            ),
            ("webhook_give_up_s", args.webhook_give_up_s.clone()),
            ("change_retention_days", args.change_retention_days.clone()),
            ("cursor_timeout_s", args.cursor_timeout_s.clone()),
            ("database_replica", args.database_replica.clone()),
            (
                "database_replica_lag_ms",
                args.database_replica_lag_ms.clone(),
            ),
            ("database_readers", args.database_readers.clone()),
            ("database_queue", args.database_queue.clone()),
            (
                "database_queue_wait_ms",
                args.database_queue_wait_ms.clone(),
            ),
        ];
        Self::new(&args.database, flags)
    }

    fn new(
        args: &DatabaseArgs,
        mut flags: Vec<(&'static str, Option<String>)>,
    ) -> Result<Self, ConfigError> {
        flags.push(("database", args.database.clone()));
        let named = args
            .config
            .clone()
            .or_else(|| environment("config").map(PathBuf::from));
        let file = match named {
            Some(path) => file::read(&path, &KNOWN)?,
            None if PathBuf::from(DEFAULT_FILE).exists() => {
                file::read(&PathBuf::from(DEFAULT_FILE), &KNOWN)?
            }
            None => File::default(),
        };
        Ok(Self { flags, file })
    }

    /// The value of a setting, parsed, or its default.
    pub fn parse<T>(
        &self,
        setting: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        match self.optional(setting, &parse)? {
            Some(value) => Ok(value),
            None => parse(default).map_err(|problem| self.error(setting, &problem)),
        }
    }

    /// The value of a setting that may be absent.
    pub fn optional<T>(
        &self,
        setting: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let from_environment = environment(setting);
        self.find(setting, from_environment.as_deref())
            .map(|found| {
                parse(found.text).map_err(|problem| ConfigError {
                    setting: setting.to_owned(),
                    place: found.place,
                    problem,
                })
            })
            .transpose()
    }

    /// A whole number within a range.
    pub fn number(
        &self,
        setting: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        self.parse(setting, &default.to_string(), |text| {
            text.parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    format!(
                        "a whole number from {} to {} was expected, and not `{text}`",
                        range.start(),
                        range.end()
                    )
                })
        })
    }

    pub fn issuers(&self) -> Vec<IssuerSettings> {
        self.file.issuers.clone()
    }

    pub fn declared(&self) -> Declared {
        self.file.declared.clone()
    }

    /// Only the environment can hold it: a flag would show it to everybody on the machine.
    pub fn bootstrap_token(&self) -> Option<String> {
        environment("bootstrap_token")
    }

    pub fn error(&self, setting: &str, problem: &str) -> ConfigError {
        let from_environment = environment(setting);
        let place = self
            .find(setting, from_environment.as_deref())
            .map_or_else(|| "default".to_owned(), |found| found.place);
        ConfigError {
            setting: setting.to_owned(),
            place,
            problem: problem.to_owned(),
        }
    }

    fn find<'s>(
        &'s self,
        setting: &str,
        from_environment: Option<&'s str>,
    ) -> Option<SettingText<'s>> {
        let flag = self
            .flags
            .iter()
            .find(|(name, _)| *name == setting)
            .and_then(|(_, value)| value.as_deref());
        if let Some(text) = flag {
            return Some(SettingText {
                text,
                place: format!("--{}", setting.replace('_', "-")),
            });
        }
        if let Some(text) = from_environment {
            return Some(SettingText {
                text,
                place: format!("environment {}", variable(setting)),
            });
        }
        self.file.settings.get(setting).map(|line| SettingText {
            text: &line.text,
            place: format!("{} line {}", self.file.path.display(), line.number),
        })
    }
}

fn variable(setting: &str) -> String {
    format!("ROLLCALL_{}", setting.to_ascii_uppercase())
}

/// An empty variable counts as none, so that a container can blank one.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
pub(super) fn environment(setting: &str) -> Option<String> {
    std::env::var(variable(setting))
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn check(args: &ServeArgs, expected: &str) {
        assert_eq!(Config::load(args).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_wrong_flag_is_named() {
        check(
            &ServeArgs {
                workers: Some("many".into()),
                ..ServeArgs::default()
            },
            "workers (--workers): a whole number from 1 to 1024 was expected, and not `many`",
        );
        check(
            &ServeArgs {
                max_page_size: Some("50".into()),
                ..ServeArgs::default()
            },
            "max_page_size (--max-page-size): a whole number from 100 to 10000 was expected, and not `50`",
        );
        check(
            &ServeArgs {
                tls_key: Some("k.pem".into()),
                ..ServeArgs::default()
            },
            "tls_key (--tls-key): `tls_certificate` must be set too",
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "workers = 3\nunknown_members = \"refuse\"\n").unwrap();
        let args = ServeArgs {
            database: DatabaseArgs {
                config: Some(path),
                ..DatabaseArgs::default()
            },
            workers: Some("7".into()),
            ..ServeArgs::default()
        };
        let config = Config::load(&args).unwrap();
        assert_eq!(config.workers, 7);
        assert_eq!(
            config.unknown_members,
            crate::service::UnknownMembers::Refuse
        );
    }

    #[test]
    fn the_example_names_every_setting_with_its_default() {
        let example =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rollcall.example.toml");
        let text = std::fs::read_to_string(example).unwrap();
        let is_setting = |line: &&str| line.contains(" = ") || line.starts_with("[[");
        let settings: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(is_setting)
            .map(|line| format!("{line}\n"))
            .collect();
        for name in KNOWN {
            assert!(settings.contains(&format!("{name} = ")), "{name}");
        }
        // SQLite, the default, has no replica.
        let settings: String = settings
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("database_replica = "))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.toml");
        std::fs::write(&path, settings).unwrap();
        let with = |config: Option<PathBuf>| ServeArgs {
            database: DatabaseArgs {
                config,
                ..DatabaseArgs::default()
            },
            ..ServeArgs::default()
        };
        let example = Config::load(&with(Some(path))).unwrap();
        let empty = folder.path().join("empty.toml");
        std::fs::write(&empty, "").unwrap();
        let default = Config::load(&with(Some(empty))).unwrap();
        assert_eq!(example.issuers.len(), 1);
        assert_eq!(example.declared.extensions.len(), 1);
        assert_eq!(example.declared.types.len(), 1);
        // These four have no default that a file could name.
        let same = Config {
            base_url: None,
            tls: None,
            workers: default.workers,
            issuers: Vec::new(),
            declared: default.declared.clone(),
            ..example
        };
        assert_eq!(format!("{same:?}"), format!("{default:?}"));
    }
}
