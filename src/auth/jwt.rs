//! Verification of the access tokens of external issuers (RFC 7519, RFC 9068). The keys are an
//! argument.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth::{Fields, Principal, Scope, Scopes};
use crate::ids::{Actor, TenantId};

/// The number of seconds by which the issuer's clock may differ from ours.
const LEEWAY_S: i64 = 30;

/// The accepted algorithms. They are all asymmetric, so a token's header cannot turn a public key
/// into an HMAC secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// The maximum length of an access token; longer texts are not decoded.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The number of keys of a key set that are used, far above what issuers publish.
const MAX_KEYS: usize = 100;

/// A trusted issuer, and the tenant and rights that its tokens have.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss`.
    pub issuer: String,
    /// The audience that `aud` must contain.
    pub audience: String,
    /// The tenant of its tokens.
    pub tenant: TenantOf,
    /// The scopes here for the scopes of a token. `None`: `scim` and `read` give `read`, because an
    /// issuer that was not told otherwise must not let anyone write.
    pub scopes: Option<BTreeMap<String, Scope>>,
    /// The accepted types of tokens.
    pub types: TokenTypes,
    /// As [`Principal::fields`]. Such a token can only read.
    pub fields: Option<Fields>,
}

/// The values that the header parameter `typ` may have. Media types are compared ignoring case, and
/// without `application/` (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTypes(Vec<String>);

impl TokenTypes {
    /// The name of a header without `typ`.
    pub const NONE: &str = "none";

    /// Parses a list of types, such as `at+jwt`.
    ///
    /// # Errors
    /// [`BadTokenTypes`] for an empty list, and for a text that is no type.
    pub fn parse(types: &[String]) -> Result<Self, BadTokenTypes> {
        let is_type = |name: &String| {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&b);
            (1..=100).contains(&name.len()) && name.bytes().all(is_token)
        };
        if types.is_empty() || !types.iter().all(is_type) {
            return Err(BadTokenTypes);
        }
        Ok(Self(types.iter().map(|name| media_type(name)).collect()))
    }

    fn accept(&self, typ: Option<&str>) -> bool {
        match typ.map(media_type) {
            None => self.0.iter().any(|name| name == Self::NONE),
            Some(found) => found != Self::NONE && self.0.contains(&found),
        }
    }
}

impl Default for TokenTypes {
    /// Access tokens (RFC 9068 section 2.1), and tokens whose issuer does not say more than that
    /// they are JWTs: not ID tokens of type `id+jwt`, logout tokens or DPoP proofs.
    fn default() -> Self {
        Self(["at+jwt", "jwt", Self::NONE].map(str::to_owned).to_vec())
    }
}

/// An invalid list of token types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`types` are values of the header `typ`, such as at+jwt, or none for a header without it")]
pub struct BadTokenTypes;

fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        // RFC 7515 section 4.1.9 lets senders leave `application/` out if no other slash is there.
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

/// The tenant of an issuer's tokens.
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
    /// Parses a JSON Web Key Set. Ignores keys of an unknown type (RFC 7517 section 5) and
    /// symmetric keys.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a key set.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct RawKeySet {
            keys: Vec<Value>,
        }
        let raw: RawKeySet = serde_json::from_slice(bytes)?;
        let keys = raw
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .filter(|key: &Jwk| !matches!(key.algorithm, AlgorithmParameters::OctetKey(_)))
            .take(MAX_KEYS)
            .collect();
        Ok(Self(keys))
    }

    /// Returns whether the set has a key with this `kid`.
    pub fn has(&self, kid: &str) -> bool {
        self.with_kid(kid).next().is_some()
    }

    fn with_kid<'s>(&'s self, kid: &'s str) -> impl Iterator<Item = &'s Jwk> {
        self.0
            .iter()
            .filter(move |key| key.common.key_id.as_deref() == Some(kid))
    }
}

