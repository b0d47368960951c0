//! The log as lines of JSON: an object with the time, the level, the message and the fields, and the request that it is
//! about.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::lines::{Lines, Urgency};

/// Writes every event as a line.
pub struct JsonLog {
    pub lines: Lines,
}

/// The fields of a span, as they stand within its object.
struct SpanFields(Vec<u8>);

thread_local! {
    /// The line at hand; it keeps its memory.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
            // A field that logs while it is printed gets a line of its own.
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
        let mut time = String::with_capacity(32);
        // Writing to memory cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        line.extend_from_slice(time.as_bytes());
        line.extend_from_slice(br#"","level":""#);
        line.extend_from_slice(metadata.level().as_str().as_bytes());
        line.push(b'"');
        event.record(&mut Fields(line));
        text(line, "target", metadata.target());
        if let Some(span) = context.event_span(event) {
            line.extend_from_slice(br#","span":{"name":"#);
            string(line, span.name());
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.extend_from_slice(&fields.0);
            }
            line.push(b'}');
        }
        line.extend_from_slice(b"}\n");
        let urgency = match *metadata.level() {
            Level::ERROR | Level::WARN => Urgency::Now,
            Level::INFO | Level::DEBUG | Level::TRACE => Urgency::Soon,
        };
        self.lines.push(line, urgency);
    }
}

/// Appends `,"name":value` for each field.
struct Fields<'l>(&'l mut Vec<u8>);

impl Fields<'_> {
    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        name(self.0, field.name());
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        text(self.0, field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        text(self.0, field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() {
            self.number(field, value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }
}

fn text(line: &mut Vec<u8>, key: &str, value: &str) {
    name(line, key);
    string(line, value);
}

fn name(line: &mut Vec<u8>, key: &str) {
    line.push(b',');
    string(line, key);
    line.push(b':');
}

fn string(line: &mut Vec<u8>, value: &str) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(line, value);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_line_is_an_object_with_the_request() {
        let mut line = Vec::new();
        let lines = Lines::start().unwrap();
        // What was written last on this thread is still there.
        let subscriber = tracing_subscriber::registry().with(JsonLog { lines });
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", request.id = %"a\"b", http.method = "GET");
            let _entered = span.enter();
            tracing::info!(
                http.status = 200_u16,
                duration_ms = 0.25,
                ok = true,
                "answered\n"
            );
            LINE.with(|kept| line.clone_from(&kept.borrow()));
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
        assert_eq!(value["span"]["http.method"], "GET");
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
