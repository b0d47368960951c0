//! An answer on its way out: handed over piece by piece, and its request's place is held until it is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use crate::http::admission::control::Permit;
use crate::http::admission::slow_clients::ConnectionWatch;

/// A piece. The server copies what it is given into a buffer, and waits for the client with what it has copied.
const PIECE_BYTES: usize = 64 * 1024;

pub struct GuardedBody {
    body: BoxBody,
    /// What the body gave and is not handed over yet.
    rest: Bytes,
    wire: Option<Arc<ConnectionWatch>>,
    /// Only held.
    _place: Option<Arc<Permit>>,
}

impl GuardedBody {
    pub fn new(
        body: BoxBody,
        wire: Option<Arc<ConnectionWatch>>,
        place: Option<Arc<Permit>>,
    ) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            wire,
            _place: place,
        }
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if let Some(wire) = &self.wire {
            wire.rest();
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
                    // No client can be slow with what is not there yet.
                    if let Some(wire) = &self.wire {
                        wire.work();
                    }
                    return other;
                }
            }
        }
        if let Some(wire) = &self.wire {
            wire.hand_out();
        }
        let size = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}
