//! The writer: a thread that runs waiting jobs in one transaction, each in a savepoint of its own,
//! commits once, and only then answers all of them. That makes durable writes cheap.
//!
//! All writes of one tenant are serial, so change numbers are counted in memory and no write
//! deadlocks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_channel::Receiver;
use diesel::QueryableByName;
use diesel::sql_types::BigInt;

use crate::store::engine::analyze::{StatisticsRefresher, TableGrowth};
use crate::store::engine::inline_reads::WriteCounter;
use crate::store::engine::job::{Job, QueueTimeout, Reply, Waiting, panicked};
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::session::Session;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::tables::changes::Change;
use crate::store::tables::counts::Count;
use crate::store::tables::{changes, counts};
use crate::store::{Backend, Conn, StoreError, TenantId};
use crate::telemetry;

/// The most jobs in one transaction.
const BATCH: usize = 256;

/// The bytes of changes that a transaction keeps in memory between two of its jobs.
const PENDING_BYTES: usize = 4 << 20;

/// The transaction of one write.
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

    /// The time for which the transaction has blocked other writes of the tenant.
    pub fn held_for(&self) -> Duration {
        self.ledger.since.elapsed()
    }

    /// Runs `part` in a savepoint: if it fails, only its own changes are undone.
    ///
    /// The outer error means that the savepoint could not be undone; then the whole write must
    /// fail.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        part: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let mark = self.ledger.mark();
        self.conn.batch("SAVEPOINT part")?;
        // Unwind safe: the changes are undone here.
        let run = catch_unwind(AssertUnwindSafe(|| {
            part(&mut Tx {
                conn: &mut *self.conn,
                ledger: &mut *self.ledger,
            })
        }));
        let result = run.unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let result = match result {
            // PostgreSQL fails here if the part continued after a failed statement.
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

    /// Records a change and returns its number. Numbers have no gaps, even if other writes fail.
    /// The row is written at the end of the batch, before its commit.
    pub fn append(&mut self, change: Change) -> i64 {
        let ledger = &mut *self.ledger;
        ledger.seq += 1;
        ledger.pending_bytes = ledger.pending_bytes.saturating_add(change.payload.len());
        ledger.changes.push((ledger.seq, change));
        ledger.seq
    }

    /// Whether the changes in memory are so long that a write of many parts should end, to be
    /// continued by another.
    pub fn is_full(&self) -> bool {
        self.ledger.is_full()
    }

    /// Applies `edit` to the changes that any job of the batch has appended before. They are not in
    /// the table yet, so no statement can reach them.
    pub fn amend(&mut self, edit: impl Fn(&mut Change) + 'static) {
        let upto = self.ledger.changes.len();
        self.ledger.amendments.push((upto, Box::new(edit)));
    }

    /// The rows that this transaction has added, for the caller to add to.
    pub(in crate::store) fn growth(&mut self) -> &mut TableGrowth {
        &mut self.ledger.growth
    }

    /// Adds to the numbers of [`counts`].
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

/// The data that a batch writes at its end for all its jobs.
struct Ledger {
    tenant: TenantId,
    since: Instant,
    /// The last number in the database.
    flushed: i64,
    /// The last assigned number.
    seq: i64,
    changes: Vec<(i64, Change)>,
    /// The length of their payloads.
    pending_bytes: usize,
    /// Each with the number of changes, from the first on, to which it applies.
    amendments: Vec<(usize, Amendment)>,
    counts: Vec<Count>,
    /// Approximate: a failed job may have counted too.
    growth: TableGrowth,
}

/// The state that a failed job restores.
struct LedgerMark {
    seq: i64,
    changes: usize,
    pending_bytes: usize,
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

// SQLite's writer has already locked the whole database, and SQLite has no FOR UPDATE.
static LOCK: Statement = Statement::per_backend(
    &["SELECT change_seq, index_epoch FROM tenants WHERE id = $1"],
    &["SELECT change_seq, index_epoch FROM tenants WHERE id = $1 FOR UPDATE"],
);
static SET_CHANGE_SEQ: Statement =
    Statement::new("UPDATE tenants SET change_seq = $1 WHERE id = $2");

impl Ledger {
    /// Locks the tenant. Fails if another node has agreed on other indexes than those of `epoch`.
    fn open(conn: &mut Conn, tenant: TenantId, epoch: i64) -> Result<Self, StoreError> {
        let row: Option<Sequence> = LOCK.bind(&[tenant.into()]).fetch_optional(conn)?;
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
            pending_bytes: 0,
            amendments: Vec::new(),
            counts: Vec::new(),
            growth: TableGrowth::default(),
        })
    }

    fn mark(&self) -> LedgerMark {
        LedgerMark {
            seq: self.seq,
            changes: self.changes.len(),
            pending_bytes: self.pending_bytes,
            amendments: self.amendments.len(),
            counts: self.counts.clone(),
        }
    }

    fn go_back(&mut self, mark: LedgerMark) {
        self.seq = mark.seq;
        self.changes.truncate(mark.changes);
        self.pending_bytes = mark.pending_bytes;
        self.amendments.truncate(mark.amendments);
        self.counts = mark.counts;
    }

    fn is_full(&self) -> bool {
        self.pending_bytes > PENDING_BYTES
    }

    /// Writes the changes so far. The counts and the tenant's number follow with [`Ledger::flush`].
    fn write_changes(&mut self, conn: &mut Conn) -> Result<(), StoreError> {
        for (upto, edit) in &self.amendments {
            for (_, change) in self.changes.iter_mut().take(*upto) {
                edit(change);
            }
        }
        changes::insert(conn, self.tenant, &self.changes)?;
        self.changes.clear();
        self.amendments.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    fn flush(&mut self, conn: &mut Conn) -> Result<(), StoreError> {
        counts::add(conn, self.tenant, &self.counts)?;
        if self.seq == self.flushed {
            return Ok(());
        }
        self.write_changes(conn)?;
        SET_CHANGE_SEQ
            .bind(&[self.seq.into(), self.tenant.into()])
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

/// The state that a writer shares with the rest of the store.
pub(in crate::store) struct WriterShared {
    /// The epoch that the rows of tenants must have.
    pub epoch: Arc<AtomicI64>,
    pub writing: Arc<WriteCounter>,
    pub notifier: Arc<ChangeNotifier>,
}

/// Works until the queue is closed and empty.
pub(in crate::store) fn serve(
    mut session: Session,
    queue: &Queue,
    wait: Duration,
    shared: &WriterShared,
) {
    let mut backlog = VecDeque::new();
    let mut statistics = StatisticsRefresher::new();
    let mut timeout = QueueTimeout::new(wait);
    while let Some((target, mut jobs)) = next_batch(queue, &mut backlog, &mut timeout) {
        shared.writing.advance();
        let run = catch_unwind(AssertUnwindSafe(|| {
            run_batch(&mut session, target, &mut jobs, shared)
        }));
        shared.writing.advance();
        let (growth, failed) = match run {
            Ok(Ok(growth)) => (growth, None),
            Ok(Err(failed)) => {
                if failed.fault.is_connection_lost() {
                    session.discard();
                } else {
                    session.rollback();
                }
                (None, Some(failed))
            }
            Err(panic) => {
                session.discard();
                (None, Some(BatchFailed::from(panicked(&*panic))))
            }
        };
        if let Some(failed) = &failed {
            tracing::warn!(jobs = jobs.len(), error = %telemetry::chain(&failed.fault), "a batch of writes was undone");
        }
        for (index, mut job) in jobs.into_iter().enumerate() {
            if let Some(failed) = &failed
                && failed.by != Some(index)
            {
                job.as_answer().fail(failed.fault.clone());
            }
            job.answer();
        }
        if let Some(growth) = growth
            && let Some(conn) = session.idle()
            && let Err(error) = statistics.add(growth, conn)
        {
            tracing::warn!(error = %telemetry::chain(&error), "cannot analyse the tables");
        }
    }
    tidy(&mut session);
}

/// Waits for work, then takes the jobs for the target of the first job, in order of arrival.
fn next_batch(
    queue: &Queue,
    backlog: &mut VecDeque<Waiting<WriteJob>>,
    timeout: &mut QueueTimeout,
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
            let late = timeout.is_over(&waiting);
            let is_given_up = !waiting.claim();
            let mut job = waiting.job;
            if is_given_up || job.as_answer().is_abandoned() {
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

/// A batch of which everything is undone.
struct BatchFailed {
    fault: StoreError,
    /// The job that caused it; it has an error of its own with more detail.
    by: Option<usize>,
}

impl From<StoreError> for BatchFailed {
    fn from(fault: StoreError) -> Self {
        Self { fault, by: None }
    }
}

/// Runs and commits the jobs. Returns the rows added to a tenant.
fn run_batch(
    session: &mut Session,
    target: Option<TenantId>,
    jobs: &mut [WriteJob],
    shared: &WriterShared,
) -> Result<Option<TableGrowth>, BatchFailed> {
    let epoch = shared.epoch.load(Ordering::Acquire);
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
        let by_job = |fault| BatchFailed {
            fault,
            by: Some(index),
        };
        undo_job(conn).map_err(by_job)?;
        if ledger.is_none() {
            takes_writes(conn).map_err(by_job)?;
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
        shared.notifier.notify(ledger.tenant, ledger.seq);
    }
    Ok(ledger.map(|ledger| ledger.growth))
}

/// Undoes the current job. The savepoint is left for the next one.
fn undo_job(conn: &mut Conn) -> Result<(), StoreError> {
    let Err(error) = conn.batch("ROLLBACK TO SAVEPOINT job") else {
        return Ok(());
    };
    Err(match (error, conn.backend()) {
        (error, _) if error.is_connection_lost() => error,
        // SQLite ends the whole transaction by itself if the disk is full or broken.
        (error, Backend::Sqlite) => StoreError::DiskFails(Arc::new(error)),
        (error, Backend::Postgres) => StoreError::Unavailable(Arc::new(error)),
    })
}

/// Checks after a failure outside any tenant that PostgreSQL accepts writes, because the server may
/// have become read-only. Within a tenant, its lock checks that.
fn takes_writes(conn: &mut Conn) -> Result<(), StoreError> {
    match conn.backend() {
        Backend::Sqlite => Ok(()),
        Backend::Postgres => conn.batch("SELECT id FROM tenants WHERE FALSE FOR UPDATE"),
    }
}

/// Runs a job in the current savepoint and sets the next one. Returns false if the job failed and
/// must be undone.
fn run_one(
    conn: &mut Conn,
    mut ledger: Option<&mut Ledger>,
    job: &mut WriteJob,
) -> Result<bool, StoreError> {
    let is_ok = match (&mut *job, ledger.as_deref_mut()) {
        (WriteJob::Tenant(_, job), Some(ledger)) => job.run(&mut Tx { conn, ledger }),
        (WriteJob::Admin(job), None) => job.run(conn),
        (WriteJob::Tenant(..), None) | (WriteJob::Admin(_), Some(_)) => {
            return Err(StoreError::internal("a job in a batch of another kind"));
        }
    };
    if !is_ok {
        return Ok(false);
    }
    // In the savepoint of this job, so that a later job that fails does not undo it.
    let written = match ledger {
        Some(ledger) if ledger.is_full() => ledger.write_changes(conn),
        _ => Ok(()),
    };
    match written.and_then(|()| next_savepoint(conn)) {
        Ok(()) => Ok(true),
        Err(fault) => {
            // The job continued after a failed statement. PostgreSQL reports that here.
            job.as_answer().fail(fault);
            Ok(false)
        }
    }
}

/// On SQLite the statements stay prepared; on PostgreSQL both are one round trip.
fn next_savepoint(conn: &mut Conn) -> Result<(), StoreError> {
    static RELEASE: Statement = Statement::new("RELEASE SAVEPOINT job");
    static SAVEPOINT: Statement = Statement::new("SAVEPOINT job");
    match conn.backend() {
        Backend::Sqlite => {
            RELEASE.bind(&[]).execute(conn)?;
            SAVEPOINT.bind(&[]).execute(conn)?;
            Ok(())
        }
        Backend::Postgres => conn.batch("RELEASE SAVEPOINT job; SAVEPOINT job"),
    }
}

/// Updates the statistics of an SQLite file and truncates its log. PostgreSQL does both by itself.
fn tidy(session: &mut Session) {
    if let Some(conn @ Conn::Sqlite(_)) = session.idle()
        && let Err(error) = conn.batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
    {
        tracing::warn!(%error, "cannot write the log back into the database file");
    }
}

#[cfg(test)]
mod tests;
