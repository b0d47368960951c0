//! The errors of use cases. `http` chooses their status.

use std::fmt;

use scim_core::{ErrorKind, ResourceType, ScimError, Version};

use crate::memory::MemoryError;
use crate::store::query::page::PageError;
use crate::store::{ResourceId, StoreError, Unique};

/// The detail of the error for a query that was stopped, where nothing more specific is known.
const OUT_OF_TIME: &str = "The query was stopped because it took too long. Ask for less at once: a smaller `limit` or \
     `count`, fewer attributes (such as `excludedAttributes=members`), no nested groups, or a time closer to now.";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Scim(#[from] ScimError),
    /// The text names the resource: `User 123`.
    #[error("{0} was not found")]
    NotFound(String),
    /// The resource's version does not satisfy If-Match / If-None-Match.
    #[error("the version is {0}")]
    PreconditionFailed(Version),
    #[error("a bulk request may hold {limit} operations")]
    TooManyOperations { limit: usize },
    /// The resource would be larger than one may be; the text has the sizes.
    #[error("{0}")]
    DocumentTooLarge(String),
    #[error("no valid credential")]
    Unauthenticated(Unauthenticated),
    #[error("this token lacks the scope {0}")]
    Forbidden(crate::auth::Scope),
    /// The request filters or sorts by an attribute that the caller may not read.
    #[error("this token may not read {0}")]
    Hidden(String),
    /// The feed cannot be followed from the caller's position.
    #[error("the changes are not there")]
    Gone(Gone),
    /// The resource was erased; the text names it: `User 123`.
    #[error("{0} was erased")]
    Erased(String),
    /// A conflict outside SCIM, such as the name of a tenant or token that is taken.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    BadRequest(String),
    /// A value that must be unique is taken, and no error with more detail was made.
    #[error("{0} is taken")]
    Taken(Unique),
    /// Only the operator can fill the type; the text is its name.
    #[error("resources of the type {0} are read-only")]
    ReadOnly(String),
    /// The tenant stores as much as it may. Both are bytes.
    #[error("the tenant stores {used} bytes and may store {limit}")]
    QuotaExceeded { used: i64, limit: i64 },
    /// An operation of a bulk request did not run, because the others have used up what one request
    /// may take.
    #[error("the bulk request has used up {0}")]
    BulkExhausted(BulkBudget),
    #[error("the service is busy")]
    Busy,
    #[error("too many requests wait for changes")]
    TooManyListeners(TooManyListeners),
    #[error("the database does not answer")]
    Unavailable(#[source] StoreError),
    #[error("the database's disk is full")]
    Full(#[source] StoreError),
    #[error("the database's disk fails")]
    DiskFails(#[source] StoreError),
    #[error("the database takes no writes")]
    WritesRefused(#[source] StoreError),
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The limits of one bulk request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkBudget {
    Time,
    Bytes,
}

impl BulkBudget {
    /// The setting that limits it.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Time => "bulk_time_s",
            Self::Bytes => "bulk_write_bytes",
        }
    }
}

impl fmt::Display for BulkBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "the time for one request",
            Self::Bytes => "what one request may write",
        })
    }
}

/// The reason for a 401 (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential was sent.
    Missing,
    /// The credential is unknown, malformed, expired or revoked.
    Invalid,
}

/// The requests that wait for changes already, of which there can be no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooManyListeners {
    /// Those of the caller's token.
    OfToken(usize),
    /// Those of the caller's tenant.
    OfTenant(usize),
}

/// The reason why a reader of the feed must start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The changes after its position were removed.
    Removed { upto: i64 },
    /// It has more changes than the tenant: the database is another one, or an older copy.
    Ahead { last: i64 },
}

impl From<MemoryError> for Error {
    /// The memory for a response, or for the work on it, was not granted.
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::InUse => Self::Busy,
            MemoryError::TooLarge => ScimError::new(
                ErrorKind::TooMany,
                "The response would be larger than the service sends at once. Ask for fewer attributes, such as by \
                 `excludedAttributes=members`, or for fewer resources.",
            )
            .into(),
        }
    }
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Scim(error) => error.into(),
            PageError::Store(error) => error.into(),
            PageError::Memory(error) => error.into(),
            // A page of one resource is never too long.
            PageError::TooLong { .. } => Self::internal("a page is too long"),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::QuotaExceeded { used, limit } => Self::QuotaExceeded { used, limit },
            StoreError::OutOfTime => ScimError::new(ErrorKind::TooMany, OUT_OF_TIME).into(),
            StoreError::Duplicate(unique) => Self::Taken(unique),
            StoreError::Held { path, holder } => ScimError::uniqueness(format!(
                "{path} must be unique, and {holder} has the same value. Choose another one, or change it there first."
            ))
            .into(),
            StoreError::Unavailable(_) | StoreError::Outdated => Self::Unavailable(error),
            StoreError::Full(_) => Self::Full(error),
            StoreError::DiskFails(_) => Self::DiskFails(error),
            StoreError::ReadOnly(_) => Self::WritesRefused(error),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl Error {
    /// The tenant has no resource of that type and id.
    pub fn no_resource(rt: &ResourceType, id: &ResourceId) -> Self {
        Self::NotFound(format!("{} {}", rt.name, id.as_str()))
    }

    /// Returns the same error for another operation of a unit of work that failed as a whole.
    pub fn repeated(&self) -> Self {
        match self {
            Self::Busy => Self::Busy,
            Self::QuotaExceeded { used, limit } => Self::QuotaExceeded {
                used: *used,
                limit: *limit,
            },
            Self::Unavailable(cause) => Self::Unavailable(cause.clone()),
            Self::Full(cause) => Self::Full(cause.clone()),
            Self::DiskFails(cause) => Self::DiskFails(cause.clone()),
            Self::WritesRefused(cause) => Self::WritesRefused(cause.clone()),
            other => Self::internal(other.to_string()),
        }
    }

    /// A fault of this program.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}
