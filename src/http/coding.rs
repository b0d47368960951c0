//! The content coding of a request body (RFC 9110 section 8.4): gzip and deflate, decoded as the
//! body arrives.
//!
//! Limits and memory count decoded bytes, and no more of them are held than the limit allows.

use std::io::{self, Write};

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use flate2::write::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use scim_core::ScimError;

use crate::http::error::ApiError;

/// The number of bytes that are decoded between two checks of the limit.
const STEP_BYTES: usize = 16 * 1024;

/// The number of members that a gzip body may have (RFC 1952 section 2.2). Each needs a new
/// decoder, so a hundred thousand empty ones would keep a thread busy for seconds.
const MAX_MEMBERS: usize = 1_000;

/// A supported content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// Returns the coding of a request's body; `None` if it is not encoded.
    ///
    /// # Errors
    /// [`ApiError::ContentCoding`] for an unsupported coding, and for more than one.
    pub fn from_request(request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        let mut found = None;
        for header in request.headers().get_all(CONTENT_ENCODING) {
            let header = header.to_str().map_err(|_| ApiError::ContentCoding)?;
            for name in header.split(',').map(str::trim) {
                let coding = match name.to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    // RFC 9110 section 8.4.1.3: the two are equivalent.
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(ApiError::ContentCoding),
                };
                if found.replace(coding).is_some() {
                    return Err(ApiError::ContentCoding);
                }
            }
        }
        Ok(found)
    }
}

/// Decodes a body chunk by chunk.
pub struct Decoder<R: FnMut(usize) -> Result<(), ApiError>>(State<R>);

enum State<R: FnMut(usize) -> Result<(), ApiError>> {
    // Boxed: its buffers make it far larger than the other variant.
    Gzip(Box<Gzip<R>>),
    Deflate(Deflate<R>),
}

impl<R: FnMut(usize) -> Result<(), ApiError>> Decoder<R> {
    /// Creates a decoder. It calls `reserve` before it allocates memory for decoded bytes.
    pub fn new(coding: Coding, limit_bytes: usize, reserve: R) -> Self {
        let decoded = Decoded {
            bytes: Vec::new(),
            limit_bytes,
            reserve,
            error: None,
        };
        Self(match coding {
            Coding::Gzip => State::Gzip(Box::new(Gzip {
                member: Some(GzDecoder::new(decoded)),
                members: 1,
            })),
            Coding::Deflate => State::Deflate(Deflate {
                head: Vec::new(),
                inflate: None,
                has_ended: false,
                decoded,
            }),
        })
    }

    /// Decodes the next chunk.
    ///
    /// # Errors
    /// 400 for a damaged body, 413 over the limit, and what `reserve` returns.
    pub fn decode(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let written = match &mut self.0 {
            State::Gzip(gzip) => gzip.write(chunk),
            State::Deflate(deflate) => deflate.write(chunk),
        };
        written.map_err(|_| self.error())
    }

    /// Returns the whole decoded body.
    ///
    /// # Errors
    /// As [`Decoder::decode`]; a body that ends too early counts as damaged.
    pub fn finish(mut self) -> Result<Vec<u8>, ApiError> {
        let finished = match &mut self.0 {
            State::Gzip(gzip) => gzip.finish(),
            State::Deflate(deflate) => deflate.finish(),
        };
        finished.map_err(|_| self.error())?;
        let bytes = self
            .decoded()
            .map(|decoded| std::mem::take(&mut decoded.bytes));
        bytes.ok_or_else(|| self.error())
    }

    /// Returns why decoding failed.
    fn error(&mut self) -> ApiError {
        let damaged = || {
            let text = "The body cannot be decoded as its Content-Encoding says: it is damaged or ends too early.";
            ScimError::invalid_syntax(text).into()
        };
        self.decoded()
            .and_then(|decoded| decoded.error.take())
            .unwrap_or_else(damaged)
    }

    fn decoded(&mut self) -> Option<&mut Decoded<R>> {
        match &mut self.0 {
            State::Gzip(gzip) => gzip.member.as_mut().map(GzDecoder::get_mut),
            State::Deflate(deflate) => Some(&mut deflate.decoded),
        }
    }
}

struct Gzip<R: FnMut(usize) -> Result<(), ApiError>> {
    /// The member that is being decoded.
    member: Option<GzDecoder<Decoded<R>>>,
    /// The number of members so far.
    members: usize,
}

impl<R: FnMut(usize) -> Result<(), ApiError>> Gzip<R> {
    fn write(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        while let Some(member) = self.member.as_mut().filter(|_| !chunk.is_empty()) {
            let read = member.write(chunk)?;
            chunk = chunk.get(read..).unwrap_or_default();
            if read == 0 {
                // The member has ended; the next one follows.
                self.next_member()?;
            }
        }
        Ok(())
    }

