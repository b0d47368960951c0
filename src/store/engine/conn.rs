//! The connection: one enum over both databases, and how a new one is set up.
//!
//! The differences between SQLite and PostgreSQL are here and in `statement.rs`, each with a
//! comment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::{Connection, ConnectionError, PgConnection, SqliteConnection};

use crate::settings::{Kind, parsed};
use crate::store::StoreError;
use crate::store::engine::error::{Cause, Fault};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Conn {
    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// Runs statements without parameters or rows.
    pub(in crate::store) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.batch_execute(sql)?)
    }
}

/// The address of the database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, created if it is missing.
    Sqlite(PathBuf),
    /// A libpq URL: `sslmode` and the like work as in `psql`. Never printed, as it may hold a
    /// password.
    Postgres(String),
}

/// The text is not the address of a database that the store can open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl DatabaseUrl {
    /// The kind of settings that hold one.
    pub fn kind() -> Kind<Self> {
        parsed("URL", "URL", |text| {
            Self::parse(text).map_err(|error| error.to_string())
        })
    }

    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// Parses `sqlite:PATH`, `postgres://..` or `postgresql://..`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(UrlError(
                    "sqlite: needs a file, as in sqlite:rollcall.db".into(),
                )),
                // Each connection would see a database of its own.
                ":memory:" => Err(UrlError(
                    "sqlite::memory: is not supported, name a file instead".into(),
                )),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_encoding(text)?;
            return Ok(Self::Postgres(text.into()));
        }
        // Not echoed: it may hold a password.
        Err(UrlError(
            "the database URL must start with sqlite: or postgres://".into(),
        ))
    }
}

/// Rejects URLs that libpq would misread and then quote in its error, such as a part of a password
/// taken for the name of a host.
fn check_encoding(url: &str) -> Result<(), UrlError> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, query) = path.split_once('?').unwrap_or((path, ""));
    let credentials = authority.rsplit_once('@').map_or("", |(before, _)| before);
    if credentials.contains(['@', '?']) || name.contains('@') {
        return Err(UrlError(
            "in the database URL a special character of the user or password must be percent-encoded: %40 for @, \
             %2F for /, %3F for ?, %25 for %"
                .into(),
        ));
    }
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let is_encoded = |token: &str| {
        let token = token.as_bytes();
        !token.starts_with(b"00") && is_hex(token.first()) && is_hex(token.get(1))
    };
    if !rest.split('%').skip(1).all(is_encoded) {
        return Err(UrlError(
            "in the database URL a % must be followed by two hexadecimal digits, and not by 00; a % itself is %25"
                .into(),
        ));
    }
    if !query.is_empty() && !query.split('&').all(|pair| pair.contains('=')) {
        return Err(UrlError(
            "in the database URL every parameter after ? has the form name=value, joined by &"
                .into(),
        ));
    }
    Ok(())
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without user, password and parameters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let place = rest.split('?').next().unwrap_or_default();
                let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
                write!(f, "postgres://{place}")
            }
        }
    }
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Role {
    Migrator,
    Writer,
    Reader,
    /// Reads on the thread of the request, which must not wait.
    Inline,
    /// Reads a server that follows the primary.
    Replica,
    /// Reads the database and writes a copy of it elsewhere.
    Copier,
    /// Reads a copy that no other process uses, and does not change it.
    Checker,
    /// Rewrites the whole database while others use it.
    Compactor,
}

/// Opens a connection and sets the session up for its role.
pub(in crate::store) fn open(url: &DatabaseUrl, role: Role) -> Result<Conn, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => open_sqlite(path, role).map(Conn::Sqlite),
        DatabaseUrl::Postgres(url) => open_postgres(url, role).map(Conn::Postgres),
    }
}

