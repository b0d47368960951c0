//! Cursors (RFC 9865): a position in a list as a text that the client sends back.
//!
//! The server stores nothing. The text has all that the next page needs; it is encrypted, because
//! it contains the value that the list is sorted by, such as a name. The query and the caller are
//! not in it but authenticated with it: for any other query, caller or tenant the cursor is
//! invalid. docs/decisions has the reasoning.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scim_core::sort::SortKey;
use scim_core::{ErrorKind, ScimError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::{self, Clock};
use crate::service::Error;
use crate::store::query::page::{Direction, Edge, PageKey, PagePosition};
use crate::store::tables::node_secrets;
use crate::store::{ResourceId, Store};

const SECRET: &str = "cursors";
/// Changes with the sealed format.
const FORM: &str = "rollcall cursor 1";
const NONCE_BYTES: usize = 12;

/// Seals and opens cursors.
pub struct Cursors {
    key: RandomizedNonceKey,
    timeout: Duration,
}

/// The query that a cursor belongs to, who asks, and for which tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; 32]);

/// The content of a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub place: PagePosition,
    /// The size of the pages of this walk.
    pub count: u32,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    at: i64,
    count: u32,
    onwards: bool,
    including: bool,
    value: Value,
    id: String,
}

/// A sort key. Numbers are stored as bits, so that they are restored exactly.
#[derive(Serialize, Deserialize)]
enum Value {
    B(bool),
    N(u64),
    I(i64),
    T(String),
    M,
}

impl Cursors {
    /// Loads the key from the database, which is created if there is none: it is the same on every
    /// node and after a restart.
    pub async fn load(store: &Store, clock: &dyn Clock, timeout: Duration) -> Result<Self, Error> {
        let new: [u8; 32] = clock::random_bytes().map_err(Error::internal)?;
        let new = URL_SAFE_NO_PAD.encode(new);
        let at = clock.now().as_microsecond();
        let stored = store
            .admin(move |conn| node_secrets::once(conn, SECRET, &new, at))
            .await?;
        let key = URL_SAFE_NO_PAD.decode(stored).map_err(Error::internal)?;
        Self::new(&key, timeout)
    }

    fn new(key: &[u8], timeout: Duration) -> Result<Self, Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key)
            .map_err(|_| Error::internal("the key of the cursors is damaged"))?;
        Ok(Self { key, timeout })
    }

    /// Returns the text for a client, of RFC 3986 unreserved characters only.
    pub fn seal(&self, opened: &Opened, binding: &Binding, at_us: i64) -> Result<String, Error> {
        let Opened { place, count } = opened;
        let PageKey { value, id } = &place.edge.key;
        let sealed = Sealed {
            at: at_us,
            count: *count,
            onwards: place.way == Direction::Onwards,
            including: place.edge.including,
            value: match value {
                SortKey::Bool(truth) => Value::B(*truth),
                SortKey::Number(number) => Value::N(number.to_bits()),
                SortKey::Instant(micros) => Value::I(*micros),
                SortKey::Text(text) => Value::T(text.clone()),
                SortKey::Missing => Value::M,
            },
            id: id.as_str().to_owned(),
        };
        let mut bytes = serde_json::to_vec(&sealed).map_err(Error::internal)?;
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(binding.0), &mut bytes)
            .map_err(|_| Error::internal("a cursor cannot be sealed"))?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut bytes);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// Decrypts a cursor that a client has sent.
    ///
    /// # Errors
    /// `expiredCursor` for a cursor that is too old, `invalidCursor` for any other fault.
    pub fn open(&self, text: &str, binding: &Binding, now_us: i64) -> Result<Opened, ScimError> {
        let sealed = self.unseal(text, binding).ok_or_else(invalid)?;
        let timeout_us = i64::try_from(self.timeout.as_micros()).unwrap_or(i64::MAX);
        if now_us > sealed.at.saturating_add(timeout_us) {
            return Err(ScimError::new(
                ErrorKind::ExpiredCursor,
                "The cursor is too old. Begin again with an empty one.",
            ));
        }
        let value = match sealed.value {
            Value::B(truth) => SortKey::Bool(truth),
            Value::N(bits) => SortKey::Number(f64::from_bits(bits)),
            Value::I(micros) => SortKey::Instant(micros),
            Value::T(text) => SortKey::Text(text),
            Value::M => SortKey::Missing,
        };
        let id = ResourceId::parse(sealed.id).ok_or_else(invalid)?;
        let way = if sealed.onwards {
            Direction::Onwards
        } else {
            Direction::Backwards
        };
        let edge = Edge {
            key: PageKey { value, id },
            including: sealed.including,
        };
        Ok(Opened {
            place: PagePosition { way, edge },
            count: sealed.count,
        })
    }

    fn unseal(&self, text: &str, binding: &Binding) -> Option<Sealed> {
        let mut whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, bytes) = whole.split_at_mut_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let bytes = self
            .key
            .open_in_place(nonce, Aad::from(binding.0), bytes)
            .ok()?;
        serde_json::from_slice(bytes).ok()
    }
}

