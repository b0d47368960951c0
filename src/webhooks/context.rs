//! The state that all deliveries share.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::settings::{choice, milliseconds, seconds, settings};
use crate::store::tables::subscriptions::{self, SubscriptionKey};
use crate::store::{Store, StoreError};
use crate::webhooks::message::MessageRenderer;
use crate::webhooks::{Reach, WebhookSender};

settings! {
    /// How patient deliveries are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Options {
        /// `on` allows private addresses and plain HTTP.
        pub reach: Reach = setting(
            "webhook_allow_private",
            choice(&[("on", Reach::Anywhere), ("off", Reach::Public)]),
            "off"
        ),
        /// Longest time for one attempt.
        pub timeout: Duration = setting("webhook_timeout_ms", milliseconds(100..=60_000), 10_000),
        /// Wait before the second attempt. It doubles with each attempt.
        pub backoff: Duration = setting("webhook_backoff_ms", milliseconds(10..=3_600_000), 5000),
        /// Longest wait between two attempts.
        pub backoff_most: Duration = setting("webhook_backoff_most_s", seconds(1..=86_400), 3600),
        /// Age of a change after which a failed attempt makes it a dead letter.
        pub give_up: Duration = setting("webhook_give_up_s", seconds(1..=31_536_000), 259_200),
        /// How often the worker looks at the outbox if no commit of this process wakes it: other
        /// nodes write too, and failed attempts wait for their time.
        pub look_every: Duration = fixed(LOOK_EVERY),
    }
}

/// The default of [`Options::look_every`].
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    pub async fn due(&self) -> Result<Vec<SubscriptionKey>, StoreError> {
        let now = self.now_us();
        self.store
            .read(move |conn| subscriptions::due(conn, now))
            .await
    }
}
