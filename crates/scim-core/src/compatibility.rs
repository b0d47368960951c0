//! The switch between the standards as written and what identity providers really send.
//!
//! It is an argument of [`crate::admit`], [`crate::patch`] and [`crate::filter`]; the caller
//! decides which tenants are strict.

use std::fmt;
use std::str::FromStr;

/// The leniency of a tenant: the dialects of known clients are understood, or only what RFC 7643
/// and RFC 7644 allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compatibility {
    /// Accepts what Okta, Entra ID and others send if its meaning is plain.
    #[default]
    Tolerant,
    /// Accepts only what the standards allow; where they leave a choice, rejects.
    Strict,
}

impl Compatibility {
    /// Returns whether only what the standards allow is accepted.
    pub fn is_strict(self) -> bool {
        self == Self::Strict
    }

    /// Returns the dialect in which filters and paths are parsed.
    pub(super) fn syntax(self) -> scim_filter_parser::Dialect {
        match self {
            Self::Tolerant => scim_filter_parser::Dialect::Tolerant,
            Self::Strict => scim_filter_parser::Dialect::Strict,
        }
    }

    /// Returns `tolerant` or `strict`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tolerant => "tolerant",
            Self::Strict => "strict",
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text was neither `tolerant` nor `strict`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a compatibility: use tolerant or strict")]
pub struct UnknownCompatibility(String);

impl FromStr for Compatibility {
    type Err = UnknownCompatibility;

    fn from_str(text: &str) -> Result<Self, UnknownCompatibility> {
        match text {
            "tolerant" => Ok(Self::Tolerant),
            "strict" => Ok(Self::Strict),
            other => Err(UnknownCompatibility(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
            assert_eq!(compatibility.as_str().parse(), Ok(compatibility));
            assert_eq!(compatibility.to_string(), compatibility.as_str());
        }
        assert_eq!(Compatibility::Strict.as_str(), "strict");
        let error = "Strict".parse::<Compatibility>().unwrap_err();
        assert!(error.to_string().contains("`Strict`"), "{error}");
        assert!(!Compatibility::default().is_strict());
    }

    #[test]
    fn dialects() {
        use scim_filter_parser::Dialect;
        assert_eq!(Compatibility::Tolerant.syntax(), Dialect::Tolerant);
        assert_eq!(Compatibility::Strict.syntax(), Dialect::Strict);
    }
}
