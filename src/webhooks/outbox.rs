//! The deliveries of one subscription, in the order of the changes, by the node that holds it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::service::Error;
use crate::store::tables::changes::RecordedChange;
use crate::store::tables::subscriptions::{
    self, DeadLetter, Progress, Subscription, SubscriptionKey,
};
use crate::store::tables::tenants::Tenant;
use crate::telemetry;
use crate::webhooks::context::DeliveryContext;
use crate::webhooks::message::{self, DeliveryTarget, Message};
use crate::webhooks::post::Outcome;

/// The number of changes read at a time.
const PAGE: u32 = 100;

/// Progress is recorded after this number of deliveries; those after it are repeated if the node
/// crashes.
const NOTE_EVERY: u32 = 20;

/// The most characters of a failure that are stored for people to read.
const MOST_FAILURE_CHARS: usize = 500;

/// Changes that were read longer ago than this are read again, because an erasure may have emptied
/// them.
const PAGE_IS_FRESH: Duration = Duration::from_secs(1);

/// Delivers the changes of a subscription until there are no more, one fails, or the service stops.
/// Returns false on a fault, or if another node holds the subscription.
pub async fn deliver(
    worker: &DeliveryContext,
    key: &SubscriptionKey,
    stopped: &watch::Receiver<bool>,
) -> bool {
    let done = async {
        let Some(row) = claim(worker, key).await? else {
            return Ok(false);
        };
        let mut round = Round {
            worker,
            key,
            stopped,
            done_seq: row.done_seq,
            row,
            delivered: 0,
        };
        let note = round.run().await?;
        round.note(note).await?;
        Ok::<_, Error>(true)
    };
    done.await.unwrap_or_else(|error| {
        tracing::warn!(subscription.id = key.id, error = %telemetry::chain(&error), "cannot deliver webhooks");
        false
    })
}

/// Returns how long a node holds a subscription: enough for two attempts and a note. If the node
/// crashes, another continues after that.
fn lease(worker: &DeliveryContext) -> i64 {
    let lease = worker.options.timeout.saturating_mul(3);
    i64::try_from(lease.as_micros()).unwrap_or(i64::MAX)
}

async fn claim(
    worker: &DeliveryContext,
    key: &SubscriptionKey,
) -> Result<Option<Subscription>, Error> {
    let key = key.clone();
    let node = worker.node.clone();
    let now = worker.now_us();
    let until = now.saturating_add(lease(worker));
    worker
        .store
        .admin(move |conn| Ok(subscriptions::claim(conn, &key, &node, now, until)?))
        .await
}

/// The deliveries of a subscription while this node holds it.
struct Round<'a> {
    worker: &'a DeliveryContext,
    key: &'a SubscriptionKey,
    stopped: &'a watch::Receiver<bool>,
    row: Subscription,
    done_seq: i64,
    /// Deliveries since progress was last recorded.
    delivered: u32,
}

