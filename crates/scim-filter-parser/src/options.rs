//! The options of the parser: the dialect and the limits.

/// The strictness with which the grammar of RFC 7644 is applied.
///
/// In both dialects attribute names, operators and keywords are case-insensitive, a run of spaces
/// counts as one, spaces may occur at either end and inside `(…)` and `[…]`, and both `not(` and
/// `not (` are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The grammar of RFC 7644 Figure 1 with its errata.
    Strict,
    /// The strict grammar and, in addition:
    ///
    /// * `emails[type eq "work"].value co "x"` in a filter;
    /// * single-quoted strings, with the escapes of JSON and `\'`;
    /// * bare words as values, which are strings: `userName eq bjensen` (not the words `and`, `or`,
    ///   `not`);
    /// * `true`, `false` and `null` in any letter case;
    /// * tab, line feed and carriage return as spaces;
    /// * no space beside a quote, bracket or parenthesis: `(a pr)and(b pr)`;
    /// * a schema URN alone as a PATCH path, even if its last segment is no attribute name
    ///   (`urn:example:ext:2.0`);
    /// * a prefix before the last colon of an attribute path that lacks the scheme of a URI
    ///   (`acme:badge`).
    #[default]
    Tolerant,
}

/// The dialect and the limits of a parse.
///
/// ```
/// use scim_filter_parser::{ErrorKind, Options, parse_filter_with};
///
/// let options = Options { max_depth: 1, ..Options::default() };
/// assert!(parse_filter_with("(title pr)", &options).is_ok());
/// let error = parse_filter_with("((title pr))", &options).unwrap_err();
/// assert_eq!(error.kind, ErrorKind::TooDeep);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The dialect; tolerant by default.
    pub dialect: Dialect,
    /// The most `(` and `[` that may be open at once. [`DEPTH_CEILING`] caps it.
    pub max_depth: usize,
    /// The longest text that is accepted, in bytes.
    pub max_length: usize,
}

/// The parser recurses once per open bracket, so no caller may ask for more than this.
pub const DEPTH_CEILING: usize = 128;

impl Default for Options {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            max_depth: 30,
            max_length: 4096,
        }
    }
}
