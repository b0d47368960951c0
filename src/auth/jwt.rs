//! Access tokens of an outside issuer, checked against keys that it is given (RFC 7519, RFC 9068).

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::auth::{Principal, Scopes};

/// Seconds that the issuer's clock may differ from ours.
const LEEWAY_S: i64 = 30;

/// The only algorithms that count; whatever the token's header asks for, a public key never becomes an HMAC secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Longer texts are no access tokens and are not worth decoding.
const MAX_LENGTH_BYTES: usize = 16 * 1024;

/// One issuer that the operator trusts, for one tenant.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub issuer: String,
    pub audience: String,
    pub tenant: i64,
    pub keys: JwkSet,
}

/// Why a token is refused. The text is for the log; the caller only hears that the token is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("not a JWT with a header and a key id")]
    Malformed,
    #[error("the algorithm is not one of RS256, ES256 and EdDSA")]
    Algorithm,
    #[error("no configured issuer has the token's `iss` and `aud`")]
    Issuer,
    #[error("the issuer's key set has no usable key with this `kid`")]
    Key,
    #[error("the signature or a claim does not hold: {0}")]
    Invalid(String),
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    scp: Option<Words>,
    #[serde(default)]
    scope: Option<Words>,
}

/// Okta writes `scp` as a list, RFC 9068 writes `scope` as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

/// Whether a credential has the shape of a JWT, so that it is no token of ours.
pub fn looks_like_jwt(secret: &str) -> bool {
    secret.split('.').count() == 3 && secret.starts_with("ey")
}

/// Checks `token` against the issuers and answers who it speaks for.
///
/// # Errors
/// See [`Rejected`].
pub fn verify(token: &str, issuers: &[Issuer], now: Timestamp) -> Result<Principal, Rejected> {
    if token.len() > MAX_LENGTH_BYTES {
        return Err(Rejected::Malformed);
    }
    let header = decode_header(token).map_err(|_| Rejected::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Rejected::Algorithm);
    }
    let kid = header.kid.as_deref().ok_or(Rejected::Malformed)?;
    // Two issuers may use the same `kid`: every one that has it is asked, each with its own issuer and audience.
    let mut reason = Rejected::Key;
    for issuer in issuers {
        let Some(jwk) = issuer.keys.find(kid) else {
            continue;
        };
        match verify_with(token, header.alg, jwk, issuer, now) {
            Ok(principal) => return Ok(principal),
            Err(rejected) => reason = rejected,
        }
    }
    Err(reason)
}

