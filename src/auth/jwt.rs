//! Access tokens of an outside issuer, checked against keys that it is given (RFC 7519, RFC 9068).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::{Fields, Principal, Scope, Scopes};
use crate::ids::{Actor, TenantId};

/// Seconds that the issuer's clock may differ from ours.
const LEEWAY_S: i64 = 30;

/// The only algorithms that count; whatever the token's header asks for, a public key never becomes an HMAC secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Longer texts are no access tokens and are not worth decoding.
const MAX_LENGTH_BYTES: usize = 16 * 1024;

/// More keys than an issuer in its right mind publishes; the rest is not kept.
const MAX_KEYS: usize = 100;

/// Whose tokens count, for which tenant, and with which rights.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss`.
    pub issuer: String,
    pub audience: String,
    pub tenant: TenantOf,
    /// What the scopes of the token mean here. `None`: `scim`, `read` and `admin` mean themselves.
    pub scopes: Option<BTreeMap<String, Scope>>,
    /// As [`Principal::fields`]. Such a token reads, whatever else it may do elsewhere.
    pub fields: Option<Fields>,
}

/// Which tenant a token speaks for.
#[derive(Debug, Clone)]
pub enum TenantOf {
    One(TenantId),
    /// The value of a claim, and the tenants that it may name: the issuer cannot reach any other.
    Claim {
        name: String,
        tenants: BTreeMap<String, TenantId>,
    },
}

/// The keys that an issuer publishes (RFC 7517).
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a JSON Web Key Set. A key of a kind that is not known here is left out and spoils no other
    /// (RFC 7517 section 5); a secret one has no place in the set and is left out too.
    ///
    /// # Errors
    /// Where it is no key set at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Raw {
            keys: Vec<Value>,
        }
        let raw: Raw = serde_json::from_slice(bytes)?;
        let keys = raw
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .filter(|key: &Jwk| !matches!(key.algorithm, AlgorithmParameters::OctetKey(_)))
            .take(MAX_KEYS)
            .collect();
        Ok(Self(keys))
    }

    pub fn has(&self, kid: &str) -> bool {
        self.with(kid).next().is_some()
    }

    fn with<'s>(&'s self, kid: &'s str) -> impl Iterator<Item = &'s Jwk> {
        self.0
            .iter()
            .filter(move |key| key.common.key_id.as_deref() == Some(kid))
    }
}

/// Why a token is refused. The text is for the log; the caller only hears that the token is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("not a JWT with a header, a key id and an issuer")]
    Malformed,
    #[error("the header has critical parts that are not understood (RFC 7515 section 4.1.11)")]
    Critical,
    #[error("the algorithm is not one of RS256, ES256 and EdDSA")]
    Algorithm,
    #[error("no configured issuer has the token's `iss` and `aud`")]
    Issuer,
    #[error("the issuer's key set has no usable key with this `kid`")]
    Key,
    #[error("the signature or a claim does not hold: {0}")]
    Invalid(String),
    #[error("the token names no tenant that the issuer may speak for")]
    Tenant,
    #[error(
        "`sub` is empty, longer than {MOST_SUBJECT_CHARS} characters, or holds control characters"
    )]
    Subject,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
}

/// What a token says of itself before anything is checked: enough to choose the key, and worth nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub algorithm: Algorithm,
    pub kid: String,
    pub issuer: String,
}

impl Claimed {
    /// Reads the header and `iss`.
    ///
    /// # Errors
    /// For what no key could make valid.
    pub fn read(token: &str) -> Result<Self, Rejected> {
        #[derive(Deserialize)]
        struct Payload {
            iss: String,
        }
        if token.len() > MAX_LENGTH_BYTES {
            return Err(Rejected::Malformed);
        }
        let read = jsonwebtoken::dangerous::insecure_decode::<Payload>(token)
            .map_err(|_| Rejected::Malformed)?;
        if !ALGORITHMS.contains(&read.header.alg) {
            return Err(Rejected::Algorithm);
        }
        if read.header.crit.is_some() {
            return Err(Rejected::Critical);
        }
        Ok(Self {
            algorithm: read.header.alg,
            kid: read.header.kid.ok_or(Rejected::Malformed)?,
            issuer: read.claims.iss,
        })
    }
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
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Okta writes `scp` as a list, RFC 9068 writes `scope` as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Words {
    fn each(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split(' ').collect(),
            Self::List(list) => list.iter().map(String::as_str).collect(),
        }
    }
}

/// Whether a credential has the shape of a JWT, so that it is no token of ours.
pub fn looks_like_jwt(secret: &str) -> bool {
    secret.split('.').count() == 3 && secret.starts_with("ey")
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    pub principal: Principal,
    /// Unix seconds: from then on it speaks for nobody.
    pub until_s: i64,
}

