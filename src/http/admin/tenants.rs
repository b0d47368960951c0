//! Tenants over HTTP. Tokens of the default tenant manage every tenant, any other token its own.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Path, Payload};
use jiff::Timestamp;
use scim_core::Compatibility;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::auth::Scope;
use crate::http::admin::common::{name_in_path, timestamp};
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::admin;
use crate::service::access::tenants::Settings;
use crate::service::{GroupNames, PatchAnswer, Policy};

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/tenants",
        handler: || web::to(list_tenants),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Any,
        parameters: &[],
        body: None,
        responses: &[(200, |describer| {
            describer.json_list::<TenantView>("The tenants by name.", json!([acme()]))
        })],
        errors: &[],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "listTenants",
            summary: "List tenants",
            description: "Operators see every tenant, admins their own.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/tenants",
        handler: || web::to(create_tenant),
        authorization: Authorization::Scope(Scope::Operator),
        accepts: Accepts::Any,
        parameters: &[],
        body: Some(Body::message(|describer| {
            describer.json_body::<NewTenant>(json!({ "name": "acme" }))
        })),
        responses: &[(201, |describer| {
            describer.json::<TenantView>("The tenant was created.", acme())
        })],
        errors: &[409],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "createTenant",
            summary: "Create a tenant",
            description: "Only for operators.",
        }),
    },
    Endpoint {
        method: Method::PATCH,
        path: "/admin/v1/tenants/{name}",
        handler: || web::to(set_tenant),
        authorization: Authorization::Scope(Scope::Admin),
        accepts: Accepts::Any,
        parameters: &[NAME],
        body: Some(Body::message(|describer| {
            let settings = json!({ "compatibility": "strict", "group_names": "unique" });
            describer.json_body::<TenantSettings>(settings)
        })),
        responses: &[(200, |describer| {
            describer.json::<ChangedTenant>("The settings were changed.", changed_acme())
        })],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::ADMINISTRATION,
            id: "setTenant",
            summary: "Change settings of a tenant",
            description: "They take effect with the next request. The token must be of this tenant or of `default`.",
        }),
    },
];

const NAME: Parameter =
    Parameter::path("name", "The name of the tenant.", |_| name_in_path("acme"));

fn acme() -> Value {
    json!({
        "name": "acme",
        "created": "2026-03-01T08:00:00Z",
        "compatibility": "tolerant",
        "patch_answer": "resource",
        "group_names": "any",
        "document_limit_bytes": null,
        "attribute_values_limit": null,
    })
}

fn changed_acme() -> Value {
    json!({
        "name": "acme",
        "created": "2026-03-01T08:00:00Z",
        "compatibility": "strict",
        "patch_answer": "resource",
        "group_names": "unique",
        "document_limit_bytes": null,
        "attribute_values_limit": null,
        "shared_group_names": 0,
    })
}

/// A tenant to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// 1 to 63 characters from `a-z`, `0-9`, `-` and `_`.
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
    /// The largest resource in bytes; null is the service's setting.
    pub document_limit_bytes: Option<i64>,
    /// The most values of one attribute; null is the service's setting.
    pub attribute_values_limit: Option<i64>,
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

/// Settings of a tenant to change. Those that are left out stay as they are; so do those that are
/// null, apart from the quota.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    pub compatibility: Option<CompatibilityName>,
    pub patch_answer: Option<PatchAnswerName>,
    pub group_names: Option<GroupNamesName>,
    /// The largest resource in bytes; 0 for the service's setting. Only for operators.
    #[schema(minimum = 0)]
    pub document_limit_bytes: Option<i64>,
    /// The most values of one attribute; 0 for the service's setting. Only for operators.
    #[schema(minimum = 0)]
    pub attribute_values_limit: Option<i64>,
    /// The most bytes that the tenant may store in resources and their history; 0 is no limit. Null
    /// stands for the setting `tenant_quota_bytes`. Only for operators.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    pub quota_bytes: Option<Option<i64>>,
}

/// Tells null from a value that is left out.
fn given<'d, D: Deserializer<'d>>(value: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// `tolerant` accepts what Okta, Entra ID and others send, `strict` only what the RFCs allow.
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

/// The response to a PATCH that asks for none in particular: 200 with the `resource`, or 204 with
/// `no-content`.
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

/// `GET /admin/v1/tenants`. Outside the default tenant the list holds only the caller's own.
async fn list_tenants(caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let rows = admin::list_tenants(&shared.service, &caller.context).await?;
    let tenants: Vec<TenantView> = rows
        .into_iter()
        .map(|row| tenant(row.name, row.created, row.policy))
        .collect();
    Ok(HttpResponse::Ok().json(tenants))
}

/// `POST /admin/v1/tenants`.
async fn create_tenant(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let new: NewTenant = json_body::typed(&request, &caller, &shared, payload).await?;
    let row = admin::create_tenant(&shared.service, &caller.context, new.name).await?;
    let created = tenant(row.name, row.created, row.policy);
    Ok(HttpResponse::build(StatusCode::CREATED).json(created))
}

/// Checks a limit that a request sets.
fn limit(value: Option<i64>) -> Result<Option<u64>, service::Error> {
    let Some(value) = value else {
        return Ok(None);
    };
    let limit = u64::try_from(value);
    limit.map(Some).map_err(|_| {
        let text = format!("a limit is 0, for the service's setting, or more, and not {value}");
        service::Error::BadRequest(text)
    })
}

/// `PATCH /admin/v1/tenants/{name}`. The settings take effect with the next request.
async fn set_tenant(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
    payload: Payload,
) -> HandlerResult {
    let change: TenantSettings = json_body::typed(&request, &caller, &shared, payload).await?;
    let settings = Settings {
        compatibility: change.compatibility.map(Compatibility::from),
        patch_answer: change.patch_answer.map(PatchAnswer::from),
        group_names: change.group_names.map(GroupNames::from),
        quota_bytes: change.quota_bytes,
        document_limit_bytes: limit(change.document_limit_bytes)?,
        attribute_values_limit: limit(change.attribute_values_limit)?,
    };
    let name = name.into_inner();
    let changed = admin::set_tenant(&shared.service, &caller.context, name, settings).await?;
    let row = changed.tenant;
    Ok(HttpResponse::Ok().json(ChangedTenant {
        tenant: tenant(row.name, row.created, row.policy),
        shared_group_names: changed.shared_group_names,
    }))
}

fn tenant(name: String, created: i64, policy: Policy) -> TenantView {
    TenantView {
        name,
        created: timestamp(created),
        compatibility: policy.compatibility.into(),
        patch_answer: policy.patch_answer.into(),
        group_names: policy.group_names.into(),
        document_limit_bytes: policy.document_limit_bytes,
        attribute_values_limit: policy.attribute_values_limit,
    }
}
