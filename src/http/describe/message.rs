//! The bodies that are not resources: errors, PATCH requests, queries and lists.

use scim_core::ErrorKind;
use scim_core::message::{ERROR, LIST_RESPONSE, PATCH_OP, SEARCH_REQUEST};
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaType, Type as JsonType,
};

use crate::http::describe::schema::{integer, object, string, urns};

/// All kinds of the standards, because a later version may return any of them.
const ERROR_KINDS: [ErrorKind; 13] = [
    ErrorKind::InvalidFilter,
    ErrorKind::TooMany,
    ErrorKind::Uniqueness,
    ErrorKind::Mutability,
    ErrorKind::InvalidSyntax,
    ErrorKind::InvalidPath,
    ErrorKind::NoTarget,
    ErrorKind::InvalidValue,
    ErrorKind::InvalidVers,
    ErrorKind::Sensitive,
    ErrorKind::InvalidCursor,
    ErrorKind::ExpiredCursor,
    ErrorKind::InvalidCount,
];

/// The body of every error (RFC 7644 section 3.12).
pub fn error() -> Schema {
    let error = object("Why a request failed.")
        .property("schemas", urns(ERROR, None))
        .property(
            "status",
            string()
                .pattern(Some("^[1-5][0-9]{2}$"))
                .description(Some("The status code, as text.")),
        )
        .property(
            "scimType",
            string()
                .enum_values(Some(ERROR_KINDS.map(ErrorKind::scim_type)))
                .description(Some("The kind of error, if the standard defines one.")),
        )
        .property(
            "detail",
            string().description(Some("What is wrong and how to fix it, for people.")),
        )
        .required("schemas")
        .required("status")
        .required("detail");
    Schema::Object(error.build())
}

/// The body of PATCH (RFC 7644 section 3.5.2).
pub fn patch_op() -> Schema {
    let operations = ArrayBuilder::new()
        .items(Ref::from_schema_name("PatchOperation"))
        .description(Some("Applied in order, all or none."));
    let patch = object("Changes to one resource.")
        .property("schemas", urns(PATCH_OP, None))
        .property("Operations", operations)
        .required("schemas")
        .required("Operations");
    Schema::Object(patch.build())
}

/// One operation of a PATCH.
pub fn patch_operation() -> Schema {
    let path = |text: &str| string().min_length(Some(1)).description(Some(text));
    let any = |text: &str| {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some(text))
    };
    let whole = ObjectBuilder::new()
        .title(Some("Add or replace several attributes"))
        .property("op", op(&["add", "replace"]))
        .property("path", ObjectBuilder::new().schema_type(JsonType::Null))
        .property("value", object("The attributes to change, by name."))
        .required("op")
        .required("value");
    let targeted = ObjectBuilder::new()
        .title(Some("Add or replace what a path names"))
        .property("op", op(&["add", "replace"]))
        .property(
            "path",
            path("`displayName`, `name.givenName`, `members`, `emails[type eq \"work\"].value`."),
        )
        .property("value", any("The value to set, or the values to add."))
        .required("op")
        .required("path")
        .required("value");
    let remove = ObjectBuilder::new()
        .title(Some("Remove what a path names"))
        .property("op", op(&["remove"]))
        .property(
            "path",
            path("`title`, or a part of a list: `members[value eq \"<id>\"]`."),
        )
        .property(
            "value",
            any("The values to remove from the list, if not all of them."),
        )
        .required("op")
        .required("path");
    Schema::OneOf(
        OneOfBuilder::new()
            .item(whole)
            .item(targeted)
            .item(remove)
            .description(Some("One change. `op` and names match in any letter case."))
            .build(),
    )
}

fn op(values: &[&str]) -> ObjectBuilder {
    string().enum_values(Some(values.iter().copied()))
}

/// A page of resources of one kind (RFC 7644 section 3.4.2).
pub fn list(item: &str) -> Schema {
    list_with(ArrayBuilder::new().items(Ref::from_schema_name(item)))
}

/// A page of resources of any kind.
pub fn list_of_any() -> Schema {
    list_with(ArrayBuilder::new().items(object("A resource, as its `schemas` say.")))
}

/// The body of a query by POST (RFC 7644 section 3.4.3).
pub fn search_request() -> Schema {
    // Null counts as absent.
    let or_null = |kind| SchemaType::from_iter([kind, JsonType::Null]);
    // Names may also be a string with commas between them, as in a URL.
    let list = [JsonType::Array, JsonType::String, JsonType::Null];
    let names = |text: &str| {
        ArrayBuilder::new()
            .schema_type(SchemaType::from_iter(list.clone()))
            .items(string())
            .description(Some(text))
    };
    let text = |text: &str| {
        let string = string().schema_type(or_null(JsonType::String));
        string.description(Some(text))
    };
    let number = |text: &str| {
        let any = integer().minimum(Some(i64::MIN)).maximum(Some(i64::MAX));
        let any = any.schema_type(or_null(JsonType::Integer));
        any.description(Some(text))
    };
    let order = text("Ascending by default.").enum_values(Some([
        json!("ascending"),
        json!("descending"),
        Value::Null,
    ]));
    let request =
        object("A query. Its members have the meaning of the parameters of the same names.")
            .property("schemas", urns(SEARCH_REQUEST, None))
            .property(
                "filter",
                text("The resources to return.").min_length(Some(1)),
            )
            .property("sortBy", text("The attribute to order by."))
            .property("sortOrder", order)
            .property("startIndex", number("The position of the first resource."))
            .property(
                "cursor",
                text("Empty for the first page. Not with `startIndex`."),
            )
            .property(
                "count",
                number("The maximum number of resources to return."),
            )
            .property("attributes", names("The attributes to return."))
            .property("excludedAttributes", names("The attributes to leave out."))
            .required("schemas");
    Schema::Object(request.build())
}

fn list_with(resources: ArrayBuilder) -> Schema {
    let count = |least: usize, text: &str| integer().minimum(Some(least)).description(Some(text));
    let cursor = |text: &str| {
        string()
            .pattern(Some("^[A-Za-z0-9._~-]+$"))
            .description(Some(text))
    };
    let resources = resources.description(Some("The page."));
    let list = object("A page of a list.")
        .property("schemas", urns(LIST_RESPONSE, None))
        .property(
            "totalResults",
            count(
                0,
                "The number of resources that match, on all pages. Left out of later pages by cursor if the query has a \
                 filter.",
            ),
        )
        .property(
            "startIndex",
            count(
                1,
                "The position of the first resource of this page, from 1. Left out of pages by cursor.",
            ),
        )
        .property(
            "previousCursor",
            cursor("The cursor of the previous page, if there is one."),
        )
        .property(
            "nextCursor",
            cursor("The cursor of the next page, if there is one."),
        )
        .property(
            "itemsPerPage",
            count(0, "The number of resources on this page."),
        )
        .property("Resources", resources)
        .required("schemas")
        .required("itemsPerPage")
        .required("Resources");
    Schema::Object(list.build())
}
