//! A long body that was made in pieces: it is never in one.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

/// The pieces, each given free as it is handed over.
pub struct ChunkedBody {
    pieces: std::vec::IntoIter<Bytes>,
    length: usize,
}

impl ChunkedBody {
    pub fn new(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let pieces: Vec<Bytes> = pieces.into_iter().map(Into::into).collect();
        Self {
            length: pieces.iter().map(Bytes::len).sum(),
            pieces: pieces.into_iter(),
        }
    }

    /// Of all that there are at first, in bytes.
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
        Poll::Ready(self.pieces.next().map(Ok))
    }
}

/// How long the pieces of a [`ChunkWriter`] are, about.
const PIECE_BYTES: usize = 64 * 1024;

/// A text that is written as it comes.
#[derive(Default)]
pub struct ChunkWriter {
    full: Vec<Bytes>,
    last: Vec<u8>,
}

impl io::Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.last.len().saturating_add(bytes.len());
        if size > PIECE_BYTES && !self.last.is_empty() {
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
    fn a_text_is_gathered_in_pieces() {
        let words: Vec<String> = (0..50_000).map(|number| format!("{number} ")).collect();
        let mut text = ChunkWriter::default();
        for word in &words {
            text.write_all(word.as_bytes()).unwrap();
        }
        let long = "x".repeat(2 * PIECE_BYTES);
        text.write_all(long.as_bytes()).unwrap();
        let pieces = ChunkedBody::from(text);
        let whole = words.concat() + &long;
        assert_eq!(pieces.length(), whole.len());
        let pieces: Vec<Bytes> = pieces.pieces.collect();
        assert!(pieces.len() > 4, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() <= 2 * PIECE_BYTES));
        assert_eq!(pieces.concat(), whole.as_bytes());
    }
}
