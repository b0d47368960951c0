//! Credentials: an API token, or a service app with a private key.

use std::sync::{Mutex, PoisonError};

use jsonwebtoken::{Header, encode};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use crate::dpop::ProofKey;
use crate::failure::{Failure, FailureKind};
use crate::key::SigningKey;

/// Scopes that suffice to manage apps and to read groups, users, roles and the System Log.
///
/// Each `manage` scope includes its `read`.
pub const DEFAULT_SCOPES: [&str; 5] = [
    "okta.apps.manage",
    "okta.groups.read",
    "okta.users.read",
    "okta.logs.read",
    "okta.roles.read",
];

/// A credential for an org.
pub enum Credential {
    /// An API token, sent with Okta's scheme `SSWS`.
    ApiToken(SecretString),
    /// An OAuth 2.0 service app.
    ServiceApp(Box<ServiceApp>),
}

/// An OAuth 2.0 service app that authenticates with `private_key_jwt` and, if it must, with DPoP.
///
/// It holds the current access token, so it belongs to one client.
pub struct ServiceApp {
    client_id: String,
    key: SigningKey,
    scopes: Vec<String>,
    proof_key: ProofKey,
    session: Mutex<OAuthSession>,
}

/// The state of the conversation with the token endpoint.
#[derive(Default, Clone)]
pub(crate) struct OAuthSession {
    pub access_token: Option<AccessToken>,
    /// Whether the app requires proofs, which the first refusal tells.
    pub needs_proof: bool,
    pub nonce: Option<String>,
}

impl OAuthSession {
    /// Returns the access token, unless it has expired.
    pub(crate) fn current_token(self, now_s: i64) -> Option<AccessToken> {
        self.access_token.filter(|access| access.expires_s > now_s)
    }
}

/// An access token. Okta issues them for an hour.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub token: String,
    /// Whether it is bound to the proof key (`token_type` is `DPoP`).
    pub is_bound: bool,
    /// Seconds since the Unix epoch.
    pub expires_s: i64,
    /// The granted scopes, which may be fewer than requested.
    pub scopes: Vec<String>,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
}

/// Lifetime of a client assertion. Okta allows an hour; a short one limits the use of a copy.
const ASSERTION_LIFE_S: i64 = 300;

impl Credential {
    /// Parses an API token. White space around it is removed.
    ///
    /// # Errors
    /// Returns an error if the text is empty, begins with the scheme `SSWS`, or contains a
    /// character that no token has.
    pub fn api_token(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let fault = |message: &str| Failure::new(FailureKind::Invalid, message);
        if text.is_empty() {
            return Err(fault("The API token is empty."));
        }
        if text
            .get(..5)
            .is_some_and(|word| word.eq_ignore_ascii_case("ssws "))
        {
            return Err(fault("Pass the API token without the word SSWS in front."));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fault(
                "The API token contains a space or a character that no token has; copy it again.",
            ));
        }
        Ok(Self::ApiToken(SecretString::from(text)))
    }
}

impl ServiceApp {
    /// Creates a service app that requests these scopes. Nothing is sent yet.
    ///
    /// # Errors
    /// Returns an error if the system's random source is unavailable.
    pub fn new(client_id: String, key: SigningKey, scopes: Vec<String>) -> Result<Self, Failure> {
        Ok(Self {
            client_id,
            key,
            scopes,
            proof_key: ProofKey::generate()?,
            session: Mutex::default(),
        })
    }

    /// Returns the client id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn proof_key(&self) -> &ProofKey {
        &self.proof_key
    }

    pub(crate) fn session(&self) -> OAuthSession {
        self.lock().clone()
    }

    pub(crate) fn change_session(&self, change: impl FnOnce(&mut OAuthSession)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OAuthSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the form that requests a token (RFC 7523 section 2.2). `id` must be unique.
    pub(crate) fn token_form(
        &self,
        audience: &str,
        now_s: i64,
        id: &str,
    ) -> Result<String, Failure> {
        let claims = Assertion {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: audience,
            iat: now_s,
            exp: now_s.saturating_add(ASSERTION_LIFE_S),
            jti: id,
        };
        let header = Header {
            kid: self.key.key_id.clone(),
            ..Header::new(self.key.algorithm)
        };
        let assertion = encode(&header, &claims, &self.key.key).map_err(|_| {
            Failure::new(
                FailureKind::Invalid,
                "The service app's key cannot sign. Is the file complete?",
            )
        })?;
        Ok(form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &self.scopes.join(" "))
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", &assertion)
            .finish())
    }
}

impl AccessToken {
    /// Reads the response of the token endpoint.
    pub(crate) fn read(body: &Value, now_s: i64) -> Option<Self> {
        let text = |name| body.get(name).and_then(Value::as_str);
        let life_s = body
            .get("expires_in")
            .and_then(Value::as_i64)
            .unwrap_or(3600);
        Some(Self {
            token: text("access_token")?.to_owned(),
            is_bound: text("token_type")?.eq_ignore_ascii_case("dpop"),
            // A minute early, so that none expires on its way.
            expires_s: now_s.saturating_add(life_s).saturating_sub(60),
            scopes: text("scope")
                .unwrap_or_default()
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_as_people_copy_them() {
        let check = |text: &str, expected: Result<&str, &str>| match (
            Credential::api_token(text),
            expected,
        ) {
            (Ok(Credential::ApiToken(secret)), Ok(expected)) => {
                assert_eq!(secret.expose_secret(), expected)
            }
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{error}"),
            _ => panic!("{text}"),
        };
        check("00abc_DEF-1\n", Ok("00abc_DEF-1"));
        check("  ", Err("empty"));
        check("SSWS 00abc", Err("without the word"));
        check("00a bc", Err("a space"));
        check("00aé", Err("a space"));
        check("00a\u{1}", Err("a space"));
        check("ssws 00abc", Err("without the word"));
        check("ssws", Ok("ssws"));
        check("00abc ssws", Err("a space"));
    }

    #[test]
    fn access_tokens() {
        let read = |body: Value| AccessToken::read(&body, 1000);
        let full = read(
            json!({"access_token": "abc", "token_type": "DPOP", "expires_in": 600,
            "scope": "okta.apps.read  okta.users.read"}),
        );
        let full = full.unwrap();
        assert_eq!(
            (full.token.as_str(), full.is_bound, full.expires_s),
            ("abc", true, 1540)
        );
        assert_eq!(full.scopes, ["okta.apps.read", "okta.users.read"]);
        let least = read(json!({ "access_token": "abc", "token_type": "Bearer" })).unwrap();
        assert_eq!((least.is_bound, least.expires_s), (false, 4540));
        assert_eq!(least.scopes, [""; 0]);
        for body in [
            json!({ "token_type": "Bearer" }),
            json!({ "access_token": "abc" }),
            json!({ "access_token": 1, "token_type": "Bearer" }),
            Value::Null,
        ] {
            assert!(read(body.clone()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_service_app_has_its_client_id() {
        let key = SigningKey::parse(include_str!("key/p256.pem"), None);
        let key = key.map_err(|error| error.to_string()).unwrap();
        let app = ServiceApp::new("0oaclient".to_owned(), key, Vec::new()).unwrap();
        assert_eq!(app.client_id(), "0oaclient");
    }
}
