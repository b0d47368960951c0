//! Limits on requests per second: token buckets, one for each caller.
//!
//! A bulk request is admitted if its bucket has one token left, and then takes one for each of its
//! operations. So a bucket may go negative, which lets a bulk request be larger than the bucket and
//! which no rate limiting crate supports.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The number of buckets at which full ones are removed.
const SWEEP_AT: usize = 1024;

/// The most buckets of one kind that are not full. More callers than that are not limited one by
/// one: a client with that many addresses is limited by what all clients share.
const MAX_BUCKETS: usize = 200_000;

/// The time until buckets are removed again, if there are still that many.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// The settings of the buckets of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second; 0 is no limit.
    pub per_s: u32,
    /// The size of a bucket.
    pub burst: u32,
}

/// The buckets of one kind, by caller.
pub struct Buckets<K> {
    rate: Rate,
    levels: Mutex<Levels<K>>,
}

struct Levels<K> {
    /// When each bucket will be full, as time since the start. A full bucket has no entry.
    full_at: HashMap<K, Duration>,
    sweep_at: usize,
    next_sweep: Duration,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Creates buckets that are all full.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            levels: Mutex::new(Levels {
                full_at: HashMap::new(),
                sweep_at: SWEEP_AT,
                next_sweep: Duration::ZERO,
            }),
        }
    }

    /// Returns the settings.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Checks that the bucket has a token left. Reads the time only if there is a limit.
    ///
    /// # Errors
    /// The time until it has one.
    pub fn check(&self, key: &K, now: impl FnOnce() -> Duration) -> Result<(), Duration> {
        let Some(interval) = self.interval() else {
            return Ok(());
        };
        let now = now();
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(full_at) = levels.full_at.get(key) else {
            return Ok(());
        };
        let with_this = full_at.max(&now).saturating_add(interval);
        let latest = now.saturating_add(interval.saturating_mul(self.rate.burst.max(1)));
        match with_this.saturating_sub(latest) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Takes `count` tokens, even if the bucket has fewer.
    pub fn charge(&self, key: K, count: u32, now: impl FnOnce() -> Duration) {
        let Some(interval) = self.interval() else {
            return;
        };
        let now = now();
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.full_at.len() >= levels.sweep_at && now >= levels.next_sweep {
            levels.full_at.retain(|_, full_at| *full_at > now);
            let next = levels.full_at.len().saturating_mul(2).max(SWEEP_AT);
            levels.sweep_at = next.min(MAX_BUCKETS);
            if levels.full_at.len() >= MAX_BUCKETS {
                levels.next_sweep = now.saturating_add(SWEEP_PAUSE);
            }
        }
        let is_full = levels.full_at.len() >= MAX_BUCKETS;
        if is_full && !levels.full_at.contains_key(&key) {
            return;
        }
        let full_at = levels.full_at.entry(key).or_insert(now);
        *full_at = (*full_at)
            .max(now)
            .saturating_add(interval.saturating_mul(count));
    }

    /// Returns the time in which a bucket gains one token; `None` if there is no limit.
    fn interval(&self) -> Option<Duration> {
        Duration::from_secs(1).checked_div(self.rate.per_s)
    }
}

/// Rounds up to the whole seconds of `Retry-After`, at least one.
pub fn whole_seconds(wait: Duration) -> u64 {
    let has_fraction = wait.subsec_nanos() > 0;
    wait.as_secs()
        .saturating_add(u64::from(has_fraction))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn buckets(per_s: u32, burst: u32) -> Buckets<&'static str> {
        Buckets::new(Rate { per_s, burst })
    }

    fn take(buckets: &Buckets<&'static str>, key: &'static str, ms: u64) -> Result<(), u128> {
        let now = START + Duration::from_millis(ms);
        let checked = buckets.check(&key, || now);
        if checked.is_ok() {
            buckets.charge(key, 1, || now);
        }
        checked.map_err(|wait| wait.as_millis())
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let two = buckets(2, 3);
        for _ in 0..3 {
            assert_eq!(take(&two, "a", 0), Ok(()));
        }
        assert_eq!(take(&two, "a", 0), Err(500));
        assert_eq!(
            take(&two, "b", 0),
            Ok(()),
            "another caller has its own bucket"
        );
        assert_eq!(take(&two, "a", 400), Err(100));
        assert_eq!(take(&two, "a", 500), Ok(()));
        assert_eq!(take(&two, "a", 500), Err(500));
        for _ in 0..3 {
            assert_eq!(take(&two, "a", 60_000), Ok(()), "no more than full");
        }
        assert_eq!(take(&two, "a", 60_000), Err(500));
    }

    #[test]
    fn a_bucket_may_go_negative() {
        let ten = buckets(10, 5);
        assert_eq!(take(&ten, "a", 0), Ok(()));
        ten.charge("a", 1000, || START);
        assert_eq!(take(&ten, "a", 0), Err(99_700));
        assert_eq!(take(&ten, "a", 99_700), Ok(()));
    }

    #[test]
    fn no_limit() {
        let none = buckets(0, 0);
        none.charge("a", u32::MAX, || START);
        assert_eq!(take(&none, "a", 0), Ok(()));
        assert!(none.levels.lock().unwrap().full_at.is_empty());
    }

    #[test]
    fn full_buckets_are_removed() {
        let many = Buckets::new(Rate { per_s: 1, burst: 1 });
        for key in 0..SWEEP_AT {
            many.charge(key, 1, || START);
        }
        many.charge(SWEEP_AT, 1, || START + Duration::from_secs(2));
        assert_eq!(many.levels.lock().unwrap().full_at.len(), 1);
    }

    #[test]
    fn the_number_of_buckets_has_a_limit() {
        let many = Buckets::new(Rate { per_s: 1, burst: 1 });
        for key in 0..=MAX_BUCKETS {
            many.charge(key, 1, || START);
        }
        assert_eq!(many.levels.lock().unwrap().full_at.len(), MAX_BUCKETS);
        assert!(many.check(&0, || START).is_err());
        assert!(many.check(&MAX_BUCKETS, || START).is_ok());
    }

    #[test]
    fn seconds_are_rounded_up_and_at_least_one() {
        for (ms, expected) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (99_700, 100)] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), expected);
        }
    }
}
