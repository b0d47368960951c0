//! The admission middleware: every request needs a permit, which it holds until its response is
//! sent.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::auth::Credential;
use crate::http::admission::control::{Access, Rejection, Sender};
use crate::http::admission::framing;
use crate::http::admission::public_paths::PublicPaths;
use crate::http::admission::response_body::GuardedBody;
use crate::http::admission::slow_clients::ConnectionWatch;
use crate::http::client_address::{ClientNetwork, client_address};
use crate::http::security_headers::{self, Transport};
use crate::http::state::AppState;
use crate::http::target;

/// Endpoints that need no permit, so that the service can be monitored under overload.
const UNLIMITED_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// The body of a rejected request is read up to this size: to close the connection instead would
/// cost both sides more.
const SMALL_BODY_BYTES: u64 = 64 * 1024;
/// The time that reading such a body may take.
const SMALL_BODY_TIME: Duration = Duration::from_secs(2);

/// Admits or rejects a request; an admitted one holds its permit until its response is sent. Every
/// response gets its security headers here, and says so if it is the last one of its connection.
///
/// # Errors
/// The error of the inner service.
pub async fn admit(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<GuardedBody>, Error> {
    // Before any code reads the path.
    target::canonicalize(&mut request);
    let watch = request.conn_data::<Arc<ConnectionWatch>>().cloned();
    let position = framing::check(&request, watch.as_deref()).await?;
    let shared = request.app_data::<Data<AppState>>().cloned();
    let transport = shared.as_ref().map_or(Transport::Plain, |s| s.transport);
    let outcome = respond(request, next, shared, watch.clone()).await;
    let complete = |response: &mut ResponseHead| {
        security_headers::add(&mut response.headers, response.status, transport);
        framing::conclude(response, position, watch.as_deref());
    };
    match outcome {
        Ok(mut response) => {
            complete(response.response_mut().head_mut());
            Ok(response)
        }
        Err(error) => {
            let mut response = error.error_response();
            complete(response.head_mut());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

async fn respond(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    shared: Option<Data<AppState>>,
    watch: Option<Arc<ConnectionWatch>>,
) -> Result<ServiceResponse<GuardedBody>, Error> {
    if let Some(watch) = &watch {
        watch.suspend();
    }
    let is_limited = !UNLIMITED_PATHS.contains(&request.path());
    let Some(shared) = shared.filter(|_| is_limited) else {
        let response = next.call(request).await?;
        return Ok(response.map_body(|_, body| GuardedBody::new(body.boxed(), watch, None)));
    };
    let sender = sender(&request, &shared).await;
    let admitted = shared.admission.admit(sender, access(&request)).await;
    match admitted {
        Ok(permit) => {
            let permit = Arc::new(permit);
            let encoder = take_encoder(&mut request, &shared);
            request.extensions_mut().insert(Arc::clone(&permit));
            let response = next.call(request).await?;
            Ok(response.map_body(|_, body| {
                GuardedBody::new(body.boxed(), watch, Some(permit)).with_encoder(encoder)
            }))
        }
        Err(rejection) => {
            shared
                .admission
                .record_rejection(&rejection, &shared.metrics);
            let response = reject(request, &rejection).await;
            Ok(response.map_body(|_, body| GuardedBody::new(body, watch, None)))
        }
    }
}

/// Returns the sender of a request. A valid token is recognized, also one that is new to this node.
async fn sender(request: &ServiceRequest, shared: &AppState) -> Sender {
    let header = request.headers().get(AUTHORIZATION);
    let credential = header.and_then(|value| Credential::parse(value.as_bytes()).ok());
    let authenticator = &shared.service.authenticator;
    if let Some(credential) = &credential
        && let Some(caller) = authenticator.recognize_cached(credential)
    {
        return Sender::Caller(caller);
    }
    let public_paths = request.app_data::<Data<PublicPaths>>();
    let is_public = public_paths.is_some_and(|paths| paths.contain(request.path()));
    if let Some(credential) = &credential
        && !is_public
        && let Some(caller) = authenticator.recognize(credential).await
    {
        return Sender::Caller(caller);
    }
    let network = ClientNetwork::of(client_address(request.request()));
    match (is_public, header) {
        (true, _) => Sender::Visitor(network),
        (false, None) => Sender::Unauthenticated(network),
        (false, Some(_)) => Sender::Guess(network),
    }
}

/// Takes an encoder for the response to a client that accepts a compressed one. If none is free,
/// the response is not compressed: each encoder has memory of its own.
fn take_encoder(request: &mut ServiceRequest, shared: &AppState) -> Option<OwnedSemaphorePermit> {
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        return None;
    }
    let encoder = Arc::clone(&shared.encoders).try_acquire_owned().ok();
    if encoder.is_none() {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    encoder
}

/// Returns the kind of access that a request asks for.
fn access(request: &ServiceRequest) -> Access {
    // A search is a read that has its query in the body (RFC 7644, 3.4.3).
    if request.method().is_safe() || request.path().ends_with("/.search") {
        Access::Read
    } else {
        Access::Write
    }
}

/// Answers a rejected request; the connection stays open if its body is small.
async fn reject(mut request: ServiceRequest, rejection: &Rejection) -> ServiceResponse {
    let mut response = rejection.error.error_response();
    if !drain_small_body(&mut request).await {
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    request.into_response(response)
}

/// Reads the rest of a small body, so that the connection can be used again. Returns false if the
/// body is not small.
async fn drain_small_body(request: &mut ServiceRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > SMALL_BODY_BYTES) {
        return false;
    }
    let mut payload = request.take_payload();
    let drain = async move {
        let mut remaining = SMALL_BODY_BYTES;
        while let Some(chunk) = payload.next().await {
            let size = chunk.ok().and_then(|chunk| u64::try_from(chunk.len()).ok());
            match size.and_then(|size| remaining.checked_sub(size)) {
                Some(rest) => remaining = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(SMALL_BODY_TIME, drain)
        .await
        .unwrap_or(false)
}
