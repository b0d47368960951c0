//! The worker that finds subscriptions with undelivered changes and delivers them.

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

/// Between two looks at least, so that a burst of commits is a few looks and not one for each.
const PAUSE: Duration = Duration::from_millis(20);

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
        voice: MessageRenderer,
        options: Options,
    ) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(false);
        let worker = Arc::new(DeliveryContext {
            courier: WebhookSender::new(options.reach, options.timeout)?,
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

async fn run(worker: Arc<DeliveryContext>, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let at_hand = Arc::new(HeldSubscriptions::default());
    let mut commits = worker.store.notifier().subscribe_to_commits();
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
struct HeldSubscriptions(Mutex<HashSet<SubscriptionKey>>);

/// Gives the subscription back when it is dropped, also by a panic.
struct SubscriptionGuard {
    at_hand: Arc<HeldSubscriptions>,
    key: SubscriptionKey,
}

impl HeldSubscriptions {
    fn take(self: &Arc<Self>, key: &SubscriptionKey) -> Option<SubscriptionGuard> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| SubscriptionGuard {
            at_hand: Arc::clone(self),
            key: key.clone(),
        })
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        let mut keys = self
            .at_hand
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}