    fn next_member(&mut self) -> io::Result<()> {
        self.finish()?;
        self.members += 1;
        if self.members > MAX_MEMBERS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Some(member) = self.member.take() {
            self.member = Some(GzDecoder::new(member.finish()?));
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        match &mut self.member {
            Some(member) => member.try_finish(),
            None => Ok(()),
        }
    }
}

/// Decodes `deflate`, which is zlib's format (RFC 9110 section 8.4.1.2). Some clients send only the
/// deflate stream inside it.
struct Deflate<R> {
    /// The first bytes, until there are enough to distinguish the formats.
    head: Vec<u8>,
    inflate: Option<Decompress>,
    has_ended: bool,
    decoded: Decoded<R>,
}

impl<R: FnMut(usize) -> Result<(), ApiError>> Deflate<R> {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if self.inflate.is_some() {
            return self.inflate(chunk);
        }
        self.head.extend_from_slice(chunk);
        let &[method, flags, ..] = self.head.as_slice() else {
            return Ok(());
        };
        // RFC 1950 section 2.2. A bare stream does not begin like this: these bits would mean a
        // stored block with padding that is not zero.
        let is_zlib = method & 0x0f == 8 && (u16::from(method) * 256 + u16::from(flags)) % 31 == 0;
        self.inflate = Some(Decompress::new(is_zlib));
        let head = std::mem::take(&mut self.head);
        self.inflate(&head)
    }

