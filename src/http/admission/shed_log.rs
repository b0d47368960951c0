//! Reports rejected requests: each in the metrics, and once a second in the log, because a log line
//! for each would add to the load.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;

use crate::http::error::ApiError;
use crate::service::TenantId;
use crate::telemetry::Metrics;

/// The least time between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The rejected requests since the last log line.
#[derive(Default)]
pub struct ShedLog {
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    /// The counters used so far: to look one up in the registry costs more than the rest of a
    /// rejection.
    counters: Vec<(&'static str, Counter)>,
    count: u64,
    last_logged: Option<Instant>,
}

impl ShedLog {
    /// Counts a rejected request, and writes a log line if the last one is old enough.
    pub fn record(&self, metrics: &Metrics, error: &ApiError, tenant: Option<TenantId>) {
        let reason = error.reason();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.counters.iter().find(|(name, _)| *name == reason) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let counter = metrics.rejected(reason);
                counter.increment(1);
                pending.counters.push((reason, counter));
            }
        }
        pending.count = pending.count.saturating_add(1);
        let now = Instant::now();
        if pending
            .last_logged
            .is_some_and(|logged| now.duration_since(logged) < LOG_INTERVAL)
        {
            return;
        }
        pending.last_logged = Some(now);
        let requests = std::mem::take(&mut pending.count);
        drop(pending);
        tracing::warn!(
            requests,
            last.reason = reason,
            last.tenant.id = tenant.map(|tenant| tenant.0),
            "shedding load: requests rejected"
        );
    }
}
