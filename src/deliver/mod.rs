//! Webhooks on their way: takes changes from the outbox and posts them, in order for each subscription.
//!
//! At least once: a node holds a subscription for a short while, notes how far it came, and when it dies another one goes on
//! from there. It must not know HTTP's server side, SQL or the rules of SCIM.

mod address;
mod outbox;
mod post;
mod sign;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::service::Error;
use crate::service::webhooks::Voice;
use crate::store::subscriptions::{self, Key};
use crate::store::{Store, StoreError};
use crate::telemetry;

pub use address::Reach;
pub use post::{Courier, Outcome};

/// How patient deliveries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub reach: Reach,
    /// For one attempt, from the first byte to the last.
    pub timeout: Duration,
    /// Before the second attempt; each one after waits twice as long.
    pub backoff: Duration,
    pub backoff_most: Duration,
    /// A change that is older than this and fails is given up.
    pub give_up: Duration,
    /// How often the outbox is looked at where no commit of this process wakes the worker: other nodes write too, and
    /// what failed waits for its time.
    pub look_every: Duration,
}

/// The usual [`Options::look_every`].
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two looks at least, so that a burst of commits is a few looks and not one for each.
const PAUSE: Duration = Duration::from_millis(20);

/// What every delivery needs.
struct Worker {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    courier: Courier,
    voice: Voice,
    options: Options,
    /// This process, among all that deliver.
    node: String,
}

/// The running worker. Stop it, or it ends with the process: nothing is lost either way.
pub struct Deliveries {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Deliveries {
    /// Starts on the current runtime.
    ///
    /// # Errors
    /// Where no HTTP client can be made.
    pub fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        voice: Voice,
        options: Options,
    ) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let worker = Arc::new(Worker {
            courier: Courier::new(options.reach, options.timeout)?,
            node: clock.new_id(),
            store,
            clock,
            voice,
            options,
        });
        let task = tokio::spawn(run(worker, stopped));
        Ok(Self { stop, task })
    }

    /// Lets the attempts at hand finish, notes how far it came and ends.
    pub async fn stop(self) {
        // Nobody listens any more where the task has ended already.
        self.stop.send(true).ok();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the deliveries ended with a fault");
        }
    }
}

async fn run(worker: Arc<Worker>, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let at_hand = Arc::new(AtHand::default());
    let mut commits = worker.store.bell().listen_to_commits();
    while !*stopped.borrow() {
        // What is committed from here on wakes the worker again.
        commits.borrow_and_update();
        while running.try_join_next().is_some() {}
        match worker.due().await {
            Ok(due) => {
                for key in due {
                    // Two loops of one process on one subscription would be two nodes with one name.
                    if let Some(held) = at_hand.take(&key) {
                        let (worker, stopped) = (Arc::clone(&worker), stopped.clone());
                        running.spawn(async move {
                            let came_to_end = outbox::deliver(&worker, &key, &stopped).await;
                            drop(held);
                            came_to_end
                        });
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), "cannot look for webhooks to deliver");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopped.changed() => continue,
        }
        tokio::select! {
            () = tokio::time::sleep(worker.options.look_every) => {}
            Ok(()) = commits.changed() => {}
            // What was committed while it was held was nobody's to deliver. (Not after a fault, which would come again.)
            Some(Ok(true)) = running.join_next() => {}
            _ = stopped.changed() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// The subscriptions that this process is at.
#[derive(Default)]
struct AtHand(Mutex<HashSet<Key>>);

/// Gives the subscription back when it is dropped, also by a panic.
struct Held {
    at_hand: Arc<AtHand>,
    key: Key,
}

impl AtHand {
    fn take(self: &Arc<Self>, key: &Key) -> Option<Held> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| Held {
            at_hand: Arc::clone(self),
            key: key.clone(),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut keys = self
            .at_hand
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

impl Worker {
    fn now_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    async fn due(&self) -> Result<Vec<Key>, StoreError> {
        let now = self.now_us();
        self.store
            .read(move |conn| subscriptions::due(conn, now))
            .await
    }
}

#[cfg(test)]
mod tests;