/// The reason why a token is not valid. The text is for the log; the response only says that the
/// token is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("not a JWT with a header, a key id and an issuer")]
    Malformed,
    #[error("the header has `crit` extensions that are not supported (RFC 7515 section 4.1.11)")]
    Critical,
    #[error("the algorithm is not one of RS256, ES256 and EdDSA")]
    Algorithm,
    #[error("the header's `typ` is not one that the issuer is configured for")]
    Type,
    #[error("no configured issuer matches the token's `iss` and `aud`")]
    Issuer,
    #[error("the issuer's key set has no usable key with this `kid`")]
    Key,
    #[error("the signature or a claim is not valid: {0}")]
    Invalid(String),
    #[error("the token names no tenant that the issuer is configured for")]
    Tenant,
    #[error(
        "`sub` is empty, longer than {MAX_SUBJECT_CHARS} characters, or contains control characters"
    )]
    Subject,
    #[error("expired")]
    Expired,
    #[error("not yet valid")]
    NotYetValid,
}

/// A token that was parsed but not verified: only good for choosing the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedToken<'t> {
    text: &'t str,
    algorithm: Algorithm,
    /// The type that the header declares.
    typ: Option<String>,
    /// The id of the key that the token says it was signed with.
    pub kid: String,
    /// The issuer that the token claims to be from.
    pub issuer: String,
}

impl<'t> UnverifiedToken<'t> {
    /// Parses the header and `iss`.
    ///
    /// # Errors
    /// Returns an error for a token that no key could make valid.
    pub fn parse(text: &'t str) -> Result<Self, Rejected> {
        #[derive(Deserialize)]
        struct Payload {
            iss: String,
        }
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::Malformed);
        }
        let decoded = jsonwebtoken::dangerous::insecure_decode::<Payload>(text)
            .map_err(|_| Rejected::Malformed)?;
        if !ALGORITHMS.contains(&decoded.header.alg) {
            return Err(Rejected::Algorithm);
        }
        if decoded.header.crit.is_some() {
            return Err(Rejected::Critical);
        }
        Ok(Self {
            text,
            algorithm: decoded.header.alg,
            typ: decoded.header.typ,
            kid: decoded.header.kid.ok_or(Rejected::Malformed)?,
            issuer: decoded.claims.iss,
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
    scp: Option<ScopeClaim>,
    #[serde(default)]
    scope: Option<ScopeClaim>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A claim with scopes: Okta sends `scp` as a list, RFC 9068 defines `scope` as a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ScopeClaim {
    Text(String),
    List(Vec<String>),
}

impl ScopeClaim {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split(' ').collect(),
            Self::List(list) => list.iter().map(String::as_str).collect(),
        }
    }
}

/// Returns whether a credential has the form of a JWT, which our own tokens do not have.
pub fn looks_like_jwt(secret: &str) -> bool {
    secret.split('.').count() == 3 && secret.starts_with("ey")
}

/// The subject of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub principal: Principal,
    /// When the token expires, in Unix seconds, leeway included.
    pub until_s: i64,
}

/// Verifies a token with the keys of its issuer.
///
/// # Errors
/// The reason for which the token is not valid.
pub fn verify(
    token: &UnverifiedToken<'_>,
    issuer: &Issuer,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Subject, Rejected> {
    if !issuer.types.accept(token.typ.as_deref()) {
        return Err(Rejected::Type);
    }
    let mut reason = Rejected::Key;
    for jwk in keys.with_kid(&token.kid) {
        match verify_claims(token, jwk, issuer) {
            Ok(claims) => {
                let until_s = check_times(&claims, now.as_second())?;
                let principal = build_principal(&claims, issuer)?;
                return Ok(Subject { principal, until_s });
            }
            Err(rejected) => reason = rejected,
        }
    }
    Err(reason)
}

/// Verifies the signature, `iss` and `aud`.
fn verify_claims(
    token: &UnverifiedToken<'_>,
    jwk: &Jwk,
    issuer: &Issuer,
) -> Result<Claims, Rejected> {
    if !is_usable(jwk, token.algorithm) {
        return Err(Rejected::Algorithm);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|_| Rejected::Key)?;
    let mut validation = Validation::new(token.algorithm);
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&[&issuer.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The crate reads the system clock, while time is an argument here: `check_times` does this.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let decoded =
        decode::<Claims>(token.text, &key, &validation).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidIssuer
            | jsonwebtoken::errors::ErrorKind::InvalidAudience => Rejected::Issuer,
            _ => Rejected::Invalid(error.to_string()),
        })?;
    Ok(decoded.claims)
}

