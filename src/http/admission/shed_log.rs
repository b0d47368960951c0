//! What is told of refused requests: each in the metrics, and together in the log, for a flood of lines would be one
//! more load.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;

use crate::http::error::ApiError;
use crate::service::TenantId;
use crate::telemetry::Metrics;

/// How often the log tells of them.
const STEP: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct ShedLog {
    untold: Mutex<Unlogged>,
}

#[derive(Default)]
struct Unlogged {
    /// The counters at hand: to find one anew costs more than the rest of a refusal.
    counters: Vec<(&'static str, Counter)>,
    count: u64,
    told: Option<Instant>,
}

impl ShedLog {
    /// Counts one.
    pub fn count(&self, metrics: &Metrics, refused: &ApiError, tenant: Option<TenantId>) {
        let reason = refused.reason();
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        match untold.counters.iter().find(|(name, _)| *name == reason) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let counter = metrics.refused(reason);
                counter.increment(1);
                untold.counters.push((reason, counter));
            }
        }
        untold.count = untold.count.saturating_add(1);
        let now = Instant::now();
        if untold
            .told
            .is_some_and(|told| now.duration_since(told) < STEP)
        {
            return;
        }
        untold.told = Some(now);
        let requests = std::mem::take(&mut untold.count);
        drop(untold);
        tracing::warn!(
            requests,
            last.reason = reason,
            last.tenant.id = tenant.map(|tenant| tenant.0),
            "refused, to do the rest well"
        );
    }
}
