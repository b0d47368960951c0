//! Admission control: limits the number of requests in flight, per tenant and in total. It rejects
//! requests over their share before authentication, body reading or logging.
//!
//! A tenant may hold as many permits for its reads as are free, and as many for its writes. So a
//! tenant that floods with either gets half of the permits, two get a third each, and there is
//! always a permit for one more. A request over its share waits up to one second; most bursts are
//! shorter.
//!
//! A request whose credential is recognized counts towards its tenant and its token, however the
//! credential is spelled. All others count towards the client's address.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpMessage as _, HttpRequest};

use crate::auth::Principal;
use crate::http::client_address::ClientNetwork;
use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;
use crate::service::access::known_caller::KnownCaller;
use crate::settings::{number, settings};
use crate::telemetry::Metrics;

pub use super::permits::Permit;
use super::permits::{Permits, Share};
use super::rate_limit::{Buckets, Rate, whole_seconds};
use super::shed_log::ShedLog;

/// The time that a request waits for a permit: as long as `Retry-After` would ask the client to
/// wait. A burst may therefore be as large as what the machine serves in this time.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The number of seconds whose requests without a valid token may arrive at once.
const UNKNOWN_BURST_S: u32 = 10;

settings! {
    /// How many requests are admitted.
    #[derive(Debug, Clone, Copy)]
    pub struct AdmissionLimits {
        /// Requests in flight. More are answered 429 or 503.
        pub max_requests: usize = setting("max_requests", number(1..=1_000_000), 1024),
        /// Requests per second of one token, or of one JWT subject. 0 is no limit.
        pub token_rate_per_s: u32 = setting("token_rate_per_s", number(0..=1_000_000), 0),
        /// Requests of one token that may arrive at once.
        pub token_burst: u32 = setting("token_burst", number(1..=1_000_000), 200),
        /// Requests per second of one tenant. 0 is no limit.
        pub tenant_rate_per_s: u32 = setting("tenant_rate_per_s", number(0..=1_000_000), 0),
        /// Requests of one tenant that may arrive at once.
        pub tenant_burst: u32 = setting("tenant_burst", number(1..=1_000_000), 200),
        /// Requests per second without a valid token, from one client address; ten times as many
        /// may arrive at once. An IPv6 address is its /64. 0 is no limit.
        pub address_requests_per_s: u32 =
            setting("address_requests_per_s", number(0..=1_000_000), 200),
        /// Invalid tokens per second, from one client address; ten times as many may arrive at
        /// once. 0 is no limit.
        pub address_unknown_tokens_per_s: u32 =
            setting("address_unknown_tokens_per_s", number(0..=1_000_000), 20),
        /// Invalid tokens per second, from all clients together; ten times as many may arrive at
        /// once. 0 is no limit.
        pub unknown_tokens_per_s: u32 =
            setting("unknown_tokens_per_s", number(0..=1_000_000), 100),
    }
}

impl AdmissionLimits {
    fn token(&self) -> Rate {
        Rate {
            per_s: self.token_rate_per_s,
            burst: self.token_burst,
        }
    }

    fn tenant(&self) -> Rate {
        Rate {
            per_s: self.tenant_rate_per_s,
            burst: self.tenant_burst,
        }
    }
}

/// The rate of requests without a valid token. People mistype and restart; only a client that goes
/// on for seconds is limited.
fn unknown(per_s: u32) -> Rate {
    Rate {
        per_s,
        burst: per_s.saturating_mul(UNKNOWN_BURST_S),
    }
}

/// The requests in flight, and the recent rate of each caller and of each client address.
pub struct AdmissionControl {
    permits: Arc<Permits>,
    started: Instant,
    tokens: Buckets<u64>,
    tenants: Buckets<TenantId>,
    /// Requests without a valid token.
    addresses: Buckets<ClientNetwork>,
    /// Invalid tokens.
    guesses: Buckets<ClientNetwork>,
    all_guesses: Buckets<()>,
    shed_log: ShedLog,
}

/// The sender of a request, as far as it is known before authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Its credential is recognized.
    Caller(KnownCaller),
    /// It asks for a page that needs no credential.
    Visitor(ClientNetwork),
    /// It has no credential.
    Unauthenticated(ClientNetwork),
    /// Its credential is not recognized.
    Guess(ClientNetwork),
}

/// The kind of access that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A rejected request: the error to answer with, and the tenant where it is known.
pub struct Rejection {
    pub error: ApiError,
    pub tenant: Option<TenantId>,
}

impl Sender {
    fn share(self, access: Access) -> Share {
        match (self, access) {
            (Self::Caller(caller), Access::Read) => Share::Reads(caller.tenant),
            (Self::Caller(caller), Access::Write) => Share::Writes(caller.tenant),
            (Self::Visitor(network), _) => Share::Public(network),
            (Self::Unauthenticated(network) | Self::Guess(network), _) => {
                Share::Unauthenticated(network)
            }
        }
    }
}