fn open_sqlite(path: &Path, role: Role) -> Result<SqliteConnection, StoreError> {
    let fault = |cause| cannot_open(path, cause);
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        && !parent.is_dir()
    {
        return Err(fault(Arc::new(Fault(
            "its directory does not exist".into(),
        ))));
    }
    let text = path
        .to_str()
        .ok_or_else(|| fault(Arc::new(Fault("the path is not UTF-8".into()))))?;
    sqlite_deadline::install().map_err(|error| fault(Arc::new(error)))?;
    let mut conn = SqliteConnection::establish(text).map_err(|error| fault(Arc::new(error)))?;
    conn.batch_execute(&sqlite_settings(role))
        .map_err(|error| fault(Arc::new(error)))?;
    Ok(conn)
}

fn cannot_open(path: &Path, cause: Cause) -> StoreError {
    let text = cause.to_string();
    let hint = if text.contains("readonly") || text.contains("unable to open") {
        "; the file and its directory must not be read-only for the user that the service runs as"
    } else {
        ""
    };
    StoreError::Open {
        message: format!("cannot open {}: {text}{hint}", path.display()),
        cause,
    }
}

fn sqlite_settings(role: Role) -> String {
    // busy_timeout comes first, because switching to WAL takes a lock. page_size works only before
    // the first write. synchronous=FULL: an acknowledged write is on disk; group commit makes that
    // cheap.
    let shared = "PRAGMA busy_timeout = 10000; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; \
                  PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0; \
                  PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";
    let own = match role {
        Role::Writer | Role::Migrator => {
            // secure_delete: deleted or replaced data is overwritten, not only released. It has no
            // measurable cost.
            "PRAGMA cache_size = -20480; PRAGMA wal_autocheckpoint = 16000; PRAGMA secure_delete = ON;"
        }
        Role::Reader | Role::Replica => "PRAGMA cache_size = -2048; PRAGMA query_only = ON;",
        Role::Inline => {
            "PRAGMA cache_size = -16384; PRAGMA query_only = ON; PRAGMA busy_timeout = 0;"
        }
        // For SQLite, `VACUUM INTO` is a write.
        Role::Copier => "PRAGMA cache_size = -16384;",
        Role::Checker => "PRAGMA query_only = ON;",
        // In a temporary file: the whole database is written there first, and may not fit into
        // memory.
        Role::Compactor => {
            "PRAGMA busy_timeout = 60000; PRAGMA cache_size = -65536; PRAGMA secure_delete = ON; PRAGMA temp_store = FILE;"
        }
    };
    // A copy that is only checked must not change.
    let shared = if role == Role::Checker { "" } else { shared };
    // SQLite opens a file that cannot be written for reading, without an error until the first
    // write.
    let lock = match role {
        Role::Writer | Role::Migrator => "BEGIN IMMEDIATE; ROLLBACK;",
        Role::Reader
        | Role::Inline
        | Role::Replica
        | Role::Copier
        | Role::Checker
        | Role::Compactor => "",
    };
    format!("{shared} {own} {lock}")
}

fn open_postgres(url: &str, role: Role) -> Result<PgConnection, StoreError> {
    let mut conn =
        PgConnection::establish(&with_defaults(url, role)).map_err(|error| match error {
            // If libpq cannot parse the URL, its message quotes all of it.
            ConnectionError::BadConnection(text) if text.contains("URI") => StoreError::Open {
                message: "PostgreSQL's library cannot read the database URL".to_owned(),
                cause: Arc::new(Fault("it is no connection URI of libpq".into())),
            },
            ConnectionError::BadConnection(text) if text.contains("session is read-only") => {
                StoreError::ReadOnly(Arc::new(Fault(text)))
            }
            // The message names host and user, never the password.
            error @ ConnectionError::BadConnection(_) => StoreError::Unavailable(Arc::new(error)),
            error => StoreError::Open {
                message: format!("cannot connect to PostgreSQL: {error}"),
                cause: Arc::new(error),
            },
        })?;
    // jit: compiling a plan takes longer than any statement here, and a wrong cost estimate
    // triggers it.
    let shared = "SET application_name = 'rollcall'; SET timezone = 'UTC'; SET client_min_messages = warning; \
                  SET jit = off;";
    let own = match role {
        Role::Migrator => "",
        // A session that waits for the lock of a table blocks all that come after it.
        Role::Compactor => "SET lock_timeout = '10s';",
        // lock_timeout: another node that hangs must not hang this one.
        Role::Writer => {
            "SET statement_timeout = '60s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s';"
        }
        Role::Reader | Role::Inline | Role::Replica | Role::Copier | Role::Checker => {
            "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s';"
        }
    };
    conn.batch_execute(&format!("{shared} {own}"))?;
    Ok(conn)
}

