//! Connections that work on the thread that asks. SQLite only.
//!
//! A lookup by an index takes a few microseconds there, and to hand it to another thread and wait for the answer takes
//! several times that. What may take longer goes to the readers, so that it holds up nobody else's requests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use diesel::RunQueryDsl as _;

use crate::store::conn::Role;
use crate::store::job::panicked;
use crate::store::session::{Pauses, Session};
use crate::store::sql::Sql;
use crate::store::{Conn, DatabaseUrl, StoreError};

/// The connections. Each thread begins with one of its own, so that two seldom meet.
#[derive(Debug, Default)]
pub(super) struct Direct(Vec<Place>);

/// Empty once the store is closed.
type Place = Mutex<Option<Session>>;

impl Direct {
    pub fn open(url: &DatabaseUrl, connections: usize) -> Result<Self, StoreError> {
        let pauses = Pauses::default();
        let place = |_| Ok(Mutex::new(Some(Session::open(url, Role::Direct, &pauses)?)));
        (0..connections)
            .map(place)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Runs the work here and now. `None` where all connections are in use, or the database is locked for a moment: the
    /// readers have more patience.
    pub fn run<T>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let mut place = self.free()?;
        let session = place.as_mut()?;
        // Safe to go on after a panic or a fault: the connection is given up.
        let done = catch_unwind(AssertUnwindSafe(|| work(session.connected()?)));
        let result = done.unwrap_or_else(|panic| Err(panicked(&*panic)));
        if result.is_err() {
            session.discard();
        }
        match result {
            Err(StoreError::Busy) => None,
            result => Some(result),
        }
    }

    /// Closes the connections, once they are free.
    pub fn close(&self) {
        for place in &self.0 {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn free(&self) -> Option<MutexGuard<'_, Option<Session>>> {
        fn free(place: &Place) -> Option<MutexGuard<'_, Option<Session>>> {
            match place.try_lock() {
                Ok(place) => Some(place),
                Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
        let first = TURN.with(|turn| *turn) % self.0.len().max(1);
        let (before, from) = self.0.split_at_checked(first)?;
        from.iter().chain(before).find_map(free)
    }
}

/// The number of the next thread.
static NEXT_TURN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins to look.
    static TURN: usize = NEXT_TURN.fetch_add(1, Ordering::Relaxed);
}

/// Runs work of several statements in a transaction, whose ends are kept prepared.
pub(super) fn in_transaction<T, E: From<StoreError>>(
    conn: &mut Conn,
    work: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<Result<T, E>, StoreError> {
    Sql::new("BEGIN").execute(conn)?;
    let result = catch_unwind(AssertUnwindSafe(|| work(conn)));
    Sql::new("ROLLBACK").execute(conn)?;
    Ok(result.unwrap_or_else(|panic| Err(panicked(&*panic).into())))
}
