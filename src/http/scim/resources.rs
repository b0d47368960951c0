//! The handlers of every resource type: one set for users, groups and whatever a schema adds.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse};
use scim_core::ResourceType;

use crate::http::error::ApiError;
use crate::http::query::Query;
use crate::http::scim::{preconditions, responses};
use crate::http::state::{AppState, Caller};
use crate::http::{json_body, state};
use crate::service;
use crate::service::ResourceId;
use crate::service::provision;
use crate::service::provision::WriteTarget;
use crate::service::query::list as queries;
use crate::service::query::list::TypeFilter;
use crate::service::query::resource;
use crate::service::query::resource::ReadRequest;

type Answer = Result<HttpResponse, ApiError>;

/// What the endpoints of a resource type are about. Each worker has its own: they would contend for the count of one.
pub struct Endpoint(pub Arc<ResourceType>);

impl Endpoint {
    pub fn resource_type(&self) -> Arc<ResourceType> {
        Arc::clone(&self.0)
    }
}

/// `GET /Users`: for `read` and `scim`.
pub async fn list(request: HttpRequest, of: Data<Endpoint>, shared: Data<AppState>) -> Answer {
    let (service, rt) = (&shared.service, &of.0);
    let parameters = Query::of(&request);
    let query = parameters.list();
    let presumed = state::cached_caller(&request, &parameters, &shared);
    if let (Ok(query), Some(presumed)) = (&query, presumed)
        && let Some(body) = queries::list_cached(service, &presumed, rt, query).await?
    {
        return Ok(responses::scim(StatusCode::OK, body));
    }
    let caller = Caller::extract(&request).await?;
    let (query, among) = (query?, TypeFilter::One(of.resource_type()));
    let body = queries::list(service, &caller.context, among, query).await?;
    Ok(responses::scim(StatusCode::OK, body))
}

/// `POST /Users`: for `scim`.
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    of: Data<Endpoint>,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let wish = preconditions::wish(&request)?;
    let applied = wish.preference();
    let body = json_body::read(&request, payload, shared.body_limits).await?;
    let (service, rt) = (&shared.service, of.resource_type());
    let created = provision::create(service, &caller.context, &rt, &body, wish).await?;
    Ok(responses::created(created, applied))
}

/// `GET /Users/{id}`: for `read` and `scim`.
pub async fn get(
    request: HttpRequest,
    of: Data<Endpoint>,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    let (service, rt) = (&shared.service, &of.0);
    let parameters = Query::of(&request);
    let condition = preconditions::precondition(&request);
    let id = parse_id(rt, id.into_inner());
    if let (Ok(selection), Ok(id)) = (parameters.resource(), &id)
        && let Some(cached) = state::cached_caller(&request, &parameters, &shared)
    {
        let read = ReadRequest {
            rt: Arc::clone(rt),
            id: id.clone(),
            selection,
            precondition: condition,
        };
        if let Some(found) = resource::read_cached(service, &cached, read).await? {
            return Ok(responses::found(found));
        }
    }
    let caller = Caller::extract(&request).await?;
    read(&request, &caller, rt, &shared, id?).await
}

/// The same, for a caller who was looked up.
pub(in crate::http) async fn read(
    request: &HttpRequest,
    caller: &Caller,
    rt: &Arc<ResourceType>,
    shared: &AppState,
    id: ResourceId,
) -> Answer {
    let selection = Query::of(request).resource()?;
    let condition = preconditions::precondition(request);
    let read = ReadRequest {
        rt: Arc::clone(rt),
        id,
        selection,
        precondition: condition,
    };
    let found = resource::read(&shared.service, &caller.context, read).await?;
    Ok(responses::found(found))
}

/// `PUT /Users/{id}`: for `scim`.
pub async fn replace(
    request: HttpRequest,
    caller: Caller,
    of: Data<Endpoint>,
    shared: Data<AppState>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let (wish, condition) = (
        preconditions::wish(&request)?,
        preconditions::precondition(&request),
    );
    let applied = wish.preference();
    let rt = of.resource_type();
    let id = parse_id(&rt, id.into_inner())?;
    let body = json_body::read(&request, payload, shared.body_limits).await?;
    let (service, context) = (&shared.service, &caller.context);
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    let replaced = provision::replace(service, context, target, &body, wish).await?;
    Ok(responses::changed(replaced, applied))
}

/// `PATCH /Users/{id}`: for `scim`.
pub async fn patch(
    request: HttpRequest,
    caller: Caller,
    of: Data<Endpoint>,
    shared: Data<AppState>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let (wish, condition) = (
        preconditions::wish(&request)?,
        preconditions::precondition(&request),
    );
    let applied = wish.preference();
    let rt = of.resource_type();
    let id = parse_id(&rt, id.into_inner())?;
    let body = json_body::read(&request, payload, shared.body_limits).await?;
    let (service, context) = (&shared.service, &caller.context);
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    let patched = provision::patch(service, context, target, &body, wish).await?;
    Ok(responses::changed(patched, applied))
}

/// `DELETE /Users/{id}`: for `scim`.
pub async fn delete(
    request: HttpRequest,
    caller: Caller,
    of: Data<Endpoint>,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    let condition = preconditions::precondition(&request);
    let rt = of.resource_type();
    let id = parse_id(&rt, id.into_inner())?;
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    provision::delete(&shared.service, &caller.context, target).await?;
    Ok(responses::no_content())
}

/// A text that cannot be an id names nothing, so the answer is 404 and not 400.
pub(in crate::http) fn parse_id(
    rt: &Arc<ResourceType>,
    text: String,
) -> Result<ResourceId, service::Error> {
    ResourceId::parse(&text).ok_or_else(|| service::Error::NotFound(format!("{} {text}", rt.name)))
}
