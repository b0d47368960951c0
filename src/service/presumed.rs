//! Callers whose token was looked up before. A lookup of one resource tells by the way whether what is remembered of them
//! still holds, which saves most requests a statement of their own.
//!
//! Nothing is decided by memory alone: who cannot be answered so is looked up like everybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use moka::sync::Cache;

use crate::auth::{Credential, Principal, token};
use crate::service::arrivals::{self, Kind};
use crate::service::tokens::{self, LAST_USED_STEP};
use crate::service::{Context, Policy, Service};
use crate::store::tokens::Known;

/// Tokens that are remembered; others are looked up each time.
const MOST: u64 = 10_000;

/// The callers that were looked up, by the hashes of their tokens.
#[derive(Clone)]
pub struct Callers(Cache<String, Arc<Remembered>>);

impl Default for Callers {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

struct Remembered {
    principal: Principal,
    policy: Policy,
    epoch: i64,
    token_id: String,
    /// Microseconds since the epoch.
    expires: Option<i64>,
    /// When its use was written last, in microseconds since the epoch.
    last_used: AtomicI64,
}

impl Callers {
    pub(super) fn remember(&self, hash: String, known: &Known, principal: &Principal, now_us: i64) {
        let row = &known.token;
        let remembered = Remembered {
            principal: principal.clone(),
            policy: known.policy,
            epoch: known.epoch,
            token_id: row.id.clone(),
            expires: row.expires,
            last_used: AtomicI64::new(now_us),
        };
        self.0.insert(hash, Arc::new(remembered));
    }
}

/// A caller as it is remembered, to be confirmed.
pub struct Presumed {
    context: Context,
    kind: Kind,
    remembered: Arc<Remembered>,
}

impl Presumed {
    /// `None` where nothing is remembered of the credential.
    pub fn of(service: &Service, credential: &Credential) -> Option<Self> {
        let remembered = service.callers.0.get(&token::hash(credential.secret()))?;
        let at = service.clock.now();
        let is_over = |expires: i64| expires <= at.as_microsecond();
        if remembered.expires.is_some_and(is_over) {
            return None;
        }
        Some(Self {
            context: Context {
                principal: remembered.principal.clone(),
                policy: remembered.policy,
                at,
            },
            kind: Kind::of_form(credential.form()),
            remembered,
        })
    }

    /// Who it is, if it is confirmed.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether it is so: the tenant's access epoch, read together with the answer, is still the one that was read with
    /// the token. The use is noted then.
    pub fn confirm(&self, service: &Service, epoch: i64) -> bool {
        let known = &self.remembered;
        if epoch != known.epoch {
            return false;
        }
        let (tenant, now_us) = (self.context.tenant(), self.context.at_us());
        let (arrivals, store) = (&service.arrivals, &service.store);
        arrivals::note(arrivals, store, tenant, &known.token_id, self.kind, now_us);
        let last = known.last_used.load(Ordering::Relaxed);
        let step = i64::try_from(LAST_USED_STEP.as_micros()).unwrap_or(i64::MAX);
        if now_us.saturating_sub(last) >= step {
            known.last_used.store(now_us, Ordering::Relaxed);
            tokens::note_use(store, tenant, &known.token_id, now_us);
        }
        true
    }
}
