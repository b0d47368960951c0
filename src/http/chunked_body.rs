//! A long response body as a list of chunks, which are never joined in memory.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

use crate::memory::Reservation;

/// A body of chunks, each freed when it is sent.
pub struct ChunkedBody {
    chunks: std::vec::IntoIter<Bytes>,
    length: usize,
    /// Returned when the body is sent.
    _held: Option<Reservation>,
}

impl ChunkedBody {
    /// Creates a body from its chunks.
    pub fn new(chunks: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let chunks: Vec<Bytes> = chunks.into_iter().map(Into::into).collect();
        Self {
            length: chunks.iter().map(Bytes::len).sum(),
            chunks: chunks.into_iter(),
            _held: None,
        }
    }

    /// Holds a reservation until the body is sent, for no more than its length.
    pub fn holding(self, mut held: Reservation) -> Self {
        held.shrink_to(self.length);
        Self {
            _held: Some(held),
            ..self
        }
    }

    /// Returns the length of the whole body in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl MessageBody for ChunkedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.length).unwrap_or(u64::MAX))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.chunks.next().map(Ok))
    }
}

/// The approximate size of the chunks of a [`ChunkWriter`].
const CHUNK_BYTES: usize = 64 * 1024;

/// Collects what is written to it in chunks.
#[derive(Default)]
pub struct ChunkWriter {
    full: Vec<Bytes>,
    last: Vec<u8>,
}

impl io::Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.last.len().saturating_add(bytes.len());
        if size > CHUNK_BYTES && !self.last.is_empty() {
            self.full.push(std::mem::take(&mut self.last).into());
        }
        self.last.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<ChunkWriter> for ChunkedBody {
    fn from(text: ChunkWriter) -> Self {
        Self::new(text.full.into_iter().chain([text.last.into()]))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_text_is_collected_in_chunks() {
        let words: Vec<String> = (0..50_000).map(|number| format!("{number} ")).collect();
        let mut text = ChunkWriter::default();
        for word in &words {
            text.write_all(word.as_bytes()).unwrap();
        }
        let long = "x".repeat(2 * CHUNK_BYTES);
        text.write_all(long.as_bytes()).unwrap();
        let body = ChunkedBody::from(text);
        let whole = words.concat() + &long;
        assert_eq!(body.length(), whole.len());
        let chunks: Vec<Bytes> = body.chunks.collect();
        assert!(chunks.len() > 4, "{}", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.len() <= 2 * CHUNK_BYTES));
        assert_eq!(chunks.concat(), whole.as_bytes());
    }
}
