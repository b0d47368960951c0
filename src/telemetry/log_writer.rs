//! Writes log lines to standard error, many with one system call.
//!
//! A request must not pay a system call for its log line. A thread writes the first line after a
//! pause at once, and under load everything that was logged in the meantime. Warnings and errors
//! are written before the caller continues. [Decision
//! 25](../../docs/decisions/0025-log-writer-and-slow-clients.md) compares this with
//! `tracing-appender`.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of pending bytes above which the caller writes them itself: a slow reader of the log
/// slows requests down, instead of filling the memory.
const MAX_PENDING_BYTES: usize = 1 << 20;
/// The capacity that the buffers retain.
const RETAINED_BYTES: usize = 1 << 16;
/// The least time between two writes of the thread.
const WRITE_INTERVAL: Duration = Duration::from_millis(10);

/// A handle for writing log lines.
#[derive(Debug, Clone)]
pub struct LogWriter(Arc<LogBuffers>);

#[derive(Debug, Default)]
struct LogBuffers {
    pending: Mutex<Vec<u8>>,
    not_empty: Condvar,
    /// The bytes that are being written. Its lock keeps the lines in order.
    writing: Mutex<Vec<u8>>,
}

/// The time at which a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// By the thread, while the caller continues.
    Deferred,
    /// Before the caller continues.
    Immediate,
}

impl LogWriter {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Returns an error if the operating system cannot start a thread.
    pub fn start() -> std::io::Result<Self> {
        let writer = Self(Arc::default());
        let thread_writer = writer.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || thread_writer.run())?;
        Ok(writer)
    }

    /// Adds a whole line.
    pub fn push(&self, line: &[u8], urgency: Urgency) {
        let mut pending = lock(&self.0.pending);
        let was_empty = pending.is_empty();
        pending.extend_from_slice(line);
        let is_full = pending.len() > MAX_PENDING_BYTES;
        drop(pending);
        if is_full || urgency == Urgency::Immediate {
            self.flush();
        } else if was_empty {
            self.0.not_empty.notify_one();
        }
    }

    /// Writes the pending lines.
    pub fn flush(&self) {
        let mut writing = lock(&self.0.writing);
        std::mem::swap(&mut *writing, &mut *lock(&self.0.pending));
        // An error cannot be reported anywhere.
        let _ = std::io::stderr().write_all(&writing);
        writing.clear();
        writing.shrink_to(RETAINED_BYTES);
    }

    /// Writes pending lines as they arrive; does not return.
    fn run(&self) {
        loop {
            let mut pending = lock(&self.0.pending);
            while pending.is_empty() {
                pending = self
                    .0
                    .not_empty
                    .wait(pending)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(pending);
            self.flush();
            std::thread::sleep(WRITE_INTERVAL);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
