//! The identifiers that every layer uses: of tenants, of resources and of the authors of changes.
//!
//! `clock` generates new ids; this module must not.

use std::fmt;
use std::ops::Deref;

/// A tenant's number. Tenant 1 is `default` and always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub i64);

impl TenantId {
    /// The tenant that the first migration makes.
    pub const DEFAULT: Self = Self(1);
    /// No tenant's: the work of the service itself, which shares connections like a tenant's.
    pub const SERVICE: Self = Self(0);
}

impl From<i64> for TenantId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl From<TenantId> for i64 {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a resource as its URL has it: opaque to clients, compared byte by byte. Text from
/// outside goes through [`ResourceId::parse`]; ids that this program generated are wrapped as they
/// are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) String);

impl ResourceId {
    /// The longest id, in characters.
    const LONGEST: usize = 256;

    /// Parses any text that could be an id. Returns `None` for text that no resource can have as
    /// its id: empty, longer than 256 characters, or with a U+0000, which PostgreSQL cannot store.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fits =
            !text.is_empty() && !text.contains('\0') && text.chars().count() <= Self::LONGEST;
        fits.then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that both databases store as it is. PostgreSQL has no U+0000 in texts, so there is none
/// in here: one that a caller passes becomes U+FFFD.
///
/// Everything in the record of a change is of this type or a number, because a batch of writes
/// records its changes together, and one that cannot be stored would hold up the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredText(String);

impl StoredText {
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<String> for StoredText {
    fn from(text: String) -> Self {
        if text.as_bytes().contains(&0) {
            return Self(text.replace('\0', "\u{FFFD}"));
        }
        Self(text)
    }
}

impl From<&str> for StoredText {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl Deref for StoredText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<String> for StoredText {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl PartialEq<&str> for StoredText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for StoredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The author of a change. Its text, `token:okta`, is stored with every change and must stay the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A token of this service, by its name: `token:NAME`.
    Token(StoredText),
    /// The token that the environment sets: `token:bootstrap`.
    Bootstrap,
    /// The subject of an access token of an outside issuer: `jwt:SUBJECT`.
    Subject(StoredText),
    /// A subcommand of this program: `cli:NAME`.
    CommandLine(StoredText),
    /// Any other text, which only an import can bring.
    Other(StoredText),
}

impl Actor {
    /// Parses the stored text. [`fmt::Display`] writes the same text again.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("token", "bootstrap")) => Self::Bootstrap,
            Some(("token", name)) => Self::Token(name.into()),
            Some(("jwt", subject)) => Self::Subject(subject.into()),
            Some(("cli", command)) => Self::CommandLine(command.into()),
            _ => Self::Other(text.into()),
        }
    }

    /// Returns the user whom an outside issuer has authenticated; every other actor is a machine.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Token(_) | Self::Bootstrap | Self::CommandLine(_) | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Bootstrap => f.write_str("token:bootstrap"),
            Self::Subject(subject) => write!(f, "jwt:{subject}"),
            Self::CommandLine(command) => write!(f, "cli:{command}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, ResourceId, StoredText};

    #[test]
    fn the_stored_text_of_an_actor_is_preserved() {
        for text in [
            "token:okta",
            "token:bootstrap",
            "token:a:b",
            "token:",
            "jwt:00u1",
            "jwt:",
            "cli:load",
            "test",
            "other:x",
            "",
        ] {
            assert_eq!(Actor::parse(text).to_string(), text);
        }
        assert_eq!(Actor::parse("jwt:a:b").subject(), Some("a:b"));
        assert_eq!(Actor::parse("token:jwt").subject(), None);
    }

    #[test]
    fn no_actor_has_a_text_that_a_database_cannot_store() {
        for (text, expected) in [
            ("jwt:a\0b", "jwt:a\u{FFFD}b"),
            ("token:\0", "token:\u{FFFD}"),
            ("\0", "\u{FFFD}"),
        ] {
            assert_eq!(Actor::parse(text).to_string(), expected);
        }
        let subject = Actor::Subject("a\0".to_owned().into());
        assert_eq!(subject.to_string(), "jwt:a\u{FFFD}");
        assert_eq!(StoredText::from("a\u{1}ü".to_owned()), "a\u{1}ü");
    }

    #[test]
    fn any_text_that_a_database_can_store_is_an_id() {
        let check = |text: &str, expected: bool| {
            assert_eq!(ResourceId::parse(text).is_some(), expected, "{text:?}");
        };
        check("0190a8f2-7c1b-7e53-b9a4-3f5f0a1c2d3e", true);
        check("../..", true);
        check("", false);
        check("a\0b", false);
        check(&"é".repeat(256), true);
        check(&"é".repeat(257), false);
    }
}
