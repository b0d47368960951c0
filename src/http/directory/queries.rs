//! Users and groups for applications that do not speak SCIM: plain JSON, and an entity tag on every answer.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::http::error::ApiError;
use crate::http::json_body;
use crate::http::query::Query;
use crate::http::state::{AppState, Caller};
use crate::service;
use crate::service::ResourceId;
use crate::service::feed::history;
use crate::service::query::directory;
use crate::service::query::directory::{
    Depth, Entry, GroupMember, GroupSummary, Key, MOST, MembersRequest, Pair, Person,
};

type Answer = Result<HttpResponse, ApiError>;

/// A user. What is not known, or what the caller may not read, is left out.
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
    pub emails: Vec<Contact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phone_numbers: Vec<Contact>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_modified: Timestamp,
}

/// An e-mail address or a phone number.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryContact)]
pub struct Contact {
    pub value: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub primary: bool,
}

/// Users, and where the next page starts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryUsers)]
pub struct Users {
    pub users: Vec<User>,
    /// What to send as `after`; null at the end.
    pub next: Option<String>,
}

/// A group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryGroup)]
pub struct Group {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// Groups.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryGroups)]
pub struct Groups {
    pub groups: Vec<Group>,
}

/// A group that a user is in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryUserGroup)]
pub struct UserGroup {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// False where the user is in it through another group only.
    pub direct: bool,
}

/// The groups of a user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryUserGroups)]
pub struct UserGroups {
    pub groups: Vec<UserGroup>,
}

/// Whether a user is in a group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryMembership)]
pub struct Membership {
    pub user: String,
    pub group: String,
    pub member: bool,
    /// False where the user is in it through another group only.
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

/// One answer for each check, in order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DirectoryMemberships)]
pub struct Memberships {
    pub memberships: Vec<Membership>,
}

/// `GET /directory/v1/users`: for `read` and `scim`.
pub async fn users(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let known = ["userName", "email", "externalId", "prefix", "limit"];
    let query = Query::only(&request, &known)?;
    let (key, limit) = (key(&query)?, limit(&query)?);
    let found = directory::users(&shared.service, &caller.context, key, limit).await?;
    let users = found.iter().map(User::from).collect();
    tagged(&request, &Users { users, next: None })
}

/// `GET /directory/v1/users/{id}`: for `read` and `scim`.
pub async fn user(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    let at = moment(&Query::only(&request, &["at"])?)?;
    let id = parse_id("User", &id)?;
    let (service, context) = (&shared.service, &caller.context);
    let found = match at {
        None => directory::user(service, context, id).await?,
        Some(at) => history::user_at(service, context, id, at).await?,
    };
    tagged(&request, &User::from(&found))
}

/// `GET /directory/v1/users/{id}/groups`: for `read` and `scim`.
pub async fn groups_of(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    let depth = depth(&Query::only(&request, &["nested"])?)?;
    let id = parse_id("User", &id)?;
    let found = directory::groups_of(&shared.service, &caller.context, id, depth).await?;
    let groups = found.into_iter().map(UserGroup::from).collect();
    tagged(&request, &UserGroups { groups })
}

/// `GET /directory/v1/groups`: for `read` and `scim`.
pub async fn groups(request: HttpRequest, caller: Caller, shared: Data<AppState>) -> Answer {
    let query = Query::only(&request, &["displayName", "limit"])?;
    let name = query.get("displayName").ok_or_else(|| {
        service::Error::BadRequest("Name the group: `displayName=` is missing.".to_owned())
    })?;
    let (name, limit) = (name.to_owned(), limit(&query)?);
    let found = directory::groups(&shared.service, &caller.context, name, limit).await?;
    let groups = found.into_iter().map(Group::from).collect();
    tagged(&request, &Groups { groups })
}

/// `GET /directory/v1/groups/{id}`: for `read` and `scim`.
pub async fn group(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    Query::only(&request, &[])?;
    let id = parse_id("Group", &id)?;
    let found = directory::group(&shared.service, &caller.context, id).await?;
    tagged(&request, &Group::from(found))
}

/// `GET /directory/v1/groups/{id}/members`: for `read` and `scim`.
pub async fn members(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    id: Path<String>,
) -> Answer {
    let query = Query::only(&request, &["nested", "limit", "after", "at"])?;
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
    let users = page.people.iter().map(User::from).collect();
    let next = page.next;
    tagged(&request, &Users { users, next })
}

/// `GET /directory/v1/groups/{id}/members/{user}`: for `read` and `scim`.
pub async fn membership(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    path: Path<(String, String)>,
) -> Answer {
    Query::only(&request, &[])?;
    let (group, user) = path.into_inner();
    let checks = vec![Check { user, group }];
    let mut found = check_all(&caller, &shared, checks).await?;
    let one = found
        .pop()
        .ok_or_else(|| service::Error::internal("no answer"))?;
    tagged(&request, &one)
}

/// `POST /directory/v1/memberships`: for `read` and `scim`; it writes nothing.
pub async fn memberships(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Answer {
    let wish: Checks = json_body::typed(&request, payload, shared.body_limits).await?;
    let memberships = check_all(&caller, &shared, wish.checks).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, PRIVATE))
        .json(Memberships { memberships }))
}

