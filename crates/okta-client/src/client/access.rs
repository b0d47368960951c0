//! The access token of a service app, and the proof that goes along with it.

use reqwest::header::HeaderMap;

use super::{Client, RETRIES, may_repeat, no_okta, token_id};
use crate::dpop::ProofParams;
use crate::failure::Call;
use crate::limits::Limits;
use crate::login::{AccessToken, OAuthSession, ServiceApp};
use crate::transport::{RawResponse, TransportError, id_in, limits, one_header, put};
use crate::{Failure, FailureKind, Login};

impl Client {
    /// The headers of a service app's request.
    pub(super) async fn signed(
        &self,
        app: &ServiceApp,
        method: &str,
        url: &str,
    ) -> Result<HeaderMap, Failure> {
        let access = self.access(app).await?;
        if !access.is_bound {
            return Ok(one_header(
                "authorization",
                &format!("Bearer {}", access.token),
            ));
        }
        let mut headers = one_header("authorization", &format!("DPoP {}", access.token));
        let proof = app.proof_key().prove(ProofParams {
            method,
            url,
            now_s: self.now().as_second(),
            id: &token_id()?,
            nonce: app.session().nonce.as_deref(),
            access_token: Some(&access.token),
        })?;
        put(&mut headers, "dpop", &proof);
        Ok(headers)
    }

    /// Keeps a nonce that Okta sent. True where the request failed for want of it.
    pub(super) fn keep_nonce(&self, arrived: &RawResponse) -> bool {
        let (Login::ServiceApp(app), Some(nonce)) =
            (&self.login, id_in(&arrived.headers, "dpop-nonce"))
        else {
            return false;
        };
        app.change_session(|session| session.nonce = Some(nonce));
        let challenge = arrived
            .headers
            .get("www-authenticate")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        arrived.status == 401 && challenge.contains("use_dpop_nonce")
    }

    /// The access token, asked for where there is none that lives.
    pub(super) async fn access(&self, app: &ServiceApp) -> Result<AccessToken, Failure> {
        let now_s = self.now().as_second();
        if let Some(access) = app
            .session()
            .access
            .filter(|access| access.expires_s > now_s)
        {
            return Ok(access);
        }
        let url = self.org.at("/oauth2/v1/token");
        let call = Call {
            method: "POST",
            path: "/oauth2/v1/token",
        };
        // Up to three times for the proof: without a proof, with one, with one that has the nonce. Asking for a token
        // changes nothing, so a lost answer or a full window may be tried again as well.
        for attempt in 0..=(RETRIES + 2) {
            let session = app.session();
            let (status, headers, body) = match self.ask_for_token(app, &session, &url).await {
                Ok(arrived) => (arrived.status, arrived.headers, arrived.body),
                Err(lost) => {
                    let failure = lost.failure(&self.org, true);
                    if attempt >= RETRIES {
                        return Err(failure);
                    }
                    self.pause(Limits::default().wait(attempt, self.now()), failure)
                        .await?;
                    continue;
                }
            };
            if status == 200 {
                let access = AccessToken::read(&body, now_s).ok_or_else(|| no_okta(&self.org))?;
                app.change_session(|session| session.access = Some(access.clone()));
                return Ok(access);
            }
            let nonce = id_in(&headers, "dpop-nonce");
            let failure = Failure::read(&call, status, &body, id_in(&headers, "x-okta-request-id"));
            match failure.okta.code.as_deref() {
                Some("invalid_dpop_proof") if !session.wants_proof => {
                    app.change_session(|session| session.wants_proof = true);
                }
                Some("use_dpop_nonce") if nonce.is_some() && nonce != session.nonce => {
                    app.change_session(|session| session.nonce = nonce);
                }
                _ if may_repeat(&failure, status, true) && attempt < RETRIES => {
                    let wait = limits(&headers).wait(attempt, self.now());
                    self.pause(wait, failure).await?;
                }
                _ => return Err(failure),
            }
        }
        Err(Failure::new(
            FailureKind::Refused,
            "Okta's token endpoint asks for one proof of possession after the other; check this machine's clock.",
        ))
    }

    async fn ask_for_token(
        &self,
        app: &ServiceApp,
        session: &OAuthSession,
        url: &str,
    ) -> Result<RawResponse, TransportError> {
        let now_s = self.now().as_second();
        let inside = |failure: Failure| TransportError {
            before_sending: true,
            message: failure.message,
        };
        let form = app
            .token_form(url, now_s, &token_id().map_err(inside)?)
            .map_err(inside)?;
        let mut headers = HeaderMap::new();
        if session.wants_proof {
            let proof = app
                .proof_key()
                .prove(ProofParams {
                    method: "POST",
                    url,
                    now_s,
                    id: &token_id().map_err(inside)?,
                    nonce: session.nonce.as_deref(),
                    access_token: None,
                })
                .map_err(inside)?;
            put(&mut headers, "dpop", &proof);
        }
        self.wire.post_form(url, headers, form).await
    }
}
