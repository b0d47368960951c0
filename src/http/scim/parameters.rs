//! The parameters and headers of SCIM requests, as declared and described.

use scim_core::Registry;
use utoipa::openapi::schema::ObjectBuilder;

use crate::http::describe::schema::{integer, string};
use crate::http::endpoint::Parameter;

/// The names of the parameters of SCIM queries (RFC 7644 section 3.4.2, RFC 9865 section 2).
pub const KNOWN: [&str; 8] = [
    FILTER.name,
    SORT_BY.name,
    SORT_ORDER.name,
    START_INDEX.name,
    COUNT.name,
    CURSOR.name,
    ATTRIBUTES.name,
    EXCLUDED_ATTRIBUTES.name,
];

/// The parameters of a list.
pub const LIST: &[Parameter] = &[
    FILTER,
    SORT_BY,
    SORT_ORDER,
    START_INDEX,
    CURSOR,
    COUNT,
    ATTRIBUTES,
    EXCLUDED_ATTRIBUTES,
];

pub const FILTER: Parameter = Parameter::query(
    "filter",
    "The resources to return (RFC 7644 section 3.4.2.2), such as \
     `userName eq \"mira.okafor@example.com\"` or \
     `active eq true and emails.value co \"@example.com\"`. It must not be empty.",
    |_| string().min_length(Some(1)),
)
.shared();

pub const SORT_BY: Parameter = Parameter::query(
    "sortBy",
    "The attribute to order by (RFC 7644 section 3.4.2.3), such as `name.familyName`. Of several \
     values the primary one counts, or else the first.",
    text,
)
.shared();

pub const SORT_ORDER: Parameter = Parameter::query(
    "sortOrder",
    "`ascending`, which is the default and puts resources without a value last, or `descending`, \
     the reverse.",
    |_| string().enum_values(Some(["ascending", "descending"])),
)
.shared();

pub const START_INDEX: Parameter = Parameter::query(
    "startIndex",
    "The position of the first resource to return. 1 is the first; lower values count as 1.",
    any_integer,
)
.shared();

pub const COUNT: Parameter = Parameter::query(
    "count",
    "The maximum number of resources to return. Negative values count as 0, and values above the \
     page limit of the service count as that limit.",
    any_integer,
)
.shared();

pub const CURSOR: Parameter = Parameter::query(
    "cursor",
    "Pages by cursor (RFC 9865): empty for the first page, then the `nextCursor` or \
     `previousCursor` of a response, with the rest of the query unchanged. Not together with \
     `startIndex`.",
    text,
)
.shared();

pub const ATTRIBUTES: Parameter = Parameter::query(
    "attributes",
    "The attributes to return, separated by commas: `userName,emails.value`. Not together with \
     `excludedAttributes`.",
    text,
)
.shared();

pub const EXCLUDED_ATTRIBUTES: Parameter = Parameter::query(
    "excludedAttributes",
    "The attributes to leave out, separated by commas: `members`. Not together with `attributes`.",
    text,
)
.shared();

pub const IF_MATCH: Parameter = Parameter::header(
    "If-Match",
    "Versions, separated by commas. The request is carried out only if the resource has one of \
     them; `*` matches any. The comparison is weak.",
    tags,
)
.shared();

pub const IF_NONE_MATCH: Parameter = Parameter::header(
    "If-None-Match",
    "Versions, separated by commas. The request is carried out only if the response would have none \
     of them; `*` matches any.",
    tags,
)
.shared();

pub const PREFER: Parameter = Parameter::header(
    "Prefer",
    "`return=minimal` asks for 204 without a body, `return=representation` for the resource (RFC \
     7240). `attributes` and `excludedAttributes` take precedence.",
    |_| string().examples(["return=minimal", "return=representation"]),
)
.shared();

/// The id of a resource, in the path.
pub const ID: Parameter = Parameter::path(
    "id",
    "The `id` that the service gave to the resource.",
    |_| string().min_length(Some(1)),
);

fn text(_registry: &Registry) -> ObjectBuilder {
    string()
}

fn any_integer(_registry: &Registry) -> ObjectBuilder {
    integer().minimum(Some(i64::MIN)).maximum(Some(i64::MAX))
}

fn tags(_registry: &Registry) -> ObjectBuilder {
    string().examples(["W/\"3\"", "*"])
}
