//! The syntax trees of filters and PATCH paths.

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// At least two terms.
    And(Vec<Filter>),
    /// At least two terms.
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// `title pr`
    Present(AttrPath),
    /// `userName eq "bjensen"`
    Compare(Comparison),
    /// `emails[type eq "work"]`, and in the tolerant dialect also `emails[type eq "work"].value co "x"`.
    Element(ElementFilter),
}

/// `path op value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub path: AttrPath,
    pub op: CompareOp,
    pub value: Value,
}

/// `path[filter]`, optionally followed by `.sub pr` or `.sub op value`.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementFilter {
    pub path: AttrPath,
    pub filter: Box<Filter>,
    pub tail: Option<ElementTail>,
}

/// What follows the bracket in the tolerant form `emails[type eq "work"].value co "x"`.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementTail {
    pub sub: String,
    /// `None` for `pr`.
    pub test: Option<(CompareOp, Value)>,
}

/// `[URN ":"] name ["." sub]`, spelled as it was written.
///
/// The URN is everything before the last colon; only a schema registry can know better, so [`std::fmt::Display`]
/// gives the text back unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttrPath {
    pub urn: Option<String>,
    pub name: String,
    pub sub: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

/// The literal on the right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Decimal(f64),
    String(String),
}

/// A PATCH path: `attrPath`, or `attrPath[filter]`, or `attrPath[filter].sub`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchPath {
    pub attr: AttrPath,
    pub filter: Option<Filter>,
    /// The sub-attribute after the bracket; one without a bracket is in `attr.sub`.
    pub sub: Option<String>,
}
