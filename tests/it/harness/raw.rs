//! HTTP by hand, for requests that a client library cannot send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Client;

/// One connection; every read has a deadline.
pub struct Raw {
    stream: TcpStream,
}

/// Status line, headers and body as received.
pub struct RawReply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Returns the status of a response whose head begins with its status line.
pub fn status_of(head: &str) -> u16 {
    let status = head.split(' ').nth(1).and_then(|word| word.get(..3));
    status.and_then(|word| word.parse().ok()).expect("a status")
}

impl Raw {
    pub fn connect(client: &Client) -> Self {
        Self::try_connect(client.host()).expect("connects")
    }

    pub fn try_connect(host: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream })
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("writes");
    }

    /// Writes bytes that the server may refuse to read.
    pub fn write_or_closed(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    /// Returns false if the connection is closed.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Returns the same connection for another thread.
    pub fn another(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("a second handle"),
        }
    }

    /// Reads until the server closes the connection, cleanly or not.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the server does not close")
            }
            _ => bytes,
        }
    }

    /// Reads one head: status line and headers up to the empty line.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0_u8];
        while !head.ends_with(b"\r\n\r\n") {
            let read = self.stream.read(&mut byte).expect("reads the head");
            assert_eq!(
                read,
                1,
                "the connection closed after {:?}",
                String::from_utf8_lossy(&head)
            );
            head.extend_from_slice(&byte);
        }
        String::from_utf8(head).expect("a UTF-8 head")
    }

    /// Reads one response whose length is given by `Content-Length`.
    pub fn read_reply(&mut self) -> RawReply {
        let head = self.read_head();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("reads the body");
        RawReply {
            status: status.expect("a status"),
            head,
            body: String::from_utf8(body).expect("a UTF-8 body"),
        }
    }
}
