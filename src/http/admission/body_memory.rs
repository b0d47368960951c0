//! Limits on request bodies: size, time, and total buffered memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::http::error::ApiError;
use crate::settings::{bytes, seconds, settings};

settings! {
    /// How large a body may be and how long it may take.
    #[derive(Debug, Clone, Copy)]
    pub struct BodyLimits {
        /// Largest request body, counted after decompression.
        pub size_bytes: usize = setting("body_limit_bytes", bytes(1024..=1 << 30), 16 << 20),
        /// Longest time for a body to arrive, and the longest pause within it.
        pub time: Duration = setting("body_timeout_s", seconds(1..=3600), 30),
        /// For each of these bytes that arrive, the body gets one more second. With 0 it gets none.
        pub bytes_per_s: u64 = setting("body_bytes_per_s", bytes(0..=1 << 30), 64 << 10),
    }
}

impl BodyLimits {
    /// Returns the time that the whole body may take, given the number of bytes received so far.
    pub fn time_for(&self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let earned = bytes
            .saturating_mul(1000)
            .checked_div(self.bytes_per_s)
            .unwrap_or(0);
        self.time.saturating_add(Duration::from_millis(earned))
    }
}

/// The memory that the large bodies of all requests share.
pub struct MemoryBudget {
    available: AtomicUsize,
}

/// Bytes reserved from a [`MemoryBudget`]; dropping it returns them.
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

/// Bodies up to this size need no reservation: the number of requests in flight bounds them.
pub const SMALL_BYTES: usize = 64 * 1024;

impl MemoryBudget {
    /// Creates a budget of this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            available: AtomicUsize::new(bytes),
        }
    }

    /// Reserves memory for a body.
    ///
    /// # Errors
    /// [`ApiError::BodyMemoryFull`] if fewer bytes are available.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation, ApiError> {
        self.available
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |available| {
                available.checked_sub(bytes)
            })
            .map_err(|_| ApiError::BodyMemoryFull)?;
        Ok(Reservation {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget
            .available
            .fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_bytes_extend_the_time() {
        let limits = BodyLimits {
            size_bytes: 1 << 20,
            time: Duration::from_secs(30),
            bytes_per_s: 1000,
        };
        assert_eq!(limits.time_for(0), Duration::from_secs(30));
        assert_eq!(limits.time_for(10_500), Duration::from_millis(40_500));
        let total = BodyLimits {
            bytes_per_s: 0,
            ..limits
        };
        assert_eq!(total.time_for(10_500), Duration::from_secs(30));
    }

    #[test]
    fn dropped_reservations_return_their_bytes() {
        let budget = Arc::new(MemoryBudget::new(100));
        let first = budget.reserve(70).unwrap();
        assert!(budget.reserve(31).is_err());
        let second = budget.reserve(30).unwrap();
        drop((first, second));
        assert!(budget.reserve(100).is_ok());
    }
}
