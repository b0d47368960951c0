//! A long body that was made in pieces: it is never in one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

/// The pieces, each given free as it is handed over.
pub struct Pieces {
    pieces: std::vec::IntoIter<String>,
    length: usize,
}

impl Pieces {
    pub fn new(pieces: Vec<String>) -> Self {
        Self {
            length: pieces.iter().map(String::len).sum(),
            pieces: pieces.into_iter(),
        }
    }

    /// Of all that there are at first, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.length).unwrap_or(u64::MAX))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.pieces.next().map(|piece| Ok(Bytes::from(piece))))
    }
}
