//! The writer: one thread that runs waiting jobs in one transaction, each in a savepoint of its own, commits
//! once and only then answers them all. That makes durable writes cheap.
//!
//! All writes of one tenant are serial, so change numbers are counted in memory and no write meets a deadlock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use diesel::sql_types::BigInt;
use diesel::{OptionalExtension, QueryableByName, RunQueryDsl};

use crate::store::changes::{self, Change};
use crate::store::counts::{self, Count};
use crate::store::job::{Answer, Job, Waiting, panicked};
use crate::store::session::{Chain, Session};
use crate::store::sql::Sql;
use crate::store::{Backend, Conn, StoreError, TenantId};

/// The most jobs in one transaction.
const BATCH: usize = 256;

/// The transaction of one job: what a write works on.
pub struct Tx<'c> {
    conn: &'c mut Conn,
    ledger: &'c mut Ledger,
}

impl Tx<'_> {
    pub fn conn(&mut self) -> &mut Conn {
        self.conn
    }

    pub fn tenant(&self) -> TenantId {
        self.ledger.tenant
    }

    /// Records a change and returns its number. Numbers have no gaps, also where other writes fail.
    /// The row is written with the batch, before its commit.
    pub fn append(&mut self, change: Change) -> i64 {
        self.ledger.seq += 1;
        self.ledger.changes.push((self.ledger.seq, change));
        self.ledger.seq
    }

    /// Moves the numbers of [`counts`].
    pub(super) fn count(&mut self, resource_type: &str, live: i64, deleted: i64) {
        let counts = &mut self.ledger.counts;
        match counts
            .iter_mut()
            .find(|count| count.resource_type == resource_type)
        {
            Some(count) => {
                count.live += live;
                count.deleted += deleted;
            }
            None => counts.push(Count {
                resource_type: resource_type.to_owned(),
                live,
                deleted,
            }),
        }
    }
}

/// What a batch writes at its end for all of its jobs.
struct Ledger {
    tenant: TenantId,
    /// The last number that is in the database.
    flushed: i64,
    /// The last number handed out.
    seq: i64,
    changes: Vec<(i64, Change)>,
    counts: Vec<Count>,
}

/// A point that a failed job goes back to.
struct Mark {
    seq: i64,
    changes: usize,
    counts: Vec<Count>,
}

#[derive(QueryableByName)]
struct Sequence {
    #[diesel(sql_type = BigInt)]
    change_seq: i64,
}

impl Ledger {
    /// Locks the tenant. SQLite's writer already has the whole database and knows no FOR UPDATE.
    fn open(conn: &mut Conn, tenant: TenantId) -> Result<Self, StoreError> {
        let sql = match conn.backend() {
            Backend::Sqlite => "SELECT change_seq FROM tenants WHERE id = $1",
            Backend::Postgres => "SELECT change_seq FROM tenants WHERE id = $1 FOR UPDATE",
        };
        let row: Option<Sequence> = Sql::new(sql).int(tenant.0).get_result(conn).optional()?;
        let seq = row.ok_or(StoreError::UnknownTenant(tenant))?.change_seq;
        Ok(Self {
            tenant,
            flushed: seq,
            seq,
            changes: Vec::new(),
            counts: Vec::new(),
        })
    }

    fn mark(&self) -> Mark {
        Mark {
            seq: self.seq,
            changes: self.changes.len(),
            counts: self.counts.clone(),
        }
    }

    fn go_back(&mut self, mark: Mark) {
        self.seq = mark.seq;
        self.changes.truncate(mark.changes);
        self.counts = mark.counts;
    }

    fn flush(&self, conn: &mut Conn) -> Result<(), StoreError> {
        counts::add(conn, self.tenant, &self.counts)?;
        if self.seq == self.flushed {
            return Ok(());
        }
        changes::insert(conn, self.tenant, &self.changes)?;
        Sql::new("UPDATE tenants SET change_seq = $1 WHERE id = $2")
            .int(self.seq)
            .int(self.tenant.0)
            .execute(conn)?;
        Ok(())
    }
}