/// Returns whether a key is for this algorithm, on the right curve, and meant for signatures.
fn is_usable(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let (is_curve, key_algorithm) = match (algorithm, &jwk.algorithm) {
        (Algorithm::RS256, AlgorithmParameters::RSA(_)) => (true, KeyAlgorithm::RS256),
        (Algorithm::ES256, AlgorithmParameters::EllipticCurve(key)) => {
            (key.curve == EllipticCurve::P256, KeyAlgorithm::ES256)
        }
        (Algorithm::EdDSA, AlgorithmParameters::OctetKeyPair(key)) => {
            (key.curve == EllipticCurve::Ed25519, KeyAlgorithm::EdDSA)
        }
        _ => return false,
    };
    let is_algorithm = jwk
        .common
        .key_algorithm
        .as_ref()
        .is_none_or(|found| *found == key_algorithm);
    let is_for_signatures = jwk
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|found| *found == PublicKeyUse::Signature);
    is_curve && is_algorithm && is_for_signatures
}

/// The maximum length of `sub` in `OpenID` Connect (Core 1.0 section 2).
const MAX_SUBJECT_CHARS: usize = 255;

/// Returns whether a `sub` can be stored: each change records the subject that made it.
fn is_valid_subject(text: &str) -> bool {
    let length = text.chars().take(MAX_SUBJECT_CHARS + 1).count();
    (1..=MAX_SUBJECT_CHARS).contains(&length) && !text.contains(char::is_control)
}

