//! The time that a query may take: all its statements, and what is computed between them.
//!
//! SQLite interrupts a statement at the deadline of the thread. PostgreSQL has a time-out for each
//! statement, which the transaction begins with; it is lowered while the query uses its time up.

use std::cell::Cell;
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::connection::SimpleConnection as _;
use diesel::result::Error;

use crate::store::engine::error::OutOfTime;
use crate::store::{Conn, StoreError};

thread_local! {
    /// The time-out of statements in the current transaction on PostgreSQL.
    static TIMEOUT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Runs `work` on the calling thread, with this time for all its statements.
pub(in crate::store) fn within<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    TIMEOUT.set(limit);
    let now = Instant::now();
    sqlite_deadline::within(now.checked_add(limit).unwrap_or(now), work)
}

/// Returns whether the current query has used its time up.
pub(in crate::store) fn is_over() -> bool {
    sqlite_deadline::is_over()
}

/// Fails if the current query has used its time up. For loops that compute without statements.
///
/// # Errors
/// [`StoreError::OutOfTime`].
pub fn check() -> Result<(), StoreError> {
    if is_over() {
        Err(StoreError::OutOfTime)
    } else {
        Ok(())
    }
}

/// Prepares for the next statement of the current query: fails if no time is left.
pub(in crate::store) fn prepare(conn: &mut Conn) -> QueryResult<()> {
    let Some(left) = time_left()? else {
        return Ok(());
    };
    let timeout = TIMEOUT.get();
    // A quick query needs no statement of its own for this, and a slow one only a few.
    let is_near = left.saturating_add(timeout / 8) >= timeout;
    if let Conn::Postgres(conn) = conn
        && !is_near
    {
        conn.batch_execute(&set_timeout(left))?;
        TIMEOUT.set(left);
    }
    Ok(())
}

/// The statement that limits the others of its transaction on PostgreSQL.
pub(in crate::store) fn set_timeout(limit: Duration) -> String {
    format!(
        "SET LOCAL statement_timeout = {}",
        limit.as_millis().clamp(1, 2_000_000_000)
    )
}

fn time_left() -> QueryResult<Option<Duration>> {
    let Some(deadline) = sqlite_deadline::current() else {
        return Ok(None);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::QueryBuilderError(Box::new(OutOfTime)));
    }
    Ok(Some(left))
}