impl Binding {
    /// Combines everything that the pages of one walk have in common.
    pub fn new<'p>(parts: impl IntoIterator<Item = &'p str>) -> Self {
        let mut digest = Sha256::new();
        for part in std::iter::once(FORM).chain(parts) {
            digest.update(part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        Self(digest.finalize().into())
    }
}

fn invalid() -> ScimError {
    ScimError::new(
        ErrorKind::InvalidCursor,
        "The cursor does not belong to this query. Repeat the query as it was when the cursor was given, or begin \
         again with an empty cursor.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const HOUR_US: i64 = 3_600_000_000;

    fn cursors(key: u8) -> Cursors {
        Cursors::new(&[key; 32], HOUR).unwrap()
    }

    fn opened(value: SortKey) -> Opened {
        let id = ResourceId::parse("0190a8f2-7c1b-7e53-b9a4-000000000001").unwrap();
        Opened {
            place: PagePosition {
                way: Direction::Backwards,
                edge: Edge {
                    key: PageKey { value, id },
                    including: true,
                },
            },
            count: 7,
        }
    }

    // R9865-2-04
    #[test]
    fn a_sealed_cursor_opens_and_needs_no_encoding() {
        let binding = Binding::new(["a", "b"]);
        for value in [
            SortKey::Bool(true),
            SortKey::Number(0.1 + 0.2),
            SortKey::Number(-1e300),
            SortKey::Instant(i64::MIN),
            SortKey::Text("Çelik \"x\" \u{10ffff}".to_owned()),
            SortKey::Missing,
        ] {
            let opened = opened(value);
            let text = cursors(1).seal(&opened, &binding, 5).unwrap();
            let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
            assert!(text.chars().all(is_unreserved), "{text}");
            assert_eq!(cursors(1).open(&text, &binding, 5), Ok(opened));
        }
    }

    // R9865-2.1-01, R9865-5-02
    #[test]
    fn a_cursor_opens_only_unchanged_and_for_its_query() {
        let binding = Binding::new(["a", "b"]);
        let text = cursors(1)
            .seal(&opened(SortKey::Missing), &binding, 0)
            .unwrap();
        let other_key = cursors(2).open(&text, &binding, 0);
        assert_eq!(other_key, Err(invalid()));
        for other in [vec![], vec!["ab"], vec!["a", "c"], vec!["a", "b", ""]] {
            let other = Binding::new(other);
            assert_eq!(cursors(1).open(&text, &other, 0), Err(invalid()));
        }
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(cursors(1).open(&changed, &binding, 0), Err(invalid()));
            assert_eq!(
                cursors(1).open(text.split_at(index).0, &binding, 0),
                Err(invalid())
            );
        }
    }

    // R9865-2.1-01, R9865-4-01
    #[test]
    fn a_cursor_is_valid_as_long_as_advertised() {
        let binding = Binding::new(["a"]);
        let opened = opened(SortKey::Missing);
        let text = cursors(1).seal(&opened, &binding, 1_000).unwrap();
        let open = |now| cursors(1).open(&text, &binding, now);
        assert_eq!(open(1_000 + HOUR_US), Ok(opened));
        let expired = open(1_001 + HOUR_US).unwrap_err();
        assert_eq!(expired.kind, ErrorKind::ExpiredCursor);
        // Another node's clock may be behind.
        assert!(open(0).is_ok());
    }

    #[test]
    fn a_name_is_not_visible() {
        let binding = Binding::new(["a"]);
        let seal = || {
            let name = SortKey::Text("ada lovelace".to_owned());
            cursors(1).seal(&opened(name), &binding, 0).unwrap()
        };
        let first = seal();
        let second = seal();
        assert_ne!(first, second);
        let bytes = URL_SAFE_NO_PAD.decode(first).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"lovelace"));
    }
}