impl Round<'_> {
    /// Delivers everything and returns the note to record at the end.
    async fn run(&mut self) -> Result<Progress, Error> {
        if let Some(end) = self.redeliver_wanted().await? {
            return Ok(end);
        }
        loop {
            let tenant_id = self.key.tenant;
            let seq = self.done_seq;
            let read_at = Instant::now();
            let page = self
                .worker
                .store
                .read(move |conn| {
                    Ok::<_, Error>(message::changes_after(conn, tenant_id, seq, PAGE)?)
                })
                .await?;
            let Some((tenant, changes)) = page.filter(|(_, changes)| !changes.is_empty()) else {
                return Ok(self.finished());
            };
            for change in changes {
                if let Some(end) = self.deliver_change(&tenant, change).await? {
                    return Ok(end);
                }
                if read_at.elapsed() > PAGE_IS_FRESH {
                    break;
                }
            }
        }
    }

    fn finished(&self) -> Progress {
        Progress::Finished { seq: self.done_seq }
    }

    /// Delivers one change. Returns a note if the round ends with it.
    async fn deliver_change(
        &mut self,
        tenant: &Tenant,
        change: RecordedChange,
    ) -> Result<Option<Progress>, Error> {
        if *self.stopped.borrow() {
            return Ok(Some(self.finished()));
        }
        let seq = change.seq;
        let at = change.change.at;
        let message = match message::wants(&self.row, &change) {
            true => self.worker.renderer.message(tenant, change)?,
            false => None,
        };
        let Some(message) = message else {
            self.done_seq = seq;
            return Ok(None);
        };
        let outcome = self.post(&message).await?;
        self.delivered += 1;
        match outcome {
            Outcome::Delivered => {
                self.done_seq = seq;
                self.row.attempts = 0;
            }
            Outcome::Gone => {
                tracing::warn!(
                    subscription.id = self.key.id,
                    "a receiver ended its subscription with 410 Gone"
                );
                let why = "the receiver answered 410 Gone".to_owned();
                let seq = self.done_seq;
                return Ok(Some(Progress::Stopped { seq, why }));
            }
            Outcome::Failed { why, retry_after } => {
                let attempts = self.row.attempts + 1;
                if !self.is_too_old(at) {
                    return Ok(Some(self.failed(attempts, why, retry_after)));
                }
                self.give_up(seq, attempts, why).await?;
                self.done_seq = seq;
                self.row.attempts = 0;
            }
        }
        self.note_progress().await
    }

    async fn post(&self, message: &Message) -> Result<Outcome, Error> {
        let now = self.worker.clock.now();
        let target: DeliveryTarget = message::target_of(&self.row, now)?;
        Ok(self.worker.sender.post(&target, message, now).await)
    }

    fn is_too_old(&self, at: i64) -> bool {
        let age = self.worker.now_us().saturating_sub(at);
        u128::try_from(age).unwrap_or_default() > self.worker.options.give_up.as_micros()
    }

    fn failed(&self, attempts: i64, why: String, retry_after: Option<Duration>) -> Progress {
        let options = &self.worker.options;
        let wait = backoff(options.backoff, options.backoff_most, attempts, jitter());
        let wait = wait.max(retry_after.unwrap_or_default().min(options.backoff_most));
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        tracing::info!(
            subscription.id = self.key.id,
            attempts,
            failure = why,
            "a webhook was not delivered"
        );
        Progress::Failed {
            seq: self.done_seq,
            attempts,
            next_at: self.worker.now_us().saturating_add(wait),
            failure: shortened(&why),
        }
    }

    async fn give_up(&self, seq: i64, attempts: i64, why: String) -> Result<(), Error> {
        tracing::warn!(
            subscription.id = self.key.id,
            change.seq = seq,
            failure = why,
            "a webhook was given up"
        );
        let letter = DeadLetter {
            tenant: self.key.tenant,
            subscription_id: self.key.id.clone(),
            seq,
            at: self.worker.now_us(),
            attempts,
            failure: shortened(&why),
            wanted: false,
        };
        let store = &self.worker.store;
        store
            .admin(move |conn| Ok(subscriptions::record_dead_letter(conn, &letter)?))
            .await
    }

    /// Records progress from time to time and extends the hold. Returns a note if the hold is lost.
    async fn note_progress(&mut self) -> Result<Option<Progress>, Error> {
        let held_for = self.row.owner_until.saturating_sub(self.worker.now_us());
        if self.delivered < NOTE_EVERY && held_for > lease(self.worker) / 2 {
            return Ok(None);
        }
        self.delivered = 0;
        let until = self.worker.now_us().saturating_add(lease(self.worker));
        let seq = self.done_seq;
        if self.note(Progress::Done { seq, until }).await? {
            self.row.owner_until = until;
            return Ok(None);
        }
        // The subscription was deleted or rewound, or another node has taken it over. Nothing can
        // be recorded.
        Ok(Some(self.finished()))
    }

    async fn note(&self, note: Progress) -> Result<bool, Error> {
        let key = self.key.clone();
        let node = self.worker.node.clone();
        self.worker
            .store
            .admin(move |conn| Ok(subscriptions::note(conn, &key, &node, &note)?))
            .await
    }

    /// Delivers the dead letters that were requested again. One that fails again stays a dead
    /// letter.
    async fn redeliver_wanted(&mut self) -> Result<Option<Progress>, Error> {
        loop {
            let key = self.key.clone();
            let wanted = self
                .worker
                .store
                .read(move |conn| Ok::<_, Error>(subscriptions::wanted(conn, &key, PAGE.into())?))
                .await?;
            if wanted.is_empty() {
                return Ok(None);
            }
            for letter in wanted {
                if *self.stopped.borrow() {
                    return Ok(Some(self.finished()));
                }
                self.redeliver(letter).await?;
                if let Some(end) = self.note_progress().await? {
                    return Ok(Some(end));
                }
            }
        }
    }

    async fn redeliver(&mut self, letter: DeadLetter) -> Result<(), Error> {
        let tenant_id = self.key.tenant;
        let before = letter.seq.saturating_sub(1);
        let store = &self.worker.store;
        let found = store
            .read(move |conn| Ok::<_, Error>(message::changes_after(conn, tenant_id, before, 1)?))
            .await?;
        let change = found
            .and_then(|(tenant, changes)| Some((tenant, changes.into_iter().next()?)))
            .filter(|(_, change)| change.seq == letter.seq);
        // A change that was pruned cannot be delivered.
        let message = match change {
            Some((tenant, change)) => self.worker.renderer.message(&tenant, change)?,
            None => None,
        };
        let outcome = match message {
            Some(message) => self.post(&message).await?,
            None => Outcome::Delivered,
        };
        self.delivered += 1;
        let failure = match outcome {
            Outcome::Delivered => None,
            Outcome::Gone => Some("the receiver answered 410 Gone".to_owned()),
            Outcome::Failed { why, .. } => Some(why),
        };
        store
            .admin(move |conn| {
                match &failure {
                    None => subscriptions::forget(conn, &letter)?,
                    Some(why) => subscriptions::record_dead_letter(
                        conn,
                        &DeadLetter {
                            attempts: letter.attempts + 1,
                            failure: shortened(why),
                            wanted: false,
                            ..letter.clone()
                        },
                    )?,
                }
                Ok(())
            })
            .await
    }
}

