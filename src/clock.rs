//! Time and randomness: the only module that reads the system clock and the random source.

use std::sync::Mutex;

use jiff::Timestamp;
use uuid::{ContextV7, Uuid};

/// A source of time and ids: [`SystemClock`], or [`TestClock`] in tests.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Returns a new UUIDv7, greater than every id that this clock returned before.
    fn new_id(&self) -> String;
}

/// The system clock.
#[derive(Debug, Default)]
pub struct SystemClock {
    ids: Mutex<ContextV7>,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the clock is the only caller")]
        Timestamp::now()
    }

    fn new_id(&self) -> String {
        new_id_at(self.now(), &self.ids)
    }
}

/// A clock that only moves when it is set.
#[derive(Debug)]
pub struct TestClock {
    now: Mutex<Timestamp>,
    ids: Mutex<ContextV7>,
}

impl TestClock {
    /// Creates a clock that is set to this time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now: Mutex::new(now),
            ids: Mutex::default(),
        }
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.now) = now;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *lock(&self.now)
    }

    fn new_id(&self) -> String {
        new_id_at(self.now(), &self.ids)
    }
}

fn new_id_at(now: Timestamp, ids: &Mutex<ContextV7>) -> String {
    let context = lock(ids);
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos)).to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns bytes from the operating system's random source.
///
/// # Errors
/// Returns an error if the random source is unavailable.
pub fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_only_grow() {
        let clock = TestClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let ids: Vec<String> = (0..1000).map(|_| clock.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
