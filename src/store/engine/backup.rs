//! A consistent copy of a SQLite database, made while it is read and written.
//!
//! PostgreSQL has better tools of its own for that.

use std::path::Path;
use std::sync::Arc;

use diesel::QueryableByName;
use diesel::sql_types::Text;

use crate::store::engine::conn;
use crate::store::engine::conn::Role;
use crate::store::engine::error::Fault;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, DatabaseUrl, NewFile, StoreError};

/// A finished copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub size_bytes: u64,
}

/// Writes the current state to a new file. Blocks.
///
/// The copy has every write acknowledged before the call. It appears under its name only when it is
/// complete, checked and on disk. An existing file is never overwritten.
///
/// # Errors
/// [`StoreError::Open`] with a text for the operator, if the source is not a SQLite file, or the
/// target exists or cannot be written.
pub fn copy(source: &DatabaseUrl, target: &Path) -> Result<Copied, StoreError> {
    let DatabaseUrl::Sqlite(path) = source else {
        return Err(refused(
            "only an SQLite database is copied to a file; for PostgreSQL use pg_dump or its continuous archiving",
        ));
    };
    // Opening a missing file would create an empty database.
    if !path.is_file() {
        return Err(refused(&format!("there is no file {}", path.display())));
    }
    let file = NewFile::begin(target)?;
    let mut conn = conn::open(source, Role::Copier)?;
    vacuum_into(&mut conn, file.path())?;
    check(file.path())?;
    let size_bytes = file.finish()?;
    Ok(Copied { size_bytes })
}

fn vacuum_into(conn: &mut Conn, target: &Path) -> Result<(), StoreError> {
    let text = target
        .to_str()
        .ok_or_else(|| refused("the path is not UTF-8"))?;
    static COPY: Statement = Statement::new("VACUUM INTO $1");
    match COPY.bind(&[text.into()]).execute(conn) {
        Ok(_) => Ok(()),
        Err(error) => Err(match StoreError::from(error) {
            // The full disk is the copy's, not the database's.
            StoreError::Full(cause) => StoreError::Open {
                message: format!(
                    "the disk is full: a copy does not fit at {}",
                    target.display()
                ),
                cause,
            },
            other => other,
        }),
    }
}

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Finds an unreadable copy now, not when it is needed.
fn check(copy: &Path) -> Result<(), StoreError> {
    let url = DatabaseUrl::Sqlite(copy.to_owned());
    let mut conn = conn::open(&url, Role::Checker)?;
    static CHECK: Statement = Statement::new("PRAGMA quick_check");
    let findings: Vec<Finding> = CHECK.bind(&[]).fetch_all(&mut conn)?;
    match findings.as_slice() {
        [only] if only.quick_check == "ok" => Ok(()),
        _ => Err(StoreError::internal(
            "the copy of the database fails SQLite's own check",
        )),
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Open {
        message: why.to_owned(),
        cause: Arc::new(Fault(why.to_owned())),
    }
}
