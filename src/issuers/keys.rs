//! The keys of one issuer: which are known, how old they are, and when the issuer is asked again.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};

use crate::auth::jwt::KeySet;
use crate::issuers::Origin;
use crate::issuers::fetch::{self, Bounds};

/// How often an issuer is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// No two fetches are nearer to each other than this, whatever tokens come.
    pub floor: SignedDuration,
    /// Keys older than this are asked for again before they are used, so that one which was taken back ends.
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
    known: RwLock<CachedKeys>,
    /// Held during a fetch: whoever needs one at the same time waits for it and starts no other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct CachedKeys {
    keys: Arc<KeySet>,
    /// When they came. They stay through an outage, however long.
    fetched: Option<Timestamp>,
    /// When they were last asked for, with or without an answer.
    tried: Option<Timestamp>,
}

/// What a token's key asks for.
enum Need {
    Nothing,
    /// The keys at hand will do, and others should be asked for.
    Later,
    /// The keys at hand will not do, or are too old to be trusted unasked.
    Now,
}

impl Keys {
    pub fn new(issuer: &str, origin: Origin, pace: Pace, bounds: Bounds) -> Arc<Self> {
        let known = match &origin {
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
            known: RwLock::new(known),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Whether these are the keys of that issuer from that place.
    pub fn are_of(&self, issuer: &str, origin: &Origin) -> bool {
        self.issuer == issuer
            && match (&self.origin, origin) {
                (Origin::Discovery, Origin::Discovery) => true,
                (Origin::Address(one), Origin::Address(other)) => one == other,
                _ => false,
            }
    }

    /// The keys to check a token with. It waits for the issuer where it must, but never longer than one fetch takes.
    pub async fn for_kid(self: &Arc<Self>, kid: &str, now: Timestamp) -> Arc<KeySet> {
        match self.need(kid, now) {
            Need::Nothing => {}
            Need::Later => {
                // Nobody waits for it; an issuer that is down slows no request.
                drop(self.spawn(now));
            }
            Need::Now => {
                // A task of its own: a caller who hangs up must not keep the keys from everybody else.
                if self.spawn(now).await.is_err() {
                    tracing::error!(issuer = self.issuer, "fetching keys ended with a panic");
                }
            }
        }
        self.known().keys
    }

    /// Whether these are the keys at hand, and young enough to be used unasked.
    pub fn are_still(&self, set: &Arc<KeySet>, now: Timestamp) -> bool {
        let known = self.known();
        let is_young = matches!(self.origin, Origin::Fixed(_)) || !self.are_old(&known, now);
        is_young && Arc::ptr_eq(&known.keys, set)
    }

    fn are_old(&self, known: &CachedKeys, now: Timestamp) -> bool {
        known
            .fetched
            .is_none_or(|at| now.duration_since(at) >= self.pace.refresh)
    }

    fn need(&self, kid: &str, now: Timestamp) -> Need {
        if matches!(self.origin, Origin::Fixed(_)) {
            return Need::Nothing;
        }
        let known = self.known();
        // After `known` was read: a fetch that ends in between has left its keys already.
        let is_under_way = self.turn.try_lock().is_err();
        let is_old = self.are_old(&known, now);
        match (known.keys.has(kid), is_old) {
            (true, false) => Need::Nothing,
            (false, _) if is_under_way => Need::Now,
            _ if self.is_too_soon(&known, now) => Need::Nothing,
            // The last attempt failed: an outage.
            (true, true) if known.tried > known.fetched => Need::Later,
            (true, true) | (false, _) => Need::Now,
        }
    }

    fn is_too_soon(&self, known: &CachedKeys, now: Timestamp) -> bool {
        known
            .tried
            .is_some_and(|at| now.duration_since(at) < self.pace.floor)
    }

    fn spawn(self: &Arc<Self>, now: Timestamp) -> tokio::task::JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move { keys.refresh(now).await })
    }

    async fn refresh(&self, now: Timestamp) {
        let _turn = self.turn.lock().await;
        if self.is_too_soon(&self.known(), now) {
            return;
        }
        self.update(|known| known.tried = Some(now));
        match fetch::keys(&self.issuer, &self.origin, self.bounds).await {
            Ok(keys) => self.update(|known| {
                known.keys = Arc::new(keys);
                known.fetched = Some(now);
            }),
            Err(error) => tracing::warn!(
                issuer = self.issuer,
                error = %crate::telemetry::chain(&error),
                "the issuer's keys could not be fetched; those at hand stay"
            ),
        }
    }

    fn known(&self) -> CachedKeys {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn update(&self, change: impl FnOnce(&mut CachedKeys)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}
