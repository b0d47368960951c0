//! A thread's own connection, opened again when it broke.

use std::fmt;

use crate::store::conn::{self, Role};
use crate::store::{Backend, Conn, DatabaseUrl, StoreError};
use crate::telemetry;

pub(super) struct Session {
    url: DatabaseUrl,
    role: Role,
    conn: Option<Conn>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {:?})", self.url, self.role)
    }
}

impl Session {
    /// Connects at once.
    pub fn open(url: &DatabaseUrl, role: Role) -> Result<Self, StoreError> {
        Ok(Self {
            url: url.clone(),
            role,
            conn: Some(conn::open(url, role)?),
        })
    }

    /// Begins a transaction. A connection that turns out to be dead is replaced, once.
    pub fn begin(&mut self) -> Result<&mut Conn, StoreError> {
        let sql = begin_sql(self.url.backend(), self.role);
        let mut kept = self.conn.take();
        if let Some(conn) = &mut kept {
            match conn.batch(sql) {
                Ok(()) => {}
                Err(error) if error.is_connection_lost() => {
                    tracing::warn!(error = %telemetry::chain(&error), "the database connection is lost, connecting again");
                    kept = None;
                }
                Err(error) => {
                    // Whatever state it is in, the next begin starts afresh.
                    return Err(error);
                }
            }
        }
        let conn = match kept {
            Some(conn) => conn,
            None => {
                let mut fresh = conn::open(&self.url, self.role)?;
                fresh.batch(sql)?;
                fresh
            }
        };
        Ok(self.conn.insert(conn))
    }

    /// The connection outside a transaction, made anew where there is none.
    pub fn connected(&mut self) -> Result<&mut Conn, StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => conn::open(&self.url, self.role)?,
        };
        Ok(self.conn.insert(conn))
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
        (Backend::Sqlite, Role::Reader | Role::Direct | Role::Copier | Role::Checker) => "BEGIN",
        (Backend::Sqlite, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN IMMEDIATE",
        (Backend::Postgres, Role::Reader | Role::Direct | Role::Copier | Role::Checker) => {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        }
        (Backend::Postgres, Role::Writer | Role::Migrator | Role::Compactor) => "BEGIN",
    }
}
