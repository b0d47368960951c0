//! Requests that the HTTP library rejects before any code of the service sees them.
//!
//! The library only logs them, as errors, with a line that an anonymous client can cause at any
//! rate. This layer counts them instead, and logs them at debug.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

/// The part of the library that parses requests.
const TARGET: &str = "actix_http::h1::dispatcher";
/// The beginning of its message.
const PREFIX: &str = "stream error: request parse error: ";

/// Why a request was malformed, with the beginning of the library's message.
const REASONS: [(&str, &str); 5] = [
    ("method", "invalid method"),
    ("target", "URI error"),
    ("version", "invalid HTTP version"),
    ("header", "invalid Header"),
    ("too_large", "message head is too large"),
];
const OTHER: &str = "other";

/// The number of requests for each reason, and for all others.
static COUNTS: [AtomicU64; REASONS.len() + 1] = [const { AtomicU64::new(0) }; REASONS.len() + 1];

/// Counts malformed requests, and takes the library's line out of the log.
pub struct MalformedRequests;

impl<S: Subscriber> Layer<S> for MalformedRequests {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.target() != TARGET {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let Some(cause) = message.0.strip_prefix(PREFIX) else {
            return true;
        };
        let reason = count(cause);
        tracing::debug!(reason, "rejected a malformed request");
        false
    }
}

/// The filter with the library's events in it, so that they are counted whatever is logged.
pub fn counted(filter: Targets) -> Targets {
    match filter.would_enable(TARGET, &Level::ERROR) {
        true => filter,
        false => filter.with_target(TARGET, Level::ERROR),
    }
}

/// Returns each reason with the number of requests since the start.
pub fn counts() -> impl Iterator<Item = (&'static str, u64)> {
    let reasons = REASONS.into_iter().map(|(reason, _)| reason);
    let counts = COUNTS.iter().map(|count| count.load(Ordering::Relaxed));
    reasons.chain([OTHER]).zip(counts)
}

fn count(cause: &str) -> &'static str {
    let known = REASONS
        .into_iter()
        .zip(&COUNTS)
        .find(|((_, text), _)| cause.starts_with(text));
    let (reason, count) = match known {
        Some(((reason, _), count)) => (reason, Some(count)),
        None => (OTHER, COUNTS.last()),
    };
    if let Some(count) = count {
        count.fetch_add(1, Ordering::Relaxed);
    }
    reason
}

/// The message of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to memory cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
