//! A cheap client: many connections on one thread, which do not validate responses.

use std::io::ErrorKind;

use anyhow::{Context as _, bail};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    host: String,
    token: String,
    /// The part of the response that was read.
    read: Vec<u8>,
    body_at: usize,
}

/// The result of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    pub status: u16,
    /// Whole seconds of `Retry-After`.
    pub retry_after: Option<u32>,
    /// The body is a SCIM error with this status.
    pub is_error: bool,
    pub closes: bool,
    length: usize,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn is_refusal(&self) -> bool {
        matches!(self.status, 429 | 503) && self.retry_after.is_some() && self.is_error
    }

    fn of_head(head: &str) -> anyhow::Result<Self> {
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let mut outcome = Self {
            status: status.context("no status")?.parse()?,
            ..Self::default()
        };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name {
                "content-length" => outcome.length = value.parse()?,
                "retry-after" => outcome.retry_after = value.parse().ok(),
                "connection" => outcome.closes = value == "close",
                _ => {}
            }
        }
        Ok(outcome)
    }
}

impl Connection {
    pub async fn open(host: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await;
        let stream = stream.context("cannot connect to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: host.to_owned(),
            token: token.to_owned(),
            read: Vec::new(),
            body_at: 0,
        })
    }

    /// Opens a connection to replace a closed one.
    pub async fn reconnect(&self) -> anyhow::Result<Self> {
        Self::open(&self.host, &self.token).await
    }

    pub fn get(&self, path: &str) -> Vec<u8> {
        self.request("GET", path, "")
    }

    pub fn create(&self, name: &str) -> Vec<u8> {
        let body = format!(
            r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"{name}","name":{{"givenName":"Ada","familyName":"King"}},"emails":[{{"primary":true,"value":"{name}","type":"work"}}],"displayName":"Ada King","active":true}}"#
        );
        self.request("POST", "/Users", &body)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let (host, token) = (&self.host, &self.token);
        let length = match body.len() {
            0 => String::new(),
            length => {
                format!("Content-Type: application/scim+json\r\nContent-Length: {length}\r\n")
            }
        };
        format!(
            "{method} /scim/v2{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{length}\r\n{body}"
        )
        .into_bytes()
    }

    /// Sends a request and reads the whole response.
    pub async fn exchange(&mut self, mut request: &[u8]) -> anyhow::Result<Outcome> {
        while !request.is_empty() {
            match self.stream.try_write(request) {
                Ok(written) => request = request.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.read.clear();
        let mut outcome = None;
        loop {
            if outcome.is_none()
                && let Some(end) = self.read.windows(4).position(|part| part == b"\r\n\r\n")
            {
                self.body_at = end.saturating_add(4);
                let head = self.read.get(..end).unwrap_or_default();
                outcome = Some(Outcome::of_head(std::str::from_utf8(head)?)?);
            }
            if let Some(mut outcome) = outcome
                && self.body().len() >= outcome.length
            {
                if !outcome.is_good() {
                    let text = String::from_utf8_lossy(self.body());
                    outcome.is_error = text.contains("urn:ietf:params:scim:api:messages:2.0:Error")
                        && text.contains(&format!(r#""status":"{}""#, outcome.status));
                }
                return Ok(outcome);
            }
            self.stream.readable().await?;
            let mut piece = [0; 4096];
            match self.stream.try_read(&mut piece) {
                Ok(0) => bail!("closed"),
                Ok(size) => self
                    .read
                    .extend_from_slice(piece.get(..size).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The body of the last response.
    pub fn body(&self) -> &[u8] {
        self.read.get(self.body_at..).unwrap_or_default()
    }
}
