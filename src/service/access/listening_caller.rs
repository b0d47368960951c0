//! The caller of a request that stays open to wait for changes.
//!
//! Its credential is checked again as soon as that may have another result: when the tenant's
//! access epoch has moved, or the credential has expired. The epoch is read together with the
//! changes, so a caller receives nothing that was read after its access ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::{Credential, token};
use crate::service::access::caller_cache::CacheEntry;
use crate::service::error::Unauthenticated;
use crate::service::{Context, Error, Service};

/// The caller of a request that waits for changes.
pub struct ListeningCaller {
    /// The `Authorization` header.
    header: Vec<u8>,
    context: Context,
    /// What the last check found; `None` if the cache has forgotten it.
    entry: Option<Arc<CacheEntry>>,
}

/// The access of a caller after something was read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Unchanged,
    /// It may read other attributes than before, so its data must be read again.
    Changed,
}

impl ListeningCaller {
    /// The caller that was authenticated by this header.
    pub fn new(service: &Service, header: &[u8], context: Context) -> Self {
        let mut caller = Self {
            header: header.to_vec(),
            context,
            entry: None,
        };
        // The entry may be newer than the context. Its epoch vouches for its own principal only.
        let entry = Credential::parse(header).ok().and_then(|credential| {
            let digest = token::digest(credential.secret());
            service
                .authenticator
                .callers
                .get(&digest, caller.context.at)
        });
        caller.entry = entry.filter(|entry| *entry.principal() == caller.context.principal);
        caller
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Checks that the caller may receive what was read for it at this access epoch.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if the credential was revoked or has expired.
    pub async fn confirm(&mut self, service: &Service, epoch: i64) -> Result<Access, Error> {
        let now = service.clock.now();
        let is_same = |entry: &Arc<CacheEntry>| entry.epoch() == epoch && entry.is_valid_at(now);
        if self.entry.as_ref().is_some_and(is_same) {
            return Ok(Access::Unchanged);
        }
        self.authenticate(service).await
    }

    /// Checks the credential, whatever was known of it.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub async fn authenticate(&mut self, service: &Service) -> Result<Access, Error> {
        let credential = Credential::parse(&self.header)
            .map_err(|_| Error::Unauthenticated(Unauthenticated::Invalid))?;
        let (principal, policy) = service.authenticator.authenticate(&credential).await?;
        let context = Context {
            principal,
            policy,
            at: service.clock.now(),
        };
        let digest = token::digest(credential.secret());
        let before = std::mem::replace(&mut self.context, context);
        let entry = service.authenticator.callers.get(&digest, self.context.at);
        self.entry = entry.filter(|entry| *entry.principal() == self.context.principal);
        Ok(if before.principal == self.context.principal {
            Access::Unchanged
        } else {
            Access::Changed
        })
    }

    /// When the caller has to be checked again, if not before: at the deadline, or at the end of
    /// the credential's life.
    pub fn recheck_at(&self, service: &Service, deadline: Instant) -> Instant {
        let Some(expires) = self.entry.as_ref().and_then(|entry| entry.expires()) else {
            return deadline;
        };
        let left = expires.duration_since(service.clock.now());
        // A negative duration is no `Duration`: it has expired.
        let left = Duration::try_from(left).unwrap_or_default();
        let end = Instant::now().checked_add(left);
        end.map_or(deadline, |end| end.min(deadline))
    }
}
