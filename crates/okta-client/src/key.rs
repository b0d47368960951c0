//! The private key of a service app: PEM or JWK, RSA or P-256.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;

/// The private key of a service app, which signs its client assertions.
pub struct SigningKey {
    pub(crate) algorithm: Algorithm,
    /// The `kid` under which Okta knows the public key.
    pub(crate) key_id: Option<String>,
    pub(crate) key: EncodingKey,
}

/// A text from which [`SigningKey::parse`] reads no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Neither PEM nor JWK.
    #[error("it is neither PEM nor a JSON Web Key")]
    Unknown,
    /// A public key or a certificate.
    #[error("it is a public key; the private key is needed")]
    Public,
    /// Another algorithm or encoding.
    #[error(
        "keys of this kind are not supported: use RSA (RS256) or P-256 (ES256), in PKCS#8 or, for RSA, PKCS#1. \
         `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW` converts most others"
    )]
    Kind,
    /// An encrypted PEM file.
    #[error("it is encrypted; decrypt it into a file that only you can read")]
    Encrypted,
    /// A parameter of the JWK that is missing or malformed.
    #[error("the parameter `{0}` of the JSON Web Key is missing or malformed")]
    Value(&'static str),
}

impl SigningKey {
    /// Parses the text of a key file: PEM (PKCS#8, or PKCS#1 for RSA), a JWK, or a JWK set with one
    /// key.
    ///
    /// `key_id` takes precedence over the `kid` of a JWK.
    ///
    /// # Errors
    /// Returns an error if the text is not an unencrypted private RSA or P-256 key.
    pub fn parse(text: &str, key_id: Option<&str>) -> Result<Self, InvalidKey> {
        let text = text.trim();
        let (algorithm, key, kid) = if text.starts_with('{') {
            let jwk: Value = serde_json::from_str(text).map_err(|_| InvalidKey::Unknown)?;
            // Okta's console offers a set with one key for copying.
            let jwk = match jwk.get("keys").and_then(Value::as_array) {
                Some(keys) => keys.first().cloned().ok_or(InvalidKey::Unknown)?,
                None => jwk,
            };
            let (algorithm, key) = parse_jwk(&jwk)?;
            let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            (algorithm, key, kid)
        } else {
            let (algorithm, key) = parse_pem(text)?;
            (algorithm, key, None)
        };
        Ok(Self {
            algorithm,
            key_id: key_id.map(str::to_owned).or(kid),
            key,
        })
    }
}

fn parse_pem(text: &str) -> Result<(Algorithm, EncodingKey), InvalidKey> {
    if !text.contains("-----BEGIN ") {
        return Err(InvalidKey::Unknown);
    }
    if text.contains("PUBLIC KEY-----") || text.contains("CERTIFICATE-----") {
        return Err(InvalidKey::Public);
    }
    if text.contains("ENCRYPTED") {
        return Err(InvalidKey::Encrypted);
    }
    if let Ok(key) = EncodingKey::from_rsa_pem(text.as_bytes()) {
        return Ok((Algorithm::RS256, key));
    }
    match EncodingKey::from_ec_pem(text.as_bytes()) {
        // The PEM may contain another curve. Find that here, before Okta does.
        Ok(key)
            if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes())
                .is_ok() =>
        {
            Ok((Algorithm::ES256, key))
        }
        _ => Err(InvalidKey::Kind),
    }
}

fn parse_jwk(jwk: &Value) -> Result<(Algorithm, EncodingKey), InvalidKey> {
    let text = |name: &'static str| jwk.get(name).and_then(Value::as_str);
    if text("d").is_none() {
        return Err(InvalidKey::Public);
    }
    let value = |name: &'static str| {
        text(name)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok())
            .filter(|bytes| !bytes.is_empty())
            .ok_or(InvalidKey::Value(name))
    };
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) => {
            let mut numbers = vec![vec![0]];
            for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
                numbers.push(value(name)?);
            }
            Ok((
                Algorithm::RS256,
                EncodingKey::from_rsa_der(&pkcs1(&numbers)),
            ))
        }
        (Some("EC"), Some("P-256")) => {
            let mut point = vec![4];
            point.extend(value("x")?);
            point.extend(value("y")?);
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &value("d")?,
                &point,
            )
            .map_err(|_| InvalidKey::Value("d"))?;
            let der = pair.to_pkcs8v1().map_err(|_| InvalidKey::Value("d"))?;
            Ok((Algorithm::ES256, EncodingKey::from_ec_der(der.as_ref())))
        }
        _ => Err(InvalidKey::Kind),
    }
}

/// Encodes an `RSAPrivateKey` (RFC 8017 appendix A.1.2): a sequence of unsigned integers.
fn pkcs1(numbers: &[Vec<u8>]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in numbers {
        let significant = number.iter().position(|byte| *byte != 0);
        let digits = significant.and_then(|at| number.get(at..)).unwrap_or(&[0]);
        let mut integer = Vec::with_capacity(digits.len() + 1);
        // A leading 1 bit would make the integer negative.
        if digits.first().is_some_and(|byte| *byte >= 0x80) {
            integer.push(0);
        }
        integer.extend_from_slice(digits);
        push_der(&mut content, 0x02, &integer);
    }
    let mut der = Vec::new();
    push_der(&mut der, 0x30, &content);
    der
}

