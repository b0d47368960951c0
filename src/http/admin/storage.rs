//! What a tenant stores, over HTTP.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{self, Data, Path};
use serde::Serialize;
use serde_json::json;

use crate::auth::Scope;
use crate::http::admin::common::name_in_path;
use crate::http::describe::schema::integer;
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::storage::{self, LargeResource, MOST_LISTED};

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Method::GET,
    path: "/admin/v1/tenants/{name}/storage",
    handler: || web::to(read_storage),
    authorization: Authorization::Scope(Scope::Admin),
    accepts: Accepts::Any,
    parameters: &[NAME, LIMIT],
    body: None,
    responses: &[(200, |describer| {
        describer.json::<TenantStorage>(
            "What the tenant stores.",
            json!({
                "tenant": "acme",
                "document_bytes": 1_800_000,
                "history_bytes": 2_400_000,
                "quota_bytes": 1_073_741_824,
                "largest": [{
                    "type": "User",
                    "id": "0190a8f2-7c1b-7e53-b9a4-3f5f0a1c2d3e",
                    "name": "ada@example.com",
                    "document_bytes": 1210,
                    "history_bytes": 64_000,
                }],
            }),
        )
    })],
    errors: &[404],
    operation: Some(Operation {
        tag: tag::ADMINISTRATION,
        id: "getStorage",
        summary: "What a tenant stores",
        description: "Reads all resources and changes of the tenant, unless `limit` is 0. Operators read it of every tenant, admins of their own.",
    }),
}];

const NAME: Parameter =
    Parameter::path("name", "The name of the tenant.", |_| name_in_path("acme"));

const LIMIT: Parameter = Parameter::query(
    "limit",
    "The number of resources to list, those that take most first; 20 if it is left out.",
    |_| integer().minimum(Some(0_u32)).maximum(Some(MOST_LISTED)),
);
const LISTED: u32 = 20;

/// What a tenant stores.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TenantStorage {
    pub tenant: String,
    /// The bytes of its resources and memberships: of the documents, and 200 for each row.
    pub document_bytes: i64,
    /// The bytes of its recorded changes, and 200 for each.
    pub history_bytes: i64,
    /// The most that both may take together; null if there is no limit.
    pub quota_bytes: Option<i64>,
    pub largest: Vec<StoredResource>,
}

/// A resource, with the changes of it that are kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StoredResource {
    #[serde(rename = "type")]
    pub resource_type: String,
    pub id: String,
    /// `userName` or `displayName`; null if it was deleted.
    pub name: Option<String>,
    /// 0 if it was deleted.
    pub document_bytes: i64,
    pub history_bytes: i64,
}

impl From<LargeResource> for StoredResource {
    fn from(row: LargeResource) -> Self {
        Self {
            resource_type: row.resource_type,
            id: row.id,
            name: row.label,
            document_bytes: row.document_bytes,
            history_bytes: row.history_bytes,
        }
    }
}

/// `GET /admin/v1/tenants/{name}/storage`. Operators read it of every tenant, admins of their
/// own.
async fn read_storage(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    let most = match Query::of(&request).get(LIMIT.name) {
        None => LISTED,
        Some(text) => match text.parse() {
            Ok(limit) if limit <= MOST_LISTED => limit,
            _ => {
                let problem = format!("`limit` is a number from 0 to {MOST_LISTED}.");
                return Err(service::Error::BadRequest(problem).into());
            }
        },
    };
    let name = name.into_inner();
    let report = storage::read(&shared.service, &caller.context, name, most).await?;
    Ok(HttpResponse::Ok().json(TenantStorage {
        tenant: report.storage.name,
        document_bytes: report.storage.bytes.documents,
        history_bytes: report.storage.bytes.history,
        quota_bytes: report.limit,
        largest: report
            .largest
            .into_iter()
            .map(StoredResource::from)
            .collect(),
    }))
}
