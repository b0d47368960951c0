//! A response body that is sent in chunks and holds the permit of its request until it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::http::admission::control::Permit;
use crate::http::admission::slow_clients::ConnectionWatch;

/// The responses that are compressed at the same time. An encoder has some 300 KiB, for as long as
/// its client takes to read the response.
pub const MAX_ENCODERS: usize = 128;

/// The size of a chunk. The server copies each chunk into a buffer and asks for the next one when
/// the client has taken what was copied.
const CHUNK_BYTES: usize = 64 * 1024;

/// Wraps a response body.
pub struct GuardedBody {
    body: BoxBody,
    /// The bytes that the body returned and that were not yet sent.
    rest: Bytes,
    watch: Option<Arc<ConnectionWatch>>,
    /// Released when the body is dropped.
    _permit: Option<Arc<Permit>>,
    _encoder: Option<OwnedSemaphorePermit>,
}

impl GuardedBody {
    /// Wraps a body; dropping it releases the permit.
    pub fn new(
        body: BoxBody,
        watch: Option<Arc<ConnectionWatch>>,
        permit: Option<Arc<Permit>>,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            watch,
            _permit: permit,
            _encoder: None,
        }
    }

    /// Holds an encoder as well until the body is dropped.
    pub fn with_encoder(mut self, encoder: Option<OwnedSemaphorePermit>) -> Self {
        self._encoder = encoder;
        self
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.expect_request();
        }
    }
}

impl MessageBody for GuardedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => {
                    // The client cannot be slow to read what is not there yet.
                    if let Some(watch) = &self.watch {
                        watch.suspend();
                    }
                    return other;
                }
            }
        }
        if let Some(watch) = &self.watch {
            watch.expect_read();
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}
