//! The form of Rollcall's own tokens, and the hash under which they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token. A plain digest is enough for a random secret of 256 bits, and allows
/// lookups by index, whose timing leaks nothing about the token.
pub type Digest = [u8; 32];

/// The prefix of every token.
pub const PREFIX: &str = "rct_";
/// The length of 256 random bits in base64.
const RANDOM_LENGTH: usize = 43;
/// The digits of the checksum, which has 32 bits.
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Formats a token: the prefix, 256 random bits, twice what RFC 7644 section 7.4 asks for, and a
/// checksum, by which secret scanners tell a token from a similar text without asking the service.
pub fn format(random: [u8; 32]) -> String {
    let random = URL_SAFE_NO_PAD.encode(random);
    let checksum = checksum(&random);
    format!("{PREFIX}{random}{checksum}")
}

/// Returns the CRC-32 of a text as six digits to base 62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(rest % 62).unwrap_or_default();
        *digit = BASE62.get(index).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// Returns whether a text has the form of a token: the prefix, the length, and the checksum, which
/// tokens created by the first versions do not have.
pub fn has_token_form(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return false;
    };
    match rest.split_at_checked(RANDOM_LENGTH) {
        Some((_, "")) => true,
        Some((random, digits)) => digits == checksum(random),
        None => false,
    }
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
        assert!(token.starts_with(PREFIX) && !token.contains(' '));
        assert_eq!(token.len(), 53);
        assert!(has_token_form(&token) && !has_token_form(&token.to_uppercase()));
    }

    #[test]
    fn a_damaged_token_has_another_form() {
        // CRC-32 of the empty text, and of the text that its specification gives as an example.
        assert_eq!(checksum(""), "000000");
        assert_eq!(checksum("123456789"), "3jZRME");
        let token = format([7; 32]);
        let without_checksum = token.split_at(47).0;
        assert!(has_token_form(without_checksum), "of the first versions");
        for at in PREFIX.len()..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[at] = if damaged[at] == b'x' { b'y' } else { b'x' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(!has_token_form(&damaged), "{damaged}");
        }
        for length in (0..token.len()).filter(|length| *length != 47) {
            assert!(!has_token_form(token.split_at(length).0), "{length}");
        }
        assert!(!has_token_form(&format!("{token}x")));
        assert!(!has_token_form(
            "rct_äääääääääääääääääääääääääääääääääääääää"
        ));
    }
}
