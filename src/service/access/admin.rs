//! Administration by a caller: checks what it may manage, then calls [`tenants`] and [`tokens`].

use jiff::Timestamp;

use crate::auth::{Fields, Scope, Scopes};
use crate::service::access::tenants::{Settings, TenantChanges};
use crate::service::access::tokens::{NewToken, TokenRef};
use crate::service::access::{tenants, tokens};
use crate::service::{Context, Error, Service};
use crate::store::tables::tenants::Tenant;
use crate::store::tables::tokens::Token;

/// Lists the tenants that the caller may manage: an operator all, an admin its own.
///
/// # Errors
/// [`Error::Forbidden`] without the scope `admin`.
pub async fn list_tenants(service: &Service, context: &Context) -> Result<Vec<Tenant>, Error> {
    let own = own_tenant(service, context).await?;
    let mut rows = tenants::list(&service.store).await?;
    if !is_operator(context) {
        rows.retain(|row| row.id == own.id);
    }
    Ok(rows)
}

/// Creates a tenant. Only operators may.
///
/// # Errors
/// [`Error::Forbidden`] without the scope `operator`, or errors of [`tenants::create`].
pub async fn create_tenant(
    service: &Service,
    context: &Context,
    name: String,
) -> Result<Tenant, Error> {
    context.require(Scope::Operator)?;
    tenants::create(&service.store, name, context.at_us()).await
}

/// Changes settings of a tenant. Only operators change its limits and its quota.
///
/// # Errors
/// As [`list_tokens`].
pub async fn set_tenant(
    service: &Service,
    context: &Context,
    name: String,
    settings: Settings,
) -> Result<TenantChanges, Error> {
    let name = managed(service, context, Some(name)).await?;
    if settings.is_for_operator() {
        context.require(Scope::Operator)?;
    }
    tenants::set(&service.store, name, settings).await
}

/// Lists the tokens of a tenant, by default of the caller's own.
///
/// # Errors
/// [`Error::Forbidden`] without the scope `admin`, [`Error::NotFound`] for a tenant that the caller
/// may not manage.
pub async fn list_tokens(
    service: &Service,
    context: &Context,
    tenant: Option<String>,
) -> Result<Vec<Token>, Error> {
    let tenant = managed(service, context, tenant).await?;
    tokens::list(&service.store, tenant).await
}

/// A token to create, by default in the caller's own tenant.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    pub tenant: Option<String>,
    pub name: String,
    pub scopes: Scopes,
    pub fields: Option<Fields>,
    pub expires: Option<Timestamp>,
}

/// Creates a token in a tenant and returns its secret.
///
/// # Errors
/// [`Error::Forbidden`] if an admin asks for the scope `operator`, [`Error::BadRequest`] for a token
/// that would outlive the caller's; as [`list_tokens`] and [`tokens::create`].
pub async fn create_token(
    service: &Service,
    context: &Context,
    new: TokenRequest,
) -> Result<String, Error> {
    let tenant = managed(service, context, new.tenant).await?;
    if new.scopes.allow(Scope::Operator) {
        context.require(Scope::Operator)?;
    }
    // Otherwise a token that was given for a week could prolong itself. Both as they are stored.
    let stored = Timestamp::as_microsecond;
    if let Some(end) = context.principal.expires
        && new
            .expires
            .is_none_or(|expires| stored(expires) > stored(end))
    {
        return Err(Error::BadRequest(format!(
            "your own token expires at {end}, so a token that it creates needs an `expires` up to that"
        )));
    }
    let new = NewToken {
        tenant,
        name: new.name,
        scopes: new.scopes,
        fields: new.fields,
        expires: new.expires,
    };
    let limits = service.options.tokens;
    tokens::create(&service.store, new, limits, service.clock.as_ref()).await
}

/// Revokes a token by its name or its id.
///
/// # Errors
/// As [`list_tokens`] and [`tokens::revoke`].
pub async fn revoke_token(
    service: &Service,
    context: &Context,
    tenant: Option<String>,
    token: TokenRef,
) -> Result<(), Error> {
    let tenant = managed(service, context, tenant).await?;
    tokens::revoke(&service.store, tenant, token, context.at_us()).await
}

/// Returns the name of the tenant to manage, by default the caller's own.
///
/// # Errors
/// [`Error::Forbidden`] without the scope `admin`, [`Error::NotFound`] for any tenant that the
/// caller may not manage.
pub async fn managed(
    service: &Service,
    context: &Context,
    tenant: Option<String>,
) -> Result<String, Error> {
    let own = own_tenant(service, context).await?;
    match tenant {
        None => Ok(own.name),
        Some(name) if name == own.name || is_operator(context) => Ok(name),
        Some(name) => Err(Error::NotFound(format!("The tenant `{name}`"))),
    }
}

fn is_operator(context: &Context) -> bool {
    context.principal.scopes.allow(Scope::Operator)
}

async fn own_tenant(service: &Service, context: &Context) -> Result<Tenant, Error> {
    context.require(Scope::Admin)?;
    tenants::list(&service.store)
        .await?
        .into_iter()
        .find(|row| row.id == context.tenant())
        .ok_or_else(|| Error::NotFound("The tenant of this token".to_owned()))
}
