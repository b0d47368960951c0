//! The cached keys of one issuer, and when they are fetched again.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};

use crate::auth::jwt::KeySet;
use crate::issuers::fetch::{self, Bounds};
use crate::issuers::origin::Origin;

/// The pace at which the keys of an issuer are fetched.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The least time between two fetches, whatever tokens arrive.
    pub floor: SignedDuration,
    /// The age at which keys are fetched again before they are used, so that a key that the issuer
    /// withdrew stops working.
    pub refresh: SignedDuration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            floor: SignedDuration::from_secs(30),
            refresh: SignedDuration::from_mins(15),
        }
    }
}

/// The keys of one issuer, shared by all requests.
#[derive(Debug)]
pub struct Keys {
    issuer: String,
    origin: Origin,
    pace: Pace,
    bounds: Bounds,
    cached: RwLock<CachedKeys>,
    /// Held during a fetch: requests that need one at the same time wait for it and start no other.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct CachedKeys {
    keys: Arc<KeySet>,
    /// When they were fetched. They are used through an outage of the issuer, however long.
    fetched: Option<Timestamp>,
    /// When a fetch was last tried, successful or not.
    tried: Option<Timestamp>,
}

/// The refresh that a token requires.
enum Refresh {
    No,
    /// The cached keys are used, and new ones are fetched meanwhile.
    InBackground,
    /// The cached keys lack the token's key or are too old.
    First,
}

impl Keys {
    /// Creates an empty cache, or one that holds fixed keys.
    pub fn new(issuer: &str, origin: Origin, pace: Pace, bounds: Bounds) -> Arc<Self> {
        let cached = match &origin {
            Origin::Fixed(keys) => CachedKeys {
                keys: Arc::new(keys.clone()),
                ..CachedKeys::default()
            },
            Origin::Address(_) | Origin::Discovery => CachedKeys::default(),
        };
        Arc::new(Self {
            issuer: issuer.to_owned(),
            origin,
            pace,
            bounds,
            cached: RwLock::new(cached),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Returns whether these are the keys of that issuer from that origin.
    pub fn matches(&self, issuer: &str, origin: &Origin) -> bool {
        self.issuer == issuer
            && match (&self.origin, origin) {
                (Origin::Discovery, Origin::Discovery) => true,
                (Origin::Address(one), Origin::Address(other)) => one == other,
                _ => false,
            }
    }

    /// Returns the keys to verify a token with. Waits for the issuer if necessary, at most for one
    /// fetch.
    pub async fn get(self: &Arc<Self>, kid: &str, now: Timestamp) -> Arc<KeySet> {
        match self.refresh_for(kid, now) {
            Refresh::No => {}
            Refresh::InBackground => {
                // No request waits for it, so an issuer that is down slows none.
                drop(self.spawn(now));
            }
            Refresh::First => {
                // In a task: a client that disconnects must not cancel the fetch for the others.
                if self.spawn(now).await.is_err() {
                    tracing::error!(
                        issuer = self.issuer,
                        "the fetch of the issuer's keys panicked"
                    );
                }
            }
        }
        self.cached().keys
    }

    /// Returns whether this set is the cached one, and not due for a refresh.
    pub fn is_current(&self, set: &Arc<KeySet>, now: Timestamp) -> bool {
        let cached = self.cached();
        let is_young = matches!(self.origin, Origin::Fixed(_)) || !self.is_old(&cached, now);
        is_young && Arc::ptr_eq(&cached.keys, set)
    }

    fn is_old(&self, cached: &CachedKeys, now: Timestamp) -> bool {
        cached
            .fetched
            .is_none_or(|at| now.duration_since(at) >= self.pace.refresh)
    }

    fn refresh_for(&self, kid: &str, now: Timestamp) -> Refresh {
        if matches!(self.origin, Origin::Fixed(_)) {
            return Refresh::No;
        }
        let cached = self.cached();
        // After the cache was read: a fetch that ends in between has stored its keys already.
        let is_fetching = self.fetching.try_lock().is_err();
        let is_old = self.is_old(&cached, now);
        match (cached.keys.has(kid), is_old) {
            (true, false) => Refresh::No,
            (false, _) if is_fetching => Refresh::First,
            _ if self.is_too_soon(&cached, now) => Refresh::No,
            // The last attempt failed: the issuer may be down.
            (true, true) if cached.tried > cached.fetched => Refresh::InBackground,
            (true, true) | (false, _) => Refresh::First,
        }
    }

    fn is_too_soon(&self, cached: &CachedKeys, now: Timestamp) -> bool {
        cached
            .tried
            .is_some_and(|at| now.duration_since(at) < self.pace.floor)
    }

    fn spawn(self: &Arc<Self>, now: Timestamp) -> tokio::task::JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move { keys.refresh(now).await })
    }

    async fn refresh(&self, now: Timestamp) {
        let _fetching = self.fetching.lock().await;
        if self.is_too_soon(&self.cached(), now) {
            return;
        }
        self.update(|cached| cached.tried = Some(now));
        match fetch::fetch_keys(&self.issuer, &self.origin, self.bounds).await {
            Ok(keys) => self.update(|cached| {
                cached.keys = Arc::new(keys);
                cached.fetched = Some(now);
            }),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                error = %crate::telemetry::chain(&error),
                "could not fetch the issuer's keys; the cached ones stay in use"
            ),
        }
    }

    fn cached(&self) -> CachedKeys {
        self.cached
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn update(&self, change: impl FnOnce(&mut CachedKeys)) {
        change(&mut self.cached.write().unwrap_or_else(PoisonError::into_inner));
    }
}
