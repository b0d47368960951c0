//! The HTTP client for Okta's API, and its manners: it follows no redirect, gives the credential to the org alone, waits
//! where Okta asks it to, tries few times, and never sends a POST again that may have been done.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::fill;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::failure::Call;
use crate::limits::Limits;
use crate::transport::{RawResponse, RequestBody, Transport, id_in, limits, one_header, put};
use crate::{Failure, FailureKind, Login, Mode, Org, link};

mod access;

/// How often a call is tried again after its first time.
const RETRIES: u32 = 3;
/// A list that is longer is not what setup is for, and a server that repeats its pages must not hold it for ever.
const MAX_PAGES: usize = 2000;

/// How patient the client is.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    pub mode: Mode,
    /// The longest single wait for a rate limit; beyond it the command gives up, to be run again.
    pub max_wait: Duration,
}

/// Returns the current time. Signatures carry it, and the waits that Okta asks for are counted from it.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A client of one org.
pub struct Client {
    wire: Transport,
    org: Org,
    login: Login,
    now: TimeSource,
    patience: RetryPolicy,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// `Null` where there was no body.
    pub body: Value,
    /// Okta's own id of the request, kept with every write.
    pub request_id: Option<String>,
    pub next: Option<String>,
    pub limits: Limits,
}

impl Client {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(
        org: Org,
        login: Login,
        now: TimeSource,
        patience: RetryPolicy,
    ) -> Result<Self, Failure> {
        let wire = Transport::new(patience.mode)?;
        Ok(Self {
            wire,
            org,
            login,
            now,
            patience,
        })
    }

    pub fn org(&self) -> &Org {
        &self.org
    }

    pub fn login(&self) -> &Login {
        &self.login
    }

    pub fn mode(&self) -> Mode {
        self.patience.mode
    }

