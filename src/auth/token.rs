//! Rollcall's own tokens: how they look and how they are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token. A plain digest is enough for a secret of full entropy, and lets a lookup be by index, which leaks
/// nothing by its time.
pub type Digest = [u8; 32];

/// Every token starts with this, so that a secret scanner can know one.
pub const PREFIX: &str = "rct_";

/// The token's text from 32 random bytes: 256 bits, far above the 128 that RFC 7644 section 7.4 asks for.
pub fn format(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// Whether a text is as long as every token of ours is.
pub fn is_whole(text: &str) -> bool {
    text.len() == PREFIX.len().saturating_add(43)
}

/// Whether a text looks as every token of ours does.
pub fn is_ours(text: &str) -> bool {
    is_whole(text) && text.starts_with(PREFIX)
}

/// By what a token is compared and remembered; the text itself is never kept.
pub fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// What is stored of a token: its digest in hexadecimal.
pub fn hash(digest: &Digest) -> String {
    let mut digits = String::with_capacity(2 * digest.len());
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            digits.push(char::from_digit(nibble.into(), 16).unwrap_or_default());
        }
    }
    digits
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
    fn a_token_has_the_prefix_and_no_blank() {
        let token = format([7; 32]);
        assert!(token.starts_with(PREFIX) && !token.contains(' ') && token.len() == 47);
        assert!(is_ours(&token) && !is_ours(&token.to_uppercase()));
        assert!(is_whole(&token) && !is_whole(token.trim_end_matches('c')));
    }
}