/// Checks a token of an issuer against the issuer's keys and answers who it speaks for.
///
/// # Errors
/// See [`Rejected`].
pub fn verify(
    token: &str,
    claimed: &Claimed,
    issuer: &Issuer,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Spoken, Rejected> {
    let mut reason = Rejected::Key;
    for jwk in keys.with(&claimed.kid) {
        match claims_of(token, claimed.algorithm, jwk, issuer) {
            Ok(claims) => {
                let until_s = check_times(&claims, now.as_second())?;
                let principal = principal(&claims, issuer)?;
                return Ok(Spoken { principal, until_s });
            }
            Err(rejected) => reason = rejected,
        }
    }
    Err(reason)
}

fn claims_of(
    token: &str,
    algorithm: Algorithm,
    jwk: &Jwk,
    issuer: &Issuer,
) -> Result<Claims, Rejected> {
    if !fits(jwk, algorithm) {
        return Err(Rejected::Algorithm);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|_| Rejected::Key)?;
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&[&issuer.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library asks the system clock; time is an argument here, so the times are checked below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let decoded =
        decode::<Claims>(token, &key, &validation).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidIssuer
            | jsonwebtoken::errors::ErrorKind::InvalidAudience => Rejected::Issuer,
            _ => Rejected::Invalid(error.to_string()),
        })?;
    Ok(decoded.claims)
}

/// Whether a key is one of this algorithm's, on its curve, and meant for signatures.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let (is_kind, named) = match (algorithm, &jwk.algorithm) {
        (Algorithm::RS256, AlgorithmParameters::RSA(_)) => (true, KeyAlgorithm::RS256),
        (Algorithm::ES256, AlgorithmParameters::EllipticCurve(key)) => {
            (key.curve == EllipticCurve::P256, KeyAlgorithm::ES256)
        }
        (Algorithm::EdDSA, AlgorithmParameters::OctetKeyPair(key)) => {
            (key.curve == EllipticCurve::Ed25519, KeyAlgorithm::EdDSA)
        }
        _ => return false,
    };
    let is_named = jwk
        .common
        .key_algorithm
        .as_ref()
        .is_none_or(|found| *found == named);
    let signs = jwk
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|found| *found == PublicKeyUse::Signature);
    is_kind && is_named && signs
}

/// The longest `sub` that `OpenID` Connect allows (Core 1.0 section 2).
const MOST_SUBJECT_CHARS: usize = 255;

/// A subject is written into every change that it makes, so it must be something that a database
/// can hold.
fn is_subject(text: &str) -> bool {
    let length = text.chars().take(MOST_SUBJECT_CHARS + 1).count();
    (1..=MOST_SUBJECT_CHARS).contains(&length) && !text.contains(char::is_control)
}

fn principal(claims: &Claims, issuer: &Issuer) -> Result<Principal, Rejected> {
    if !is_subject(&claims.sub) {
        return Err(Rejected::Subject);
    }
    let words = [&claims.scp, &claims.scope]
        .into_iter()
        .flatten()
        .flat_map(Words::each);
    let scopes: Scopes = words
        .filter_map(|word| match &issuer.scopes {
            None => word.parse().ok(),
            Some(meanings) => meanings.get(word).copied(),
        })
        .collect();
    Ok(Principal {
        tenant: tenant(claims, &issuer.tenant)?,
        actor: Actor::Subject(claims.sub.clone()),
        scopes: match issuer.fields {
            None => scopes,
            // An answer to a write shows the whole resource.
            Some(_) => scopes.only_reading(),
        },
        fields: issuer.fields.clone(),
    })
}

fn tenant(claims: &Claims, tenant: &TenantOf) -> Result<TenantId, Rejected> {
    match tenant {
        TenantOf::One(tenant) => Ok(*tenant),
        TenantOf::Claim { name, tenants } => claims
            .rest
            .get(name)
            .and_then(Value::as_str)
            .and_then(|value| tenants.get(value))
            .copied()
            .ok_or(Rejected::Tenant),
    }
}

