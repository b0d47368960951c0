//! A thread's own connection, opened again when it broke.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::engine::conn;
use crate::store::engine::conn::Role;
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};
use crate::telemetry;

/// How long a database that cannot be used is left alone: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(in crate::store) struct Session {
    url: DatabaseUrl,
    role: Role,
    conn: Option<Conn>,
    pauses: Backoff,
}

/// What the sessions of one role know of their database: where one has failed to connect, the others wait too, and
/// where one has succeeded, none waits any longer.
#[derive(Clone, Default)]
pub(in crate::store) struct Backoff(Arc<Mutex<Option<Rest>>>);

/// Why there is no connection, and until when none is tried.
struct Rest {
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
    fn rest(&self) -> MutexGuard<'_, Option<Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Many requests must not knock all at once at a database that is starting.
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
        *rest = Some(Rest {
            fault: fault.clone(),
            pause,
            until: now + pause,
        });
        fault
    }
}

impl Session {
    /// Connects when it is needed.
    pub fn later(url: &DatabaseUrl, role: Role, pauses: &Backoff) -> Self {
        Self {
            url: url.clone(),
            role,
            conn: None,
            pauses: pauses.clone(),
        }
    }

    /// Connects at once.
    pub fn open(url: &DatabaseUrl, role: Role, pauses: &Backoff) -> Result<Self, StoreError> {
        Ok(Self {
            conn: Some(conn::open(url, role)?),
            ..Self::later(url, role, pauses)
        })
    }

    /// Begins a transaction with what must come first in it. Where the connection turns out to be dead, or to lead to
    /// a server that takes no writes any more, both are done once more on a new one: no work has begun yet.
    pub fn begin_with<T>(
        &mut self,
        first: impl Fn(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<(&mut Conn, T), StoreError> {
        let sql = begin_sql(self.url.backend(), self.role);
        let begin = |conn: &mut Conn| {
            conn.batch(sql)?;
            first(conn)
        };
        if let Some(mut kept) = self.conn.take() {
            match begin(&mut kept) {
                Ok(done) => return Ok((self.conn.insert(kept), done)),
                Err(error) if error.is_connection_lost() => {
                    tracing::warn!(error = %telemetry::chain(&error), "the database connection is of no use, connecting again");
                }
                Err(error) => {
                    // The caller rolls back; whatever state it is in, that tells.
                    self.conn = Some(kept);
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

    /// The connection outside a transaction, made anew where there is none.
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

    /// Undoes the transaction at hand. A connection that cannot do that is given up.
    pub fn rollback(&mut self) {
        if let Some(conn) = &mut self.conn
            && conn.batch("ROLLBACK").is_err()
        {
            self.conn = None;
        }
    }

    /// Gives the connection up; the database undoes what was not committed.
    pub fn discard(&mut self) {
        self.conn = None;
    }

    /// The connection outside a transaction, where there is one.
    pub fn idle(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }
}

/// A reader's statements see one state of the database: SQLite's read transactions do that by themselves,
/// PostgreSQL's have to ask. A writer takes the database's one write lock at once on SQLite, as a lock taken
/// later can fail halfway; on PostgreSQL the tenant's row is the lock.
fn begin_sql(backend: Backend, role: Role) -> &'static str {
    match (backend, role) {
        (
            Backend::Sqlite,
            Role::Reader | Role::Direct | Role::Replica | Role::Copier | Role::Checker,
        ) => "BEGIN",
        (Backend::Sqlite, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN IMMEDIATE",
        (
            Backend::Postgres,
            Role::Reader | Role::Direct | Role::Replica | Role::Copier | Role::Checker,
        ) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        (Backend::Postgres, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN",
    }
}
