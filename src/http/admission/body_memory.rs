//! What bodies may take: of size, of time, and of the memory that all of them share.

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
    /// How long the whole may take once so much has come.
    pub fn time_for(&self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let earned = bytes
            .saturating_mul(1000)
            .checked_div(self.bytes_per_s)
            .unwrap_or(0);
        self.time.saturating_add(Duration::from_millis(earned))
    }
}

/// The memory for the large bodies of all requests at once.
pub struct MemoryBudget {
    left: AtomicUsize,
}

/// A part of it, given back when dropped.
pub struct Reservation {
    room: Arc<MemoryBudget>,
    bytes: usize,
}

/// Smaller bodies take no room: there are no more of them than requests at once.
pub const SMALL_BYTES: usize = 64 * 1024;

impl MemoryBudget {
    pub fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    /// # Errors
    /// [`ApiError::NoRoom`].
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<Reservation, ApiError> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map_err(|_| ApiError::NoRoom)?;
        Ok(Reservation {
            room: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.room.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_earns_time() {
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
    fn room_is_given_back() {
        let room = Arc::new(MemoryBudget::new(100));
        let part = room.take(70).unwrap();
        assert!(room.take(31).is_err());
        let other = room.take(30).unwrap();
        drop((part, other));
        assert!(room.take(100).is_ok());
    }
}
