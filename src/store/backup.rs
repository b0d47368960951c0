//! A consistent copy of a SQLite database, made while others read and write it.
//!
//! PostgreSQL has tools of its own for that, which do more than this could.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::conn::{self, Role};
use crate::store::error::Fault;
use crate::store::sql::Sql;
use crate::store::{Conn, DatabaseUrl, StoreError};

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
    if target.exists() {
        return Err(refused(&format!(
            "{} exists; name a file that does not",
            target.display()
        )));
    }
    let mut conn = conn::open(source, Role::Copier)?;
    let partial = Partial::begin(target)?;
    vacuum_into(&mut conn, &partial.path)?;
    check(&partial.path)?;
    partial.finish(target)
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

/// The file under its provisional name, removed again unless it is finished.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn begin(target: &Path) -> Result<Self, StoreError> {
        let mut name = target
            .file_name()
            .ok_or_else(|| refused("the path names no file"))?
            .to_owned();
        name.push(".partial");
        let path = target.with_file_name(name);
        // It holds what the database holds, so nobody else may read it. SQLite fills an empty file.
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&path)
            .map_err(|error| unwritable(&path, error))?;
        Ok(Self { path })
    }

    /// `VACUUM INTO` leaves it to the system when the bytes reach the disk; here they have, before the name is there.
    fn finish(self, target: &Path) -> Result<Copied, StoreError> {
        let fault = |error| unwritable(target, error);
        let file = File::open(&self.path).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        let size_bytes = file.metadata().map_err(fault)?.len();
        // Unlike a rename, a link never replaces a file that came meanwhile.
        fs::hard_link(&self.path, target).map_err(fault)?;
        let folder = target.parent().filter(|folder| folder.as_os_str() != "");
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(fault)?;
        Ok(Copied { size_bytes })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.path);
        if let Err(error) = removed.or_else(ignore_missing) {
            tracing::warn!(%error, "a provisional file stays behind");
        }
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::Open {
        message: why.to_owned(),
        cause: Arc::new(Fault(why.to_owned())),
    }
}

fn unwritable(path: &Path, error: io::Error) -> StoreError {
    StoreError::Open {
        message: format!("cannot write {}: {error}", path.display()),
        cause: Arc::new(error),
    }
}
