//! A connection that belongs to one thread and is reopened when it breaks.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::engine::conn::Role;
use crate::store::engine::{budget, conn};
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};
use crate::telemetry;

/// The first and the longest pause before a failed connection is retried.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(in crate::store) struct Session {
    url: DatabaseUrl,
    role: Role,
    conn: Option<Conn>,
    pauses: Backoff,
}

/// The failures that the sessions of one role share: if one cannot connect, the others wait too,
/// and if one succeeds, none waits any longer.
#[derive(Clone, Default)]
pub(in crate::store) struct Backoff(Arc<Mutex<Option<SharedFailure>>>);

/// The reason for the missing connection, and the time before which no session retries.
struct SharedFailure {
    fault: StoreError,
    pause: Duration,
    until: Instant,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {:?})", self.url, self.role)
    }
}

impl Backoff {
    fn rest(&self) -> MutexGuard<'_, Option<SharedFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Many requests must not connect at once to a database that is starting.
    fn check(&self) -> Result<(), StoreError> {
        match &*self.rest() {
            Some(rest) if Instant::now() < rest.until => Err(rest.fault.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn end(&self) {
        *self.rest() = None;
    }

    fn begin(&self, fault: StoreError) -> StoreError {
        let now = Instant::now();
        let mut rest = self.rest();
        let pause = match &*rest {
            // Another session has failed at the same time.
            Some(rest) if now < rest.until => return fault,
            Some(rest) => rest.pause.saturating_mul(2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        *rest = Some(SharedFailure {
            fault: fault.clone(),
            pause,
            until: now + pause,
        });
        fault
    }
}

impl Session {
    /// Creates a session that connects when it is first used.
    pub fn later(url: &DatabaseUrl, role: Role, pauses: &Backoff) -> Self {
        Self {
            url: url.clone(),
            role,
            conn: None,
            pauses: pauses.clone(),
        }
    }

    /// Creates a session and connects.
    pub fn open(url: &DatabaseUrl, role: Role, pauses: &Backoff) -> Result<Self, StoreError> {
        Ok(Self {
            conn: Some(conn::open(url, role)?),
            ..Self::later(url, role, pauses)
        })
    }

    /// Begins a transaction and runs `first` in it. If the connection is dead, or leads to a server
    /// that no longer accepts writes, both are repeated on a new one, because no work has begun
    /// yet.
    pub fn begin_with<T>(
        &mut self,
        first: impl Fn(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<(&mut Conn, T), StoreError> {
        self.begin_within(None, first)
    }

    /// Like [`Session::begin_with`], with a limit for the time of each statement. On PostgreSQL it
    /// is set with the same message as the beginning; SQLite has none, see [`budget`].
    pub fn begin_within<T>(
        &mut self,
        limit: Option<Duration>,
        first: impl Fn(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<(&mut Conn, T), StoreError> {
        let backend = self.url.backend();
        let mut sql = Cow::Borrowed(begin_sql(backend, self.role));
        if let (Backend::Postgres, Some(limit)) = (backend, limit) {
            sql = format!("{sql}; {}", budget::set_timeout(limit)).into();
        }
        let begin = |conn: &mut Conn| {
            conn.batch(&sql)?;
            first(conn)
        };
        if let Some(mut conn) = self.conn.take() {
            match begin(&mut conn) {
                Ok(done) => return Ok((self.conn.insert(conn), done)),
                Err(error) if error.is_connection_lost() => {
                    tracing::warn!(error = %telemetry::chain(&error), "the database connection is unusable, reconnecting");
                }
                Err(error) => {
                    // The caller rolls back; if that fails too, it drops the connection.
                    self.conn = Some(conn);
                    return Err(error);
                }
            }
        }
        self.pauses.check()?;
        let mut fresh = conn::open(&self.url, self.role)
            .map_err(|error| self.pauses.begin(error.while_running()))?;
        match begin(&mut fresh) {
            Ok(done) => {
                self.pauses.end();
                Ok((self.conn.insert(fresh), done))
            }
            Err(error) if error.is_connection_lost() => Err(self.pauses.begin(error)),
            Err(error) => {
                self.pauses.end();
                self.conn = Some(fresh);
                Err(error)
            }
        }
    }

    /// Returns the connection outside a transaction, reopened if there is none.
    pub fn connected(&mut self) -> Result<&mut Conn, StoreError> {
        match self.conn {
            Some(ref mut conn) => Ok(conn),
            None => {
                self.pauses.check()?;
                let fresh = conn::open(&self.url, self.role);
                let fresh = fresh.map_err(|error| self.pauses.begin(error.while_running()))?;
                self.pauses.end();
                Ok(self.conn.insert(fresh))
            }
        }
    }

    /// Rolls the current transaction back. Drops a connection that cannot do that.
    pub fn rollback(&mut self) {
        if let Some(conn) = &mut self.conn
            && conn.batch("ROLLBACK").is_err()
            && !is_idle(conn)
        {
            self.conn = None;
        }
    }

    /// Drops the connection; the database undoes its open transaction.
    pub fn discard(&mut self) {
        self.conn = None;
    }

    /// Returns the connection outside a transaction, if there is one.
    pub fn idle(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }
}

/// Whether an SQLite connection has no transaction, because SQLite has ended it by itself.
fn is_idle(conn: &mut Conn) -> bool {
    match conn.backend() {
        Backend::Sqlite => conn.batch("BEGIN; COMMIT").is_ok(),
        Backend::Postgres => false,
    }
}

/// A reader's statements see one state of the database: SQLite's transactions always do,
/// PostgreSQL's need an isolation level. A writer on SQLite takes the only write lock at once,
/// because taking it later can fail halfway; on PostgreSQL the tenant's row is the lock.
fn begin_sql(backend: Backend, role: Role) -> &'static str {
    match (backend, role) {
        (
            Backend::Sqlite,
            Role::Reader | Role::Inline | Role::Replica | Role::Copier | Role::Checker,
        ) => "BEGIN",
        (Backend::Sqlite, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN IMMEDIATE",
        (
            Backend::Postgres,
            Role::Reader | Role::Inline | Role::Replica | Role::Copier | Role::Checker,
        ) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        (Backend::Postgres, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN",
    }
}
