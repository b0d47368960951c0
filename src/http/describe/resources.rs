//! The bodies and responses that the registry of resource types determines.

use scim_core::ResourceType;
use scim_core::message::SEARCH_REQUEST;
use serde_json::json;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Ref;

use crate::http::describe::describer::{Describer, scim, scim_body};
use crate::http::describe::names::{input, noun, page_name};
use crate::http::describe::{example, response};
use crate::http::scim::responses::SCIM_JSON;

/// The name of the schema of a page of resources of all types.
pub const ANY_LIST: &str = "ResourceList";

/// A page of resources of the type.
pub fn page(describer: &mut Describer<'_>) -> Response {
    let description = "A page of the resources that match; it may be empty.";
    match describer.resource_type {
        Some(rt) => scim(&page_name(rt), description, example::page(rt)),
        None => Response::new(description),
    }
}

/// A page of resources of all types.
pub fn page_of_any(_describer: &mut Describer<'_>) -> Response {
    let description = "A page of the resources that match, each with its `schemas` and \
                       `meta.resourceType`.";
    scim(ANY_LIST, description, None)
}

/// A response with the resource.
fn resource(describer: &mut Describer<'_>, description: &str) -> Response {
    let Some(rt) = describer.resource_type else {
        return Response::new(description);
    };
    let content = response::content(&rt.name, example::answered(rt));
    located(rt, &describer.named(description))
        .content(SCIM_JSON, content)
        .build()
}

/// A response about the resource, without a body.
fn without_body(describer: &mut Describer<'_>, description: &str) -> Response {
    match describer.resource_type {
        Some(rt) => located(rt, description).build(),
        None => Response::new(description),
    }
}

/// The response to GET.
pub fn found(describer: &mut Describer<'_>) -> Response {
    resource(describer, "The {noun}.")
}

/// The response to a client that already has the resource.
pub fn not_modified(_describer: &mut Describer<'_>) -> Response {
    ResponseBuilder::new()
        .description("The client already has this version.")
        .header("ETag", response::etag())
        .build()
}

/// The response to PUT.
pub fn replaced(describer: &mut Describer<'_>) -> Response {
    resource(
        describer,
        "The {noun} was replaced, or had these values already.",
    )
}

/// The response to PUT where the client prefers no body.
pub fn replaced_without_body(describer: &mut Describer<'_>) -> Response {
    without_body(describer, "The same, where `Prefer` asks for no body.")
}

/// The response to PATCH.
pub fn patched(describer: &mut Describer<'_>) -> Response {
    resource(describer, "The changes were made.")
}

/// The response to PATCH where the client or the tenant prefers no body.
pub fn patched_without_body(describer: &mut Describer<'_>) -> Response {
    let description = "The changes were made. The client or the tenant prefers no body, or the body \
                       would be too long a list of members.";
    without_body(describer, description)
}

/// The response to DELETE.
pub fn deleted(describer: &mut Describer<'_>) -> Response {
    Response::new(describer.named("The {noun} was deleted."))
}

/// The response to a create, with links to the operations that take the id.
pub fn created(describer: &mut Describer<'_>) -> Response {
    let mut created = resource(describer, "The {noun} was created.");
    if let Some(rt) = describer.resource_type {
        for verb in ["get", "replace", "patch", "delete"] {
            let id = format!("{verb}{}", rt.name);
            let link = LinkBuilder::new()
                .operation_id(id.as_str())
                .parameter("id", "$response.body#/id")
                .description(format!("The id in the response names the {}.", noun(rt)));
            created.links.insert(id, link.build().into());
        }
    }
    created
}

/// The body of POST.
pub fn create_body(describer: &mut Describer<'_>) -> RequestBody {
    input_body(describer, "The {noun} to create.")
}

/// The body of PUT.
pub fn replace_body(describer: &mut Describer<'_>) -> RequestBody {
    input_body(describer, "The whole {noun}.")
}

fn input_body(describer: &Describer<'_>, description: &str) -> RequestBody {
    let (schema, examples) = match describer.resource_type {
        Some(rt) => (input(rt), example::create(rt)),
        None => (ANY_LIST.to_owned(), Vec::new()),
    };
    body(&schema, examples, &describer.named(description))
}

/// The body of PATCH.
pub fn patch_body(describer: &mut Describer<'_>) -> RequestBody {
    let examples = describer.resource_type.map(example::patch);
    body("PatchOp", examples.unwrap_or_default(), "The changes.")
}

/// The body of a query by POST.
pub fn search_body(_describer: &mut Describer<'_>) -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("SearchRequest")))
        .example(Some(json!({
            "schemas": [SEARCH_REQUEST],
            "filter": "displayName sw \"M\"",
            "attributes": ["displayName"],
            "sortBy": "displayName",
            "count": 10,
        })));
    scim_body("The query.", content.build())
}

fn located(rt: &ResourceType, description: &str) -> ResponseBuilder {
    let description = format!(
        "{description} `Location` has the address of the {}, `ETag` its version.",
        noun(rt)
    );
    ResponseBuilder::new()
        .description(description)
        .header("Location", response::location())
        .header("ETag", response::etag())
}

fn body(schema: &str, examples: example::Named, description: &str) -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(examples);
    scim_body(description, content.build())
}
