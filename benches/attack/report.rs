//! The table of results.

use std::time::Duration;

use anyhow::Context as _;

use crate::victim::Responses;

/// The greatest 99th percentile, as a multiple of that of the quiet time.
const AT_MOST: f64 = 5.0;
/// The most memory that the server may take.
const PEAK_KIB: u64 = 512 * 1024;

/// The results of one attack.
pub struct Verdict {
    pub quiet: Vec<Responses>,
    pub attacked: Vec<Responses>,
    /// The attackers' requests.
    pub sent: usize,
    pub peak_kib: u64,
}

pub fn head() {
    println!(
        "| attack | requests | victim | quiet p99 µs | p99 µs | times | 429 | failed | peak MB |"
    );
    println!("|---|--:|---|--:|--:|--:|--:|--:|--:|");
}

impl Verdict {
    /// Prints a row for each kind of request; returns whether all are within the limits.
    pub fn print(&self, attack: &str) -> bool {
        let mut is_good = self.peak_kib <= PEAK_KIB;
        for (quiet, attacked) in self.quiet.iter().zip(&self.attacked) {
            let (before, during) = (p99(&quiet.latencies), p99(&attacked.latencies));
            let times = during.as_secs_f64() / before.as_secs_f64().max(1e-6);
            println!(
                "| {attack} | {} | {:?} | {} | {} | {times:.1} | {} | {} | {} |",
                self.sent,
                attacked.kind,
                before.as_micros(),
                during.as_micros(),
                attacked.refused,
                attacked.failed,
                self.peak_kib / 1024,
            );
            is_good &= times <= AT_MOST && attacked.failed == 0;
        }
        is_good
    }
}

fn p99(latencies: &[Duration]) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    let index = sorted.len().saturating_mul(99) / 100;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}

/// Returns the most memory that a process has taken so far.
pub fn peak_kib(id: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM")?.parse()?)
}
