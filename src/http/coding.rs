//! The content coding of a request body (RFC 9110 section 8.4): gzip and deflate, decoded as they
//! arrive.
//!
//! The decoded bytes are what limits and memory are counted in, and no more of them is ever held
//! than the limit allows.

use std::io::{self, Write};

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::BytesMut;
use flate2::write::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use scim_core::ScimError;

use crate::http::error::ApiError;

/// The value of `Accept-Encoding` in the answer to another coding (RFC 9110 section 15.5.16).
pub const OFFERED: &str = "gzip, deflate";

/// The bytes that are decoded between two looks at the limit.
const STEP_BYTES: usize = 16 * 1024;

/// A gzip body may have several members one after the other (RFC 1952 section 2.2). Each costs a
/// new start, so empty ones by the hundred thousand would keep a thread busy for seconds.
const MOST_MEMBERS: usize = 1_000;

/// A content coding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The coding of a request's body; `None` where it is sent as it is.
    ///
    /// # Errors
    /// [`ApiError::ContentCoding`] for an unknown coding, and for several on top of each other.
    pub fn of(request: &HttpRequest) -> Result<Option<Self>, ApiError> {
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

/// Decodes a body piece by piece.
pub struct Decoder<R: FnMut() -> Result<(), ApiError>>(State<R>);

enum State<R: FnMut() -> Result<(), ApiError>> {
    // On the heap: its buffers make it far larger than the other.
    Gzip(Box<Gzip<R>>),
    Deflate(Deflate<R>),
}

impl<R: FnMut() -> Result<(), ApiError>> Decoder<R> {
    /// `small_bytes` are decoded freely; `take_room` is called once before there are more.
    pub fn new(coding: Coding, limit_bytes: usize, small_bytes: usize, take_room: R) -> Self {
        let decoded = Decoded {
            bytes: BytesMut::new(),
            limit_bytes,
            free_bytes: small_bytes.min(limit_bytes),
            take_room,
            refused: None,
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

    /// Decodes the next piece.
    ///
    /// # Errors
    /// 400 for a damaged body, 413 over the limit, and what `take_room` answers.
    pub fn decode(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let written = match &mut self.0 {
            State::Gzip(gzip) => gzip.write(piece),
            State::Deflate(deflate) => deflate.write(piece),
        };
        written.map_err(|_| self.failure())
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Decoder::decode`]; a body that ends too early is a damaged one.
    pub fn finish(mut self) -> Result<BytesMut, ApiError> {
        let finished = match &mut self.0 {
            State::Gzip(gzip) => gzip.finish(),
            State::Deflate(deflate) => deflate.finish(),
        };
        finished.map_err(|_| self.failure())?;
        let bytes = self
            .decoded()
            .map(|decoded| std::mem::take(&mut decoded.bytes));
        bytes.ok_or_else(|| self.failure())
    }

    fn failure(&mut self) -> ApiError {
        let damaged = || {
            let text =
                "The body is not what its Content-Encoding says: it is damaged or ends too early.";
            ScimError::invalid_syntax(text).into()
        };
        self.decoded()
            .and_then(|decoded| decoded.refused.take())
            .unwrap_or_else(damaged)
    }

    fn decoded(&mut self) -> Option<&mut Decoded<R>> {
        match &mut self.0 {
            State::Gzip(gzip) => gzip.member.as_mut().map(GzDecoder::get_mut),
            State::Deflate(deflate) => Some(&mut deflate.decoded),
        }
    }
}

struct Gzip<R: FnMut() -> Result<(), ApiError>> {
    /// The member that is being decoded.
    member: Option<GzDecoder<Decoded<R>>>,
    /// The number of members so far.
    members: usize,
}

impl<R: FnMut() -> Result<(), ApiError>> Gzip<R> {
    fn write(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while let Some(member) = self.member.as_mut().filter(|_| !piece.is_empty()) {
            let read = member.write(piece)?;
            piece = piece.get(read..).unwrap_or_default();
            if read == 0 {
                // It has ended; what follows is the next one.
                self.next_member()?;
            }
        }
        Ok(())
    }

    fn next_member(&mut self) -> io::Result<()> {
        self.finish()?;
        self.members += 1;
        if self.members > MOST_MEMBERS {
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

/// `deflate` is zlib's format (RFC 9110 section 8.4.1.2), but some clients send the bare stream
/// inside it.
struct Deflate<R> {
    /// The first bytes, until there are enough to tell the formats apart.
    head: Vec<u8>,
    inflate: Option<Decompress>,
    has_ended: bool,
    decoded: Decoded<R>,
}

impl<R: FnMut() -> Result<(), ApiError>> Deflate<R> {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.inflate.is_some() {
            return self.inflate(piece);
        }
        self.head.extend_from_slice(piece);
        let &[method, flags, ..] = self.head.as_slice() else {
            return Ok(());
        };
        // RFC 1950 section 2.2. A bare stream cannot begin so: these bits are an empty part of a
        // stored block.
        let is_zlib = method & 0x0f == 8 && (u16::from(method) * 256 + u16::from(flags)) % 31 == 0;
        self.inflate = Some(Decompress::new(is_zlib));
        let head = std::mem::take(&mut self.head);
        self.inflate(&head)
    }

    fn inflate(&mut self, mut piece: &[u8]) -> io::Result<()> {
        let Some(inflate) = &mut self.inflate else {
            return Ok(());
        };
        let mut step = vec![0; STEP_BYTES];
        loop {
            if self.has_ended {
                // Nothing may follow the end.
                return match piece {
                    [] => Ok(()),
                    _ => Err(io::ErrorKind::InvalidData.into()),
                };
            }
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(piece, &mut step, FlushDecompress::None)?;
            self.has_ended = status == Status::StreamEnd;
            let read = usize::try_from(inflate.total_in() - read).unwrap_or(usize::MAX);
            let written = usize::try_from(inflate.total_out() - written).unwrap_or(usize::MAX);
            self.decoded
                .write_all(step.get(..written).unwrap_or_default())?;
            piece = piece.get(read..).unwrap_or_default();
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
    bytes: BytesMut,
    limit_bytes: usize,
    /// The number of bytes that memory was taken for.
    free_bytes: usize,
    take_room: R,
    /// Why no more is taken.
    refused: Option<ApiError>,
}

impl<R: FnMut() -> Result<(), ApiError>> Write for Decoded<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.bytes.len().saturating_add(bytes.len());
        let limit_bytes = self.limit_bytes;
        let taken = match size {
            size if size > limit_bytes => Err(ApiError::TooLarge { limit_bytes }),
            size if size > self.free_bytes => (self.take_room)(),
            _ => Ok(()),
        };
        if let Err(error) = taken {
            self.refused = Some(error);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if size > self.free_bytes {
            self.free_bytes = limit_bytes;
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

    /// The decoded bytes or the status, fed in pieces of this size.
    fn decode(coding: Coding, encoded: &[u8], size: usize) -> Result<Vec<u8>, u16> {
        let mut decoder = Decoder::new(coding, 100 * KIB, 10 * KIB, || Ok(()));
        let status = |error: ApiError| error.status_code().as_u16();
        for piece in encoded.chunks(size) {
            decoder.decode(piece).map_err(status)?;
        }
        decoder.finish().map(|bytes| bytes.to_vec()).map_err(status)
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
                // What follows, and what is missing.
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
            decode(Coding::Gzip, &members(MOST_MEMBERS - 1), 9).as_deref(),
            Ok(&b"{}"[..])
        );
        assert_eq!(decode(Coding::Gzip, &members(MOST_MEMBERS), 1000), Err(400));
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
            let mut decoder = Decoder::new(coding, 100 * KIB, 10 * KIB, || Ok(()));
            let refused = decoder.decode(&encoded).unwrap_err();
            assert!(matches!(refused, ApiError::TooLarge { .. }), "{refused}");
            assert!(decoder.decoded().unwrap().bytes.capacity() < 300 * KIB);
        }
    }

    #[test]
    fn room_is_taken_once_and_before_it_is_used() {
        let text = vec![b' '; 80 * KIB];
        let mut taken = 0;
        let mut decoder = Decoder::new(Coding::Gzip, 100 * KIB, 10 * KIB, || {
            taken += 1;
            Ok(())
        });
        decoder.decode(&gzip(&text)).unwrap();
        assert_eq!(decoder.finish().unwrap().len(), text.len());
        assert_eq!(taken, 1);
        let mut decoder = Decoder::new(Coding::Deflate, 100 * KIB, 10 * KIB, || {
            Err(ApiError::NoRoom)
        });
        let refused = decoder.decode(&zlib(&text)).unwrap_err();
        assert!(matches!(refused, ApiError::NoRoom), "{refused}");
        assert!(decoder.decoded().unwrap().bytes.len() <= 10 * KIB);
    }

    #[test]
    fn headers() {
        let check = |headers: &[&str], expected: Option<Option<Coding>>| {
            let mut request = TestRequest::default();
            for value in headers {
                request = request.append_header((CONTENT_ENCODING, *value));
            }
            let found = Coding::of(&request.to_http_request()).ok();
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
