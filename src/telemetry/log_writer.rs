//! Lines on their way to standard error: gathered, and written many at a time.
//!
//! A request must not pay a system call for its line of the log. What is quiet for a moment is written at once; under load
//! a thread writes what has come meanwhile. A warning is out before the program goes on.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Beyond this, who logs waits until it is written: a log that is read slowly must not fill the memory.
const MOST_WAITING_BYTES: usize = 1 << 20;
/// Memory that is kept for the next lines.
const MOST_KEPT_BYTES: usize = 1 << 16;
/// The least time between two writes of the thread.
const STEP: Duration = Duration::from_millis(10);

/// Where lines are handed in.
#[derive(Debug, Clone)]
pub struct Lines(Arc<PendingLines>);

#[derive(Debug, Default)]
struct PendingLines {
    waiting: Mutex<Vec<u8>>,
    arrived: Condvar,
    /// Who holds it writes, so that the order stays. It has the memory of what was written before.
    pen: Mutex<Vec<u8>>,
}

/// Whether who logs goes on before the line is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Soon,
    Now,
}

impl Lines {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where there can be no more threads.
    pub fn start() -> std::io::Result<Self> {
        let lines = Self(Arc::default());
        let own = lines.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || own.write_for_ever())?;
        Ok(lines)
    }

    /// Hands in a whole line.
    pub fn push(&self, line: &[u8], urgency: Urgency) {
        let mut waiting = lock(&self.0.waiting);
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line);
        let is_much = waiting.len() > MOST_WAITING_BYTES;
        drop(waiting);
        if is_much || urgency == Urgency::Now {
            self.flush();
        } else if is_first {
            self.0.arrived.notify_one();
        }
    }

    /// Writes what waits.
    pub fn flush(&self) {
        let mut gathered = lock(&self.0.pen);
        std::mem::swap(&mut *gathered, &mut *lock(&self.0.waiting));
        // There is nowhere to complain that the log cannot be written.
        let _ = std::io::stderr().write_all(&gathered);
        gathered.clear();
        gathered.shrink_to(MOST_KEPT_BYTES);
    }

    fn write_for_ever(&self) {
        loop {
            let mut waiting = lock(&self.0.waiting);
            while waiting.is_empty() {
                waiting = self
                    .0
                    .arrived
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            self.flush();
            std::thread::sleep(STEP);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
