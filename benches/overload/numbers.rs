//! Numbers as they are reckoned with.

use std::time::Duration;

pub fn per_second(count: usize, time: Duration) -> f64 {
    fraction(count) / time.as_secs_f64()
}

/// A number as a fraction can be reckoned with.
pub fn fraction(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