    fn inflate(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        let Some(inflate) = &mut self.inflate else {
            return Ok(());
        };
        let mut step = vec![0; STEP_BYTES];
        loop {
            if self.has_ended {
                // Nothing may follow the end.
                return match chunk {
                    [] => Ok(()),
                    _ => Err(io::ErrorKind::InvalidData.into()),
                };
            }
            let read_before = inflate.total_in();
            let written_before = inflate.total_out();
            let status = inflate.decompress(chunk, &mut step, FlushDecompress::None)?;
            self.has_ended = status == Status::StreamEnd;
            let read = usize::try_from(inflate.total_in() - read_before).unwrap_or(usize::MAX);
            let written =
                usize::try_from(inflate.total_out() - written_before).unwrap_or(usize::MAX);
            self.decoded
                .write_all(step.get(..written).unwrap_or_default())?;
            chunk = chunk.get(read..).unwrap_or_default();
            if read == 0 && written == 0 && !self.has_ended {
                return Ok(());
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.has_ended {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The decoded bytes, up to the limit.
struct Decoded<R> {
    bytes: Vec<u8>,
    limit_bytes: usize,
    reserve: R,
    /// Why decoding stopped.
    error: Option<ApiError>,
}

impl<R: FnMut(usize) -> Result<(), ApiError>> Decoded<R> {
    /// Makes space for this many bytes in all.
    fn make_space(&mut self, size: usize) -> Result<(), ApiError> {
        let limit_bytes = self.limit_bytes;
        if size > limit_bytes {
            return Err(ApiError::TooLarge { limit_bytes });
        }
        let capacity = self.bytes.capacity();
        if size > capacity {
            let wanted = capacity.saturating_mul(2).min(limit_bytes).max(size);
            (self.reserve)(wanted.saturating_sub(capacity))?;
            let more = wanted.saturating_sub(self.bytes.len());
            self.bytes.reserve_exact(more);
        }
        Ok(())
    }
}

impl<R: FnMut(usize) -> Result<(), ApiError>> Write for Decoded<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.bytes.len().saturating_add(bytes.len());
        if let Err(error) = self.make_space(size) {
            self.error = Some(error);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;
    use actix_web::test::TestRequest;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const KIB: usize = 1024;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bare(bytes: &[u8], level: Compression) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Returns the decoded bytes or the status, fed in chunks of this size.
    fn decode(coding: Coding, encoded: &[u8], size: usize) -> Result<Vec<u8>, u16> {
        let mut decoder = Decoder::new(coding, 100 * KIB, |_| Ok(()));
        let status = |error: ApiError| error.status_code().as_u16();
        for chunk in encoded.chunks(size) {
            decoder.decode(chunk).map_err(status)?;
        }
        decoder.finish().map_err(status)
    }

    #[test]
    fn bodies() {
        let words: Vec<String> = (0..9_000).map(|number| format!("{number} ")).collect();
        for text in [&b""[..], b"{}", words.concat().as_bytes()] {
            let whole = |encoded: &[u8], coding| {
                for size in [1, 2, 3, 1000, 1_000_000] {
                    let decoded = decode(coding, encoded, size);
                    assert_eq!(decoded.as_deref(), Ok(text), "{coding:?} by {size}");
                }
                // Trailing bytes, and a missing end.
                assert_eq!(decode(coding, &[encoded, b"x"].concat(), 9), Err(400));
                let cut = &encoded[..encoded.len() - 1];
                assert_eq!(decode(coding, cut, 9), Err(400), "{coding:?}");
            };
            whole(&gzip(text), Coding::Gzip);
            whole(&zlib(text), Coding::Deflate);
            for level in [
                Compression::none(),
                Compression::fast(),
                Compression::best(),
            ] {
                whole(&bare(text, level), Coding::Deflate);
            }
            let (first, second) = text.split_at(text.len() / 2);
            whole(&[gzip(first), gzip(second)].concat(), Coding::Gzip);
        }
        let members = |count: usize| [gzip(b"").repeat(count), gzip(b"{}")].concat();
        assert_eq!(
            decode(Coding::Gzip, &members(MAX_MEMBERS - 1), 9).as_deref(),
            Ok(&b"{}"[..])
        );
        assert_eq!(decode(Coding::Gzip, &members(MAX_MEMBERS), 1000), Err(400));
        for coding in [Coding::Gzip, Coding::Deflate] {
            for damaged in [&b""[..], b"{", b"{\"userName\":\"ada\"}", &[0xff; 50]] {
                assert_eq!(
                    decode(coding, damaged, 9),
                    Err(400),
                    "{coding:?} {damaged:?}"
                );
            }
        }
        let mut damaged = gzip(b"{\"userName\":\"ada\"}");
        damaged[14] ^= 1;
        assert_eq!(decode(Coding::Gzip, &damaged, 9), Err(400));
    }

    #[test]
    fn limits() {
        let fits = vec![b' '; 100 * KIB];
        let bomb = vec![b' '; 50 * 1024 * KIB];
        assert_eq!(decode(Coding::Gzip, &gzip(&fits), 9), Ok(fits.clone()));
        assert_eq!(decode(Coding::Deflate, &zlib(&fits), 9), Ok(fits));
        for (coding, encoded) in [(Coding::Gzip, gzip(&bomb)), (Coding::Deflate, zlib(&bomb))] {
            let mut decoder = Decoder::new(coding, 100 * KIB, |_| Ok(()));
            let error = decoder.decode(&encoded).unwrap_err();
            assert!(matches!(error, ApiError::TooLarge { .. }), "{error}");
            assert!(decoder.decoded().unwrap().bytes.capacity() < 300 * KIB);
        }
    }

    #[test]
    fn memory_is_reserved_before_it_is_used() {
        let text = vec![b' '; 80 * KIB];
        let mut reserved = 0;
        let mut decoder = Decoder::new(Coding::Gzip, 100 * KIB, |bytes| {
            reserved += bytes;
            Ok(())
        });
        decoder.decode(&gzip(&text)).unwrap();
        let decoded = decoder.finish().unwrap();
        assert_eq!(decoded.len(), text.len());
        assert_eq!(reserved, decoded.capacity());
        let mut reserved = 0;
        let mut decoder = Decoder::new(Coding::Deflate, 100 * KIB, |bytes| {
            reserved += bytes;
            match reserved {
                too_much if too_much > 40 * KIB => Err(ApiError::BodyMemoryFull),
                _ => Ok(()),
            }
        });
        let error = decoder.decode(&zlib(&text)).unwrap_err();
        assert!(matches!(error, ApiError::BodyMemoryFull), "{error}");
        assert!(decoder.decoded().unwrap().bytes.capacity() <= 40 * KIB);
    }

    #[test]
    fn headers() {
        let check = |headers: &[&str], expected: Option<Option<Coding>>| {
            let mut request = TestRequest::default();
            for value in headers {
                request = request.append_header((CONTENT_ENCODING, *value));
            }
            let found = Coding::from_request(&request.to_http_request()).ok();
            assert_eq!(found, expected, "{headers:?}");
        };
        check(&[], Some(None));
        check(&["identity"], Some(None));
        check(&["", " , "], Some(None));
        check(&["gzip"], Some(Some(Coding::Gzip)));
        check(&["X-GZip"], Some(Some(Coding::Gzip)));
        check(&["identity, Deflate"], Some(Some(Coding::Deflate)));
        check(&["br"], None);
        check(&["zstd"], None);
        check(&["gzip, gzip"], None);
        check(&["deflate", "gzip"], None);
        check(&["gzip;q=1"], None);
    }
}
