//! The authenticated caller and what it may do.

use std::fmt;
use std::str::FromStr;

use crate::auth::Fields;

/// The caller of a request: one token or one JWT subject, in one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant's number in the store.
    pub tenant: i64,
    /// Stands as the actor in every change: `token:okta`, `jwt:0oa1…`.
    pub name: String,
    pub scopes: Scopes,
    /// What it may read; `None`: everything.
    pub fields: Option<Fields>,
}

impl Principal {
    /// Whom the issuer of an access token says to have authenticated; a token of this service is nobody's.
    pub fn subject(&self) -> Option<&str> {
        self.name.strip_prefix("jwt:")
    }
}

/// `scim` provisions and reads, `read` only reads, `admin` manages tenants and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScopeName)]
pub enum Scope {
    Scim,
    Read,
    Admin,
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes {
    scim: bool,
    read: bool,
    admin: bool,
}

impl Scopes {
    pub fn every() -> Self {
        Self {
            scim: true,
            read: true,
            admin: true,
        }
    }

    #[must_use]
    pub fn with(mut self, scope: Scope) -> Self {
        match scope {
            Scope::Scim => self.scim = true,
            Scope::Read => self.read = true,
            Scope::Admin => self.admin = true,
        }
        self
    }

    /// Whether the set allows what `scope` allows; `scim` includes `read`.
    pub fn allow(self, scope: Scope) -> bool {
        match scope {
            Scope::Scim => self.scim,
            Scope::Read => self.read || self.scim,
            Scope::Admin => self.admin,
        }
    }

    /// What of it only reads.
    #[must_use]
    pub fn only_reading(self) -> Self {
        Self {
            read: self.allow(Scope::Read),
            ..Self::default()
        }
    }

    /// The scopes named in a text separated by blanks or commas; unknown words are left out.
    pub fn parse_known(text: &str) -> Self {
        text.split([' ', ','])
            .filter_map(|word| word.parse().ok())
            .fold(Self::default(), Self::with)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (held, scope) in [
            (self.scim, Scope::Scim),
            (self.read, Scope::Read),
            (self.admin, Scope::Admin),
        ] {
            if held {
                write!(f, "{gap}{scope}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scim => "scim",
            Self::Read => "read",
            Self::Admin => "admin",
        })
    }
}

/// A scope's name was none of `scim`, `read` and `admin`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope; the scopes are scim, read and admin")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text {
            "scim" => Ok(Self::Scim),
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            other => Err(UnknownScope(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scim_includes_read_and_nothing_includes_admin() {
        let scim = Scopes::default().with(Scope::Scim);
        assert!(scim.allow(Scope::Read) && scim.allow(Scope::Scim) && !scim.allow(Scope::Admin));
        let read = Scopes::default().with(Scope::Read);
        assert!(read.allow(Scope::Read) && !read.allow(Scope::Scim));
        let admin = Scopes::default().with(Scope::Admin);
        assert!(!admin.allow(Scope::Read) && !admin.allow(Scope::Scim));
        assert_eq!(scim.only_reading(), read);
        assert_eq!(admin.only_reading(), Scopes::default());
    }

    #[test]
    fn printed_scopes_parse_to_themselves() {
        for scopes in [
            Scopes::every(),
            Scopes::default(),
            Scopes::default().with(Scope::Read),
        ] {
            assert_eq!(Scopes::parse_known(&scopes.to_string()), scopes);
        }
    }
}