/// Answers until when.
fn check_times(claims: &Claims, now_s: i64) -> Result<i64, Rejected> {
    let latest = now_s.saturating_add(LEEWAY_S);
    let until_s = claims.exp.saturating_add(LEEWAY_S);
    if until_s <= now_s {
        return Err(Rejected::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > latest) || claims.iat.is_some_and(|iat| iat > latest) {
        return Err(Rejected::NotYetValid);
    }
    Ok(until_s)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::CommonParameters;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    // Made for these tests alone; they guard nothing.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const NOW: i64 = 1_800_000_000;

    fn key() -> EncodingKey {
        EncodingKey::from_ed_pem(PRIVATE.as_bytes()).unwrap()
    }

    fn keys(kid: &str) -> KeySet {
        let mut jwk = Jwk::from_encoding_key(&key(), Algorithm::EdDSA).unwrap();
        jwk.common = CommonParameters {
            key_id: Some(kid.to_owned()),
            ..Default::default()
        };
        KeySet(vec![jwk])
    }

    fn issuer() -> Issuer {
        Issuer {
            issuer: "https://a.example.com".to_owned(),
            audience: "rollcall".to_owned(),
            tenant: TenantOf::One(TenantId(7)),
            scopes: None,
            fields: None,
        }
    }

    fn verified(token: &str, issuer: &Issuer) -> Result<Principal, Rejected> {
        let claimed = Claimed::read(token)?;
        let now = Timestamp::from_second(NOW).unwrap();
        verify(token, &claimed, issuer, &keys("k1"), now).map(|spoken| spoken.principal)
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
        let found = verified(&token(&header(Some("k1")), claims), &issuer());
        let found = found.map(|principal| principal.actor.to_string());
        assert_eq!(
            found.as_deref().map_err(Clone::clone),
            *expected,
            "{claims}"
        );
    }

    // R9700-2.3-01
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
        check(&with("aud", json!(["other", "rollcall"])), &Ok("jwt:app"));
        let long = "ä".repeat(255);
        check(&with("sub", json!(long)), &Ok(&format!("jwt:{long}")));
        for sub in ["", "a\u{0}b", "a\nb", "\u{9f}", &"a".repeat(256)] {
            check(&with("sub", json!(sub)), &Err(Rejected::Subject));
        }
    }

    #[test]
    fn scopes_are_ours_or_what_the_issuer_is_said_to_mean() {
        let scopes = |claims: &Value, issuer: &Issuer| {
            let token = token(&header(Some("k1")), claims);
            verified(&token, issuer).unwrap().scopes.to_string()
        };
        let list = with("scp", json!(["openid", "read"]));
        let text = with("scope", json!("scim profile"));
        assert_eq!(scopes(&list, &issuer()), "read");
        assert_eq!(scopes(&text, &issuer()), "scim read");
        let mut mapped = issuer();
        mapped.scopes = Some(BTreeMap::from([("people.read".to_owned(), Scope::Read)]));
        assert_eq!(scopes(&list, &mapped), "");
        let named = with("scp", json!(["people.read", "scim"]));
        assert_eq!(scopes(&named, &mapped), "read");
        let mut limited = issuer();
        limited.fields = Some(Fields::of_stored("userName"));
        assert_eq!(scopes(&text, &limited), "read");
        assert_eq!(scopes(&with("scp", json!(["admin"])), &limited), "");
    }

    #[test]
    fn a_claim_names_one_of_the_tenants_that_it_may_name() {
        let mut issuer = issuer();
        issuer.tenant = TenantOf::Claim {
            name: "org".to_owned(),
            tenants: BTreeMap::from([("acme".to_owned(), TenantId(3))]),
        };
        let tenant = |claims: &Value| {
            let token = token(&header(Some("k1")), claims);
            verified(&token, &issuer).map(|principal| principal.tenant)
        };
        assert_eq!(tenant(&with("org", json!("acme"))), Ok(TenantId(3)));
        assert_eq!(tenant(&with("org", json!("beta"))), Err(Rejected::Tenant));
        assert_eq!(tenant(&with("org", json!(["acme"]))), Err(Rejected::Tenant));
        assert_eq!(tenant(&claims()), Err(Rejected::Tenant));
    }

    #[test]
    fn unsigned_and_symmetric_tokens_are_refused() {
        let AlgorithmParameters::OctetKeyPair(public) = &keys("k1").0[0].algorithm.clone() else {
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
        let refused = |token: &str| verified(token, &issuer()).unwrap_err();
        assert_eq!(refused(&forged), Rejected::Algorithm);
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.";
        assert_eq!(refused(none), Rejected::Malformed);
        assert_eq!(
            refused(&token(&header(None), &claims())),
            Rejected::Malformed
        );
        assert_eq!(
            refused(&token(&header(Some("k9")), &claims())),
            Rejected::Key
        );
        assert_eq!(refused("e30.e30.e30"), Rejected::Malformed);
        let mut critical = header(Some("k1"));
        critical.crit = Some(vec!["exp".to_owned()]);
        assert_eq!(refused(&token(&critical, &claims())), Rejected::Critical);
        let long = format!("{}.e30.", "e".repeat(MAX_LENGTH_BYTES));
        assert_eq!(refused(&long), Rejected::Malformed);
    }

    #[test]
    fn what_is_kept_of_a_key_set() {
        let ed = r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let oct = r#"{"kty":"oct","kid":"oct","k":"c2VjcmV0"}"#;
        let text = format!(r#"{{"keys":[{oct},{{"kty":"new","kid":"new"}},7,{ed}]}}"#);
        let keys = KeySet::parse(text.as_bytes()).unwrap();
        assert!(keys.has("ed") && !keys.has("oct") && !keys.has("x"));
        let many = format!(r#"{{"keys":[{}]}}"#, vec![ed; 200].join(","));
        assert_eq!(KeySet::parse(many.as_bytes()).unwrap().0.len(), MAX_KEYS);
        assert!(KeySet::parse(b"{}").is_err() && KeySet::parse(b"[").is_err());
    }

    #[test]
    fn a_key_serves_its_own_algorithm_alone() {
        let mut jwk = keys("k1").0.remove(0);
        assert!(fits(&jwk, Algorithm::EdDSA));
        assert!(!fits(&jwk, Algorithm::RS256) && !fits(&jwk, Algorithm::ES256));
        jwk.common.public_key_use = Some(PublicKeyUse::Encryption);
        assert!(!fits(&jwk, Algorithm::EdDSA));
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = Some(KeyAlgorithm::RS256);
        assert!(!fits(&jwk, Algorithm::EdDSA));
    }
}
