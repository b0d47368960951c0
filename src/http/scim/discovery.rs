//! `ServiceProviderConfig`, `ResourceTypes` and `Schemas` (RFC 7644 section 4). They need no token,
//! because they hold nothing of a tenant, and a client reads them before it has a token.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use scim_core::message;
use serde_json::Value;
use utoipa::openapi::response::Response;

use crate::http::describe::describer::{Describer, scim};
use crate::http::describe::schema::string;
use crate::http::describe::{response, tag};
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation, Parameter};
use crate::http::error::{ApiError, HandlerResult};
use crate::http::query::Query;
use crate::http::scim::responses;
use crate::http::state::AppState;
use crate::service;

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/ServiceProviderConfig",
        handler: || web::to(service_provider_config),
        authorization: Authorization::Public,
        accepts: Accepts::ScimQuery,
        parameters: &[],
        body: None,
        responses: &[
            (200, |_| {
                scim("ServiceProviderConfig", "The features.", None)
            }),
            (403, forbidden),
        ],
        errors: &[500],
        operation: Some(Operation {
            tag: tag::DISCOVERY,
            id: "getServiceProviderConfig",
            summary: "What the service supports",
            description: DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/ResourceTypes",
        handler: || web::to(resource_types),
        authorization: Authorization::Public,
        accepts: Accepts::ScimQuery,
        parameters: &[],
        body: None,
        responses: &[
            (200, |_| {
                scim("ResourceTypeList", "The resource types.", None)
            }),
            (403, forbidden),
        ],
        errors: &[500],
        operation: Some(Operation {
            tag: tag::DISCOVERY,
            id: "listResourceTypes",
            summary: "List the resource types",
            description: DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/ResourceTypes/{name}",
        handler: || web::to(resource_type),
        authorization: Authorization::Public,
        accepts: Accepts::ScimQuery,
        parameters: &[NAME],
        body: None,
        responses: &[
            (200, |_| scim("ResourceType", "The resource type.", None)),
            (403, forbidden),
            (404, |_| not_found("resource type Robot")),
        ],
        errors: &[500],
        operation: Some(Operation {
            tag: tag::DISCOVERY,
            id: "getResourceType",
            summary: "Read a resource type",
            description: DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/Schemas",
        handler: || web::to(schemas),
        authorization: Authorization::Public,
        accepts: Accepts::ScimQuery,
        parameters: &[],
        body: None,
        responses: &[
            (200, |_| scim("SchemaList", "The schemas.", None)),
            (403, forbidden),
        ],
        errors: &[500],
        operation: Some(Operation {
            tag: tag::DISCOVERY,
            id: "listSchemas",
            summary: "List the schemas",
            description: DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/Schemas/{urn}",
        handler: || web::to(schema),
        authorization: Authorization::Public,
        accepts: Accepts::ScimQuery,
        parameters: &[URN],
        body: None,
        responses: &[
            (200, |_| scim("Schema", "The schema.", None)),
            (403, forbidden),
            (404, |_| not_found("schema urn:unknown")),
        ],
        errors: &[500],
        operation: Some(Operation {
            tag: tag::DISCOVERY,
            id: "getSchema",
            summary: "Read a schema",
            description: DESCRIPTION,
        }),
    },
];

const DESCRIPTION: &str = "Needs no token. A filter is rejected.";

const NAME: Parameter = Parameter::path("name", "The name of the resource type.", |registry| {
    let types = registry.types().iter();
    let names = types.map(|rt| rt.name.as_str());
    string().min_length(Some(1)).examples(names)
});

const URN: Parameter = Parameter::path(
    "urn",
    "The URN of the schema, in any letter case.",
    |registry| {
        let urns = registry.schemas().map(|schema| schema.id.as_str());
        string().min_length(Some(1)).examples(urns)
    },
);

fn forbidden(_describer: &mut Describer<'_>) -> Response {
    response::error(
        403,
        "The request has a `filter` (RFC 7644 section 4).",
        "Discovery endpoints cannot be filtered (RFC 7644 section 4).",
    )
}

fn not_found(what: &str) -> Response {
    let detail = format!(
        "The {what} was not found. It may have been deleted, or it belongs to another tenant."
    );
    response::error(404, "The service has nothing of this name.", &detail)
}

/// `GET /ServiceProviderConfig`.
async fn service_provider_config(request: HttpRequest, shared: Data<AppState>) -> HandlerResult {
    check_query(&request)?;
    let options = &shared.service.options;
    Ok(single(&message::service_provider_config(
        &options.base_url,
        &options.capabilities(),
    )))
}

/// `GET /ResourceTypes`.
async fn resource_types(request: HttpRequest, shared: Data<AppState>) -> HandlerResult {
    check_query(&request)?;
    let base_url = &shared.service.options.base_url;
    Ok(list(
        shared
            .service
            .registry
            .types()
            .iter()
            .map(|rt| message::resource_type_resource(base_url, rt)),
    ))
}

/// `GET /ResourceTypes/{name}`.
async fn resource_type(
    request: HttpRequest,
    shared: Data<AppState>,
    name: Path<String>,
) -> HandlerResult {
    check_query(&request)?;
    let rt = shared
        .service
        .registry
        .by_name(&name)
        .ok_or_else(|| service::Error::NotFound(format!("The resource type {name}")))?;
    Ok(single(&message::resource_type_resource(
        &shared.service.options.base_url,
        rt,
    )))
}

/// `GET /Schemas`.
async fn schemas(request: HttpRequest, shared: Data<AppState>) -> HandlerResult {
    check_query(&request)?;
    let base_url = &shared.service.options.base_url;
    Ok(list(
        shared
            .service
            .registry
            .schemas()
            .map(|schema| message::schema_resource(base_url, schema)),
    ))
}

/// `GET /Schemas/{urn}`.
async fn schema(request: HttpRequest, shared: Data<AppState>, urn: Path<String>) -> HandlerResult {
    check_query(&request)?;
    let schema = shared
        .service
        .registry
        .schema(&urn)
        .ok_or_else(|| service::Error::NotFound(format!("The schema {urn}")))?;
    Ok(single(&message::schema_resource(
        &shared.service.options.base_url,
        schema,
    )))
}

/// Checks the query: a filter on these endpoints is answered with 403 (RFC 7644 section 4).
fn check_query(request: &HttpRequest) -> Result<(), ApiError> {
    let query = Query::of(request);
    if query.has("filter") {
        return Err(ApiError::FilterForbidden);
    }
    let endpoint = Endpoint::of_request(request)
        .ok_or_else(|| service::Error::internal("the endpoint is not declared"))?;
    Ok(query.check_accepted(endpoint)?)
}

fn single(resource: &Value) -> HttpResponse {
    responses::scim(StatusCode::OK, resource.to_string())
}

fn list(resources: impl Iterator<Item = Value>) -> HttpResponse {
    let bodies: Vec<String> = resources.map(|resource| resource.to_string()).collect();
    let total = u64::try_from(bodies.len()).unwrap_or(u64::MAX);
    responses::scim(StatusCode::OK, message::list_response(total, 1, &bodies))
}
