//! An authorization server in this process: publishes keys, counts requests, and misbehaves on
//! demand.

use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

// Made for these tests; they protect nothing.
const RSA: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCfGkASt/gzigk2\n\
oSnQINy/ym/GKL3RICPFPz8ld6PY7Iy281eVv6F/Y7IouEm3cMsl63MxcSDlu9RS\n\
PqDidWRkG5lo4BqcXG0QOlHfVYMJ4nYEpGlgk7l2E7P1fWR30bW6rWKcsE7IS7Xh\n\
chmPqngeQ/eVTShzvj0gjzhIggfRGUFyskjrAXq145IsB3j+LnH94RDFf4p+yUqc\n\
66lYC5OURzODNDmjQ3CFh6BQWmUYQnfzwSQtjWuT3n5RjrrLgNzbWRsZBEIvNOVy\n\
Vk79KzaiYTCUcl/LTcQPBpDbVS0wgUKEVimxGc0oTlDbgNq0JWP6Ev0hy7ejRckd\n\
C4lLiGejAgMBAAECggEADbNZfCMqdOm4lGM5cgo6aCubB3Hfsp/1ZJlnKydLzTTF\n\
g0WeL6+CTTF9GIOSGYFVhQzq7QGEZzQO+wwYl5erTvGPetf9gqR04dZb0YMQFyxQ\n\
pGKyDlZ6PIBC2Wt0WNsOrqYanUqTZi0a2vCT4eq4kEajDdDIoHrr0Z9zpc7ItIk4\n\
yZh11J1LS2JJOw6KVvfFzsJhISKN2c5pOnvcgKWWAlH+fA4Xc/aqM6VxyRkdiDqn\n\
clFAjrw2eDIxsmVqhOEXEH/wHzerix+N4xTq2IykODFxTPhTTV5hmylIq1g5MXaq\n\
6wHB2B8aLmbbHGCULzOkbQWjRO/bRyTMHsZAQQcXLQKBgQDfQYDeobDTUT/WwR3g\n\
cy77jjbbmoG/PHO6riOpy1gyq4EiKLU3n3nJ3T7iEMhJ5HOKjwoKsVgFqgTlPt8w\n\
oUNL596xQ63JZpqC5btKfy3ku7UPCWWx6otvia37x+Jxexmwj1o0PK+RYIydXmxs\n\
L7l0PUubAdKJl7B0WH3KMlKQrQKBgQC2cAIPiVZ23tdH3YHP/15qUrcp30Ylmo0h\n\
BxGH0QMBG/EaODL1T5rUe0F9BBVDrBmEW/OMy7c8wG1YuRc9q+FB28bGUbrHIg1m\n\
TuB4TXm8SELedPPamJR4bEQQUYfkkjuTD3e2f3aJGXl2Ma4AbxBj7K2awYBfDwzT\n\
O8sY4TfTjwKBgQC8Vc/W/+PhgGswSV1g2QpLX99bRm4p219tnjWrqUTQCeo33Mtz\n\
Du94oVHI94te+n+V5bD88DpnHNRgZ7d0mLXitMoiFAvpGMtDnXVwFPWsPcUx2CWX\n\
/1p9T1IcUrTuMoCrd2MLKh6Zry8wGlWwtlnme0bqjpEDTZmnrHcBOY55SQKBgEKk\n\
f9w1CwS5OmLiI31bh53HQWlmSjWKU2txLZIzY6mQD27IgLTjs2dS7wU/7JSf1WJo\n\
RHt2HyVuFYOHeVnp44svQVlImbYMVmC9B3pqssF4lBS3HC0J95JV2jcr0TxJvsFl\n\
sRFVVnOWfqwSUcGO0Knv1yrk7IPM955iBTq9aqs5AoGBAKLaw3Se2r2RrRqnoQMH\n\
xzuSFbKdwTLsbeKHKwqRmGEBbX88S9vmvi6oxi7mxGRkG3cJz6lw8WootUvuErEl\n\
xq+W/dl69umPAUWd24BR8vgum06pXQAyezvDekzk8ymczeRwyv7WT9/nxF+kdKN9\n\
U/xcIBp2i/Nizb0Wv2gY9tGP\n\
-----END PRIVATE KEY-----\n\
";
const EC: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMs6+vnfaVj9+pC7M\n\
DcvvRlB8LkZFXq6ETgtGBvcBnqmhRANCAARYw1oAt4+AifSkU14u4bEGvNHfD2W7\n\
vjcSA85Y+sQYjxdvqnXINB0NSddydiPh7JMbWgR78qVQGCNqNpjMJlZT\n\
-----END PRIVATE KEY-----\n\
";
const ED: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIP9fBio4YqaZLD85JKTgXSxU97wQHbIG1WP8sgKWou4Y\n\
-----END PRIVATE KEY-----\n\
";
const OTHER_ED: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIC46hjHNU2CNibdjOEqnk6ZeRIOmqnOoY3qrNCfKwnym\n\
-----END PRIVATE KEY-----\n\
";

/// A key pair of an issuer.
#[derive(Clone)]
pub struct Key {
    pub kid: String,
    pub algorithm: Algorithm,
    secret: EncodingKey,
    pem: &'static str,
}

