//! `/Me` (RFC 7644 section 3.11): the caller's own user. The server acts on it directly, and
//! `Location` has its permanent address.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, Data, Payload};
use utoipa::openapi::response::Response;

use crate::auth::Scope;
use crate::http::describe::describer::Describer;
use crate::http::describe::{resources as described, response, tag};
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation};
use crate::http::error::{ApiError, HandlerResult};
use crate::http::scim::parameters::{
    ATTRIBUTES, EXCLUDED_ATTRIBUTES, IF_MATCH, IF_NONE_MATCH, PREFER,
};
use crate::http::scim::resources;
use crate::http::scim::resources::{ResourcePath, ServedType};
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::access::me;

/// The endpoints of the caller's own user.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/scim/v2/Me",
        handler: || web::to(get),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::ScimQuery,
        parameters: &[ATTRIBUTES, EXCLUDED_ATTRIBUTES, IF_NONE_MATCH, IF_MATCH],
        body: None,
        responses: &[
            (200, described::found),
            (304, described::not_modified),
            (501, switched_off),
        ],
        errors: &[404, 412],
        operation: Some(Operation {
            tag: tag::ME,
            id: "getMe",
            summary: "Read a user: the caller",
            description: "Returns one user.",
        }),
    },
    Endpoint {
        method: Method::PUT,
        path: "/scim/v2/Me",
        handler: || web::to(replace),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: &[
            ATTRIBUTES,
            EXCLUDED_ATTRIBUTES,
            IF_MATCH,
            IF_NONE_MATCH,
            PREFER,
        ],
        body: Some(Body::resource(described::replace_body)),
        responses: &[
            (200, described::replaced),
            (204, described::replaced_without_body),
            (501, switched_off),
        ],
        errors: &[404, 409, 412],
        operation: Some(Operation {
            tag: tag::ME,
            id: "replaceMe",
            summary: "Replace a user: the caller",
            description: "Gives the user the attributes in the body and clears those that the body leaves out.",
        }),
    },
    Endpoint {
        method: Method::PATCH,
        path: "/scim/v2/Me",
        handler: || web::to(patch),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: &[
            ATTRIBUTES,
            EXCLUDED_ATTRIBUTES,
            IF_MATCH,
            IF_NONE_MATCH,
            PREFER,
        ],
        body: Some(Body::resource(described::patch_body)),
        responses: &[
            (200, described::patched),
            (204, described::patched_without_body),
            (501, switched_off),
        ],
        errors: &[404, 409, 412],
        operation: Some(Operation {
            tag: tag::ME,
            id: "patchMe",
            summary: "Change parts of a user: the caller",
            description: resources::PATCH_DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::DELETE,
        path: "/scim/v2/Me",
        handler: || web::to(delete),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: &[IF_MATCH, IF_NONE_MATCH],
        body: None,
        responses: &[(204, described::deleted), (501, switched_off)],
        errors: &[404, 412],
        operation: Some(Operation {
            tag: tag::ME,
            id: "deleteMe",
            summary: "Delete a user: the caller",
            description: "Removes the user for good, also from every group that it is a member of.",
        }),
    },
];

fn switched_off(_describer: &mut Describer<'_>) -> Response {
    response::error(
        501,
        "The operator has switched this off.",
        "The operator of this service has switched this off, by the setting `me`.",
    )
}

/// `GET /Me`.
async fn get(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let own = find(&caller, &shared).await?;
    let rt = &own.served.0;
    let id = resources::parse_id(rt, own.id)?;
    resources::read(&request, &caller, rt, &shared, id).await
}

/// `PUT /Me`.
async fn replace(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let own = find(&caller, &shared).await?;
    resources::replace(request, caller, own, shared, payload).await
}

/// `PATCH /Me`.
async fn patch(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let own = find(&caller, &shared).await?;
    resources::patch(request, caller, own, shared, payload).await
}

/// `DELETE /Me`.
async fn delete(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let own = find(&caller, &shared).await?;
    resources::delete(request, caller, own, shared).await
}

/// Finds the resource that the caller could have named in the path.
async fn find(caller: &Caller, shared: &AppState) -> Result<ResourcePath, ApiError> {
    let service = &shared.service;
    let by = service.options.scim.me.ok_or(ApiError::SwitchedOff("me"))?;
    let users = service.registry.by_name("User");
    let users = users.ok_or_else(|| service::Error::internal("there are no users"))?;
    let id = me::find(service, &caller.context, by).await?;
    Ok(ResourcePath {
        served: Arc::new(ServedType(Arc::clone(users))),
        id: id.into_string(),
    })
}
