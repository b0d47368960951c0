//! Time and randomness: the only caller of "now" and of the random source.

use std::sync::Mutex;

use jiff::Timestamp;
use uuid::{ContextV7, Uuid};

/// What tells the time and hands out ids. The test clock is the second implementation.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// A new UUIDv7, greater than every id that this clock gave before.
    fn new_id(&self) -> String;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock {
    ids: Mutex<ContextV7>,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one caller")]
        Timestamp::now()
    }

    fn new_id(&self) -> String {
        new_id_at(self.now(), &self.ids)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct TestClock {
    now: Mutex<Timestamp>,
    ids: Mutex<ContextV7>,
}

impl TestClock {
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Mutex::new(now),
            ids: Mutex::default(),
        }
    }

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

/// Bytes from the operating system's random source.
///
/// # Errors
/// Where the operating system has none to give.
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
        let clock = TestClock::at(Timestamp::from_second(1_800_000_000).unwrap());
        let ids: Vec<String> = (0..1000).map(|_| clock.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
