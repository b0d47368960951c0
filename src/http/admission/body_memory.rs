//! Limits on request bodies: size, time, and total buffered memory.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::http::error::ApiError;
use crate::memory::MemoryBudget;
use crate::service;
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

/// The memory that the bodies of all requests share, and the threads that parse large ones.
#[derive(Clone)]
pub struct BodyMemory {
    pub budget: Arc<MemoryBudget>,
    parsers: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

impl BodyMemory {
    /// Creates a budget of this many bytes and as many parsers as there are cores, up to four: each
    /// may need the memory of its body once more.
    pub fn new(bytes: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            budget: MemoryBudget::new(bytes),
            parsers: Arc::new(Semaphore::new(cores.min(MAX_PARSERS))),
            decoders: Arc::new(Semaphore::new(MAX_DECODERS)),
        }
    }

    /// Takes one of the decoders of compressed bodies, which need memory of their own.
    ///
    /// # Errors
    /// [`ApiError::BodyMemoryFull`] if all are in use.
    pub fn decoder(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let decoder = Arc::clone(&self.decoders).try_acquire_owned();
        decoder.map_err(|_| ApiError::BodyMemoryFull)
    }

    /// Runs work on a large body on a thread of its own when one is free.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let parser = Arc::clone(&self.parsers).acquire_owned().await;
        let work = move || {
            let _parser = parser;
            work()
        };
        spawn_blocking(work)
            .await
            .map_err(service::Error::internal)?
    }
}

/// The most bodies that are parsed at the same time.
const MAX_PARSERS: usize = 4;
/// The most compressed bodies that are received at the same time. A decoder has some 80 KiB.
const MAX_DECODERS: usize = 256;

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
}
