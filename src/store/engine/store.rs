//! The store: a database, the threads that serve it, and the queues of these threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_channel::{Sender, TrySendError};

use crate::ids::TenantId;
use crate::settings::{ConfigError, Sources, bytes, milliseconds, number, settings};
use crate::store::engine::conn::{Backend, Conn, DatabaseUrl, Role};
use crate::store::engine::error::StoreError;
use crate::store::engine::inline_reads::{InlineReaders, WriteCounter};
use crate::store::engine::job::{Claim, Waiting};
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::read_job::ReadJob;
use crate::store::engine::read_queue::{Lane, ReadQueue, Reads, SERVICE};
use crate::store::engine::replica::{self, Marks, Replica, ReplicaConfig};
use crate::store::engine::session::{Backoff, Session};
use crate::store::engine::writer::{Tx, WriteJob, WriterShared};
use crate::store::engine::{budget, conn, index_epoch, job, migrate, readers, write_queue};

settings! {
    /// How to open a [`Store`].
    #[derive(Debug, Clone)]
    pub struct Config {
        /// `sqlite:PATH`, or libpq's `postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full`. See
        /// [how to choose a database](operating.md#choose-a-database).
        pub url: DatabaseUrl =
            setting("database", DatabaseUrl::kind(), "sqlite:rollcall.sqlite"),
        /// Connections that read, on each node. One tenant gets at most half of them at a time. A
        /// replica gets as many more.
        pub readers: usize = setting("database_readers", number(2..=256), 4),
        /// Further connections, which only look up single users, groups and tokens. SQLite has one,
        /// because it does that mostly on the threads of the requests.
        pub lookup_readers: usize = setting("database_lookup_readers", number(1..=256), 2),
        /// Requests of one tenant that may wait for the readers, of which all tenants together may
        /// have twice as many, and requests that may wait for each writer. More are answered 503.
        pub queue: usize = setting("database_queue", number(1..=1_000_000), 1024),
        /// Longest time that a request may wait for the database before it is answered 503.
        pub wait: Duration = setting("database_queue_wait_ms", milliseconds(1..=600_000), 5000),
        /// Longest time that a query may take, from its first statement to its rendered result. A
        /// longer one is stopped and answered 400 `tooMany`.
        pub query_time: Duration = setting("query_time_ms", milliseconds(1..=600_000), 2000),
        pub replica: Option<ReplicaConfig> = section,
        /// Most bytes that a tenant may store in resources and their history. 0 is no limit. A
        /// tenant can have [one of its own](limits.md#storage-of-a-tenant).
        pub tenant_quota_bytes: i64 =
            setting("tenant_quota_bytes", bytes(0..=MAX_QUOTA_BYTES), 0),
        /// Connections for lookups on the thread that asks. SQLite only.
        pub inline_readers: usize = fixed(inline_reader_count()),
        /// Threads that write, each with a connection; a tenant always has the same one. SQLite has
        /// one.
        pub writers: usize = fixed(2),
    }
    validate = check_replica;
}

/// Far more than a database holds.
pub const MAX_QUOTA_BYTES: u64 = 1 << 50;

fn inline_reader_count() -> usize {
    std::thread::available_parallelism()
        .map_or(2, NonZero::get)
        .min(16)
}

fn check_replica(config: &Config, sources: &Sources) -> Result<(), ConfigError> {
    let Some(replica) = &config.replica else {
        return Ok(());
    };
    match (config.url.backend(), replica.url.backend()) {
        (Backend::Postgres, Backend::Postgres) => Ok(()),
        (Backend::Sqlite, _) | (_, Backend::Sqlite) => Err(sources.error(
            "database_replica",
            "a replica is a PostgreSQL that follows the one in `database`; SQLite has none",
        )),
    }
}

/// A database. It runs work on its own threads.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    reads: Arc<ReadQueue>,
    pub(super) inline: Arc<InlineReaders>,
    writing: Arc<WriteCounter>,
    replica: Option<Replica>,
    writes: Vec<Sender<Waiting<WriteJob>>>,
    /// The epoch that writes expect, see [`Store::expect_epoch`]; 0 if they expect none.
    epoch: Arc<AtomicI64>,
    tenant_quota_bytes: i64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    notifier: Arc<ChangeNotifier>,
    wait: Duration,
    query_time: Duration,
}

