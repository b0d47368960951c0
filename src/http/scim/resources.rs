//! The endpoints of every resource type: one set for users, groups and the types that the operator
//! adds.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{FromRequest, HttpRequest, dev};
use scim_core::ResourceType;

use crate::auth::Scope;
use crate::http::describe::resources as described;
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::http::scim::parameters::{
    ATTRIBUTES, EXCLUDED_ATTRIBUTES, ID, IF_MATCH, IF_NONE_MATCH, PREFER,
};
use crate::http::scim::{parameters, preconditions, responses};
use crate::http::state::{AppState, Caller};
use crate::http::{json_body, state};
use crate::service;
use crate::service::provision::WriteTarget;
use crate::service::query::list::TypeFilter;
use crate::service::query::resource::ReadRequest;
use crate::service::query::{list as queries, resource};
use crate::service::{ResourceId, provision};

/// The endpoints of every resource type.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/scim/v2{endpoint}",
        handler: || web::to(list),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::ScimQuery,
        parameters: parameters::LIST,
        body: None,
        responses: &[(200, described::page)],
        errors: &[],
        operation: Some(Operation {
            tag: "{types}",
            id: "list{types}",
            summary: "List {noun}s",
            description: "Returns the {noun}s of the tenant page by page, in the order of their \
                          creation unless `sortBy` names another one. A client that reads all pages \
                          with `cursor`, or with `startIndex` in the order of creation, misses none \
                          that exists from the first page to the last.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/scim/v2{endpoint}",
        handler: || web::to(create),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: &[ATTRIBUTES, EXCLUDED_ATTRIBUTES],
        body: Some(Body::resource(described::create_body)),
        responses: &[(201, described::created)],
        errors: &[409],
        operation: Some(Operation {
            tag: "{types}",
            id: "create{type}",
            summary: "Create a {noun}",
            description: "Adds a {noun} and gives it an `id`. An `active` that the body leaves out \
                          is true, where the type has this attribute. `Prefer: return=minimal` asks \
                          for a response without a body.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/scim/v2{endpoint}/{id}",
        handler: || web::to(get),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::ScimQuery,
        parameters: &[ID, ATTRIBUTES, EXCLUDED_ATTRIBUTES, IF_NONE_MATCH, IF_MATCH],
        body: None,
        responses: &[(200, described::found), (304, described::not_modified)],
        errors: &[404, 412],
        operation: Some(Operation {
            tag: "{types}",
            id: "get{type}",
            summary: "Read a {noun}",
            description: "Returns one {noun}.",
        }),
    },
    Endpoint {
        method: Method::PUT,
        path: "/scim/v2{endpoint}/{id}",
        handler: || web::to(replace),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: WRITE,
        body: Some(Body::resource(described::replace_body)),
        responses: &[
            (200, described::replaced),
            (204, described::replaced_without_body),
        ],
        errors: &[404, 409, 412],
        operation: Some(Operation {
            tag: "{types}",
            id: "replace{type}",
            summary: "Replace a {noun}",
            description: "Gives the {noun} the attributes in the body and clears those that the \
                          body leaves out.",
        }),
    },
    Endpoint {
        method: Method::PATCH,
        path: "/scim/v2{endpoint}/{id}",
        handler: || web::to(patch),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: WRITE,
        body: Some(Body::resource(described::patch_body)),
        responses: &[
            (200, described::patched),
            (204, described::patched_without_body),
        ],
        errors: &[404, 409, 412],
        operation: Some(Operation {
            tag: "{types}",
            id: "patch{type}",
            summary: "Change parts of a {noun}",
            description: PATCH_DESCRIPTION,
        }),
    },
    Endpoint {
        method: Method::DELETE,
        path: "/scim/v2{endpoint}/{id}",
        handler: || web::to(delete),
        authorization: Authorization::Scope(Scope::Scim),
        accepts: Accepts::Any,
        parameters: &[ID, IF_MATCH, IF_NONE_MATCH],
        body: None,
        responses: &[(204, described::deleted)],
        errors: &[404, 412],
        operation: Some(Operation {
            tag: "{types}",
            id: "delete{type}",
            summary: "Delete a {noun}",
            description: "Removes the {noun} for good, also from every group that it is a member of.",
        }),
    },
];

const WRITE: &[Parameter] = &[
    ID,
    ATTRIBUTES,
    EXCLUDED_ATTRIBUTES,
    IF_MATCH,
    IF_NONE_MATCH,
    PREFER,
];

pub(super) const PATCH_DESCRIPTION: &str =
    "Applies the operations in order, all or none. An operation without an effect is not an error.";

/// The resource type of a request's endpoint. Each worker has its own, because workers would
/// contend for the reference count of a shared one.
pub struct ServedType(pub Arc<ResourceType>);

impl ServedType {
    pub fn resource_type(&self) -> Arc<ResourceType> {
        Arc::clone(&self.0)
    }
}

/// The resource that the path of a request names.
pub(super) struct ResourcePath {
    pub served: Arc<ServedType>,
    pub id: String,
}

impl ResourcePath {
    fn resource_type(&self) -> Arc<ResourceType> {
        self.served.resource_type()
    }
}

impl FromRequest for ResourcePath {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let served = Data::<ServedType>::from_request(request, payload).into_inner();
        let id = Path::<String>::from_request(request, payload).into_inner();
        ready(served.and_then(|served| {
            Ok(Self {
                served: served.into_inner(),
                id: id?.into_inner(),
            })
        }))
    }
}

/// `GET /Users`.
async fn list(request: HttpRequest, of: Data<ServedType>, shared: Data<AppState>) -> HandlerResult {
    let (service, rt) = (&shared.service, &of.0);
    let parameters = Query::of(&request);
    let query = parameters.list();
    let cached = state::cached_caller(&request, &parameters, &shared);
    if let (Ok(query), Some(cached)) = (&query, cached)
        && let Some(body) = queries::list_cached(service, &cached, rt, query).await?
    {
        return Ok(responses::scim_held(StatusCode::OK, body));
    }
    let caller = Caller::extract(&request).await?;
    let (query, among) = (query?, TypeFilter::One(of.resource_type()));
    let body = queries::list(service, &caller.context, among, query).await?;
    Ok(responses::scim_held(StatusCode::OK, body))
}

/// `POST /Users`.
async fn create(
    request: HttpRequest,
    caller: Caller,
    of: Data<ServedType>,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let options = preconditions::response_options(&request)?;
    let applied = options.preference();
    let body = json_body::read(&request, &caller, &shared, payload).await?;
    let (service, rt) = (&shared.service, of.resource_type());
    let created = provision::create(service, &caller.context, &rt, body, options).await?;
    Ok(responses::created(created, applied))
}

/// `GET /Users/{id}`.
async fn get(
    request: HttpRequest,
    of: Data<ServedType>,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
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

/// Reads a resource for an authenticated caller.
pub(super) async fn read(
    request: &HttpRequest,
    caller: &Caller,
    rt: &Arc<ResourceType>,
    shared: &AppState,
    id: ResourceId,
) -> HandlerResult {
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

/// `PUT /Users/{id}`.
pub(super) async fn replace(
    request: HttpRequest,
    caller: Caller,
    at: ResourcePath,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let options = preconditions::response_options(&request)?;
    let condition = preconditions::precondition(&request);
    let applied = options.preference();
    let rt = at.resource_type();
    let id = parse_id(&rt, at.id)?;
    let body = json_body::read(&request, &caller, &shared, payload).await?;
    let (service, context) = (&shared.service, &caller.context);
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    let replaced = provision::replace(service, context, target, body, options).await?;
    Ok(responses::changed(replaced, applied))
}

/// `PATCH /Users/{id}`.
pub(super) async fn patch(
    request: HttpRequest,
    caller: Caller,
    at: ResourcePath,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let options = preconditions::response_options(&request)?;
    let condition = preconditions::precondition(&request);
    let applied = options.preference();
    let rt = at.resource_type();
    let id = parse_id(&rt, at.id)?;
    let body = json_body::read(&request, &caller, &shared, payload).await?;
    let (service, context) = (&shared.service, &caller.context);
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    let patched = provision::patch(service, context, target, body, options).await?;
    Ok(responses::changed(patched, applied))
}

/// `DELETE /Users/{id}`.
pub(super) async fn delete(
    request: HttpRequest,
    caller: Caller,
    at: ResourcePath,
    shared: Data<AppState>,
) -> HandlerResult {
    let condition = preconditions::precondition(&request);
    let rt = at.resource_type();
    let id = parse_id(&rt, at.id)?;
    let target = WriteTarget {
        rt,
        id,
        precondition: condition,
    };
    provision::delete(&shared.service, &caller.context, target).await?;
    Ok(responses::no_content())
}

/// Parses an id. A malformed one is not found, like any unknown one, so it is 404 and not 400.
pub(super) fn parse_id(rt: &Arc<ResourceType>, text: String) -> Result<ResourceId, service::Error> {
    ResourceId::parse(&text).ok_or_else(|| service::Error::NotFound(format!("{} {text}", rt.name)))
}
