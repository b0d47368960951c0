//! The gate: how many requests are inside at once, and whose. Who finds no place is told so before anything is done
//! for it: no look-up, no body, no line in the log.
//!
//! A tenant's reads may hold as many places as are free beside them, and so may its writes. So one that floods with
//! either gets half of them, two a third each, and there is always room for one more. Who finds none waits for a second,
//! for a burst ends.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpMessage as _, HttpRequest};
use quick_cache::sync::Cache;

use crate::auth::Principal;
use crate::http::error::{ApiError, Limited};
use crate::service::TenantId;
use crate::telemetry::Metrics;

pub use super::permits::Permit;
use super::permits::{Permits, Share};
use super::rate_limit::{Buckets, Rate, whole_seconds};
use super::shed_log::ShedLog;

/// Credentials beyond this many are forgotten.
const MOST_KNOWN: usize = 100_000;
/// How long a request may wait for a place: for as long as it would be told to stay away. As many may come at once as the
/// machine does in this time.
const WAIT: Duration = Duration::from_secs(1);

/// The settings of the gate.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    pub places: usize,
    /// Requests of one token.
    pub token: Rate,
    /// Requests of one tenant.
    pub tenant: Rate,
    /// Tokens that turn out to be nobody's, of all clients together: each costs the database a look-up.
    pub unknown: Rate,
}

/// Those who are inside.
pub struct AdmissionControl {
    places: Arc<Permits>,
    /// Whose a credential was when it was last good, by a hash of the header. It lets nobody in: it only tells who is
    /// asking, before that is looked up.
    known: Cache<u64, KnownCaller>,
    hasher: RandomState,
    started: Instant,
    tokens: Buckets<u64>,
    tenants: Buckets<TenantId>,
    unknown: Buckets<()>,
    refusals: ShedLog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownCaller {
    tenant: TenantId,
    /// A hash of the tenant and the principal's name, which is the same for each access token of one subject.
    token: u64,
}

/// What a request comes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Who finds no place, and why.
pub struct Rejection {
    pub error: ApiError,
    pub tenant: Option<TenantId>,
}

impl AdmissionControl {
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            places: Arc::new(Permits::new(limits.places, WAIT)),
            known: Cache::new(MOST_KNOWN),
            hasher: RandomState::new(),
            started: Instant::now(),
            tokens: Buckets::new(limits.token),
            tenants: Buckets::new(limits.tenant),
            unknown: Buckets::new(limits.unknown),
            refusals: ShedLog::default(),
        }
    }

    /// Remembers that this `Authorization` header is good, and whose it is.
    pub fn welcome(&self, header: &[u8], principal: &Principal) {
        let known = self.known_as(principal);
        let key = self.hasher.hash_one(header);
        if self.known.get(&key) != Some(known) {
            self.known.insert(key, known);
        }
    }

    /// Forgets an `Authorization` header that is good no more, or never was.
    pub fn forget(&self, header: &[u8]) {
        self.known.remove(&self.hasher.hash_one(header));
        self.unknown.charge((), 1, || self.started.elapsed());
    }

    /// Tells the metrics and the log of one who was refused.
    pub fn tell(&self, refused: &Rejection, metrics: &Metrics) {
        self.refusals.count(metrics, &refused.error, refused.tenant);
    }

    /// Counts what a request holds besides itself: the other operations of a bulk.
    pub fn charge(&self, principal: &Principal, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.charge_known(self.known_as(principal), count);
    }

    fn charge_known(&self, known: KnownCaller, count: u32) {
        let now = || self.started.elapsed();
        self.tokens.charge(known.token, count, now);
        self.tenants.charge(known.tenant, count, now);
    }

    fn known_as(&self, principal: &Principal) -> KnownCaller {
        KnownCaller {
            tenant: principal.tenant,
            token: self.hasher.hash_one((principal.tenant, &principal.actor)),
        }
    }

    /// Whether the caller has asked for too much of late.
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

    /// Finds who asks, and a place.
    ///
    /// # Errors
    /// 429 and 503, where there is none.
    pub async fn admit(&self, header: Option<&[u8]>, errand: Access) -> Result<Permit, Rejection> {
        let known = header.and_then(|header| self.known.get(&self.hasher.hash_one(header)));
        let whose = known.map_or(Share::Stranger, |known| match errand {
            Access::Read => Share::Reads(known.tenant),
            Access::Write => Share::Writes(known.tenant),
        });
        let place = match self.check_rates(header, known) {
            Ok(()) => self.places.enter(whose).await,
            Err(refused) => Err(refused),
        };
        let place = place.map_err(|error| Rejection {
            error,
            tenant: known.map(|known| known.tenant),
        })?;
        if let Some(known) = known {
            self.charge_known(known, 1);
        }
        Ok(place)
    }
}

/// Gives the place of a request free before its end: for one that now waits for something to happen, and has a bound of
/// its own.
pub fn step_aside(request: &HttpRequest) {
    if let Some(place) = request.extensions().get::<Arc<Permit>>() {
        place.leave();
    }
}
