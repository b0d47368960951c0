//! Callers whose credential was checked before. A lookup of one resource tells by the way whether what is remembered of them
//! still holds, which saves most requests a statement of their own.
//!
//! Nothing is decided by memory alone: who cannot be answered so is looked up like everybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::auth::Principal;
use crate::auth::token::Digest;
use crate::issuers::Validity;
use crate::service::access::auth_attempts::AuthOutcome;
use crate::service::access::last_used;
use crate::service::{Context, Policy};
use crate::store::tables::tokens::Token;

/// Credentials that are remembered; others are looked up each time.
const MOST: usize = 10_000;

/// The callers that were looked up, by their credentials.
pub struct CallerCache(Cache<Digest, Arc<CacheEntry>>);

impl Default for CallerCache {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

/// A caller, and what was read of it together.
pub(in crate::service) struct CacheEntry {
    principal: Principal,
    policy: Policy,
    epoch: i64,
    ground: Provenance,
}

/// Why a caller was let in, apart from what moves the epoch.
pub(in crate::service) enum Provenance {
    /// A row among the tokens.
    Row {
        token_id: String,
        /// Microseconds since the epoch.
        expires: Option<i64>,
        /// When its use was written last, in microseconds since the epoch.
        last_used: AtomicI64,
    },
    /// The environment of this process.
    Bootstrap,
    /// The word of an issuer.
    Issuer(Validity),
}

impl Provenance {
    pub fn of_row(row: &Token, now_us: i64) -> Self {
        Self::Row {
            token_id: row.id.clone(),
            expires: row.expires,
            last_used: AtomicI64::new(row.last_used.unwrap_or(now_us)),
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        match self {
            Self::Row { expires, .. } => expires.is_none_or(|end| end > now.as_microsecond()),
            Self::Bootstrap => true,
            Self::Issuer(validity) => validity.holds(now),
        }
    }
}

impl CacheEntry {
    pub fn new(principal: &Principal, policy: Policy, epoch: i64, ground: Provenance) -> Self {
        Self {
            principal: principal.clone(),
            policy,
            epoch,
            ground,
        }
    }
}

impl CallerCache {
    pub(in crate::service) fn remember(&self, digest: Digest, caller: CacheEntry) {
        self.0.insert(digest, Arc::new(caller));
    }

    pub(in crate::service) fn get(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<Arc<CacheEntry>> {
        let remembered = self.0.get(digest)?;
        remembered.ground.holds(now).then_some(remembered)
    }

    /// Whom an issuer's token speaks for, where that need not be checked again: it holds if the tenant's access epoch is
    /// still the one that is answered with it.
    pub(in crate::service) fn vouched(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<(Principal, i64)> {
        let remembered = self.get(digest, now)?;
        let is_issuers = matches!(remembered.ground, Provenance::Issuer(_));
        is_issuers.then(|| (remembered.principal.clone(), remembered.epoch))
    }
}

/// A caller as it is remembered, to be confirmed.
pub struct CachedCaller {
    context: Context,
    kind: AuthOutcome,
    remembered: Arc<CacheEntry>,
}

impl CachedCaller {
    pub(in crate::service) fn new(
        remembered: Arc<CacheEntry>,
        kind: AuthOutcome,
        at: Timestamp,
    ) -> Self {
        Self {
            context: Context {
                principal: remembered.principal.clone(),
                policy: remembered.policy,
                at,
            },
            kind,
            remembered,
        }
    }

    /// The caller, if it is confirmed.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(in crate::service) fn kind(&self) -> AuthOutcome {
        self.kind
    }

    pub(in crate::service) fn is_at(&self, epoch: i64) -> bool {
        self.remembered.epoch == epoch
    }

    /// The token that is used, and whether its last use is to be written again. `None` for a caller that is no row among the
    /// tokens.
    pub(in crate::service) fn note_use(&self, now_us: i64) -> Option<(&str, bool)> {
        let Provenance::Row {
            token_id,
            last_used,
            ..
        } = &self.remembered.ground
        else {
            return None;
        };
        let is_due = last_used::is_due(last_used.load(Ordering::Relaxed), now_us);
        if is_due {
            last_used.store(now_us, Ordering::Relaxed);
        }
        Some((token_id, is_due))
    }
}
