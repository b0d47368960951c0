//! A fake Okta org in this process for `rollcall setup` and the server: it answers the Management
//! API, stores what clients write, provisions by SCIM in both dialects, and can fail at any point.
//!
//! It is strict: a request that breaks Okta's rules fails the test at its end. The methods here are
//! what an admin does in the console.

mod apps;
mod assign;
mod console;
mod handler;
mod hooks;
mod http;
mod oauth;
mod org;
mod profile;
mod push;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

pub use console::{Click, Typed};
pub use http::Request;
pub use org::{ApiToken, Dialect, Fault, Org, When};

/// Longer than any step takes; a test that waits longer hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running org. Dropping it ends the org, and fails the test if a client broke Okta's rules.
pub struct FakeOkta {
    pub url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The state shared by the handler, the worker and the test.
pub struct Shared {
    org: Mutex<Org>,
    /// Notified when anything changes that a test may wait for.
    changed: Condvar,
    /// Notified when there is a job.
    work: Notify,
    /// Prism with Okta's own API description, for runs that check the contract.
    double: Option<String>,
    http: reqwest::Client,
}

impl FakeOkta {
    /// An empty org: it contains only the group Everyone.
    pub fn start() -> Self {
        let (sender, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = crate::harness::runtime();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
                let address = listener.local_addr().expect("an address");
                let shared = Arc::new(Shared::new(format!("http://{address}")));
                sender.send(Arc::clone(&shared)).expect("the story waits");
                tokio::spawn(push::work(Arc::clone(&shared)));
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(handler::answer(Arc::clone(&shared), stream));
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

    /// Gives access to the state of the org.
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

    /// Waits until the org withholds an answer.
    pub fn wait_until_holding(&self) {
        self.wait(|org| org.is_holding, "no answer is held back");
        self.org().is_holding = false;
    }

    /// Waits until all background jobs of the org are done.
    pub fn settle(&self) {
        let is_idle = |org: &Org| org.jobs.is_empty() && !org.is_busy;
        self.wait(is_idle, "Okta still has work");
    }

    /// Waits for this many requests with this method and path.
    pub fn wait_for_requests(&self, method: &str, part: &str, count: usize) {
        let enough = |org: &Org| matching_requests(org, method, part).count() >= count;
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
            .wait_timeout_while(org, TIMEOUT, |org| !done(org));
        let (org, outcome) = waited.expect("no thread failed");
        assert!(
            !outcome.timed_out(),
            "{problem}: {:?}",
            recent_requests(&org)
        );
    }

    /// Counts the requests with this method whose path contains `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        matching_requests(&self.org(), method, part).count()
    }

    /// Returns the number of writes to the API.
    pub fn writes(&self) -> usize {
        self.org().writes
    }

    pub fn snapshot(&self) -> Value {
        self.org().snapshot()
    }
}

fn matching_requests<'o>(
    org: &'o Org,
    method: &'o str,
    part: &'o str,
) -> impl Iterator<Item = &'o Request> {
    let matches = move |request: &&Request| request.method == method && request.path.contains(part);
    org.requests.iter().filter(matches)
}

fn recent_requests(org: &Org) -> Vec<String> {
    let last = org.requests.iter().rev().take(15).rev();
    last.map(Request::describe).collect()
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

    /// Wakes the worker and all waiting tests.
    fn notify(&self) {
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
                println!("what Okta was asked last: {:#?}", recent_requests(&org));
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
