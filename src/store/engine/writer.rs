//! The writer: one thread that runs waiting jobs in one transaction, each in a savepoint of its own, commits
//! once and only then answers them all. That makes durable writes cheap.
//!
//! All writes of one tenant are serial, so change numbers are counted in memory and no write meets a deadlock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_channel::Receiver;
use diesel::sql_types::BigInt;
use diesel::{OptionalExtension, QueryableByName, RunQueryDsl};

use crate::store::engine::analyze::{StatisticsRefresher, TableGrowth};
use crate::store::engine::inline_reads::Writes;
use crate::store::engine::job::{Job, QueueTimeout, Reply, Waiting, panicked};
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::session::Session;
use crate::store::engine::sql::Sql;
use crate::store::tables::changes::Change;
use crate::store::tables::counts::Count;
use crate::store::tables::{changes, counts};
use crate::store::{Backend, Conn, StoreError, TenantId};
use crate::telemetry;

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

    /// How long the transaction has kept all others from the tenant.
    pub fn held_for(&self) -> Duration {
        self.ledger.since.elapsed()
    }

    /// Runs `part` so that all of it is kept, or nothing where it fails; what was done before stays either way.
    ///
    /// The outer fault is that of a database that cannot go back: then nothing of the whole can be kept.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        part: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let mark = self.ledger.mark();
        self.conn.batch("SAVEPOINT part")?;
        // Safe to go on after a panic: what it did is undone here.
        let run = catch_unwind(AssertUnwindSafe(|| {
            part(&mut Tx {
                conn: &mut *self.conn,
                ledger: &mut *self.ledger,
            })
        }));
        let result = run.unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let result = match result {
            // PostgreSQL refuses here where the part went on after a failed statement.
            Ok(value) => match self.conn.batch("RELEASE SAVEPOINT part") {
                Ok(()) => return Ok(Ok(value)),
                Err(fault) => Err(fault.into()),
            },
            Err(error) => Err(error),
        };
        self.conn
            .batch("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")?;
        self.ledger.go_back(mark);
        Ok(result)
    }

    /// Records a change and returns its number. Numbers have no gaps, also where other writes fail.
    /// The row is written with the batch, before its commit.
    pub fn append(&mut self, change: Change) -> i64 {
        self.ledger.seq += 1;
        self.ledger.changes.push((self.ledger.seq, change));
        self.ledger.seq
    }

    /// Has the changes that were appended before, by whichever job of the batch, pass through `edit` on their way into the
    /// table: there they cannot be reached yet.
    pub fn amend(&mut self, edit: impl Fn(&mut Change) + 'static) {
        let upto = self.ledger.changes.len();
        self.ledger.amendments.push((upto, Box::new(edit)));
    }

    /// The rows that this transaction has added, for the caller to count on.
    pub(in crate::store) fn grown(&mut self) -> &mut TableGrowth {
        &mut self.ledger.grown
    }

    /// Moves the numbers of [`counts`].
    pub(in crate::store) fn count(&mut self, resource_type: &str, live: i64, deleted: i64) {
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

type Amendment = Box<dyn Fn(&mut Change)>;

/// What a batch writes at its end for all of its jobs.
struct Ledger {
    tenant: TenantId,
    since: Instant,
    /// The last number that is in the database.
    flushed: i64,
    /// The last number handed out.
    seq: i64,
    changes: Vec<(i64, Change)>,
    /// How many of the first changes pass through what.
    amendments: Vec<(usize, Amendment)>,
    counts: Vec<Count>,
    /// A job that failed may have counted too: it is about right.
    grown: TableGrowth,
}

/// A point that a failed job goes back to.
struct Mark {
    seq: i64,
    changes: usize,
    amendments: usize,
    counts: Vec<Count>,
}

#[derive(QueryableByName)]
struct Sequence {
    #[diesel(sql_type = BigInt)]
    change_seq: i64,
    #[diesel(sql_type = BigInt)]
    index_epoch: i64,
}

impl Ledger {
    /// Locks the tenant, and stops where another node has agreed on other indexes than `epoch`. SQLite's writer already has the whole database and knows no FOR UPDATE.
    fn open(conn: &mut Conn, tenant: TenantId, epoch: i64) -> Result<Self, StoreError> {
        let sql = match conn.backend() {
            Backend::Sqlite => "SELECT change_seq, index_epoch FROM tenants WHERE id = $1",
            Backend::Postgres => {
                "SELECT change_seq, index_epoch FROM tenants WHERE id = $1 FOR UPDATE"
            }
        };
        let row: Option<Sequence> = Sql::new(sql).int(tenant.0).get_result(conn).optional()?;
        let row = row.ok_or(StoreError::UnknownTenant(tenant))?;
        if epoch != 0 && row.index_epoch != epoch {
            return Err(StoreError::Outdated);
        }
        let seq = row.change_seq;
        Ok(Self {
            tenant,
            since: Instant::now(),
            flushed: seq,
            seq,
            changes: Vec::new(),
            amendments: Vec::new(),
            counts: Vec::new(),
            grown: TableGrowth::default(),
        })
    }

    fn mark(&self) -> Mark {
        Mark {
            seq: self.seq,
            changes: self.changes.len(),
            amendments: self.amendments.len(),
            counts: self.counts.clone(),
        }
    }

    fn go_back(&mut self, mark: Mark) {
        self.seq = mark.seq;
        self.changes.truncate(mark.changes);
        self.amendments.truncate(mark.amendments);
        self.counts = mark.counts;
    }

    fn flush(&mut self, conn: &mut Conn) -> Result<(), StoreError> {
        for (upto, edit) in &self.amendments {
            for (_, change) in self.changes.iter_mut().take(*upto) {
                edit(change);
            }
        }
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
pub(in crate::store) enum WriteJob {
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

    fn as_answer(&mut self) -> &mut dyn Reply {
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

/// What a writer hears of others, and tells them.
pub(in crate::store) struct WriterShared {
    /// The indexes that were agreed on.
    pub epoch: Arc<AtomicI64>,
    pub writing: Arc<Writes>,
    pub bell: Arc<ChangeNotifier>,
}

/// Works until the queue is closed and empty.
pub(in crate::store) fn serve(
    mut session: Session,
    queue: &Queue,
    wait: Duration,
    signs: &WriterShared,
) {
    let mut backlog = VecDeque::new();
    let mut growth = StatisticsRefresher::new();
    let mut patience = QueueTimeout::new(wait);
    while let Some((target, mut jobs)) = next_batch(queue, &mut backlog, &mut patience) {
        signs.writing.turn();
        let run = catch_unwind(AssertUnwindSafe(|| {
            run_batch(&mut session, target, &mut jobs, signs)
        }));
        signs.writing.turn();
        let (grown, lost) = match run {
            Ok(Ok(grown)) => (grown, None),
            Ok(Err(lost)) => {
                if lost.fault.is_connection_lost() {
                    session.discard();
                } else {
                    session.rollback();
                }
                (None, Some(lost))
            }
            Err(panic) => {
                session.discard();
                (None, Some(BatchFailed::from(panicked(&*panic))))
            }
        };
        if let Some(lost) = &lost {
            tracing::warn!(jobs = jobs.len(), error = %telemetry::chain(&lost.fault), "nothing of a batch of writes is kept");
        }
        for (index, mut job) in jobs.into_iter().enumerate() {
            if let Some(lost) = &lost
                && lost.by != Some(index)
            {
                job.as_answer().fail(lost.fault.clone());
            }
            job.answer();
        }
        if let Some(grown) = grown
            && let Some(conn) = session.idle()
            && let Err(error) = growth.add(grown, conn)
        {
            tracing::warn!(error = %telemetry::chain(&error), "cannot analyse the tables");
        }
    }
    tidy(&mut session);
}

/// Waits for work, then takes what waits for the same target as the first job, in order of arrival.
fn next_batch(
    queue: &Queue,
    backlog: &mut VecDeque<Waiting<WriteJob>>,
    patience: &mut QueueTimeout,
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
            let late = patience.is_over(&waiting);
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
struct BatchFailed {
    fault: StoreError,
    /// The job that took the others along; it has an error of its own, which says more.
    by: Option<usize>,
}

impl From<StoreError> for BatchFailed {
    fn from(fault: StoreError) -> Self {
        Self { fault, by: None }
    }
}

/// Runs and commits the jobs. Returns what was added to a tenant.
fn run_batch(
    session: &mut Session,
    target: Option<TenantId>,
    jobs: &mut [WriteJob],
    signs: &WriterShared,
) -> Result<Option<TableGrowth>, BatchFailed> {
    let epoch = signs.epoch.load(Ordering::Acquire);
    let open = |conn: &mut Conn| {
        let ledger = target.map(|tenant| Ledger::open(conn, tenant, epoch));
        ledger.transpose()
    };
    let (conn, mut ledger) = session.begin_with(open)?;
    conn.batch("SAVEPOINT job")?;
    for (index, job) in jobs.iter_mut().enumerate() {
        let mark = ledger.as_ref().map(Ledger::mark);
        if run_one(conn, ledger.as_mut(), job)? {
            continue;
        }
        // The savepoint stays, for the next job.
        if let Err(error) = conn.batch("ROLLBACK TO SAVEPOINT job") {
            let fault = match (error, conn.backend()) {
                (error, _) if error.is_connection_lost() => error,
                // It ends the whole transaction by itself when the disk is full or broken.
                (error, Backend::Sqlite) => StoreError::DiskFails(Arc::new(error)),
                (error, Backend::Postgres) => StoreError::Unavailable(Arc::new(error)),
            };
            return Err(BatchFailed {
                fault,
                by: Some(index),
            });
        }
        if ledger.is_none()
            && let Err(fault) = takes_writes(conn)
        {
            return Err(BatchFailed {
                fault,
                by: Some(index),
            });
        }
        if let (Some(ledger), Some(mark)) = (&mut ledger, mark) {
            ledger.go_back(mark);
        }
    }
    if let Some(ledger) = &mut ledger {
        ledger.flush(conn)?;
    }
    conn.batch("COMMIT")?;
    if let Some(ledger) = &ledger
        && ledger.seq > ledger.flushed
    {
        signs.bell.ring(ledger.tenant, ledger.seq);
    }
    Ok(ledger.map(|ledger| ledger.grown))
}

/// Asks PostgreSQL after a failure outside any tenant, as the lock of a tenant does by itself: what failed may
/// have met a server that has become read-only.
fn takes_writes(conn: &mut Conn) -> Result<(), StoreError> {
    match conn.backend() {
        Backend::Sqlite => Ok(()),
        Backend::Postgres => conn.batch("SELECT id FROM tenants WHERE FALSE FOR UPDATE"),
    }
}

/// Runs a job in the savepoint at hand and sets the next one. False: it failed and must be undone.
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
    match next_savepoint(conn) {
        Ok(()) => Ok(true),
        Err(fault) => {
            // The job went on after a failed statement. PostgreSQL notices here.
            job.as_answer().fail(fault);
            Ok(false)
        }
    }
}

/// On SQLite the statements are kept prepared; on PostgreSQL both are one round trip.
fn next_savepoint(conn: &mut Conn) -> Result<(), StoreError> {
    match conn.backend() {
        Backend::Sqlite => {
            Sql::new("RELEASE SAVEPOINT job").execute(conn)?;
            Sql::new("SAVEPOINT job").execute(conn)?;
            Ok(())
        }
        Backend::Postgres => conn.batch("RELEASE SAVEPOINT job; SAVEPOINT job"),
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
mod tests;
