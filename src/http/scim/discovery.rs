//! `ServiceProviderConfig`, `ResourceTypes` and `Schemas` (RFC 7644 section 4): for anybody, since they hold nothing
//! of a tenant and a client reads them before it has a token.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use scim_core::message;
use serde_json::Value;

use crate::http::error::ApiError;
use crate::http::query::{self, Query};
use crate::http::scim::responses;
use crate::http::state::AppState;
use crate::service;

type Answer = Result<HttpResponse, ApiError>;

/// `GET /ServiceProviderConfig`.
pub async fn service_provider_config(request: HttpRequest, shared: Data<AppState>) -> Answer {
    check_query(&request)?;
    let options = &shared.service.options;
    Ok(one(&message::service_provider_config(
        &options.base_url,
        &options.capabilities(),
    )))
}

/// `GET /ResourceTypes`.
pub async fn resource_types(request: HttpRequest, shared: Data<AppState>) -> Answer {
    check_query(&request)?;
    let base_url = &shared.service.options.base_url;
    Ok(many(
        shared
            .service
            .registry
            .types()
            .iter()
            .map(|rt| message::resource_type_resource(base_url, rt)),
    ))
}

/// `GET /ResourceTypes/{name}`.
pub async fn resource_type(
    request: HttpRequest,
    shared: Data<AppState>,
    name: Path<String>,
) -> Answer {
    check_query(&request)?;
    let rt = shared
        .service
        .registry
        .by_name(&name)
        .ok_or_else(|| service::Error::NotFound(format!("The resource type {name}")))?;
    Ok(one(&message::resource_type_resource(
        &shared.service.options.base_url,
        rt,
    )))
}

/// `GET /Schemas`.
pub async fn schemas(request: HttpRequest, shared: Data<AppState>) -> Answer {
    check_query(&request)?;
    let base_url = &shared.service.options.base_url;
    Ok(many(
        shared
            .service
            .registry
            .schemas()
            .map(|schema| message::schema_resource(base_url, schema)),
    ))
}

/// `GET /Schemas/{urn}`.
pub async fn schema(request: HttpRequest, shared: Data<AppState>, urn: Path<String>) -> Answer {
    check_query(&request)?;
    let schema = shared
        .service
        .registry
        .schema(&urn)
        .ok_or_else(|| service::Error::NotFound(format!("The schema {urn}")))?;
    Ok(one(&message::schema_resource(
        &shared.service.options.base_url,
        schema,
    )))
}

/// RFC 7644 section 4: a filter on these endpoints is answered with 403.
fn check_query(request: &HttpRequest) -> Result<(), ApiError> {
    let query = Query::of(request);
    if query.has("filter") {
        return Err(ApiError::FilterForbidden);
    }
    Ok(query.check(&query::KNOWN)?)
}

fn one(resource: &Value) -> HttpResponse {
    responses::scim(StatusCode::OK, resource.to_string())
}

fn many(resources: impl Iterator<Item = Value>) -> HttpResponse {
    let bodies: Vec<String> = resources.map(|resource| resource.to_string()).collect();
    let total = u64::try_from(bodies.len()).unwrap_or(u64::MAX);
    responses::scim(StatusCode::OK, message::list_response(total, 1, &bodies))
}
