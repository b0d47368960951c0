//! A cheap client: one blocking connection, and requests prepared in advance.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A connection to one server, with its token.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    token: String,
    head: String,
    body: Vec<u8>,
}

/// A request as sent.
pub struct Request {
    bytes: Vec<u8>,
    /// The response to a HEAD has no body, whatever length it states.
    is_head: bool,
}

impl Request {
    pub fn of_bytes(bytes: Vec<u8>, is_head: bool) -> Self {
        Self { bytes, is_head }
    }
}

impl Connection {
    pub fn open(host: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).context("cannot connect to the server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream: BufReader::new(stream),
            host: host.to_owned(),
            token: token.to_owned(),
            head: String::new(),
            body: Vec::new(),
        })
    }

    /// Prepares a request; `path` is relative to `/scim/v2`.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        self.request_at(method, &format!("/scim/v2{path}"), body)
    }

    /// Prepares a request; `path` is the full path.
    pub fn request_at(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let (host, token) = (&self.host, &self.token);
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Accept: application/scim+json\r\nContent-Type: application/scim+json\r\nContent-Length: {length}\r\n\r\n"
        );
        Request::of_bytes((head + &body).into_bytes(), method == "HEAD")
    }

    /// Sends the request and reads the whole response, which must be a success; returns the
    /// duration.
    pub fn send(&mut self, request: &Request) -> anyhow::Result<Duration> {
        let (status, elapsed) = self.exchange(request)?;
        ensure!(
            (200..300).contains(&status),
            "{status} for {}\n{}",
            String::from_utf8_lossy(&request.bytes),
            String::from_utf8_lossy(&self.body)
        );
        Ok(elapsed)
    }

    /// Sends the request and reads the whole response; returns its status and the duration.
    pub fn exchange(&mut self, request: &Request) -> anyhow::Result<(u16, Duration)> {
        let started = Instant::now();
        self.stream.get_mut().write_all(&request.bytes)?;
        let status = self.read_answer(request.is_head)?;
        Ok((status, started.elapsed()))
    }

    /// The status line and the headers of the last response.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The body of the last response, as received.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body of the last response.
    pub fn body(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    fn read_answer(&mut self, is_head: bool) -> anyhow::Result<u16> {
        self.head.clear();
        while !self.head.ends_with("\r\n\r\n") {
            let read = self.stream.read_line(&mut self.head)?;
            ensure!(read > 0, "the server closed the connection");
        }
        let mut lines = self.head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let header = |wanted: &str| {
            let found = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        self.body.clear();
        if is_head {
            return status.context("no status line");
        }
        if header("transfer-encoding") == Some("chunked") {
            read_chunks(&mut self.stream, &mut self.body)?;
        } else {
            let length = header("content-length").map_or(Ok(0), str::parse)?;
            self.body.resize(length, 0);
            self.stream.read_exact(&mut self.body)?;
        }
        status.context("no status line")
    }
}

/// Reads a chunked body.
fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> anyhow::Result<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16)?;
        let start = body.len();
        body.resize(start + length + 2, 0);
        stream.read_exact(body.get_mut(start..).unwrap_or_default())?;
        body.truncate(start + length);
        if length == 0 {
            return Ok(());
        }
    }
}
