//! The handlers of every resource type: one set for users, groups and whatever a schema adds.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::http::shared::{Caller, Shared};
use crate::http::{body, respond};
use crate::scim::ResourceType;
use crate::service;
use crate::service::ResourceId;
use crate::service::present::Patched;
use crate::service::{list as queries, provision};

type Answer = Result<HttpResponse, ApiError>;

/// `GET /Users`: for `read` and `scim`.
pub async fn list(
    request: HttpRequest,
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
) -> Answer {
    let query = Query::of(&request).list()?;
    let body = queries::list(&shared.service, &caller.context, &rt.into_inner(), query).await?;
    Ok(respond::scim(StatusCode::OK, body))
}

/// `POST /Users`: for `scim`.
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
    payload: Payload,
) -> Answer {
    let selection = Query::of(&request).selection()?;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let created = provision::create(
        &shared.service,
        &caller.context,
        &rt.into_inner(),
        &body,
        selection,
    )
    .await?;
    Ok(respond::resource(StatusCode::CREATED, created))
}

/// `GET /Users/{id}`: for `read` and `scim`.
pub async fn get(
    request: HttpRequest,
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
    id: Path<String>,
) -> Answer {
    let selection = Query::of(&request).selection()?;
    let (rt, id) = (rt.into_inner(), id.into_inner());
    let id = parse_id(&rt, id)?;
    let found = provision::get(&shared.service, &caller.context, &rt, id, selection).await?;
    Ok(respond::resource(StatusCode::OK, found))
}

/// `PUT /Users/{id}`: for `scim`.
pub async fn replace(
    request: HttpRequest,
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let selection = Query::of(&request).selection()?;
    let (rt, id) = (rt.into_inner(), id.into_inner());
    let id = parse_id(&rt, id)?;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let replaced =
        provision::replace(&shared.service, &caller.context, &rt, id, &body, selection).await?;
    Ok(respond::resource(StatusCode::OK, replaced))
}

/// `PATCH /Users/{id}`: for `scim`.
pub async fn patch(
    request: HttpRequest,
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let selection = Query::of(&request).selection()?;
    let (rt, id) = (rt.into_inner(), id.into_inner());
    let id = parse_id(&rt, id)?;
    let body = body::read(&request, payload, shared.body_limits).await?;
    Ok(
        match provision::patch(&shared.service, &caller.context, &rt, id, &body, selection).await? {
            Patched::Whole(resource) => respond::resource(StatusCode::OK, resource),
            Patched::Quiet { location } => respond::no_content(Some(&location)),
        },
    )
}

/// `DELETE /Users/{id}`: for `scim`.
pub async fn delete(
    caller: Caller,
    rt: Data<ResourceType>,
    shared: Data<Shared>,
    id: Path<String>,
) -> Answer {
    let (rt, id) = (rt.into_inner(), id.into_inner());
    let id = parse_id(&rt, id)?;
    provision::delete(&shared.service, &caller.context, &rt, id).await?;
    Ok(respond::no_content(None))
}

/// A text that cannot be an id names nothing, so the answer is 404 and not 400.
fn parse_id(rt: &Arc<ResourceType>, text: String) -> Result<ResourceId, service::Error> {
    ResourceId::parse(&text).ok_or_else(|| service::Error::NotFound(format!("{} {text}", rt.name)))
}
