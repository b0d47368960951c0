//! One request and its response, over HTTPS.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, redirect};
use serde_json::Value;

use crate::failure::{Failure, FailureKind};
use crate::mode::Mode;
use crate::rate_limits::RateLimits;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
/// Okta's largest pages have some hundred kilobytes.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
const MAX_ID_LENGTH: usize = 100;

/// The body of a request.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// No body.
    None,
    /// A JSON document.
    Json(Value),
    /// A file, sent as the field `file` of a multipart form.
    File {
        /// The file's name.
        name: String,
        /// Its media type, such as `image/png`.
        media_type: &'static str,
        /// Its content.
        bytes: Vec<u8>,
    },
}

/// Sends single requests: no redirects, no retries, bounded in time and size.
pub(crate) struct Transport {
    http: reqwest::Client,
}

/// A response of any status.
pub(crate) struct RawResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// `Null` if there was no body, or if it is not JSON.
    pub body: Value,
    /// Whether the body is empty or JSON.
    pub is_json: bool,
}

/// The reason why there is no response.
pub(crate) struct TransportError {
    /// Whether the request never reached Okta.
    pub before_sending: bool,
    pub message: String,
}

impl Transport {
    pub(crate) fn new(mode: Mode, user_agent: &str) -> Result<Self, Failure> {
        let mut http = reqwest::Client::builder();
        if mode == Mode::Simulated {
            // The simulator is on this machine.
            http = http.no_proxy();
        }
        let http = http
            .user_agent(user_agent)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .https_only(mode == Mode::Live)
            .build()
            .map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("Cannot set up HTTPS: {error}"),
                )
            })?;
        Ok(Self { http })
    }

    /// Sends a request once.
    pub(crate) async fn send(
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
            if bytes.len().saturating_add(chunk.len()) > MAX_RESPONSE_BYTES {
                return Err(TransportError {
                    before_sending: false,
                    message: format!("the response has more than {MAX_RESPONSE_BYTES} bytes"),
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

    /// Posts a form.
    pub(crate) async fn post_form(
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
            message: describe(&error),
        }
    }

    fn after_sending(error: reqwest::Error) -> Self {
        Self {
            before_sending: false,
            message: describe(&error),
        }
    }

    /// Returns the failure for a request to `org`. `is_repeatable` tells that executing it twice is
    /// harmless.
    pub(crate) fn failure(&self, org: &str, is_repeatable: bool) -> Failure {
        if is_repeatable || self.before_sending {
            Failure::new(
                FailureKind::Unavailable,
                format!(
                    "{org} does not respond ({}). Check the address, the network and any proxy or firewall in between.",
                    self.message
                ),
            )
        } else {
            Failure::new(
                FailureKind::OutcomeUnknown,
                format!(
                    "{org} did not respond to a write ({}), which it may have executed nevertheless.",
                    self.message
                ),
            )
        }
    }
}

/// Joins the causes. They leave out the URL, whose query may name a person.
fn describe(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
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

/// Reads the rate limit headers.
pub(crate) fn rate_limits(headers: &HeaderMap) -> RateLimits {
    RateLimits::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}

/// Returns a header whose value is an id, if it is short and safe to log.
pub(crate) fn id_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let fits = !text.is_empty()
        && text.len() <= MAX_ID_LENGTH
        && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// Returns a map with one header. See [`insert`].
pub(crate) fn single_header(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, name, value);
    headers
}

/// Inserts a header, marked as sensitive so that no debug output shows it.
pub(crate) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Reply, TestServer};

    async fn get(server: &TestServer, mode: Mode) -> Result<RawResponse, TransportError> {
        let transport = Transport::new(mode, "test").unwrap();
        let headers = HeaderMap::new();
        transport
            .send(&Method::GET, &server.url, headers, &RequestBody::None)
            .await
    }

    #[tokio::test]
    async fn a_live_org_is_not_called_without_tls() {
        let server = TestServer::start([]).await;
        let error = get(&server, Mode::Live).await.err().unwrap();
        assert!(error.before_sending);
        assert_eq!(server.requests(), []);
    }

    #[tokio::test]
    async fn a_response_may_have_16_mib() {
        let text_of = |length: usize| format!("\"{}\"", "a".repeat(length - 2));
        let server = TestServer::start([Reply::bytes(200, text_of(16 << 20))]).await;
        let response = get(&server, Mode::Simulated).await.ok().unwrap();
        assert!(response.is_json);
        assert_eq!(
            response.body.as_str().map(str::len),
            Some(16 * 1024 * 1024 - 2)
        );

        let server = TestServer::start([Reply::bytes(200, text_of((16 << 20) + 1))]).await;
        let error = get(&server, Mode::Simulated).await.err().unwrap();
        assert!(!error.before_sending);
        assert_eq!(error.message, "the response has more than 16777216 bytes");
    }

    #[tokio::test]
    async fn an_error_has_its_causes_without_the_url() {
        for (reply, cause) in [
            (Reply::Close, "connection closed"),
            (
                Reply::ok().cut(),
                "end of file before message length reached",
            ),
        ] {
            let server = TestServer::start([reply]).await;
            let error = get(&server, Mode::Simulated).await.err().unwrap();
            assert!(!error.before_sending);
            assert!(error.message.contains(cause), "{}", error.message);
            assert!(!error.message.contains("http://"), "{}", error.message);
        }
    }

    #[test]
    fn a_lost_write_may_have_been_executed() {
        for (before_sending, is_repeatable, kind) in [
            (true, true, FailureKind::Unavailable),
            (true, false, FailureKind::Unavailable),
            (false, true, FailureKind::Unavailable),
            (false, false, FailureKind::OutcomeUnknown),
        ] {
            let error = TransportError {
                before_sending,
                message: "reset".to_owned(),
            };
            let failure = error.failure("https://acme.okta.com", is_repeatable);
            assert_eq!(failure.kind, kind);
            assert!(failure.message.contains("(reset)"), "{failure}");
        }
    }

    #[test]
    fn ids_are_short_and_printable() {
        let longest = "a".repeat(100);
        let too_long = "a".repeat(101);
        for (text, expected) in [
            ("reqZ-1", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("a b", false),
            ("a\tb", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-okta-request-id", HeaderValue::from_str(text).unwrap());
            let id = id_header(&headers, "x-okta-request-id");
            assert_eq!(id.as_deref(), expected.then_some(text));
            assert_eq!(id_header(&headers, "dpop-nonce"), None);
        }
    }

    #[test]
    fn a_header_with_a_credential_is_not_printed() {
        let headers = single_header("authorization", "SSWS 00secret");
        assert_eq!(headers["authorization"], "SSWS 00secret");
        assert!(!format!("{headers:?}").contains("00secret"));
        assert!(single_header("authorization", "a\nb").is_empty());
    }
}
