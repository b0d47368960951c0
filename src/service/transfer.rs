//! A tenant as lines of JSON: out of one database, into another, and proof that it is the same.
//!
//! The first line says what follows, the last how much it was and its SHA-256. An import reads back what it wrote
//! and compares, before it commits: either the whole tenant is there to the last byte, or nothing of it.

mod line;
mod read;
mod write;

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::sync::Arc;

use scim_core::Registry;

use crate::service::Error;
use crate::store::tables::tenants;
use crate::store::{Store, StoreError};

pub use line::LineCounts;

/// Why a tenant could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Service(#[from] Error),
    #[error("the export cannot be written")]
    Output(#[source] std::io::Error),
    #[error("the export cannot be read")]
    Input(#[source] std::io::Error),
    /// The file is not what an export wrote, or does not fit this installation.
    #[error("line {line}: {problem}")]
    Line { line: u64, problem: String },
    #[error("{0}")]
    Refused(String),
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

/// Told how far it is, now and then.
pub type Progress = Box<dyn FnMut(LineCounts) + Send>;

/// Which tokens go along. They are hashes; with them, clients go on as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tokens {
    All,
    None,
    /// Those with these ids.
    Only(HashSet<String>),
}

/// Writes a tenant as it is at this moment, and hands the output back.
///
/// # Errors
/// An unknown tenant; output that cannot be written.
pub async fn export<W: Write + Send + 'static>(
    store: &Store,
    tenant: String,
    tokens: Tokens,
    output: W,
    progress: Progress,
) -> Result<(LineCounts, W), TransferError> {
    store
        .read(move |conn| {
            let tenant = tenants::by_name(conn, &tenant)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{tenant}`")))?;
            let first_line = write::first_line(&tenant)?;
            let mut sheet = write::LineBuffer::begin(output, &first_line, progress)?;
            write::content(conn, &tenant, &tokens, &mut sheet)?;
            sheet.end()
        })
        .await
}

/// Reads an export into a tenant that has nothing yet, and makes the tenant where it is not there.
///
/// `name` is the tenant's name here; without one it is that of the export. `now_us`: microseconds since the epoch.
///
/// # Errors
/// [`TransferError::Line`] for a file that is damaged or cut off, [`TransferError::Refused`] where the tenant is in use.
pub async fn import(
    store: &Store,
    registry: Arc<Registry>,
    name: Option<String>,
    now_us: i64,
    input: impl BufRead + Send + 'static,
    progress: Progress,
) -> Result<LineCounts, TransferError> {
    store
        .admin(move |conn| {
            let lines = line::Lines::new(input);
            read::import(conn, &registry, name, now_us, lines, progress)
        })
        .await
}
