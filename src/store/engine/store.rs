//! The store: a database, the threads that serve it, and the queues of these threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TrySendError};

use crate::ids::TenantId;
use crate::settings::{ConfigError, Sources, bytes, milliseconds, number, settings};
use crate::store::engine::conn::{Backend, Conn, DatabaseUrl, Role};
use crate::store::engine::error::StoreError;
use crate::store::engine::inline_reads::{InlineReaders, WriteCounter};
use crate::store::engine::job::Waiting;
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::readers::ReadJob;
use crate::store::engine::replica::{self, Marks, Replica, ReplicaConfig};
use crate::store::engine::session::{Backoff, Session};
use crate::store::engine::writer::{Tx, WriteJob, WriterShared};
use crate::store::engine::{conn, index_epoch, job, migrate, readers, write_queue};

settings! {
    /// How to open a [`Store`].
    #[derive(Debug, Clone)]
    pub struct Config {
        /// `sqlite:PATH`, or libpq's `postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full`. See
        /// [how to choose a database](operating.md#choose-a-database).
        pub url: DatabaseUrl =
            setting("database", DatabaseUrl::kind(), "sqlite:rollcall.sqlite"),
        /// Connections that read, on each node. A replica gets as many more.
        pub readers: usize = setting("database_readers", number(1..=256), 4),
        /// Requests that may wait for the readers, and for each writer. More are answered 503.
        pub queue: usize = setting("database_queue", number(1..=1_000_000), 1024),
        /// Longest time that a request may wait for the database before it is answered 503.
        pub wait: Duration = setting("database_queue_wait_ms", milliseconds(1..=600_000), 5000),
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
    reads: Sender<Waiting<ReadJob>>,
    pub(super) inline: Arc<InlineReaders>,
    writing: Arc<WriteCounter>,
    replica: Option<Replica>,
    writes: Vec<Sender<Waiting<WriteJob>>>,
    /// The epoch that writes expect, see [`Store::expect_epoch`]; 0 if they expect none.
    epoch: Arc<AtomicI64>,
    tenant_quota_bytes: i64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    notifier: Arc<ChangeNotifier>,
}

impl Store {
    /// Connects, migrates the tables and starts the threads. Blocks.
    pub fn open(config: &Config) -> Result<Self, StoreError> {
        let url = &config.url;
        migrate::up(&mut conn::open(url, Role::Migrator)?)?;
        let mut store = Self {
            backend: url.backend(),
            reads: async_channel::bounded(1).0,
            inline: Arc::default(),
            writing: Arc::default(),
            replica: None,
            writes: Vec::new(),
            epoch: Arc::default(),
            tenant_quota_bytes: config.tenant_quota_bytes,
            threads: Mutex::new(Vec::new()),
            notifier: Arc::default(),
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
        let wait = config.wait;
        let pauses = Backoff::default();
        let (reads, read_queue) = async_channel::bounded(config.queue.max(1));
        self.reads = reads;
        for number in 0..config.readers.max(1) {
            let session = Session::open(&config.url, Role::Reader, &pauses)?;
            let queue: Receiver<_> = read_queue.clone();
            self.start(format!("db-read-{number}"), move || {
                readers::serve(session, &queue, wait, |_| Ok(()))
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
        let (reads, read_queue) = async_channel::bounded(config.queue.max(1));
        let marks = Arc::new(Marks::new(replica.lag));
        self.replica = Some(Replica::new(reads, Arc::clone(&marks)));
        let wait = config.wait;
        let pauses = Backoff::default();
        for number in 0..config.readers.max(1) {
            let session = Session::later(&replica.url, Role::Replica, &pauses);
            let queue: Receiver<_> = read_queue.clone();
            let marks = Arc::clone(&marks);
            self.start(format!("db-replica-{number}"), move || {
                readers::serve(session, &queue, wait, |conn| marks.check(conn))
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
    /// with every write that was answered before.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::pending(work);
        send(&self.reads, Waiting::new(ReadJob::Transaction(job)))?;
        receive(result).await
    }

    /// Like [`Store::read`], for a few statements that each find a few rows by an index. On SQLite
    /// they run on the calling thread.
    pub async fn read_short<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut work = Some(work);
        let done = self.inline.run_transaction(|conn| match work.take() {
            Some(work) => work(conn),
            None => Err(StoreError::internal("the work is done").into()),
        });
        match (done, work) {
            (Some(result), _) => result?,
            (None, Some(work)) => self.read(work).await,
            (None, None) => Err(StoreError::Busy.into()),
        }
    }

    /// Runs one statement that finds a few rows by an index. It has no transaction of its own, and
    /// runs again if the connection broke. On SQLite it runs on the calling thread.
    pub async fn look_up<T>(
        &self,
        work: impl Fn(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        if let Some(result) = self.inline.run(&work) {
            return result;
        }
        let (job, result) = job::repeatable(work);
        send(&self.reads, Waiting::new(ReadJob::Statement(job)))?;
        receive(result).await
    }

    /// Like [`Store::read`], for callers that accept a slightly older state: reads the replica, if
    /// there is one whose lag is small enough. If the replica fails or finds nothing, the primary
    /// is read, because the data may not have been replicated yet.
    pub async fn read_behind<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if let Some(replica) = &self.replica
            && let Some(queue) = replica.queue()
        {
            let (job, result) = job::pending(work.clone());
            let job = ReadJob::Transaction(job);
            if send(queue, Waiting::new(job)).is_ok()
                && let Some(Ok(found)) = replica.wait_for(receive::<T, E>(result)).await
            {
                return Ok(found);
            }
        }
        self.read(work).await
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
        send(
            self.writer_of(tenant)?,
            Waiting::new(WriteJob::Tenant(tenant, job)),
        )?;
        receive(result).await
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
        send(
            self.writer_of(TenantId(0))?,
            Waiting::new(WriteJob::Admin(job)),
        )?;
        receive(result).await
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
        send(
            self.writer_of(TenantId(0))?,
            Waiting::new(WriteJob::Once(job)),
        )?;
        receive(result).await
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

fn send<J>(queue: &Sender<J>, job: J) -> Result<(), StoreError> {
    queue.try_send(job).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Busy,
        TrySendError::Closed(_) => StoreError::unavailable("the store is closed"),
    })
}

async fn receive<T, E: From<StoreError>>(result: job::PendingReply<T, E>) -> Result<T, E> {
    match result.await {
        Ok(result) => result,
        Err(_) => Err(StoreError::internal("a database job ended without a result").into()),
    }
}
