//! The operations of each resource type.

use scim_core::ResourceType;
use scim_core::registry::ClientAccess;
use scim_core::schema::{Mutability, Uniqueness};
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
    PathItemBuilder,
};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Ref};
use utoipa::openapi::{ContentBuilder, Required};

use crate::http::openapi::answer::{self, BODY, GUARDED_SCIM, JSON};
use crate::http::openapi::example;
use crate::http::openapi::schema::{integer, string};
use crate::http::scim::responses::SCIM_JSON;

/// `/Users`: list and create.
pub fn collection(rt: &ResourceType) -> PathItem {
    let item = PathItemBuilder::new().operation(HttpMethod::Get, list(rt));
    match rt.access {
        ClientAccess::ReadOnly => item.build(),
        ClientAccess::ReadWrite => item.operation(HttpMethod::Post, create(rt)).build(),
    }
}

/// `/Users/{id}`: get, replace, patch and delete.
pub fn single(rt: &ResourceType) -> PathItem {
    let id = ParameterBuilder::new()
        .name("id")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(string().min_length(Some(1))))
        .description(Some("The `id` that the service gave to the resource."));
    let item = PathItemBuilder::new()
        .parameters(Some([id.build()]))
        .operation(HttpMethod::Get, get(rt));
    if rt.access == ClientAccess::ReadOnly {
        return item.build();
    }
    item.operation(HttpMethod::Put, replace(rt))
        .operation(HttpMethod::Patch, patch(rt))
        .operation(HttpMethod::Delete, delete(rt))
        .build()
}

/// The parameters, by the names of their components.
pub fn parameters() -> Vec<(&'static str, Parameter)> {
    let mut parameters = queries().to_vec();
    parameters.extend(headers());
    parameters
}

fn headers() -> [(&'static str, Parameter); 3] {
    let header = |name: &str, text: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(text))
    };
    let tags = || string().examples(["W/\"3\"", "*"]);
    [
        (
            "If-Match",
            header(
                "If-Match",
                "Only while the resource has one of these versions, separated by commas; `*` is any. Compared weakly.",
            )
            .schema(Some(tags()))
            .build(),
        ),
        (
            "If-None-Match",
            header(
                "If-None-Match",
                "Only where the answer would have none of these versions, separated by commas; `*` is any.",
            )
            .schema(Some(tags()))
            .build(),
        ),
        (
            "Prefer",
            header(
                "Prefer",
                "`return=minimal` asks for 204 without a body, `return=representation` for the resource (RFC 7240). \
                 `attributes` and `excludedAttributes` count for more.",
            )
            .schema(Some(string().examples(["return=minimal", "return=representation"])))
            .build(),
        ),
    ]
}

fn queries() -> [(&'static str, Parameter); 8] {
    let query = |name: &'static str, schema: ObjectBuilder, text: &str| {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(text))
            .schema(Some(schema));
        (name, parameter.build())
    };
    let any_i64 = || integer().minimum(Some(i64::MIN)).maximum(Some(i64::MAX));
    [
        query(
            "filter",
            string().min_length(Some(1)),
            "Which resources to answer (RFC 7644 section 3.4.2.2), such as \
             `userName eq \"mira.okafor@example.com\"` or `active eq true and emails.value co \"@example.com\"`. It must not be empty.",
        ),
        query(
            "startIndex",
            any_i64(),
            "The place of the first resource to answer; 1 is the first, lower values count as 1.",
        ),
        query(
            "count",
            any_i64(),
            "The most resources to answer. Negative values count as 0, and what is above the page limit of the \
             service as that limit.",
        ),
        query(
            "cursor",
            string(),
            "Pages by cursor (RFC 9865): empty for the first page, then the `nextCursor` or `previousCursor` of an \
             answer, with the rest of the query as it was. Not together with `startIndex`.",
        ),
        query(
            "sortBy",
            string(),
            "The attribute to order by (RFC 7644 section 3.4.2.3), such as `name.familyName`. Of several values the \
             primary one counts, else the first.",
        ),
        query(
            "sortOrder",
            string().enum_values(Some(["ascending", "descending"])),
            "`ascending`, where nothing is said, with those without a value at the end; or `descending`, the reverse.",
        ),
        query(
            "attributes",
            string(),
            "The attributes to answer, separated by commas: `userName,emails.value`. Not together with \
             `excludedAttributes`.",
        ),
        query(
            "excludedAttributes",
            string(),
            "The attributes to leave out, separated by commas: `members`. Not together with `attributes`.",
        ),
    ]
}

