//! What each delivery needs.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::store::tables::subscriptions::{self, SubscriptionKey};
use crate::store::{Store, StoreError};
use crate::webhooks::message::MessageRenderer;
use crate::webhooks::{Reach, WebhookSender};

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

/// What every delivery needs.
pub(super) struct DeliveryContext {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub courier: WebhookSender,
    pub voice: MessageRenderer,
    pub options: Options,
    /// This process, among all that deliver.
    pub node: String,
}

impl DeliveryContext {
    pub fn now_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub async fn due(&self) -> Result<Vec<SubscriptionKey>, StoreError> {
        let now = self.now_us();
        self.store
            .read(move |conn| subscriptions::due(conn, now))
            .await
    }
}
