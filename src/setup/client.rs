//! The HTTP client for Okta's API, and its manners: it follows no redirect, gives the credential to the org alone, waits
//! where Okta asks it to, tries few times, and never sends a POST again that may have been done.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use serde_json::Value;

use crate::clock::{Clock, random_bytes};
use crate::setup::dpop::About;
use crate::setup::failure::Call;
use crate::setup::limits::Limits;
use crate::setup::login::{Access, ServiceApp};
use crate::setup::{Failure, Login, Mode, Org, Why, link};

/// How often a call is tried again after its first time.
const RETRIES: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
/// Okta's largest pages are some hundred kilobytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// A list that is longer is not what setup is for, and a server that repeats its pages must not hold it for ever.
const MAX_PAGES: usize = 2000;
const MAX_ID_LENGTH: usize = 100;

/// How patient the client is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub mode: Mode,
    /// The longest single wait for a rate limit; beyond it the command gives up, to be run again.
    pub max_wait: Duration,
}

/// A client of one org.
pub struct Client {
    http: reqwest::Client,
    org: Org,
    login: Login,
    clock: Arc<dyn Clock>,
    patience: Patience,
}

/// What goes along with a request.
#[derive(Debug, Clone)]
pub enum Body {
    None,
    Json(Value),
    File {
        name: String,
        media_type: &'static str,
        bytes: Vec<u8>,
    },
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// `Null` where there was no body.
    pub body: Value,
    /// Okta's own id of the request, kept with every write.
    pub request_id: Option<String>,
    pub next: Option<String>,
    pub limits: Limits,
}

/// What arrived, success or not.
struct Arrived {
    status: u16,
    headers: HeaderMap,
    body: Value,
    is_json: bool,
}

/// Why nothing arrived.
struct Lost {
    /// The request never reached Okta.
    before_sending: bool,
    message: String,
}

impl Client {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(
        org: Org,
        login: Login,
        clock: Arc<dyn Clock>,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let mut http = reqwest::Client::builder();
        if patience.mode == Mode::Rehearsal {
            // The stand-in is on this machine.
            http = http.no_proxy();
        }
        let http = http
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .https_only(patience.mode == Mode::Real)
            .build()
            .map_err(|error| {
                Failure::new(Why::Invalid, format!("HTTPS cannot be set up: {error}"))
            })?;
        Ok(Self {
            http,
            org,
            login,
            clock,
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

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Reads `path`, which starts with a slash.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.call(
            &Method::GET,
            &address(&self.org, path, query),
            &Body::None,
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
            Why::Invalid,
            format!("The list {path} has more than {MAX_PAGES} pages; it was not read to its end."),
        ))
    }

    /// Reads an address that Okta gave as the next page.
    ///
    /// # Errors
    /// See [`Failure`]; one that is not the org's own is refused.
    pub async fn get_page(&self, url: &str) -> Result<Answer, Failure> {
        if !self.org.owns(url) {
            return Err(Failure::new(
                Why::Invalid,
                format!(
                    "Okta names a next page outside {}, which is not given the credential. Use the org's own address as `org` in setup.toml.",
                    self.org
                ),
            ));
        }
        self.call(&Method::GET, url, &Body::None, true).await
    }

    /// Sends a write. PUT and DELETE may be sent again, for twice is as once; a POST or PATCH only where the first
    /// certainly was not done.
    ///
    /// # Errors
    /// See [`Failure`]; [`Why::Uncertain`] where the write may have been done.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: &Body,
    ) -> Result<Answer, Failure> {
        self.call(&method, &address(&self.org, path, query), body, true)
            .await
    }