/// Work for the writer.
pub(super) enum WriteJob {
    Tenant(TenantId, Box<dyn for<'c> Job<Tx<'c>>>),
    /// Outside any tenant.
    Admin(Box<dyn Job<Conn>>),
}

impl WriteJob {
    /// Jobs with the same target may share a transaction.
    fn target(&self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant, _) => Some(*tenant),
            Self::Admin(_) => None,
        }
    }

    fn as_answer(&mut self) -> &mut dyn Answer {
        match self {
            Self::Tenant(_, job) => job.as_mut(),
            Self::Admin(job) => job.as_mut(),
        }
    }

    fn answer(self) {
        match self {
            Self::Tenant(_, job) => job.answer(),
            Self::Admin(job) => job.answer(),
        }
    }
}

type Queue = Receiver<Waiting<WriteJob>>;

/// Works until the queue is closed and empty.
pub(super) fn serve(mut session: Session, queue: &Queue, wait: Duration) {
    let mut backlog = VecDeque::new();
    while let Some((target, mut jobs)) = next_batch(queue, &mut backlog, wait) {
        let run = catch_unwind(AssertUnwindSafe(|| {
            run_batch(&mut session, target, &mut jobs)
        }));
        let lost = match run {
            Ok(Ok(())) => None,
            Ok(Err(lost)) => {
                session.rollback();
                Some(lost)
            }
            Err(panic) => {
                session.discard();
                Some(Lost::from(panicked(&*panic)))
            }
        };
        if let Some(lost) = &lost {
            tracing::warn!(jobs = jobs.len(), error = %Chain(&lost.fault), "nothing of a batch of writes is kept");
        }
        for (index, mut job) in jobs.into_iter().enumerate() {
            if let Some(lost) = &lost
                && lost.by != Some(index)
            {
                job.as_answer().fail(lost.fault.clone());
            }
            job.answer();
        }
    }
    tidy(&mut session);
}

/// Waits for work, then takes what waits for the same target as the first job, in order of arrival.
fn next_batch(
    queue: &Queue,
    backlog: &mut VecDeque<Waiting<WriteJob>>,
    wait: Duration,
) -> Option<(Option<TenantId>, Vec<WriteJob>)> {
    loop {
        if backlog.is_empty() {
            backlog.push_back(queue.recv_blocking().ok()?);
        }
        while backlog.len() < BATCH
            && let Ok(waiting) = queue.try_recv()
        {
            backlog.push_back(waiting);
        }
        let target = backlog.front()?.job.target();
        let mut jobs = Vec::new();
        for waiting in std::mem::take(backlog) {
            if waiting.job.target() != target {
                backlog.push_back(waiting);
                continue;
            }
            let late = waiting.is_late(wait);
            let mut job = waiting.job;
            if job.as_answer().is_abandoned() {
                continue;
            }
            if late {
                job.as_answer().fail(StoreError::Busy);
                job.answer();
                continue;
            }
            jobs.push(job);
        }
        if !jobs.is_empty() {
            return Some((target, jobs));
        }
    }
}

/// Nothing of a batch is kept.
struct Lost {
    fault: StoreError,
    /// The job that took the others along; it has an error of its own, which says more.
    by: Option<usize>,
}

impl From<StoreError> for Lost {
    fn from(fault: StoreError) -> Self {
        Self { fault, by: None }
    }
}

