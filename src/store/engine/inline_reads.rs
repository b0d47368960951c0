//! Connections that read on the thread of the request. SQLite only.
//!
//! A lookup by an index takes a few microseconds there. Handing it to another thread and waiting
//! for the result takes several times that. Longer reads go to the readers, so that they do not
//! block other requests of the thread.
//!
//! Taking and releasing SQLite's locks takes about as long as the lookup. So lookups that follow
//! each other closely share a read transaction. The state that they see is the newest, because the
//! transaction ends when something is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::store::engine::budget;
use crate::store::engine::conn::Role;
use crate::store::engine::job::panicked;
use crate::store::engine::session::{Backoff, Session};
use crate::store::engine::statement::Statement;
use crate::store::{Conn, DatabaseUrl, StoreError};

/// The longest life of a shared transaction. Writes of this process end it at once. A write by a
/// command in another process becomes visible after this time at the latest.
const SHARED_FOR: Duration = Duration::from_millis(1);
/// The longest time of a lookup here, because other requests of the thread wait meanwhile. A user
/// in thousands of groups takes longer, and so does a value that thousands of users share.
const LONGEST: Duration = Duration::from_millis(10);
/// Lookups that are further apart share no transaction.
const CLOSE: Duration = Duration::from_micros(100);

/// The connections. Each thread prefers one of its own, so that two threads rarely compete.
#[derive(Debug, Default)]
pub(in crate::store) struct InlineReaders {
    slots: Vec<Slot>,
    writes: Arc<WriteCounter>,
}

/// Empty once the store is closed.
type Slot = Mutex<Option<InlineReader>>;

#[derive(Debug)]
struct InlineReader {
    session: Session,
    last_used: Instant,
    /// The open transaction.
    shared: Option<SharedTransaction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SharedTransaction {
    /// The count of [`WriteCounter`] at its start.
    writes: u64,
    since: Instant,
}

/// Counts the starts and ends of the writer's batches: odd while SQLite's only writer works.
#[derive(Debug, Default)]
pub(in crate::store) struct WriteCounter(AtomicU64);

impl WriteCounter {
    /// Called before a batch is written, and after it, before any of its callers is answered.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns `None` during a write. No transaction is shared then: readers of an old state would
    /// keep the log from being checkpointed.
    fn at_rest(&self) -> Option<u64> {
        let count = self.0.load(Ordering::SeqCst);
        count.is_multiple_of(2).then_some(count)
    }
}

impl InlineReaders {
    pub fn open(
        url: &DatabaseUrl,
        connections: usize,
        writes: &Arc<WriteCounter>,
    ) -> Result<Self, StoreError> {
        let pauses = Backoff::default();
        let slot = |_| {
            let reader = InlineReader {
                session: Session::open(url, Role::Inline, &pauses)?,
                last_used: Instant::now(),
                shared: None,
            };
            Ok(Mutex::new(Some(reader)))
        };
        let slots: Result<_, StoreError> = (0..connections).map(slot).collect();
        Ok(Self {
            slots: slots?,
            writes: Arc::clone(writes),
        })
    }

    /// Runs one statement on the calling thread. Returns `None` if all connections are in use, the
    /// database is locked for a moment, or the statement takes longer than [`LONGEST`]: a reader
    /// waits longer.
    pub fn run<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        self.with_reader(|reader| work(reader.session.connected()?))
    }

    /// Like [`InlineReaders::run`], for several statements that see one state of the database.
    pub fn run_transaction<T, E: From<StoreError>>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> Option<Result<Result<T, E>, StoreError>> {
        self.with_reader(|reader| {
            let is_begun = reader.shared.is_some();
            let conn = reader.session.connected()?;
            if !is_begun {
                begin(conn)?;
            }
            let result = catch_unwind(AssertUnwindSafe(|| work(conn)));
            let is_out_of_time = matches!(result, Ok(Err(_))) && budget::is_over();
            if !is_begun {
                end(conn)?;
            }
            if is_out_of_time {
                return Err(StoreError::OutOfTime);
            }
            Ok(result.unwrap_or_else(|panic| Err(panicked(&*panic).into())))
        })
    }

