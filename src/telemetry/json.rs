//! Formats log events as lines of JSON: an object with the time, the level, the message, the
//! fields, and the span of the request.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::log_writer::{LogWriter, Urgency};

/// A layer that writes each event as a line.
pub struct JsonLog {
    pub writer: LogWriter,
    pub clock: SystemClock,
}

/// The fields of a span, formatted as members of its object.
struct SpanFields(Vec<u8>);

thread_local! {
    /// The buffer for a line, which is reused.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The text of the last second that was formatted.
    static LAST_SECOND: Cell<(i64, [u8; 19])> = const { Cell::new((i64::MIN, [0; 19])) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = Vec::with_capacity(96);
        attributes.record(&mut Fields(&mut fields));
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(&mut Fields(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        LINE.with(|line| {
            // The buffer is in use if the `Debug` of a field logs.
            match line.try_borrow_mut() {
                Ok(mut line) => self.write(&mut line, event, &context),
                Err(_) => self.write(&mut Vec::new(), event, &context),
            }
        });
    }
}

impl JsonLog {
    fn write<S>(&self, line: &mut Vec<u8>, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        line.clear();
        let metadata = event.metadata();
        line.extend_from_slice(br#"{"timestamp":""#);
        append_time(line, self.clock.now());
        line.extend_from_slice(br#"","level":""#);
        line.extend_from_slice(metadata.level().as_str().as_bytes());
        line.push(b'"');
        event.record(&mut Fields(line));
        append_text(line, "target", metadata.target());
        if let Some(span) = context.event_span(event) {
            line.extend_from_slice(br#","span":{"name":"#);
            append_string(line, span.name());
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.extend_from_slice(&fields.0);
            }
            line.push(b'}');
        }
        line.extend_from_slice(b"}\n");
        let urgency = match *metadata.level() {
            Level::ERROR | Level::WARN => Urgency::Immediate,
            Level::INFO | Level::DEBUG | Level::TRACE => Urgency::Deferred,
        };
        self.writer.push(line, urgency);
    }
}

/// Appends the time in the format of RFC 3339, in UTC.
fn append_time(line: &mut Vec<u8>, now: Timestamp) {
    let text = LAST_SECOND.with(|last| {
        let (second, text) = last.get();
        if second == now.as_second() {
            return text;
        }
        let text = format_second(now);
        last.set((now.as_second(), text));
        text
    });
    line.extend_from_slice(&text);
    line.push(b'.');
    let micros = now.subsec_microsecond();
    line.extend([100_000, 10_000, 1_000, 100, 10, 1].map(|unit| last_digit(micros / unit)));
    line.push(b'Z');
}

/// Formats a time as `2026-01-02T03:04:05`.
fn format_second(now: Timestamp) -> [u8; 19] {
    let text = now.to_string();
    let text = text.as_bytes().first_chunk().copied();
    text.unwrap_or(*b"0000-00-00T00:00:00")
}

/// Returns the last decimal digit.
fn last_digit(number: i32) -> u8 {
    b'0'.saturating_add(u8::try_from(number % 10).unwrap_or_default())
}

/// Appends `,"name":value` for each field.
struct Fields<'l>(&'l mut Vec<u8>);

impl Fields<'_> {
    fn append(&mut self, field: &Field, value: impl serde::Serialize) {
        append_name(self.0, field.name());
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut *self.0, &value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        append_name(self.0, field.name());
        self.0.push(b'"');
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push(b'"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        append_text(self.0, field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.append(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.append(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no representation of NaN and infinity.
        if value.is_finite() {
            self.append(field, value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.append(field, value);
    }
}

fn append_text(line: &mut Vec<u8>, key: &str, value: &str) {
    append_name(line, key);
    append_string(line, value);
}

/// Appends a name. It needs no escaping: names of fields consist of words and dots.
fn append_name(line: &mut Vec<u8>, key: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(b"\":");
}

fn append_string(line: &mut Vec<u8>, value: &str) {
    line.push(b'"');
    append_escaped(line, value);
    line.push(b'"');
}

/// A writer that escapes text for a JSON string.
struct Escaped<'l>(&'l mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        append_escaped(self.0, text);
        Ok(())
    }
}

/// Appends text, escaped for a JSON string, without quotes.
fn append_escaped(line: &mut Vec<u8>, text: &str) {
    // Without an early exit, the compiler checks many bytes in one step.
    let is_plain = |all, b| all & (b >= b' ') & (b != b'"') & (b != b'\\');
    if text.bytes().fold(true, is_plain) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    let start = line.len();
    let _ = serde_json::to_writer(&mut *line, text);
    // Remove the quotes.
    line.remove(start);
    line.pop();
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_time_has_six_digits_of_a_second() {
        for (text, expected) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000Z"),
            (
                "2026-01-02T03:04:06.000987654Z",
                "2026-01-02T03:04:06.000987Z",
            ),
        ] {
            let mut line = Vec::new();
            append_time(&mut line, text.parse().unwrap());
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    #[test]
    fn a_line_is_an_object_with_the_request() {
        let mut line = Vec::new();
        let writer = LogWriter::start().unwrap();
        let subscriber = tracing_subscriber::registry().with(JsonLog {
            writer,
            clock: SystemClock::default(),
        });
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", request.id = %"a\"b", http.method = "GET\n");
            let _entered = span.enter();
            tracing::info!(
                http.status = 200_u16,
                duration_ms = 0.25,
                ok = true,
                "answered\n"
            );
            // The buffer still holds the last line of this thread.
            LINE.with(|last| line.clone_from(&last.borrow()));
        });
        let text = String::from_utf8(line).unwrap();
        assert!(
            text.ends_with("}\n") && text.matches('\n').count() == 1,
            "{text}"
        );
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["level"], "INFO");
        assert_eq!(value["message"], "answered\n");
        assert_eq!(value["http.status"], 200);
        assert_eq!(value["duration_ms"], 0.25);
        assert_eq!(value["ok"], true);
        assert_eq!(value["span"]["request.id"], "a\"b");
        assert_eq!(value["span"]["http.method"], "GET\n");
        let time: Timestamp = value["timestamp"].as_str().unwrap().parse().unwrap();
        let age = SystemClock::default().now().duration_since(time);
        assert!((0..60).contains(&age.as_secs()), "{time}");
    }
}
