//! Responses of operations: every shared error as a component, and common headers.

use scim_core::ErrorKind;
use scim_core::message::ERROR;
use serde_json::{Map, Value, json};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{Components, Content, ContentBuilder};

use crate::http::describe::schema::{integer, string};
use crate::http::scim::responses::SCIM_JSON;

pub const JSON: &str = "application/json";

/// An error that several operations share.
struct Fault {
    status: u16,
    name: &'static str,
    description: &'static str,
    kind: Option<ErrorKind>,
    detail: &'static str,
}

const FAULTS: [Fault; 14] = [
    Fault {
        status: 400,
        name: "BadRequest",
        description: "The request is malformed: its JSON, a value, a path, a filter or a parameter.",
        kind: Some(ErrorKind::InvalidValue),
        detail: "userName is required and must not be empty; map it in the identity provider",
    },
    Fault {
        status: 401,
        name: "Unauthorized",
        description: "The token is missing, unknown, expired or revoked.",
        kind: None,
        detail: "The token is unknown, expired or revoked. Create a new one with `rollcall token create` and enter it \
                 in the provisioning settings of the app.",
    },
    Fault {
        status: 403,
        name: "Forbidden",
        description: "The token lacks the required scope.",
        kind: None,
        detail: "This token lacks the scope `scim`. Use a token that has it.",
    },
    Fault {
        status: 404,
        name: "NotFound",
        description: "The tenant of the token has nothing of this name or id.",
        kind: None,
        detail: "User 0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13 was not found. It may have been deleted, or it belongs to \
                 another tenant.",
    },
    Fault {
        status: 406,
        name: "NotAcceptable",
        description: "The `Accept` header excludes SCIM's media types, and the tenant is strict.",
        kind: None,
        detail: "The response is application/scim+json, which the Accept header excludes.",
    },
    Fault {
        status: 408,
        name: "SlowBody",
        description: "The body did not arrive in time.",
        kind: None,
        detail: "The body did not arrive in time.",
    },
    Fault {
        status: 409,
        name: "Conflict",
        description: "The name is taken.",
        kind: Some(ErrorKind::Uniqueness),
        detail: "A user with this userName exists. Choose another userName, or link the existing user.",
    },
    Fault {
        status: 410,
        name: "Gone",
        description: "The changes after this number are no longer available. Start again from a snapshot.",
        kind: None,
        detail: "The changes up to number 4711 are no longer kept. Read /directory/v1/snapshot to its end and follow the \
                 feed from its `seq`.",
    },
    Fault {
        status: 412,
        name: "PreconditionFailed",
        description: "The version of the resource does not satisfy `If-Match` or `If-None-Match`. Nothing was changed.",
        kind: None,
        detail: "The resource has the version W/\"4\", which does not satisfy If-Match or If-None-Match. Read \
                 it again, then change its current version.",
    },
    Fault {
        status: 413,
        name: "TooLarge",
        description: "The body is larger than the limit of the service.",
        kind: None,
        detail: "The body is larger than 16777216 bytes. Send less at once, or raise `body_limit_bytes` in the \
                 service's configuration.",
    },
    Fault {
        status: 415,
        name: "MediaType",
        description: "The media type of the body is not JSON, or its content coding is neither gzip nor deflate.",
        kind: None,
        detail: "The body must be sent as application/scim+json or application/json.",
    },
    Fault {
        status: 429,
        name: "TooManyRequests",
        description: "The caller exceeds its share or its rate. Nothing was changed.",
        kind: None,
        detail: "This tenant has too many concurrent requests. Retry shortly, with fewer at once.",
    },
    Fault {
        status: 500,
        name: "Internal",
        description: "An internal error. The log has the cause under the id of the request.",
        kind: None,
        detail: "Something went wrong in the service. Its log has the reason under the id in the X-Request-Id header.",
    },
    Fault {
        status: 503,
        name: "Unavailable",
        description: "The service is busy, or its database is unavailable. Nothing was changed.",
        kind: None,
        detail: "The service is busy. Retry shortly.",
    },
];

/// Adds every error as a component.
pub fn register(components: Components) -> Components {
    FAULTS.iter().fold(components, |mut components, fault| {
        components
            .responses
            .insert(fault.name.to_owned(), fault.response().into());
        components
    })
}

/// The reference to the error of a status, if it is one of the shared ones.
pub fn shared_error(status: u16) -> Option<Ref> {
    let fault = FAULTS.iter().find(|fault| fault.status == status)?;
    Some(Ref::from_response_name(fault.name))
}

/// An error that means something else in one operation than elsewhere.
pub fn error(status: u16, description: &str, detail: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(SCIM_JSON, error_content(status, None, detail))
        .build()
}

/// A body of a schema.
pub fn content(schema: &str, example: Option<Value>) -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(example)
        .build()
}

/// The version of the resource.
pub fn etag() -> Header {
    text("The version of the resource, as in `meta.version`.")
}

/// The address of the resource.
pub fn location() -> Header {
    let address = string().format(Some(utoipa::openapi::SchemaFormat::Custom(
        "uri".to_owned(),
    )));
    HeaderBuilder::new()
        .schema(Some(address))
        .description(Some("The address of the resource."))
        .build()
}

impl Fault {
    fn response(&self) -> Response {
        let response = ResponseBuilder::new()
            .description(self.description)
            .content(
                SCIM_JSON,
                error_content(self.status, self.kind, self.detail),
            );
        match self.status {
            401 => response.header(
                "WWW-Authenticate",
                text("How to authenticate (RFC 6750, RFC 7617)."),
            ),
            403 => response.header(
                "WWW-Authenticate",
                text("The scope that is missing (RFC 6750 section 3.1)."),
            ),
            500 => response.header("X-Request-Id", text("The id of the request in the log.")),
            429 | 503 => {
                let seconds = integer().minimum(Some(0_usize));
                let after = HeaderBuilder::new()
                    .schema(Some(seconds))
                    .description(Some("The number of seconds to wait."));
                response.header("Retry-After", after.build())
            }
            _ => response,
        }
        .build()
    }
}

fn text(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(string()))
        .description(Some(description))
        .build()
}

fn error_content(status: u16, kind: Option<ErrorKind>, detail: &str) -> Content {
    let mut example = Map::new();
    example.insert("schemas".to_owned(), json!([ERROR]));
    example.insert("status".to_owned(), json!(status.to_string()));
    if let Some(kind) = kind {
        example.insert("scimType".to_owned(), json!(kind.scim_type()));
    }
    example.insert("detail".to_owned(), json!(detail));
    content("Error", Some(Value::Object(example)))
}
