//! What a caller may choose: the dialect and the limits.

/// How closely a text must follow the grammar of RFC 7644.
///
/// In both dialects attribute names, operators and keywords are case-insensitive, a run of blanks counts as one blank,
/// blanks may stand at either end and inside `(…)` and `[…]`, and both `not(` and `not (` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// The grammar of RFC 7644 Figure 1 with its errata.
    Strict,
    /// The strict grammar and, in addition:
    ///
    /// * `emails[type eq "work"].value co "x"` in a filter;
    /// * single-quoted strings, with the escapes of JSON and `\'`;
    /// * bare words as values, which are strings: `userName eq bjensen` (not the words `and`, `or`, `not`);
    /// * `true`, `false` and `null` in any letter case;
    /// * tab, line feed and carriage return as blanks;
    /// * no blank where a quote, bracket or parenthesis already separates: `(a pr)and(b pr)`;
    /// * a schema URN alone as a PATCH path, even where its last segment is no attribute name (`urn:example:ext:2.0`);
    /// * a prefix before the last colon of an attribute path that lacks the scheme of a URI (`acme:badge`).
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
    /// What is accepted beyond the RFC; tolerant unless told otherwise.
    pub dialect: Dialect,
    /// How many `(` and `[` may be open at once. Never more than [`DEPTH_CEILING`], whatever is given here.
    pub max_depth: usize,
    /// The longest text that is looked at, in bytes.
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