fn run_batch(
    session: &mut Session,
    target: Option<TenantId>,
    jobs: &mut [WriteJob],
) -> Result<(), Lost> {
    let conn = session.begin()?;
    let mut ledger = target
        .map(|tenant| Ledger::open(conn, tenant))
        .transpose()?;
    for (index, job) in jobs.iter_mut().enumerate() {
        let mark = ledger.as_ref().map(Ledger::mark);
        conn.batch("SAVEPOINT job")?;
        if run_one(conn, ledger.as_mut(), job)? {
            continue;
        }
        if let Err(error) = conn.batch("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job") {
            // SQLite ends the whole transaction by itself when the disk is full or broken.
            let fault = match error {
                error @ StoreError::Unavailable(_) => error,
                error => StoreError::Unavailable(Arc::new(error)),
            };
            return Err(Lost {
                fault,
                by: Some(index),
            });
        }
        if let (Some(ledger), Some(mark)) = (&mut ledger, mark) {
            ledger.go_back(mark);
        }
    }
    if let Some(ledger) = &ledger {
        ledger.flush(conn)?;
    }
    Ok(conn.batch("COMMIT")?)
}

/// Runs a job in the savepoint at hand. False: it failed and must be undone.
fn run_one(
    conn: &mut Conn,
    ledger: Option<&mut Ledger>,
    job: &mut WriteJob,
) -> Result<bool, StoreError> {
    let good = match (&mut *job, ledger) {
        (WriteJob::Tenant(_, job), Some(ledger)) => job.run(&mut Tx { conn, ledger }),
        (WriteJob::Admin(job), None) => job.run(conn),
        (WriteJob::Tenant(..), None) | (WriteJob::Admin(_), Some(_)) => {
            return Err(StoreError::internal("a job in a batch of another kind"));
        }
    };
    if !good {
        return Ok(false);
    }
    match conn.batch("RELEASE SAVEPOINT job") {
        Ok(()) => Ok(true),
        Err(fault) => {
            // The job went on after a failed statement. PostgreSQL notices here.
            job.as_answer().fail(fault);
            Ok(false)
        }
    }
}

