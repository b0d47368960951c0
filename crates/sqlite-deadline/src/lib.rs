//! A deadline for the work of a thread, at which SQLite interrupts its statements.
//!
//! diesel 2.3 gives no access to SQLite's handle, so that its progress handler cannot be set.
//! SQLite itself calls an *automatic extension* with the handle of each connection that is opened,
//! and that sets the handler here. The handler reads the deadline of the thread that runs the
//! statement, so nothing of a connection is stored.
//!
//! diesel's `SqliteConnection::on_progress` replaces this package once a version that has it is
//! released.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::time::Instant;

use libsqlite3_sys as ffi;

/// The number of instructions of SQLite's virtual machine between two checks: some ten microseconds.
/// A lookup of one row takes fewer.
const INSTRUCTIONS: c_int = 1000;

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// SQLite has no memory to register the extension.
#[derive(Debug, thiserror::Error)]
#[error("SQLite cannot register an extension (result code {0})")]
pub struct NotInstalled(c_int);

/// Makes all connections that are opened from now on obey deadlines. Repeated calls do nothing.
///
/// # Errors
/// [`NotInstalled`] if SQLite is out of memory.
#[expect(unsafe_code, reason = "FFI; see SAFETY")]
pub fn install() -> Result<(), NotInstalled> {
    // SAFETY: the function has the signature that SQLite calls it with, and lives as long as the
    // process. SQLite serialises concurrent calls and ignores an extension that is registered.
    let result = unsafe { ffi::sqlite3_auto_extension(Some(watch)) };
    if result == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(NotInstalled(result))
    }
}

/// Runs `work` with a deadline for the calling thread, or with the present one if that is earlier.
pub fn within<T>(deadline: Instant, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Instant>);
    impl Drop for Restore {
        fn drop(&mut self) {
            DEADLINE.set(self.0);
        }
    }
    let before = DEADLINE.get();
    let _restore = Restore(before);
    DEADLINE.set(Some(before.map_or(deadline, |before| before.min(deadline))));
    work()
}

/// Returns the deadline of the calling thread, if there is one.
#[must_use]
pub fn current() -> Option<Instant> {
    DEADLINE.get()
}

/// Returns whether the deadline of the calling thread has passed.
#[must_use]
pub fn is_over() -> bool {
    current().is_some_and(|deadline| Instant::now() >= deadline)
}

/// The extension: sets the progress handler of a new connection.
#[expect(unsafe_code, reason = "FFI; see SAFETY")]
extern "C" fn watch(
    connection: *mut ffi::sqlite3,
    _message: *mut *mut c_char,
    _routines: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: SQLite passes the handle of the connection that it is opening. The handler has the
    // right signature, lives as long as the process and ignores its argument.
    unsafe {
        ffi::sqlite3_progress_handler(
            connection,
            INSTRUCTIONS,
            Some(progress),
            std::ptr::null_mut(),
        );
    }
    ffi::SQLITE_OK
}

/// Returns a value other than 0 to interrupt the statement. It cannot panic, which would abort the
/// process.
extern "C" fn progress(_argument: *mut c_void) -> c_int {
    let deadline = DEADLINE.try_with(Cell::get).ok().flatten();
    c_int::from(deadline.is_some_and(|deadline| Instant::now() >= deadline))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earlier_deadline_counts_and_the_former_returns() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        assert_eq!(current(), None);
        within(now, || {
            assert_eq!(current(), Some(now));
            assert!(is_over());
            within(later, || assert_eq!(current(), Some(now)));
        });
        within(later, || {
            assert!(!is_over());
            within(now, || assert!(is_over()));
            assert_eq!(current(), Some(later));
        });
        let panicked = std::panic::catch_unwind(|| within(now, || assert!(!is_over())));
        assert!(panicked.is_err());
        assert_eq!(current(), None);
    }
}
