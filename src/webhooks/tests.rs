use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Deliveries, Options, Reach};
use crate::clock::{Clock, SystemClock};
use crate::ids::Actor;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::testing::{id, with_store};
use crate::webhooks::MessageRenderer;
use crate::webhooks::subscriptions;
use crate::webhooks::subscriptions::NewSubscription;

/// Whatever waits for this fails.
const LONG: Duration = Duration::from_secs(3600);

/// A receiver that takes everything and tells the numbers.
fn receiver() -> (String, Receiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            std::thread::spawn(move || take(stream, &told));
        }
    });
    (url, heard)
}

/// Answers each request of a connection.
fn take(stream: TcpStream, told: &Sender<u64>) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let mut output = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).ok()?;
        let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
        told.send(body["data"]["seq"].as_u64()?).ok()?;
        output.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}

fn change() -> Change {
    Change {
        resource_id: id("a"),
        resource_type: "User".into(),
        kind: ChangeKind::Deleted,
        at: SystemClock::default().now().as_microsecond(),
        actor: Actor::parse("test"),
        payload: r#"{"id":"a"}"#.into(),
    }
}

#[test]
fn a_commit_wakes_the_worker_also_while_it_is_at_work() {
    with_store(|store| async move {
        let (url, heard) = receiver();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let new = NewSubscription {
            tenant: "default".into(),
            name: "app".into(),
            url,
            kinds: Vec::new(),
            resource_types: Vec::new(),
            after: None,
        };
        subscriptions::create(&store, new, clock.as_ref())
            .await
            .unwrap();
        let options = Options {
            reach: Reach::Anywhere,
            timeout: Duration::from_secs(20),
            backoff: LONG,
            backoff_most: LONG,
            give_up: LONG,
            look_every: LONG,
        };
        let renderer = MessageRenderer::standard();
        let deliveries = Deliveries::start(Arc::clone(&store), clock, renderer, options).unwrap();
        let (told, mut arrived) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || heard.into_iter().try_for_each(|seq| told.send(seq)));
        let mut next = async || {
            let waited = tokio::time::timeout(Duration::from_secs(60), arrived.recv());
            waited.await.expect("nothing woke the worker").unwrap()
        };
        // Some find it asleep, and others come while it is at work.
        let mut told = Vec::new();
        for seq in 1..=30 {
            store.tx(|tx| Ok(tx.append(change()))).await.unwrap();
            while seq % 10 == 0 && told.last() != Some(&seq) {
                told.push(next().await);
            }
        }
        assert_eq!(told, (1..=30).collect::<Vec<u64>>());
        deliveries.stop().await;
    });
}
