//! The operations of `/directory/v1`.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Components, ContentBuilder, RefOr, Required};

use crate::http::directory::{feed, queries};
use crate::http::openapi::answer::{self, BODY, GUARDED, JSON};
use crate::http::openapi::schema::{integer, string};
use crate::http::openapi::tag;
use crate::http::scim::responses::SCIM_JSON;
use crate::service::feed::MOST as MOST_CHANGES;
use crate::service::query::directory::MOST;

const ID: &str = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";
const GROUP: &str = "0199f3a2-9d07-7f31-b6a0-51c8e2d4f960";

/// The schemas of what the operations here take and answer.
pub fn register(mut components: Components) -> Components {
    let mut typed: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<queries::User>(&mut typed);
    add::<queries::Users>(&mut typed);
    add::<queries::Group>(&mut typed);
    add::<queries::Groups>(&mut typed);
    add::<queries::UserGroups>(&mut typed);
    add::<queries::Membership>(&mut typed);
    add::<queries::Memberships>(&mut typed);
    add::<queries::Checks>(&mut typed);
    add::<feed::FeedPage>(&mut typed);
    add::<feed::FeedHistory>(&mut typed);
    add::<feed::FeedSnapshot>(&mut typed);
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
        path("/users/{id}/history", history("User")),
        path("/groups/{id}/history", history("Group")),
        path("/changes", changes()),
        path("/changes/stream", stream()),
        path("/snapshot", snapshot()),
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
    .parameter(in_path("id", "The user's id."))
    .parameter(at());
    get(found(operation, "DirectoryUser", ada()), &[400, 404, 410])
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
        "The users in the group whose `active` is true, by id. Needs the scope `read`.",
    )
    .parameter(in_path("id", "The group's id."))
    .parameter(nested())
    .parameter(at())
    .parameter(query(
        "after",
        "`next` of the page before; the first page where it is left out.",
        string(),
    ))
    .parameter(limit());
    let example = json!({ "users": [ada()], "next": ID });
    get(
        found(operation, "DirectoryUsers", example),
        &[400, 404, 410],
    )
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

fn history(what: &str) -> PathItem {
    let operation = operation(
        &format!("listHistoryOf{what}"),
        "Read what happened to one resource",
        "The latest first, and who did it; also of one that is deleted, as far back as changes are kept. Needs the \
         scope `read`.",
    )
    .parameter(in_path("id", "The resource's id."))
    .parameter(query(
        "before",
        "`next` of the page before: only changes with lower numbers.",
        integer().minimum(Some(1_u32)),
    ))
    .parameter(limit());
    let activated = json!({
        "seq": 13, "kind": "activated", "type": what, "id": ID, "at": "2026-03-01T08:00:02Z", "actor": "token:okta",
        "attributes": [{ "path": "active", "before": false, "after": true }],
    });
    let example = json!({ "changes": [activated], "next": null });
    get(answered(operation, "FeedPast", example), &[400, 404])
}

fn changes() -> PathItem {
    let operation = filtered(operation(
        "listChanges",
        "Read changes",
        "What happened in the tenant, in order, numbered without gaps. Needs the scope `read`; what the token may not \
         read is not there.",
    ))
    .parameter(query(
        "limit",
        "How many at most; 100 where it is left out.",
        integer().minimum(Some(1_u32)).maximum(Some(MOST_CHANGES)),
    ))
    .parameter(query(
        "wait",
        "Where there is no change yet, how many seconds to wait for one.",
        integer().minimum(Some(0_u32)).maximum(Some(60_u32)),
    ));
    let joined = json!({
        "seq": 12, "kind": "member_added", "type": "Group", "id": GROUP, "at": "2026-03-01T08:00:01Z",
        "actor": "token:okta", "members": [ID],
    });
    let renamed = json!({
        "seq": 13, "kind": "updated", "type": "User", "id": ID, "at": "2026-03-01T08:00:02Z", "actor": "token:okta",
        "attributes": [{ "path": "title", "before": null, "after": "Countess" }],
    });
    let example = json!({ "changes": [joined, renamed], "next": 13, "last": 13 });
    get(answered(operation, "FeedPage", example), &[400, 410])
}

fn stream() -> PathItem {
    let text = "retry: 1000\nid: 12\n\nid: 13\nevent: updated\ndata: {\"seq\":13,\"kind\":\"updated\"}\n\n";
    // Some tools hold each event to the schema, others the text.
    let events = ContentBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(SchemaType::AnyValue)))
        .example(Some(json!(text)));
    let operation = filtered(operation(
        "streamChanges",
        "Hear of changes as they happen",
        "Server-Sent Events without an end: the id is the number, the event the kind, the data a change as in the \
         list. Without `after` and `Last-Event-ID` it begins with the next change. It ends when the token does. Needs \
         the scope `read`.",
    ))
    .parameter(
        query(
            "Last-Event-ID",
            "The number of the last change that the client has; counts before `after`.",
            integer().minimum(Some(0_u32)),
        )
        .parameter_in(ParameterIn::Header),
    )
    .response(
        "200",
        ResponseBuilder::new()
            .description("The changes, as they happen.")
            .content("text/event-stream", events.build())
            .build(),
    );
    get(operation, &[400, 410])
}

fn snapshot() -> PathItem {
    let operation = operation(
        "readSnapshot",
        "Read everything, to follow the feed from there",
        "Page by page all resources, then all members of groups. Every page has the same `seq`: whoever has read them \
         all and then applies every change behind that number has missed nothing. Needs the scope `read`.",
    )
    .parameter(query(
        "cursor",
        "`next` of the page before; the first page where it is left out.",
        string(),
    ))
    .parameter(query(
        "limit",
        "How many resources or members at most; 100 where it is left out.",
        integer().minimum(Some(1_u32)).maximum(Some(MOST_CHANGES)),
    ));
    let user = json!({ "id": ID, "type": "User", "resource": { "id": ID, "userName": "ada@example.com" } });
    let example = json!({
        "seq": 13, "resources": [user], "members": [{ "group": GROUP, "member": ID, "type": "User" }], "next": null,
    });
    get(answered(operation, "FeedSnapshot", example), &[400, 410])
}

/// The parameters that choose among changes.
fn filtered(operation: OperationBuilder) -> OperationBuilder {
    operation
        .parameter(query(
            "after",
            "The number of the last change that the client has; 0 begins with the first.",
            integer().minimum(Some(0_u32)),
        ))
        .parameter(query(
            "kind",
            "Only these kinds, separated by commas: `created`, `updated`, `activated`, `deactivated`, `deleted`, \
             `member_added`, `member_removed`, `member_skipped`, `erased`. The last is told in any case: whoever keeps \
             values that came by the other kinds shall drop them.",
            string(),
        ))
        .parameter(query(
            "type",
            "Only resources of these types, separated by commas: `User,Group`.",
            string(),
        ))
}

fn answered(operation: OperationBuilder, schema: &str, example: Value) -> OperationBuilder {
    operation.response(
        "200",
        ResponseBuilder::new()
            .description("Here it is.")
            .content(JSON, answer::scim(schema, Some(example)))
            .build(),
    )
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

fn at() -> ParameterBuilder {
    let moment = string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    query(
        "at",
        "A past moment: how it was then. 410 where changes are not kept that long.",
        moment,
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