/// Appends a DER element.
fn push_der(der: &mut Vec<u8>, tag: u8, content: &[u8]) {
    der.push(tag);
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    match (digits.len(), digits.first()) {
        (0, _) => der.push(0),
        (1, Some(short)) if *short < 0x80 => der.push(*short),
        (count, _) => {
            der.push(0x80 | u8::try_from(count).unwrap_or(0x7f));
            der.extend(&digits);
        }
    }
    der.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;

    use super::*;

    // Generated for these tests and used nowhere else.
    const RSA_PEM: &str = include_str!("key/rsa.pem");
    const RSA_JWK: &str = include_str!("key/rsa.json");
    const P256_PEM: &str = include_str!("key/p256.pem");
    const P256_JWKS: &str = include_str!("key/p256.json");
    const P384_PEM: &str = include_str!("key/p384.pem");

    fn public(text: &str) -> (Algorithm, Option<String>, Jwk) {
        let key = SigningKey::parse(text, None)
            .map_err(|e| e.to_string())
            .unwrap();
        let mut jwk = Jwk::from_encoding_key(&key.key, key.algorithm).unwrap();
        jwk.common = jsonwebtoken::jwk::CommonParameters::default();
        (key.algorithm, key.key_id, jwk)
    }

    #[test]
    fn pem_and_jwk_of_one_key_are_one_key() {
        let (pem, jwk) = (public(RSA_PEM), public(RSA_JWK));
        assert_eq!((pem.0, &pem.1), (Algorithm::RS256, &None));
        assert_eq!((jwk.0, jwk.1.as_deref()), (Algorithm::RS256, Some("rsa-1")));
        assert_eq!(pem.2, jwk.2);
        let (pem, jwk) = (public(P256_PEM), public(P256_JWKS));
        assert_eq!((pem.0, jwk.0), (Algorithm::ES256, Algorithm::ES256));
        assert_eq!(jwk.1.as_deref(), Some("ec-1"));
        assert_eq!(pem.2, jwk.2);
    }

    #[test]
    fn a_key_from_a_jwk_signs() {
        for text in [RSA_JWK, P256_JWKS] {
            let key = SigningKey::parse(text, Some("other"))
                .map_err(|e| e.to_string())
                .unwrap();
            assert_eq!(key.key_id.as_deref(), Some("other"));
            let header = jsonwebtoken::Header::new(key.algorithm);
            assert!(jsonwebtoken::encode(&header, &serde_json::json!({}), &key.key).is_ok());
        }
    }

    #[test]
    fn wrong_keys_are_told_apart() {
        let check = |text: &str, expected: InvalidKey| {
            assert_eq!(
                SigningKey::parse(text, None).err(),
                Some(expected),
                "{text}"
            );
        };
        check("", InvalidKey::Unknown);
        check("secret", InvalidKey::Unknown);
        check("{", InvalidKey::Unknown);
        check(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            InvalidKey::Public,
        );
        check(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, InvalidKey::Public);
        check(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n",
            InvalidKey::Encrypted,
        );
        check(
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            InvalidKey::Kind,
        );
        check(
            r#"{"kty":"OKP","crv":"Ed25519","d":"AAAA"}"#,
            InvalidKey::Kind,
        );
        check(
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#,
            InvalidKey::Value("p"),
        );
        check(
            r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ","d":"AQ"}"#,
            InvalidKey::Value("d"),
        );
        check(P384_PEM, InvalidKey::Kind);
        check(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            InvalidKey::Public,
        );
        check(r#"{"keys":[]}"#, InvalidKey::Unknown);
        check(
            r#"{"kty":"RSA","n":"","e":"AQAB","d":"AQAB"}"#,
            InvalidKey::Value("n"),
        );
        check(
            r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"!","d":"AQ"}"#,
            InvalidKey::Value("y"),
        );
        check(
            r#"{"kty":"EC","crv":"P-384","x":"AQ","y":"AQ","d":"AQ"}"#,
            InvalidKey::Kind,
        );
    }

    #[test]
    fn der_elements() {
        for (length, expected) in [
            (0, vec![0]),
            (1, vec![1]),
            (0x7f, vec![0x7f]),
            (0x80, vec![0x81, 0x80]),
            (0xff, vec![0x81, 0xff]),
            (0x100, vec![0x82, 1, 0]),
            (0x1_0000, vec![0x83, 1, 0, 0]),
        ] {
            let content = vec![7; length];
            let mut der = vec![9];
            push_der(&mut der, 2, &content);
            let expected = [vec![9, 2], expected, content].concat();
            assert!(der == expected, "{length}");
        }
    }

    #[test]
    fn der_integers_are_short_and_positive() {
        let numbers = [
            vec![0],
            vec![1],
            vec![0x7f],
            vec![0x80],
            vec![0, 0, 1, 0],
            vec![],
        ];
        assert_eq!(
            pkcs1(&numbers),
            [
                0x30, 20, 2, 1, 0, 2, 1, 1, 2, 1, 0x7f, 2, 2, 0, 0x80, 2, 2, 1, 0, 2, 1, 0
            ]
        );
    }
}
