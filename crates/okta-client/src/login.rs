//! The two ways to be somebody at Okta: an API token, or a service app that proves itself by a key.

use std::sync::{Mutex, PoisonError};

use jsonwebtoken::{Header, encode};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use crate::dpop::ProofKey;
use crate::key::SigningKey;
use crate::{Failure, FailureKind};

/// What is asked for where nothing else is wished. Each `manage` includes its `read`.
pub const SCOPES: [&str; 5] = [
    "okta.apps.manage",
    "okta.groups.read",
    "okta.users.read",
    "okta.logs.read",
    "okta.roles.read",
];

/// A credential.
pub enum Login {
    /// An API token; Okta's scheme for it is called SSWS.
    Token(SecretString),
    ServiceApp(Box<ServiceApp>),
}

/// An OAuth 2.0 service app with `private_key_jwt`.
pub struct ServiceApp {
    pub client_id: String,
    pub key: SigningKey,
    pub scopes: Vec<String>,
    proof_key: ProofKey,
    session: Mutex<OAuthSession>,
}

/// What the token endpoint gave last.
#[derive(Default, Clone)]
pub struct OAuthSession {
    pub access: Option<AccessToken>,
    /// Whether the app demands proofs: known from the first refusal on.
    pub wants_proof: bool,
    pub nonce: Option<String>,
}

/// An access token, which lives for an hour.
#[derive(Clone)]
pub struct AccessToken {
    pub token: String,
    pub is_bound: bool,
    pub expires_s: i64,
    /// What Okta granted, which may be less than what was asked for.
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

/// How long an assertion is good for; Okta allows an hour, and a copied one should not.
const ASSERTION_LIFE_S: i64 = 300;

impl Login {
    /// An API token as somebody copied it.
    ///
    /// # Errors
    /// A text that cannot be one.
    pub fn token(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let fault = |message: &str| Failure::new(FailureKind::Invalid, message);
        if text.is_empty() {
            return Err(fault("The API token is empty."));
        }
        if text.len() > 5
            && text
                .get(..5)
                .is_some_and(|word| word.eq_ignore_ascii_case("ssws "))
        {
            return Err(fault("Give the API token without the word SSWS in front."));
        }
        if text.contains(char::is_whitespace) || !text.is_ascii() {
            return Err(fault(
                "The API token holds a blank or a letter that no token has; copy it again.",
            ));
        }
        Ok(Self::Token(SecretString::from(text)))
    }
}

impl ServiceApp {
    /// # Errors
    /// Where the machine has no random numbers.
    pub fn new(client_id: String, key: SigningKey, scopes: Vec<String>) -> Result<Self, Failure> {
        Ok(Self {
            client_id,
            key,
            scopes,
            proof_key: ProofKey::generate()?,
            session: Mutex::default(),
        })
    }

    pub fn proof_key(&self) -> &ProofKey {
        &self.proof_key
    }

    pub fn session(&self) -> OAuthSession {
        self.lock().clone()
    }

    pub fn change_session(&self, change: impl FnOnce(&mut OAuthSession)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OAuthSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The form that asks for a token (RFC 7523 section 2.2), with an assertion that was never used before.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn token_form(&self, audience: &str, now_s: i64, id: &str) -> Result<String, Failure> {
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
                "The service app's key cannot sign; is the file complete?",
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
    /// Reads the token endpoint's answer.
    pub fn read(body: &Value, now_s: i64) -> Option<Self> {
        let text = |name| body.get(name).and_then(Value::as_str);
        let life_s = body
            .get("expires_in")
            .and_then(Value::as_i64)
            .unwrap_or(3600);
        Some(Self {
            token: text("access_token")?.to_owned(),
            is_bound: text("token_type")?.eq_ignore_ascii_case("dpop"),
            // A minute early, so that none lapses on its way.
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

    use super::*;

    #[test]
    fn tokens_as_people_copy_them() {
        let check = |text: &str, expected: Result<&str, &str>| match (Login::token(text), expected)
        {
            (Ok(Login::Token(secret)), Ok(kept)) => assert_eq!(secret.expose_secret(), kept),
            (Err(error), Err(part)) => assert!(error.message.contains(part), "{error}"),
            _ => panic!("{text}"),
        };
        check("00abc_DEF-1\n", Ok("00abc_DEF-1"));
        check("  ", Err("empty"));
        check("SSWS 00abc", Err("without the word"));
        check("00a bc", Err("blank"));
        check("00aé", Err("blank"));
    }
}
