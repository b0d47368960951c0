//! Request smuggling: no byte behind a chunked body is taken for a request.
//!
//! The server (actix-http 3.20.0) takes `0\r\n\n` for the beginning of a trailer, so it looks for
//! the end of the body in the head of the next request, and takes that request's body for a request
//! (CVE-2026-134342). A proxy that ends the body at `0\r\n\n` sends requests of other clients
//! behind it. So a connection ends with its first chunked request: the response says so, and a
//! request that was parsed behind it is neither run nor answered. The same holds behind every other
//! response that closes its connection (RFC 9112 section 9.6), where the server alone would run
//! what it has parsed already.
//!
//! [Decision 35](../../../docs/decisions/0035-request-smuggling.md) has the details.

use std::time::Duration;

use actix_web::Error;
use actix_web::dev::{ResponseHead, ServiceRequest};
use actix_web::error::ErrorBadRequest;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::http::{ConnectionType, Version};

use crate::http::admission::slow_clients::ConnectionWatch;

/// The time in which the server sends the response before such a request, if it does not notice
/// that the connection ends.
const LINGER: Duration = Duration::from_secs(1);

/// The position of a request on its connection: the last one or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Last,
    NotLast,
}

/// Ends the connection with this request if its body is chunked, or if its client will send no
/// further one. For a request behind the last one, the returned future usually never completes: the
/// server drops it with the connection.
///
/// # Errors
/// The request is behind the last one. The connection is closed, so the error reaches no client.
pub async fn check(
    request: &ServiceRequest,
    watch: Option<&ConnectionWatch>,
) -> Result<Position, Error> {
    if let Some(watch) = watch
        && watch.has_ended()
    {
        return Err(drop_request(watch).await);
    }
    // The server has rejected every transfer coding but `chunked`.
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    if !is_chunked && request.head().connection_type() == ConnectionType::KeepAlive {
        return Ok(Position::NotLast);
    }
    if let Some(watch) = watch {
        watch.end();
    }
    Ok(Position::Last)
}

/// Marks a response as the last one of its connection, or ends the connection with a response that
/// is marked already.
pub fn conclude(response: &mut ResponseHead, position: Position, watch: Option<&ConnectionWatch>) {
    // The server reuses heads, and one that was sent to an HTTP/1.0 client would seem to close. It
    // sets the version when it sends the head.
    response.version = Version::HTTP_11;
    if position == Position::Last {
        response.set_connection_type(ConnectionType::Close);
    } else if response.connection_type() == ConnectionType::Close
        && let Some(watch) = watch
    {
        watch.end();
    }
}

/// Closes the connection once the server has sent the responses before this request.
async fn drop_request(watch: &ConnectionWatch) -> Error {
    tracing::debug!("dropped a request behind the last one of its connection");
    // The server sends what it has when a request makes it wait.
    tokio::task::yield_now().await;
    watch.stop_reading();
    tokio::time::sleep(LINGER).await;
    watch.close();
    ErrorBadRequest("behind the last request")
}