    fn with_reader<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut InlineReader) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let (index, mut slot) = self.free_slot()?;
        let reader = slot.as_mut()?;
        let writes = self.writes.at_rest();
        // Unwind safe: after a panic or an error the connection is dropped.
        let done = catch_unwind(AssertUnwindSafe(|| {
            let begun = reader.refresh(writes)?;
            Ok((budget::within(LONGEST, || work(reader))?, begun))
        }));
        let result = done.unwrap_or_else(|panic| Err(panicked(&*panic)));
        match &result {
            Ok((_, Some(shared))) => self.end_later(index, *shared, reader),
            Ok((_, None)) => {}
            // The connection is intact.
            Err(StoreError::OutOfTime) => reader.end(),
            Err(_) => reader.discard(),
        }
        match result {
            Err(StoreError::Busy | StoreError::OutOfTime) => None,
            result => Some(result.map(|(found, _)| found)),
        }
    }

    /// Ends the transaction in time, even if no other lookup follows.
    fn end_later(
        self: &Arc<Self>,
        index: usize,
        shared: SharedTransaction,
        reader: &mut InlineReader,
    ) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            reader.end();
            return;
        };
        let readers = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(SHARED_FOR).await;
            if let Some(slot) = readers.slots.get(index)
                && let Some(reader) = &mut *slot.lock().unwrap_or_else(PoisonError::into_inner)
                && reader.shared == Some(shared)
            {
                reader.end();
            }
        });
    }

    /// Closes the connections, each when it is free.
    pub fn close(&self) {
        for slot in &self.slots {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn free_slot(&self) -> Option<(usize, MutexGuard<'_, Option<InlineReader>>)> {
        let count = self.slots.len();
        let first = PREFERRED.with(|index| *index) % count.max(1);
        let mut indexes = (first..count).chain(0..first);
        indexes.find_map(|index| Some((index, try_lock(self.slots.get(index)?)?)))
    }
}

fn try_lock(slot: &Slot) -> Option<MutexGuard<'_, Option<InlineReader>>> {
    match slot.try_lock() {
        Ok(slot) => Some(slot),
        Err(TryLockError::Poisoned(slot)) => Some(slot.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl InlineReader {
    /// Keeps the open transaction if its state is the newest, and ends it otherwise. Returns the
    /// new transaction, if this begins one.
    fn refresh(&mut self, writes: Option<u64>) -> Result<Option<SharedTransaction>, StoreError> {
        let now = Instant::now();
        let is_close = now.duration_since(self.last_used) < CLOSE;
        self.last_used = now;
        if let Some(shared) = self.shared {
            if writes == Some(shared.writes) && now.duration_since(shared.since) < SHARED_FOR {
                return Ok(None);
            }
            self.end();
        }
        let Some(writes) = writes.filter(|_| is_close) else {
            return Ok(None);
        };
        begin(self.session.connected()?)?;
        self.shared = Some(SharedTransaction { writes, since: now });
        Ok(self.shared)
    }

    fn end(&mut self) {
        if self.shared.take().is_none() {
            return;
        }
        if self.session.connected().and_then(end).is_err() {
            self.discard();
        }
    }

    fn discard(&mut self) {
        self.shared = None;
        self.session.discard();
    }
}

fn begin(conn: &mut Conn) -> Result<(), StoreError> {
    static BEGIN: Statement = Statement::new("BEGIN");
    BEGIN.bind(&[]).execute(conn)?;
    Ok(())
}

fn end(conn: &mut Conn) -> Result<(), StoreError> {
    static END: Statement = Statement::new("ROLLBACK");
    END.bind(&[]).execute(conn)?;
    Ok(())
}

/// The number of threads that have read so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The slot that this thread tries first.
    static PREFERRED: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::lookup::{self, LookupKey, LookupShape};
    use crate::store::tables::counts;
    use crate::store::testing::{TENANT, id, user, with_store};
    use crate::store::{Backend, Store};

    async fn is_there(store: &Arc<Store>, name: &str) -> bool {
        let name = name.to_owned();
        let shape = LookupShape {
            resource_type: "User".to_owned(),
            groups: true,
        };
        let find =
            move |conn: &mut Conn| lookup::find(conn, TENANT, &shape, &LookupKey::Id(id(&name)));
        store
            .look_up(TENANT, find)
            .await
            .unwrap()
            .resource
            .is_some()
    }

    fn shares(store: &Store) -> bool {
        let slots = store.inline.slots.iter();
        let mut readers = slots.map(|slot| slot.lock().unwrap());
        readers.any(|reader| {
            reader
                .as_ref()
                .is_some_and(|reader| reader.shared.is_some())
        })
    }

    #[test]
    fn answered_writes_are_visible_during_other_lookups() {
        with_store(|store| async move {
            for number in 0..100 {
                let name = format!("u{number}");
                let others: Vec<_> = (0..20)
                    .map(|_| {
                        let (store, name) = (Arc::clone(&store), name.clone());
                        tokio::spawn(async move { is_there(&store, &name).await })
                    })
                    .collect();
                assert!(!is_there(&store, &name).await);
                store.put(vec![user(&name)]).await;
                assert!(is_there(&store, &name).await);
                let count = store.query_short(TENANT, |conn| counts::of(conn, TENANT, "User"));
                assert_eq!(count.await.unwrap().live, number + 1);
                for other in others {
                    other.await.unwrap();
                }
            }
        });
    }

    #[test]
    fn a_transaction_is_shared_for_a_moment() {
        with_store(|store| async move {
            if store.backend() == Backend::Postgres {
                return;
            }
            let mut tries = 0;
            while !shares(&store) {
                assert!(!is_there(&store, "nobody").await);
                tries += 1;
                assert!(tries < 100_000, "no transaction is shared");
            }
            // An error of the work itself is not one of the connection.
            let refused = store.query_short(TENANT, |_| {
                Err::<(), _>(StoreError::internal("by the work"))
            });
            assert!(refused.await.is_err());
            while shares(&store) {
                tokio::task::yield_now().await;
            }
        });
    }
}
