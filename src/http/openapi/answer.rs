//! What operations can answer: success with a body, and every error once as a component.

use actix_web::http::StatusCode;
use scim_core::ErrorKind;
use scim_core::message::ERROR;
use serde_json::{Map, Value, json};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{OperationBuilder, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{Components, Content, ContentBuilder};

use crate::http::openapi::schema::{integer, string};
use crate::http::scim::responses::SCIM_JSON;

pub const JSON: &str = "application/json";

/// The errors of every operation that needs a token.
pub const GUARDED: [u16; 5] = [401, 403, 429, 500, 503];
/// The same for what answers SCIM, which a strict tenant's client may rule out.
pub const GUARDED_SCIM: [u16; 6] = [401, 403, 406, 429, 500, 503];
/// The errors of every operation that reads a body.
pub const BODY: [u16; 4] = [400, 408, 413, 415];

/// One status that several operations answer.
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
        description: "The request does not fit: a fault in the JSON, a value, a path or a filter.",
        kind: Some(ErrorKind::InvalidValue),
        detail: "userName is required and must not be empty; map it in the identity provider",
    },
    Fault {
        status: 401,
        name: "Unauthorized",
        description: "There is no token, or it is unknown, expired or revoked.",
        kind: None,
        detail: "The token is unknown, expired or revoked. Create a new one with `rollcall token create NAME` and enter it \
                 in the provisioning settings of the app.",
    },
    Fault {
        status: 403,
        name: "Forbidden",
        description: "The token lacks the scope that this needs.",
        kind: None,
        detail: "This token lacks the scope `scim`. Use a token that was made with it.",
    },
    Fault {
        status: 404,
        name: "NotFound",
        description: "It does not exist in the tenant of the token.",
        kind: None,
        detail: "User 0199f3a2-6b1e-7c40-8a51-2f6d0c9e7b13 was not found. It may have been deleted, or it belongs to \
                 another tenant.",
    },
    Fault {
        status: 406,
        name: "NotAcceptable",
        description: "The `Accept` header rules out what SCIM answers, and the tenant is strict.",
        kind: None,
        detail: "The answer is application/scim+json, which the Accept header rules out.",
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
        description: "The changes behind this number are no longer there. The snapshot is the way back.",
        kind: None,
        detail: "The changes up to number 4711 are no longer kept. Read /directory/v1/snapshot to its end and follow the \
                 feed from its `seq`.",
    },
    Fault {
        status: 412,
        name: "PreconditionFailed",
        description: "The resource has another version than `If-Match` names. Nothing was changed.",
        kind: None,
        detail: "The resource has the version W/\"4\", which the request does not want. Read it again, then send the \
                 change for what it is now.",
    },
    Fault {
        status: 413,
        name: "TooLarge",
        description: "The body is larger than the service takes.",
        kind: None,
        detail: "The body is larger than 16777216 bytes. Send less at once, or raise `body_limit_bytes` in the \
                 service's configuration.",
    },
    Fault {
        status: 415,
        name: "MediaType",
        description: "The body is not marked as JSON, or has a content coding other than gzip and deflate.",
        kind: None,
        detail: "The body must be sent as application/scim+json or application/json.",
    },
    Fault {
        status: 429,
        name: "TooManyRequests",
        description: "The caller sends more than its part. Nothing was changed.",
        kind: None,
        detail: "Too many requests of this tenant are being worked on. Try again in a moment, with fewer at once.",
    },
    Fault {
        status: 500,
        name: "Internal",
        description: "A fault of the service. The log has the reason under the id of the request.",
        kind: None,
        detail: "Something went wrong in the service. Its log has the reason under the id in the X-Request-Id header.",
    },
    Fault {
        status: 503,
        name: "Unavailable",
        description: "The service is busy or its database does not answer. Nothing was changed.",
        kind: None,
        detail: "The service is busy; try again in a moment.",
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

/// Adds the errors of these statuses.
pub fn errors(operation: OperationBuilder, statuses: &[u16]) -> OperationBuilder {
    let faults = FAULTS
        .iter()
        .filter(|fault| statuses.contains(&fault.status));
    faults.fold(operation, |operation, fault| {
        operation.response(
            fault.status.to_string(),
            Ref::from_response_name(fault.name),
        )
    })
}

/// Adds 400 to an operation that names no fault of its own: every address can hold an unknown
/// parameter or U+0000.
pub fn can_be_malformed(item: &mut PathItem) {
    let operations = [
        &mut item.get,
        &mut item.head,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    let status = StatusCode::BAD_REQUEST.as_str();
    let fault = FAULTS.iter().find(|fault| fault.status == 400);
    for operation in operations.into_iter().flatten() {
        let responses = &mut operation.responses.responses;
        if let (Some(fault), false) = (fault, responses.contains_key(status)) {
            let response = Ref::from_response_name(fault.name);
            responses.insert(status.to_owned(), response.into());
        }
    }
}

/// An error body of its own, for an operation whose error means something else than elsewhere.
pub fn error(status: u16, description: &str, detail: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(SCIM_JSON, error_content(status, None, detail))
        .build()
}

/// A SCIM body of a schema.
pub fn scim(schema: &str, example: Option<Value>) -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(example)
        .build()
}

/// The version of the resource.
pub fn etag() -> Header {
    text("The version of the answer, as in `meta.version`.")
}

/// The answer to a reader who has the resource already.
pub fn not_modified() -> Response {
    ResponseBuilder::new()
        .description("It is as `If-None-Match` says that the reader has it.")
        .header("ETag", etag())
        .build()
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
                    .description(Some("How many seconds to wait."));
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
    scim("Error", Some(Value::Object(example)))
}
