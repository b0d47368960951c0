//! All settings of `rollcall serve`.

use secrecy::SecretString;

use crate::config::tables::Tables;
use crate::http::admission::body_memory::BodyLimits;
use crate::http::admission::control::AdmissionLimits;
use crate::http::admission::slow_clients::Timeouts;
use crate::http::server::ServerSettings;
use crate::service::ScimSettings;
use crate::settings::{ConfigError, Sources, absent, bytes, secret, settings};
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
        /// A [token with every scope](tokens.md#the-first-token) in the tenant `default`, valid
        /// while the service runs with it.
        pub bootstrap_token: Option<SecretString> =
            setting("bootstrap_token", secret().optional(), absent("none", "")),
        /// The tables of the file.
        pub tables: Tables = fixed(Tables::default()),
    }
    validate = check_body_memory;
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
