//! Tenants, tokens and erasures over HTTP, for `admin` tokens: those of the default tenant manage every tenant, any other its own.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use scim_core::{Compatibility, ScimError};
use serde::{Deserialize, Serialize};

use crate::auth::{Fields, Scope, Scopes};
use crate::http::error::ApiError;
use crate::http::json_body;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::admin;
use crate::service::access::admin::TokenRequest;
use crate::service::access::tenants::Settings;
use crate::service::erasure::{self, ErasedCounts, ErasureOutcome};
use crate::service::{GroupNames, PatchAnswer, Policy};

type Answer = Result<HttpResponse, ApiError>;

/// A tenant to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// 1 to 63 characters out of `a-z`, `0-9`, `-` and `_`.
    #[schema(pattern = "^[a-z0-9_-]{1,63}$")]
    pub name: String,
}

/// A tenant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    pub compatibility: CompatibilityName,
    pub patch_answer: PatchAnswerName,
    pub group_names: GroupNamesName,
}

/// A tenant after a change of its settings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangedTenant {
    #[serde(flatten)]
    pub tenant: TenantView,
    /// The number of names that several groups share, where the change asked for unique ones. Those
    /// groups stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub shared_group_names: Option<u64>,
}

/// Settings of a tenant to change. What is left out or null stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    pub compatibility: Option<CompatibilityName>,
    pub patch_answer: Option<PatchAnswerName>,
    pub group_names: Option<GroupNamesName>,
}

/// `tolerant` understands what Okta, Entra ID and others send; `strict` only what the RFCs allow.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompatibilityName {
    Tolerant,
    Strict,
}

impl From<CompatibilityName> for Compatibility {
    fn from(name: CompatibilityName) -> Self {
        match name {
            CompatibilityName::Tolerant => Self::Tolerant,
            CompatibilityName::Strict => Self::Strict,
        }
    }
}

impl From<Compatibility> for CompatibilityName {
    fn from(compatibility: Compatibility) -> Self {
        match compatibility {
            Compatibility::Tolerant => Self::Tolerant,
            Compatibility::Strict => Self::Strict,
        }
    }
}

/// What a PATCH answers where the request does not say: 200 with the `resource`, or 204 with `no-content`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PatchAnswerName {
    Resource,
    NoContent,
}

impl From<PatchAnswerName> for PatchAnswer {
    fn from(name: PatchAnswerName) -> Self {
        match name {
            PatchAnswerName::Resource => Self::Resource,
            PatchAnswerName::NoContent => Self::NoContent,
        }
    }
}

impl From<PatchAnswer> for PatchAnswerName {
    fn from(answer: PatchAnswer) -> Self {
        match answer {
            PatchAnswer::Resource => Self::Resource,
            PatchAnswer::NoContent => Self::NoContent,
        }
    }
}

/// Whether groups may share a `displayName`: `any`, or `unique`, ignoring letter case.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupNamesName {
    Any,
    Unique,
}

impl From<GroupNamesName> for GroupNames {
    fn from(name: GroupNamesName) -> Self {
        match name {
            GroupNamesName::Any => Self::Any,
            GroupNamesName::Unique => Self::Unique,
        }
    }
}

impl From<GroupNames> for GroupNamesName {
    fn from(names: GroupNames) -> Self {
        match names {
            GroupNames::Any => Self::Any,
            GroupNames::Unique => Self::Unique,
        }
    }
}

/// A token to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The caller's own tenant where it is left out.
    pub tenant: Option<String>,
    /// Unique among the live tokens of the tenant; it stands as the actor in every change. At most 200 bytes.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\u0000-\u001F\u007F-\u009F]*[^\s\u0000-\u001F\u007F-\u009F][^\u0000-\u001F\u007F-\u009F]*$"
    )]
    pub name: String,
    #[schema(min_items = 1)]
    pub scopes: Vec<ScopeName>,
    /// What the token may read, as attribute names or paths such as `emails.value`; everything where it is left out.
    /// Only for the scope `read`.
    #[schema(min_items = 1, max_items = 100)]
    pub fields: Option<Vec<String>>,
    /// A time to come; never where it is left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
}

/// `scim` provisions and reads, `read` only reads, `admin` manages tenants and tokens.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeName {
    Scim,
    Read,
    Admin,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Scim => Self::Scim,
            ScopeName::Read => Self::Read,
            ScopeName::Admin => Self::Admin,
        }
    }
}

/// A token without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    pub name: String,
    /// Separated by blanks.
    pub scopes: String,
    /// What it may read, separated by blanks; everything where it is null.
    pub fields: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// Exact to a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked: Option<Timestamp>,
}

/// A new token's secret, shown this once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Secret)]
pub struct IssuedToken {
    pub token: String,
}

/// Whom to erase for good.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// The caller's own tenant where it is left out.
    pub tenant: Option<String>,
    /// The resource type: `User`, `Group`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Of a resource that is there or was deleted.
    pub id: String,
}

