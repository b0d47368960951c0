//! What is counted of the requests, in Prometheus' text format.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS_S: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// The metrics of one running service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// By method and status, then by route.
    known: RwLock<HashMap<(&'static str, u16), ByRoute>>,
}

type ByRoute = HashMap<String, Counted>;

/// What one request is counted in.
#[derive(Clone)]
struct Counted {
    requests: Counter,
    duration_s: Histogram,
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
        recorder.describe_counter(
            "rollcall_http_refused_total".into(),
            None,
            "Requests refused at the door to spare the service, by reason; they are in no other metric.".into(),
        );
        recorder.describe_gauge(
            "rollcall_http_connections".into(),
            None,
            "Open connections.".into(),
        );
        recorder.describe_counter(
            "rollcall_http_connections_shut_total".into(),
            None,
            "Connections shut because their client neither read its answer nor ended its request."
                .into(),
        );
        recorder.describe_histogram(
            "rollcall_http_request_duration_seconds".into(),
            Some(metrics::Unit::Seconds),
            "Time from the request's head to the answer's head, by method and route.".into(),
        );
        Ok(Self {
            recorder,
            handle,
            known: RwLock::default(),
        })
    }

    /// Counts one answered request.
    pub fn request(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let group = (known_method(method), status);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = known.get(&group).and_then(|routes| routes.get(route)) {
            counted.add(elapsed);
            return;
        }
        drop(known);
        let counted = self.register(group, route);
        counted.add(elapsed);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let routes = known.entry(group).or_default();
        routes.insert(route.to_owned(), counted);
    }

    fn register(&self, (method, status): (&'static str, u16), route: &str) -> Counted {
        let labels = vec![
            Label::new("method", method),
            Label::new("route", route.to_owned()),
        ];
        let mut counted = labels.clone();
        counted.push(Label::new("status", status.to_string()));
        let requests = Key::from_parts("rollcall_http_requests_total", counted);
        let duration_s = Key::from_parts("rollcall_http_request_duration_seconds", labels);
        Counted {
            requests: self.recorder.register_counter(&requests, &METADATA),
            duration_s: self.recorder.register_histogram(&duration_s, &METADATA),
        }
    }

    /// A counter of requests refused at the door for this reason.
    pub fn refused(&self, reason: &'static str) -> Counter {
        let labels = vec![Label::from_static_parts("reason", reason)];
        self.recorder.register_counter(
            &Key::from_parts("rollcall_http_refused_total", labels),
            &METADATA,
        )
    }

    /// Tells how many connections are open, and counts those that were shut.
    pub fn connections(&self, open: u32, shut: u64) {
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
            .increment(shut);
    }

    /// Puts the durations that were taken into their buckets. To be called every few seconds: until then each is kept.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

impl Counted {
    fn add(&self, elapsed: Duration) {
        self.requests.increment(1);
        self.duration_s.record(elapsed.as_secs_f64());
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
        metrics.request("BREW", "none", 404, Duration::from_millis(2));
        metrics.tidy();
        let text = metrics.render();
        assert!(text.contains(r#"rollcall_http_requests_total{method="GET",route="/scim/v2/Users/{id}",status="200"} 1"#), "{text}");
        assert!(
            text.contains(r#"method="other",route="none",status="404"} 2"#)
                && !text.contains("BREW")
        );
    }
}
