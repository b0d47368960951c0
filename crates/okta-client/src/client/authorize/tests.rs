//! Service apps against a scripted server: assertions, access tokens, proofs and nonces.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use reqwest::Method;
use serde_json::{Value, json};

use super::*;
use crate::key::SigningKey;
use crate::test_server::{Clock, Reply, Request, START_S, TestServer, kind};
use crate::transport::RequestBody;

const APPS: &str = "/api/v1/apps";
const P256_JWKS: &str = include_str!("../../key/p256.json");
const RSA_PEM: &str = include_str!("../../key/rsa.pem");

fn signing_key(text: &str) -> SigningKey {
    match SigningKey::parse(text, None) {
        Ok(key) => key,
        Err(error) => panic!("{error}"),
    }
}

fn service_app(key: SigningKey) -> Credential {
    let scopes = vec!["okta.apps.read".to_owned(), "okta.users.read".to_owned()];
    let app = ServiceApp::new("0oaclient".to_owned(), key, scopes).unwrap();
    Credential::ServiceApp(Box::new(app))
}

/// Returns a client of a service app with two retries.
fn client(server: &TestServer) -> Client {
    client_at(server, Clock::default())
}

fn client_at(server: &TestServer, clock: Clock) -> Client {
    server.client_with(service_app(signing_key(P256_JWKS)), clock)
}

fn token(text: &str, token_type: &str) -> Reply {
    let body = json!({"access_token": text, "token_type": token_type, "expires_in": 3600,
        "scope": "okta.apps.read okta.users.read"});
    Reply::json(200, &body)
}

/// A refusal by the token endpoint.
fn refused(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": code, "error_description": "No." }),
    )
}

fn nonce_refused(nonce: &str) -> Reply {
    refused(400, "use_dpop_nonce").with("dpop-nonce", nonce)
}

/// A resource's demand for a nonce.
fn challenge(nonce: &str) -> Reply {
    Reply::bytes(401, "")
        .with("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
        .with("dpop-nonce", nonce)
}

/// Verifies the signature and returns the header and the claims.
fn read_jwt(text: &str, key: &Jwk) -> (Header, Value) {
    let header = decode_header(text).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = decode::<Value>(text, &key, &validation).unwrap().claims;
    (header, claims)
}

/// Returns the claims of the proof that a request carries, without its random id.
fn proof(request: &Request) -> Option<Value> {
    let text = request.header("dpop")?;
    let key = decode_header(text).unwrap().jwk.unwrap();
    let (_, mut claims) = read_jwt(text, &key);
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22, "{id}");
    Some(claims)
}

fn targets(server: &TestServer) -> Vec<String> {
    let requests = server.requests();
    requests.into_iter().map(|request| request.target).collect()
}

#[tokio::test]
async fn an_access_token_is_requested_with_a_signed_assertion() {
    for (text, key_id, algorithm) in [
        (P256_JWKS, Some("ec-1"), Algorithm::ES256),
        (RSA_PEM, None, Algorithm::RS256),
    ] {
        let server = TestServer::start([token("abc", "Bearer"), Reply::ok()]).await;
        let key = signing_key(text);
        let public = Jwk::from_encoding_key(&key.key, key.algorithm).unwrap();
        let client = server.client_with(service_app(key), Clock::default());
        client.get(APPS, &[("limit", "1")]).await.unwrap();

        let [requested, used]: [Request; 2] = server.requests().try_into().unwrap();
        assert_eq!(
            (requested.method.as_str(), requested.target.as_str()),
            ("POST", TOKEN_PATH)
        );
        for (name, value) in [
            ("content-type", Some("application/x-www-form-urlencoded")),
            ("accept", Some("application/json")),
            ("authorization", None),
            ("dpop", None),
        ] {
            assert_eq!(requested.header(name), value, "{name}");
        }
        for (name, value) in [
            ("grant_type", "client_credentials"),
            ("scope", "okta.apps.read okta.users.read"),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ] {
            assert_eq!(requested.field(name).as_deref(), Some(value));
        }
        let assertion = requested.field("client_assertion").unwrap();
        let (header, mut claims) = read_jwt(&assertion, &public);
        assert_eq!((header.kid.as_deref(), header.alg), (key_id, algorithm));
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 22);
        assert_eq!(
            claims,
            json!({"iss": "0oaclient", "sub": "0oaclient", "aud": format!("{}{TOKEN_PATH}", server.url),
                "iat": START_S, "exp": START_S + 300})
        );

        assert_eq!(used.target, "/api/v1/apps?limit=1");
        assert_eq!(used.header("authorization"), Some("Bearer abc"));
        assert_eq!(used.header("dpop"), None);
    }
}

