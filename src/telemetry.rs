//! The log and the metrics.

use std::io::IsTerminal as _;
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tracing_subscriber::EnvFilter;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Starts the log on standard error: text on a terminal, JSON lines otherwise. `ROLLCALL_LOG` sets what is logged,
/// by default `info`.
pub fn start_log() {
    let filter = EnvFilter::try_from_env("ROLLCALL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first log.
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    };
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

/// The metrics of one running service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new("rollcall", Level::INFO, None);

impl Metrics {
    /// # Errors
    /// Where the recorder cannot be built.
    pub fn new() -> Result<Self, metrics_exporter_prometheus::BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(
                Matcher::Full("rollcall_http_request_duration_seconds".to_owned()),
                &BUCKETS_S,
            )?
            .build_recorder();
        let handle = recorder.handle();
        recorder.describe_counter(
            "rollcall_http_requests_total".into(),
            None,
            "Requests answered, by method, route and status.".into(),
        );
        recorder.describe_histogram(
            "rollcall_http_request_duration_seconds".into(),
            Some(metrics::Unit::Seconds),
            "Time from the request's head to the answer's head, by method and route.".into(),
        );
        Ok(Self { recorder, handle })
    }

    /// Counts one answered request.
    pub fn request(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let labels = vec![
            Label::new("method", known_method(method)),
            Label::new("route", route.to_owned()),
        ];
        let mut counted = labels.clone();
        counted.push(Label::new("status", status.to_string()));
        self.recorder
            .register_counter(
                &Key::from_parts("rollcall_http_requests_total", counted),
                &METADATA,
            )
            .increment(1);
        self.recorder
            .register_histogram(
                &Key::from_parts("rollcall_http_request_duration_seconds", labels),
                &METADATA,
            )
            .record(elapsed.as_secs_f64());
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

/// A client can invent methods; a label for each would fill the memory.
fn known_method(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_under_its_route() {
        let metrics = Metrics::new().unwrap();
        metrics.request("GET", "/scim/v2/Users/{id}", 200, Duration::from_millis(2));
        metrics.request("BREW", "none", 404, Duration::from_millis(2));
        let text = metrics.render();
        assert!(text.contains(r#"rollcall_http_requests_total{method="GET",route="/scim/v2/Users/{id}",status="200"} 1"#), "{text}");
        assert!(text.contains(r#"method="other""#) && !text.contains("BREW"));
    }
}
