//! A mixed load with a journal of acknowledged requests and of requests without an answer, so that
//! a test can check the service's state after a failure.

mod record;
mod writer;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Client, TIMEOUT, id};

use writer::Writer;

pub use record::Record;

const WRITERS: usize = 8;
/// How long a writer waits before a retry.
const PAUSE: Duration = Duration::from_millis(20);

/// A random number generator with a different seed in each run.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// Returns the next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// The attributes of a person that a write changes. Name and title are each in several attributes,
/// so that a partial write is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    name: String,
    title: String,
    joined: bool,
}

/// A person as its writer knows it; `None` means absent.
#[derive(Debug, Clone)]
struct Entry {
    id: Option<String>,
    sure: Option<Person>,
    /// The alternative state, if the last request was not answered.
    doubt: Option<Option<Person>>,
    /// The number of acknowledged writes that changed its attributes.
    updates: usize,
}

/// The answers that one writer received.
#[derive(Default)]
struct Journal {
    entries: Vec<Entry>,
    /// Pairs added to the group in one request that was not answered.
    pairs: Vec<[usize; 2]>,
}

#[derive(Default)]
struct Progress {
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    progressed: Notify,
}

/// A change in the feed: number, kind, resource.
pub type FeedEntry = (i64, String, String);

/// A running load.
pub struct Load {
    group: String,
    first: i64,
    progress: Arc<Progress>,
    writers: Vec<JoinHandle<Journal>>,
    follower: JoinHandle<Vec<FeedEntry>>,
}

impl Load {
    /// Starts writers spread over the clients, and one follower of the feed. `label` must be
    /// unique.
    pub async fn start(clients: &[Client], label: &str) -> Self {
        let client = &clients[0];
        let group = id(&client.create_group(label, &[]).await).to_owned();
        let first = last_number(client).await;
        let progress = Arc::new(Progress::default());
        let writers = (0..WRITERS)
            .map(|number| {
                let writer = Writer {
                    client: clients[number % clients.len()].clone(),
                    label: format!("{}-{number}", label.to_lowercase()),
                    group: group.clone(),
                    progress: Arc::clone(&progress),
                    dice: Dice::new(),
                    journal: Journal::default(),
                    named: 0,
                };
                tokio::spawn(writer.write())
            })
            .collect();
        let reader = clients[clients.len() - 1].clone();
        let follower = tokio::spawn(follow(reader, first, Arc::clone(&progress)));
        Self {
            group,
            first,
            progress,
            writers,
            follower,
        }
    }

    /// Waits for this many more acknowledgements.
    pub async fn acknowledges(&self, more: usize) {
        let enough = self.progress.acknowledged.load(Ordering::Relaxed) + more;
        while self.progress.acknowledged.load(Ordering::Relaxed) < enough {
            self.wait_for_answer().await;
        }
    }

    /// Waits for this many more answers that ask to try again.
    pub async fn is_refused(&self, more: usize) {
        let enough = self.progress.refused.load(Ordering::Relaxed) + more;
        while self.progress.refused.load(Ordering::Relaxed) < enough {
            self.wait_for_answer().await;
        }
    }

    async fn wait_for_answer(&self) {
        let outcome = tokio::time::timeout(TIMEOUT, self.progress.progressed.notified()).await;
        assert!(outcome.is_ok(), "no writer gets an answer any more");
    }

    /// Ends the load; every writer waits for its current answer, or for an error.
    pub async fn stop(self) -> Record {
        self.progress.is_over.store(true, Ordering::Relaxed);
        let mut journals = Vec::new();
        for writer in self.writers {
            journals.push(writer.await.expect("a writer ends well"));
        }
        Record {
            acknowledged: self.progress.acknowledged.load(Ordering::Relaxed),
            refused: self.progress.refused.load(Ordering::Relaxed),
            group: self.group,
            first: self.first,
            journals,
            seen: self.follower.await.expect("the follower ends well"),
        }
    }
}

/// Follows the feed until the load ends.
async fn follow(client: Client, first: i64, progress: Arc<Progress>) -> Vec<FeedEntry> {
    let mut seen: Vec<FeedEntry> = Vec::new();
    while !progress.is_over.load(Ordering::Relaxed) {
        let after = seen.last().map_or(first, |entry| entry.0);
        let path = format!("/directory/v1/changes?after={after}&wait=1");
        let site = client.site();
        let Ok(reply) = site.try_send(Method::GET, &path, &[], Vec::new()).await else {
            break;
        };
        match reply.status {
            200 => seen.extend(feed_entries(&reply.body)),
            503 => tokio::time::sleep(PAUSE).await,
            _ => panic!("{reply:?}"),
        }
    }
    seen
}

fn feed_entries(page: &Value) -> Vec<FeedEntry> {
    let text = |change: &Value, name: &str| change[name].as_str().unwrap().to_owned();
    let changes = page["changes"].as_array().expect("changes").iter();
    changes
        .map(|change| {
            let seq = change["seq"].as_i64().unwrap();
            (seq, text(change, "kind"), text(change, "id"))
        })
        .collect()
}

async fn last_number(client: &Client) -> i64 {
    let page = client.site().get("/directory/v1/changes?limit=1").await;
    page.plain(200)["last"].as_i64().expect("a number")
}