/// What was erased, by numbers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Erasure {
    #[serde(rename = "type")]
    pub resource_type: String,
    pub id: String,
    /// The number of the change that tells everybody who follows the feed.
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it had been erased before, so that there was nothing to do.
    pub already: bool,
    /// 1 where the resource was still there, 0 where it had been deleted.
    pub resources: usize,
    pub memberships: usize,
    /// The changes that were emptied.
    pub changes: usize,
    /// The places where others' records named it.
    pub mentions: usize,
}

/// `GET /admin/v1/tenants`: for `admin`; outside the default tenant the list holds only the caller's own.
pub async fn list_tenants(caller: Caller, shared: Data<AppState>) -> Answer {
    let rows = admin::list_tenants(&shared.service, &caller.context).await?;
    let tenants: Vec<TenantView> = rows
        .into_iter()
        .map(|row| tenant(row.name, row.created, row.policy))
        .collect();
    Ok(HttpResponse::Ok().json(tenants))
}

/// `POST /admin/v1/tenants`: for `admin` of the default tenant.
pub async fn create_tenant(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let wish: NewTenant = json_body::typed(&request, payload, shared.body_limits).await?;
    let row = admin::create_tenant(&shared.service, &caller.context, wish.name).await?;
    let made = tenant(row.name, row.created, row.policy);
    Ok(HttpResponse::build(StatusCode::CREATED).json(made))
}

/// `PATCH /admin/v1/tenants/{name}`: for `admin` of that tenant or of the default one. It holds from the next request on.
pub async fn set_tenant(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    let wish: TenantSettings = json_body::typed(&request, payload, shared.body_limits).await?;
    let settings = Settings {
        compatibility: wish.compatibility.map(Compatibility::from),
        patch_answer: wish.patch_answer.map(PatchAnswer::from),
        group_names: wish.group_names.map(GroupNames::from),
    };
    let name = name.into_inner();
    let changed = admin::set_tenant(&shared.service, &caller.context, name, settings).await?;
    let row = changed.tenant;
    Ok(HttpResponse::Ok().json(ChangedTenant {
        tenant: tenant(row.name, row.created, row.policy),
        shared_group_names: changed.shared_group_names,
    }))
}

/// `GET /admin/v1/tokens?tenant=`: for `admin`.
pub async fn list_tokens(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let tenant = tenant_in(&request)?;
    let rows = admin::list_tokens(&shared.service, &caller.context, tenant).await?;
    let tokens: Vec<TokenView> = rows
        .into_iter()
        .map(|row| TokenView {
            name: row.name,
            scopes: row.scopes,
            fields: row.fields,
            created: time(row.created),
            expires: row.expires.map(time),
            last_used: row.last_used.map(time),
            revoked: row.revoked.map(time),
        })
        .collect();
    Ok(HttpResponse::Ok().json(tokens))
}

/// `POST /admin/v1/tokens`: for `admin`.
pub async fn create_token(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let wish: NewToken = json_body::typed(&request, payload, shared.body_limits).await?;
    let scopes: Scopes = wish.scopes.into_iter().map(Scope::from).collect();
    let fields = wish.fields.map(Fields::parse).transpose();
    let wish = TokenRequest {
        tenant: wish.tenant,
        name: wish.name,
        scopes,
        fields: fields.map_err(|error| service::Error::BadRequest(format!("{error}.")))?,
        expires: wish.expires,
    };
    let token = admin::create_token(&shared.service, &caller.context, wish).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(IssuedToken { token }))
}

/// `DELETE /admin/v1/tokens/{name}?tenant=`: for `admin`. The token stops working with the next request.
pub async fn revoke_token(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> Answer {
    let tenant = tenant_in(&request)?;
    admin::revoke_token(&shared.service, &caller.context, tenant, name.into_inner()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /admin/v1/erasures`: for `admin`.
pub async fn erase(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let wish: NewErasure = json_body::typed(&request, payload, shared.body_limits).await?;
    let (service, context) = (&shared.service, &caller.context);
    let (type_name, id) = (wish.resource_type, wish.id);
    let erased = erasure::order(service, context, wish.tenant, &type_name, &id).await?;
    let found = match erased.tally {
        ErasureOutcome::Nothing => ErasedCounts::default(),
        ErasureOutcome::Found(found) => found,
    };
    Ok(HttpResponse::Ok().json(Erasure {
        resource_type: type_name,
        id,
        seq: erased.seq,
        at: time(erased.at),
        already: erased.tally == ErasureOutcome::Nothing,
        resources: found.resources,
        memberships: found.memberships,
        changes: found.changes,
        mentions: found.mentions,
    }))
}

/// The tenant that a request is about. A misspelt name would make it about the caller's own.
///
/// # Errors
/// See [`Query::check`].
pub(in crate::http) fn tenant_in(request: &HttpRequest) -> Result<Option<String>, ScimError> {
    let query = Query::only(request, &["tenant"])?;
    Ok(query.get("tenant").map(str::to_owned))
}

fn tenant(name: String, created: i64, policy: Policy) -> TenantView {
    TenantView {
        name,
        created: time(created),
        compatibility: policy.compatibility.into(),
        patch_answer: policy.patch_answer.into(),
        group_names: policy.group_names.into(),
    }
}

pub(in crate::http) fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
