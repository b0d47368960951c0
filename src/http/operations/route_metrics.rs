//! The label of a request in metrics and log, in place of its path, which may identify a person.

use std::cell::RefCell;
use std::time::Duration;

use actix_web::http::Method;

use crate::telemetry::{Metrics, Requests};

/// A pattern of paths, such as `/scim/v2/Users/{id}`. Each worker has its own.
pub struct RouteLabel {
    pub pattern: String,
    /// The counters of its requests, by method and status, of which there are few.
    counted: RefCell<Vec<(&'static str, u16, Requests)>>,
}

impl RouteLabel {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            counted: RefCell::default(),
        }
    }

    /// The label of unknown paths and of requests without a response.
    pub fn none() -> Self {
        Self::new("none")
    }

    /// Counts a request.
    pub fn count(&self, metrics: &Metrics, method: &Method, status: u16, elapsed: Duration) {
        let method = known(method);
        let mut counted = self.counted.borrow_mut();
        let mut all = counted.iter();
        if let Some((.., requests)) = all.find(|one| (one.0, one.1) == (method, status)) {
            requests.record(elapsed);
            return;
        }
        let requests = metrics.requests(method, &self.pattern, status);
        requests.record(elapsed);
        counted.push((method, status, requests));
    }
}

/// Returns the label of a method. Clients can invent methods, and a label for each would fill the
/// memory.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_under_its_pattern() {
        let metrics = Metrics::new().unwrap();
        let route = RouteLabel::new("/scim/v2/Users/{id}");
        let brew: Method = "BREW".parse().unwrap();
        for (method, status) in [(&Method::GET, 200), (&brew, 405), (&brew, 405)] {
            route.count(&metrics, method, status, Duration::from_millis(2));
        }
        metrics.tidy();
        let text = metrics.render();
        for line in [
            r#"rollcall_http_requests_total{method="GET",route="/scim/v2/Users/{id}",status="200"} 1"#,
            r#"rollcall_http_requests_total{method="other",route="/scim/v2/Users/{id}",status="405"} 2"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("BREW"), "{text}");
    }
}
