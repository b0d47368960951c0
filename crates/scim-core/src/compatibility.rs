//! How literally a client is taken: the one switch between the standards to the letter and what clients really send.
//!
//! It is an argument of [`crate::admit`], [`crate::patch`] and [`crate::filter`]; it must not know where it is set.

use std::fmt;
use std::str::FromStr;

/// Whether what clients are known to send is understood, or only what RFC 7643 and RFC 7644 allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compatibility {
    /// What Okta, Entra ID and others send is understood where its meaning is plain.
    #[default]
    Tolerant,
    /// The standards to the letter; where they leave a choice, the refusal.
    Strict,
}

impl Compatibility {
    pub fn is_strict(self) -> bool {
        self == Self::Strict
    }

    /// How closely filters and paths must follow the grammar.
    pub(super) fn syntax(self) -> scim_filter_parser::Dialect {
        match self {
            Self::Tolerant => scim_filter_parser::Dialect::Tolerant,
            Self::Strict => scim_filter_parser::Dialect::Strict,
        }
    }

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

/// The word was neither `tolerant` nor `strict`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no compatibility; there are tolerant and strict")]
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