#[tokio::test]
async fn an_access_token_is_used_until_a_minute_before_it_expires() {
    let with_life = |text: &str, life: Value| {
        let body = json!({"access_token": text, "token_type": "Bearer", "expires_in": life});
        Reply::json(200, &body)
    };
    for (life, life_s) in [(json!(600), 600), (Value::Null, 3600)] {
        let first = with_life("first", life.clone());
        let second = with_life("second", life);
        let ok = Reply::ok;
        let server = TestServer::start([first, ok(), ok(), second, ok()]).await;
        let clock = Clock::default();
        let client = client_at(&server, clock.clone());
        for now_s in [START_S, START_S + life_s - 61, START_S + life_s - 60] {
            clock.set(now_s);
            client.get(APPS, &[]).await.unwrap();
        }
        let used = server.requests();
        let used = used.iter().filter_map(|r| r.header("authorization"));
        assert_eq!(
            used.collect::<Vec<_>>(),
            ["Bearer first", "Bearer first", "Bearer second"]
        );
    }
}

#[tokio::test]
async fn a_proof_is_sent_if_the_app_requires_it() {
    let server = TestServer::start([
        refused(400, "invalid_dpop_proof"),
        nonce_refused("n1"),
        token("abc", "DPoP"),
        Reply::ok(),
        Reply::ok(),
    ])
    .await;
    let client = client(&server);
    client.get(APPS, &[("limit", "1")]).await.unwrap();
    let body = RequestBody::Json(json!({}));
    let sent = client.send(Method::POST, APPS, &[], &body).await;
    sent.unwrap();

    let requests = server.requests();
    let token_url = format!("{}{TOKEN_PATH}", server.url);
    let apps_url = format!("{}{APPS}", server.url);
    // The hash of `abc`.
    let ath = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
    let expected = [
        None,
        Some(json!({"htm": "POST", "htu": token_url, "iat": START_S})),
        Some(json!({"htm": "POST", "htu": token_url, "iat": START_S, "nonce": "n1"})),
        Some(json!({"htm": "GET", "htu": apps_url, "iat": START_S, "nonce": "n1", "ath": ath})),
        Some(json!({"htm": "POST", "htu": apps_url, "iat": START_S, "nonce": "n1", "ath": ath})),
    ];
    assert_eq!(requests.iter().map(proof).collect::<Vec<_>>(), expected);
    for request in &requests[3..] {
        assert_eq!(request.header("authorization"), Some("DPoP abc"));
    }
    let proofs: Vec<&str> = requests.iter().filter_map(|r| r.header("dpop")).collect();
    let keys = proofs.iter().map(|text| decode_header(text).unwrap().jwk);
    let keys: Vec<Option<Jwk>> = keys.collect();
    assert!(keys.iter().all(|key| key == &keys[0]), "one key");
    let ids: Vec<Value> = proofs
        .iter()
        .zip(&keys)
        .map(|(text, key)| read_jwt(text, key.as_ref().unwrap()).1["jti"].clone())
        .collect();
    for (number, id) in ids.iter().enumerate() {
        assert!(!ids[..number].contains(id), "an id is used once");
    }
}

#[tokio::test]
async fn a_new_nonce_is_used_from_then_on() {
    let server = TestServer::start([
        token("abc", "dpop"),
        challenge("n1"),
        Reply::ok().with("dpop-nonce", "n2"),
        Reply::ok(),
    ])
    .await;
    let client = client(&server);
    client.get(APPS, &[]).await.unwrap();
    client.get(APPS, &[]).await.unwrap();
    let requests = server.requests();
    let nonces = requests[1..]
        .iter()
        .map(|request| proof(request).unwrap()["nonce"].clone());
    assert_eq!(
        nonces.collect::<Vec<_>>(),
        [Value::Null, json!("n1"), json!("n2")]
    );
}

#[tokio::test]
async fn a_challenge_repeats_a_request_once() {
    let denied = Err(FailureKind::AccessDenied);
    let rows = [
        (vec![challenge("n1"), Reply::ok()], Ok(200)),
        (vec![challenge("n1"), challenge("n2")], denied),
        // The same with a retry for another reason in between.
        (
            vec![challenge("n1"), Reply::bytes(429, ""), challenge("n2")],
            denied,
        ),
        // No nonce, no challenge, or no failure.
        (
            vec![Reply::bytes(401, "").with("www-authenticate", "DPoP error=\"use_dpop_nonce\"")],
            denied,
        ),
        (vec![Reply::bytes(401, "").with("dpop-nonce", "n1")], denied),
        (
            vec![
                Reply::ok()
                    .with("dpop-nonce", "n1")
                    .with("www-authenticate", "DPoP error=\"use_dpop_nonce\""),
            ],
            Ok(200),
        ),
    ];
    for (number, (replies, expected)) in rows.into_iter().enumerate() {
        // Not even a POST was executed.
        let count = replies.len();
        let server = TestServer::start([vec![token("abc", "DPoP")], replies].concat()).await;
        let client = client(&server);
        let sent = client.send(Method::POST, APPS, &[], &RequestBody::None);
        let outcome = kind(sent.await).map(|response| response.status);
        assert_eq!(outcome, expected, "row {number}");
        assert_eq!(server.requests().len(), 1 + count, "row {number}");
    }
}

