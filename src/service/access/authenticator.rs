//! Authentication: finds the principal of a credential.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::auth::token::Digest;
use crate::auth::{Credential, Fields, Principal, Scopes, jwt, token};
use crate::clock::Clock;
use crate::ids::Actor;
use crate::issuers::Issuers;
use crate::service::access::auth_attempts::{AuthAttempts, AuthOutcome};
use crate::service::access::caller_cache::{CacheEntry, CachedCaller, CallerCache, Provenance};
use crate::service::access::known_caller::KnownCaller;
use crate::service::access::known_callers::KnownCallers;
use crate::service::access::last_used;
use crate::service::context::time;
use crate::service::error::Unauthenticated;
use crate::service::{Error, Policy, TenantId};
use crate::store::query::coalesce::CoalescedReads;
use crate::store::tables::auth_attempts::TokenKey;
use crate::store::tables::tokens::Token;

/// How long a request waits until a token is recognized. Under load the database may take longer,
/// and then the token counts as unknown.
const MAX_RECOGNITION: Duration = Duration::from_secs(1);

/// The token that the environment sets. Only its hash is stored, in memory.
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
            tenant: self.tenant,
            actor: Actor::Bootstrap,
            scopes: Scopes::every(),
            fields: None,
            expires: None,
        })
    }
}

/// Finds the principal of a credential.
pub struct Authenticator {
    pub reads: Arc<CoalescedReads>,
    pub clock: Arc<dyn Clock>,
    pub issuers: Issuers,
    pub callers: CallerCache,
    pub known: KnownCallers,
    pub attempts: AuthAttempts,
    pub bootstrap: Option<Bootstrap>,
}