/// Adds options that libpq does not set by default. Without them, a silent network hangs a
/// connection for many minutes, and of several hosts, or behind a name that a failover moves, libpq
/// takes the first that answers, even a standby that lags.
fn with_defaults(url: &str, role: Role) -> String {
    let kind = match role {
        Role::Replica => "standby",
        Role::Migrator
        | Role::Writer
        | Role::Reader
        | Role::Inline
        | Role::Copier
        | Role::Checker
        | Role::Compactor => "primary",
    };
    let mut url = url.to_owned();
    for (name, value) in [
        ("connect_timeout", "10"),
        ("keepalives_idle", "15"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "30000"),
        ("target_session_attrs", kind),
    ] {
        let named = url.split_once('?').is_some_and(|(_, query)| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(name))
        });
        if !named {
            let glue = if url.contains('?') { '&' } else { '?' };
            url.push(glue);
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::{DatabaseUrl, Role, with_defaults};

    #[test]
    fn urls() {
        let check = |text: &str, expected: Result<&str, ()>| {
            let parsed = DatabaseUrl::parse(text).map(|url| format!("{url:?}"));
            assert_eq!(parsed.as_deref().map_err(|_| ()), expected, "{text}");
        };
        check("sqlite:rollcall.db", Ok("DatabaseUrl(sqlite:rollcall.db)"));
        check(
            "sqlite:/var/lib/a.db",
            Ok("DatabaseUrl(sqlite:/var/lib/a.db)"),
        );
        check(
            "sqlite:///var/lib/a.db",
            Ok("DatabaseUrl(sqlite:/var/lib/a.db)"),
        );
        check("sqlite::memory:", Err(()));
        check("sqlite:", Err(()));
        check("mysql://x", Err(()));
        check("", Err(()));
        check(
            "postgres://u:p%40ss@host:5432/db?sslmode=require&password=x@y/z",
            Ok("DatabaseUrl(postgres://host:5432/db)"),
        );
        check(
            "postgres://u:secret@h1:5432,h2:5433,[::1]/db?target_session_attrs=read-write",
            Ok("DatabaseUrl(postgres://h1:5432,h2:5433,[::1]/db)"),
        );
        check(
            "postgres://u@%2Frun%2Fa,%2Frun%2Fb/db",
            Ok("DatabaseUrl(postgres://%2Frun%2Fa,%2Frun%2Fb/db)"),
        );
        // libpq would take parts of these passwords for hosts, ports or databases, and quote them.
        check("postgres://u:p@ss@host/db", Err(()));
        check("postgres://u:p/ss@host/db", Err(()));
        check("postgres://u:p?ss@host/db", Err(()));
        check("postgres://u:100%@host/db", Err(()));
        check("postgres://u:p%00@host/db", Err(()));
        check("postgres://host/db?password=a&b", Err(()));
        check("postgresql:///db", Ok("DatabaseUrl(postgres:///db)"));
    }

    #[test]
    fn missing_libpq_options_are_added_once() {
        assert_eq!(
            with_defaults(
                "postgres://h/db?connect_timeout=3&keepalives_idle=1&keepalives_interval=1&keepalives_count=1",
                Role::Writer
            ),
            "postgres://h/db?connect_timeout=3&keepalives_idle=1&keepalives_interval=1&keepalives_count=1\
             &tcp_user_timeout=30000&target_session_attrs=primary"
        );
        assert_eq!(
            with_defaults(
                "postgres://h1,h2/db?target_session_attrs=read-write",
                Role::Writer
            )
            .matches("target_session_attrs=")
            .collect::<Vec<_>>()
            .len(),
            1
        );
        assert!(
            with_defaults("postgres://h/db", Role::Writer)
                .starts_with("postgres://h/db?connect_timeout=10&")
        );
    }
}
