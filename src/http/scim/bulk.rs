//! `POST /Bulk` (RFC 7644 section 3.7).

use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, ResponseError as _};
use scim_core::bulk::Verb;
use scim_core::message;
use serde_json::{Map, Value};

use crate::auth::Scope;
use crate::http::describe::{bulk as described, response, tag};
use crate::http::endpoint::{Accepts, Authorization, Body, BodyLimit, Endpoint, Operation};
use crate::http::error::{ApiError, HandlerResult};
use crate::http::json_body;
use crate::http::scim::responses;
use crate::http::state::{AppState, Caller};
use crate::service::bulk::{self, Outcome};

/// The endpoint.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Method::POST,
    path: "/scim/v2/Bulk",
    handler: || web::to(run),
    authorization: Authorization::Scope(Scope::Scim),
    accepts: Accepts::Any,
    parameters: &[],
    body: Some(Body {
        limit: BodyLimit::Bulk,
        describe: described::request_body,
    }),
    responses: &[
        (200, described::results),
        (413, |_| {
            response::error(
                413,
                "The request has more operations, or bytes, than the service accepts. Nothing was \
                 changed.",
                "The number of operations exceeds maxOperations (1000). Send them in several requests.",
            )
        }),
        (501, |_| {
            response::error(
                501,
                "The operator has switched bulk requests off.",
                "The operator of this service has switched this off, by the setting `bulk`.",
            )
        }),
    ],
    errors: &[],
    operation: Some(Operation {
        tag: tag::BULK,
        id: "bulk",
        summary: "Run many operations",
        description: "Runs POST, PUT, PATCH and DELETE on resources in one request (RFC 7644 section \
                      3.7). `bulkId:x` stands for the id of the resource that the POST with that \
                      `bulkId` creates: in paths, and in data where an id is expected, also before the \
                      POST and in cycles. A failed operation does not affect the others; \
                      `failOnErrors` stops after this number of failures. `/ServiceProviderConfig` has \
                      the limits.",
    }),
}];

/// `POST /Bulk`.
async fn run(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> HandlerResult {
    let options = shared.service.options.scim.bulk;
    if !options.enabled {
        return Err(ApiError::SwitchedOff("bulk"));
    }
    let body = json_body::read(&request, &caller, &shared, payload).await?;
    let others = count_operations(body.value()).saturating_sub(1);
    shared.admission.charge(&caller.context.principal, others);
    let outcomes = bulk::run(&shared.service, &caller.context, body).await?;
    let results: Vec<String> = outcomes.into_iter().map(result).collect();
    let body = message::bulk_response(&results);
    Ok(responses::scim(StatusCode::OK, body))
}

/// The number of operations in the body, each of which counts as a request.
fn count_operations(body: &Value) -> usize {
    let members = body.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| name.eq_ignore_ascii_case("Operations"))
        .filter_map(|(_, value)| Some(value.as_array()?.len()))
        .sum()
}

/// The result of one operation.
fn result(outcome: Outcome) -> String {
    let mut members = Map::new();
    let mut put = |name: &str, value: String| members.insert(name.to_owned(), Value::String(value));
    if let Some(location) = outcome.location {
        put("location", location);
    }
    put("method", outcome.method);
    if let Some(bulk_id) = outcome.bulk_id {
        put("bulkId", bulk_id);
    }
    match outcome.result {
        Ok(done) => {
            if let Some(version) = done.version {
                put("version", version.to_string());
            }
            put("status", status_of(done.verb).as_str().to_owned());
        }
        Err(error) => {
            let error = ApiError::Service(error);
            put("status", error.status_code().as_str().to_owned());
            members.insert("response".to_owned(), error.to_value());
        }
    }
    Value::Object(members).to_string()
}

fn status_of(verb: Verb) -> StatusCode {
    match verb {
        Verb::Create => StatusCode::CREATED,
        Verb::Replace | Verb::Patch => StatusCode::OK,
        Verb::Delete => StatusCode::NO_CONTENT,
    }
}
