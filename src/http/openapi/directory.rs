//! The operations of `/directory/v1`.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Components, RefOr, Required};

use crate::http::directory;
use crate::http::openapi::answer::{self, BODY, GUARDED, JSON};
use crate::http::openapi::schema::{integer, string};
use crate::http::openapi::tag;
use crate::http::respond::SCIM_JSON;
use crate::service::directory::MOST;

const ID: &str = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";
const GROUP: &str = "0199f3a2-9d07-7f31-b6a0-51c8e2d4f960";

/// The schemas of what the operations here take and answer.
pub fn register(mut components: Components) -> Components {
    let mut typed: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<directory::User>(&mut typed);
    add::<directory::Users>(&mut typed);
    add::<directory::Group>(&mut typed);
    add::<directory::Groups>(&mut typed);
    add::<directory::UserGroups>(&mut typed);
    add::<directory::Membership>(&mut typed);
    add::<directory::Memberships>(&mut typed);
    add::<directory::Checks>(&mut typed);
    components.schemas.extend(typed);
    components
}

/// A type and the types in it.
pub fn add<T: utoipa::ToSchema>(typed: &mut Vec<(String, RefOr<Schema>)>) {
    typed.push((T::name().into_owned(), T::schema()));
    T::schemas(typed);
}

/// Every path here with its operations.
pub fn paths() -> Vec<(String, PathItem)> {
    let path = |path: &str, item: PathItem| (format!("/directory/v1{path}"), item);
    vec![
        path("/users", users()),
        path("/users/{id}", user()),
        path("/users/{id}/groups", groups_of()),
        path("/groups", groups()),
        path("/groups/{id}", group()),
        path("/groups/{id}/members", members()),
        path("/groups/{id}/members/{user}", membership()),
        path("/memberships", memberships()),
    ]
}

fn users() -> PathItem {
    let query = |name: &str, text: &str| query(name, text, string().min_length(Some(1)));
    let operation = operation(
        "findUsers",
        "Find users",
        "By exactly one of `userName`, `email`, `externalId` and `prefix`. E-mails and user names are compared \
         whatever their letter case. Needs the scope `read`, and that the token may read what it asks by.",
    )
    .parameter(query("userName", "The user name."))
    .parameter(query("email", "One of the e-mail addresses."))
    .parameter(query("externalId", "The id at the identity provider."))
    .parameter(query(
        "prefix",
        "The beginning of a user name, display name, given or family name, or e-mail: the first by its order.",
    ))
    .parameter(limit());
    let example = json!({ "users": [ada()], "next": null });
    get(found(operation, "DirectoryUsers", example), &[400])
}

fn user() -> PathItem {
    let operation = operation(
        "getDirectoryUser",
        "Read a user",
        "Plain JSON, without SCIM's envelope. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The user's id."));
    get(found(operation, "DirectoryUser", ada()), &[404])
}

fn groups_of() -> PathItem {
    let operation = operation(
        "listGroupsOfUser",
        "List the groups of a user",
        "The groups that the user is in, directly and through other groups. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The user's id."))
    .parameter(nested());
    let example =
        json!({ "groups": [{ "id": GROUP, "displayName": "Surveyors", "direct": true }] });
    get(
        found(operation, "DirectoryUserGroups", example),
        &[400, 404],
    )
}

fn groups() -> PathItem {
    let name = string().min_length(Some(1));
    let operation = operation(
        "findGroups",
        "Find groups by name",
        "Whatever the letter case. Needs the scope `read`.",
    )
    .parameter(query("displayName", "The whole name of the group.", name).required(Required::True))
    .parameter(limit());
    let example = json!({ "groups": [surveyors()] });
    get(found(operation, "DirectoryGroups", example), &[400])
}

fn group() -> PathItem {
    let operation = operation(
        "getDirectoryGroup",
        "Read a group",
        "Without its members. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The group's id."));
    get(found(operation, "DirectoryGroup", surveyors()), &[404])
}

