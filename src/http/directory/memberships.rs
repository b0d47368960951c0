//! Whether users are in groups, for applications that do not speak SCIM.

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::Scope;
use crate::http::describe::schema::string;
use crate::http::describe::tag;
use crate::http::directory::common::{
    GROUP, GROUP_ID, PRIVATE, TAGS, USER_ID, not_modified, tagged, tagged_json,
};
use crate::http::endpoint::{Accepts, Authorization, Body, Endpoint, Operation, Parameter};
use crate::http::error::{ApiError, HandlerResult};
use crate::http::json_body;
use crate::http::state::{AppState, Caller};
use crate::memory::Held;
use crate::service;
use crate::service::ResourceId;
use crate::service::query::directory;
use crate::service::query::directory::Pair;

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/groups/{id}/members/{user}",
        handler: || web::to(membership),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[GROUP, USER, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                tagged_json::<Membership>(describer, "The membership.", is_member())
            }),
            (304, not_modified),
        ],
        errors: &[],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "checkMembership",
            summary: "Ask whether a user is in a group",
            description: "Directly or through other groups. A group that does not exist has no members.",
        }),
    },
    Endpoint {
        method: Method::POST,
        path: "/directory/v1/memberships",
        handler: || web::to(memberships),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Any,
        parameters: &[],
        body: Some(Body::list(|describer| {
            let checks = json!({ "checks": [{ "user": USER_ID, "group": GROUP_ID }] });
            describer.json_body::<Checks>(checks)
        })),
        responses: &[(200, |describer| {
            let found = json!({ "memberships": [is_member()] });
            describer.json::<Memberships>("The memberships.", found)
        })],
        errors: &[],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "checkMemberships",
            summary: "Ask whether users are in groups",
            description: "At most 200 pairs, with one result for each, in order. Nothing is written.",
        }),
    },
];

const USER: Parameter = Parameter::path("user", "The id of the user.", |_| {
    string().min_length(Some(1))
});

fn is_member() -> Value {
    json!({ "user": USER_ID, "group": GROUP_ID, "member": true, "direct": true })
}

/// Whether a user is in a group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryMembership)]
pub struct Membership {
    pub user: String,
    pub group: String,
    pub member: bool,
    /// False if the user is in it only through another group.
    pub direct: bool,
}

/// Whether users are in groups.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DirectoryChecks)]
pub struct Checks {
    #[schema(max_items = 200)]
    pub checks: Vec<Check>,
}

/// A user and a group, by id.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DirectoryCheck)]
pub struct Check {
    pub user: String,
    pub group: String,
}

/// One result for each check, in order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryMemberships)]
pub struct Memberships {
    pub memberships: Vec<Membership>,
}

/// `GET /directory/v1/groups/{id}/members/{user}`.
async fn membership(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    path: Path<(String, String)>,
) -> HandlerResult {
    let (group, user) = path.into_inner();
    let checks = vec![Check { user, group }];
    let mut found = check_all(&caller, &shared, checks).await?;
    let found = found
        .pop()
        .ok_or_else(|| service::Error::internal("no result"))?;
    tagged(&request, Held::small(found))
}

/// `POST /directory/v1/memberships`: for `read` and `scim`.
async fn memberships(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let body: Checks = json_body::typed(&request, &caller, &shared, payload).await?;
    let memberships = check_all(&caller, &shared, body.checks).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, PRIVATE))
        .json(Memberships { memberships }))
}

async fn check_all(
    caller: &Caller,
    shared: &AppState,
    checks: Vec<Check>,
) -> Result<Vec<Membership>, ApiError> {
    // A malformed id is treated like any unknown one.
    let id = |text: &str| ResourceId::parse(text).or_else(|| ResourceId::parse("-"));
    let pairs: Vec<Pair> = checks
        .iter()
        .filter_map(|check| {
            let (user, group) = (id(&check.user)?, id(&check.group)?);
            Some(Pair { user, group })
        })
        .collect();
    let found = directory::check(&shared.service, &caller.context, pairs).await?;
    let membership = |(check, found): (Check, directory::Membership)| Membership {
        user: check.user,
        group: check.group,
        member: found.member,
        direct: found.direct,
    };
    Ok(checks.into_iter().zip(found).map(membership).collect())
}
