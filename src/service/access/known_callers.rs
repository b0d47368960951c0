//! The callers that credentials belong to, before they are authenticated: whose share and whose
//! rates a request counts towards.
//!
//! A credential is known by the digest of its secret, so that every spelling of a header is one
//! caller.

use quick_cache::sync::Cache;

use crate::auth::token;
use crate::auth::token::Digest;
use crate::service::access::known_caller::KnownCaller;
use crate::service::access::live_tokens::LiveTokens;
use crate::store::{Store, StoreError};

/// The number of used credentials that are remembered.
const MAX_USED: usize = 100_000;

/// The known credentials and their callers.
pub struct KnownCallers {
    /// Of credentials that were used: also the access tokens of issuers, whose signature need not
    /// be checked again to know the caller.
    used: Cache<u128, KnownCaller>,
    live: LiveTokens,
}

impl Default for KnownCallers {
    fn default() -> Self {
        Self {
            used: Cache::new(MAX_USED),
            live: LiveTokens::default(),
        }
    }
}

impl KnownCallers {
    /// Reads the live tokens, or those that were created since the last time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn refresh(&self, store: &Store, now_us: i64) -> Result<(), StoreError> {
        self.live.refresh(store, now_us).await
    }

    /// Returns the caller of a credential.
    pub(super) fn get(&self, digest: &Digest, now_us: impl FnOnce() -> i64) -> Option<KnownCaller> {
        let used = self.used.get(&token::key(digest));
        used.or_else(|| self.live.get(digest, now_us))
    }

    /// Adds a credential that is valid.
    pub(super) fn insert(&self, digest: &Digest, caller: KnownCaller) {
        let key = token::key(digest);
        if self.used.get(&key) != Some(caller) {
            self.used.insert(key, caller);
        }
    }

    /// Removes a credential that is not valid, or no longer.
    pub(super) fn remove(&self, digest: &Digest) {
        self.used.remove(&token::key(digest));
        self.live.remove(digest);
    }
}
