//! Connections that work on the thread that asks. SQLite only.
//!
//! A lookup by an index takes a few microseconds there, and to hand it to another thread and wait for the answer takes
//! several times that. What may take longer goes to the readers, so that it holds up nobody else's requests.
//!
//! To take and give back the locks of a read takes about as long as the lookup. So requests that come close upon each other
//! share them: they read one state of the database, which is the newest, for nothing was written meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use diesel::sql_types::Untyped;

use crate::store::engine::conn::Role;
use crate::store::engine::job::panicked;
use crate::store::engine::session::{Backoff, Session};
use crate::store::engine::sql::{Fixed, Prepared};
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};

/// How long a state is shared. This process tells when there is a newer one; a command that writes into the same file does
/// not, and what it has done is seen after this time at the latest.
const SHARED_FOR: Duration = Duration::from_millis(1);
/// Lookups further apart than this share nothing: there is nobody to share with.
const CLOSE: Duration = Duration::from_micros(100);

/// The connections. Each thread begins with one of its own, so that two seldom meet.
#[derive(Debug, Default)]
pub(in crate::store) struct InlineReaders {
    places: Vec<Slot>,
    writes: Arc<Writes>,
}

/// Empty once the store is closed.
type Slot = Mutex<Option<SlotState>>;

#[derive(Debug)]
struct SlotState {
    session: Session,
    last_used: Instant,
    /// The transaction that is open.
    shared: Option<Shared>,
}

/// A state of the database that several read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shared {
    writes: u64,
    since: Instant,
}

/// How often the writer, of which SQLite has one, has begun and ended: an odd number where it is at work.
#[derive(Debug, Default)]
pub(in crate::store) struct Writes(AtomicU64);

impl Writes {
    /// Said before something is written, and after it, before anybody is told of it.
    pub fn turn(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// `None` while something is written. Then no state is shared: whoever reads an old one keeps the log from being written
    /// back.
    fn at_rest(&self) -> Option<u64> {
        let count = self.0.load(Ordering::SeqCst);
        count.is_multiple_of(2).then_some(count)
    }
}

impl InlineReaders {
    pub fn open(
        url: &DatabaseUrl,
        connections: usize,
        writes: &Arc<Writes>,
    ) -> Result<Self, StoreError> {
        let pauses = Backoff::default();
        let place = |_| {
            let desk = SlotState {
                session: Session::open(url, Role::Direct, &pauses)?,
                last_used: Instant::now(),
                shared: None,
            };
            Ok(Mutex::new(Some(desk)))
        };
        let places: Result<_, StoreError> = (0..connections).map(place).collect();
        Ok(Self {
            places: places?,
            writes: Arc::clone(writes),
        })
    }

    /// Runs one statement here and now. `None` where all connections are in use, or the database is locked for a moment: the
    /// readers have more patience.
    pub fn run<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        self.at_desk(|desk| work(desk.session.connected()?))
    }

