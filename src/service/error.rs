//! Why a use case could not be done, in the service's own words; HTTP picks the status.

use scim_core::{ResourceType, ScimError, Version};

use crate::store::query::page::PageError;
use crate::store::{ResourceId, StoreError, Unique};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Scim(#[from] ScimError),
    /// The text names the resource as the admin would: `User 123`.
    #[error("{0} was not found")]
    NotFound(String),
    /// The request named versions, and this one is not among them, or is among those that it refuses.
    #[error("the version is {0}")]
    PreconditionFailed(Version),
    #[error("a bulk request may hold {limit} operations")]
    TooManyOperations { limit: usize },
    #[error("no valid credential")]
    Unauthenticated(Unauthenticated),
    #[error("this token lacks the scope {0}")]
    Forbidden(crate::auth::Scope),
    /// The caller may not read the attribute, so it may not ask about it.
    #[error("this token may not read {0}")]
    Hidden(String),
    /// The feed cannot be followed from where the caller stands.
    #[error("the changes are not there")]
    Gone(Gone),
    /// Nothing is kept of the resource any more; the text names it as the admin would: `User 123`.
    #[error("{0} was erased")]
    Erased(String),
    /// A name that is taken, outside SCIM: a tenant's or a token's.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    BadRequest(String),
    /// The store refused a value that must be unique, where no better text was at hand.
    #[error("{0} is taken")]
    Taken(Unique),
    /// The operator fills the type, and nobody else; the text is its name.
    #[error("resources of the type {0} are read-only")]
    ReadOnly(String),
    #[error("the service is busy")]
    Busy,
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

/// The two faces of a 401 (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential was sent.
    Missing,
    /// One was sent, and it is unknown, malformed, expired or revoked.
    Invalid,
}

/// Why a reader of the feed must begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It was away for longer than changes are kept.
    Removed { upto: i64 },
    /// It knows of more changes than there are: the database is another one, or an older copy.
    Ahead { last: i64 },
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Scim(error) => error.into(),
            PageError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
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
    /// There is no resource of that type and id in the tenant.
    pub fn no_resource(rt: &ResourceType, id: &ResourceId) -> Self {
        Self::NotFound(format!("{} {}", rt.name, id.as_str()))
    }

    /// The same fault for another who met it: of a unit of work that held the work of several.
    pub fn again(&self) -> Self {
        match self {
            Self::Busy => Self::Busy,
            Self::Unavailable(cause) => Self::Unavailable(cause.clone()),
            Self::Full(cause) => Self::Full(cause.clone()),
            Self::DiskFails(cause) => Self::DiskFails(cause.clone()),
            Self::WritesRefused(cause) => Self::WritesRefused(cause.clone()),
            other => Self::internal(other.to_string()),
        }
    }

    /// A fault of ours that is no database fault.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}