/// The endpoint without its slash: `Users`. It is the tag and the plural in the ids of operations.
pub fn plural(rt: &ResourceType) -> &str {
    rt.endpoint.trim_start_matches('/')
}

/// The name of the component that POST and PUT take.
pub fn input(rt: &ResourceType) -> String {
    format!("{}Input", rt.name)
}

/// The name of the component that a list answers.
pub fn page(rt: &ResourceType) -> String {
    format!("{}List", rt.name)
}

/// The names of the components of a type.
pub fn components(name: &str) -> [String; 3] {
    ["", "Input", "List"].map(|end| format!("{name}{end}"))
}

fn list(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let found = ResponseBuilder::new()
        .description("A page of what the query finds; nothing found is an empty page.")
        .content(SCIM_JSON, answer::scim(&page(rt), example::page(rt)));
    let operation = operation(rt, &format!("list{}", plural(rt)), &format!("List {noun}s"))
        .description(Some(format!(
            "Answers the {noun}s of the tenant, in the order of their creation where `sortBy` names no other, page by \
             page. A walk with `cursor`, or with `startIndex` in the order of creation, misses nobody who is there from \
             its start to its end. Needs the scope `read` or `scim`."
        )));
    let operation = [
        "filter",
        "sortBy",
        "sortOrder",
        "startIndex",
        "cursor",
        "count",
    ]
    .into_iter()
    .fold(operation, parameter);
    answer::errors(
        selection(operation).response("200", found),
        &[&[400], &GUARDED_SCIM[..]].concat(),
    )
}

fn create(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let target = |id: &str, text: String| {
        LinkBuilder::new()
            .operation_id(id)
            .parameter("id", "$response.body#/id")
            .description(text)
            .build()
    };
    let created = resource(rt, "It was created.")
        .content(SCIM_JSON, answer::scim(&rt.name, example::answered(rt)));
    let created =
        ["get", "replace", "patch", "delete"]
            .into_iter()
            .fold(created, |created, verb| {
                let id = format!("{verb}{}", rt.name);
                created.link(
                    id.clone(),
                    target(&id, format!("The id in the answer names the {noun}.")),
                )
            });
    let operation = operation(
        rt,
        &format!("create{}", rt.name),
        &format!("Create a {noun}"),
    )
    .description(Some(format!(
        "Adds a {noun} and gives it an `id`.{} `Prefer: return=minimal` asks for an answer without a body. Needs the \
         scope `scim`.",
        if rt.name == "User" {
            " A user is active unless the body says otherwise."
        } else {
            ""
        }
    )))
    .request_body(Some(body(
        &input(rt),
        example::create(rt),
        format!("The {noun} to create."),
    )))
    .response("201", created);
    answer::errors(selection(operation), &[writing(rt), BODY.to_vec()].concat())
}

fn get(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let found = resource(rt, "It is here.")
        .content(SCIM_JSON, answer::scim(&rt.name, example::answered(rt)));
    let operation = operation(rt, &format!("get{}", rt.name), &format!("Read a {noun}"))
        .description(Some(format!(
            "Answers one {noun}. Needs the scope `read` or `scim`."
        )))
        .response("200", found)
        .response("304", answer::not_modified());
    let operation = parameter(selection(operation), "If-None-Match");
    let operation = parameter(operation, "If-Match");
    answer::errors(operation, &[&[400, 404, 412], &GUARDED_SCIM[..]].concat())
}