    /// The same for several statements, which see one state of the database.
    pub fn run_transaction<T, E: From<StoreError>>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Conn) -> Result<T, E>,
    ) -> Option<Result<Result<T, E>, StoreError>> {
        self.at_desk(|desk| {
            let is_begun = desk.shared.is_some();
            let conn = desk.session.connected()?;
            if !is_begun {
                begin(conn)?;
            }
            let result = catch_unwind(AssertUnwindSafe(|| work(conn)));
            if !is_begun {
                end(conn)?;
            }
            Ok(result.unwrap_or_else(|panic| Err(panicked(&*panic).into())))
        })
    }

    fn at_desk<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut SlotState) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let (number, mut place) = self.free()?;
        let desk = place.as_mut()?;
        let writes = self.writes.at_rest();
        // Safe to go on after a panic or a fault: the connection is given up.
        let done = catch_unwind(AssertUnwindSafe(|| {
            let begun = desk.refresh(writes)?;
            Ok((work(desk)?, begun))
        }));
        let result = done.unwrap_or_else(|panic| Err(panicked(&*panic)));
        match &result {
            Ok((_, Some(shared))) => self.end_later(number, *shared, desk),
            Ok((_, None)) => {}
            Err(_) => desk.give_up(),
        }
        match result {
            Err(StoreError::Busy) => None,
            result => Some(result.map(|(found, _)| found)),
        }
    }

    /// Sees to it that the transaction ends, also where nobody comes who would end it.
    fn end_later(self: &Arc<Self>, number: usize, shared: Shared, desk: &mut SlotState) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            desk.end();
            return;
        };
        let direct = Arc::clone(self);
        runtime.spawn(async move {
            tokio::time::sleep(SHARED_FOR).await;
            if let Some(place) = direct.places.get(number)
                && let Some(desk) = &mut *place.lock().unwrap_or_else(PoisonError::into_inner)
                && desk.shared == Some(shared)
            {
                desk.end();
            }
        });
    }

    /// Closes the connections, once they are free.
    pub fn close(&self) {
        for place in &self.places {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn free(&self) -> Option<(usize, MutexGuard<'_, Option<SlotState>>)> {
        fn free(place: &Slot) -> Option<MutexGuard<'_, Option<SlotState>>> {
            match place.try_lock() {
                Ok(place) => Some(place),
                Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
        let count = self.places.len();
        let first = TURN.with(|turn| *turn) % count.max(1);
        let mut numbers = (first..count).chain(0..first);
        numbers.find_map(|number| Some((number, free(self.places.get(number)?)?)))
    }
}

impl SlotState {
    /// Goes on with the state at hand where it is the newest, or ends it. Answers the next one, where it has begun that.
    fn refresh(&mut self, writes: Option<u64>) -> Result<Option<Shared>, StoreError> {
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
        self.shared = Some(Shared { writes, since: now });
        Ok(self.shared)
    }

    fn end(&mut self) {
        if self.shared.take().is_none() {
            return;
        }
        if self.session.connected().and_then(end).is_err() {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.shared = None;
        self.session.discard();
    }
}

struct Begin;
struct End;

impl Fixed for Begin {
    type Row = Untyped;

    fn text(_: Backend) -> &'static [&'static str] {
        &["BEGIN"]
    }
}

impl Fixed for End {
    type Row = Untyped;

    fn text(_: Backend) -> &'static [&'static str] {
        &["ROLLBACK"]
    }
}

fn begin(conn: &mut Conn) -> Result<(), StoreError> {
    Prepared::<Begin, 0>::new([]).execute(conn)?;
    Ok(())
}

fn end(conn: &mut Conn) -> Result<(), StoreError> {
    Prepared::<End, 0>::new([]).execute(conn)?;
    Ok(())
}

/// The number of the next thread.
static NEXT_TURN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins to look.
    static TURN: usize = NEXT_TURN.fetch_add(1, Ordering::Relaxed);
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
        let what = LookupShape {
            resource_type: "User".to_owned(),
            groups: true,
        };
        let find =
            move |conn: &mut Conn| lookup::one(conn, TENANT, &what, &LookupKey::Id(id(&name)));
        let sight = store.look_up(find).await;
        sight.unwrap().shown.is_some()
    }

    fn shares(store: &Store) -> bool {
        let places = store.direct.places.iter();
        let mut desks = places.map(|place| place.lock().unwrap());
        desks.any(|desk| desk.as_ref().is_some_and(|desk| desk.shared.is_some()))
    }

    #[test]
    fn what_was_answered_is_seen_whoever_looks_meanwhile() {
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
                let count = store.read_short(|conn| counts::of(conn, TENANT, "User"));
                assert_eq!(count.await.unwrap().live, number + 1);
                for other in others {
                    other.await.unwrap();
                }
            }
        });
    }

    #[test]
    fn a_state_is_shared_for_a_moment() {
        with_store(|store| async move {
            if store.backend() == Backend::Postgres {
                return;
            }
            let mut tries = 0;
            while !shares(&store) {
                assert!(!is_there(&store, "nobody").await);
                tries += 1;
                assert!(tries < 100_000, "nothing is shared");
            }
            // What the work makes of what it found is no fault of the connection.
            let refused = store.read_short(|_| Err::<(), _>(StoreError::internal("as it wants")));
            assert!(refused.await.is_err());
            while shares(&store) {
                tokio::task::yield_now().await;
            }
        });
    }
}
