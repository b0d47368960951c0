//! The form of Rollcall's own tokens, and the hash under which they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token. A plain digest is enough for a random secret of 256 bits, and allows
/// lookups by index, whose timing leaks nothing about the token.
pub type Digest = [u8; 32];

/// The prefix of every token, by which secret scanners recognise one.
pub const PREFIX: &str = "rct_";

/// Formats a token from 256 random bits, twice what RFC 7644 section 7.4 asks for.
pub fn format(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// Returns whether a text has the length of a token.
pub fn has_token_length(text: &str) -> bool {
    text.len() == PREFIX.len().saturating_add(43)
}

/// Returns whether a text has the form of a token.
pub fn has_token_form(text: &str) -> bool {
    has_token_length(text) && text.starts_with(PREFIX)
}

/// Returns the digest by which a token is compared and cached; the token itself is never stored.
pub fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// Returns the stored form of a digest: hexadecimal.
pub fn hash(digest: &Digest) -> String {
    let mut digits = String::with_capacity(2 * digest.len());
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
        }
    }
    digits
}

/// Returns the key of a digest in memory: its first half, which is as hard to guess as a token.
pub fn key(digest: &Digest) -> u128 {
    let (half, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    u128::from_be_bytes(*half)
}

/// Returns the key of the digest that has this stored form. `None` for another text.
pub fn key_of_hash(hash: &str) -> Option<u128> {
    u128::from_str_radix(hash.get(..32)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // R7644-7.4-01
    #[test]
    fn hash_is_sha256_in_hex() {
        assert_eq!(
            hash(&digest("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_and_its_stored_form_have_one_key() {
        let digest = digest("abc");
        assert_eq!(key_of_hash(&hash(&digest)), Some(key(&digest)));
        assert_eq!(key(&digest) >> 96, 0xba78_16bf);
        assert_eq!(key_of_hash("hash of abc"), None);
    }

    #[test]
    fn a_token_has_the_prefix_and_no_space() {
        let token = format([7; 32]);
        assert!(token.starts_with(PREFIX) && !token.contains(' ') && token.len() == 47);
        assert!(has_token_form(&token) && !has_token_form(&token.to_uppercase()));
        assert!(has_token_length(&token) && !has_token_length(token.trim_end_matches('c')));
    }
}
