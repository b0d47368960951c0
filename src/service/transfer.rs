//! Moves a tenant between databases as lines of JSON.
//!
//! The first line is a header; the last has the number of lines and their SHA-256. An import reads
//! back what it has written and compares it before it commits, so it transfers the whole tenant or
//! nothing.

mod error;
mod line;
mod read;
mod write;

use std::io::{BufRead, Write};
use std::sync::Arc;

use scim_core::Registry;

use crate::service::Error;
use crate::store::Store;
use crate::store::tables::tenants;

pub use error::TransferError;
pub use line::LineCounts;
pub use read::ImportTarget;
pub use write::{Progress, Tokens};

/// Writes a tenant as it is at this moment, and returns the output.
///
/// # Errors
/// [`Error::NotFound`] for the tenant, [`TransferError::Output`].
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

/// Reads an export into an empty tenant, which is created if it does not exist.
///
/// # Errors
/// [`TransferError::Line`] for a file that is damaged or truncated, [`TransferError::Refused`]
/// where the tenant is in use.
pub async fn import(
    store: &Store,
    registry: Arc<Registry>,
    target: ImportTarget,
    input: impl BufRead + Send + 'static,
    progress: Progress,
) -> Result<LineCounts, TransferError> {
    store
        .admin_once(move |conn| {
            let lines = line::Lines::new(input);
            read::import(conn, &registry, target, lines, progress)
        })
        .await
}
