//! The store: a database, the threads that serve it and the queues in front of them.

use std::num::NonZero;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, TrySendError};

use crate::ids::TenantId;
use crate::settings::{ConfigError, Sources, milliseconds, number, settings};
use crate::store::engine::conn::{Backend, Conn, DatabaseUrl, Role};
use crate::store::engine::error::StoreError;
use crate::store::engine::inline_reads::{InlineReaders, Writes};
use crate::store::engine::job::Waiting;
use crate::store::engine::notify::ChangeNotifier;
use crate::store::engine::readers::ReadJob;
use crate::store::engine::replica::{self, Marks, Replica, ReplicaConfig};
use crate::store::engine::session::{Backoff, Session};
use crate::store::engine::writer::{Tx, WriteJob, WriterShared};
use crate::store::engine::{conn, job, migrate, readers, writer};
use crate::store::tables::indexes;

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
        /// Connections for lookups on the thread that asks. SQLite only.
        pub direct: usize = fixed(inline_readers()),
        /// Threads that write, each with a connection; a tenant always has the same one. SQLite has
        /// one.
        pub writers: usize = fixed(2),
    }
    validate = check_replica;
}

fn inline_readers() -> usize {
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

/// The database: give it work, it runs the work on a thread of its own.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    reads: Sender<Waiting<ReadJob>>,
    pub(super) direct: Arc<InlineReaders>,
    writing: Arc<Writes>,
    replica: Option<Replica>,
    writes: Vec<Sender<Waiting<WriteJob>>>,
    /// What [`indexes::agree`] said; 0 is not asked.
    epoch: Arc<AtomicI64>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    bell: Arc<ChangeNotifier>,
}

impl Store {
    /// Connects, brings the tables up to date and starts the threads. Blocks.
    pub fn open(config: &Config) -> Result<Self, StoreError> {
        let url = &config.url;
        migrate::up(&mut conn::open(url, Role::Migrator)?)?;
        let writers = match url.backend() {
            Backend::Sqlite => 1,
            Backend::Postgres => config.writers.max(1),
        };
        let mut store = Self {
            backend: url.backend(),
            reads: async_channel::bounded(1).0,
            direct: Arc::default(),
            writing: Arc::default(),
            replica: None,
            writes: Vec::new(),
            epoch: Arc::default(),
            threads: Mutex::new(Vec::new()),
            bell: Arc::default(),
        };
        let wait = config.wait;
        // Readers come first, so that they are gone before the writer writes the log back.
        let (reads, read_queue) = async_channel::bounded(config.queue.max(1));
        store.reads = reads;
        let pauses = Backoff::default();
        for number in 0..config.readers.max(1) {
            let session = Session::open(url, Role::Reader, &pauses)?;
            let queue: Receiver<_> = read_queue.clone();
            store.start(format!("db-read-{number}"), move || {
                readers::serve(session, &queue, wait, |_| Ok(()))
            })?;
        }
        if url.backend() == Backend::Sqlite {
            store.direct = Arc::new(InlineReaders::open(url, config.direct, &store.writing)?);
        }
        if let Some(replica) = &config.replica {
            store.start_replica(replica, config)?;
        }
        let pauses = Backoff::default();
        for number in 0..writers {
            let session = Session::open(url, Role::Writer, &pauses)?;
            let (writes, queue) = async_channel::bounded(config.queue.max(1));
            store.writes.push(writes);
            let signs = WriterShared {
                epoch: Arc::clone(&store.epoch),
                writing: Arc::clone(&store.writing),
                bell: Arc::clone(&store.bell),
            };
            store.start(format!("db-write-{number}"), move || {
                writer::serve(session, &queue, wait, &signs)
            })?;
        }
        Ok(store)
    }

