//! A cache of callers whose credential was checked before. The statement that looks up one resource
//! also returns the tenant's access epoch, so most requests need no statement of their own for
//! authentication.
//!
//! A cache hit is only used if the query returns the same access epoch; otherwise the caller is
//! authenticated normally.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::auth::Principal;
use crate::auth::token::Digest;
use crate::issuers::Validity;
use crate::service::access::auth_attempts::AuthOutcome;
use crate::service::access::last_used;
use crate::service::context::time;
use crate::service::{Context, Policy};
use crate::store::tables::auth_attempts::TokenKey;
use crate::store::tables::tokens::Token;

/// The most credentials in the cache; others are looked up each time.
const CAPACITY: usize = 10_000;

/// The callers that were looked up, by their credentials.
pub struct CallerCache(Cache<Digest, Arc<CacheEntry>>);

impl Default for CallerCache {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

/// A caller with the policy and the access epoch that were read at the same time.
pub(in crate::service) struct CacheEntry {
    principal: Principal,
    policy: Policy,
    epoch: i64,
    provenance: Provenance,
}

/// The source of a caller's authentication, and how long it is valid by itself.
pub(in crate::service) enum Provenance {
    /// A row among the tokens.
    Row {
        token: TokenKey,
        /// Microseconds since the epoch.
        expires: Option<i64>,
        /// When its use was last recorded, in microseconds since the epoch.
        last_used: AtomicI64,
    },
    /// The environment of this process.
    Bootstrap,
    /// An outside issuer.
    Issuer(Validity),
}

impl Provenance {
    pub fn of_row(row: &Token, now_us: i64) -> Self {
        Self::Row {
            token: TokenKey {
                tenant: row.tenant,
                id: row.id.clone(),
            },
            expires: row.expires,
            last_used: AtomicI64::new(row.last_used.unwrap_or(now_us)),
        }
    }

    fn is_valid_at(&self, now: Timestamp) -> bool {
        match self {
            Self::Row { expires, .. } => expires.is_none_or(|end| end > now.as_microsecond()),
            Self::Bootstrap => true,
            Self::Issuer(validity) => validity.holds(now),
        }
    }
}

impl CacheEntry {
    pub fn new(principal: &Principal, policy: Policy, epoch: i64, provenance: Provenance) -> Self {
        Self {
            principal: principal.clone(),
            policy,
            epoch,
            provenance,
        }
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.provenance.is_valid_at(now)
    }

    /// When the credential stops being valid by itself.
    pub fn expires(&self) -> Option<Timestamp> {
        match &self.provenance {
            Provenance::Row { expires, .. } => expires.map(time),
            Provenance::Bootstrap => None,
            Provenance::Issuer(validity) => Timestamp::from_second(validity.until_s()).ok(),
        }
    }
}

impl CallerCache {
    pub(in crate::service) fn insert(&self, digest: Digest, caller: CacheEntry) {
        self.0.insert(digest, Arc::new(caller));
    }

    pub(in crate::service) fn get(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<Arc<CacheEntry>> {
        let entry = self.0.get(digest)?;
        entry.provenance.is_valid_at(now).then_some(entry)
    }

    /// Returns the caller of an outside issuer's token that needs no new signature check. The
    /// caller is valid only while the tenant's access epoch equals the returned one.
    pub(in crate::service) fn cached_principal(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<(Principal, i64)> {
        let entry = self.get(digest, now)?;
        let is_issuers = matches!(entry.provenance, Provenance::Issuer(_));
        is_issuers.then(|| (entry.principal.clone(), entry.epoch))
    }
}

/// A caller from the cache, to be confirmed.
pub struct CachedCaller {
    context: Context,
    kind: AuthOutcome,
    entry: Arc<CacheEntry>,
}

impl CachedCaller {
    pub(in crate::service) fn new(
        entry: Arc<CacheEntry>,
        kind: AuthOutcome,
        at: Timestamp,
    ) -> Self {
        Self {
            context: Context {
                principal: entry.principal.clone(),
                policy: entry.policy,
                at,
            },
            kind,
            entry,
        }
    }

    /// Returns the caller, which is valid once it is confirmed.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(in crate::service) fn kind(&self) -> AuthOutcome {
        self.kind
    }

    pub(in crate::service) fn is_at(&self, epoch: i64) -> bool {
        self.entry.epoch == epoch
    }

    /// Marks the token as used. Returns the token and whether its last use is to be written again,
    /// or `None` for a caller that is no row among the tokens.
    pub(in crate::service) fn touch(&self, now_us: i64) -> Option<(&TokenKey, bool)> {
        let Provenance::Row {
            token, last_used, ..
        } = &self.entry.provenance
        else {
            return None;
        };
        let is_due = last_used::is_due(last_used.load(Ordering::Relaxed), now_us);
        if is_due {
            last_used.store(now_us, Ordering::Relaxed);
        }
        Some((token, is_due))
    }
}