/// Returns the wait before the next attempt: it doubles each time, up to `most`. `jitter`, from 0
/// to 1, varies it by a fifth, so that subscriptions of one receiver do not all retry at the same
/// time.
fn backoff(first: Duration, most: Duration, attempts: i64, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 30)).unwrap_or(30);
    let wait = first
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(most);
    wait.mul_f64(0.9 + 0.2 * jitter)
}

/// Returns a random number from 0 to 1.
fn jitter() -> f64 {
    let [byte] = crate::clock::random_bytes::<1>().unwrap_or([128]);
    f64::from(byte) / 255.0
}

fn shortened(why: &str) -> String {
    why.chars().take(MOST_FAILURE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let first = Duration::from_secs(5);
        let most = Duration::from_secs(3600);
        let check = |attempts: i64, jitter: f64, expected: f64| {
            let wait = backoff(first, most, attempts, jitter).as_secs_f64();
            assert!((wait - expected).abs() < 0.001, "{attempts}: {wait}");
        };
        check(1, 0.5, 5.0);
        check(2, 0.5, 10.0);
        check(5, 0.0, 72.0);
        check(5, 1.0, 88.0);
        check(11, 0.5, 3600.0);
        check(i64::MAX, 0.5, 3600.0);
        check(0, 0.5, 5.0);
    }
}
