//! Okta, as far as `rollcall setup` and our server can tell: an org in this process that answers the Management API,
//! keeps what it is told, provisions by SCIM in both dialects, and can be made to fail at any point.
//!
//! It is strict: what no client may do fails the story at its end. What an admin does in the console is a method here.

mod apps;
mod assign;
mod console;
mod door;
mod hooks;
mod oauth;
mod org;
mod profile;
mod push;
mod wire;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

pub use console::{Click, Typed};
pub use org::{ApiToken, Dialect, Fault, Org, When};
pub use wire::Request;

/// Nothing here takes as long; a story that waits longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running org. Dropped, it ends, and fails the story where somebody broke Okta's rules.
pub struct FakeOkta {
    pub url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the door, the worker and the story share.
pub struct Shared {
    org: Mutex<Org>,
    /// Something that a story may wait for has changed.
    changed: Condvar,
    /// There is a job.
    work: Notify,
    /// Prism with Okta's own description of the API, where the contract is checked.
    double: Option<String>,
    http: reqwest::Client,
}

impl FakeOkta {
    /// An empty org: nobody but Everyone is there.
    pub fn start() -> Self {
        let (told, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = crate::harness::runtime();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
                let address = listener.local_addr().expect("an address");
                let shared = Arc::new(Shared::new(format!("http://{address}")));
                told.send(Arc::clone(&shared)).expect("the story waits");
                tokio::spawn(push::work(Arc::clone(&shared)));
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(door::answer(Arc::clone(&shared), stream));
                    }
                });
                stopped.await.ok();
            });
        });
        let shared = started.recv().expect("the org starts");
        let url = shared.lock().url.clone();
        Self {
            url,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Looks at or changes anything in the org.
    pub fn org(&self) -> MutexGuard<'_, Org> {
        self.shared.lock()
    }

    /// Plans a fault.
    pub fn plan(&self, when: When, fault: Fault) {
        let mut org = self.org();
        let when = match when {
            When::Write(number) => When::Write(org.writes + number),
            other => other,
        };
        org.faults.push(org::Planned { when, fault });
    }

    /// Waits until an answer is held back.
    pub fn wait_until_holding(&self) {
        self.wait(|org| org.is_holding, "no answer is held back");
        self.org().is_holding = false;
    }

    /// Waits until Okta has done all that it does in the background.
    pub fn settle(&self) {
        let is_idle = |org: &Org| org.jobs.is_empty() && !org.is_busy;
        self.wait(is_idle, "Okta still has work");
    }

    /// Waits until so many requests of this method and path have come.
    pub fn wait_for_requests(&self, method: &str, part: &str, count: usize) {
        let enough = |org: &Org| seen(org, method, part).count() >= count;
        self.wait(
            enough,
            &format!("{method} {part} did not come {count} times"),
        );
    }

    fn wait(&self, done: impl Fn(&Org) -> bool, problem: &str) {
        let org = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(org, PATIENCE, |org| !done(org));
        let (org, outcome) = waited.expect("no thread failed");
        assert!(!outcome.timed_out(), "{problem}: {:?}", shown(&org));
    }

    /// How many requests of this method came whose path holds this.
    pub fn count(&self, method: &str, part: &str) -> usize {
        seen(&self.org(), method, part).count()
    }

    /// The writes to the API so far.
    pub fn writes(&self) -> usize {
        self.org().writes
    }

    pub fn snapshot(&self) -> Value {
        self.org().snapshot()
    }
}

fn seen<'o>(org: &'o Org, method: &'o str, part: &'o str) -> impl Iterator<Item = &'o Request> {
    let matches = move |request: &&Request| request.method == method && request.path.contains(part);
    org.requests.iter().filter(matches)
}

fn shown(org: &Org) -> Vec<String> {
    let last = org.requests.iter().rev().take(15).rev();
    last.map(Request::shown).collect()
}

impl Shared {
    fn new(url: String) -> Self {
        Self {
            org: Mutex::new(Org::new(url)),
            changed: Condvar::new(),
            work: Notify::new(),
            double: std::env::var_os("ROLLCALL_OKTA_DOUBLE")
                .map(|url| url.into_string().expect("a URL")),
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("builds a client"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Org> {
        self.org.lock().expect("no thread failed")
    }

    /// Wakes the worker and whoever waits.
    fn tell(&self) {
        self.work.notify_one();
        self.changed.notify_all();
    }
}

impl Drop for FakeOkta {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if std::thread::panicking() {
            if let Ok(org) = self.shared.org.lock() {
                println!("what Okta was asked last: {:#?}", shown(&org));
                println!("what it complains about: {:#?}", org.complaints);
            }
            return;
        }
        assert!(ended.is_none_or(|ended| ended.is_ok()), "the fake failed");
        let org = self.shared.lock();
        assert!(
            org.complaints.is_empty(),
            "Okta complains: {:#?}",
            org.complaints
        );
    }
}