impl AdmissionControl {
    /// Creates admission control with these limits.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            permits: Arc::new(Permits::new(limits.max_requests, MAX_WAIT)),
            started: Instant::now(),
            tokens: Buckets::new(limits.token()),
            tenants: Buckets::new(limits.tenant()),
            addresses: Buckets::new(unknown(limits.address_requests_per_s)),
            guesses: Buckets::new(unknown(limits.address_unknown_tokens_per_s)),
            all_guesses: Buckets::new(unknown(limits.unknown_tokens_per_s)),
            shed_log: ShedLog::default(),
        }
    }

    /// Counts a rejected request in the metrics and the log.
    pub fn record_rejection(&self, rejection: &Rejection, metrics: &Metrics) {
        self.shed_log
            .record(metrics, &rejection.error, rejection.tenant);
    }

    /// Charges the caller for what a request contains besides itself: the further operations of a
    /// bulk request.
    pub fn charge(&self, principal: &Principal, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.charge_caller(KnownCaller::of(principal), count);
    }

    /// Checks and charges the caller of a request that was admitted before its caller was known.
    ///
    /// # Errors
    /// 429 if the caller is over its rate.
    pub fn charge_late(&self, principal: &Principal) -> Result<(), ApiError> {
        let caller = KnownCaller::of(principal);
        self.check_caller(caller)?;
        self.charge_caller(caller, 1);
        Ok(())
    }

    fn charge_caller(&self, caller: KnownCaller, count: u32) {
        let now = || self.started.elapsed();
        self.tokens.charge(caller.principal, count, now);
        self.tenants.charge(caller.tenant, count, now);
    }

    fn check_caller(&self, caller: KnownCaller) -> Result<(), ApiError> {
        let now = || self.started.elapsed();
        let (token, tenant) = (self.tokens.rate().per_s, self.tenants.rate().per_s);
        self.tokens
            .check(&caller.principal, now)
            .map_err(too_many(Limited::Token(token)))?;
        self.tenants
            .check(&caller.tenant, now)
            .map_err(too_many(Limited::Tenant(tenant)))
    }

    /// Checks the sender's recent rate of requests.
    fn check_rates(&self, sender: Sender) -> Result<(), ApiError> {
        let now = || self.started.elapsed();
        let network = match sender {
            Sender::Caller(caller) => return self.check_caller(caller),
            Sender::Guess(network) => {
                self.guesses
                    .check(&network, now)
                    .map_err(too_many(Limited::AddressTokens))?;
                self.all_guesses
                    .check(&(), now)
                    .map_err(too_many(Limited::UnknownTokens))?;
                network
            }
            Sender::Visitor(network) | Sender::Unauthenticated(network) => network,
        };
        self.addresses
            .check(&network, now)
            .map_err(too_many(Limited::AddressRequests))
    }

    /// Charges the sender for one request.
    fn charge_sender(&self, sender: Sender) {
        let now = || self.started.elapsed();
        match sender {
            Sender::Caller(caller) => self.charge_caller(caller, 1),
            Sender::Visitor(network) | Sender::Unauthenticated(network) => {
                self.addresses.charge(network, 1, now);
            }
            Sender::Guess(network) => {
                self.addresses.charge(network, 1, now);
                self.guesses.charge(network, 1, now);
                self.all_guesses.charge((), 1, now);
            }
        }
    }

    /// Admits a request, or rejects it after waiting for a permit.
    ///
    /// # Errors
    /// 429 if the sender is over its rate or its share, 503 if no permit is free.
    pub async fn admit(&self, sender: Sender, access: Access) -> Result<Permit, Rejection> {
        let permit = match self.check_rates(sender) {
            Ok(()) => self.permits.acquire(sender.share(access)).await,
            Err(error) => Err(error),
        };
        let permit = permit.map_err(|error| Rejection {
            error,
            tenant: match sender {
                Sender::Caller(caller) => Some(caller.tenant),
                Sender::Visitor(_) | Sender::Unauthenticated(_) | Sender::Guess(_) => None,
            },
        })?;
        self.charge_sender(sender);
        Ok(permit)
    }
}

fn too_many(limited: Limited) -> impl Fn(Duration) -> ApiError {
    move |wait| ApiError::TooMany {
        limited,
        after_s: whole_seconds(wait),
    }
}

/// Releases the permit of a request before its response is sent: for a request that waits for
/// changes. Their number has its own limit.
pub fn release_permit(request: &HttpRequest) {
    if let Some(permit) = request.extensions().get::<Arc<Permit>>() {
        permit.release();
    }
}

/// Returns whether a request was admitted before its caller was known.
pub fn is_caller_unknown(request: &HttpRequest) -> bool {
    let extensions = request.extensions();
    let permit = extensions.get::<Arc<Permit>>();
    permit.is_some_and(|permit| permit.is_unauthenticated())
}
