//! The ids that the store's functions take. They must not know how ids are made: `clock` does that.

use std::fmt;

/// A tenant's number. Tenant 1 is `default` and always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub i64);

impl TenantId {
    /// The tenant that the first migration makes.
    pub const DEFAULT: Self = Self(1);
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

/// The id of a resource as it stands in a URL: opaque to clients, compared byte by byte.
/// What comes from outside goes through [`ResourceId::parse`]; an id that this program made is put in as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) String);

impl ResourceId {
    /// The longest id, in characters.
    const LONGEST: usize = 256;

    /// Any text that could be an id. `None` where no resource can bear it: empty, longer than
    /// 256 characters, or with a U+0000, which PostgreSQL cannot hold.
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

#[cfg(test)]
mod tests {
    use super::ResourceId;

    #[test]
    fn what_can_be_an_id() {
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
