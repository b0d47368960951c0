//! The log and the metrics.

mod json;
mod log_writer;
mod malformed;
mod metrics;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use metrics::{Metrics, Requests, append_storage};

use crate::clock::SystemClock;
use json::JsonLog;
use log_writer::LogWriter;
use malformed::MalformedRequests;

/// The writer to flush when the program ends.
static LOG_WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Starts the log on standard error: text on a terminal, JSON lines otherwise. `ROLLCALL_LOG` sets
/// the filter, by default `info`.
///
/// # Errors
/// Returns an error if the operating system cannot start a thread.
pub fn start_log() -> std::io::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "reading the settings logs, so the log starts first"
    )]
    let directives = std::env::var("ROLLCALL_LOG");
    let filter = directives.ok().and_then(|text| text.parse().ok());
    // `Targets` decides once per call site, while `EnvFilter` would do work for each span.
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let filter = malformed::counted(filter);
    // If the log was started before, as in tests, the first one stays.
    let _ = if std::io::stderr().is_terminal() {
        let text = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            // It would report errors on standard error, and panic if that fails too, as on a full
            // disk.
            .log_internal_errors(false);
        tracing_subscriber::registry()
            .with(filter)
            .with(MalformedRequests)
            .with(text)
            .try_init()
            .map_err(drop)
    } else {
        let writer = LogWriter::start()?;
        LOG_WRITER.get_or_init(|| writer.clone());
        tracing_subscriber::registry()
            .with(filter)
            .with(MalformedRequests)
            .with(JsonLog {
                writer,
                clock: SystemClock::default(),
            })
            .try_init()
            .map_err(drop)
    };
    Ok(())
}

/// Writes the pending log lines before the program ends.
pub fn flush_log() {
    if let Some(writer) = LOG_WRITER.get() {
        writer.flush();
    }
}

/// Formats an error with its causes; a cause whose text is already included is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
