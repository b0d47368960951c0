//! `/Me` (RFC 7644 section 3.11): the caller's own user, worked on directly, with `Location` as its lasting address.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::error::ApiError;
use crate::http::scim::resources;
use crate::http::scim::resources::Endpoint;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::me;

type Answer = Result<HttpResponse, ApiError>;

/// `GET /Me`: for `read` and `scim`.
pub async fn get(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let (of, id) = find(&caller, &shared).await?;
    let of = of.into_inner();
    let id = resources::parse_id(&of.0, id.into_inner())?;
    resources::read(&request, &caller, &of.0, &shared, id).await
}

/// `PUT /Me`: for `scim`.
pub async fn replace(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let (of, id) = find(&caller, &shared).await?;
    resources::replace(request, caller, of, shared, id, payload).await
}

/// `PATCH /Me`: for `scim`.
pub async fn patch(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let (of, id) = find(&caller, &shared).await?;
    resources::patch(request, caller, of, shared, id, payload).await
}

/// `DELETE /Me`: for `scim`.
pub async fn delete(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let (of, id) = find(&caller, &shared).await?;
    resources::delete(request, caller, of, shared, id).await
}

/// The path that the caller could have used.
async fn find(
    caller: &Caller,
    shared: &AppState,
) -> Result<(Data<Endpoint>, Path<String>), ApiError> {
    let service = &shared.service;
    let by = service.options.scim.me.ok_or(ApiError::SwitchedOff("me"))?;
    let users = service.registry.by_name("User");
    let users = users.ok_or_else(|| service::Error::internal("there are no users"))?;
    let id = me::find(service, &caller.context, by).await?;
    let endpoint = Data::new(Endpoint(Arc::clone(users)));
    Ok((endpoint, Path::from(id.into_string())))
}
