//! Cursors (RFC 9865): a place in a list as a text for the client to bring back.
//!
//! Nothing is remembered here. All that the next page needs is in the text, encrypted, for it holds what a list is
//! ordered by, such as a name. The query it belongs to, and who asked, are not in it but sealed with it: for any other
//! query, caller or tenant it does not open, just as if it were garbage. docs/decisions has the reasoning.

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
/// Moves when what is sealed changes.
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

/// What a cursor says.
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

/// A sort key. Numbers are kept by their bits, to come back the same.
#[derive(Serialize, Deserialize)]
enum Value {
    B(bool),
    N(u64),
    I(i64),
    T(String),
    M,
}

impl Cursors {
    /// With the key of the database, which is made where there is none yet: the same on every node and after a restart.
    ///
    /// # Errors
    /// Where the database or the random source fails.
    pub async fn load(store: &Store, clock: &dyn Clock, timeout: Duration) -> Result<Self, Error> {
        let fresh: [u8; 32] = clock::random_bytes().map_err(Error::internal)?;
        let fresh = URL_SAFE_NO_PAD.encode(fresh);
        let at = clock.now().as_microsecond();
        let kept = store
            .admin(move |conn| node_secrets::once(conn, SECRET, &fresh, at))
            .await?;
        let key = URL_SAFE_NO_PAD.decode(kept).map_err(Error::internal)?;
        Self::new(&key, timeout)
    }

    fn new(key: &[u8], timeout: Duration) -> Result<Self, Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, key)
            .map_err(|_| Error::internal("the key of the cursors is damaged"))?;
        Ok(Self { key, timeout })
    }

    /// The text for a client: RFC 3986 unreserved characters alone.
    ///
    /// # Errors
    /// Where the library refuses, which it has no reason to.
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

    /// # Errors
    /// `invalidCursor` with one text for whatever is wrong, `expiredCursor` for one that was good once.
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
    /// Of everything that the pages of one walk have in common.
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
    fn what_is_sealed_comes_back_in_characters_that_need_no_encoding() {
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
    fn a_cursor_opens_for_its_query_alone_and_unchanged() {
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
    fn a_cursor_is_good_for_as_long_as_is_advertised() {
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
    fn nothing_of_a_name_shows() {
        let binding = Binding::new(["a"]);
        let seal = || {
            let name = SortKey::Text("ada lovelace".to_owned());
            cursors(1).seal(&opened(name), &binding, 0).unwrap()
        };
        let (one, other) = (seal(), seal());
        assert_ne!(one, other);
        let bytes = URL_SAFE_NO_PAD.decode(one).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"lovelace"));
    }
}