#[tokio::test]
async fn a_nonce_for_an_api_token_is_ignored() {
    let server = TestServer::start([challenge("n1")]).await;
    let failure = kind(server.client().get(APPS, &[]).await);
    assert_eq!(failure.err(), Some(FailureKind::AccessDenied));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_token_endpoint_s_responses() {
    let denied = Err(FailureKind::AccessDenied);
    let gone = Err(FailureKind::Unavailable);
    let proof_needed = || refused(400, "invalid_dpop_proof");
    let unavailable = || Reply::error(503, "E0000010");
    let done = || token("abc", "DPoP");
    let scopes = vec!["okta.apps.read".to_owned(), "okta.users.read".to_owned()];
    let granted = Ok(Some(scopes));
    let rows = [
        (vec![done()], granted.clone()),
        // Repeated, since a token request changes nothing.
        (vec![Reply::Close, unavailable(), done()], granted.clone()),
        (vec![Reply::bytes(429, ""), done()], granted.clone()),
        (vec![Reply::Close; 3], gone.clone()),
        (vec![unavailable(); 3], gone.clone()),
        (
            vec![Reply::bytes(429, "").with("x-rate-limit-reset", &(START_S + 10).to_string())],
            gone.clone(),
        ),
        // The proof takes no retry away.
        (
            vec![
                proof_needed(),
                nonce_refused("n1"),
                unavailable(),
                unavailable(),
                done(),
            ],
            granted.clone(),
        ),
        (
            [
                vec![proof_needed(), nonce_refused("n1")],
                vec![unavailable(); 3],
            ]
            .concat(),
            gone,
        ),
        // Refused, and not repeated.
        (vec![refused(401, "invalid_client")], denied.clone()),
        (vec![refused(400, "invalid_scope")], denied.clone()),
        (vec![refused(403, "access_denied")], denied.clone()),
        // The proof is sent, and refused nevertheless.
        (vec![proof_needed(), proof_needed()], denied.clone()),
        // A nonce is demanded, but none or no new one is given.
        (vec![refused(400, "use_dpop_nonce")], denied.clone()),
        (
            vec![proof_needed(), refused(400, "use_dpop_nonce")],
            denied.clone(),
        ),
        (
            vec![proof_needed(), nonce_refused("n1"), nonce_refused("n1")],
            denied.clone(),
        ),
        // A new nonce each time.
        (
            vec![
                proof_needed(),
                nonce_refused("n1"),
                nonce_refused("n2"),
                nonce_refused("n3"),
                nonce_refused("n4"),
            ],
            denied,
        ),
        // Not the response of a token endpoint.
        (
            vec![Reply::bytes(200, "<html>")],
            Err(FailureKind::UnexpectedResponse),
        ),
        (
            vec![Reply::json(200, &json!({ "access_token": "abc" }))],
            Err(FailureKind::UnexpectedResponse),
        ),
        (
            vec![Reply::bytes(302, "")],
            Err(FailureKind::UnexpectedResponse),
        ),
    ];
    for (number, (replies, expected)) in rows.into_iter().enumerate() {
        let count = replies.len();
        let server = TestServer::start(replies).await;
        let outcome = kind(client(&server).granted_scopes().await);
        assert_eq!(outcome, expected, "row {number}");
        assert_eq!(targets(&server), vec![TOKEN_PATH; count], "row {number}");
    }
}

#[tokio::test]
async fn a_refused_token_is_a_failure_of_the_request() {
    let reply = refused(401, "invalid_client").with("x-okta-request-id", "req-1");
    let server = TestServer::start([reply]).await;
    let failure = client(&server).get(APPS, &[]).await.unwrap_err();
    assert!(
        failure.message.contains("the service app's key"),
        "{failure}"
    );
    assert_eq!(failure.okta.code.as_deref(), Some("invalid_client"));
    assert_eq!(failure.okta.request_id.as_deref(), Some("req-1"));
    assert_eq!(failure.okta.causes, ["No."]);
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_not_the_org_s_fault() {
    let number = json!("AQAB");
    let key = json!({"kty": "RSA", "n": number, "e": number, "d": number, "p": number, "q": number,
        "dp": number, "dq": number, "qi": number});
    let server = TestServer::start([]).await;
    let credential = service_app(signing_key(&key.to_string()));
    let client = server.client_with(credential, Clock::default());
    let failure = client.get(APPS, &[]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(
        failure.message,
        "The service app's key cannot sign. Is the file complete?"
    );
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn endless_nonces_name_the_clock() {
    let nonces = ["n1", "n2", "n3", "n4", "n5"];
    let server = TestServer::start(nonces.map(nonce_refused)).await;
    let failure = client(&server).granted_scopes().await.unwrap_err();
    assert!(
        failure.message.contains("Check this machine's clock"),
        "{failure}"
    );
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_token_request_with_a_long_wait_is_left_to_the_caller() {
    let reset = (START_S + 60).to_string();
    let reply = Reply::bytes(429, "").with("x-rate-limit-reset", &reset);
    let server = TestServer::start([reply]).await;
    let failure = client(&server).get(APPS, &[]).await.unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_secs(61)));
}

#[tokio::test]
async fn an_unauthenticated_request_requests_no_token() {
    let server = TestServer::start([Reply::bytes(200, "{}")]).await;
    let client = client(&server);
    let path = "/.well-known/okta-organization";
    client.get_unauthenticated(path).await.unwrap();
    assert_eq!(targets(&server), [path]);
}
