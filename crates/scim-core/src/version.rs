//! Versions of resources as entity tags, and the conditions that a request may set on them (RFC
//! 7644 section 3.14, RFC 9110 section 13).
//!
//! Knows nothing of headers but the texts in them.
//!
//! ```
//! use scim_core::Version;
//! use scim_core::version::{Precondition, Tags};
//!
//! assert_eq!(Version::from(3).to_string(), r#"W/"3""#);
//! let request = Precondition {
//!     if_match: Some(Tags::parse(r#"W/"2", "3""#)),
//!     if_none_match: None,
//! };
//! assert!(request.allows_write(3));
//! assert!(!request.allows_write(4));
//! ```

use std::fmt;

use crate::views::GroupView;

/// The version of a resource. Its `Display` is the entity tag: the text of `meta.version` and of
/// the `ETag` header.
///
/// The number counts the changes of the resource itself. `User.groups` changes with every group
/// above the user, without a write of the user; a mark of the groups follows the number, so that a
/// response with other groups is never reported as unmodified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    number: i64,
    groups: Option<u64>,
}

impl From<i64> for Version {
    fn from(number: i64) -> Self {
        Self {
            number,
            groups: None,
        }
    }
}

impl Version {
    /// The version of an answer that shows these groups.
    pub fn with_groups(number: i64, groups: &[GroupView]) -> Self {
        Self {
            number,
            groups: (!groups.is_empty()).then(|| mark(groups)),
        }
    }

    /// Returns the text between the quotes.
    fn opaque(&self) -> String {
        match self.groups {
            None => self.number.to_string(),
            Some(groups) => format!("{}-{groups:016x}", self.number),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.groups {
            None => write!(f, "W/\"{}\"", self.number),
            Some(_) => write!(f, "W/\"{}\"", self.opaque()),
        }
    }
}

/// The tag without its mark of the groups: `W/"3-0f…"` becomes `W/"3"`.
pub fn without_mark(tag: &str) -> String {
    match tag.split_once('-') {
        Some((start, _)) if start.starts_with("W/\"") && tag.ends_with('"') => format!("{start}\""),
        _ => tag.to_owned(),
    }
}

/// FNV-1a: it must be the same on every node and after every restart, and need not resist an enemy.
fn mark(groups: &[GroupView]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = START;
    let mut take = |text: &str| {
        // No UTF-8 text has the byte that ends each.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    };
    for group in groups {
        take(&group.value);
        take(group.display.as_deref().unwrap_or_default());
        take(if group.direct { "direct" } else { "indirect" });
    }
    hash
}

/// The tags of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version at all.
    Any,
    /// The texts between the quotes.
    List(Vec<String>),
}

impl Tags {
    /// Parses the text of `If-Match`, of `If-None-Match` or of a bulk operation's `version`.
    ///
    /// Tags are compared weakly, since all tags of this crate are weak. A tag without quotes is
    /// accepted unchanged: identity providers send the tag in whatever form survived their own
    /// storage.
    pub fn parse(text: &str) -> Self {
        let mut list = Vec::new();
        let mut rest = text.trim_start_matches(is_separator);
        while !rest.is_empty() {
            if rest.trim_end_matches(is_separator) == "*" {
                return Self::Any;
            }
            let weak = rest.strip_prefix("W/").unwrap_or(rest);
            let (tag, after) = match weak.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => {
                    let (tag, after) = weak.split_once(',').unwrap_or((weak, ""));
                    (tag.trim_end(), after)
                }
            };
            list.push(tag.to_owned());
            rest = after.trim_start_matches(is_separator);
        }
        Self::List(list)
    }

    /// Returns whether one of the tags is this version of what a client can write; a client cannot
    /// write a user's groups.
    fn hold(&self, version: &Version) -> bool {
        let opaque = version.opaque();
        self.any(|tag| tag == opaque)
    }

    /// Returns whether one of the tags has this number, whatever groups were shown: a client cannot
    /// write a user's groups.
    fn hold_number(&self, version: &Version) -> bool {
        let number = version.number.to_string();
        self.any(|tag| tag.split('-').next() == Some(number.as_str()))
    }

    fn any(&self, is_it: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| is_it(tag)),
        }
    }
}

fn is_separator(character: char) -> bool {
    character == ',' || character.is_ascii_whitespace()
}

/// The conditions that a request sets on the version. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The versions of which one must be current.
    pub if_match: Option<Tags>,
    /// The versions of which none may be current.
    pub if_none_match: Option<Tags>,
}

