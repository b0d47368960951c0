//! One request and one answer, over HTTPS.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use serde_json::Value;

use crate::limits::Limits;
use crate::{Failure, FailureKind, Mode, Org};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
/// Okta's largest pages are some hundred kilobytes.
const MAX_ANSWER_BYTES: usize = 16 << 20;
const MAX_ID_LENGTH: usize = 100;

/// What goes along with a request.
#[derive(Debug, Clone)]
pub enum RequestBody {
    None,
    Json(Value),
    File {
        name: String,
        media_type: &'static str,
        bytes: Vec<u8>,
    },
}

/// What sends requests.
pub struct Transport {
    http: reqwest::Client,
}

/// What arrived, success or not.
pub struct RawResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub is_json: bool,
}

/// Why nothing arrived.
pub struct TransportError {
    /// The request never reached Okta.
    pub before_sending: bool,
    pub message: String,
}

impl Transport {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(mode: Mode) -> Result<Self, Failure> {
        let mut http = reqwest::Client::builder();
        if mode == Mode::Rehearsal {
            // The stand-in is on this machine.
            http = http.no_proxy();
        }
        let http = http
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .https_only(mode == Mode::Real)
            .build()
            .map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("HTTPS cannot be set up: {error}"),
                )
            })?;
        Ok(Self { http })
    }

    /// Sends a request as it is.
    pub async fn once(
        &self,
        method: &Method,
        url: &str,
        headers: HeaderMap,
        body: &RequestBody,
    ) -> Result<RawResponse, TransportError> {
        let request = self
            .http
            .request(method.clone(), url)
            .header("accept", "application/json")
            .headers(headers);
        let request = match body {
            RequestBody::None => request,
            RequestBody::Json(value) => request
                .header("content-type", "application/json")
                .body(value.to_string()),
            RequestBody::File {
                name,
                media_type,
                bytes,
            } => {
                let part = reqwest::multipart::Part::bytes(bytes.clone())
                    .file_name(name.clone())
                    .mime_str(media_type)
                    .map_err(TransportError::new)?;
                request.multipart(reqwest::multipart::Form::new().part("file", part))
            }
        };
        self.receive(request).await
    }

    async fn receive(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<RawResponse, TransportError> {
        let mut response = request.send().await.map_err(TransportError::new)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(TransportError::after_sending)?
        {
            if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(TransportError {
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
        Ok(RawResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            is_json: body.is_some(),
            body: body.unwrap_or(Value::Null),
        })
    }

    /// Sends a form.
    pub async fn post_form(
        &self,
        url: &str,
        headers: HeaderMap,
        form: String,
    ) -> Result<RawResponse, TransportError> {
        let request = self
            .http
            .post(url)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .headers(headers)
            .body(form);
        self.receive(request).await
    }
}

impl TransportError {
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

    pub fn failure(&self, org: &Org, is_safe: bool) -> Failure {
        if is_safe || self.before_sending {
            Failure::new(
                FailureKind::Unreachable,
                format!(
                    "{org} does not answer ({}). Check the address, the network and any proxy or firewall in between.",
                    self.message
                ),
            )
        } else {
            Failure::new(
                FailureKind::Uncertain,
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

pub fn limits(headers: &HeaderMap) -> Limits {
    Limits::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

/// A header whose value is an id: bounded, and without anything that a log could not hold.
pub fn id_in(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let fits = !text.is_empty()
        && text.len() <= MAX_ID_LENGTH
        && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

pub fn one_header(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, name, value);
    headers
}

/// Credentials are marked, so that no debug text shows them.
pub fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
}
