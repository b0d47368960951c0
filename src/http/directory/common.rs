//! Parameters, values and responses that the endpoints of the directory share.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::web::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use crate::http::describe::describer::Describer;
use crate::http::describe::schema::{integer, string};
use crate::http::endpoint::Parameter;
use crate::http::error::HandlerResult;
use crate::http::query::Query;
use crate::memory::Held;
use crate::service;
use crate::service::ResourceId;
use crate::service::query::directory::{Depth, MOST};

/// The ids in examples.
pub const USER_ID: &str = "0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13";
pub const GROUP_ID: &str = "0199f3a2-9d07-7f31-b6a0-51c8e2d4f960";

pub const LIMIT: Parameter = Parameter::query(
    "limit",
    "The maximum number to return; 100 if it is left out.",
    |_| integer().minimum(Some(1_u32)).maximum(Some(MOST)),
);

pub const AT: Parameter = Parameter::query(
    "at",
    "A past moment: the response is as it was then. 410 if changes are not kept that long.",
    |_| string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
);

pub const NESTED: Parameter = Parameter::query(
    "nested",
    "Whether groups within groups count; they do if it is left out.",
    |_| ObjectBuilder::new().schema_type(Type::Boolean),
);

pub const USER: Parameter = Parameter::path("id", "The id of the user.", |_| {
    string().min_length(Some(1))
});

pub const GROUP: Parameter = Parameter::path("id", "The id of the group.", |_| {
    string().min_length(Some(1))
});

pub const TAGS: Parameter = Parameter::header(
    "If-None-Match",
    "The tags of the responses that the client has.",
    |_| string(),
);

/// A response with a tag.
pub fn tagged_json<T: ToSchema>(
    describer: &mut Describer<'_>,
    description: &str,
    example: Value,
) -> Response {
    let mut response = describer.json::<T>(description, example);
    response.headers.insert("ETag".to_owned(), etag().into());
    response
}

/// The response to a client that has it already.
pub fn not_modified(_describer: &mut Describer<'_>) -> Response {
    ResponseBuilder::new()
        .description("The client already has this response.")
        .header("ETag", etag())
        .build()
}

fn etag() -> Header {
    HeaderBuilder::new()
        .schema(Some(string()))
        .description(Some("The value to send as `If-None-Match`."))
        .build()
}

/// A user in an example.
pub fn ada() -> Value {
    json!({
        "id": USER_ID,
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

/// Only the client may cache the response, and it revalidates it before each use.
pub const PRIVATE: &str = "private, no-cache";

/// The response with its tag, or 304 if the client has it already (RFC 9110 section 13.1.2).
pub fn tagged(request: &HttpRequest, answer: Held<impl Serialize>) -> HandlerResult {
    let (answer, held) = answer.into_parts();
    let body = serde_json::to_string(&answer).map_err(service::Error::internal)?;
    drop(answer);
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
        let body = match held {
            Some(mut held) => {
                held.shrink_to(body.len());
                Bytes::from_owner(Held::new(body, held))
            }
            None => body.into(),
        };
        response.content_type("application/json").body(body)
    })
}

pub fn limit(query: &Query) -> Result<u32, service::Error> {
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

/// The moment that the request asks about; `None` is now.
pub fn moment(query: &Query) -> Result<Option<Timestamp>, service::Error> {
    if !query.has("at") {
        return Ok(None);
    }
    let moment = query.get("at").and_then(|text| text.parse().ok());
    moment.map(Some).ok_or_else(|| {
        let text = "`at` is a moment such as 2026-03-01T08:00:00Z.";
        service::Error::BadRequest(text.to_owned())
    })
}

pub fn depth(query: &Query) -> Result<Depth, service::Error> {
    match query.get("nested") {
        None | Some("true") => Ok(Depth::Nested),
        Some("false") => Ok(Depth::Direct),
        Some(_) => Err(service::Error::BadRequest(
            "`nested` is true or false.".to_owned(),
        )),
    }
}

/// Parses an id. A malformed one is not found, like any unknown one, so it is 404 and not 400.
pub fn parse_id(what: &str, text: &str) -> Result<ResourceId, service::Error> {
    ResourceId::parse(text).ok_or_else(|| service::Error::NotFound(format!("{what} {text}")))
}
