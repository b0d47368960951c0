//! The writer: a thread that runs waiting jobs in one transaction, each in a savepoint of its own,
//! commits once, and only then answers all of them. That makes durable writes cheap.
//!
//! All writes of one tenant are serial, so change numbers are counted in memory and no write
//! deadlocks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable};

use crate::store::engine::analyze::TableGrowth;
use crate::store::engine::inline_reads::WriteCounter;
use crate::store::engine::job::{Job, Reply, panicked};
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::session::Session;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::engine::writer::account::Account;
use crate::store::tables::changes::Change;
use crate::store::tables::counts::Count;
use crate::store::tables::storage_use::{StorageUse, row_bytes};
use crate::store::tables::{changes, counts};
use crate::store::{Backend, Conn, StoreError, TenantId};

mod account;

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
        self.ledger.settle(self.conn)?;
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
            Ok(value) => match self.end_part() {
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

    fn end_part(&mut self) -> Result<(), StoreError> {
        self.ledger.account.check()?;
        self.ledger.settle(self.conn)?;
        self.conn.batch("RELEASE SAVEPOINT part")
    }

    /// Records a change and returns its number. Numbers have no gaps, even if other writes fail.
    /// The row is written after the job, at the latest before the commit.
    pub fn append(&mut self, change: Change) -> i64 {
        let ledger = &mut *self.ledger;
        ledger.seq += 1;
        ledger.pending_bytes = ledger.pending_bytes.saturating_add(change.payload.len());
        ledger.account.append(&change);
        ledger.changes.push((ledger.seq, change));
        ledger.seq
    }

    /// Whether the changes in memory are so long that a write of many parts should end, to be
    /// continued by another.
    pub fn is_full(&self) -> bool {
        self.ledger.is_full()
    }

    /// Applies `edit` to the changes that were appended before and are not in the table yet, so that
    /// no statement can reach them. They may be those of any job of the batch.
    pub fn amend(&mut self, edit: impl Fn(&mut Change) + 'static) {
        let upto = self.ledger.changes.len();
        self.ledger.amendments.push((upto, Box::new(edit)));
    }

    /// Lets this job exceed the quota of the tenant, because it is the operator who runs it.
    pub fn exempt_from_quota(&mut self) {
        self.ledger.account.exempt();
    }

    /// The bytes of documents and changes that the batch has written so far.
    pub fn bytes_written(&self) -> u64 {
        self.ledger.account.written()
    }

    /// Counts a document that was written, in place of one of that size. Rows count too, so a
    /// new one, a deletion and memberships are [`Tx::count_bytes`].
    pub(in crate::store) fn count_document(&mut self, doc: &str, before_bytes: usize) {
        let bytes = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let added = bytes(doc.len()).saturating_sub(bytes(before_bytes));
        self.ledger.account.add_documents(added);
        self.ledger.account.add_written(doc);
    }

    /// Counts bytes that were added to the rows of resources and memberships, or removed.
    pub(in crate::store) fn count_bytes(&mut self, added: i64) {
        self.ledger.account.add_documents(added);
    }

    /// Counts bytes that were added to recorded changes, or removed.
    pub(in crate::store) fn count_history(&mut self, added: i64) {
        self.ledger.account.add_history(added);
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

/// When the changes and counts of jobs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Once, for all jobs of the batch, or whenever the changes fill the memory: the fastest.
    AtTheEnd,
    /// With each job, and each part of one, in its savepoint: a change that cannot be written is
    /// undone with the part that made it.
    WithEach,
}

/// The data that a batch writes for its jobs.
struct Ledger {
    tenant: TenantId,
    since: Instant,
    mode: Flush,
    /// The last number before the batch.
    first: i64,
    /// The last assigned number.
    seq: i64,
    /// Those that are not written yet.
    changes: Vec<(i64, Change)>,
    /// The length of their payloads.
    pending_bytes: usize,
    /// Each with the number of changes, from the first on, to which it applies.
    amendments: Vec<(usize, Amendment)>,
    counts: Vec<Count>,
    account: Account,
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
    account: Account,
}

#[derive(QueryableByName)]
struct Sequence {
    #[diesel(sql_type = BigInt)]
    change_seq: i64,
    #[diesel(sql_type = BigInt)]
    index_epoch: i64,
    #[diesel(sql_type = BigInt)]
    document_bytes: i64,
    #[diesel(sql_type = BigInt)]
    history_bytes: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    quota_bytes: Option<i64>,
}

// SQLite's writer has already locked the whole database, and SQLite has no FOR UPDATE.
static LOCK: Statement = Statement::per_backend(&[OF_TENANT], &[OF_TENANT, " FOR UPDATE"]);
const OF_TENANT: &str = "SELECT change_seq, index_epoch, document_bytes, history_bytes, quota_bytes \
     FROM tenants WHERE id = $1";
static SETTLE: Statement = Statement::new(
    "UPDATE tenants SET change_seq = $1, document_bytes = document_bytes + $2, \
     history_bytes = history_bytes + $3 WHERE id = $4",
);

/// The rules for all batches.
#[derive(Debug, Clone, Copy)]
struct BatchLimits {
    epoch: i64,
    quota_bytes: i64,
}

impl Ledger {
    /// Locks the tenant. Fails if another node has agreed on other indexes than those of
    /// the epoch.
    fn open(
        conn: &mut Conn,
        tenant: TenantId,
        limits: BatchLimits,
        mode: Flush,
    ) -> Result<Self, StoreError> {
        let BatchLimits { epoch, quota_bytes } = limits;
        let row: Option<Sequence> = LOCK.bind(&[tenant.into()]).fetch_optional(conn)?;
        let row = row.ok_or(StoreError::UnknownTenant(tenant))?;
        if epoch != 0 && row.index_epoch != epoch {
            return Err(StoreError::Outdated);
        }
        let seq = row.change_seq;
        Ok(Self {
            tenant,
            since: Instant::now(),
            mode,
            first: seq,
            seq,
            changes: Vec::new(),
            pending_bytes: 0,
            amendments: Vec::new(),
            counts: Vec::new(),
            account: Account::open(
                StorageUse {
                    documents: row.document_bytes,
                    history: row.history_bytes,
                },
                row.quota_bytes,
                quota_bytes,
            ),
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
            account: self.account,
        }
    }

    fn go_back(&mut self, mark: LedgerMark) {
        self.seq = mark.seq;
        self.changes.truncate(mark.changes);
        self.pending_bytes = mark.pending_bytes;
        self.amendments.truncate(mark.amendments);
        self.counts = mark.counts;
        self.account = self.account.back_to(mark.account);
    }

    /// Writes the changes made so far, if each job writes its own.
    fn settle(&mut self, conn: &mut Conn) -> Result<(), StoreError> {
        match self.mode {
            Flush::AtTheEnd => Ok(()),
            Flush::WithEach => self.flush(conn),
        }
    }

    fn is_full(&self) -> bool {
        self.pending_bytes > PENDING_BYTES
    }

    fn flush(&mut self, conn: &mut Conn) -> Result<(), StoreError> {
        let mut changes = std::mem::take(&mut self.changes);
        self.pending_bytes = 0;
        for (upto, edit) in std::mem::take(&mut self.amendments) {
            for (_, change) in changes.iter_mut().take(upto) {
                let before = row_bytes(&change.payload);
                edit(change);
                self.account
                    .add_history(row_bytes(&change.payload).saturating_sub(before));
            }
        }
        counts::add(conn, self.tenant, &std::mem::take(&mut self.counts))?;
        changes::insert(conn, self.tenant, &changes)?;
        let added = self.account.settle();
        if changes.is_empty() && added == StorageUse::default() {
            return Ok(());
        }
        let binds = [
            self.seq.into(),
            added.documents.into(),
            added.history.into(),
            self.tenant.into(),
        ];
        SETTLE.bind(&binds).execute(conn)?;
        Ok(())
    }
}

/// Work for the writer.
pub(in crate::store) enum WriteJob {
    Tenant(TenantId, Box<dyn for<'c> Job<Tx<'c>>>),
    /// Outside any tenant.
    Admin(Box<dyn Job<Conn>>),
    /// Outside any tenant. It cannot run again, so it is a batch of its own.
    Once(Box<dyn Job<Conn>>),
}

impl WriteJob {
    /// `None` is outside any tenant.
    pub(super) fn target(&self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant, _) => Some(*tenant),
            Self::Admin(_) | Self::Once(_) => None,
        }
    }

    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Tenant(..) | Self::Admin(_) => true,
            Self::Once(_) => false,
        }
    }

    pub(super) fn as_answer(&mut self) -> &mut dyn Reply {
        match self {
            Self::Tenant(_, job) => job.as_mut(),
            Self::Admin(job) | Self::Once(job) => job.as_mut(),
        }
    }

    pub(super) fn answer(self) {
        match self {
            Self::Tenant(_, job) => job.answer(),
            Self::Admin(job) | Self::Once(job) => job.answer(),
        }
    }
}

