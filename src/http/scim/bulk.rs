//! `POST /Bulk` (RFC 7644 section 3.7).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use scim_core::bulk::Verb;
use scim_core::message;
use serde_json::{Map, Value};

use crate::http::admission::body_memory::BodyLimits;
use crate::http::error::ApiError;
use crate::http::json_body;
use crate::http::scim::responses;
use crate::http::state::{AppState, Caller};
use crate::service::bulk::{self, Outcome};

/// `POST /Bulk`: for everybody with a token; what each operation needs is asked of each.
pub async fn run(
    request: HttpRequest,
    caller: Caller,
    shared: Data<AppState>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let options = shared.service.options.scim.bulk;
    if !options.enabled {
        return Err(ApiError::SwitchedOff("bulk"));
    }
    let limits = BodyLimits {
        size_bytes: options.max_payload_bytes,
        ..shared.body_limits
    };
    let body = match json_body::read(&request, payload, limits).await {
        Err(ApiError::TooLarge { limit_bytes }) => {
            return Err(ApiError::BulkTooLarge { limit_bytes });
        }
        read => read?,
    };
    let others = operations(&body).saturating_sub(1);
    shared.gate.charge(&caller.context.principal, others);
    let outcomes = bulk::run(&shared.service, &caller.context, body).await?;
    let results: Vec<String> = outcomes.into_iter().map(result).collect();
    let body = message::bulk_response(&results);
    Ok(responses::scim(StatusCode::OK, body))
}

/// How many requests the body stands for.
fn operations(body: &Value) -> usize {
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
