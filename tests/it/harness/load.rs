//! A mixed load that keeps a journal: what was acknowledged, and what was asked for without an answer. A
//! service that fails in the middle is held to it afterwards.

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
/// How long a writer waits that was feed_entries to come again.
const PAUSE: Duration = Duration::from_millis(20);

/// A row of numbers that is another one in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// What a write can change of a person. Name and title are in several attributes each, so that a half write shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    name: String,
    title: String,
    joined: bool,
}

/// A person as the one who writes it knows it; `None` is not there.
#[derive(Debug, Clone)]
struct Entry {
    id: Option<String>,
    sure: Option<Person>,
    /// What it may be instead: nobody said whether the last request was done.
    doubt: Option<Option<Person>>,
    /// How many acknowledged writes changed its attributes.
    updates: usize,
}

/// What one writer was feed_entries.
#[derive(Default)]
struct Journal {
    entries: Vec<Entry>,
    /// Pairs that went into the group in one request that nobody answered.
    pairs: Vec<[usize; 2]>,
}

#[derive(Default)]
struct Progress {
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    bell: Notify,
}

/// A change as the feed tells it: number, kind, resource.
pub type FeedEntry = (i64, String, String);

/// A load that runs.
pub struct Load {
    group: String,
    first: i64,
    progress: Arc<Progress>,
    writers: Vec<JoinHandle<Journal>>,
    follower: JoinHandle<Vec<FeedEntry>>,
}

impl Load {
    /// Writers spread over the clients, and one who follows the feed. `label` must be another one each time.
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

    /// Waits for so many more acknowledgements.
    pub async fn acknowledges(&self, more: usize) {
        let enough = self.progress.acknowledged.load(Ordering::Relaxed) + more;
        while self.progress.acknowledged.load(Ordering::Relaxed) < enough {
            self.hear().await;
        }
    }

    /// Waits for so many more answers that say to try again.
    pub async fn is_refused(&self, more: usize) {
        let enough = self.progress.refused.load(Ordering::Relaxed) + more;
        while self.progress.refused.load(Ordering::Relaxed) < enough {
            self.hear().await;
        }
    }

    async fn hear(&self) {
        let heard = tokio::time::timeout(TIMEOUT, self.progress.bell.notified()).await;
        assert!(heard.is_ok(), "no writer gets an answer any more");
    }

    /// Ends the load; every writer gets the answer that it waits for, or none.
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

/// Follows the feed to the end of the load.
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
