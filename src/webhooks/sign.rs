//! Signatures of Standard Webhooks: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::clock;
use crate::service::Error;

/// The prefix of a secret's text.
const SECRET_PREFIX: &str = "whsec_";

/// The size of a secret; Standard Webhooks asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// The key that signs the deliveries of a subscription.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    pub fn generate() -> Result<Self, Error> {
        let bytes: [u8; SECRET_BYTES] = clock::random_bytes().map_err(Error::internal)?;
        Ok(Self(bytes.to_vec().into()))
    }

    /// Returns the key of the HMAC.
    pub fn expose_secret(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Returns `whsec_…`, the form that receivers' libraries expect.
    pub fn to_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(self.expose_secret()))
    }

    /// Parses the text of a secret.
    ///
    /// # Errors
    /// [`Error::Internal`], because only stored texts are parsed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = text
            .strip_prefix(SECRET_PREFIX)
            .and_then(|text| STANDARD.decode(text).ok());
        bytes
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| Error::internal("a stored secret of a webhook is damaged"))
    }
}

/// Returns the value of `webhook-signature`: one signature for each secret. `at_s` is in seconds
/// since the epoch, as in `webhook-timestamp`.
pub fn signatures(secrets: &[SigningSecret], id: &str, at_s: i64, body: &str) -> String {
    let signed = format!("{id}.{at_s}.{body}");
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
            let tag = hmac::sign(&key, signed.as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        })
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // The vector that the reference libraries test themselves with.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signatures(
            std::slice::from_ref(&secret),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = signatures(&[secret.clone(), secret], "a", 1, "b");
        assert_eq!(both.matches("v1,").count(), 2);
    }
}
