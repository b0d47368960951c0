//! Users for applications that do not speak SCIM: plain JSON with an entity tag.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, Data, Path};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::Scope;
use crate::http::describe::schema::string;
use crate::http::describe::tag;
use crate::http::directory::common::{
    AT, GROUP_ID, LIMIT, NESTED, TAGS, USER, ada, depth, limit, moment, not_modified, parse_id,
    tagged, tagged_json,
};
use crate::http::endpoint::{Accepts, Authorization, Endpoint, Operation, Parameter};
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::feed::history;
use crate::service::query::directory;
use crate::service::query::directory::{Entry, GroupMember, Key, Person};

/// The endpoints.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/users",
        handler: || web::to(users),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[USER_NAME, EMAIL, EXTERNAL_ID, PREFIX, LIMIT, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                let found = json!({ "users": [ada()], "next": null });
                tagged_json::<Users>(describer, "The users.", found)
            }),
            (304, not_modified),
        ],
        errors: &[],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "findUsers",
            summary: "Find users",
            description: "By exactly one of `userName`, `email`, `externalId` and `prefix`. E-mail addresses \
                          and user names match in any letter case. The token must be allowed to read \
                          the attribute.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/users/{id}",
        handler: || web::to(user),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[USER, AT, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                tagged_json::<User>(describer, "The user.", ada())
            }),
            (304, not_modified),
        ],
        errors: &[404, 410],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "getDirectoryUser",
            summary: "Read a user",
            description: "Plain JSON, without SCIM's envelope.",
        }),
    },
    Endpoint {
        method: Method::GET,
        path: "/directory/v1/users/{id}/groups",
        handler: || web::to(groups_of),
        authorization: Authorization::Scope(Scope::Read),
        accepts: Accepts::Declared,
        parameters: &[USER, NESTED, TAGS],
        body: None,
        responses: &[
            (200, |describer| {
                tagged_json::<UserGroups>(describer, "The groups.", surveyors())
            }),
            (304, not_modified),
        ],
        errors: &[404],
        operation: Some(Operation {
            tag: tag::DIRECTORY,
            id: "listGroupsOfUser",
            summary: "List the groups of a user",
            description: "The groups that the user is in, directly and through other groups.",
        }),
    },
];

// An empty value counts as left out, as everywhere.
const USER_NAME: Parameter = Parameter::query("userName", "The user name.", |_| string());

const EMAIL: Parameter = Parameter::query("email", "One of the e-mail addresses.", |_| string());

const EXTERNAL_ID: Parameter =
    Parameter::query("externalId", "The id at the identity provider.", |_| {
        string()
    });

const PREFIX: Parameter = Parameter::query(
    "prefix",
    "The beginning of a user name, display name, given or family name, or e-mail address. The first \
     matches in their order are returned.",
    |_| string(),
);

fn surveyors() -> Value {
    json!({ "groups": [{ "id": GROUP_ID, "displayName": "Surveyors", "direct": true }] })
}

/// A user, without the attributes that are unassigned or that the caller may not read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryUser)]
pub struct User {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// The id of the manager, as the identity provider sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phone_numbers: Vec<Entry>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Left out if the token has `fields` without `meta.lastModified`.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
}

/// A page of users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryUsers)]
pub struct Users {
    pub users: Vec<User>,
    /// The `after` of the next page; null on the last one.
    pub next: Option<String>,
}

/// The groups of a user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryUserGroups)]
pub struct UserGroups {
    pub groups: Vec<GroupMember>,
}

/// `GET /directory/v1/users`.
async fn users(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> HandlerResult {
    let query = Query::of(&request);
    let (key, limit) = (key(&query)?, limit(&query)?);
    let found = directory::users(&shared.service, &caller.context, key, limit).await?;
    let users = found.map(|people| Users {
        users: people.iter().map(User::from).collect(),
        next: None,
    });
    tagged(&request, users)
}

/// `GET /directory/v1/users/{id}`.
async fn user(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    let at = moment(&Query::of(&request))?;
    let id = parse_id("User", &id)?;
    let (service, context) = (&shared.service, &caller.context);
    let found = match at {
        None => directory::user(service, context, id).await?,
        Some(at) => history::user_at(service, context, id, at).await?,
    };
    tagged(&request, found.map(|person| User::from(&person)))
}

/// `GET /directory/v1/users/{id}/groups`.
async fn groups_of(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> HandlerResult {
    let depth = depth(&Query::of(&request))?;
    let id = parse_id("User", &id)?;
    let groups = directory::groups_of(&shared.service, &caller.context, id, depth).await?;
    tagged(&request, groups.map(|groups| UserGroups { groups }))
}

fn key(query: &Query) -> Result<Key, service::Error> {
    let text = |name| query.get(name).map(str::to_owned);
    let keys = [
        text("userName").map(Key::UserName),
        text("email").map(Key::Email),
        text("externalId").map(Key::ExternalId),
        text("prefix").map(Key::Prefix),
    ];
    let mut given = keys.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(service::Error::BadRequest(
            "Ask by one of `userName=`, `email=`, `externalId=` and `prefix=`.".to_owned(),
        )),
    }
}

impl From<&Person> for User {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.clone(),
            user_name: person.text("userName"),
            external_id: person.text("externalId"),
            active: person.active(),
            display_name: person.text("displayName"),
            given_name: person.inner("name", "givenName"),
            family_name: person.inner("name", "familyName"),
            title: person.text("title"),
            department: person.work("department"),
            employee_number: person.work("employeeNumber"),
            manager_id: person.manager(),
            emails: person.values("emails"),
            phone_numbers: person.values("phoneNumbers"),
            created: person.created,
            last_modified: person.modified,
        }
    }
}
