//! Groups for applications that do not speak SCIM: plain JSON with an entity tag.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, Data, Path};
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::Scope;
use crate::http::describe::schema::string;
use crate::http::describe::tag;
use crate::http::directory::common::{
    AT, GROUP, GROUP_ID, LIMIT, NESTED, TAGS, USER_ID, ada, depth, limit, moment, not_modified,
    parse_id, tagged, tagged_json,
};
use crate::http::directory::users::{User, Users};
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::memory::Held;
use crate::service;
use crate::service::ResourceId;
use crate::service::feed::history;
use crate::service::query::directory;
use crate::service::query::directory::{GroupSummary, MembersRequest};

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/groups",
        handler: || web::to(groups),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[DISPLAY_NAME, LIMIT, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                let found = json!({ "groups": [surveyors()] });
                tagged_json::<Groups>(describer, "The groups.", found)
            }),
            (304, not_modified),
        ],
        errors: &[],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "findGroups",
            summary: "Find groups by name",
            description: "Names match in any letter case.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/groups/{id}",
        handler: || web::to(group),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[GROUP, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                tagged_json::<GroupSummary>(describer, "The group.", surveyors())
            }),
            (304, not_modified),
        ],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "getDirectoryGroup",
            summary: "Read a group",
            description: "Without its members.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/groups/{id}/members",
        handler: || web::to(members),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[GROUP, NESTED, AT, AFTER, LIMIT, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                let page = json!({ "users": [ada()], "next": USER_ID });
                tagged_json::<Users>(describer, "The members.", page)
            }),
            (304, not_modified),
        ],
        errors: &[404, 410],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "listActiveMembers",
            summary: "List the active members of a group",
            description: "The users in the group whose `active` is true, by id.",
        }),
    },
];

const DISPLAY_NAME: Parameter =
    Parameter::query("displayName", "The whole name of the group.", |_| {
        string().min_length(Some(1))
    })
    .required();

const AFTER: Parameter = Parameter::query(
    "after",
    "`next` of the previous page; the first page if it is left out.",
    |_| string(),
);

fn surveyors() -> Value {
    json!({ "id": GROUP_ID, "displayName": "Surveyors" })
}

/// Groups.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryGroups)]
pub struct Groups {
    pub groups: Vec<GroupSummary>,
}

/// `GET /directory/v1/groups`.
async fn groups(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request);
    let name = query.get("displayName").ok_or_else(|| {
        service::Error::BadRequest("Name the group: `displayName=` is missing.".to_owned())
    })?;
    let (name, limit) = (name.to_owned(), limit(&query)?);
    let groups = directory::groups(&shared.service, &caller.context, name, limit).await?;
    tagged(&request, Held::small(Groups { groups }))
}

/// `GET /directory/v1/groups/{id}`.
async fn group(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    let id = parse_id("Group", &id)?;
    let found = directory::group(&shared.service, &caller.context, id).await?;
    tagged(&request, Held::small(found))
}

/// `GET /directory/v1/groups/{id}/members`.
async fn members(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    let query = Query::of(&request);
    let (id, depth, limit) = (parse_id("Group", &id)?, depth(&query)?, limit(&query)?);
    let after = query.get("after").and_then(ResourceId::parse);
    let (service, context) = (&shared.service, &caller.context);
    let wanted = MembersRequest {
        id,
        depth,
        after,
        limit,
    };
    let page = match moment(&query)? {
        None => directory::members_of(service, context, wanted).await?,
        Some(at) => history::members_at(service, context, wanted, at).await?,
    };
    let users = page.map(|page| Users {
        users: page.people.iter().map(User::from).collect(),
        next: page.next,
    });
    tagged(&request, users)
}
