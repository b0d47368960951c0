//! The HTTP client: authentication, paging, waiting and retries.

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

use crate::credential::Credential;
use crate::failure::{Call, Failure, FailureKind};
use crate::link;
use crate::mode::Mode;
use crate::org::Org;
use crate::rate_limits::RateLimits;
use crate::transport::{
    RawResponse, RequestBody, Transport, id_header, insert, rate_limits, single_header,
};

mod authorize;
#[cfg(test)]
mod tests;

/// A longer list is an error, so that a server which repeats its pages cannot hold the client.
const MAX_PAGES: usize = 2000;

/// How often and how long the client waits to repeat a request.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How often a request is repeated after the first attempt.
    pub retries: u32,
    /// The longest single wait. If Okta asks for a longer one, the request fails at once, and the
    /// failure has it as [`Failure::retry_after`].
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    /// Three retries, and waits of up to five minutes.
    fn default() -> Self {
        Self {
            retries: 3,
            max_wait: Duration::from_secs(300),
        }
    }
}

/// A function that returns the current time. Signatures contain it, and waits are computed from it.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The options of a [`Client`].
#[derive(Clone)]
pub struct ClientOptions {
    /// The `User-Agent` header [default: `okta-client/` and the version of this crate].
    pub user_agent: String,
    /// When to repeat a request.
    pub retry: RetryPolicy,
    /// The clock [default: the system's].
    pub time: TimeSource,
}

impl Default for ClientOptions {
    fn default() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the default clock is the system's"
        )]
        let time = Arc::new(Timestamp::now);
        Self {
            user_agent: concat!("okta-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy::default(),
            time,
        }
    }
}

/// A client for one org.
///
/// Every method that sends a request returns a [`Failure`] for a response that is not a success,
/// for one that is not JSON, and if there is no response.
pub struct Client {
    transport: Transport,
    org: Org,
    credential: Credential,
    options: ClientOptions,
}

/// A successful response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// The body; `Null` if there was none.
    pub body: Value,
    /// Okta's id of the request (`X-Okta-Request-Id`).
    pub request_id: Option<String>,
    /// The URL of the next page, for [`Client::get_page`].
    pub next_page: Option<String>,
    /// The rate limits after this request.
    pub rate_limits: RateLimits,
}

/// Whether a request carries the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authentication {
    Credential,
    None,
}

/// A request that may be sent several times.
struct Attempt<'r> {
    method: &'r Method,
    url: &'r str,
    body: &'r RequestBody,
    authentication: Authentication,
}

impl Client {
    /// Creates a client. Nothing is sent yet.
    ///
    /// # Errors
    /// Returns an error if TLS cannot be set up.
    pub fn new(org: Org, credential: Credential, options: ClientOptions) -> Result<Self, Failure> {
        Ok(Self {
            transport: Transport::new(org.mode(), &options.user_agent)?,
            org,
            credential,
            options,
        })
    }

    /// Returns the org.
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Returns the credential.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Returns the current time by the client's clock.
    pub fn now(&self) -> Timestamp {
        (self.options.time)()
    }

