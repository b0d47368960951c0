//! The stream of the change feed, as server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use tokio::time::Instant;

use crate::http::state::AppState;
use crate::memory::Held;
use crate::service::access::listening_caller::{Access, ListeningCaller};
use crate::service::feed::{self, ChangeFilter, Listener, PageRequest, WaitOutcome};

/// The interval in which an idle stream sends a comment.
const PULSE: Duration = Duration::from_secs(15);

/// The most changes that a stream sends at a time.
const BATCH: u32 = 200;

/// One open stream.
pub(super) struct Live {
    pub shared: Data<AppState>,
    pub caller: ListeningCaller,
    pub listener: Listener,
    pub after: i64,
    pub wanted: ChangeFilter,
    pub asked: Instant,
    /// When the stream ends, for a client to reconnect with its position.
    pub end: Instant,
    pub has_begun: bool,
}

impl Live {
    /// The next chunk of the stream. `None` ends it, and the client reconnects with the last id
    /// that it has.
    pub async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let text = self.text().await?;
        Some((Ok(text), self))
    }

    async fn text(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(format!("retry: 1000\nid: {}\n\n", self.after).into());
        }
        loop {
            if Instant::now() >= self.end {
                return None;
            }
            let AppState {
                service,
                shared_reads,
                ..
            } = &**self.shared;
            if self.asked.elapsed() >= PULSE {
                // Also records that the token is in use.
                self.caller.authenticate(service).await.ok()?;
                self.asked = Instant::now();
            }
            let request = PageRequest {
                after: self.after,
                wanted: self.wanted.clone(),
                limit: BATCH,
            };
            let batch = shared_reads.next(service, self.caller.context(), request, events);
            let batch = batch.await.ok()?;
            if self.caller.confirm(service, batch.epoch).await.ok()? == Access::Changed {
                continue;
            }
            if batch.next > self.after {
                self.after = batch.next;
                return Some(batch.encoded);
            }
            let pulse = self.asked + PULSE;
            let recheck_at = self.caller.recheck_at(service, pulse.min(self.end));
            match self.listener.wait_until(recheck_at).await {
                WaitOutcome::Change => {}
                WaitOutcome::Nothing if Instant::now() < pulse => {}
                WaitOutcome::Nothing => return Some(Bytes::from_static(b": nothing new\n\n")),
                WaitOutcome::End => return None,
            }
        }
    }
}

/// The events of a page, and the end of the page as an id alone, so that a client that reconnects
/// skips the changes that its filter excludes.
pub(super) fn events(page: feed::Page) -> Bytes {
    let mut text = String::new();
    let last = page.changes.last().map(|change| change.seq);
    for change in page.changes {
        let data = serde_json::to_string(&change).unwrap_or_default();
        // Writing to a String cannot fail. JSON has no line breaks of its own.
        let _ = write!(
            text,
            "id: {}\nevent: {}\ndata: {data}\n\n",
            change.seq,
            change.kind.as_str()
        );
    }
    if last != Some(page.next) {
        let _ = write!(text, "id: {}\n\n", page.next);
    }
    let mut held = page.held;
    held.shrink_to(text.len());
    Bytes::from_owner(Held::new(text, held))
}
