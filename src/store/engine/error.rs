//! What can go wrong in the store, and how the two databases' errors become it.
//!
//! It must not know HTTP: the answer's status is chosen at the door.

use std::fmt;
use std::sync::Arc;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

use crate::store::{ResourceId, TenantId};

/// The reason behind a fault, for the log. Shared, because one failed commit fails many writes.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting, or it waited too long. Trying again later may succeed.
    #[error("the database is busy")]
    Busy,
    /// The database does not answer, or the store is closed. Nothing of the write is kept, unless the
    /// connection broke within the commit itself.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Cause),
    /// The disk is full; nothing of the write is kept.
    #[error("the database's disk is full")]
    Full(#[source] Cause),
    /// The disk cannot be read or written; nothing of the write is kept.
    #[error("the database's disk fails")]
    DiskFails(#[source] Cause),
    /// The file, or the server, takes no writes: it was made read-only, or another one is the primary by now.
    #[error("the database takes no writes")]
    ReadOnly(#[source] Cause),
    /// Another node serves the database with other indexes.
    #[error(
        "another process has been started on this database with other resource types or indexes: restart this one \
         with the same configuration"
    )]
    Outdated,
    /// Another row holds a value that must be unique.
    #[error("{0} is taken")]
    Duplicate(Unique),
    /// Another resource has a value at a path whose values must be unique.
    #[error("{path} is taken by {holder}")]
    Held { path: String, holder: ResourceId },
    #[error("tenant {0} does not exist")]
    UnknownTenant(TenantId),
    /// The database cannot be opened or brought up to date; the text tells the operator what to look at.
    #[error("{message}")]
    Open {
        message: String,
        #[source]
        cause: Cause,
    },
    /// A fault of this program or of the database's content.
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
    /// A key that this program made.
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

/// A fault that has no error of its own beneath.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::store) struct Fault(pub String);

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

    /// What a failure to open means once the program runs: at the start it stops it, here it is an outage.
    pub(in crate::store) fn while_running(self) -> Self {
        match self {
            Self::Open { ref message, .. } => {
                let kind = kind_of(message).unwrap_or(Self::Unavailable);
                kind(Arc::new(self))
            }
            other => other,
        }
    }

    /// Whether the connection is of no more use. One to a server that takes no writes is not either: a new one may
    /// lead to another server, and SQLite keeps a file for read-only until it is opened again.
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
            _ => Self::Internal(Arc::new(error)),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(Arc::new(error))
    }
}

/// Which value is taken. PostgreSQL names the constraint; SQLite lists columns in its message, and of
/// those the last tells: `UNIQUE constraint failed: resources.tenant_id, .., resources.user_name`.
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

/// What a disk that takes nothing makes the databases say.
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

/// diesel keeps neither SQLite's result code nor PostgreSQL's SQLSTATE for the rest, only the message.
fn by_message(error: Error) -> StoreError {
    let text = error.to_string();
    let says = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    if let Some(kind) = kind_of(&text) {
        kind(Arc::new(error))
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
