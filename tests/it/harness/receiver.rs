//! A webhook receiver that can misbehave on demand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long to wait for expected deliveries.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A delivery as received.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub at_s: i64,
    pub signatures: String,
    pub text: String,
    pub body: Value,
}

impl Delivery {
    pub fn seq(&self) -> i64 {
        self.body["data"]["seq"].as_i64().unwrap_or_default()
    }
}

/// How the receiver answers a delivery.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// With one more header line.
    With(u16, String),
    /// Does not answer until the sender gives up.
    Silence,
    /// Closes the connection.
    Hangup,
}

type Received = Arc<(Mutex<Vec<Delivery>>, Condvar)>;

pub struct Receiver {
    pub url: String,
    received: Received,
}

impl Receiver {
    /// Calls `answer` with the number of earlier deliveries.
    pub fn start(answer: impl Fn(usize, &Delivery) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let received: Received = Arc::default();
        let (shared, answer) = (Arc::clone(&received), Arc::new(answer));
        // The thread ends with the process, as the connections do.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (received, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &received, answer.as_ref()));
            }
        });
        Self { url, received }
    }

    /// Starts a receiver that accepts everything.
    pub fn accepting() -> Self {
        Self::start(|_, _| Answer::Status(204))
    }

    pub fn received(&self) -> Vec<Delivery> {
        self.received.0.lock().unwrap().clone()
    }

    /// Waits until the received deliveries satisfy the condition.
    pub fn until(&self, enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let deadline = Instant::now() + TIMEOUT;
        let mut received = self.received.0.lock().unwrap();
        while !enough(&received) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} deliveries and not enough: {:?}",
                received.len(),
                received.last()
            );
            received = self.received.1.wait_timeout(received, left).unwrap().0;
        }
        received.clone()
    }
}

fn serve(stream: TcpStream, received: &Received, answer: &dyn Fn(usize, &Delivery) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    while let Some(delivery) = read(&mut reader) {
        let before = {
            let mut list = received.0.lock().unwrap();
            list.push(delivery.clone());
            received.1.notify_all();
            list.len() - 1
        };
        let (status, header) = match answer(before, &delivery) {
            Answer::Status(status) => (status, String::new()),
            Answer::With(status, header) => (status, format!("{header}\r\n")),
            Answer::Silence => {
                // Until the sender closes the connection.
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).ok();
                return;
            }
            Answer::Hangup => return,
        };
        let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: 0\r\n\r\n");
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Delivery> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let header = |name: &str| {
        head.iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).expect("UTF-8");
    Some(Delivery {
        id: header("webhook-id"),
        at_s: header("webhook-timestamp").parse().expect("seconds"),
        signatures: header("webhook-signature"),
        body: serde_json::from_str(&text).expect("JSON"),
        text,
    })
}
