//! Tokens: making, listing and revoking them, and finding out who a credential is.

use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::auth::token::Digest;
use crate::auth::{Credential, Fields, Principal, Scopes, jwt, token};
use crate::clock::Clock;
use crate::service::arrivals::{self, Kind};
use crate::service::error::Unauthenticated;
use crate::service::presumed::{Ground, Remembered};
use crate::service::{Error, Policy, Service, last_used};
use crate::store::tokens::Token;
use crate::store::{Store, StoreError, TenantId, tenants, tokens};

/// The name of the tenant that exists from the start; its admins are the operators.
pub const DEFAULT_TENANT: &str = "default";

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

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct Wish {
    pub tenant: String,
    pub name: String,
    pub scopes: Scopes,
    /// What it may read; `None`: everything. Only a token that does nothing but read can have this.
    pub fields: Option<Fields>,
    pub expires: Option<Timestamp>,
}

/// Finds the caller of a credential, and the policy of its tenant.
///
/// # Errors
/// [`Error::Unauthenticated`] for whatever is not a live token; a database that does not answer stays what it is.
pub async fn authenticate(
    service: &Service,
    credential: &Credential<'_>,
) -> Result<(Principal, Policy), Error> {
    let secret = credential.secret();
    let now = service.clock.now();
    let digest = token::digest(secret);
    if let Some(principal) = service
        .bootstrap
        .as_ref()
        .and_then(|bootstrap| bootstrap.principal_of(&digest))
    {
        return with_policy(service, digest, principal, Ground::Bootstrap).await;
    }
    if jwt::looks_like_jwt(secret) {
        if let Some((principal, epoch)) = service.callers.vouched(&digest, now)
            && let Some((policy, now_at)) = service.store.policy(TenantId(principal.tenant)).await?
            && now_at == epoch
        {
            return Ok((principal, policy));
        }
        let verified = service.issuers.verify(secret, now).await;
        let verified = verified.map_err(|rejected| {
            tracing::info!(reason = %rejected, "a JWT was refused");
            Error::Unauthenticated(Unauthenticated::Invalid)
        })?;
        let ground = Ground::Issuer(verified.pass);
        return with_policy(service, digest, verified.principal, ground).await;
    }
    let found = if token::is_ours(secret) {
        service.store.token(&token::hash(&digest)).await?
    } else {
        // Not worth the database's time.
        None
    };
    let now_us = now.as_microsecond();
    let (arrivals, store) = (&service.arrivals, &service.store);
    let Some(known) = found else {
        arrivals::note_stranger(arrivals, store, Kind::of_stranger(secret), now_us);
        return Err(Error::Unauthenticated(Unauthenticated::Invalid));
    };
    let row = &known.token;
    let kind = if row.revoked.is_some() {
        Kind::Revoked
    } else if is_live(row, now_us) {
        Kind::of_form(credential.form())
    } else {
        Kind::Expired
    };
    arrivals::note(arrivals, store, row.tenant, &row.id, kind, now_us);
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
        fields: row.fields.as_deref().map(Fields::of_stored),
    };
    let ground = Ground::of_row(row, now_us);
    let caller = Remembered::new(&principal, known.policy, known.epoch, ground);
    service.callers.remember(digest, caller);
    Ok((principal, known.policy))
}

/// Reads the policy for a caller that is no row among the tokens.
async fn with_policy(
    service: &Service,
    digest: Digest,
    principal: Principal,
    ground: Ground,
) -> Result<(Principal, Policy), Error> {
    let found = service.store.policy(TenantId(principal.tenant)).await?;
    let (policy, epoch) = found.ok_or(Error::Unauthenticated(Unauthenticated::Invalid))?;
    let caller = Remembered::new(&principal, policy, epoch, ground);
    service.callers.remember(digest, caller);
    Ok((principal, policy))
}

/// Makes a token and answers its text, which is nowhere else.
///
/// # Errors
/// An unknown tenant, a name that is taken in it, an empty name or no scope.
pub async fn create(store: &Store, wish: Wish, clock: &dyn Clock) -> Result<String, Error> {
    let (id, now_us) = (clock.new_id(), clock.now().as_microsecond());
    if wish.name.trim().is_empty() || wish.name.len() > 200 || wish.name.contains(char::is_control)
    {
        return Err(Error::BadRequest(
            "a token's name has 1 to 200 characters and none of them is a control character".into(),
        ));
    }
    if wish.scopes == Scopes::default() {
        return Err(Error::BadRequest(
            "a token needs at least one of the scopes scim, read and admin".into(),
        ));
    }
    // An answer to a write shows the whole resource, and an admin makes whatever token it likes.
    if wish.fields.is_some() && wish.scopes != wish.scopes.only_reading() {
        return Err(Error::BadRequest(
            "`fields` limit what a token reads, so its only scope must be `read`".into(),
        ));
    }
    if wish
        .expires
        .is_some_and(|expires| expires.as_microsecond() <= now_us)
    {
        return Err(Error::BadRequest(
            "the token would be expired already".into(),
        ));
    }
    let secret = token::format(crate::clock::random_bytes().map_err(Error::internal)?);
    let hash = token::hash(&token::digest(&secret));
    store
        .admin(move |conn| {
            let tenant = tenants::by_name(conn, &wish.tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{}`", wish.tenant)))?;
            let name = wish.name.clone();
            let row = Token {
                id,
                tenant: tenant.id,
                name: wish.name,
                hash,
                scopes: wish.scopes.to_string(),
                created: now_us,
                expires: wish.expires.map(Timestamp::as_microsecond),
                last_used: None,
                revoked: None,
                fields: wish.fields.map(|fields| fields.to_string()),
            };
            tokens::insert(conn, row)
            .map_err(|error| match error {
                StoreError::Duplicate(_) => Error::Conflict(format!(
                    "a token named `{name}` exists in this tenant; choose another name or revoke that one first"
                )),
                other => other.into(),
            })
        })
        .await?;
    Ok(secret)
}

/// Whether any token was ever made.
///
/// # Errors
/// Where the database does not answer.
pub async fn any(store: &Store) -> Result<bool, Error> {
    store.read(|conn| Ok(tokens::any(conn)?)).await
}

/// All tokens of a tenant, newest first, without their secrets.
///
/// # Errors
/// An unknown tenant.
pub async fn list(store: &Store, tenant: String) -> Result<Vec<Token>, Error> {
    store
        .read(move |conn| {
            let tenant = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            Ok(tokens::list(conn, tenant.id)?)
        })
        .await
}

/// Revokes a token by its name; it stops working with the next request.
///
/// # Errors
/// An unknown tenant or name.
pub async fn revoke(store: &Store, tenant: String, name: String, now_us: i64) -> Result<(), Error> {
    store
        .admin(move |conn| {
            let row = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            match tokens::revoke(conn, row.id, &name, now_us)? {
                Some(_) => Ok(()),
                None => Err(Error::NotFound(format!(
                    "A live token named `{name}` in the tenant `{tenant}`"
                ))),
            }
        })
        .await
}

fn is_live(row: &Token, now_us: i64) -> bool {
    row.revoked.is_none() && row.expires.is_none_or(|expires| expires > now_us)
}
