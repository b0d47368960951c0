//! The results of an open loop.

use std::time::Duration;

use crate::client::Outcome;
use crate::loops::Sent;
use crate::numbers::{fraction, per_second};

/// The results of a round.
pub struct Seen {
    /// Requests served per second.
    pub goodput: f64,
    /// Whether every request was served or correctly rejected.
    pub all_answered: bool,
}

pub fn report(sent: &[Sent], best: f64, rate: f64) -> Seen {
    let count = |want: &dyn Fn(&Outcome) -> bool| {
        let outcomes = sent.iter().filter_map(|sent| sent.outcome.as_ref());
        outcomes.filter(|outcome| want(outcome)).count()
    };
    let served = count(&Outcome::is_good);
    let (many, busy) = (
        count(&|one| one.status == 429),
        count(&|one| one.status == 503),
    );
    let proper = count(&Outcome::is_refusal);
    let lost = sent.iter().filter(|sent| sent.outcome.is_none()).count();
    let other = sent.len() - served - many - busy - lost;
    let (mut latencies, mut refusals) = (Vec::new(), Vec::new());
    for one in sent {
        match one.outcome {
            Some(outcome) if outcome.is_good() => latencies.push(one.latency),
            _ => refusals.push(one.latency),
        }
    }
    let last = sent.iter().map(|sent| sent.done).max().unwrap_or_default();
    let goodput = per_second(served, last);
    println!(
        "  offered {rate:.0}/s: served {served} of {} at {goodput:.0}/s, {:.0} % of the best",
        sent.len(),
        100.0 * goodput / best
    );
    println!(
        "  refused {} (429: {many}, 503: {busy}), of these with Retry-After and a SCIM error {proper}; no answer {lost}, other {other}",
        many + busy
    );
    let [p50, p99] = [0.5, 0.99].map(|part| percentile(&mut latencies, part));
    println!(
        "  served within {p50:.0?} (median), {p99:.0?} (99 %); refused within {:.0?} (99 %)",
        percentile(&mut refusals, 0.99)
    );
    Seen {
        goodput,
        all_answered: proper == many + busy && lost + other == 0,
    }
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let skipped = Duration::from_secs_f64(fraction(times.len()) * part).as_secs();
    let index = usize::try_from(skipped).unwrap_or(0);
    times
        .get(index.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