    /// Reads `path`, which starts with a slash.
    ///
    /// # Errors
    /// Returns an error if the response is not a success.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Failure> {
        self.send(Method::GET, path, query, &RequestBody::None)
            .await
    }

    /// Reads a list with all of its pages.
    ///
    /// # Errors
    /// Returns an error if a page is not an array, if there are more than 2000 pages, and as
    /// [`Client::get_page`] does.
    pub async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut page = self.get(path, query).await?;
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            match page.body {
                Value::Array(items) => all.extend(items),
                _ => return Err(not_okta(&self.org)),
            }
            let Some(next) = page.next_page else {
                return Ok(all);
            };
            page = self.get_page(&next).await?;
        }
        Err(Failure::new(
            FailureKind::Invalid,
            format!("The list {path} has more than {MAX_PAGES} pages."),
        ))
    }

    /// Reads a [`Response::next_page`].
    ///
    /// # Errors
    /// Returns [`FailureKind::UnexpectedResponse`] if the page is not at the org's own origin; the
    /// credential is not sent there.
    pub async fn get_page(&self, url: &str) -> Result<Response, Failure> {
        if !self.org.owns(url) {
            return Err(Failure::new(
                FailureKind::UnexpectedResponse,
                format!(
                    "Okta names a next page outside {}; the credential is not sent there.",
                    self.org
                ),
            ));
        }
        self.call(&Attempt {
            method: &Method::GET,
            url,
            body: &RequestBody::None,
            authentication: Authentication::Credential,
        })
        .await
    }

    /// Sends a request.
    ///
    /// A POST or PATCH is repeated only if Okta cannot have executed it.
    ///
    /// # Errors
    /// Returns [`FailureKind::OutcomeUnknown`] if no response came to a POST or PATCH that Okta may
    /// have executed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: &RequestBody,
    ) -> Result<Response, Failure> {
        self.call(&Attempt {
            method: &method,
            url: &url_of(&self.org, path, query),
            body,
            authentication: Authentication::Credential,
        })
        .await
    }

    /// Reads `path` without sending the credential.
    ///
    /// # Errors
    /// Returns an error if the response is not a success.
    pub async fn get_unauthenticated(&self, path: &str) -> Result<Response, Failure> {
        self.call(&Attempt {
            method: &Method::GET,
            url: &self.org.url(path),
            body: &RequestBody::None,
            authentication: Authentication::None,
        })
        .await
    }

    /// Returns the scopes that a service app's access token has, or `None` for an API token.
    ///
    /// # Errors
    /// Returns [`FailureKind::AccessDenied`] if Okta issues no access token.
    pub async fn granted_scopes(&self) -> Result<Option<Vec<String>>, Failure> {
        match &self.credential {
            Credential::ApiToken(_) => Ok(None),
            Credential::ServiceApp(app) => Ok(Some(self.access_token(app).await?.scopes)),
        }
    }

    /// Sleeps. In [`Mode::Simulated`] a second takes a millisecond.
    pub async fn sleep(&self, time: Duration) {
        let time = match self.org.mode() {
            Mode::Live => time,
            Mode::Simulated => time / 1000,
        };
        tokio::time::sleep(time).await;
    }

    /// Sends a request until it succeeds, cannot be repeated, or was repeated often enough.
    async fn call(&self, request: &Attempt<'_>) -> Result<Response, Failure> {
        let is_repeatable = !matches!(*request.method, Method::POST | Method::PATCH);
        let retries = self.options.retry.retries;
        let mut first_request_id: Option<String> = None;
        let mut has_new_nonce = false;
        let mut attempt = 0;
        loop {
            let mut headers = self.authorization(request).await?;
            if let Some(id) = &first_request_id {
                insert(&mut headers, "x-okta-retry-for", id);
                insert(&mut headers, "x-okta-retry-count", &attempt.to_string());
            }
            let sent = self
                .transport
                .send(request.method, request.url, headers, request.body);
            let (failure, may_repeat, limits) = match sent.await {
                Ok(response) => {
                    if self.store_nonce(&response) && !has_new_nonce {
                        has_new_nonce = true;
                        continue;
                    }
                    if (200..300).contains(&response.status) {
                        return self.accept(response).await;
                    }
                    let failure = self.failure(request, &response);
                    let may_repeat = may_repeat(&failure, response.status, is_repeatable);
                    first_request_id = first_request_id.or(failure.okta.request_id.clone());
                    (failure, may_repeat, rate_limits(&response.headers))
                }
                Err(error) => (
                    error.failure(self.org.as_str(), is_repeatable),
                    is_repeatable || error.before_sending,
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
    }

    /// Returns the headers that authenticate a request.
    async fn authorization(&self, request: &Attempt<'_>) -> Result<HeaderMap, Failure> {
        match (&self.credential, request.authentication) {
            (_, Authentication::None) => Ok(HeaderMap::new()),
            (Credential::ApiToken(secret), Authentication::Credential) => Ok(single_header(
                "authorization",
                &format!("SSWS {}", secret.expose_secret()),
            )),
            (Credential::ServiceApp(app), Authentication::Credential) => {
                self.bearer(app, request.method.as_str(), request.url).await
            }
        }
    }

    fn failure(&self, request: &Attempt<'_>, response: &RawResponse) -> Failure {
        let path = request
            .url
            .strip_prefix(self.org.as_str())
            .and_then(|rest| rest.split('?').next())
            .unwrap_or("/");
        let call = Call {
            method: request.method.as_str(),
            path,
        };
        let request_id = id_header(&response.headers, "x-okta-request-id");
        Failure::read(&call, response.status, &response.body, request_id)
    }

    /// Accepts a success. If the rate limit is nearly used up, this takes a second, so that the
    /// next request comes later.
    async fn accept(&self, response: RawResponse) -> Result<Response, Failure> {
        if !response.is_json {
            return Err(not_okta(&self.org));
        }
        let rate_limits = rate_limits(&response.headers);
        if rate_limits.is_scarce() {
            self.sleep(Duration::from_secs(1)).await;
        }
        let links = response.headers.get_all("link");
        let links = links.iter().filter_map(|value| value.to_str().ok());
        Ok(Response {
            status: response.status,
            next_page: link::next(links),
            request_id: id_header(&response.headers, "x-okta-request-id"),
            body: response.body,
            rate_limits,
        })
    }

    /// Waits, with up to a second of jitter, or fails if that is longer than the policy allows.
    async fn pause(&self, wait: Duration, mut failure: Failure) -> Result<(), Failure> {
        if wait > self.options.retry.max_wait {
            failure.message = format!(
                "{} Okta asks to wait {} seconds.",
                failure.message,
                wait.as_secs()
            );
            failure.retry_after = Some(wait);
            return Err(failure);
        }
        let [jitter] = random_bytes::<1>().unwrap_or([0]);
        self.sleep(wait.saturating_add(Duration::from_millis(u64::from(jitter).saturating_mul(4))))
            .await;
        Ok(())
    }
}

/// Returns whether a refused request may be sent again. Okta did not execute a 429, whatever the
/// method; it may have executed the others.
fn may_repeat(failure: &Failure, status: u16, is_repeatable: bool) -> bool {
    let code = failure.okta.code.as_deref().unwrap_or_default();
    match status {
        429 => true,
        409 => matches!(code, "E0000195" | "E0000268"),
        500.. => is_repeatable,
        _ => false,
    }
}

fn not_okta(org: &Org) -> Failure {
    Failure::new(
        FailureKind::UnexpectedResponse,
        format!("{org} sent a response that is not one of Okta's API."),
    )
}

fn url_of(org: &Org, path: &str, query: &[(&str, &str)]) -> String {
    let mut url = org.url(path);
    if !query.is_empty() {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        url.push('?');
        url.push_str(&query);
    }
    url
}

fn random_bytes<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Returns an identifier for a signed token (RFC 7519 section 4.1.7): 128 random bits.
fn new_token_id() -> Result<String, Failure> {
    let bytes = random_bytes::<16>().map_err(|_| {
        Failure::new(
            FailureKind::Invalid,
            "The system's random source is unavailable.",
        )
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
