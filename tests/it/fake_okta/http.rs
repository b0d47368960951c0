//! A minimal HTTP/1.1 server, so that a connection can be dropped at any point: one request, one
//! answer, closed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as received.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub raw_query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns `None` if the client closed the connection before the request was complete.
    pub async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                break at;
            }
            read_some(stream, &mut bytes).await?;
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.parse().expect("a content-length"));
        while bytes.len() < head_end + 4 + length {
            read_some(stream, &mut bytes).await?;
        }
        let (path, raw_query) = target.split_once('?').unwrap_or((&target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            raw_query: raw_query.to_owned(),
            headers,
            body: bytes[head_end + 4..].to_vec(),
        })
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// Returns the decoded query parameters.
    pub fn query(&self) -> BTreeMap<String, String> {
        form(self.raw_query.as_bytes())
    }

    /// Returns the segments of the path after `/api/v1/`; none for any other path.
    pub fn segments(&self) -> Vec<&str> {
        match self.path.strip_prefix("/api/v1/") {
            Some(rest) => rest.split('/').collect(),
            None => Vec::new(),
        }
    }

    /// Returns the JSON body, or `None` if it is empty or not JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Describes the request for the log of a test: `POST /api/v1/apps?activate=true {..}`.
    pub fn describe(&self) -> String {
        let query = match self.raw_query.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let body = String::from_utf8_lossy(self.body.get(..600).unwrap_or(&self.body));
        format!("{} {}{query} {body}", self.method, self.path)
    }
}

/// Decodes a query or a form.
pub fn form(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = std::str::from_utf8(&bytes[at + 1..at + 3]).expect("hex");
                out.push(u8::from_str_radix(hex, 16).expect("hex"));
                at += 2;
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).expect("UTF-8 in a query")
}

async fn read_some(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => None,
        Ok(size) => {
            bytes.extend_from_slice(&buffer[..size]);
            Some(())
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Null for no body.
    pub body: Value,
    /// A body that is not JSON.
    page: Option<&'static str>,
}

impl Reply {
    pub fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            page: None,
        }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub fn empty() -> Self {
        Self::new(204, Value::Null)
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn with_page(mut self, page: &'static str) -> Self {
        self.page = Some(page);
        self
    }

    /// Returns an error in Okta's format.
    pub fn error(status: u16, code: &str, summary: &str) -> Self {
        Self::error_because(status, code, summary, &[])
    }

    pub fn error_because(status: u16, code: &str, summary: &str, causes: &[&str]) -> Self {
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({ "errorSummary": cause }))
            .collect();
        Self::new(
            status,
            json!({
                "errorCode": code,
                "errorSummary": summary,
                "errorLink": code,
                "errorId": format!("oae{code}"),
                "errorCauses": causes,
            }),
        )
    }

    /// Returns an error in the format of the token endpoint.
    pub fn oauth_error(status: u16, code: &str, description: &str) -> Self {
        let body = json!({ "error": code, "error_description": description });
        Self::new(status, body)
    }

    pub fn invalid(cause: &str) -> Self {
        Self::error_because(400, "E0000001", "Api validation failed", &[cause])
    }

    pub fn not_found(what: &str) -> Self {
        Self::error(
            404,
            "E0000007",
            &format!("Not found: Resource not found: {what}"),
        )
    }

    pub fn forbidden() -> Self {
        let text = "You do not have permission to perform the requested action";
        Self::error(403, "E0000006", text)
    }

    pub async fn write(&self, stream: &mut TcpStream) {
        let body = match &self.body {
            Value::Null => self.page.unwrap_or_default().to_owned(),
            body => body.to_string(),
        };
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
            self.status,
            body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.ok();
        stream.write_all(body.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }
}
