//! The log and the metrics.

mod json;
mod log_writer;
mod metrics;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use metrics::{Metrics, Requests};

use crate::clock::SystemClock;
use json::JsonLog;
use log_writer::Lines;

/// The lines that may still wait when the program ends.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts the log on standard error: text on a terminal, JSON lines otherwise. `ROLLCALL_LOG` sets what is logged,
/// by default `info`.
///
/// # Errors
/// Where there can be no more threads.
pub fn start_log() -> std::io::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the log tells of the settings too, so it begins before them"
    )]
    let wished = std::env::var("ROLLCALL_LOG");
    let wished = wished.ok().and_then(|text| text.parse().ok());
    // Unlike its cousin, it has nothing to ask for each request.
    let filter = wished.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // A second start, as in tests, keeps the first log.
    let _ = if std::io::stderr().is_terminal() {
        let text = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            // It would complain on standard error, and panic where that cannot be written either: on a full disk.
            .log_internal_errors(false);
        tracing_subscriber::registry()
            .with(filter)
            .with(text)
            .try_init()
            .map_err(drop)
    } else {
        let lines = Lines::start()?;
        LINES.get_or_init(|| lines.clone());
        tracing_subscriber::registry()
            .with(filter)
            .with(JsonLog {
                lines,
                clock: SystemClock::default(),
            })
            .try_init()
            .map_err(drop)
    };
    Ok(())
}

/// Writes what is left of the log: the program ends.
pub fn finish_log() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// An error with everything that caused it; a cause that says what was said already is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
