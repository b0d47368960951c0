//! The bodies that are no resource: errors, PATCH requests and lists.

use scim_core::ErrorKind;
use scim_core::message::{ERROR, LIST_RESPONSE, PATCH_OP, SEARCH_REQUEST};
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaType, Type as JsonType,
};

use crate::http::openapi::schema::{integer, object, string, urns};

/// What the standards name; a client may meet any of them in a later version.
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
                .description(Some(
                    "The kind of fault, where the standard has a word for it.",
                )),
        )
        .property(
            "detail",
            string().description(Some("What is wrong and how to mend it, for people.")),
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
            any("The values to remove from the list, where not all of it shall go."),
        )
        .required("op")
        .required("path");
    Schema::OneOf(
        OneOfBuilder::new()
            .item(whole)
            .item(targeted)
            .item(remove)
            .description(Some(
                "One change. Letter case does not matter in `op` and in names.",
            ))
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
    // Null is as good as nothing said.
    let or_null = |kind| SchemaType::from_iter([kind, JsonType::Null]);
    // Names may also stand in a text with commas between them, as in a URL.
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
    let order = text("Ascending where nothing is said.").enum_values(Some([
        json!("ascending"),
        json!("descending"),
        Value::Null,
    ]));
    let request = object("A query. Its members mean what the parameters of these names mean.")
        .property("schemas", urns(SEARCH_REQUEST, None))
        .property(
            "filter",
            text("Which resources to answer.").min_length(Some(1)),
        )
        .property("sortBy", text("The attribute to order by."))
        .property("sortOrder", order)
        .property("startIndex", number("The place of the first resource."))
        .property(
            "cursor",
            text("Empty for the first page. Not with `startIndex`."),
        )
        .property("count", number("The most resources to answer."))
        .property("attributes", names("The attributes to answer."))
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
                "How many resources the query finds, on all pages. Left out of the later pages by cursor of a query with \
                 a filter.",
            ),
        )
        .property(
            "startIndex",
            count(
                1,
                "The place of the first resource of this page; the first of all is 1. Left out of pages by cursor.",
            ),
        )
        .property(
            "previousCursor",
            cursor("The cursor of the page before, where there is one."),
        )
        .property(
            "nextCursor",
            cursor("The cursor of the page after, where there is one."),
        )
        .property(
            "itemsPerPage",
            count(0, "How many resources this page holds."),
        )
        .property("Resources", resources)
        .required("schemas")
        .required("itemsPerPage")
        .required("Resources");
    Schema::Object(list.build())
}