impl Key {
    pub fn rsa(kid: &str) -> Self {
        let secret = EncodingKey::from_rsa_pem(RSA.as_bytes());
        Self::new(kid, Algorithm::RS256, secret.expect("a key"), RSA)
    }

    pub fn ec(kid: &str) -> Self {
        let secret = EncodingKey::from_ec_pem(EC.as_bytes());
        Self::new(kid, Algorithm::ES256, secret.expect("a key"), EC)
    }

    pub fn ed(kid: &str) -> Self {
        let secret = EncodingKey::from_ed_pem(ED.as_bytes());
        Self::new(kid, Algorithm::EdDSA, secret.expect("a key"), ED)
    }

    pub fn other_ed(kid: &str) -> Self {
        let secret = EncodingKey::from_ed_pem(OTHER_ED.as_bytes());
        Self::new(kid, Algorithm::EdDSA, secret.expect("a key"), OTHER_ED)
    }

    fn new(kid: &str, algorithm: Algorithm, secret: EncodingKey, pem: &'static str) -> Self {
        let kid = kid.to_owned();
        Self {
            kid,
            algorithm,
            secret,
            pem,
        }
    }

    /// The private key in PEM.
    pub fn pem(&self) -> &'static str {
        self.pem
    }

    /// The public key as published.
    pub fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.secret, self.algorithm).expect("a public half");
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).expect("serializes")
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.secret).expect("signs")
    }
}

/// How the issuer responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    Well,
    /// Only RFC 8414's document, not `OpenID` Connect's.
    OAuthOnly,
    /// 503.
    Down,
    /// Accepts the request and never answers.
    Silent,
    /// A key set without end.
    Huge,
    /// A redirect to a URL with the keys.
    Elsewhere,
    /// Its metadata names another issuer.
    Impostor,
}

struct State {
    keys: Vec<Value>,
    behavior: Behavior,
    /// The requested paths, in order.
    asked: Vec<String>,
}

/// A running issuer; it ends with the test's runtime.
#[derive(Clone)]
pub struct FakeIssuer {
    /// Its `iss`.
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl FakeIssuer {
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("an address");
        let issuer = Self {
            url: format!("http://{address}/oauth2/default"),
            state: Arc::new(Mutex::new(State {
                keys: Vec::new(),
                behavior: Behavior::Well,
                asked: Vec::new(),
            })),
        };
        issuer.publish(keys);
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        issuer
    }

    pub fn publish(&self, keys: &[&Key]) {
        self.state.lock().unwrap().keys = keys.iter().map(|key| key.public()).collect();
    }

    pub fn is(&self, behavior: Behavior) {
        self.state.lock().unwrap().behavior = behavior;
    }

    /// Returns the number of requests for the key set.
    pub fn key_fetches(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|path| *path == "/keys").count()
    }

    /// Returns the number of all requests.
    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    /// Returns the URL of the key set.
    pub fn jwks_uri(&self) -> String {
        format!("{}/keys", self.site())
    }

    /// Returns claims that are valid for an hour from `now_s`.
    pub fn claims(&self, now_s: i64) -> Value {
        json!({
            "iss": self.url, "aud": "rollcall", "sub": "payroll", "scp": ["read"],
            "iat": now_s, "exp": now_s + 3600,
        })
    }

    fn site(&self) -> &str {
        self.url.trim_end_matches("/oauth2/default")
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(size) => request.extend_from_slice(&buffer[..size]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let (behavior, keys) = {
            let mut state = self.state.lock().unwrap();
            state.asked.push(path.clone());
            (state.behavior, json!({ "keys": state.keys }).to_string())
        };
        let (status, body) = match (behavior, path.as_str()) {
            (Behavior::Silent, _) => {
                // Until the client closes the connection.
                while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
                return;
            }
            (Behavior::Huge, "/keys") => return flood(stream).await,
            (Behavior::Down, _) => ("503 Service Unavailable", String::new()),
            (Behavior::Elsewhere, "/keys") => ("302 Found\r\nlocation: /other-keys", String::new()),
            (Behavior::OAuthOnly, "/.well-known/oauth-authorization-server/oauth2/default") => {
                ("200 OK", self.metadata(&self.url))
            }
            (Behavior::Impostor, "/oauth2/default/.well-known/openid-configuration") => {
                ("200 OK", self.metadata("https://id.example.com"))
            }
            (Behavior::OAuthOnly, "/oauth2/default/.well-known/openid-configuration") => {
                ("404 Not Found", String::new())
            }
            (_, "/oauth2/default/.well-known/openid-configuration") => {
                ("200 OK", self.metadata(&self.url))
            }
            (_, "/keys" | "/other-keys") => ("200 OK", keys),
            _ => ("404 Not Found", String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok();
        stream.write_all(body.as_bytes()).await.ok();
    }

    fn metadata(&self, issuer: &str) -> String {
        json!({ "issuer": issuer, "jwks_uri": self.jwks_uri() }).to_string()
    }
}

/// Writes as long as the client reads.
async fn flood(mut stream: TcpStream) {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"keys\":[";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    while stream.write_all(&[b' '; 4096]).await.is_ok() {}
}