    /// Reads without the credential.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get_openly(&self, path: &str) -> Result<Answer, Failure> {
        self.call(&Method::GET, &self.org.at(path), &Body::None, false)
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
        body: &Body,
        with_login: bool,
    ) -> Result<Answer, Failure> {
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
                    one_header("authorization", &format!("SSWS {}", secret.expose()))
                }
                (Login::ServiceApp(app), true) => self.signed(app, method.as_str(), url).await?,
            };
            if let (Some(id), true) = (&before, attempt > 0) {
                put(&mut headers, "x-okta-retry-for", id);
                put(&mut headers, "x-okta-retry-count", &attempt.to_string());
            }
            let outcome = self.once(method, url, headers, body).await;
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
                    (limits.wait(attempt, self.clock.now()), failure)
                }
                Err(lost) => {
                    let failure = lost.failure(&self.org, is_safe);
                    if attempt >= RETRIES || !(is_safe || lost.before_sending) {
                        return Err(failure);
                    }
                    (Limits::default().wait(attempt, self.clock.now()), failure)
                }
            };
            self.pause(wait.0, wait.1).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// A success; where the window is nearly used up, the next request comes a little later.
    async fn accept(
        &self,
        arrived: Arrived,
        limits: Limits,
        request_id: Option<String>,
    ) -> Result<Answer, Failure> {
        if !arrived.is_json {
            return Err(no_okta(&self.org));
        }
        if limits.is_scarce() {
            self.sleep(Duration::from_secs(1)).await;
        }
        let links = arrived.headers.get_all("link");
        let links = links.iter().filter_map(|value| value.to_str().ok());
        Ok(Answer {
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

    async fn once(
        &self,
        method: &Method,
        url: &str,
        headers: HeaderMap,
        body: &Body,
    ) -> Result<Arrived, Lost> {
        let request = self
            .http
            .request(method.clone(), url)
            .header("accept", "application/json")
            .headers(headers);
        let request = match body {
            Body::None => request,
            Body::Json(value) => request
                .header("content-type", "application/json")
                .body(value.to_string()),
            Body::File {
                name,
                media_type,
                bytes,
            } => {
                let part = reqwest::multipart::Part::bytes(bytes.clone())
                    .file_name(name.clone())
                    .mime_str(media_type)
                    .map_err(Lost::new)?;
                request.multipart(reqwest::multipart::Form::new().part("file", part))
            }
        };
        self.receive(request).await
    }

    async fn receive(&self, request: reqwest::RequestBuilder) -> Result<Arrived, Lost> {
        let mut response = request.send().await.map_err(Lost::new)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Lost::after_sending)? {
            if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(Lost {
                    before_sending: false,
                    message: format!("the answer has more than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = if bytes.is_empty() {
            Some(Value::Null)
        } else {
            serde_json::from_slice(&bytes).ok()
        };
        Ok(Arrived {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            is_json: body.is_some(),
            body: body.unwrap_or(Value::Null),
        })
    }

    /// The headers of a service app's request.
    async fn signed(
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
        let proof = app.proof_key().prove(About {
            method,
            url,
            now_s: self.clock.now().as_second(),
            id: &self.clock.new_id(),
            nonce: app.session().nonce.as_deref(),
            access_token: Some(&access.token),
        })?;
        put(&mut headers, "dpop", &proof);
        Ok(headers)
    }

    /// Keeps a nonce that Okta sent. True where the request failed for want of it.
    fn keep_nonce(&self, arrived: &Arrived) -> bool {
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
    async fn access(&self, app: &ServiceApp) -> Result<Access, Failure> {
        let now_s = self.clock.now().as_second();
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
                    self.pause(Limits::default().wait(attempt, self.clock.now()), failure)
                        .await?;
                    continue;
                }
            };
            if status == 200 {
                let access = Access::read(&body, now_s).ok_or_else(|| no_okta(&self.org))?;
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
                    let wait = limits(&headers).wait(attempt, self.clock.now());
                    self.pause(wait, failure).await?;
                }
                _ => return Err(failure),
            }
        }
        Err(Failure::new(
            Why::Refused,
            "Okta's token endpoint asks for one proof of possession after the other; check this machine's clock.",
        ))
    }

    async fn ask_for_token(
        &self,
        app: &ServiceApp,
        session: &crate::setup::login::Session,
        url: &str,
    ) -> Result<Arrived, Lost> {
        let now_s = self.clock.now().as_second();
        let inside = |failure: Failure| Lost {
            before_sending: true,
            message: failure.message,
        };
        let form = app
            .token_form(url, now_s, &self.clock.new_id())
            .map_err(inside)?;
        let mut request = self
            .http
            .post(url)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        if session.wants_proof {
            let proof = app
                .proof_key()
                .prove(About {
                    method: "POST",
                    url,
                    now_s,
                    id: &self.clock.new_id(),
                    nonce: session.nonce.as_deref(),
                    access_token: None,
                })
                .map_err(inside)?;
            request = request.header("dpop", proof);
        }
        self.receive(request).await
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

impl Lost {
    fn new(error: reqwest::Error) -> Self {
        Self {
            before_sending: error.is_connect() || error.is_builder(),
            message: chain(&error),
        }
    }

    fn after_sending(error: reqwest::Error) -> Self {
        Self {
            before_sending: false,
            message: chain(&error),
        }
    }

    fn failure(&self, org: &Org, is_safe: bool) -> Failure {
        if is_safe || self.before_sending {
            Failure::new(
                Why::Unreachable,
                format!(
                    "{org} does not answer ({}). Check the address, the network and any proxy or firewall in between.",
                    self.message
                ),
            )
        } else {
            Failure::new(
                Why::Uncertain,
                format!(
                    "{org} did not answer a write ({}), which may have been done all the same. Run the command again: it looks first and makes nothing twice.",
                    self.message
                ),
            )
        }
    }
}

/// The causes without the URL, whose query may name a person.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        causes.push(one.to_string());
        cause = one.source();
    }
    if error.is_timeout() {
        causes.insert(0, "timed out".to_owned());
    }
    causes.dedup();
    if causes.is_empty() {
        "the connection failed".to_owned()
    } else {
        causes.join(": ")
    }
}

fn no_okta(org: &Org) -> Failure {
    Failure::new(
        Why::Invalid,
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

fn limits(headers: &HeaderMap) -> Limits {
    Limits::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

/// A header whose value is an id: bounded, and without anything that a log could not hold.
fn id_in(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let fits = !text.is_empty()
        && text.len() <= MAX_ID_LENGTH
        && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn one_header(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, name, value);
    headers
}

/// Credentials are marked, so that no debug text shows them.
fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// How far this machine's clock is from Okta's, in seconds; positive where ours is ahead.
pub fn skew_s(limits: Limits, now: Timestamp) -> Option<i64> {
    limits
        .date
        .map(|date| now.as_second().saturating_sub(date.as_second()))
}
