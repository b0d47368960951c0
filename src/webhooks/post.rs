//! One attempt: a POST that is limited in time and size, and the meaning of its response.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::clock::Clock;
use crate::service::Error;
use crate::store::Store;
use crate::telemetry;
use crate::webhooks::address::{Reach, Resolver};
use crate::webhooks::message::{self, DeliveryTarget, Message};
use crate::webhooks::{address, sign, subscriptions};

/// The response is not used; up to this size it is read, so that its connection can be reused.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it with a 2xx.
    Delivered,
    /// The receiver ended the subscription with a 410.
    Gone,
    /// Any other response, or none. The next attempt waits as long as the receiver asks for.
    Failed {
        why: String,
        retry_after: Option<Duration>,
    },
}

/// Posts messages.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    client: reqwest::Client,
    reach: Reach,
}

impl WebhookSender {
    /// Creates a client that reaches only the allowed addresses.
    ///
    /// # Errors
    /// [`Error::Internal`] where the TLS backend cannot be initialized.
    pub fn new(reach: Reach, timeout: Duration) -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            // A redirect could lead to an address that is not allowed.
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself.
            .no_proxy()
            .dns_resolver(Arc::new(Resolver(reach)))
            .timeout(timeout)
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, reach })
    }

    /// Checks that a subscription may have this URL.
    ///
    /// # Errors
    /// [`Error::BadRequest`].
    pub fn check(&self, url: &str) -> Result<(), Error> {
        address::check(self.reach, url)
            .map(drop)
            .map_err(|error| Error::BadRequest(error.to_string()))
    }

    /// Posts a test message to a subscription's receiver.
    ///
    /// # Errors
    /// An unknown tenant or name.
    pub async fn test(
        &self,
        store: &Store,
        tenant: String,
        name: String,
        clock: &dyn Clock,
    ) -> Result<Outcome, Error> {
        let now = clock.now();
        let target = subscriptions::target(store, tenant.clone(), name, now).await?;
        let message = message::test_message(&tenant, &clock.new_id(), now);
        Ok(self.post(&target, &message, now).await)
    }

    /// Posts a message once.
    pub async fn post(
        &self,
        target: &DeliveryTarget,
        message: &Message,
        now: Timestamp,
    ) -> Outcome {
        let failed = |why: String| Outcome::Failed {
            why,
            retry_after: None,
        };
        let url = match address::check(self.reach, &target.url) {
            Ok(url) => url,
            Err(error) => return failed(error.to_string()),
        };
        let at_s = now.as_second();
        let signatures = sign::signatures(&target.secrets, &message.id, at_s, &message.body);
        let sent = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", signatures)
            .body(message.body.clone())
            .send()
            .await;
        match sent {
            Ok(response) => answer(response).await,
            // The URL may contain a secret of the receiver.
            Err(error) => failed(telemetry::chain(&error.without_url())),
        }
    }
}

async fn answer(mut response: reqwest::Response) -> Outcome {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let mut read = 0;
    while read <= MOST_ANSWER_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read += chunk.len();
    }
    if status.is_success() {
        return Outcome::Delivered;
    }
    match status {
        StatusCode::GONE => Outcome::Gone,
        status if status.is_redirection() => Outcome::Failed {
            why: format!("the receiver answered {status}, and redirects are not followed"),
            retry_after,
        },
        status => Outcome::Failed {
            why: format!("the receiver answered {status}"),
            retry_after,
        },
    }
}