fn verify_with(
    token: &str,
    algorithm: Algorithm,
    jwk: &Jwk,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Principal, Rejected> {
    let key = DecodingKey::from_jwk(jwk).map_err(|_| Rejected::Key)?;
    if key.family() != algorithm.family() {
        return Err(Rejected::Algorithm);
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&[&issuer.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library asks the system clock; time is an argument here, so the times are checked below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims = decode::<Claims>(token, &key, &validation)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidIssuer
            | jsonwebtoken::errors::ErrorKind::InvalidAudience => Rejected::Issuer,
            _ => Rejected::Invalid(error.to_string()),
        })?
        .claims;
    check_times(&claims, now.as_second())?;
    let scopes = [&claims.scp, &claims.scope]
        .into_iter()
        .flatten()
        .map(|words| match words {
            Words::Text(text) => text.clone(),
            Words::List(list) => list.join(" "),
        })
        .collect::<Vec<_>>()
        .join(" ");
    Ok(Principal {
        tenant: issuer.tenant,
        name: format!("jwt:{}", claims.sub),
        scopes: Scopes::parse_known(&scopes),
    })
}

fn check_times(claims: &Claims, now_s: i64) -> Result<(), Rejected> {
    let latest = now_s.saturating_add(LEEWAY_S);
    if claims.exp.saturating_add(LEEWAY_S) <= now_s {
        return Err(Rejected::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > latest) || claims.iat.is_some_and(|iat| iat > latest) {
        return Err(Rejected::NotYetValid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::{AlgorithmParameters, CommonParameters, JwkSet};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    // Made for these tests alone; they guard nothing.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const NOW: i64 = 1_800_000_000;

    fn key() -> EncodingKey {
        EncodingKey::from_ed_pem(PRIVATE.as_bytes()).unwrap()
    }

    fn issuer(kid: &str, issuer: &str, tenant: i64) -> Issuer {
        let mut jwk = Jwk::from_encoding_key(&key(), Algorithm::EdDSA).unwrap();
        jwk.common = CommonParameters {
            key_id: Some(kid.to_owned()),
            ..Default::default()
        };
        Issuer {
            issuer: issuer.to_owned(),
            audience: "rollcall".to_owned(),
            tenant,
            keys: JwkSet { keys: vec![jwk] },
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://a.example.com", "aud": "rollcall", "sub": "app", "scp": ["read"], "exp": NOW + 60, "iat": NOW })
    }

    fn token(header: &Header, claims: &Value) -> String {
        encode(header, claims, &key()).unwrap()
    }

    fn header(kid: Option<&str>) -> Header {
        Header {
            kid: kid.map(str::to_owned),
            ..Header::new(Algorithm::EdDSA)
        }
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn check(claims: &Value, expected: &Result<&str, Rejected>) {
        let issuers = [issuer("k1", "https://a.example.com", 7)];
        let found = verify(
            &token(&header(Some("k1")), claims),
            &issuers,
            Timestamp::from_second(NOW).unwrap(),
        );
        let found = found.map(|principal| principal.name);
        assert_eq!(
            found.as_deref().map_err(Clone::clone),
            *expected,
            "{claims}"
        );
    }

    #[test]
    fn claims_table() {
        check(&claims(), &Ok("jwt:app"));
        check(&with("exp", json!(NOW - 29)), &Ok("jwt:app"));
        check(&with("exp", json!(NOW - 30)), &Err(Rejected::Expired));
        check(&with("nbf", json!(NOW + 31)), &Err(Rejected::NotYetValid));
        check(&with("iat", json!(NOW + 31)), &Err(Rejected::NotYetValid));
        check(&with("nbf", json!(NOW + 30)), &Ok("jwt:app"));
        check(
            &with("iss", json!("https://b.example.com")),
            &Err(Rejected::Issuer),
        );
        check(&with("aud", json!("other")), &Err(Rejected::Issuer));
    }

    #[test]
    fn a_key_id_that_two_issuers_share_leads_to_the_right_tenant() {
        let issuers = [
            issuer("k1", "https://b.example.com", 1),
            issuer("k1", "https://a.example.com", 2),
        ];
        let principal = verify(
            &token(&header(Some("k1")), &claims()),
            &issuers,
            Timestamp::from_second(NOW).unwrap(),
        )
        .unwrap();
        assert_eq!(principal.tenant, 2);
        assert!(principal.scopes.allow(crate::auth::Scope::Read));
        assert!(!principal.scopes.allow(crate::auth::Scope::Scim));
    }

    #[test]
    fn unsigned_and_symmetric_tokens_are_refused() {
        let issuers = [issuer("k1", "https://a.example.com", 1)];
        let now = Timestamp::from_second(NOW).unwrap();
        let AlgorithmParameters::OctetKeyPair(public) = &issuers[0].keys.keys[0].algorithm else {
            unreachable!()
        };
        let mut hs = Header::new(Algorithm::HS256);
        hs.kid = Some("k1".to_owned());
        let forged = encode(
            &hs,
            &claims(),
            &EncodingKey::from_secret(public.x.as_bytes()),
        )
        .unwrap();
        assert_eq!(verify(&forged, &issuers, now), Err(Rejected::Algorithm));
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.";
        assert_eq!(verify(none, &issuers, now), Err(Rejected::Malformed));
        assert_eq!(
            verify(&token(&header(None), &claims()), &issuers, now),
            Err(Rejected::Malformed)
        );
        assert_eq!(
            verify(&token(&header(Some("k9")), &claims()), &issuers, now),
            Err(Rejected::Key)
        );
        assert_eq!(
            verify("e30.e30.e30", &issuers, now),
            Err(Rejected::Malformed)
        );
    }
}
