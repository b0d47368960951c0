//! Request metrics, in Prometheus' text format.

use std::fmt::Write as _;
use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::telemetry::malformed;

/// The upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// The metrics of one running service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

/// The counter and the histogram for one method, route and status.
pub struct Requests {
    requests: Counter,
    duration_s: Histogram,
}

const MALFORMED: &str = "rollcall_http_malformed_total";
const METADATA: Metadata<'static> = Metadata::new("rollcall", Level::INFO, None);

impl Metrics {
    /// Creates and describes the metrics.
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
            "Answered requests, by method, route and status.".into(),
        );
        recorder.describe_counter(
            "rollcall_http_refused_total".into(),
            None,
            "Requests rejected by admission control, by reason. They are in no other metric."
                .into(),
        );
        recorder.describe_gauge(
            "rollcall_http_connections".into(),
            None,
            "Open connections.".into(),
        );
        recorder.describe_counter(
            "rollcall_http_connections_shut_total".into(),
            None,
            "Connections closed because the client did not read its response or complete its request in time."
                .into(),
        );
        recorder.describe_counter(
            MALFORMED.into(),
            None,
            "Requests that are no valid HTTP, by reason. They are in no other metric.".into(),
        );
        recorder.describe_histogram(
            "rollcall_http_request_duration_seconds".into(),
            Some(metrics::Unit::Seconds),
            "Time from the head of the request to the head of the response, by method and route."
                .into(),
        );
        Ok(Self { recorder, handle })
    }

    /// Returns the metrics for this method, route and status. Callers should cache them, because a
    /// lookup takes longer than counting.
    pub fn requests(&self, method: &'static str, route: &str, status: u16) -> Requests {
        let labels = vec![
            Label::from_static_parts("method", method),
            Label::new("route", route.to_owned()),
        ];
        let mut labels_with_status = labels.clone();
        labels_with_status.push(Label::new("status", status.to_string()));
        let requests = Key::from_parts("rollcall_http_requests_total", labels_with_status);
        let duration_s = Key::from_parts("rollcall_http_request_duration_seconds", labels);
        Requests {
            requests: self.recorder.register_counter(&requests, &METADATA),
            duration_s: self.recorder.register_histogram(&duration_s, &METADATA),
        }
    }

    /// Returns the counter of requests that admission control rejected for this reason.
    pub fn rejected(&self, reason: &'static str) -> Counter {
        let labels = vec![Label::from_static_parts("reason", reason)];
        self.recorder.register_counter(
            &Key::from_parts("rollcall_http_refused_total", labels),
            &METADATA,
        )
    }

    /// Sets the number of open connections, and counts those that were closed.
    pub fn record_connections(&self, open: u32, closed: u64) {
        self.recorder
            .register_gauge(
                &Key::from_static_name("rollcall_http_connections"),
                &METADATA,
            )
            .set(open);
        self.recorder
            .register_counter(
                &Key::from_static_name("rollcall_http_connections_shut_total"),
                &METADATA,
            )
            .increment(closed);
    }

    /// Sorts the recorded durations into their buckets. Callers should run it every few seconds,
    /// because until then each duration is held in memory.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// Renders the metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        for (reason, count) in malformed::counts() {
            let labels = vec![Label::from_static_parts("reason", reason)];
            let key = Key::from_parts(MALFORMED, labels);
            self.recorder
                .register_counter(&key, &METADATA)
                .absolute(count);
        }
        self.handle.render()
    }
}

/// Appends what tenants store: their numbers, because names are for no public page, the part, and its
/// bytes. These values are read when they are
/// asked for, so the recorder need not hold them.
pub fn append_storage<'a>(text: &mut String, rows: impl Iterator<Item = (i64, &'a str, i64)>) {
    text.push_str(
        "# HELP rollcall_tenant_storage_bytes What each tenant stores: resources with memberships, and their history.\n\
         # TYPE rollcall_tenant_storage_bytes gauge\n",
    );
    for (tenant, part, bytes) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "rollcall_tenant_storage_bytes{{tenant=\"{tenant}\",part=\"{part}\"}} {bytes}"
        );
    }
}

impl Requests {
    /// Counts an answered request.
    pub fn record(&self, elapsed: Duration) {
        self.requests.increment(1);
        self.duration_s.record(elapsed.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_under_its_route() {
        let metrics = Metrics::new().unwrap();
        let get = metrics.requests("GET", "/scim/v2/Users/{id}", 200);
        get.record(Duration::from_millis(2));
        // A second lookup returns the same counter.
        for _ in 0..2 {
            let other = metrics.requests("other", "none", 404);
            other.record(Duration::from_millis(2));
        }
        metrics.tidy();
        let text = metrics.render();
        assert!(text.contains(r#"rollcall_http_requests_total{method="GET",route="/scim/v2/Users/{id}",status="200"} 1"#), "{text}");
        assert!(
            text.contains(r#"method="other",route="none",status="404"} 2"#),
            "{text}"
        );
    }
}
