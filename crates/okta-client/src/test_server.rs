//! An HTTP server for tests: it sends scripted responses and records the requests.
//!
//! It runs in the test's own runtime, on a port that the system chooses.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Client, ClientOptions, RetryPolicy};
use crate::credential::Credential;
use crate::failure::{Failure, FailureKind};
use crate::mode::Mode;
use crate::org::Org;

/// Tue, 24 Nov 2026 20:00:00 GMT.
pub(crate) const START_S: i64 = 1_795_550_400;

/// The outcome of a request.
#[derive(Clone)]
pub(crate) enum Reply {
    Send(Message),
    /// Sends all but the last byte of the body.
    Cut(Message),
    /// Closes the connection without a response.
    Close,
    /// Never responds. The test's clock jumps to the client's timeout.
    Stall,
}

#[derive(Clone)]
pub(crate) struct Message {
    status: u16,
    /// `{url}` in a value is the server's origin.
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Send(Message {
            status,
            headers: Vec::new(),
            body: body.into(),
        })
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string())
    }

    /// An empty list.
    pub(crate) fn ok() -> Self {
        Self::bytes(200, "[]")
    }

    /// A failure with one of Okta's error codes.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::json(status, &serde_json::json!({ "errorCode": code }))
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Send(message) = &mut self {
            message.headers.push((name, value.to_owned()));
        }
        self
    }

    pub(crate) fn cut(self) -> Self {
        match self {
            Self::Send(message) => Self::Cut(message),
            other => other,
        }
    }
}

/// A request that the server received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The names are in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the only header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "the header {name} is sent once");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a field of a form.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body)
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

pub(crate) struct TestServer {
    pub url: String,
    script: Arc<Script>,
}

struct Script {
    replies: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<Request>>,
}

impl TestServer {
    /// Starts a server that sends these responses, one for each request, and then 418.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script {
            replies: Mutex::new(replies.into_iter().collect()),
            requests: Mutex::default(),
        });
        let shared = Arc::clone(&script);
        let origin = url.clone();
        tokio::spawn(async move {
            // One connection after another, since a client sends one request after another.
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.serve(stream, &origin).await;
            }
        });
        Self { url, script }
    }

    /// Returns the requests, and checks that each scripted response was used.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let left = self.script.replies.lock().unwrap().len();
        assert_eq!(left, 0, "responses that were not asked for");
        self.script.requests.lock().unwrap().clone()
    }

    pub(crate) fn org(&self) -> Org {
        Org::parse(&self.url, Mode::Simulated).unwrap()
    }

    /// Returns a client with the API token `00token`, two retries and waits of up to ten seconds.
    pub(crate) fn client(&self) -> Client {
        self.client_with(api_token(), Clock::default())
    }

    pub(crate) fn client_with(&self, credential: Credential, clock: Clock) -> Client {
        Client::new(self.org(), credential, options(clock)).unwrap()
    }
}

impl Script {
    /// Serves one request. Errors mean that the client has gone, which its test judges.
    async fn serve(&self, mut stream: TcpStream, origin: &str) {
        let Some(request) = receive(&mut stream).await else {
            return;
        };
        self.requests.lock().unwrap().push(request);
        let reply = self.replies.lock().unwrap().pop_front();
        let (message, left_out) = match reply.unwrap_or_else(|| Reply::bytes(418, "")) {
            Reply::Send(message) => (message, 0),
            Reply::Cut(message) => (message, 1),
            Reply::Close => return,
            Reply::Stall => {
                tokio::time::pause();
                return std::future::pending().await;
            }
        };
        let mut head = format!("HTTP/1.1 {} Status\r\n", message.status);
        for (name, value) in &message.headers {
            head.push_str(&format!("{name}: {}\r\n", value.replace("{url}", origin)));
        }
        if message.status != 204 {
            head.push_str(&format!("content-length: {}\r\n", message.body.len()));
        }
        head.push_str("connection: close\r\n\r\n");
        let sent = &message.body[..message.body.len() - left_out];
        if stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(sent).await.is_ok() {
            stream.shutdown().await.ok();
        }
    }
}

/// Reads a request whose body has a `Content-Length` or none.
async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let method = words.next()?.to_owned();
    let target = words.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(START_S)))
    }
}

impl Clock {
    pub(crate) fn set(&self, now_s: i64) {
        self.0.store(now_s, Ordering::SeqCst);
    }
}

pub(crate) fn api_token() -> Credential {
    Credential::api_token("00token").unwrap()
}

/// Two retries, and waits of up to ten seconds, which take ten milliseconds.
pub(crate) fn options(clock: Clock) -> ClientOptions {
    ClientOptions {
        retry: RetryPolicy {
            retries: 2,
            max_wait: Duration::from_secs(10),
        },
        time: Arc::new(move || Timestamp::from_second(clock.0.load(Ordering::SeqCst)).unwrap()),
        ..ClientOptions::default()
    }
}

/// Returns the kind of the failure.
pub(crate) fn kind<T>(result: Result<T, Failure>) -> Result<T, FailureKind> {
    result.map_err(|failure| failure.kind)
}
