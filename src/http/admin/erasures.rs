//! The erasure of a person over HTTP.

use actix_web::http::Method;
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::Scope;
use crate::http::admin::common::timestamp;
use crate::http::describe::tag;
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation};
use crate::http::error::HandlerResult;
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::service::erasure::{self, ErasedCounts, ErasureOutcome};

/// The endpoint.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Method::POST,
    path: "/admin/v1/erasures",
    handler: || web::to(erase),
    authorization: Authorization::Scope(Scope::Admin),
    accepts: Accepts::Any,
    parameters: &[],
    body: Some(Body::message(|describer| {
        describer.json_body::<NewErasure>(json!({ "type": "User", "id": ID }))
    })),
    responses: &[(200, |describer| {
        let erased = json!({
            "type": "User", "id": ID, "seq": 4712, "at": "2026-03-01T08:00:00Z",
            "already": false, "resources": 1, "memberships": 3, "changes": 14, "mentions": 2
        });
        describer.json::<Erasure>("The person is erased.", erased)
    })],
    errors: &[404],
    operation: Some(Operation {
        tag: tag::ADMINISTRATION,
        id: "erase",
        summary: "Erase a person for good",
        description: "Removes the resource, its memberships, and every value of it in the changes; \
                          also of a deleted one. The changes keep their numbers, and a change of the \
                          kind `erased` tells every follower of the feed. `already` marks a repeated \
                          erasure. `rollcall compact` then removes what the files of the database \
                          still hold.",
    }),
}];

const ID: &str = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";

/// A resource to erase for good.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// The caller's own tenant if it is left out.
    pub tenant: Option<String>,
    /// The resource type: `User`, `Group`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The id of an existing or a deleted resource.
    pub id: String,
}

/// The result of an erasure, in numbers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Erasure {
    #[serde(rename = "type")]
    pub resource_type: String,
    pub id: String,
    /// The number of the change that announces the erasure in the feed.
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it had been erased before, so that nothing was left to do.
    pub already: bool,
    /// 1 if the resource still existed, 0 if it had been deleted.
    pub resources: usize,
    pub memberships: usize,
    /// The number of changes that were emptied.
    pub changes: usize,
    /// The number of mentions in records of other resources.
    pub mentions: usize,
}

/// `POST /admin/v1/erasures`.
async fn erase(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let new: NewErasure = json_body::typed(&request, &caller, &shared, payload).await?;
    let (service, context) = (&shared.service, &caller.context);
    let (type_name, id) = (new.resource_type, new.id);
    let erased = erasure::order(service, context, new.tenant, &type_name, &id).await?;
    let found = match erased.tally {
        ErasureOutcome::Nothing => ErasedCounts::default(),
        ErasureOutcome::Found(found) => found,
    };
    Ok(HttpResponse::Ok().json(Erasure {
        resource_type: type_name,
        id,
        seq: erased.seq,
        at: timestamp(erased.at),
        already: erased.tally == ErasureOutcome::Nothing,
        resources: found.resources,
        memberships: found.memberships,
        changes: found.changes,
        mentions: found.mentions,
    }))
}