    /// The time as the client reads it.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Reads `path`, which starts with a slash.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Failure> {
        self.call(
            &Method::GET,
            &address(&self.org, path, query),
            &RequestBody::None,
            true,
        )
        .await
    }

    /// Reads a list to its end, page by page.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut answer = self.get(path, query).await?;
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            match answer.body {
                Value::Array(items) => all.extend(items),
                _ => return Err(no_okta(&self.org)),
            }
            let Some(next) = answer.next else {
                return Ok(all);
            };
            answer = self.get_page(&next).await?;
        }
        Err(Failure::new(
            FailureKind::Invalid,
            format!("The list {path} has more than {MAX_PAGES} pages; it was not read to its end."),
        ))
    }

    /// Reads an address that Okta gave as the next page.
    ///
    /// # Errors
    /// See [`Failure`]; one that is not the org's own is refused.
    pub async fn get_page(&self, url: &str) -> Result<Response, Failure> {
        if !self.org.owns(url) {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "Okta names a next page outside {}, which is not given the credential. Use the org's own address as `org` in setup.toml.",
                    self.org
                ),
            ));
        }
        self.call(&Method::GET, url, &RequestBody::None, true).await
    }

    /// Sends a write. PUT and DELETE may be sent again, for twice is as once; a POST or PATCH only where the first
    /// certainly was not done.
    ///
    /// # Errors
    /// See [`Failure`]; [`FailureKind::Uncertain`] where the write may have been done.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: &RequestBody,
    ) -> Result<Response, Failure> {
        self.call(&method, &address(&self.org, path, query), body, true)
            .await
    }

    /// Reads without the credential.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get_openly(&self, path: &str) -> Result<Response, Failure> {
        self.call(&Method::GET, &self.org.at(path), &RequestBody::None, false)
            .await
    }

    /// The scopes that the service app's token has; `None` for an API token.
    ///
    /// # Errors
    /// Whatever the token endpoint refuses.
    pub async fn granted_scopes(&self) -> Result<Option<Vec<String>>, Failure> {
        match &self.login {
            Login::Token(_) => Ok(None),
            Login::ServiceApp(app) => Ok(Some(self.access(app).await?.scopes)),
        }
    }

    async fn call(
        &self,
        method: &Method,
        url: &str,
        body: &RequestBody,
        with_login: bool,
    ) -> Result<Response, Failure> {
        let path = url
            .strip_prefix(self.org.as_str())
            .and_then(|rest| rest.split('?').next())
            .unwrap_or("/");
        let call = Call {
            method: method.as_str(),
            path,
        };
        let is_safe = !matches!(*method, Method::POST | Method::PATCH);
        let mut before: Option<String> = None;
        let mut nonce_was_new = false;
        let mut attempt = 0;
        loop {
            let mut headers = match (&self.login, with_login) {
                (_, false) => HeaderMap::new(),
                (Login::Token(secret), true) => {
                    one_header("authorization", &format!("SSWS {}", secret.expose_secret()))
                }
                (Login::ServiceApp(app), true) => self.signed(app, method.as_str(), url).await?,
            };
            if let (Some(id), true) = (&before, attempt > 0) {
                put(&mut headers, "x-okta-retry-for", id);
                put(&mut headers, "x-okta-retry-count", &attempt.to_string());
            }
            let outcome = self.wire.once(method, url, headers, body).await;
            let wait = match outcome {
                Ok(arrived) => {
                    if self.keep_nonce(&arrived) && !nonce_was_new {
                        nonce_was_new = true;
                        continue;
                    }
                    let limits = limits(&arrived.headers);
                    let request_id = id_in(&arrived.headers, "x-okta-request-id");
                    if (200..300).contains(&arrived.status) {
                        return self.accept(arrived, limits, request_id).await;
                    }
                    let failure =
                        Failure::read(&call, arrived.status, &arrived.body, request_id.clone());
                    if attempt >= RETRIES || !may_repeat(&failure, arrived.status, is_safe) {
                        return Err(failure);
                    }
                    before = before.or(request_id);
                    (limits.wait(attempt, self.now()), failure)
                }
                Err(lost) => {
                    let failure = lost.failure(&self.org, is_safe);
                    if attempt >= RETRIES || !(is_safe || lost.before_sending) {
                        return Err(failure);
                    }
                    (Limits::default().wait(attempt, self.now()), failure)
                }
            };
            self.pause(wait.0, wait.1).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// A success; where the window is nearly used up, the next request comes a little later.
    async fn accept(
        &self,
        arrived: RawResponse,
        limits: Limits,
        request_id: Option<String>,
    ) -> Result<Response, Failure> {
        if !arrived.is_json {
            return Err(no_okta(&self.org));
        }
        if limits.is_scarce() {
            self.sleep(Duration::from_secs(1)).await;
        }
        let links = arrived.headers.get_all("link");
        let links = links.iter().filter_map(|value| value.to_str().ok());
        Ok(Response {
            status: arrived.status,
            next: link::next(links),
            body: arrived.body,
            request_id,
            limits,
        })
    }

    /// Waits, with up to a second of jitter; or gives up where that is longer than the caller has patience for.
    async fn pause(&self, wait: Duration, mut failure: Failure) -> Result<(), Failure> {
        if wait > self.patience.max_wait {
            failure.message = format!(
                "{} Okta asks to wait {} seconds, which is more than --max-wait.",
                failure.message,
                wait.as_secs()
            );
            return Err(failure);
        }
        let [jitter] = random_bytes::<1>().unwrap_or([0]);
        self.sleep(wait.saturating_add(Duration::from_millis(u64::from(jitter).saturating_mul(4))))
            .await;
        Ok(())
    }

    /// Sleeps; a rehearsal's second lasts a millisecond.
    pub async fn sleep(&self, time: Duration) {
        let time = match self.patience.mode {
            Mode::Real => time,
            Mode::Rehearsal => time / 1000,
        };
        tokio::time::sleep(time).await;
    }
}

/// Whether a refused request may be sent again. A 429 was not done, whatever it was; the others may have been.
fn may_repeat(failure: &Failure, status: u16, is_safe: bool) -> bool {
    let code = failure.okta.code.as_deref().unwrap_or_default();
    match status {
        429 => true,
        409 => matches!(code, "E0000195" | "E0000268"),
        500.. => is_safe,
        _ => false,
    }
}

fn no_okta(org: &Org) -> Failure {
    Failure::new(
        FailureKind::Invalid,
        format!(
            "{org} answers something that Okta's API does not. Check `org` in setup.toml, and whether a proxy stands in between."
        ),
    )
}

fn address(org: &Org, path: &str, query: &[(&str, &str)]) -> String {
    let mut url = org.at(path);
    if !query.is_empty() {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        url.push('?');
        url.push_str(&query);
    }
    url
}

/// How far this machine's clock is from Okta's, in seconds; positive where ours is ahead.
pub fn skew_s(limits: Limits, now: Timestamp) -> Option<i64> {
    limits
        .date
        .map(|date| now.as_second().saturating_sub(date.as_second()))
}

fn random_bytes<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// An identifier for a signed token (RFC 7519 section 4.1.7): 128 random bits.
fn token_id() -> Result<String, Failure> {
    let bytes = random_bytes::<16>().map_err(|_| {
        Failure::new(
            FailureKind::Invalid,
            "This machine's source of random numbers is not available.",
        )
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
