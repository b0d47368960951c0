//! The errors of clients, in the terms of RFC 7644 section 3.12 and RFC 9865 section 2.1.

/// An error that the client can correct; `detail` is for the administrator of the identity
/// provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The kind, which decides `scimType` and status.
    pub kind: ErrorKind,
    /// The `detail` of the error body.
    pub detail: String,
}

/// The error kinds that the standards name, each with one `scimType` and one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A filter has invalid syntax, or names an attribute or comparison that makes no sense.
    InvalidFilter,
    /// A filter yields more results than the server is willing to compute.
    TooMany,
    /// A value is already in use.
    Uniqueness,
    /// A change is incompatible with the mutability of its attribute.
    Mutability,
    /// The structure of the body is invalid.
    InvalidSyntax,
    /// The path of a PATCH is invalid.
    InvalidPath,
    /// The path of a PATCH matches no value.
    NoTarget,
    /// A required value is missing, or a value does not fit its attribute.
    InvalidValue,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request URI contains sensitive information.
    Sensitive,
    /// A cursor was not issued by this server for this query (RFC 9865).
    InvalidCursor,
    /// A cursor is no longer valid (RFC 9865).
    ExpiredCursor,
    /// A page size is not possible with a cursor (RFC 9865).
    InvalidCount,
}

impl ErrorKind {
    /// Returns the `scimType` of the error body.
    pub fn scim_type(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }

    /// Returns the HTTP status that RFC 7644 Table 9 fixes for the kind.
    pub fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            Self::Sensitive => 403,
            Self::InvalidFilter
            | Self::TooMany
            | Self::Mutability
            | Self::InvalidSyntax
            | Self::InvalidPath
            | Self::NoTarget
            | Self::InvalidValue
            | Self::InvalidVers
            | Self::InvalidCursor
            | Self::ExpiredCursor
            | Self::InvalidCount => 400,
        }
    }
}

impl ScimError {
    /// Makes an error of this kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> u16 {
        self.kind.status()
    }

    /// Makes an [`ErrorKind::InvalidFilter`].
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidFilter, detail)
    }

    /// Makes an [`ErrorKind::InvalidPath`].
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidPath, detail)
    }

    /// Makes an [`ErrorKind::InvalidSyntax`].
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidSyntax, detail)
    }

    /// Makes an [`ErrorKind::InvalidValue`].
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidValue, detail)
    }

    /// Makes an [`ErrorKind::Mutability`].
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Mutability, detail)
    }

    /// Makes an [`ErrorKind::NoTarget`].
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoTarget, detail)
    }

    /// Makes an [`ErrorKind::Uniqueness`].
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Uniqueness, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_the_standards() {
        let check = |kind: ErrorKind, scim_type: &str, status: u16| {
            let error = ScimError::new(kind, "why");
            assert_eq!((kind.scim_type(), error.status()), (scim_type, status));
            assert_eq!(error.to_string(), "why");
        };
        check(ErrorKind::InvalidFilter, "invalidFilter", 400);
        check(ErrorKind::TooMany, "tooMany", 400);
        check(ErrorKind::Uniqueness, "uniqueness", 409);
        check(ErrorKind::Mutability, "mutability", 400);
        check(ErrorKind::InvalidSyntax, "invalidSyntax", 400);
        check(ErrorKind::InvalidPath, "invalidPath", 400);
        check(ErrorKind::NoTarget, "noTarget", 400);
        check(ErrorKind::InvalidValue, "invalidValue", 400);
        check(ErrorKind::InvalidVers, "invalidVers", 400);
        check(ErrorKind::Sensitive, "sensitive", 403);
        check(ErrorKind::InvalidCursor, "invalidCursor", 400);
        check(ErrorKind::ExpiredCursor, "expiredCursor", 400);
        check(ErrorKind::InvalidCount, "invalidCount", 400);
    }
}
