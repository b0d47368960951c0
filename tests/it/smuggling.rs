//! Raw requests over a socket, as attackers frame them: sent to the server directly, and through
//! haproxy and nginx. No byte of a body may be run as a request, and behind a proxy no client may
//! get the response to a request of another one.
//!
//! Each request has an id of its own, so the log of the server says which requests it ran.

mod shapes;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use self::shapes::{Outcome, SHAPES, Shape};
use crate::harness::proxy::{Program, Proxy};
use crate::harness::raw::status_of;
use crate::harness::{Database, Server, both_alone};

/// How long a connection may be silent before a test fails.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A small limit, so that a body can be too large.
const FLAGS: [&str; 6] = [
    "--body-limit-bytes",
    "4096",
    "--bulk-max-payload-bytes",
    "4096",
    "--body-memory-bytes",
    "65536",
];

trait Connection: Read + Write {
    fn half_close(&self);
}

impl Connection for TcpStream {
    fn half_close(&self) {
        self.shutdown(Shutdown::Write).ok();
    }
}

impl Connection for UnixStream {
    fn half_close(&self) {
        self.shutdown(Shutdown::Write).ok();
    }
}

/// A final response.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// The id of its request.
    id: String,
}

/// One connection, and what it received.
struct Exchange<C> {
    connection: C,
    received: Vec<u8>,
    is_head: bool,
}

impl<C: Connection> Exchange<C> {
    fn begin(connection: C, request: &str) -> Self {
        let mut exchange = Self {
            connection,
            received: Vec::new(),
            is_head: request.starts_with("HEAD"),
        };
        exchange.write(request);
        exchange
    }

    /// Writes bytes that the other side may refuse to read.
    fn write(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).ok();
    }

    fn answers(&self) -> Vec<Answer> {
        answers(&self.received, self.is_head)
    }

    /// Reads until this number of responses is complete, or the connection ends.
    fn read(&mut self, count: usize) {
        let mut buffer = [0; 16 * 1024];
        while self.answers().len() < count {
            match self.connection.read(&mut buffer) {
                Ok(0) => return,
                Ok(size) => self.received.extend_from_slice(&buffer[..size]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!(
                    "silence after {:?}",
                    String::from_utf8_lossy(&self.received)
                ),
                Err(_) => return,
            }
        }
    }

    fn read_to_end(&mut self) {
        self.read(usize::MAX);
    }
}

/// Parses the complete final responses.
fn answers(bytes: &[u8], is_head: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = bytes;
    // nginx answers HTTP/0.9 without a head.
    while let Some(end) = find(rest, b"\r\n\r\n").filter(|_| rest.starts_with(b"HTTP/1.")) {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_owned())
        };
        let status = status_of(&head);
        rest = &rest[end + 4..];
        if status < 200 {
            continue;
        }
        let has_body = !(matches!(status, 204 | 304) || is_head && answers.is_empty());
        if has_body {
            let length = match header("content-length") {
                Some(length) => length.parse().expect("a length"),
                None if header("transfer-encoding").is_some() => match find(rest, b"\r\n0\r\n\r\n")
                {
                    Some(end) => end + 7,
                    None => break,
                },
                None => rest.len(),
            };
            let Some(after) = rest.get(length..) else {
                break;
            };
            rest = after;
        }
        let id = header("x-request-id").unwrap_or_default();
        answers.push(Answer { status, id });
    }
    answers
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A request that is answered only if the connection is still in use.
fn probe(id: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}-p\r\nConnection: close\r\n\r\n")
}

fn host(server: &Server) -> &str {
    server.address.trim_start_matches("http://")
}

/// Sends a shape to the server itself. Returns the answers to its requests, or what is not as the
/// table has it.
fn send(server: &Server, shape: &Shape, id: &str) -> Result<Vec<Answer>, String> {
    let stream = TcpStream::connect(host(server)).expect("connects");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a deadline");
    let mut exchange = Exchange::begin(stream, &shape.request(id, &server.bootstrap));
    match shape.outcome {
        Outcome::Open(statuses) => {
            exchange.read(statuses.len());
            exchange.write(&probe(id));
        }
        Outcome::Closed(statuses) | Outcome::Either(statuses) => {
            exchange.read(statuses.len());
            exchange.write(&probe(id));
            exchange.connection.half_close();
        }
        Outcome::Rejected | Outcome::Garbage(_) => {
            exchange.read(1);
            exchange.write(&probe(id));
            exchange.connection.half_close();
        }
        Outcome::Incomplete => exchange.connection.half_close(),
    }
    exchange.read_to_end();
    let (probed, answers): (Vec<_>, Vec<_>) = exchange
        .answers()
        .into_iter()
        .partition(|answer| answer.id.ends_with("-p"));
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    let is_open = probed.len() == 1;
    let is_expected = match shape.outcome {
        Outcome::Open(expected) => statuses == expected && is_open,
        Outcome::Closed(expected) => statuses == expected && !is_open,
        Outcome::Either(expected) => statuses == expected,
        Outcome::Rejected => [&[][..], &[400]].contains(&&*statuses) && !is_open,
        Outcome::Garbage(expected) => {
            let status = statuses.first();
            let is_known = status.is_none_or(|status| *status == expected);
            is_known && matches!(statuses.get(1..), None | Some([] | [400])) && !is_open
        }
        Outcome::Incomplete => statuses.iter().all(|status| *status >= 400) && !is_open,
    };
    if is_expected {
        Ok(answers)
    } else {
        let (name, outcome) = (shape.name, shape.outcome);
        let text = String::from_utf8_lossy(&exchange.received);
        Err(format!(
            "{name}: {outcome:?}: {statuses:?}, open: {is_open}: {text}"
        ))
    }
}