fn members() -> PathItem {
    let operation = operation(
        "listActiveMembers",
        "List the active members of a group",
        "The users in the group that are not inactive, by id. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The group's id."))
    .parameter(nested())
    .parameter(query(
        "after",
        "`next` of the page before; the first page where it is left out.",
        string(),
    ))
    .parameter(limit());
    let example = json!({ "users": [ada()], "next": ID });
    get(found(operation, "DirectoryUsers", example), &[400, 404])
}

fn membership() -> PathItem {
    let operation = operation(
        "checkMembership",
        "Ask whether a user is in a group",
        "Directly or through other groups. Nobody is in a group that does not exist. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The group's id."))
    .parameter(in_path("user", "The user's id."));
    get(found(operation, "DirectoryMembership", is_in()), &[])
}

fn memberships() -> PathItem {
    let checks = json!({ "checks": [{ "user": ID, "group": GROUP }] });
    let content = answer::scim("DirectoryChecks", Some(checks));
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content(JSON, content.clone())
        .content(SCIM_JSON, content)
        .build();
    let example = json!({ "memberships": [is_in()] });
    let operation = operation(
        "checkMemberships",
        "Ask whether users are in groups",
        "At most 200 pairs; one answer for each, in order. It writes nothing. Needs the scope `read`.",
    )
    .request_body(Some(body))
    .response(
        "200",
        ResponseBuilder::new()
            .description("The answers.")
            .content(JSON, answer::scim("DirectoryMemberships", Some(example)))
            .build(),
    );
    let faults = [&GUARDED[..], &BODY].concat();
    PathItem::new(HttpMethod::Post, answer::errors(operation, &faults))
}

fn operation(id: &str, summary: &str, description: &str) -> OperationBuilder {
    OperationBuilder::new()
        .tag(tag::DIRECTORY)
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description))
}

/// 200 with a body and its tag, or 304.
fn found(operation: OperationBuilder, schema: &str, example: Value) -> OperationBuilder {
    let tag = || {
        HeaderBuilder::new()
            .schema(Some(string()))
            .description(Some("What to send as `If-None-Match`."))
            .build()
    };
    let whole = ResponseBuilder::new()
        .description("Here it is.")
        .content(JSON, answer::scim(schema, Some(example)))
        .header("ETag", tag())
        .build();
    let same: Response = ResponseBuilder::new()
        .description("It is what the client has already.")
        .header("ETag", tag())
        .build();
    let has = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The tags of what the client has."))
        .schema(Some(string()));
    operation
        .parameter(has)
        .response("200", whole)
        .response("304", same)
}

fn get(operation: OperationBuilder, faults: &[u16]) -> PathItem {
    PathItem::new(
        HttpMethod::Get,
        answer::errors(operation, &[faults, &GUARDED[..]].concat()),
    )
}

fn query(name: &str, text: &str, schema: ObjectBuilder) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema))
}

fn in_path(name: &str, text: &str) -> ParameterBuilder {
    query(name, text, string().min_length(Some(1)))
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
}

fn limit() -> ParameterBuilder {
    query(
        "limit",
        "How many at most; 100 where it is left out.",
        integer().minimum(Some(1_u32)).maximum(Some(MOST)),
    )
}

fn nested() -> ParameterBuilder {
    query(
        "nested",
        "Whether groups within groups count; they do where it is left out.",
        ObjectBuilder::new().schema_type(Type::Boolean),
    )
}

fn ada() -> Value {
    json!({
        "id": ID,
        "userName": "ada@example.com",
        "externalId": "00u1a2b3c4D5e6F7g8h9",
        "active": true,
        "displayName": "Ada Byron",
        "givenName": "Ada",
        "familyName": "Byron",
        "department": "Engines",
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }],
        "created": "2026-03-01T08:00:00Z",
        "lastModified": "2026-03-01T08:00:00Z",
    })
}

fn surveyors() -> Value {
    json!({ "id": GROUP, "displayName": "Surveyors" })
}

fn is_in() -> Value {
    json!({ "user": ID, "group": GROUP, "member": true, "direct": true })
}
