//! A webhook receiver that can be told to misbehave.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long to wait for what must come.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What came, as it came.
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

/// What the receiver does with a delivery.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// With one more header line.
    With(u16, String),
    /// Nothing, until the sender has enough.
    Silence,
    /// The end of the connection.
    Hangup,
}

type Heard = Arc<(Mutex<Vec<Delivery>>, Condvar)>;

pub struct Receiver {
    pub url: String,
    heard: Heard,
}

impl Receiver {
    /// `answer` is asked with how many deliveries came before.
    pub fn start(answer: impl Fn(usize, &Delivery) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let heard: Heard = Arc::default();
        let (shared, answer) = (Arc::clone(&heard), Arc::new(answer));
        // It ends with the process, as the connections do.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (heard, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || converse(stream, &heard, answer.as_ref()));
            }
        });
        Self { url, heard }
    }

    /// One that takes everything.
    pub fn patient() -> Self {
        Self::start(|_, _| Answer::Status(204))
    }

    pub fn heard(&self) -> Vec<Delivery> {
        self.heard.0.lock().unwrap().clone()
    }

    /// Waits until what was heard is enough.
    pub fn until(&self, enough: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let deadline = Instant::now() + TIMEOUT;
        let mut heard = self.heard.0.lock().unwrap();
        while !enough(&heard) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} deliveries and not enough: {:?}",
                heard.len(),
                heard.last()
            );
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
        heard.clone()
    }
}

fn converse(stream: TcpStream, heard: &Heard, answer: &dyn Fn(usize, &Delivery) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    while let Some(delivery) = read(&mut reader) {
        let before = {
            let mut list = heard.0.lock().unwrap();
            list.push(delivery.clone());
            heard.1.notify_all();
            list.len() - 1
        };
        let (status, header) = match answer(before, &delivery) {
            Answer::Status(status) => (status, String::new()),
            Answer::With(status, header) => (status, format!("{header}\r\n")),
            Answer::Silence => {
                // Until the other side closes.
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
