//! The authenticated caller and its rights.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::auth::Fields;
use crate::ids::{Actor, TenantId};

/// The caller of a request: one token or one JWT subject, in one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub tenant: TenantId,
    /// The author of the changes that this caller makes.
    pub actor: Actor,
    pub scopes: Scopes,
    /// The attributes that it may read. `None` allows all.
    pub fields: Option<Fields>,
    /// When a token of this service expires: tokens that it creates must not last longer. `None`
    /// for one that does not expire, and for every other caller.
    pub expires: Option<Timestamp>,
}

/// `scim` provisions and reads, `read` only reads, `admin` manages the tokens and webhooks of its
/// tenant, `operator` manages all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ScopeName)]
pub enum Scope {
    Scim,
    Read,
    Admin,
    Operator,
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes {
    scim: bool,
    read: bool,
    admin: bool,
    operator: bool,
}

impl Scopes {
    /// Returns the set of all scopes.
    pub fn every() -> Self {
        Self {
            scim: true,
            read: true,
            admin: true,
            operator: true,
        }
    }

    /// Returns the set with this scope added.
    #[must_use]
    pub fn with(mut self, scope: Scope) -> Self {
        match scope {
            Scope::Scim => self.scim = true,
            Scope::Read => self.read = true,
            Scope::Admin => self.admin = true,
            Scope::Operator => self.operator = true,
        }
        self
    }

    /// Returns whether the set includes `scope`; `scim` includes `read`, and `operator` includes `admin`.
    pub fn allow(self, scope: Scope) -> bool {
        match scope {
            Scope::Scim => self.scim,
            Scope::Read => self.read || self.scim,
            Scope::Admin => self.admin || self.operator,
            Scope::Operator => self.operator,
        }
    }

    /// Returns the scopes that remain without those that write.
    #[must_use]
    pub fn only_reading(self) -> Self {
        Self {
            read: self.allow(Scope::Read),
            ..Self::default()
        }
    }

    /// Parses scopes separated by spaces or commas and ignores unknown words.
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
        let mut separator = "";
        for (held, scope) in [
            (self.scim, Scope::Scim),
            (self.read, Scope::Read),
            (self.admin, Scope::Admin),
            (self.operator, Scope::Operator),
        ] {
            if held {
                write!(f, "{separator}{scope}")?;
                separator = " ";
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
            Self::Operator => "operator",
        })
    }
}

/// A text that is not the name of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scope; the scopes are scim, read, admin and operator")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text {
            "scim" => Ok(Self::Scim),
            "read" => Ok(Self::Read),
            "admin" => Ok(Self::Admin),
            "operator" => Ok(Self::Operator),
            other => Err(UnknownScope(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scim_includes_read_and_operator_includes_admin() {
        let scim = Scopes::default().with(Scope::Scim);
        assert!(scim.allow(Scope::Read) && scim.allow(Scope::Scim) && !scim.allow(Scope::Admin));
        let read = Scopes::default().with(Scope::Read);
        assert!(read.allow(Scope::Read) && !read.allow(Scope::Scim));
        let admin = Scopes::default().with(Scope::Admin);
        assert!(!admin.allow(Scope::Read) && !admin.allow(Scope::Scim));
        assert!(admin.allow(Scope::Admin) && !admin.allow(Scope::Operator));
        let operator = Scopes::default().with(Scope::Operator);
        assert!(operator.allow(Scope::Operator) && operator.allow(Scope::Admin));
        assert!(!operator.allow(Scope::Read) && !operator.allow(Scope::Scim));
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
