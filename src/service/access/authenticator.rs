//! Authentication: a credential to the principal that it stands for.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use crate::auth::token::Digest;
use crate::auth::{Credential, Fields, Principal, Scopes, jwt, token};
use crate::clock::Clock;
use crate::issuers::Issuers;
use crate::service::access::auth_attempts::{self, AuthAttempts, AuthOutcome};
use crate::service::access::caller_cache::{CacheEntry, CachedCaller, CallerCache, Provenance};
use crate::service::access::last_used;
use crate::service::error::Unauthenticated;
use crate::service::{Error, Policy, TenantId};
use crate::store::query::coalesce::CoalescedReads;
use crate::store::tables::tokens::Token;

/// The token that the environment gave. Only its hash is kept, and never in the database.
pub struct Bootstrap {
    digest: Digest,
    tenant: TenantId,
}

impl Bootstrap {
    pub fn new(secret: &str, tenant: TenantId) -> Self {
        Self {
            digest: token::digest(secret),
            tenant,
        }
    }

    fn principal_of(&self, digest: &Digest) -> Option<Principal> {
        bool::from(self.digest.ct_eq(digest)).then(|| Principal {
            tenant: self.tenant.0,
            name: "token:bootstrap".to_owned(),
            scopes: Scopes::every(),
            fields: None,
        })
    }
}

/// Finds the principal that a credential stands for.
pub struct Authenticator {
    pub reads: Arc<CoalescedReads>,
    pub clock: Arc<dyn Clock>,
    pub issuers: Issuers,
    pub callers: CallerCache,
    pub attempts: AuthAttempts,
    pub bootstrap: Option<Bootstrap>,
}

impl Authenticator {
    /// Finds the caller of a credential, and the policy of its tenant.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for whatever is not a live token; a database that does not answer stays what it is.
    pub async fn authenticate(
        &self,
        credential: &Credential<'_>,
    ) -> Result<(Principal, Policy), Error> {
        let secret = credential.secret();
        let now = self.clock.now();
        let digest = token::digest(secret);
        if let Some(principal) = self
            .bootstrap
            .as_ref()
            .and_then(|bootstrap| bootstrap.principal_of(&digest))
        {
            return self
                .with_policy(digest, principal, Provenance::Bootstrap)
                .await;
        }
        if jwt::looks_like_jwt(secret) {
            if let Some((principal, epoch)) = self.callers.vouched(&digest, now)
                && let Some((policy, now_at)) =
                    self.reads.policy(TenantId(principal.tenant)).await?
                && now_at == epoch
            {
                return Ok((principal, policy));
            }
            let verified = self.issuers.verify(secret, now).await;
            let verified = verified.map_err(|rejected| {
                tracing::info!(reason = %rejected, "a JWT was refused");
                Error::Unauthenticated(Unauthenticated::Invalid)
            })?;
            let ground = Provenance::Issuer(verified.validity);
            return self.with_policy(digest, verified.principal, ground).await;
        }
        let found = if token::has_token_form(secret) {
            self.reads.token(&token::hash(&digest)).await?
        } else {
            // Not worth the database's time.
            None
        };
        let now_us = now.as_microsecond();
        let (arrivals, store) = (&self.attempts, self.reads.store());
        let Some(known) = found else {
            auth_attempts::note_stranger(arrivals, store, AuthOutcome::of_stranger(secret), now_us);
            return Err(Error::Unauthenticated(Unauthenticated::Invalid));
        };
        let row = &known.token;
        let kind = if row.revoked.is_some() {
            AuthOutcome::Revoked
        } else if is_live(row, now_us) {
            AuthOutcome::of_form(credential.form())
        } else {
            AuthOutcome::Expired
        };
        auth_attempts::note(arrivals, store, row.tenant, &row.id, kind, now_us);
        if !kind.is_accepted() {
            return Err(Error::Unauthenticated(Unauthenticated::Invalid));
        }
        if row
            .last_used
            .is_none_or(|last| last_used::is_due(last, now_us))
        {
            last_used::note(store, row.tenant, &row.id, now_us);
        }
        let principal = Principal {
            tenant: row.tenant.0,
            name: format!("token:{}", row.name),
            scopes: Scopes::parse_known(&row.scopes),
            fields: row.fields.as_deref().map(Fields::from_stored),
        };
        let ground = Provenance::of_row(row, now_us);
        let caller = CacheEntry::new(&principal, known.policy, known.epoch, ground);
        self.callers.remember(digest, caller);
        Ok((principal, known.policy))
    }

    /// Reads the policy for a caller that is no row among the tokens.
    async fn with_policy(
        &self,
        digest: Digest,
        principal: Principal,
        ground: Provenance,
    ) -> Result<(Principal, Policy), Error> {
        let found = self.reads.policy(TenantId(principal.tenant)).await?;
        let (policy, epoch) = found.ok_or(Error::Unauthenticated(Unauthenticated::Invalid))?;
        let caller = CacheEntry::new(&principal, policy, epoch, ground);
        self.callers.remember(digest, caller);
        Ok((principal, policy))
    }

    /// Returns the caller as it was when its credential was checked last, for [`Authenticator::confirm`]. `None` where the
    /// credential is not in the cache.
    pub fn presumed(&self, credential: &Credential<'_>) -> Option<CachedCaller> {
        let at = self.clock.now();
        let digest = token::digest(credential.secret());
        let remembered = self.callers.get(&digest, at)?;
        Some(CachedCaller::new(
            remembered,
            AuthOutcome::of_form(credential.form()),
            at,
        ))
    }

    /// Returns whether a cached caller still holds: the tenant's access epoch, read together with the answer, is the one that
    /// was read with the caller. Records the use if it does.
    pub fn confirm(&self, presumed: &CachedCaller, epoch: i64) -> bool {
        if !presumed.is_at(epoch) {
            return false;
        }
        let (tenant, now_us) = (presumed.context().tenant(), presumed.context().at_us());
        if let Some((token_id, is_due)) = presumed.note_use(now_us) {
            let store = self.reads.store();
            auth_attempts::note(
                &self.attempts,
                store,
                tenant,
                token_id,
                presumed.kind(),
                now_us,
            );
            if is_due {
                last_used::note(store, tenant, token_id, now_us);
            }
        }
        true
    }

    /// Records a request without a valid credential.
    pub fn note_stranger(&self, kind: AuthOutcome) {
        let now_us = self.clock.now().as_microsecond();
        auth_attempts::note_stranger(&self.attempts, self.reads.store(), kind, now_us);
    }
}

fn is_live(row: &Token, now_us: i64) -> bool {
    row.revoked.is_none() && row.expires.is_none_or(|expires| expires > now_us)
}
