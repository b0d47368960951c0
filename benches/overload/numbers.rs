//! Conversions of numbers.

use std::time::Duration;

pub fn per_second(count: usize, time: Duration) -> f64 {
    fraction(count) / time.as_secs_f64()
}

/// Converts a number for fractional arithmetic.
pub fn fraction(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
