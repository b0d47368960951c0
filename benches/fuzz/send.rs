//! Making and sending requests.

use std::collections::VecDeque;

use serde_json::Value;

use crate::connection::{Connection, Request};
use crate::document::{Document, Operation};
use crate::mutate::{damage, mutate, text};
use crate::random::Random;

/// The ids that are remembered, so that requests reach resources that exist.
const KNOWN_IDS: usize = 100;
/// The most faults that are described.
const MAX_FAULTS: usize = 20;

/// The counts of a run, and what went wrong.
#[derive(Debug, Default)]
pub struct Faults {
    pub sent: usize,
    /// Answered with a success.
    pub accepted: usize,
    pub found: Vec<String>,
}

impl Faults {
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.found.extend(other.found);
        self.found.truncate(MAX_FAULTS);
    }
}

/// A source of requests, with a connection of its own.
pub struct Fuzzer<'d> {
    host: &'d str,
    document: &'d Document,
    tokens: &'d [String],
    random: Random,
    ids: VecDeque<String>,
}

impl<'d> Fuzzer<'d> {
    pub fn new(host: &'d str, document: &'d Document, tokens: &'d [String], seed: u64) -> Self {
        Self {
            host,
            document,
            tokens,
            random: Random::new(seed),
            ids: VecDeque::new(),
        }
    }

    /// Sends this many requests.
    ///
    /// # Errors
    /// The server cannot be reached any more.
    pub fn run(&mut self, count: usize) -> anyhow::Result<Faults> {
        let mut faults = Faults::default();
        let mut connection = None;
        for _ in 0..count {
            let Some(operation) = self.operation() else {
                continue;
            };
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(self.host, "")?,
            };
            let (request, described) = self.request(operation);
            faults.sent += 1;
            match open.exchange(&request) {
                Ok((status, _)) => {
                    faults.accepted += usize::from((200..300).contains(&status));
                    // 501 is for what is switched off, and 503 for what is too much at once.
                    if status >= 500 && ![501, 503].contains(&status) {
                        faults.found.push(format!("{status} for {described}"));
                    }
                    self.remember(&open);
                    let closes = open
                        .head()
                        .to_ascii_lowercase()
                        .contains("connection: close");
                    connection = Some(open).filter(|_| !closes);
                }
                Err(error) => {
                    // The server may close a connection only after an answer.
                    faults.found.push(format!("{error:#} for {described}"));
                }
            }
        }
        Ok(faults)
    }

    fn operation(&mut self) -> Option<&'d Operation> {
        let operations = &self.document.operations;
        operations.get(self.random.below(operations.len()))
    }

    /// Keeps the id of a resource that was created.
    fn remember(&mut self, connection: &Connection) {
        let mut lines = connection.head().lines();
        let location = lines.find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("location: ")
                .map(str::to_owned)
        });
        if let Some(id) = location
            .as_deref()
            .and_then(|location| location.rsplit('/').next())
        {
            self.ids.push_back(id.to_owned());
            if self.ids.len() > KNOWN_IDS {
                self.ids.pop_front();
            }
        }
    }

    fn request(&mut self, operation: &Operation) -> (Request, String) {
        let mut method = operation.method.clone();
        if self.random.below(30) == 0 {
            let methods = [
                "GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "X",
            ];
            method = methods
                .get(self.random.below(methods.len()))
                .map_or(method, |&other| other.to_owned());
        }
        let path = self.path(operation);
        let body = if method == "HEAD" {
            Vec::new()
        } else {
            self.body(operation)
        };
        let token = self.tokens.get(self.random.below(self.tokens.len()));
        let content_type = match self.random.below(20) {
            0 => "text/plain",
            1 => "application/json; charset=utf-16",
            2 => "application/xml",
            _ => "application/scim+json",
        };
        let described = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        let described = described.chars().take(2_000).collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            token.map_or("", String::as_str),
            body.len()
        );
        let bytes = [head.into_bytes(), body].concat();
        (Request::of_bytes(bytes, method == "HEAD"), described)
    }

    /// Fills the parameters of a path, and adds query parameters.
    fn path(&mut self, operation: &Operation) -> String {
        let mut path = String::new();
        for segment in operation.path.split('/').skip(1) {
            path.push('/');
            match segment.starts_with('{') {
                true => path.push_str(&encoded(&self.id())),
                false => path.push_str(segment),
            }
        }
        let mut separator = '?';
        for name in &operation.parameters {
            if self.random.below(4) == 0 {
                let value = match name.as_str() {
                    "wait" => "0".to_owned(),
                    _ => text(&mut self.random),
                };
                path.push_str(&format!("{separator}{name}={}", encoded(&value)));
                separator = '&';
            }
        }
        if self.random.below(40) == 0 {
            let value = text(&mut self.random);
            path.push_str(&format!(
                "{separator}{}={}",
                encoded(&value),
                encoded(&value)
            ));
        }
        path
    }

    fn id(&mut self) -> String {
        let index = self.random.below(self.ids.len());
        match self.ids.get(index) {
            Some(id) if self.random.below(5) > 0 => id.clone(),
            _ => text(&mut self.random),
        }
    }

    fn body(&mut self, operation: &Operation) -> Vec<u8> {
        let Some(example) = &operation.example else {
            return Vec::new();
        };
        let mut value = example.clone();
        // A new name, or else all but the first create would be conflicts.
        if let Some(name) = value.get_mut("userName") {
            *name = Value::String(format!("u{}@example.com", self.random.below(1_000_000_000)));
        }
        mutate(&mut self.random, &mut value);
        let mut body = value.to_string().into_bytes();
        if self.random.below(15) == 0 {
            damage(&mut self.random, &mut body);
        }
        body
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .map(|part| part.replace('+', "%20"))
        .collect()
}
