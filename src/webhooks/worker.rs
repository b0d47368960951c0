//! Finds subscriptions with undelivered changes and delivers them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::service::Error;
use crate::store::Store;
use crate::store::tables::subscriptions::SubscriptionKey;
use crate::telemetry;
use crate::webhooks::context::{DeliveryContext, Options};
use crate::webhooks::message::MessageRenderer;
use crate::webhooks::{WebhookSender, outbox};

/// The shortest time between two polls, so that many commits at once cause few polls.
const PAUSE: Duration = Duration::from_millis(20);

/// The running worker. It ends with [`Deliveries::stop`] or with the process; nothing is lost
/// either way.
pub struct Deliveries {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Deliveries {
    /// Starts the worker on the current runtime.
    ///
    /// # Errors
    /// Errors of [`WebhookSender::new`].
    pub fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        renderer: MessageRenderer,
        options: Options,
    ) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let worker = Arc::new(DeliveryContext {
            sender: WebhookSender::new(options.reach, options.timeout)?,
            node: clock.new_id(),
            store,
            clock,
            renderer,
            options,
        });
        let task = tokio::spawn(run(worker, stopped));
        Ok(Self { stop, task })
    }

    /// Stops the worker: waits for the attempts in flight and records their outcome.
    pub async fn stop(self) {
        // Sending fails only if the task has ended already.
        self.stop.send(true).ok();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the webhook worker failed");
        }
    }
}

async fn run(worker: Arc<DeliveryContext>, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let held = Arc::new(HeldSubscriptions::default());
    let mut commits = worker.store.notifier().subscribe_to_commits();
    while !*stopped.borrow() {
        // A commit from here on wakes the worker again.
        commits.borrow_and_update();
        while running.try_join_next().is_some() {}
        match worker.due().await {
            Ok(due) => {
                for key in due {
                    // Two tasks of one process on one subscription would be two nodes with the same
                    // id.
                    if let Some(guard) = held.take(&key) {
                        let worker = Arc::clone(&worker);
                        let stopped = stopped.clone();
                        running.spawn(async move {
                            let is_done = outbox::deliver(&worker, &key, &stopped).await;
                            drop(guard);
                            is_done
                        });
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), "cannot find webhooks to deliver");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopped.changed() => continue,
        }
        tokio::select! {
            () = tokio::time::sleep(worker.options.look_every) => {}
            Ok(()) = commits.changed() => {}
            // Changes committed while the subscription was held are still undelivered. (Not after a
            // fault, which would repeat.)
            Some(Ok(true)) = running.join_next() => {}
            _ = stopped.changed() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// The subscriptions that this process is delivering.
#[derive(Default)]
struct HeldSubscriptions(Mutex<HashSet<SubscriptionKey>>);

/// Releases the subscription when it is dropped, also by a panic.
struct SubscriptionGuard {
    held: Arc<HeldSubscriptions>,
    key: SubscriptionKey,
}

impl HeldSubscriptions {
    fn take(self: &Arc<Self>, key: &SubscriptionKey) -> Option<SubscriptionGuard> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| SubscriptionGuard {
            held: Arc::clone(self),
            key: key.clone(),
        })
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let mut keys = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}
