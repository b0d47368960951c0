//! A consistent copy of a SQLite database, made while others read and write it.
//!
//! PostgreSQL has tools of its own for that, which do more than this could.

use std::path::Path;
use std::sync::Arc;

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::engine::conn;
use crate::store::engine::conn::Role;
use crate::store::engine::error::Fault;
use crate::store::engine::sql::Sql;
use crate::store::{Conn, DatabaseUrl, NewFile, StoreError};

/// A finished copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub size_bytes: u64,
}

/// Writes the state of this moment to a new file. Blocks.
///
/// The copy holds every acknowledged write from before the call. It appears under its name only once it is whole,
/// checked and on disk. An existing file is never overwritten.
///
/// # Errors
/// [`StoreError::Open`] with a text for the operator, where the source is no SQLite file, or the target exists or cannot be
/// written.
pub fn copy(source: &DatabaseUrl, target: &Path) -> Result<Copied, StoreError> {
    let DatabaseUrl::Sqlite(path) = source else {
        return Err(refused(
            "only an SQLite database is copied to a file; for PostgreSQL use pg_dump or its continuous archiving",
        ));
    };
    // Opening would make an empty database.
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
    match Sql::new("VACUUM INTO $1").text(text).execute(conn) {
        Ok(_) => Ok(()),
        Err(error) => Err(match StoreError::from(error) {
            // It is not the disk of the database that is full.
            StoreError::Full(cause) => StoreError::Open {
                message: format!("there is no room for a copy at {}", target.display()),
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

/// A copy that cannot be read is found now and not when it is needed.
fn check(copy: &Path) -> Result<(), StoreError> {
    let url = DatabaseUrl::Sqlite(copy.to_owned());
    let mut conn = conn::open(&url, Role::Checker)?;
    let findings: Vec<Finding> = Sql::new("PRAGMA quick_check").load(&mut conn)?;
    match findings.as_slice() {
        [only] if only.quick_check == "ok" => Ok(()),
        _ => Err(StoreError::internal(
            "the copy of the database does not pass SQLite's own check",
        )),
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Open {
        message: why.to_owned(),
        cause: Arc::new(Fault(why.to_owned())),
    }
}
