//! The org's authorization server: verifies `private_key_jwt` and proofs of possession as Okta
//! does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::{Reply, Request, form};
use super::org::{Access, Org, ServiceApp, now_s};

/// The nonce that a proof must contain.
const NONCE: &str = "nonceOfTheseStories";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub fn token(org: &mut Org, request: &Request) -> Reply {
    let form = form(&request.body);
    let is_form = request.header("content-type") == "application/x-www-form-urlencoded";
    let has = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if !is_form
        || !has("grant_type", "client_credentials")
        || !has("client_assertion_type", ASSERTION)
    {
        org.complain(format!("no request for a token: {}", request.describe()));
        return Reply::oauth_error(400, "invalid_request", "The request is malformed.");
    }
    let assertion = form.get("client_assertion").map_or("", String::as_str);
    let app = match client(org, assertion) {
        Ok(app) => app,
        Err(text) => return Reply::oauth_error(401, "invalid_client", text),
    };
    let bound_to = match check_possession(org, request, &app) {
        Ok(bound_to) => bound_to,
        Err(reply) => return reply,
    };
    let asked: Vec<&str> = form
        .get("scope")
        .map_or("", String::as_str)
        .split(' ')
        .collect();
    let granted = asked
        .iter()
        .filter(|scope| app.scopes.iter().any(|held| held == *scope));
    let granted: Vec<String> = granted.map(ToString::to_string).collect();
    if granted.is_empty() {
        let text = "You are not allowed any of the requested scopes.";
        return Reply::oauth_error(400, "consent_required", text);
    }
    let token = org.new_id("eyJ");
    let kind = if bound_to.is_some() { "DPoP" } else { "Bearer" };
    let answer = json!({
        "token_type": kind, "expires_in": 3600, "access_token": token, "scope": granted.join(" "),
    });
    org.access.push(Access {
        token,
        client_id: app.client_id,
        scopes: granted,
        bound_to,
    });
    Reply::ok(answer)
}

/// Returns the service app that the assertion proves, after checking signature and claims.
fn client(org: &mut Org, assertion: &str) -> Result<ServiceApp, &'static str> {
    let header = decode_header(assertion).map_err(|_| "The client_assertion is malformed.")?;
    let app = org.service_apps.iter().find(|app| {
        let keys = &app.keys;
        keys.iter()
            .any(|key| header.kid.is_none() || key["kid"] == json!(header.kid))
    });
    let app = app
        .cloned()
        .ok_or("The client_assertion's kid is unknown.")?;
    let audience = format!("{}/oauth2/v1/token", org.url);
    let mut rules = Validation::new(header.alg);
    rules.set_audience(&[&audience]);
    rules.set_issuer(&[&app.client_id]);
    rules.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    let good = app.keys.iter().find_map(|key| {
        let key: Jwk = serde_json::from_value(key.clone()).ok()?;
        let key = DecodingKey::from_jwk(&key).ok()?;
        decode::<Value>(assertion, &key, &rules).ok()
    });
    let claims = good
        .ok_or("The client_assertion signature is invalid.")?
        .claims;
    let (issued, ends) = (number(&claims, "iat"), number(&claims, "exp"));
    if claims["sub"] != claims["iss"] || issued > now_s() + 5 || ends > now_s() + 3600 {
        return Err("The client_assertion token has wrong claims.");
    }
    check_unused(org, &claims).map_err(|()| "The client_assertion token has already been used.")?;
    Ok(app)
}

fn number(claims: &Value, name: &str) -> i64 {
    claims[name].as_i64().unwrap_or(i64::MAX)
}

/// Fails if this `jti` was used before.
fn check_unused(org: &mut Org, claims: &Value) -> Result<(), ()> {
    let id = claims["jti"].as_str().ok_or(())?.to_owned();
    if org.used_ids.insert(id) {
        Ok(())
    } else {
        Err(())
    }
}

/// Returns the thumbprint of the key that the request proves, if the app requires a proof. A
/// missing proof and a missing nonce are refused with different errors.
fn check_possession(
    org: &mut Org,
    request: &Request,
    app: &ServiceApp,
) -> Result<Option<String>, Reply> {
    if !app.wants_proof {
        if !request.header("dpop").is_empty() {
            org.complain("a proof that nobody asked for");
        }
        return Ok(None);
    }
    let refuse = |text| Reply::oauth_error(400, "invalid_dpop_proof", text);
    if request.header("dpop").is_empty() {
        return Err(refuse("The DPoP proof JWT header is missing."));
    }
    let (thumbprint, claims) = proof(org, request).map_err(refuse)?;
    if claims["nonce"] != NONCE {
        let text = "Authorization server requires nonce in DPoP proof.";
        return Err(Reply::oauth_error(400, "use_dpop_nonce", text).with("dpop-nonce", NONCE));
    }
    Ok(Some(thumbprint))
}

/// Checks the proof for this request (RFC 9449 section 4.3).
fn proof(org: &mut Org, request: &Request) -> Result<(String, Value), &'static str> {
    let text = request.header("dpop");
    let header = decode_header(text).map_err(|_| "The DPoP proof is malformed.")?;
    if header.typ.as_deref() != Some("dpop+jwt") {
        return Err("The DPoP proof has a wrong typ.");
    }
    let key = header.jwk.ok_or("The DPoP proof has no key.")?;
    if serde_json::to_value(&key)
        .expect("serializes")
        .get("d")
        .is_some()
    {
        org.complain("a private key in a proof");
    }
    let mut rules = Validation::new(header.alg);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    let decoder = DecodingKey::from_jwk(&key).map_err(|_| "The DPoP proof has no usable key.")?;
    let claims = decode::<Value>(text, &decoder, &rules)
        .map_err(|_| "The DPoP proof's signature is invalid.")?
        .claims;
    let url = format!("{}{}", org.url, request.path);
    if claims["htm"] != *request.method || claims["htu"] != *url {
        return Err("The DPoP proof is about another request.");
    }
    if (number(&claims, "iat") - now_s()).abs() > 300 {
        return Err("The DPoP proof is too old.");
    }
    check_unused(org, &claims).map_err(|()| "The DPoP proof was used before.")?;
    let is_known = matches!(header.alg, Algorithm::RS256 | Algorithm::ES256);
    if !is_known {
        return Err("The DPoP proof has a wrong alg.");
    }
    let thumbprint = key.thumbprint(ThumbprintHash::SHA256);
    let thumbprint = thumbprint.map_err(|_| "The DPoP proof's key is not whole.")?;
    Ok((thumbprint, claims))
}

/// Checks that an access token is sent with the scheme that it is bound to.
pub fn check_access(
    org: &mut Org,
    request: &Request,
    access: &Access,
    scheme: &str,
) -> Result<(), Reply> {
    let refuse = || {
        let text = "Invalid DPoP proof or scheme";
        let challenge = "DPoP algs=\"RS256 ES256\", error=\"invalid_dpop_proof\"";
        Reply::error(401, "E0000011", text).with("www-authenticate", challenge)
    };
    let Some(bound_to) = &access.bound_to else {
        return if scheme == "Bearer" {
            Ok(())
        } else {
            Err(refuse())
        };
    };
    if scheme != "DPoP" {
        return Err(refuse());
    }
    let checked = proof(org, request);
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(access.token.as_bytes()));
    match checked {
        Ok((thumbprint, claims)) if thumbprint == *bound_to && claims["ath"] == hash => Ok(()),
        Ok(_) => {
            org.complain("a proof by another key, or of another token");
            Err(refuse())
        }
        Err(text) => {
            org.complain(format!("{text} {}", request.describe()));
            Err(refuse())
        }
    }
}
