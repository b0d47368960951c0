//! The access token of a service app, and the proof that a request carries with it.

use reqwest::header::HeaderMap;

use super::{Client, may_repeat, new_token_id, not_okta};
use crate::credential::{AccessToken, Credential, OAuthSession, ServiceApp};
use crate::dpop::ProofParams;
use crate::failure::{Call, Failure, FailureKind};
use crate::rate_limits::RateLimits;
use crate::transport::{RawResponse, id_header, insert, rate_limits, single_header};

#[cfg(test)]
mod tests;

const TOKEN_PATH: &str = "/oauth2/v1/token";

impl Client {
    /// Returns the headers that authenticate a request of a service app.
    pub(super) async fn bearer(
        &self,
        app: &ServiceApp,
        method: &str,
        url: &str,
    ) -> Result<HeaderMap, Failure> {
        let access = self.access_token(app).await?;
        if !access.is_bound {
            return Ok(single_header(
                "authorization",
                &format!("Bearer {}", access.token),
            ));
        }
        let mut headers = single_header("authorization", &format!("DPoP {}", access.token));
        let proof = app.proof_key().prove(ProofParams {
            method,
            url,
            now_s: self.now().as_second(),
            id: &new_token_id()?,
            nonce: app.session().nonce.as_deref(),
            access_token: Some(&access.token),
        })?;
        insert(&mut headers, "dpop", &proof);
        Ok(headers)
    }

    /// Stores a nonce that Okta sent. Returns whether the request failed because it lacked one.
    pub(super) fn store_nonce(&self, response: &RawResponse) -> bool {
        let (Credential::ServiceApp(app), Some(nonce)) =
            (&self.credential, id_header(&response.headers, "dpop-nonce"))
        else {
            return false;
        };
        app.change_session(|session| session.nonce = Some(nonce));
        let challenge = response
            .headers
            .get("www-authenticate")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        response.status == 401 && challenge.contains("use_dpop_nonce")
    }

    /// Returns the access token, and requests one if there is none or it has expired.
    pub(super) async fn access_token(&self, app: &ServiceApp) -> Result<AccessToken, Failure> {
        let now_s = self.now().as_second();
        if let Some(access) = app.session().current_token(now_s) {
            return Ok(access);
        }
        let url = self.org.url(TOKEN_PATH);
        // Two more requests for the proof: without a proof, with one, with one that has the nonce.
        // A token request changes nothing, so it may be repeated after a lost response, too.
        let retries = self.options.retry.retries;
        let mut attempt = 0;
        for _ in 0..=retries.saturating_add(2) {
            let session = app.session();
            let (headers, form) = self.token_request(app, &session, &url)?;
            let sent = self.transport.post_form(&url, headers, form);
            let (failure, may_repeat, limits) = match sent.await {
                Ok(response) if response.status == 200 => {
                    let access = AccessToken::read(&response.body, now_s)
                        .ok_or_else(|| not_okta(&self.org))?;
                    app.change_session(|session| session.access_token = Some(access.clone()));
                    return Ok(access);
                }
                Ok(response) => {
                    let failure = token_failure(&response);
                    let nonce = id_header(&response.headers, "dpop-nonce");
                    if learn_proof(app, &session, &failure, nonce) {
                        continue;
                    }
                    let may_repeat = may_repeat(&failure, response.status, true);
                    (failure, may_repeat, rate_limits(&response.headers))
                }
                Err(error) => (
                    error.failure(self.org.as_str(), true),
                    true,
                    RateLimits::default(),
                ),
            };
            if attempt >= retries || !may_repeat {
                return Err(failure);
            }
            self.pause(limits.wait(attempt, self.now()), failure)
                .await?;
            attempt = attempt.saturating_add(1);
        }
        Err(Failure::new(
            FailureKind::AccessDenied,
            "Okta's token endpoint keeps asking for another proof of possession. Check this machine's clock.",
        ))
    }

    /// Returns the headers and the form of a token request.
    fn token_request(
        &self,
        app: &ServiceApp,
        session: &OAuthSession,
        url: &str,
    ) -> Result<(HeaderMap, String), Failure> {
        let now_s = self.now().as_second();
        let form = app.token_form(url, now_s, &new_token_id()?)?;
        let mut headers = HeaderMap::new();
        if session.needs_proof {
            let proof = app.proof_key().prove(ProofParams {
                method: "POST",
                url,
                now_s,
                id: &new_token_id()?,
                nonce: session.nonce.as_deref(),
                access_token: None,
            })?;
            insert(&mut headers, "dpop", &proof);
        }
        Ok((headers, form))
    }
}

/// Returns the failure that a response of the token endpoint describes.
fn token_failure(response: &RawResponse) -> Failure {
    let call = Call {
        method: "POST",
        path: TOKEN_PATH,
    };
    let request_id = id_header(&response.headers, "x-okta-request-id");
    Failure::read(&call, response.status, &response.body, request_id)
}

/// Stores what a refusal tells about the proof: that it is required, or the nonce. Returns whether
/// that is new.
fn learn_proof(
    app: &ServiceApp,
    session: &OAuthSession,
    failure: &Failure,
    nonce: Option<String>,
) -> bool {
    match failure.okta.code.as_deref() {
        Some("invalid_dpop_proof") if !session.needs_proof => {
            app.change_session(|session| session.needs_proof = true);
            true
        }
        Some("use_dpop_nonce") if nonce.is_some() && nonce != session.nonce => {
            app.change_session(|session| session.nonce = nonce);
            true
        }
        _ => false,
    }
}
