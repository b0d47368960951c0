//! Proof of possession (DPoP, RFC 9449): a key for each process, and a proof for each request.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::failure::{Failure, FailureKind};

/// The key that proofs are signed with. It is not the key of the client assertion, and is never
/// stored.
pub(crate) struct ProofKey {
    key: EncodingKey,
    public: Jwk,
}

/// The request that a proof is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProofParams<'a> {
    pub method: &'a str,
    /// The URL. Its query and fragment are left out of the proof.
    pub url: &'a str,
    /// Seconds since the epoch.
    pub now_s: i64,
    /// A unique id (`jti`).
    pub id: &'a str,
    pub nonce: Option<&'a str>,
    /// The access token that the request carries.
    pub access_token: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
}

impl ProofKey {
    /// Generates a key.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let fault = || {
            Failure::new(
                FailureKind::Invalid,
                "Cannot generate a key for the proof of possession (DPoP).",
            )
        };
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| fault())?;
        let key = EncodingKey::from_ec_der(der.as_ref());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| fault())?;
        // RFC 9449 section 4.2: the header carries the public key alone.
        public.common = jsonwebtoken::jwk::CommonParameters::default();
        Ok(Self { key, public })
    }

    /// Returns a proof for one request.
    pub(crate) fn prove(&self, params: ProofParams<'_>) -> Result<String, Failure> {
        let header = Header {
            typ: Some("dpop+jwt".to_owned()),
            jwk: Some(self.public.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let claims = Claims {
            htm: params.method,
            htu: params.url.split(['?', '#']).next().unwrap_or(params.url),
            iat: params.now_s,
            jti: params.id,
            nonce: params.nonce,
            ath: params
                .access_token
                .map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))),
        };
        encode(&header, &claims, &self.key).map_err(|_| {
            Failure::new(
                FailureKind::Invalid,
                "Cannot sign the proof of possession (DPoP).",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_proof_has_the_form_that_okta_asks_for() {
        let key = ProofKey::generate().unwrap();
        let params = ProofParams {
            method: "GET",
            url: "https://acme.okta.com/api/v1/apps?limit=1",
            now_s: 1_800_000_000,
            id: "one",
            nonce: Some("n"),
            access_token: Some("abc"),
        };
        let proof = key.prove(params).unwrap();
        let header = decode_header(&proof).unwrap();
        assert_eq!(
            (header.typ.as_deref(), header.alg),
            (Some("dpop+jwt"), Algorithm::ES256)
        );
        let jwk = header.jwk.unwrap();
        let jwk_json = serde_json::to_value(&jwk).unwrap();
        let names: Vec<&str> = jwk_json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert!(!names.contains(&"d"), "{names:?}");
        assert_eq!(
            (&jwk_json["kty"], &jwk_json["crv"]),
            (&json!("EC"), &json!("P-256"))
        );
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = decode::<Value>(&proof, &DecodingKey::from_jwk(&jwk).unwrap(), &validation)
            .unwrap()
            .claims;
        assert_eq!(
            claims,
            json!({"htm": "GET", "htu": "https://acme.okta.com/api/v1/apps", "iat": 1_800_000_000, "jti": "one",
                "nonce": "n", "ath": "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"})
        );
    }

    #[test]
    fn without_a_token_there_is_no_hash_of_it() {
        let key = ProofKey::generate().unwrap();
        let params = ProofParams {
            method: "POST",
            url: "https://acme.okta.com/oauth2/v1/token",
            now_s: 1,
            id: "two",
            nonce: None,
            access_token: None,
        };
        let proof = key.prove(params).unwrap();
        let body = proof.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
        let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        assert_eq!(names, ["htm", "htu", "iat", "jti"]);
    }
}