    /// Its readers connect when they are needed: a replica that is away keeps nobody from starting.
    fn start_replica(
        &mut self,
        replica: &ReplicaConfig,
        config: &Config,
    ) -> Result<(), StoreError> {
        let (reads, read_queue) = async_channel::bounded(config.queue.max(1));
        let marks = Arc::new(Marks::new(replica.lag));
        self.replica = Some(Replica::new(reads, Arc::clone(&marks)));
        let (wait, pauses) = (config.wait, Backoff::default());
        for number in 0..config.readers.max(1) {
            let session = Session::later(&replica.url, Role::Replica, &pauses);
            let (queue, marks): (Receiver<_>, _) = (read_queue.clone(), Arc::clone(&marks));
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

    /// Runs `work` in a read-only transaction: all its statements see one state of the database, which holds
    /// every write that was answered before.
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

    /// Like [`Store::read`], for work of a few statements that each find a few rows by an index: on SQLite it is done
    /// before this returns.
    pub async fn read_short<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut work = Some(work);
        let done = self.direct.run_transaction(|conn| match work.take() {
            Some(work) => work(conn),
            None => Err(StoreError::internal("the work is done").into()),
        });
        match (done, work) {
            (Some(result), _) => result?,
            (None, Some(work)) => self.read(work).await,
            (None, None) => Err(StoreError::Busy.into()),
        }
    }

    /// Runs one statement that finds a few rows by an index; it needs no transaction, and may be run again where the
    /// connection broke. On SQLite it is done before this returns.
    pub async fn look_up<T>(
        &self,
        work: impl Fn(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
    {
        if let Some(result) = self.direct.run(&work) {
            return result;
        }
        let (job, result) = job::repeatable(work);
        send(&self.reads, Waiting::new(ReadJob::Statement(job)))?;
        receive(result).await
    }

    /// As [`Store::read`], for one who may see the state of a moment ago: the replica is asked, where there is one that
    /// is near enough. Whatever it does not answer well, the primary is asked: what is not there may just not have come.
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
                && let Some(Ok(found)) = replica.patiently(receive::<T, E>(result)).await
            {
                return Ok(found);
            }
        }
        self.read(work).await
    }

    /// Runs `work` as one write: all of it is kept, or nothing where it returns an error. When this returns
    /// `Ok`, the write is on disk. Work whose caller has gone before it began is not done.
    pub async fn write<T, E>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, result) = job::pending(work);
        send(
            self.writer_of(tenant)?,
            Waiting::new(WriteJob::Tenant(tenant, job)),
        )?;
        receive(result).await
    }

    /// A write outside any tenant: tenants, tokens, walks. Kept or undone like [`Store::write`].
    pub async fn admin<T, E>(
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
            Waiting::new(WriteJob::Admin(job)),
        )?;
        receive(result).await
    }

    /// Tells of new changes.
    pub fn bell(&self) -> &ChangeNotifier {
        &self.bell
    }

    /// Asks the primary how far its log has come, until the service ends. Ends at once without a
    /// replica.
    pub async fn watch_replica(self: Arc<Self>) {
        let Some(replica) = &self.replica else {
            return;
        };
        loop {
            let at = Instant::now();
            match self.read(replica::position).await {
                Ok(position) => replica.note(position, at),
                Err(error) => tracing::debug!(%error, "the primary was not asked for its log"),
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

    /// From now on a write is refused where another node has agreed on other indexes since.
    pub fn expect_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// Whether the database answers, and takes writes from here.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let expected = self.epoch.load(Ordering::Acquire);
        self.read(move |conn| match indexes::epoch(conn)? {
            found if expected == 0 || found == expected => Ok(()),
            _ => Err(StoreError::Outdated),
        })
        .await
    }

    /// How many jobs wait for a reader and for a writer.
    pub fn waiting(&self) -> (usize, usize) {
        (self.reads.len(), self.writes.iter().map(Sender::len).sum())
    }

    /// Takes no more work, finishes what waits and ends the threads. Blocks. Later calls find the store
    /// `Unavailable`.
    pub fn close(&self) {
        self.bell.close();
        self.reads.close();
        self.direct.close();
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
        Err(_) => Err(StoreError::internal("a database job was lost").into()),
    }
}
