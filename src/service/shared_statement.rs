//! A statement whose result callers share, so that a flood of them costs one statement at a time.
//!
//! A caller gets the result of a statement that began after it asked, so it sees no state from
//! before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::store::StoreError;

/// A statement of which one runs at a time.
pub struct SharedStatement {
    /// The least time between the beginnings of two statements.
    interval: Duration,
    /// The number of statements that began.
    begun: AtomicU64,
    /// Held while a statement runs.
    last: Mutex<Last>,
}

/// The last statement that ended. A caller that goes away ends its own early, without a result.
struct Last {
    number: u64,
    began: Option<Instant>,
    result: Result<(), StoreError>,
}

impl SharedStatement {
    /// Creates the state before the first statement.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            begun: AtomicU64::new(0),
            last: Mutex::new(Last {
                number: 0,
                began: None,
                result: Ok(()),
            }),
        }
    }

    /// Returns the result of a statement that begins after this call.
    ///
    /// # Errors
    /// Those of the statement.
    pub async fn run(
        &self,
        statement: impl AsyncFnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let before = self.begun.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        if last.number > before {
            return last.result.clone();
        }
        if let Some(began) = last.began {
            tokio::time::sleep_until(began + self.interval).await;
        }
        last.began = Some(Instant::now());
        let number = self.begun.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let result = statement().await;
        last.number = number;
        last.result.clone_from(&result);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn callers_share_a_statement_that_began_after_they_asked() {
        let shared = SharedStatement::new(Duration::ZERO);
        let (count, ends) = (Cell::new(0), Semaphore::new(0));
        let run = || {
            Box::pin(shared.run(async || {
                count.set(count.get() + 1);
                ends.acquire().await.unwrap().forget();
                match count.get() {
                    1 => Ok(()),
                    _ => Err(StoreError::Busy),
                }
            }))
        };
        let mut first = run();
        assert!((&mut first).now_or_never().is_none());
        // The first has begun, so that these wait for the second.
        let mut others = [run(), run(), run()];
        for other in &mut others {
            assert!(other.now_or_never().is_none());
        }
        assert_eq!(count.get(), 1);
        ends.add_permits(2);
        assert!(first.await.is_ok());
        for other in others {
            assert!(matches!(other.await, Err(StoreError::Busy)));
        }
        assert_eq!(count.get(), 2);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_statement_to_the_next() {
        let shared = SharedStatement::new(Duration::ZERO);
        let mut lost = Box::pin(shared.run(async || std::future::pending().await));
        assert!((&mut lost).now_or_never().is_none());
        let mut next = Box::pin(shared.run(async || Err(StoreError::Busy)));
        assert!((&mut next).now_or_never().is_none());
        drop(lost);
        assert!(matches!(next.await, Err(StoreError::Busy)));
    }
}
