//! Admission control: limits the number of requests in flight, per tenant and in total. It rejects
//! requests over their share before authentication, body reading or logging.
//!
//! A tenant may hold as many permits for its reads as are free, and as many for its writes. So a
//! tenant that floods with either gets half of the permits, two get a third each, and there is
//! always a permit for one more. A request over its share waits up to one second; most bursts are
//! shorter.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpMessage as _, HttpRequest};
use quick_cache::sync::Cache;

use crate::auth::Principal;
use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;
use crate::settings::{number, settings};
use crate::telemetry::Metrics;

pub use super::permits::Permit;
use super::permits::{Permits, Share};
use super::rate_limit::{Buckets, Rate, whole_seconds};
use super::shed_log::ShedLog;

/// The number of valid credentials that are remembered.
const MAX_KNOWN_CALLERS: usize = 100_000;
/// The time that a request waits for a permit: as long as `Retry-After` would ask the client to
/// wait. A burst may therefore be as large as what the machine serves in this time.
const MAX_WAIT: Duration = Duration::from_secs(1);

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

    /// Each costs the database a lookup. People mistype and restart; only a client that goes on for
    /// seconds is limited.
    fn unknown(&self) -> Rate {
        Rate {
            per_s: self.unknown_tokens_per_s,
            burst: self.unknown_tokens_per_s.saturating_mul(10),
        }
    }
}

/// The requests in flight, and the recent rate of each caller.
pub struct AdmissionControl {
    permits: Arc<Permits>,
    /// The caller of each `Authorization` header that was valid, by a hash of the header. It does
    /// not authenticate: it only decides which share a request counts towards, before the
    /// credential is looked up.
    known: Cache<u64, KnownCaller>,
    hasher: RandomState,
    started: Instant,
    tokens: Buckets<u64>,
    tenants: Buckets<TenantId>,
    unknown: Buckets<()>,
    shed_log: ShedLog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownCaller {
    tenant: TenantId,
    /// A hash of the tenant and the principal's name, so that all access tokens of one subject
    /// share a bucket.
    token: u64,
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

impl AdmissionControl {
    /// Creates admission control with these limits.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            permits: Arc::new(Permits::new(limits.max_requests, MAX_WAIT)),
            known: Cache::new(MAX_KNOWN_CALLERS),
            hasher: RandomState::new(),
            started: Instant::now(),
            tokens: Buckets::new(limits.token()),
            tenants: Buckets::new(limits.tenant()),
            unknown: Buckets::new(limits.unknown()),
            shed_log: ShedLog::default(),
        }
    }

    /// Records that this `Authorization` header authenticated this principal.
    pub fn record_valid(&self, header: &[u8], principal: &Principal) {
        let known = self.known_caller(principal);
        let key = self.hasher.hash_one(header);
        if self.known.get(&key) != Some(known) {
            self.known.insert(key, known);
        }
    }

    /// Records that this `Authorization` header is not valid, or no longer.
    pub fn record_invalid(&self, header: &[u8]) {
        self.known.remove(&self.hasher.hash_one(header));
        self.unknown.charge((), 1, || self.started.elapsed());
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
        self.charge_known(self.known_caller(principal), count);
    }

    fn charge_known(&self, known: KnownCaller, count: u32) {
        let now = || self.started.elapsed();
        self.tokens.charge(known.token, count, now);
        self.tenants.charge(known.tenant, count, now);
    }

    fn known_caller(&self, principal: &Principal) -> KnownCaller {
        KnownCaller {
            tenant: principal.tenant,
            token: self.hasher.hash_one((principal.tenant, &principal.actor)),
        }
    }

    /// Checks the caller's recent rate of requests.
    fn check_rates(
        &self,
        header: Option<&[u8]>,
        known: Option<KnownCaller>,
    ) -> Result<(), ApiError> {
        let now = || self.started.elapsed();
        let too_many = |limited| {
            move |wait| ApiError::TooMany {
                limited,
                after_s: whole_seconds(wait),
            }
        };
        let Some(known) = known else {
            if header.is_none() {
                return Ok(());
            }
            let checked = self.unknown.check(&(), now);
            return checked.map_err(too_many(Limited::UnknownTokens));
        };
        self.tokens
            .check(&known.token, now)
            .map_err(too_many(Limited::Token(self.tokens.rate().per_s)))?;
        self.tenants
            .check(&known.tenant, now)
            .map_err(too_many(Limited::Tenant(self.tenants.rate().per_s)))
    }

    /// Admits a request, or rejects it after waiting for a permit.
    ///
    /// # Errors
    /// 429 if the caller is over its rate or its share, 503 if no permit is free.
    pub async fn admit(&self, header: Option<&[u8]>, access: Access) -> Result<Permit, Rejection> {
        let known = header.and_then(|header| self.known.get(&self.hasher.hash_one(header)));
        let share = known.map_or(Share::Unauthenticated, |known| match access {
            Access::Read => Share::Reads(known.tenant),
            Access::Write => Share::Writes(known.tenant),
        });
        let permit = match self.check_rates(header, known) {
            Ok(()) => self.permits.acquire(share).await,
            Err(error) => Err(error),
        };
        let permit = permit.map_err(|error| Rejection {
            error,
            tenant: known.map(|known| known.tenant),
        })?;
        if let Some(known) = known {
            self.charge_known(known, 1);
        }
        Ok(permit)
    }
}

/// Releases the permit of a request before its response is sent: for a request that waits for
/// changes. Their number has its own limit.
pub fn release_permit(request: &HttpRequest) {
    if let Some(permit) = request.extensions().get::<Arc<Permit>>() {
        permit.release();
    }
}