/// The state that a writer shares with the rest of the store.
pub(in crate::store) struct WriterShared {
    /// The epoch that the rows of tenants must have.
    pub epoch: Arc<AtomicI64>,
    /// The quota of tenants that have none of their own; 0 is no limit.
    pub quota_bytes: i64,
    pub writing: Arc<WriteCounter>,
    pub notifier: Arc<ChangeNotifier>,
}

/// A batch of which everything is undone.
pub(super) struct BatchFailed {
    pub fault: StoreError,
    /// The job that caused it; it has an error of its own with more detail.
    pub by: Option<usize>,
    pub cause: FailureCause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureCause {
    /// What a job wrote, so that the others may succeed without it.
    Job,
    /// The database, whatever is written.
    Database,
}

impl From<StoreError> for BatchFailed {
    fn from(fault: StoreError) -> Self {
        Self {
            fault,
            by: None,
            cause: FailureCause::Database,
        }
    }
}

/// A statement for all jobs has failed: the changes, the counts or the commit. After a lost
/// connection it is unknown whether the commit succeeded, so nothing may run again.
pub(super) fn failed_together(fault: StoreError) -> BatchFailed {
    let is_of_database = fault.is_connection_lost() || matches!(fault, StoreError::Busy);
    BatchFailed {
        cause: if is_of_database {
            FailureCause::Database
        } else {
            FailureCause::Job
        },
        ..BatchFailed::from(fault)
    }
}

/// Runs and commits the jobs. Returns the rows added to a tenant.
pub(super) fn run_batch(
    session: &mut Session,
    target: Option<TenantId>,
    jobs: &mut [WriteJob],
    shared: &WriterShared,
    mode: Flush,
) -> Result<Option<TableGrowth>, BatchFailed> {
    let limits = BatchLimits {
        epoch: shared.epoch.load(Ordering::Acquire),
        quota_bytes: shared.quota_bytes,
    };
    let open = |conn: &mut Conn| {
        let ledger = target.map(|tenant| Ledger::open(conn, tenant, limits, mode));
        ledger.transpose()
    };
    let (conn, mut ledger) = session.begin_with(open)?;
    conn.batch("SAVEPOINT job")?;
    for (index, job) in jobs.iter_mut().enumerate() {
        let mark = ledger.as_ref().map(Ledger::mark);
        if run_one(conn, ledger.as_mut(), job)? {
            spill(conn, ledger.as_mut()).map_err(failed_together)?;
            continue;
        }
        let by_job = |(fault, cause)| BatchFailed {
            fault,
            by: Some(index),
            cause,
        };
        undo_job(conn).map_err(by_job)?;
        if ledger.is_none() {
            let checked = takes_writes(conn);
            checked.map_err(|fault| by_job((fault, FailureCause::Database)))?;
        }
        if let (Some(ledger), Some(mark)) = (&mut ledger, mark) {
            ledger.go_back(mark);
        }
    }
    if let Some(ledger) = &mut ledger {
        ledger.flush(conn).map_err(failed_together)?;
    }
    conn.batch("COMMIT").map_err(failed_together)?;
    if let Some(ledger) = &ledger
        && ledger.seq > ledger.first
    {
        shared.notifier.notify(ledger.tenant, ledger.seq);
    }
    Ok(ledger.map(|ledger| ledger.growth))
}

/// Undoes the current job. The savepoint is left for the next one.
fn undo_job(conn: &mut Conn) -> Result<(), (StoreError, FailureCause)> {
    let Err(error) = conn.batch("ROLLBACK TO SAVEPOINT job") else {
        return Ok(());
    };
    Err(match (error, conn.backend()) {
        (error, _) if error.is_connection_lost() => (error, FailureCause::Database),
        // SQLite ends the whole transaction by itself if the disk is full or broken. What the other
        // jobs write may still fit.
        (error, Backend::Sqlite) => (StoreError::DiskFails(Arc::new(error)), FailureCause::Job),
        (error, Backend::Postgres) => (
            StoreError::Unavailable(Arc::new(error)),
            FailureCause::Database,
        ),
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
        (WriteJob::Admin(job) | WriteJob::Once(job), None) => job.run(conn),
        (WriteJob::Tenant(..), None) | (WriteJob::Admin(_) | WriteJob::Once(_), Some(_)) => {
            return Err(StoreError::internal("a job in a batch of another kind"));
        }
    };
    if !is_ok {
        return Ok(false);
    }
    let settled = ledger.map_or(Ok(()), |ledger| {
        ledger.account.check()?;
        ledger.settle(conn)
    });
    match settled.and_then(|()| next_savepoint(conn)) {
        Ok(()) => Ok(true),
        Err(fault) => {
            // It exceeds the quota, its changes cannot be written, or it continued after a failed
            // statement, which PostgreSQL reports here.
            job.as_answer().fail(fault);
            Ok(false)
        }
    }
}

/// Writes the changes of the jobs so far if they have become too long for memory. They have a
/// savepoint of their own, so that a later job that fails does not undo them, and what cannot be
/// written is not taken for the fault of the last job.
fn spill(conn: &mut Conn, ledger: Option<&mut Ledger>) -> Result<(), StoreError> {
    match ledger {
        Some(ledger) if ledger.is_full() => {
            ledger.flush(conn)?;
            next_savepoint(conn)
        }
        _ => Ok(()),
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

#[cfg(test)]
mod tests;
