//! Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::service::webhooks::SigningSecret;

/// The value of `webhook-signature`: one signature for each secret. `at_s`: seconds since the epoch, as in
/// `webhook-timestamp`.
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
