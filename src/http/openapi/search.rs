//! Queries by POST, and of all resource types.

use scim_core::ResourceType;
use scim_core::message::SEARCH_REQUEST;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathItemBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{ContentBuilder, Required};

use crate::http::openapi::answer::{self, BODY, GUARDED_SCIM, JSON};
use crate::http::openapi::resources::{page, plural};
use crate::http::openapi::{example, tag};
use crate::http::scim::responses::SCIM_JSON;

/// The page of resources of all types.
pub const ANY_LIST: &str = "ResourceList";

/// `/Users/.search`
pub fn one(rt: &ResourceType) -> PathItem {
    let found = ResponseBuilder::new()
        .description("A page of what the query finds.")
        .content(SCIM_JSON, answer::scim(&page(rt), example::page(rt)));
    let operation = OperationBuilder::new()
        .tag(plural(rt))
        .operation_id(Some(format!("search{}", plural(rt))))
        .summary(Some("List by a query in the body"))
        .response("200", found);
    PathItemBuilder::new()
        .operation(HttpMethod::Post, search(operation))
        .build()
}

/// `/.search`
pub fn all() -> PathItem {
    let operation = OperationBuilder::new()
        .tag(tag::SEARCH)
        .operation_id(Some("searchAll"))
        .summary(Some("List resources of every type by a query in the body"))
        .response("200", any());
    PathItemBuilder::new()
        .operation(HttpMethod::Post, search(operation))
        .build()
}

/// `/`
pub fn root() -> PathItem {
    let operation = OperationBuilder::new()
        .tag(tag::SEARCH)
        .operation_id(Some("listAll"))
        .summary(Some("List resources of every type"))
        .description(Some(
            "What a resource type does not have has no value there. Needs the scope `read` or `scim`.",
        ))
        .response("200", any());
    let names = [
        "filter",
        "sortBy",
        "sortOrder",
        "startIndex",
        "cursor",
        "count",
        "attributes",
        "excludedAttributes",
    ];
    let operation = names.into_iter().fold(operation, |operation, name| {
        operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")))
    });
    let operation = answer::errors(operation, &[&[400], &GUARDED_SCIM[..]].concat());
    PathItemBuilder::new()
        .operation(HttpMethod::Get, operation)
        .build()
}

fn any() -> ResponseBuilder {
    ResponseBuilder::new()
        .description(
            "A page of what the query finds, each with its `schemas` and `meta.resourceType`.",
        )
        .content(SCIM_JSON, answer::scim(ANY_LIST, None))
}

fn search(operation: OperationBuilder) -> OperationBuilder {
    let operation = operation
        .description(Some(
            "The same as GET with these parameters, but that no filter stands in a URL (RFC 7644 section 3.4.3). Needs \
             the scope `read` or `scim`.",
        ))
        .request_body(Some(body()));
    answer::errors(operation, &[&GUARDED_SCIM[..], &BODY].concat())
}

fn body() -> RequestBody {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("SearchRequest")))
        .example(Some(json!({
            "schemas": [SEARCH_REQUEST],
            "filter": "displayName sw \"M\"",
            "attributes": ["displayName"],
            "sortBy": "displayName",
            "count": 10,
        })))
        .build();
    RequestBodyBuilder::new()
        .description(Some("The query."))
        .required(Some(Required::True))
        .content(SCIM_JSON, content.clone())
        .content(JSON, content)
        .build()
}