fn replace(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let replaced = resource(rt, "It was replaced, or was like this already.")
        .content(SCIM_JSON, answer::scim(&rt.name, example::answered(rt)));
    let operation = operation(rt, &format!("replace{}", rt.name), &format!("Replace a {noun}"))
        .description(Some(format!(
            "Makes the {noun} what the body says; attributes that the body leaves out are cleared. Needs the scope \
             `scim`."
        )))
        .request_body(Some(body(&input(rt), example::create(rt), format!("The whole {noun}."))))
        .response("200", replaced)
        .response("204", resource(rt, "The same, where `Prefer` asks for no body."));
    answer::errors(
        conditional(selection(operation)),
        &[writing(rt), BODY.to_vec(), vec![404, 412]].concat(),
    )
}

fn patch(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let patched = resource(rt, "The changes were made.")
        .content(SCIM_JSON, answer::scim(&rt.name, example::answered(rt)));
    let quiet = resource(
        rt,
        "The changes were made. The client or the tenant wants no body, or it would be too long a list of members.",
    );
    let operation = operation(rt, &format!("patch{}", rt.name), &format!("Change parts of a {noun}"))
        .description(Some(
            "Applies the operations in order, all or none. What is so already is no fault. Needs the scope `scim`."
                .to_owned(),
        ))
        .request_body(Some(body("PatchOp", example::patch(rt), "The changes.".to_owned())))
        .response("200", patched)
        .response("204", quiet);
    answer::errors(
        conditional(selection(operation)),
        &[writing(rt), BODY.to_vec(), vec![404, 412]].concat(),
    )
}

fn delete(rt: &ResourceType) -> OperationBuilder {
    let noun = noun(rt);
    let operation = operation(rt, &format!("delete{}", rt.name), &format!("Delete a {noun}"))
        .description(Some(format!(
            "Removes the {noun} for good, also from every group that it is a member of. Needs the scope `scim`."
        )))
        .response("204", Response::new("It is gone."));
    let operation = ["If-Match", "If-None-Match"]
        .into_iter()
        .fold(operation, parameter);
    answer::errors(operation, &[&[404, 412], &GUARDED_SCIM[..]].concat())
}

fn operation(rt: &ResourceType, id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new()
        .tag(plural(rt))
        .operation_id(Some(id))
        .summary(Some(summary))
}

/// The errors of every write but those of its body; a name can be taken only where one must be unique.
fn writing(rt: &ResourceType) -> Vec<u16> {
    let is_unique = rt
        .schema
        .attributes
        .iter()
        .any(|a| a.uniqueness != Uniqueness::None && a.mutability != Mutability::ReadOnly);
    let mut statuses = GUARDED_SCIM.to_vec();
    // Two groups of one name and `externalId` are one too many, though neither attribute is unique.
    if is_unique || rt.name == "Group" {
        statuses.push(409);
    }
    statuses
}

fn noun(rt: &ResourceType) -> String {
    rt.name.to_lowercase()
}

fn selection(operation: OperationBuilder) -> OperationBuilder {
    ["attributes", "excludedAttributes"]
        .into_iter()
        .fold(operation, parameter)
}

/// A write of what is there already.
fn conditional(operation: OperationBuilder) -> OperationBuilder {
    ["If-Match", "If-None-Match", "Prefer"]
        .into_iter()
        .fold(operation, parameter)
}

fn parameter(operation: OperationBuilder, name: &str) -> OperationBuilder {
    operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")))
}

fn resource(rt: &ResourceType, description: &str) -> ResponseBuilder {
    let header = answer::location();
    let description = format!(
        "{description} `Location` has the address of the {}, `ETag` its version.",
        noun(rt)
    );
    ResponseBuilder::new()
        .description(description)
        .header("Location", header)
        .header("ETag", answer::etag())
}

fn body(schema: &str, examples: example::Named, description: String) -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(examples)
        .build();
    RequestBodyBuilder::new()
        .description(Some(description))
        .required(Some(Required::True))
        .content(SCIM_JSON, content.clone())
        .content(JSON, content)
        .build()
}
