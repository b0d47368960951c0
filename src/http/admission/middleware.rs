//! The door: every request passes the gate first, and the place that it gets there is held until its answer is sent.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use futures_util::StreamExt as _;

use crate::http::admission::control::Access;
use crate::http::admission::response_body::GuardedBody;
use crate::http::admission::slow_clients::ConnectionWatch;
use crate::http::state::AppState;
use crate::http::target;

/// What must always be answered: it tells how the service is.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// The body of a refused request is read where it is as small as this: to close the connection instead costs both more.
const SMALL_BODY_BYTES: u64 = 64 * 1024;
/// How long that may take.
const SMALL_BODY_TIME: Duration = Duration::from_secs(2);

/// Wraps a request: it gets a place, which it holds until its answer is sent, or is refused.
///
/// # Errors
/// What the inner service answers.
pub async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<GuardedBody>, Error> {
    // Before anything looks at the path.
    target::canonicalize(&mut request);
    let wire = request.conn_data::<Arc<ConnectionWatch>>().cloned();
    if let Some(wire) = &wire {
        wire.work();
    }
    let shared = request.app_data::<Data<AppState>>().cloned();
    let Some(shared) = shared.filter(|_| !OPEN.contains(&request.path())) else {
        let response = next.call(request).await?;
        return Ok(response.map_body(|_, body| GuardedBody::new(body.boxed(), wire, None)));
    };
    let header = request.headers().get(AUTHORIZATION);
    let header = header.map(HeaderValue::as_bytes);
    let admitted = shared.gate.admit(header, errand(&request)).await;
    match admitted {
        Ok(place) => {
            let place = Arc::new(place);
            request.extensions_mut().insert(Arc::clone(&place));
            let response = next.call(request).await?;
            Ok(response.map_body(|_, body| GuardedBody::new(body.boxed(), wire, Some(place))))
        }
        Err(refused) => {
            shared.gate.tell(&refused, &shared.metrics);
            let mut response = refused.error.error_response();
            if !read_away(&mut request).await {
                response
                    .head_mut()
                    .set_connection_type(ConnectionType::Close);
            }
            let response = request.into_response(response);
            Ok(response.map_body(|_, body| GuardedBody::new(body, wire, None)))
        }
    }
}

fn errand(request: &ServiceRequest) -> Access {
    // A search is a read with its question in the body (RFC 7644, 3.4.3).
    if request.method().is_safe() || request.path().ends_with("/.search") {
        Access::Read
    } else {
        Access::Write
    }
}

/// Reads what is left of a small body, so that the connection can go on. False: it is not small.
async fn read_away(request: &mut ServiceRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > SMALL_BODY_BYTES) {
        return false;
    }
    let mut payload = request.take_payload();
    let read = async move {
        let mut left = SMALL_BODY_BYTES;
        while let Some(chunk) = payload.next().await {
            let size = chunk.ok().and_then(|chunk| u64::try_from(chunk.len()).ok());
            match size.and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(SMALL_BODY_TIME, read)
        .await
        .unwrap_or(false)
}