async fn check_all(
    caller: &Caller,
    shared: &AppState,
    checks: Vec<Check>,
) -> Result<Vec<Membership>, ApiError> {
    // A text that cannot be an id names nobody, so it is answered like any unknown one.
    let id = |text: &str| ResourceId::parse(text).or_else(|| ResourceId::parse("-"));
    let pairs: Vec<Pair> = checks
        .iter()
        .filter_map(|check| {
            let (user, group) = (id(&check.user)?, id(&check.group)?);
            Some(Pair { user, group })
        })
        .collect();
    let found = directory::check(&shared.service, &caller.context, pairs).await?;
    let answer = |(check, found): (Check, directory::Membership)| Membership {
        user: check.user,
        group: check.group,
        member: found.member,
        direct: found.direct,
    };
    Ok(checks.into_iter().zip(found).map(answer).collect())
}

/// May be kept by the client and by nobody else, and is asked about again before it is used.
const PRIVATE: &str = "private, no-cache";

/// The answer with its tag, or 304 where the client has it already (RFC 9110 section 13.1.2).
pub fn tagged(request: &HttpRequest, answer: &impl Serialize) -> Answer {
    let body = serde_json::to_string(answer).map_err(service::Error::internal)?;
    let digest = Sha256::digest(body.as_bytes());
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{hex}\"");
    let has_it = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == "*" || one == tag);
    let mut response = HttpResponse::build(if has_it {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    });
    response
        .insert_header((CACHE_CONTROL, PRIVATE))
        .insert_header((ETAG, tag));
    Ok(if has_it {
        response.finish()
    } else {
        response.content_type("application/json").body(body)
    })
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

fn limit(query: &Query) -> Result<u32, service::Error> {
    let Some(text) = query.get("limit") else {
        return Ok(100);
    };
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| {
        service::Error::BadRequest(format!("`limit` is a whole number from 1 to {MOST}."))
    })
}

/// The moment that is asked about: now where none is named.
fn moment(query: &Query) -> Result<Option<Timestamp>, service::Error> {
    if !query.has("at") {
        return Ok(None);
    }
    let moment = query.get("at").and_then(|text| text.parse().ok());
    moment.map(Some).ok_or_else(|| {
        let text = "`at` is a moment such as 2026-03-01T08:00:00Z.";
        service::Error::BadRequest(text.to_owned())
    })
}

fn depth(query: &Query) -> Result<Depth, service::Error> {
    match query.get("nested") {
        None | Some("true") => Ok(Depth::Nested),
        Some("false") => Ok(Depth::Direct),
        Some(_) => Err(service::Error::BadRequest(
            "`nested` is true or false.".to_owned(),
        )),
    }
}

/// A text that cannot be an id names nothing, so the answer is 404 and not 400.
pub fn parse_id(what: &str, text: &str) -> Result<ResourceId, service::Error> {
    ResourceId::parse(text).ok_or_else(|| service::Error::NotFound(format!("{what} {text}")))
}

impl From<&Person> for User {
    fn from(person: &Person) -> Self {
        let contacts = |name| person.values(name).into_iter().map(Contact::from).collect();
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
            emails: contacts("emails"),
            phone_numbers: contacts("phoneNumbers"),
            created: person.created,
            last_modified: person.modified,
        }
    }
}

impl From<Entry> for Contact {
    fn from(entry: Entry) -> Self {
        Self {
            value: entry.value,
            kind: entry.kind,
            primary: entry.primary,
        }
    }
}

impl From<GroupSummary> for Group {
    fn from(team: GroupSummary) -> Self {
        Self {
            id: team.id,
            display_name: team.display_name,
            external_id: team.external_id,
        }
    }
}

impl From<GroupMember> for UserGroup {
    fn from(team: GroupMember) -> Self {
        Self {
            id: team.id,
            display_name: team.display_name,
            direct: team.direct,
        }
    }
}
