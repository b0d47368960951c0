//! The limits of queries, and how readers are shared, with queries that block until the test lets
//! them go on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::sql_types::BigInt;
use tokio::task::JoinHandle;

use crate::store::engine::budget;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::tables::{changes, resources};
use crate::store::testing::{Fresh, TENANT, block_on, id, on_each, user};
use crate::store::{Config, Conn, Store, StoreError, TenantId, Tx};

const OTHER: TenantId = TenantId(2);

/// A store whose queries may take `query_ms` and wait `wait_ms`.
fn open(fresh: &Fresh, query_ms: u64, wait_ms: u64) -> Arc<Store> {
    let config = Config {
        readers: 2,
        lookup_readers: 1,
        // So that lookups on SQLite need a reader too.
        inline_readers: 0,
        query_time: Duration::from_millis(query_ms),
        wait: Duration::from_millis(wait_ms),
        ..fresh.config.clone()
    };
    Arc::new(Store::open(&config).unwrap())
}

fn count_endlessly(conn: &mut Conn) -> Result<(), StoreError> {
    static ENDLESS: Statement<BigInt> = Statement::new(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT n.i + 1 FROM n) SELECT count(*) FROM n",
    );
    let _: i64 = ENDLESS.bind(&[]).fetch_one(conn)?;
    Ok(())
}

fn read_endlessly(conn: &mut Conn) -> Result<(), StoreError> {
    loop {
        changes::after(conn, TENANT, 0, 10)?;
    }
}

fn compute_endlessly(_: &mut Conn) -> Result<(), StoreError> {
    loop {
        budget::check()?;
    }
}

#[test]
fn a_query_is_stopped_when_its_time_is_up() {
    on_each(|fresh| {
        let store = open(fresh, 250, 60_000);
        block_on(async {
            store.put(vec![user("a")]).await;
            for work in [count_endlessly, read_endlessly, compute_endlessly] {
                let stopped = store.query(TENANT, work).await;
                assert!(matches!(stopped, Err(StoreError::OutOfTime)), "{stopped:?}");
                // The connection goes on, and the next query has all its time.
                for _ in 0..4 {
                    let read = |conn: &mut Conn| changes::after(conn, TENANT, 0, 10);
                    assert_eq!(store.query(TENANT, read).await.unwrap().len(), 0);
                    assert_eq!(store.read(read).await.unwrap().len(), 0);
                }
            }
        });
        store.close();
    });
}

/// A query that blocks its reader until the sender is dropped.
struct Blocked {
    running: JoinHandle<Result<(), StoreError>>,
    begun: Receiver<()>,
    release: Sender<()>,
}

impl Blocked {
    fn start(store: &Arc<Store>, tenant: TenantId) -> Self {
        let (begin, begun) = channel();
        let (release, released) = channel::<()>();
        // A receiver can be sent to another thread, but not shared.
        let released = Mutex::new(released);
        let store = Arc::clone(store);
        let running = tokio::spawn(async move {
            let work = move |_: &mut Conn| {
                begin.send(()).unwrap();
                // Fails once the test drops the other end.
                let _ = released.lock().unwrap().recv();
                Ok::<_, StoreError>(())
            };
            store.query(tenant, work).await
        });
        Self {
            running,
            begun,
            release,
        }
    }

    async fn has_begun(&self) -> bool {
        for _ in 0..1000 {
            if self.begun.try_recv().is_ok() {
                return true;
            }
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        false
    }

    /// Starts one and waits until it blocks a reader. On a slow machine it may be given up before.
    async fn begin(store: &Arc<Store>, tenant: TenantId) -> Self {
        loop {
            let blocked = Self::start(store, tenant);
            while !blocked.running.is_finished() {
                if blocked.has_begun().await {
                    return blocked;
                }
            }
        }
    }

    async fn end(self) -> Result<(), StoreError> {
        drop(self.release);
        self.running.await.unwrap()
    }
}

fn no_changes(conn: &mut Conn) -> Result<usize, StoreError> {
    Ok(changes::after(conn, TENANT, 0, 10)?.len())
}

#[test]
fn one_tenant_does_not_get_all_readers() {
    on_each(|fresh| {
        let store = open(fresh, 60_000, 60_000);
        block_on(async {
            let slow = Blocked::begin(&store, TENANT).await;
            let waiting: Vec<_> = (0..8).map(|_| Blocked::start(&store, TENANT)).collect();
            for next in &waiting {
                assert!(!next.has_begun().await);
            }
            // Another tenant, the service itself and lookups have readers.
            assert_eq!(store.query(OTHER, no_changes).await.unwrap(), 0);
            assert_eq!(store.read(no_changes).await.unwrap(), 0);
            let other = Blocked::begin(&store, OTHER).await;
            assert_eq!(store.look_up(TENANT, no_changes).await.unwrap(), 0);
            slow.end().await.unwrap();
            other.end().await.unwrap();
            for next in waiting {
                next.end().await.unwrap();
            }
        });
        store.close();
    });
}

#[test]
fn a_read_that_waits_too_long_is_given_up_by_a_timer() {
    on_each(|fresh| {
        let store = open(fresh, 60_000, 20);
        block_on(async {
            let slow = Blocked::begin(&store, TENANT).await;
            // The reader is still blocked when this returns.
            let given_up = store.query(TENANT, no_changes).await;
            assert!(matches!(given_up, Err(StoreError::Busy)), "{given_up:?}");
            slow.end().await.unwrap();
        });
        store.close();
    });
}

/// Blocks the writer until the sender is dropped.
async fn hold_writer(store: &Arc<Store>) -> (JoinHandle<Result<(), StoreError>>, Sender<()>) {
    loop {
        let (begin, begun) = channel();
        let (release, released) = channel::<()>();
        let store = Arc::clone(store);
        let held = tokio::spawn(async move {
            let work = move |_: &mut Tx<'_>| {
                begin.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            };
            store.tx(work).await
        });
        while !held.is_finished() {
            if begun.try_recv().is_ok() {
                return (held, release);
            }
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn a_write_that_waits_too_long_is_given_up_and_not_done() {
    on_each(|fresh| {
        let store = open(fresh, 60_000, 20);
        block_on(async {
            let (held, release) = hold_writer(&store).await;
            let given_up = store.tx(|tx| resources::insert(tx, &user("late"))).await;
            assert!(matches!(given_up, Err(StoreError::Busy)), "{given_up:?}");
            drop(release);
            held.await.unwrap().unwrap();
            // Written after the job that was given up would have been. A slow disk may let it wait
            // too long as well.
            while store.tx(|_| Ok(())).await.is_err() {}
            let find = |conn: &mut Conn| resources::get(conn, TENANT, "User", &id("late"));
            let found = loop {
                if let Ok(found) = store.read(find).await {
                    break found;
                }
            };
            assert_eq!(found, None);
        });
        store.close();
    });
}