impl Authenticator {
    /// Returns the caller that a credential belongs to, before the request is authenticated.
    ///
    /// A token that this node does not know yet waits for the tokens that were created since it
    /// last read them. An access token of an issuer is verified, at most after its keys are fetched.
    /// So `None` is an invalid credential, unless the database does not answer.
    pub async fn recognize(&self, credential: &Credential<'_>) -> Option<KnownCaller> {
        let secret = credential.secret();
        let digest = token::digest(secret);
        let now = || self.clock.now();
        if let Some(caller) = self.known.get(&digest, || now().as_microsecond()) {
            return Some(caller);
        }
        let bootstrap = self.bootstrap.as_ref();
        if let Some(principal) = bootstrap.and_then(|bootstrap| bootstrap.principal_of(&digest)) {
            return Some(KnownCaller::of(&principal));
        }
        if jwt::looks_like_jwt(secret) {
            let verified = self.issuers.verify(secret, now()).await.ok()?;
            let caller = KnownCaller::of(&verified.principal);
            self.known.insert(&digest, caller);
            return Some(caller);
        }
        if !token::has_token_form(secret) {
            return None;
        }
        let now_us = now().as_microsecond();
        let refreshed = self.known.refresh(self.reads.store(), now_us);
        match tokio::time::timeout(MAX_RECOGNITION, refreshed).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot read the new tokens"),
            Err(_) => tracing::debug!("reading the new tokens takes too long"),
        }
        self.known.get(&digest, || now_us)
    }

    /// Returns the caller of a credential that this node knows without asking the database or an
    /// issuer.
    pub fn recognize_cached(&self, credential: &Credential<'_>) -> Option<KnownCaller> {
        let digest = token::digest(credential.secret());
        self.known
            .get(&digest, || self.clock.now().as_microsecond())
    }

    /// Finds the caller of a credential, and the policy of its tenant.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for anything that is not a valid token.
    pub async fn authenticate(
        &self,
        credential: &Credential<'_>,
    ) -> Result<(Principal, Policy), Error> {
        let digest = token::digest(credential.secret());
        let found = self.find(credential, digest).await;
        match &found {
            Ok((principal, _)) => self.known.insert(&digest, KnownCaller::of(principal)),
            Err(Error::Unauthenticated(_)) => self.known.remove(&digest),
            Err(_) => {}
        }
        found
    }

    async fn find(
        &self,
        credential: &Credential<'_>,
        digest: Digest,
    ) -> Result<(Principal, Policy), Error> {
        let secret = credential.secret();
        let bootstrap = self.bootstrap.as_ref();
        if let Some(principal) = bootstrap.and_then(|bootstrap| bootstrap.principal_of(&digest)) {
            return self
                .with_policy(digest, principal, Provenance::Bootstrap)
                .await;
        }
        if jwt::looks_like_jwt(secret) {
            return self.authenticate_jwt(secret, digest).await;
        }
        self.authenticate_token(credential, digest).await
    }

    /// Finds the caller of an outside issuer's access token.
    async fn authenticate_jwt(
        &self,
        secret: &str,
        digest: Digest,
    ) -> Result<(Principal, Policy), Error> {
        let now = self.clock.now();
        if let Some((principal, epoch)) = self.callers.cached_principal(&digest, now)
            && let Some((policy, current)) = self.reads.policy(principal.tenant).await?
            && current == epoch
        {
            return Ok((principal, policy));
        }
        let verified = self.issuers.verify(secret, now).await;
        let verified = verified.map_err(|rejected| {
            tracing::info!(reason = %rejected, "a JWT was refused");
            Error::Unauthenticated(Unauthenticated::Invalid)
        })?;
        let provenance = Provenance::Issuer(verified.validity);
        self.with_policy(digest, verified.principal, provenance)
            .await
    }

    /// Finds the caller of a token of this service, and records the attempt.
    async fn authenticate_token(
        &self,
        credential: &Credential<'_>,
        digest: Digest,
    ) -> Result<(Principal, Policy), Error> {
        let secret = credential.secret();
        let found = if token::has_token_form(secret) {
            self.reads.token(&token::hash(&digest)).await?
        } else {
            // It has another form than all tokens, so the database need not be asked.
            None
        };
        let Some(known) = found else {
            self.record_unauthenticated(AuthOutcome::of_unknown_secret(secret));
            return Err(Error::Unauthenticated(Unauthenticated::Invalid));
        };
        let row = &known.token;
        let now = self.clock.now();
        let kind = outcome(row, credential, now);
        let token = TokenKey {
            tenant: row.tenant,
            id: row.id.clone(),
        };
        let store = self.reads.store();
        let now_us = now.as_microsecond();
        self.attempts.record(store, Some(&token), kind, now_us);
        if !kind.is_accepted() {
            return Err(Error::Unauthenticated(Unauthenticated::Invalid));
        }
        if row
            .last_used
            .is_none_or(|last| last_used::is_due(last, now_us))
        {
            last_used::record(store, &token, now_us);
        }
        let principal = Principal {
            tenant: row.tenant,
            actor: Actor::Token(row.name.as_str().into()),
            scopes: Scopes::parse_known(&row.scopes),
            fields: row.fields.as_deref().map(Fields::from_stored),
            expires: row.expires.map(time),
        };
        let provenance = Provenance::of_row(row, now_us);
        let caller = CacheEntry::new(&principal, known.policy, known.epoch, provenance);
        self.callers.insert(digest, caller);
        Ok((principal, known.policy))
    }

    /// Reads the policy for a caller that is no row among the tokens.
    async fn with_policy(
        &self,
        digest: Digest,
        principal: Principal,
        provenance: Provenance,
    ) -> Result<(Principal, Policy), Error> {
        let found = self.reads.policy(principal.tenant).await?;
        let (policy, epoch) = found.ok_or(Error::Unauthenticated(Unauthenticated::Invalid))?;
        let caller = CacheEntry::new(&principal, policy, epoch, provenance);
        self.callers.insert(digest, caller);
        Ok((principal, policy))
    }

    /// Returns the caller that the credential had when it was last checked, for
    /// [`Authenticator::confirm`]. `None` if the credential is not in the cache.
    pub fn get_cached(&self, credential: &Credential<'_>) -> Option<CachedCaller> {
        let at = self.clock.now();
        let digest = token::digest(credential.secret());
        let entry = self.callers.get(&digest, at)?;
        let kind = AuthOutcome::of_form(credential.form());
        Some(CachedCaller::new(entry, kind, at))
    }

    /// Returns whether a cached caller is still valid: the tenant's access epoch, read together
    /// with the answer, is the one that was read with the caller. Records the use if it is.
    pub fn confirm(&self, caller: &CachedCaller, epoch: i64) -> bool {
        if !caller.is_at(epoch) {
            return false;
        }
        let now_us = caller.context().at_us();
        if let Some((token, is_due)) = caller.touch(now_us) {
            let store = self.reads.store();
            self.attempts
                .record(store, Some(token), caller.kind(), now_us);
            if is_due {
                last_used::record(store, token, now_us);
            }
        }
        true
    }

    /// Records a request without a valid credential.
    pub fn record_unauthenticated(&self, kind: AuthOutcome) {
        let now_us = self.clock.now().as_microsecond();
        self.attempts.record(self.reads.store(), None, kind, now_us);
    }
}

fn outcome(row: &Token, credential: &Credential<'_>, now: Timestamp) -> AuthOutcome {
    if row.revoked.is_some() {
        AuthOutcome::Revoked
    } else if row
        .expires
        .is_some_and(|expires| expires <= now.as_microsecond())
    {
        AuthOutcome::Expired
    } else {
        AuthOutcome::of_form(credential.form())
    }
}