impl Store {
    /// Connects, migrates the tables and starts the threads. Blocks.
    pub fn open(config: &Config) -> Result<Self, StoreError> {
        let url = &config.url;
        migrate::up(&mut conn::open(url, Role::Migrator)?)?;
        let mut store = Self {
            backend: url.backend(),
            reads: Arc::new(read_queue(config)),
            inline: Arc::default(),
            writing: Arc::default(),
            replica: None,
            writes: Vec::new(),
            epoch: Arc::default(),
            tenant_quota_bytes: config.tenant_quota_bytes,
            threads: Mutex::new(Vec::new()),
            notifier: Arc::default(),
            wait: config.wait,
            query_time: config.query_time,
        };
        // Readers come first, so that they have ended before the writer checkpoints the log.
        store.start_readers(config)?;
        if url.backend() == Backend::Sqlite {
            store.inline = Arc::new(InlineReaders::open(
                url,
                config.inline_readers,
                &store.writing,
            )?);
        }
        if let Some(replica) = &config.replica {
            store.start_replica(replica, config)?;
        }
        store.start_writers(config)?;
        Ok(store)
    }

    fn start_readers(&mut self, config: &Config) -> Result<(), StoreError> {
        let pauses = Backoff::default();
        let general = (0..general_readers(config)).map(|number| (Reads::Everything, number));
        let lookups = (0..lookup_readers(config)).map(|number| (Reads::Lookups, number));
        for (reads, number) in general.chain(lookups) {
            let name = match reads {
                Reads::Everything => "db-read",
                Reads::Lookups => "db-lookup",
            };
            let session = Session::open(&config.url, Role::Reader, &pauses)?;
            let queue = Arc::clone(&self.reads);
            self.start(format!("{name}-{number}"), move || {
                readers::serve(session, &queue, reads, |_| Ok(()))
            })?;
        }
        Ok(())
    }

    fn start_writers(&mut self, config: &Config) -> Result<(), StoreError> {
        let wait = config.wait;
        let pauses = Backoff::default();
        let writers = match self.backend {
            Backend::Sqlite => 1,
            Backend::Postgres => config.writers.max(1),
        };
        for number in 0..writers {
            let session = Session::open(&config.url, Role::Writer, &pauses)?;
            let (writes, queue) = async_channel::bounded(config.queue.max(1));
            self.writes.push(writes);
            let shared = WriterShared {
                epoch: Arc::clone(&self.epoch),
                quota_bytes: config.tenant_quota_bytes,
                writing: Arc::clone(&self.writing),
                notifier: Arc::clone(&self.notifier),
            };
            self.start(format!("db-write-{number}"), move || {
                write_queue::serve(session, &queue, wait, &shared)
            })?;
        }
        Ok(())
    }

    /// Its readers connect when they are first used: a missing replica must not prevent the start.
    fn start_replica(
        &mut self,
        replica: &ReplicaConfig,
        config: &Config,
    ) -> Result<(), StoreError> {
        let readers = general_readers(config);
        let wait = Replica::wait(config.wait);
        let reads = Arc::new(ReadQueue::new(readers, 0, queue_capacity(config), wait));
        let marks = Arc::new(Marks::new(replica.lag));
        self.replica = Some(Replica::new(Arc::clone(&reads), Arc::clone(&marks)));
        let pauses = Backoff::default();
        for number in 0..readers {
            let session = Session::later(&replica.url, Role::Replica, &pauses);
            let queue = Arc::clone(&reads);
            let marks = Arc::clone(&marks);
            self.start(format!("db-replica-{number}"), move || {
                readers::serve(session, &queue, Reads::Everything, |conn| marks.check(conn))
            })?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(|error| StoreError::unavailable(format!("cannot start a thread: {error}")))?;
        self.threads
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    /// Runs `work` in a read-only transaction: all its statements see one state of the database,
    /// with every write that was answered before. For the service itself and for commands; a
    /// client's read is a [`Store::query`].
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read_for(SERVICE, work).await
    }

    /// Like [`Store::read`], with the share of a tenant: for long searches that one of its
    /// administrators starts.
    pub async fn read_for<T, E>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::pending(work);
        let job = ReadJob::Transaction(job, None);
        let claim = self.push(Lane::Query, tenant, job)?;
        receive(result, claim, self.wait).await
    }

