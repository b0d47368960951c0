//! The digests of live tokens, loaded at the start and kept current, so that a node recognizes a
//! valid token that it has not seen before without asking the database for each guess.
//!
//! Tokens are numbered in the order in which they become visible. A credential that is not here
//! waits for a statement that reads the tokens after the last number. All credentials that arrived
//! before the statement began share it, so a flood of invalid tokens costs a fixed number of cheap
//! statements per second, and a token that was created on another node a moment ago is found.
//!
//! This authenticates no caller: a revoked token stays until it is used.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use crate::auth::token;
use crate::auth::token::Digest;
use crate::ids::{Actor, TenantId};
use crate::service::access::known_caller::KnownCaller;
use crate::service::shared_statement::SharedStatement;
use crate::store::tables::live_tokens;
use crate::store::tables::live_tokens::NumberedToken;
use crate::store::{Store, StoreError};

/// The most tokens that are kept; others are recognized once they were used. They take some 100
/// bytes each.
const CAPACITY: usize = 500_000;
/// The least time between the beginnings of two statements.
const INTERVAL: Duration = Duration::from_millis(20);
/// The number of tokens that one statement reads.
const BATCH: i64 = 2_000;

/// The tokens that are neither revoked nor expired, as far as this node knows.
pub struct LiveTokens {
    tokens: RwLock<Tokens>,
    reading: SharedStatement,
}

impl Default for LiveTokens {
    fn default() -> Self {
        Self {
            tokens: RwLock::default(),
            reading: SharedStatement::new(INTERVAL),
        }
    }
}

#[derive(Default)]
struct Tokens {
    by_key: HashMap<u128, LiveToken>,
    /// The highest number of a token that was read.
    last: i64,
}

#[derive(Debug, Clone, Copy)]
struct LiveToken {
    caller: KnownCaller,
    /// Microseconds since the epoch.
    expires: Option<i64>,
}

impl LiveTokens {
    /// Returns the caller of a live token.
    pub(super) fn get(&self, digest: &Digest, now_us: impl FnOnce() -> i64) -> Option<KnownCaller> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let token = *tokens.by_key.get(&token::key(digest))?;
        drop(tokens);
        let is_live = token.expires.is_none_or(|expires| expires > now_us());
        is_live.then_some(token.caller)
    }

    /// Removes a token that was revoked.
    pub(super) fn remove(&self, digest: &Digest) {
        let key = token::key(digest);
        let read = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let is_there = read.by_key.contains_key(&key);
        drop(read);
        if is_there {
            let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
            tokens.by_key.remove(&key);
        }
    }

    /// Reads the tokens that were created since the last read. After it, every token is here that
    /// was created before this call.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn refresh(&self, store: &Store, now_us: i64) -> Result<(), StoreError> {
        let read_new = async || self.read_new(store, now_us).await;
        self.reading.run(read_new).await
    }

    async fn read_new(&self, store: &Store, now_us: i64) -> Result<(), StoreError> {
        loop {
            let last = self.with(|tokens| tokens.last);
            let batch = store
                .look_up(TenantId::SERVICE, move |conn| {
                    live_tokens::after(conn, last, BATCH)
                })
                .await?;
            if batch.is_empty() {
                return Ok(());
            }
            self.with(|tokens| tokens.add(batch, now_us));
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Tokens) -> T) -> T {
        work(&mut self.tokens.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tokens {
    fn add(&mut self, batch: Vec<NumberedToken>, now_us: i64) {
        if self.by_key.len().saturating_add(batch.len()) > CAPACITY {
            self.by_key
                .retain(|_, token| token.expires.is_none_or(|expires| expires > now_us));
        }
        for row in batch {
            self.last = self.last.max(row.number);
            let is_live =
                row.revoked.is_none() && row.expires.is_none_or(|expires| expires > now_us);
            if !is_live || self.by_key.len() >= CAPACITY {
                continue;
            }
            let Some(key) = token::key_of_hash(&row.hash) else {
                continue;
            };
            let token = LiveToken {
                caller: KnownCaller::new(row.tenant, &Actor::Token(row.name.as_str().into())),
                expires: row.expires,
            };
            self.by_key.insert(key, token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TenantId;

    fn row(number: i64, secret: &str) -> NumberedToken {
        NumberedToken {
            number,
            tenant: TenantId(7),
            name: "okta".to_owned(),
            hash: token::hash(&token::digest(secret)),
            expires: None,
            revoked: None,
        }
    }

    #[test]
    fn live_tokens_are_kept() {
        let live = LiveTokens::default();
        let mut expiring = row(2, "expiring");
        expiring.expires = Some(100);
        let mut expired = row(3, "expired");
        expired.expires = Some(50);
        let mut revoked = row(4, "revoked");
        revoked.revoked = Some(1);
        let rows = vec![row(1, "a"), expiring, expired, revoked];
        live.with(|tokens| tokens.add(rows, 50));
        assert_eq!(live.with(|tokens| tokens.last), 4);
        let get = |secret: &str, now_us| live.get(&token::digest(secret), || now_us);
        let okta = KnownCaller::new(TenantId(7), &Actor::Token("okta".into()));
        assert_eq!(get("a", 1_000), Some(okta));
        assert_eq!(get("expiring", 99), Some(okta));
        assert_eq!(get("expiring", 100), None);
        assert_eq!(get("expired", 0), None);
        assert_eq!(get("revoked", 0), None);
        live.remove(&token::digest("a"));
        assert_eq!(get("a", 0), None);
    }
}
