//! The errors of the store, and how the errors of the two databases map to them.
//!
//! It must not know HTTP; `http` chooses the status of a response.

use std::fmt;
use std::sync::Arc;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

use crate::store::{ResourceId, TenantId};

/// The cause of an error, for the log. Shared, because one failed commit fails many writes.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting, or it waited too long. Trying again later may succeed.
    #[error("the database is busy")]
    Busy,
    /// A query used its time up, so it was stopped.
    #[error("the query took longer than it may")]
    OutOfTime,
    /// The database does not answer, or the store is closed. The write is undone, unless the
    /// connection broke within the commit itself.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Cause),
    /// The disk is full; the write is undone.
    #[error("the database's disk is full")]
    Full(#[source] Cause),
    /// The disk cannot be read or written; the write is undone.
    #[error("the database's disk cannot be read or written")]
    DiskFails(#[source] Cause),
    /// The file or the server accepts no writes: it was made read-only, or another server is the
    /// primary now.
    #[error("the database accepts no writes")]
    ReadOnly(#[source] Cause),
    /// Another node has started on the database with other indexes.
    #[error(
        "another process has started on this database with other resource types or indexes: restart this one with \
         the same configuration"
    )]
    Outdated,
    /// The tenant stores more than it may, and the write would add to that. Both are bytes.
    #[error("the tenant stores {used} bytes and may store {limit}")]
    QuotaExceeded { used: i64, limit: i64 },
    /// Another row holds a value that must be unique.
    #[error("{0} is taken")]
    Duplicate(Unique),
    /// Another resource has a value at a path whose values must be unique.
    #[error("{path} is taken by {holder}")]
    Held { path: String, holder: ResourceId },
    #[error("tenant {0} does not exist")]
    UnknownTenant(TenantId),
    /// The database cannot be opened or migrated; the text tells the operator what to check.
    #[error("{message}")]
    Open {
        message: String,
        #[source]
        cause: Cause,
    },
    /// A bug in this program or a fault in the content of the database.
    #[error("internal database error")]
    Internal(#[source] Cause),
}

/// The values that must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unique {
    /// `userName` among the resources of one type in one tenant, folded.
    UserName,
    TenantName,
    /// The name of a live token in one tenant.
    TokenName,
    /// The name of a subscription in one tenant.
    SubscriptionName,
    /// A key that this program generated.
    Id,
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserName => "the userName",
            Self::TenantName => "the tenant's name",
            Self::TokenName => "the token's name",
            Self::SubscriptionName => "the webhook's name",
            Self::Id => "the id",
        })
    }
}

/// An error without a source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::store) struct Fault(pub String);

/// The cause of an error for a statement that was not begun because its query has no time left.
#[derive(Debug, thiserror::Error)]
#[error("the query has no time left")]
pub(in crate::store) struct OutOfTime;

impl StoreError {
    pub(in crate::store) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(Arc::new(Fault(why.into())))
    }

    pub(in crate::store) fn internal(why: impl Into<String>) -> Self {
        Self::Internal(Arc::new(Fault(why.into())))
    }

    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate(_))
    }

    /// Maps a failure to open to an outage: it stops the program at its start, but not later.
    pub(in crate::store) fn while_running(self) -> Self {
        match self {
            Self::Open { ref message, .. } => {
                let kind = kind_of(message).unwrap_or(Self::Unavailable);
                kind(Arc::new(self))
            }
            other => other,
        }
    }

    /// Whether the connection has to be replaced. That includes a connection to a server that
    /// accepts no writes: a new one may lead to another server, and SQLite treats a file as
    /// read-only until it is opened again.
    pub(in crate::store) fn is_connection_lost(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::DiskFails(_) | Self::ReadOnly(_)
        )
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::DatabaseError(kind, info) => match kind {
                DatabaseErrorKind::UniqueViolation => match unique(info.as_ref()) {
                    Some(which) => Self::Duplicate(which),
                    None => Self::Internal(Arc::new(error)),
                },
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                    Self::Unavailable(Arc::new(error))
                }
                DatabaseErrorKind::ReadOnlyTransaction => Self::ReadOnly(Arc::new(error)),
                DatabaseErrorKind::SerializationFailure => Self::Busy,
                _ => by_message(error),
            },
            Error::BrokenTransactionManager => Self::Unavailable(Arc::new(error)),
            Error::QueryBuilderError(cause) if cause.is::<OutOfTime>() => Self::OutOfTime,
            _ => Self::Internal(Arc::new(error)),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(Arc::new(error))
    }
}

/// Finds the value that is taken. PostgreSQL names the constraint. SQLite lists columns in its
/// message, of which the last is decisive:
/// `UNIQUE constraint failed: resources.tenant_id, .., resources.user_name`.
fn unique(info: &dyn DatabaseErrorInformation) -> Option<Unique> {
    let name = match info.constraint_name() {
        Some(constraint) => constraint,
        None => info.message().rsplit([' ', ',']).next()?,
    };
    Some(match name {
        "resources_user_name_key" | "resources.user_name" => Unique::UserName,
        "tenants_name_key" | "tenants.name" => Unique::TenantName,
        "tokens_name_key" | "tokens.name" => Unique::TokenName,
        "subscriptions_name_key" | "subscriptions.name" => Unique::SubscriptionName,
        "resources_pkey" | "resources.id" | "tokens_pkey" | "tokens.id" | "tokens_hash_key"
        | "tokens.hash" => Unique::Id,
        _ => return None,
    })
}

/// Recognises the messages of the databases about a failing disk.
fn kind_of(text: &str) -> Option<fn(Cause) -> StoreError> {
    let says = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    if says(&["database or disk is full", "No space left on device"]) {
        Some(StoreError::Full)
    } else if says(&["disk I/O error", "Input/output error", "File too large"]) {
        Some(StoreError::DiskFails)
    } else if says(&["readonly database", "Read-only file system"]) {
        Some(StoreError::ReadOnly)
    } else {
        None
    }
}

/// What PostgreSQL says where a query has no time left. The second is the next statement's answer if
/// the time-out came while the rest of a result was thrown away.
const OUT_OF_TIME: &[&str] = &["statement timeout", "current transaction is aborted"];

/// For other errors, diesel drops SQLite's result code and PostgreSQL's SQLSTATE; only the message
/// is left.
fn by_message(error: Error) -> StoreError {
    let text = error.to_string();
    let says = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    // PostgreSQL's time-out of a statement means this only where it was set for a query.
    let is_limited = sqlite_deadline::current().is_some();
    if let Some(kind) = kind_of(&text) {
        kind(Arc::new(error))
    } else if text == "interrupted" || is_limited && says(OUT_OF_TIME) {
        StoreError::OutOfTime
    } else if says(&[
        "database is locked",
        "database table is locked",
        "statement timeout",
        "lock timeout",
        "deadlock",
    ]) {
        StoreError::Busy
    } else if says(&[
        // SQLite
        "unable to open database file",
        // PostgreSQL
        "terminating connection",
        "server closed the connection",
        "connection to server",
        "no connection to the server",
        "could not connect",
        "could not receive data",
        "could not send data",
        "SSL connection has been closed",
        "SSL SYSCALL error",
        "the database system is",
        "too many clients",
    ]) {
        StoreError::Unavailable(Arc::new(error))
    } else {
        StoreError::Internal(Arc::new(error))
    }
}