/// Leaves an SQLite file without its log and with fresh statistics. PostgreSQL does both by itself.
fn tidy(session: &mut Session) {
    if let Some(conn @ Conn::Sqlite(_)) = session.idle()
        && let Err(error) = conn.batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
    {
        tracing::warn!(%error, "cannot write the log back into the database file");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
    use futures_util::future::join_all;

    use super::BATCH;
    use crate::store::changes::{self, Change, ChangeKind};
    use crate::store::resources;
    use crate::store::schema::tenants;
    use crate::store::testing::{TENANT, block_on, id, on_each, user, with_store};
    use crate::store::{Backend, Store, StoreError, TenantId, Tx, Unique, counts};

    fn change(of: &str) -> Change {
        Change {
            resource_id: id(of),
            resource_type: "User".into(),
            kind: ChangeKind::Created,
            at: 1,
            actor: "test".into(),
            payload: r#"{"a":"\u0001 ü"}"#.into(),
        }
    }

    /// Occupies the writer until the sender is dropped; what is written meanwhile becomes one batch.
    async fn occupy(store: &Arc<Store>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
        let (release, released) = mpsc::channel();
        let (started, start) = tokio::sync::oneshot::channel();
        let store = store.clone();
        let task = tokio::spawn(async move {
            store
                .tx(move |_| {
                    let _ = started.send(());
                    let _: Result<(), _> = released.recv();
                    Ok(())
                })
                .await
                .unwrap();
        });
        start.await.unwrap();
        (release, task)
    }

    /// Writes all of these in one batch, while the writer was occupied.
    async fn together<T: Send + 'static>(
        store: &Arc<Store>,
        works: Vec<Box<dyn FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send>>,
    ) -> Vec<Result<T, StoreError>> {
        let (release, task) = occupy(store).await;
        let tasks: Vec<_> = works
            .into_iter()
            .map(|work| {
                let store = store.clone();
                tokio::spawn(async move { store.tx(work).await })
            })
            .collect();
        while store.waiting().1 < tasks.len() {
            tokio::task::yield_now().await;
        }
        drop(release);
        task.await.unwrap();
        join_all(tasks)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }

    async fn stored(store: &Arc<Store>) -> Vec<String> {
        let all = store
            .read(|conn| resources::get_many(conn, TENANT, &["a", "b", "c", "d"].map(id)))
            .await
            .unwrap();
        all.into_iter().map(|one| one.id.into_string()).collect()
    }

    #[test]
    fn a_job_that_fails_is_undone_alone() {
        with_store(|store| async move {
            let results = together::<i64>(
                &store,
                vec![
                    Box::new(|tx| {
                        resources::insert(tx, &user("a"))?;
                        Ok(tx.append(change("a")))
                    }),
                    Box::new(|tx| {
                        resources::insert(tx, &user("b"))?;
                        tx.append(change("b"));
                        Err(StoreError::Busy)
                    }),
                    Box::new(|tx| {
                        resources::insert(tx, &user("c"))?;
                        tx.append(change("c"));
                        let mut same_name = user("d");
                        same_name.hot.user_name = Some("a".into());
                        resources::insert(tx, &same_name)?;
                        Ok(0)
                    }),
                    Box::new(|tx| {
                        resources::insert(tx, &user("d"))?;
                        Ok(tx.append(change("d")))
                    }),
                ],
            )
            .await;
            assert!(matches!(results[0], Ok(1)), "{results:?}");
            assert!(matches!(results[1], Err(StoreError::Busy)), "{results:?}");
            assert!(
                matches!(results[2], Err(StoreError::Duplicate(Unique::UserName))),
                "{results:?}"
            );
            assert!(matches!(results[3], Ok(2)), "{results:?}");
            assert_eq!(stored(&store).await, ["a", "d"]);
            let count = store
                .read(|conn| counts::of(conn, TENANT, "User"))
                .await
                .unwrap();
            assert_eq!((count.live, count.deleted), (2, 0));
            let log = store
                .read(|conn| changes::after(conn, TENANT, 0, 10))
                .await
                .unwrap();
            assert_eq!(log.len(), 2);
            assert_eq!(log[1].change, change("d"));
        });
    }

    #[test]
    fn a_panic_is_undone_alone() {
        with_store(|store| async move {
            let results = together::<()>(
                &store,
                vec![
                    Box::new(|tx| resources::insert(tx, &user("a")).map(drop)),
                    Box::new(|tx| {
                        resources::insert(tx, &user("b"))?;
                        panic!("on purpose");
                    }),
                    Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
                ],
            )
            .await;
            assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
            assert!(
                matches!(results[1], Err(StoreError::Internal(_))),
                "{results:?}"
            );
            assert_eq!(stored(&store).await, ["a", "c"]);
            let panic = store
                .read(|_| -> Result<(), StoreError> { panic!("on purpose") })
                .await;
            assert!(matches!(panic, Err(StoreError::Internal(_))), "{panic:?}");
        });
    }

    #[test]
    fn going_on_after_a_failed_statement_harms_nobody_else() {
        with_store(|store| async move {
            let results = together::<()>(
                &store,
                vec![
                    Box::new(|tx| resources::insert(tx, &user("a")).map(drop)),
                    Box::new(|tx| {
                        let _ = resources::insert(tx, &user("a"));
                        Ok(())
                    }),
                    Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
                ],
            )
            .await;
            assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
            // PostgreSQL keeps nothing of such a transaction, and says so.
            assert_eq!(
                results[1].is_ok(),
                store.backend() == Backend::Sqlite,
                "{results:?}"
            );
            assert_eq!(stored(&store).await, ["a", "c"]);
        });
    }

    #[test]
    fn change_numbers_have_no_gaps() {
        with_store(|store| async move {
            let jobs = (0..3 * BATCH).map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .tx(move |tx| {
                            let numbers: Vec<i64> =
                                (0..n % 4).map(|_| tx.append(change("a"))).collect();
                            match n % 3 {
                                0 => Err(StoreError::Busy),
                                1 if n % 5 == 0 => panic!("on purpose"),
                                _ => Ok(numbers),
                            }
                        })
                        .await
                })
            });
            let mut handed: Vec<i64> = Vec::new();
            for result in join_all(jobs.collect::<Vec<_>>()).await {
                handed.extend(result.unwrap().unwrap_or_default());
            }
            handed.sort_unstable();
            let expected: Vec<i64> = (1..).take(handed.len()).collect();
            assert!(handed.len() > 100);
            assert_eq!(handed, expected);
            let log = store
                .read(|conn| changes::after(conn, TENANT, 0, 10_000))
                .await
                .unwrap();
            assert_eq!(log.iter().map(|one| one.seq).collect::<Vec<_>>(), expected);
            let last: i64 = store
                .read(|conn| -> Result<i64, StoreError> {
                    Ok(tenants::table
                        .find(1)
                        .select(tenants::change_seq)
                        .first(conn)?)
                })
                .await
                .unwrap();
            assert_eq!(last, handed.len() as i64);
        });
    }

    #[test]
    fn a_full_queue_and_a_long_wait_are_busy() {
        on_each(|fresh| {
            let mut config = fresh.config.clone();
            config.queue = 2;
            config.writers = 1;
            config.wait = Duration::from_millis(100);
            let store = Arc::new(Store::open(&config).unwrap());
            block_on(async {
                let (release, task) = occupy(&store).await;
                let late: Vec<_> = (0..2)
                    .map(|_| {
                        let store = store.clone();
                        tokio::spawn(async move { store.tx(|_| Ok(())).await })
                    })
                    .collect();
                while store.waiting().1 < 2 {
                    tokio::task::yield_now().await;
                }
                let full = store.tx(|_| Ok(())).await;
                assert!(matches!(full, Err(StoreError::Busy)), "{full:?}");
                std::thread::sleep(Duration::from_millis(150));
                drop(release);
                task.await.unwrap();
                for result in join_all(late).await {
                    assert!(matches!(result.unwrap(), Err(StoreError::Busy)));
                }
                store.tx(|_| Ok(())).await.unwrap();
            });
        });
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        with_store(|store| async move {
            let (release, task) = occupy(&store).await;
            let abandoned = {
                let store = store.clone();
                tokio::spawn(async move { store.tx(|tx| resources::insert(tx, &user("a"))).await })
            };
            while store.waiting().1 < 1 {
                tokio::task::yield_now().await;
            }
            abandoned.abort();
            assert!(abandoned.await.unwrap_err().is_cancelled());
            drop(release);
            task.await.unwrap();
            store.tx(|_| Ok(())).await.unwrap();
            assert!(stored(&store).await.is_empty());
        });
    }

    #[test]
    fn unknown_tenants_and_admin_work() {
        with_store(|store| async move {
            let unknown = store.write(TenantId(77), |_| Ok::<_, StoreError>(())).await;
            assert!(
                matches!(unknown, Err(StoreError::UnknownTenant(TenantId(77)))),
                "{unknown:?}"
            );
            let acme = store
                .admin(|conn| crate::store::tenants::create(conn, "acme", 5))
                .await
                .unwrap();
            assert_eq!(acme.id, TenantId(2));
            let again = store
                .admin(|conn| crate::store::tenants::create(conn, "acme", 5))
                .await;
            assert!(
                matches!(again, Err(StoreError::Duplicate(Unique::TenantName))),
                "{again:?}"
            );
            store
                .write(acme.id, |tx| resources::insert(tx, &user("a")))
                .await
                .unwrap();
            assert!(stored(&store).await.is_empty());
        });
    }

    #[test]
    fn a_reader_sees_one_state_and_cannot_write() {
        with_store(|store| async move {
            store.put(vec![user("a")]).await;
            let (seen, first) = tokio::sync::oneshot::channel();
            let (go, gone) = mpsc::channel::<()>();
            let reading = {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .read(move |conn| -> Result<usize, StoreError> {
                            let all = |conn: &mut _| {
                                resources::get_many(conn, TENANT, &["a", "b"].map(id))
                            };
                            all(conn)?;
                            let _ = seen.send(());
                            let _ = gone.recv();
                            Ok(all(conn)?.len())
                        })
                        .await
                })
            };
            first.await.unwrap();
            store.put(vec![user("b")]).await;
            drop(go);
            assert_eq!(reading.await.unwrap().unwrap(), 1);
            let write = store
                .read(|conn| -> Result<(), StoreError> {
                    diesel::update(tenants::table)
                        .set(tenants::name.eq("x"))
                        .execute(conn)?;
                    Ok(())
                })
                .await;
            assert!(write.is_err());
            store.ready().await.unwrap();
        });
    }

    #[test]
    fn closing_finishes_what_waits() {
        on_each(|fresh| {
            let store = Arc::new(Store::open(&fresh.config).unwrap());
            block_on(async {
                let (release, task) = occupy(&store).await;
                let waiting = {
                    let store = store.clone();
                    tokio::spawn(
                        async move { store.tx(|tx| resources::insert(tx, &user("a"))).await },
                    )
                };
                while store.waiting().1 < 1 {
                    tokio::task::yield_now().await;
                }
                let closing = {
                    let store = store.clone();
                    std::thread::spawn(move || store.close())
                };
                drop(release);
                task.await.unwrap();
                waiting.await.unwrap().unwrap();
                closing.join().unwrap();
                let late = store.tx(|_| Ok(())).await;
                assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
                assert!(store.ready().await.is_err());
            });
            let again = Arc::new(Store::open(&fresh.config).unwrap());
            block_on(async { assert_eq!(stored(&again).await, ["a"]) });
        });
    }

    #[test]
    fn a_full_disk_loses_the_batch_and_nothing_else() {
        with_store(|store| async move {
            if store.backend() != Backend::Sqlite {
                return;
            }
            store.put(vec![user("a")]).await;
            let limit = |pages: i64| {
                let store = store.clone();
                async move {
                    store
                        .admin(move |conn| conn.batch(&format!("PRAGMA max_page_count = {pages}")))
                        .await
                        .unwrap();
                }
            };
            limit(1).await;
            let mut big = user("b");
            big.doc = "x".repeat(1 << 20);
            let results = together::<()>(
                &store,
                vec![
                    Box::new(|tx| resources::touch(tx, &id("a"), 9).map(drop)),
                    Box::new(move |tx| resources::insert(tx, &big).map(drop)),
                ],
            )
            .await;
            assert!(
                matches!(results[1], Err(StoreError::Full(_))),
                "{results:?}"
            );
            limit(1 << 30).await;
            store.put(vec![user("c")]).await;
            assert_eq!(stored(&store).await, ["a", "c"]);
            let a = store
                .read(|conn| resources::get(conn, TENANT, "User", &id("a")))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(a.version, 1);
        });
    }

    #[test]
    fn a_broken_connection_is_replaced() {
        with_store(|store| async move {
            if store.backend() != Backend::Postgres {
                return;
            }
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";
            store.admin(move |conn| conn.batch(kill)).await.unwrap();
            store
                .tx(|tx| resources::insert(tx, &user("a")))
                .await
                .unwrap();
            for _ in 0..10 {
                assert_eq!(stored(&store).await, ["a"]);
            }
            let results = together::<()>(
                &store,
                vec![
                    Box::new(|tx| resources::insert(tx, &user("b")).map(drop)),
                    Box::new(|tx| {
                        tx.conn()
                            .batch("SELECT pg_terminate_backend(pg_backend_pid())")
                    }),
                    Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
                ],
            )
            .await;
            for result in results {
                assert!(
                    matches!(result, Err(StoreError::Unavailable(_))),
                    "{result:?}"
                );
            }
            store
                .tx(|tx| resources::insert(tx, &user("d")))
                .await
                .unwrap();
            assert_eq!(stored(&store).await, ["a", "d"]);
        });
    }
}