    /// Like [`Store::read`], for a client of a tenant: with the tenant's share of the readers, and
    /// for a limited time.
    ///
    /// # Errors
    /// [`StoreError::OutOfTime`].
    pub async fn query<T, E>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::pending(work);
        let job = ReadJob::Transaction(job, Some(self.query_time));
        let claim = self.push(Lane::Query, tenant, job)?;
        receive(result, claim, self.wait).await
    }

    /// Like [`Store::query`], for a few statements that each find a few rows by an index. On SQLite
    /// they run on the calling thread, unless they find more than expected.
    pub async fn query_short<T, E>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let done = self.inline.run_transaction(|conn| work.clone()(conn));
        match done {
            Some(result) => result?,
            None => self.query(tenant, work).await,
        }
    }

    /// Runs one statement that finds a few rows by an index. It has no transaction of its own, and
    /// runs again if the connection broke. On SQLite it runs on the calling thread, unless it finds
    /// more than expected.
    pub async fn look_up<T>(
        &self,
        tenant: TenantId,
        work: impl Fn(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        if let Some(result) = self.inline.run(&work) {
            return result;
        }
        let (job, result) = job::repeatable(work);
        let claim = self.push(Lane::Lookup, tenant, ReadJob::Statement(job))?;
        receive(result, claim, self.wait).await
    }

    /// Like [`Store::query`], for callers that accept a slightly older state: reads the replica, if
    /// there is one whose lag is small enough. If the replica fails or finds nothing, the primary
    /// is read, because the data may not have been replicated yet.
    pub async fn query_behind<T, E>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some((replica, queue)) = self.usable_replica() else {
            return self.query(tenant, work).await;
        };
        let is_out_of_time = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&is_out_of_time);
        let on_replica = work.clone();
        let (job, result) = job::pending(move |conn: &mut Conn| {
            let result = on_replica(conn);
            noted.store(result.is_err() && budget::is_over(), Ordering::Relaxed);
            result
        });
        let (job, claim) = Waiting::new(ReadJob::Transaction(job, Some(self.query_time)));
        if queue.push(Lane::Query, tenant, job).is_ok() {
            let answer = receive::<T, E>(result, claim, Replica::wait(self.wait));
            match replica.wait_for(self.query_time, answer).await {
                Some(Ok(found)) => return Ok(found),
                // The primary would take as long.
                Some(Err(error)) if is_out_of_time.load(Ordering::Relaxed) => return Err(error),
                Some(Err(_)) | None => {}
            }
        }
        self.query(tenant, work).await
    }

    fn usable_replica(&self) -> Option<(&Replica, &Arc<ReadQueue>)> {
        let replica = self.replica.as_ref()?;
        Some((replica, replica.queue()?))
    }

    fn push(&self, lane: Lane, owner: TenantId, job: ReadJob) -> Result<Claim, StoreError> {
        let (job, claim) = Waiting::new(job);
        self.reads.push(lane, owner, job)?;
        Ok(claim)
    }

    /// Runs `work` as one write, which is undone if it returns an error. When this returns `Ok`,
    /// the write is on disk. Work is skipped if its caller was cancelled before it began.
    ///
    /// `work` runs again, from the state before it, if the batch that it was in was undone because
    /// of another write.
    pub async fn write<T, E>(
        &self,
        tenant: TenantId,
        work: impl Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::repeatable(work);
        let claim = send(self.writer_of(tenant)?, WriteJob::Tenant(tenant, job))?;
        receive(result, claim, self.wait).await
    }

    /// Runs a write outside any tenant: tenants, tokens, walks. It is committed or undone like
    /// [`Store::write`].
    pub async fn admin<T, E>(
        &self,
        work: impl Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::repeatable(work);
        let claim = send(self.writer_of(SERVICE)?, WriteJob::Admin(job))?;
        receive(result, claim, self.wait).await
    }

    /// Like [`Store::admin`], for work that can run only once. It shares its transaction with no
    /// other write.
    pub async fn admin_once<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::pending(work);
        let claim = send(self.writer_of(SERVICE)?, WriteJob::Once(job))?;
        receive(result, claim, self.wait).await
    }

    /// Notifies subscribers of new changes.
    pub fn notifier(&self) -> &ChangeNotifier {
        &self.notifier
    }

    /// Polls the primary for the position of its log until the service ends. Returns at once
    /// without a replica.
    pub async fn watch_replica(self: Arc<Self>) {
        let Some(replica) = &self.replica else {
            return;
        };
        loop {
            let at = Instant::now();
            match self.read(replica::position).await {
                Ok(position) => replica.note(position, at),
                Err(error) => {
                    tracing::debug!(%error, "cannot poll the primary for its log position")
                }
            }
            tokio::time::sleep(replica.pause()).await;
        }
    }

    pub fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The quota of tenants that have none of their own; 0 is no limit.
    pub fn tenant_quota_bytes(&self) -> i64 {
        self.tenant_quota_bytes
    }

    /// Makes writes fail if another node has agreed on other indexes than those of this epoch.
    pub fn expect_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Checks that the database answers and accepts writes from this node.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let expected = self.epoch.load(Ordering::Acquire);
        self.read(move |conn| match index_epoch::get(conn)? {
            found if expected == 0 || found == expected => Ok(()),
            _ => Err(StoreError::Outdated),
        })
        .await
    }

    /// The number of jobs that wait for a reader and for a writer.
    pub fn waiting(&self) -> (usize, usize) {
        (self.reads.len(), self.writes.iter().map(Sender::len).sum())
    }

    /// Accepts no more work, finishes the waiting jobs and ends the threads. Blocks. Later calls
    /// return [`StoreError::Unavailable`].
    pub fn close(&self) {
        self.notifier.close();
        self.reads.close();
        self.inline.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
        for writes in &self.writes {
            writes.close();
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last owner may be a job on one of the threads.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a database thread ended with a panic");
            }
        }
    }

    fn writer_of(&self, tenant: TenantId) -> Result<&Sender<Waiting<WriteJob>>, StoreError> {
        let count = i64::try_from(self.writes.len()).unwrap_or(1).max(1);
        let index = usize::try_from(tenant.0.rem_euclid(count)).unwrap_or_default();
        self.writes
            .get(index)
            .ok_or_else(|| StoreError::internal("no writer"))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn general_readers(config: &Config) -> usize {
    // With a single one, a tenant would have all of them.
    config.readers.max(2)
}

fn lookup_readers(config: &Config) -> usize {
    match config.url.backend() {
        Backend::Sqlite => 1,
        Backend::Postgres => config.lookup_readers.max(1),
    }
}

/// One tenant fills at most half of it.
fn queue_capacity(config: &Config) -> usize {
    config.queue.saturating_mul(2)
}

fn read_queue(config: &Config) -> ReadQueue {
    let (general, lookups) = (general_readers(config), lookup_readers(config));
    ReadQueue::new(general, lookups, queue_capacity(config), config.wait)
}

fn send(queue: &Sender<Waiting<WriteJob>>, job: WriteJob) -> Result<Claim, StoreError> {
    let (job, claim) = Waiting::new(job);
    queue.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Busy,
        TrySendError::Closed(_) => StoreError::unavailable("the store is closed"),
    })?;
    Ok(claim)
}

/// Waits for a result. A job that nothing has begun within `wait` is given up, whatever the threads
/// of the database are doing.
async fn receive<T, E: From<StoreError>>(
    mut result: job::PendingReply<T, E>,
    claim: Claim,
    wait: Duration,
) -> Result<T, E> {
    let received = match tokio::time::timeout(wait, &mut result).await {
        Ok(received) => received,
        Err(_) if claim.take() => return Err(StoreError::Busy.into()),
        Err(_) => result.await,
    };
    match received {
        Ok(result) => result,
        Err(_) => Err(StoreError::internal("a database job ended without a result").into()),
    }
}
