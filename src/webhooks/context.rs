//! The state that all deliveries share.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::store::tables::subscriptions::{self, Key};
use crate::store::{Store, StoreError};
use crate::webhooks::message::MessageRenderer;
use crate::webhooks::{Reach, WebhookSender};

/// Settings of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub reach: Reach,
    /// The longest that one attempt takes.
    pub timeout: Duration,
    /// The wait before the second attempt; it doubles with each further one.
    pub backoff: Duration,
    pub backoff_most: Duration,
    /// A change that is older than this is not attempted again after a failure.
    pub give_up: Duration,
    /// How often the outbox is polled. A commit of this process wakes the worker at once; other nodes write too, and
    /// failed deliveries wait for their next attempt.
    pub look_every: Duration,
}

/// The default of [`Options::look_every`].
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The state that all deliveries share.
pub(super) struct DeliveryContext {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub sender: WebhookSender,
    pub renderer: MessageRenderer,
    pub options: Options,
    /// The id of this process among all that deliver.
    pub node: String,
}

impl DeliveryContext {
    pub fn now_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Returns the subscriptions that have changes to deliver.
    pub async fn due(&self) -> Result<Vec<Key>, StoreError> {
        let now = self.now_us();
        self.store
            .read(move |conn| subscriptions::due(conn, now))
            .await
    }
}