/// Sends a shape through a proxy, and then a request of another client. Returns the answers to its
/// requests, and what is wrong with the answer to the other client.
fn send_through(
    proxy: &Proxy,
    server: &Server,
    shape: &Shape,
    id: &str,
) -> (Vec<Answer>, Option<String>) {
    let connect = || {
        let stream = proxy.connect();
        stream.set_read_timeout(Some(TIMEOUT)).expect("a deadline");
        stream
    };
    let mut exchange = Exchange::begin(connect(), &shape.request(id, &server.bootstrap));
    if matches!(shape.outcome, Outcome::Incomplete) {
        exchange.connection.half_close();
    } else {
        exchange.read(1);
        exchange.write(&probe(id));
    }
    exchange.read_to_end();
    let other = format!(
        "GET /scim/v2/Users?count=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         X-Request-Id: {id}-v\r\nConnection: close\r\n\r\n",
        server.bootstrap
    );
    let mut other = Exchange::begin(connect(), &other);
    other.read_to_end();
    let expected = Answer {
        status: 200,
        id: format!("{id}-v"),
    };
    let answers = other.answers();
    let fault = format!(
        "behind {} ({id}), another client got {answers:?}",
        shape.name
    );
    let fault = (answers != [expected]).then_some(fault);
    (exchange.answers(), fault)
}

/// How often the server ran the request of each id. A request that has no id of the test has no
/// token either, so it must have failed.
fn run(log: &str, faults: &mut Vec<String>) -> BTreeMap<String, usize> {
    let mut run = BTreeMap::new();
    for text in log.lines() {
        let line: Value = serde_json::from_str(text).expect("a line of JSON");
        if line["message"] != "answered" {
            continue;
        }
        let id = line["span"]["request.id"].as_str().expect("an id");
        if id.starts_with(['d', 'h', 'n']) && id.len() < 8 && id != "none" {
            *run.entry(id.to_owned()).or_default() += 1;
        } else if id != "none" && line["http.status"].as_u64() < Some(400) {
            faults.push(format!("ran without an id: {text}"));
        }
    }
    run
}

both_alone!(
    no_shape_smuggles_a_request,
    |database: Database| async move {
        assert!(SHAPES.len() >= 60, "{} shapes", SHAPES.len());
        let mut server = Server::start_with(&database, &FLAGS, &[]);
        let mut sent = BTreeMap::new();
        let mut faults = Vec::new();
        for (number, shape) in SHAPES.iter().enumerate() {
            let id = format!("d{number}");
            let answers = send(&server, shape, &id);
            let answers = answers.unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            sent.insert(id, (shape, answers));
        }
        for (letter, program) in [("h", Program::Haproxy), ("n", Program::Nginx)] {
            let Some(proxy) = Proxy::start(program, host(&server)) else {
                continue;
            };
            for (number, shape) in SHAPES.iter().enumerate() {
                let id = format!("{letter}{number}");
                let (answers, fault) = send_through(&proxy, &server, shape, &id);
                faults.extend(fault);
                sent.insert(id, (shape, answers));
            }
        }
        // It ends when every request has ended.
        server.terminate();
        assert!(server.wait().success());
        let log = server.log();
        assert!(!log.contains("panicked"), "{}", server.log_tail());
        for (id, count) in run(&log, &mut faults) {
            let (of, request) = id.split_once('-').expect("an id of the test");
            let (shape, answers) = &sent[of];
            let is_direct = of.starts_with('d');
            let answered = answers.iter().filter(|answer| answer.id == id).count();
            let is_allowed = match request {
                "v" | "p" => true,
                // A proxy saw the first request of its client, whatever it answered.
                "a" => count == 1 && (answered == 1 || !is_direct || shape.may_be_silent()),
                // Any other request only ran if its client knows of it.
                "b" => count == answered,
                _ => count == answered && !is_direct,
            };
            if !is_allowed {
                let name = shape.name;
                faults.push(format!("{name}: {id} ran {count} times: {answers:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
        let smuggled = "SELECT count(*) AS n FROM resources WHERE user_name LIKE 'smuggled-d%'";
        assert_eq!(database.count(smuggled), 0);
    }
);
