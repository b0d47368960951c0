//! All settings of `rollcall serve`.

use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;

use crate::config::tables::Tables;
use crate::http::admission::body_memory::BodyLimits;
use crate::http::admission::control::AdmissionLimits;
use crate::http::admission::slow_clients::Timeouts;
use crate::http::server::ServerSettings;
use crate::service::ScimSettings;
use crate::service::access::tokens::TokenLimits;
use crate::service::feed::ListenerLimits;
use crate::settings::{ConfigError, Sources, absent, bytes, parsed, secret, settings};
use crate::{store, webhooks};

settings! {
    /// All settings of `rollcall serve`.
    #[derive(Debug, Clone)]
    pub struct Config {
        pub server: ServerSettings = section("Network"),
        pub database: store::Config = section("Database"),
        pub scim: ScimSettings = section("SCIM"),
        pub limits: LimitSettings = section("Limits"),
        pub webhooks: webhooks::Options = section("Webhooks"),
        pub tokens: TokenSettings = section("Tokens"),
        /// The tables of the file.
        pub tables: Tables = fixed(Tables::default()),
    }
    validate = check_body_memory;
}

settings! {
    /// Tokens of this service.
    #[derive(Debug, Clone)]
    pub struct TokenSettings {
        /// A [token with every scope](tokens.md#the-first-token) in the tenant `default`, of at
        /// least 32 characters, valid while the service runs with it.
        pub bootstrap_token: Option<SecretString> =
            setting(
            "bootstrap_token",
            secret("text of at least 32 characters", check_bootstrap).optional(),
            absent("none", "")
        ),
        /// A file with that token, instead of the environment.
        pub bootstrap_token_file: Option<PathBuf> = setting(
            "bootstrap_token_file",
            parsed("FILE", "file", |path| Ok(path.into())).optional(),
            absent("none", "/run/secrets/rollcall")
        ),
        pub limits: TokenLimits = section,
    }
    validate = check_one_bootstrap_token;
}

/// The fewest characters of a token from outside: 128 bits in hexadecimal.
const BOOTSTRAP_CHARS: usize = 32;

/// Returns what is wrong with a token.
fn check_bootstrap(text: &str) -> Result<(), String> {
    if text.len() >= BOOTSTRAP_CHARS && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!(
        "at least {BOOTSTRAP_CHARS} visible ASCII characters were expected; `openssl rand -hex 32` prints some"
    ))
}

fn check_one_bootstrap_token(
    settings: &TokenSettings,
    sources: &Sources,
) -> Result<(), ConfigError> {
    if settings.bootstrap_token.is_some() && settings.bootstrap_token_file.is_some() {
        let problem = "`bootstrap_token` is set too; set one of them";
        return Err(sources.error("bootstrap_token_file", problem));
    }
    Ok(())
}

impl TokenSettings {
    /// Returns the token from the environment or from the file.
    ///
    /// # Errors
    /// The file cannot be read, or its text is too short.
    pub fn bootstrap(&self) -> anyhow::Result<Option<SecretString>> {
        let Some(path) = &self.bootstrap_token_file else {
            return Ok(self.bootstrap_token.clone());
        };
        let at = || format!("bootstrap_token_file: {}", path.display());
        let text = std::fs::read_to_string(path).with_context(at)?;
        let token = text.trim();
        let checked = check_bootstrap(token).map_err(anyhow::Error::msg);
        checked.with_context(at)?;
        Ok(Some(SecretString::from(token)))
    }
}

settings! {
    /// Limits on clients.
    #[derive(Debug, Clone, Copy)]
    pub struct LimitSettings {
        pub admission: AdmissionLimits = section,
        pub body: BodyLimits = section,
        /// Memory for all bodies together, with their values, beyond 16 KiB each. A request that
        /// finds too little is answered 503, and one that needs more than all of it 413. It must
        /// hold the largest body that `body_limit_bytes` and `bulk_max_payload_bytes` allow.
        pub body_memory_bytes: usize =
            setting("body_memory_bytes", bytes(1024..=1 << 40), 128 << 20),
        /// Memory for all responses together, and for the work on large documents, beyond 16 KiB
        /// each. A request that finds too little is answered 503, and one whose response needs more
        /// than all of it 400 `tooMany`.
        pub response_memory_bytes: usize =
            setting("response_memory_bytes", bytes(1 << 20..=1 << 40), 96 << 20),
        pub timeouts: Timeouts = section,
        pub listeners: ListenerLimits = section,
    }
}

fn check_body_memory(config: &Config, sources: &Sources) -> Result<(), ConfigError> {
    let limits = &config.limits;
    let largest = limits
        .body
        .size_bytes
        .max(config.scim.bulk.max_payload_bytes);
    if limits.body_memory_bytes < largest {
        let problem =
            format!("it must hold the largest body that is allowed, and that has {largest} bytes");
        return Err(sources.error("body_memory_bytes", &problem));
    }
    Ok(())
}
