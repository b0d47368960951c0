//! The stream of the change feed, as server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use tokio::time::Instant;

use crate::http::state::{AppState, Caller};
use crate::memory::Held;
use crate::service::Context;
use crate::service::feed::{self, ChangeFilter, Listener, PageRequest, WaitOutcome};

/// The interval in which an idle stream sends a comment and checks that its token is still valid.
const PULSE: Duration = Duration::from_secs(15);

/// The most changes that a stream sends at a time.
const BATCH: u32 = 200;

/// One open stream.
pub(super) struct Live {
    pub shared: Data<AppState>,
    pub context: Context,
    /// The `Authorization` header, to authenticate again.
    pub header: Option<Vec<u8>>,
    pub listener: Listener,
    pub after: i64,
    pub wanted: ChangeFilter,
    pub asked: Instant,
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
            if self.asked.elapsed() >= PULSE {
                let caller = Caller::of(&self.shared, self.header.as_deref()).await;
                self.context = caller.ok()?.context;
                self.asked = Instant::now();
            }
            let AppState {
                service,
                shared_reads,
                ..
            } = &**self.shared;
            let request = PageRequest {
                after: self.after,
                wanted: self.wanted.clone(),
                limit: BATCH,
            };
            let batch = shared_reads.next(service, &self.context, request, events);
            let batch = batch.await.ok()?;
            if batch.next > self.after {
                self.after = batch.next;
                return Some(batch.encoded);
            }
            match self.listener.wait_until(self.asked + PULSE).await {
                WaitOutcome::Change => {}
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
