//! Errors of an export or import.

use crate::service::Error;
use crate::store::StoreError;

/// The reason why an export or import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Service(#[from] Error),
    #[error("the export cannot be written")]
    Output(#[source] std::io::Error),
    #[error("the export cannot be read")]
    Input(#[source] std::io::Error),
    /// The file is no complete export, or does not fit this installation.
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
