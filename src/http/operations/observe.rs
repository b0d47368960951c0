//! Wraps every request: gives it an id, logs and counts it, and catches panics.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError as _};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use crate::http::error::ApiError;
use crate::http::operations::route_metrics::RouteLabel;
use crate::http::scim::responses;
use crate::http::state::AppState;
use crate::http::target;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID_LENGTH: usize = 64;

/// Wraps a request. The log line has neither query nor body, because both may identify a person
/// (RFC 7644 section 7.5.2).
///
/// # Errors
/// Those of the inner service.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let span = tracing::info_span!("request", request.id = &*id, http.method = method.as_str());
    let shared = request.app_data::<Data<AppState>>().cloned();
    let observed = async move {
        // In its own block, because a part of the inner service runs before the first await.
        let inner = AssertUnwindSafe(async move {
            match target::refuse_nul(request.uri()) {
                Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
                Err(refused) => Ok(request
                    .into_response(refused.error_response())
                    .map_into_right_body()),
            }
        });
        let outcome: Result<Result<_, Error>, _> = inner.catch_unwind().await;
        let elapsed = started.elapsed();
        let none;
        let (route, status) = match &outcome {
            Ok(Ok(response)) => (response.request().app_data(), response.status()),
            Ok(Err(error)) => (None, error.as_response_error().status_code()),
            Err(_panic) => (None, ApiError::Panic.status_code()),
        };
        let route: &RouteLabel = match route {
            Some(route) => route,
            None => {
                none = RouteLabel::none();
                &none
            }
        };
        if let Some(shared) = shared {
            route.count(&shared.metrics, &method, status.as_u16(), elapsed);
        }
        log(&route.pattern, status.as_u16(), elapsed);
        outcome
    };
    let outcome = observed.instrument(span).await;
    let id = HeaderValue::from_str(&id).ok();
    match outcome {
        Ok(result) => {
            let mut response = result?;
            responses::tidy(response.headers_mut());
            set_id(response.headers_mut(), id);
            Ok(response)
        }
        // The panic has dropped the request: actix does not route a shared one.
        Err(_panic) => {
            let mut response = ApiError::Panic.error_response();
            set_id(response.headers_mut(), id);
            Err(InternalError::from_response("a handler panicked", response).into())
        }
    }
}

fn log(route: &str, status: u16, elapsed: Duration) {
    let duration_ms = elapsed.as_secs_f64() * 1000.0;
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
}

fn set_id(headers: &mut HeaderMap, id: Option<HeaderValue>) {
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
}

/// Returns the client's id if it is a plain word, so that a trace can cross services, or else a new
/// one.
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
    match (given, request.app_data::<Data<AppState>>()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(shared)) => shared.service.clock.new_id(),
        (None, None) => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    async fn fails() -> HttpResponse {
        panic!("as a broken handler does");
    }

    // R7644-3.12-03, R7644-3.12-07
    #[actix_web::test]
    async fn a_panic_is_answered_with_the_id_of_the_request() {
        let app = App::new()
            .wrap(from_fn(observe))
            .route("/ok", web::get().to(HttpResponse::Ok))
            .route("/fails", web::get().to(fails));
        let app = init_service(app).await;
        let request = |path: &str| {
            let id = (REQUEST_ID, "trace-7");
            TestRequest::get().uri(path).insert_header(id).to_request()
        };
        let response = try_call_service(&app, request("/ok")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get(REQUEST_ID).unwrap(), "trace-7");
        let error = try_call_service(&app, request("/fails"))
            .await
            .err()
            .unwrap();
        let response = error.error_response();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers().get(REQUEST_ID).unwrap(), "trace-7");
    }
}
