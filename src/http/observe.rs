//! Around every request: an id, a log line, metrics, and a net under panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError as _};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use crate::http::error::ApiError;
use crate::http::server::Shared;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID_LENGTH: usize = 64;

/// Wraps a request: the log line carries no query and no body, for both may name a person (RFC 7644 section 7.5.2).
///
/// # Errors
/// What the inner service answers.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let span = tracing::info_span!("request", request.id = %id, http.method = %method);
    let shared = request.app_data::<Data<Shared>>().cloned();
    let outcome = AssertUnwindSafe(next.call(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let mut response = match outcome {
        Ok(result) => result?,
        Err(_panic) => {
            // No clone of the request may be kept for this: the router wants to be its only owner.
            let mut response = ApiError::Panic.error_response();
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            return Err(InternalError::from_response("a handler panicked", response).into());
        }
    };
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "none".to_owned());
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    if let Some(shared) = shared {
        shared
            .metrics
            .request(method.as_str(), &route, status, elapsed);
    }
    let duration_ms = elapsed.as_secs_f64() * 1000.0;
    span.in_scope(|| {
        if status >= 500 {
            tracing::error!(
                http.route = route,
                http.status = status,
                duration_ms,
                "answered"
            );
        } else {
            tracing::info!(
                http.route = route,
                http.status = status,
                duration_ms,
                "answered"
            );
        }
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

/// The caller's own id where it is a plain word, so that a trace can cross services; a new one otherwise.
fn request_id(request: &ServiceRequest) -> String {
    let given = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| {
            !text.is_empty()
                && text.len() <= MAX_REQUEST_ID_LENGTH
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        });
    match (given, request.app_data::<Data<Shared>>()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(shared)) => shared.service.clock.new_id(),
        (None, None) => "none".to_owned(),
    }
}
