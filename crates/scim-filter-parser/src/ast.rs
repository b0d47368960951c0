//! The syntax trees of filters and PATCH paths.
//!
//! Every type here prints its canonical text with [`std::fmt::Display`]; what the parser returned,
//! once printed, parses to the same tree.

/// A parsed filter.
///
/// The parser returns flat trees: an `And` holds no `And` as a term, an `Or` no `Or`.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// At least two terms.
    And(Vec<Filter>),
    /// At least two terms.
    Or(Vec<Filter>),
    /// `not (title pr)`
    Not(Box<Filter>),
    /// `title pr`
    Present(AttrPath),
    /// `userName eq "bjensen"`
    Compare(Comparison),
    /// `emails[type eq "work"]`, and in the tolerant dialect also `emails[type eq "work"].value co
    /// "x"`.
    Element(ElementFilter),
}

/// `path op value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The left side.
    pub path: AttrPath,
    /// Any operator but `pr`.
    pub op: CompareOp,
    /// The right side.
    pub value: Value,
}

/// `path[filter]`, optionally followed by `.sub pr` or `.sub op value`.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementFilter {
    /// The attribute whose elements are meant.
    pub path: AttrPath,
    /// The condition on a single element; its paths are sub-attributes. Holds no `Element`.
    pub filter: Box<Filter>,
    /// The tolerant dialect's test after the bracket.
    pub tail: Option<ElementTail>,
}

/// The test after the bracket in the tolerant form `emails[type eq "work"].value co "x"`.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementTail {
    /// The sub-attribute tested.
    pub sub: String,
    /// `None` for `pr`.
    pub test: Option<(CompareOp, Value)>,
}

/// `[URN ":"] name ["." sub]`, spelled as it was written.
///
/// The URN is everything before the last colon; only a schema registry can know better, so
/// [`std::fmt::Display`] gives the text back unchanged. A schema URN alone reads the same way: of
/// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User` the `name` is `User`; of
/// `urn:example:ext:2.0` (tolerant dialect, paths only) it is `2.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttrPath {
    /// The schema's URN, without the colon after it.
    pub urn: Option<String>,
    /// The attribute.
    pub name: String,
    /// The sub-attribute.
    pub sub: Option<String>,
}

/// The operators that take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl CompareOp {
    /// The operator's word, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    pub(crate) fn from_word(lower_case: &str) -> Option<Self> {
        Some(match lower_case {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "co" => Self::Co,
            "sw" => Self::Sw,
            "ew" => Self::Ew,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }
}

/// The literal on the right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits.
    Integer(i64),
    /// Any other number; always finite when it comes from the parser.
    Decimal(f64),
    /// A string, its escapes resolved.
    String(String),
}

/// A PATCH path: `attrPath`, or `attrPath[filter]`, or `attrPath[filter].sub`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchPath {
    /// The attribute.
    pub attr: AttrPath,
    /// Selects elements of the attribute; holds no `Element`.
    pub filter: Option<Filter>,
    /// The sub-attribute after the bracket; one without a bracket is in `attr.sub`.
    pub sub: Option<String>,
}