fn build_principal(claims: &Claims, issuer: &Issuer) -> Result<Principal, Rejected> {
    if !is_valid_subject(&claims.sub) {
        return Err(Rejected::Subject);
    }
    let names = [&claims.scp, &claims.scope]
        .into_iter()
        .flatten()
        .flat_map(ScopeClaim::names);
    let scopes: Scopes = names
        .filter_map(|name| match &issuer.scopes {
            None => name.parse().ok(),
            Some(mapping) => mapping.get(name).copied(),
        })
        .collect();
    // The response to a write contains the whole resource, so a limit on fields rules writing out.
    let may_write = issuer.scopes.is_some() && issuer.fields.is_none();
    Ok(Principal {
        tenant: tenant(claims, &issuer.tenant)?,
        actor: Actor::Subject(claims.sub.as_str().into()),
        scopes: match may_write {
            true => scopes,
            false => scopes.only_reading(),
        },
        fields: issuer.fields.clone(),
        expires: None,
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

/// Checks `exp`, `nbf` and `iat`. Returns when the token expires.
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

    // Generated for these tests; it protects nothing.
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
            types: TokenTypes::default(),
            fields: None,
        }
    }

    fn verified(token: &str, issuer: &Issuer) -> Result<Principal, Rejected> {
        let unverified = UnverifiedToken::parse(token)?;
        let now = Timestamp::from_second(NOW).unwrap();
        verify(&unverified, issuer, &keys("k1"), now).map(|subject| subject.principal)
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
    fn scopes_are_mapped_or_only_read() {
        let scopes = |claims: &Value, issuer: &Issuer| {
            let token = token(&header(Some("k1")), claims);
            verified(&token, issuer).unwrap().scopes.to_string()
        };
        let list = with("scp", json!(["openid", "read"]));
        let text = with("scope", json!("scim admin operator profile"));
        assert_eq!(scopes(&list, &issuer()), "read");
        assert_eq!(scopes(&text, &issuer()), "read");
        assert_eq!(scopes(&with("scp", json!(["admin"])), &issuer()), "");
        let mut mapped = issuer();
        mapped.scopes = Some(BTreeMap::from([
            ("people.read".to_owned(), Scope::Read),
            ("people.write".to_owned(), Scope::Scim),
        ]));
        assert_eq!(scopes(&list, &mapped), "");
        let named = with("scp", json!(["people.read", "scim"]));
        assert_eq!(scopes(&named, &mapped), "read");
        let written = with("scope", json!("people.write"));
        assert_eq!(scopes(&written, &mapped), "scim");
        mapped.fields = Some(Fields::from_stored("userName"));
        assert_eq!(scopes(&written, &mapped), "read");
    }

    #[test]
    fn types_of_tokens() {
        let typed = |typ: Option<&str>, issuer: &Issuer| {
            let header = Header {
                typ: typ.map(str::to_owned),
                ..header(Some("k1"))
            };
            verified(&token(&header, &claims()), issuer).err()
        };
        let default = issuer();
        for typ in [
            None,
            Some("JWT"),
            Some("jwt"),
            Some("at+jwt"),
            Some("Application/AT+JWT"),
        ] {
            assert_eq!(typed(typ, &default), None, "{typ:?}");
        }
        for typ in [
            "",
            "none",
            "id+jwt",
            "dpop+jwt",
            "logout+jwt",
            "secevent+jwt",
            "at+jwt ",
            "text/at+jwt",
        ] {
            assert_eq!(typed(Some(typ), &default), Some(Rejected::Type), "{typ:?}");
        }
        let mut strict = issuer();
        strict.types = TokenTypes::parse(&["application/at+JWT".to_owned()]).unwrap();
        assert_eq!(typed(Some("at+jwt"), &strict), None);
        assert_eq!(typed(Some("JWT"), &strict), Some(Rejected::Type));
        assert_eq!(typed(None, &strict), Some(Rejected::Type));
        for bad in [&[][..], &[""], &["a b"], &["ä"]] {
            let bad: Vec<String> = bad.iter().map(|&one| one.to_owned()).collect();
            assert_eq!(TokenTypes::parse(&bad), Err(BadTokenTypes), "{bad:?}");
        }
    }

    #[test]
    fn a_claim_names_only_configured_tenants() {
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
    fn unsigned_and_symmetric_tokens_are_rejected() {
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
        let rejection = |token: &str| verified(token, &issuer()).unwrap_err();
        assert_eq!(rejection(&forged), Rejected::Algorithm);
        let none = "eyJhbGciOiJub25lIiwia2lkIjoiazEifQ.e30.";
        assert_eq!(rejection(none), Rejected::Malformed);
        assert_eq!(
            rejection(&token(&header(None), &claims())),
            Rejected::Malformed
        );
        assert_eq!(
            rejection(&token(&header(Some("k9")), &claims())),
            Rejected::Key
        );
        assert_eq!(rejection("e30.e30.e30"), Rejected::Malformed);
        let mut critical = header(Some("k1"));
        critical.crit = Some(vec!["exp".to_owned()]);
        assert_eq!(rejection(&token(&critical, &claims())), Rejected::Critical);
        let long = format!("{}.e30.", "e".repeat(MAX_TOKEN_BYTES));
        assert_eq!(rejection(&long), Rejected::Malformed);
    }

    #[test]
    fn a_key_set_has_only_usable_keys() {
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
    fn a_key_is_only_for_its_own_algorithm() {
        let mut jwk = keys("k1").0.remove(0);
        assert!(is_usable(&jwk, Algorithm::EdDSA));
        assert!(!is_usable(&jwk, Algorithm::RS256) && !is_usable(&jwk, Algorithm::ES256));
        jwk.common.public_key_use = Some(PublicKeyUse::Encryption);
        assert!(!is_usable(&jwk, Algorithm::EdDSA));
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = Some(KeyAlgorithm::RS256);
        assert!(!is_usable(&jwk, Algorithm::EdDSA));
    }
}