impl Precondition {
    /// Returns whether a resource of this version may be written.
    pub fn allows_write(&self, version: i64) -> bool {
        let version = Version::from(version);
        self.if_match
            .as_ref()
            .is_none_or(|tags| tags.hold_number(&version))
            && !self
                .if_none_match
                .as_ref()
                .is_some_and(|tags| tags.hold_number(&version))
    }

    /// Returns whether a reader wants a resource of this version at all (`If-Match` on a read).
    pub fn allows_read(&self, version: &Version) -> bool {
        self.if_match
            .as_ref()
            .is_none_or(|tags| tags.hold_number(version))
    }

    /// Returns whether the reader has the answer already.
    pub fn has(&self, version: &Version) -> bool {
        self.if_none_match
            .as_ref()
            .is_some_and(|tags| tags.hold(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(value: &str, display: &str, direct: bool) -> GroupView {
        GroupView {
            value: value.to_owned(),
            display: Some(display.to_owned()),
            reference: String::new(),
            direct,
        }
    }

    #[test]
    fn marks_are_the_same_on_every_node() {
        let groups = [group("g1", "A", true), group("g2", "", false)];
        assert_eq!(
            Version::with_groups(3, &groups).to_string(),
            "W/\"3-5d39c2572fa9a2ea\""
        );
    }

    #[test]
    fn headers() {
        let check = |text: &str, expected: &[&str]| {
            let expected = expected.iter().map(|&tag| tag.to_owned()).collect();
            assert_eq!(Tags::parse(text), Tags::List(expected), "{text:?}");
        };
        check(r#"W/"3""#, &["3"]);
        check(r#""3""#, &["3"]);
        check(r#" W/"3" , "4","#, &["3", "4"]);
        check(r#""a,b" ,, W/"c""#, &["a,b", "c"]);
        check("3", &["3"]);
        check("abc , W/def", &["abc", "def"]);
        check(r#"W/"3"#, &["3"]);
        check(r#""""#, &[""]);
        check("", &[]);
        check(" , ", &[]);
        check(r#""*""#, &["*"]);
        assert_eq!(Tags::parse("*"), Tags::Any);
        assert_eq!(Tags::parse(" * , "), Tags::Any);
    }

    #[test]
    fn tags() {
        assert_eq!(Version::from(3).to_string(), r#"W/"3""#);
        assert_eq!(Version::with_groups(3, &[]), Version::from(3));
        let marked = Version::with_groups(3, &[group("g1", "Crew", true)]).to_string();
        assert_eq!(
            marked,
            Version::with_groups(3, &[group("g1", "Crew", true)]).to_string()
        );
        assert_eq!(marked.len(), r#"W/"3-0123456789abcdef""#.len());
        for other in [
            group("g2", "Crew", true),
            group("g1", "crew", true),
            group("g1", "Crew", false),
            group("g1C", "rew", true),
        ] {
            assert_ne!(Version::with_groups(3, &[other]).to_string(), marked);
        }
        assert_eq!(without_mark(&marked), r#"W/"3""#);
        for text in [r#"W/"3""#, "a-b", r#"W/"3-"#, ""] {
            assert_eq!(without_mark(text), text);
        }
    }

    #[test]
    fn conditions() {
        let marked = Version::with_groups(3, &[group("g1", "Crew", true)]);
        let if_match = |text: &str| Precondition {
            if_match: Some(Tags::parse(text)),
            if_none_match: None,
        };
        let if_none_match = |text: &str| Precondition {
            if_match: None,
            if_none_match: Some(Tags::parse(text)),
        };
        for (text, expected) in [
            (r#"W/"3""#, true),
            ("3", true),
            ("*", true),
            (r#""2", "3""#, true),
            (&marked.to_string(), true),
            (r#"W/"4""#, false),
            (r#"W/"33""#, false),
            ("", false),
        ] {
            assert_eq!(if_match(text).allows_write(3), expected, "{text}");
            assert_eq!(if_match(text).allows_read(&marked), expected, "{text}");
            assert_eq!(if_none_match(text).allows_write(3), !expected, "{text}");
        }
        let nothing = Precondition::default();
        assert!(nothing.allows_write(3) && nothing.allows_read(&marked) && !nothing.has(&marked));
        assert!(if_none_match("*").has(&marked));
        assert!(if_none_match(&format!("\"x\", {marked}")).has(&marked));
        assert!(!if_none_match(r#"W/"3""#).has(&marked));
        assert!(if_none_match(r#""3""#).has(&Version::from(3)));
    }
}
