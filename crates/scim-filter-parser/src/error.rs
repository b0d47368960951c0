//! Why a text was refused, and where.

use std::fmt;

/// The error of a text that is not a filter or a path.
///
/// `message` is a plain English sentence fragment for the author of the text; it quotes at most a
/// few characters of it. [`Display`](fmt::Display) adds the position.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// The kind of defect.
    pub kind: ErrorKind,
    /// Byte offset of the defect in the text given, always on a character boundary; the length of
    /// the text where something is missing at its end.
    pub position: usize,
    /// The token that was expected, or the defect.
    pub message: String,
}

/// The sort of a defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text does not follow the grammar.
    Syntax,
    /// As [`ErrorKind::Syntax`], but the defect lies behind a `[` that is still open: the filter on
    /// elements is malformed, not the path around it.
    ElementSyntax,
    /// A word where an operator was expected. In a PATCH path that is always inside the brackets.
    UnknownOperator,
    /// More brackets are open at once than [`Options::max_depth`](crate::Options::max_depth)
    /// allows.
    TooDeep,
    /// The text is longer than [`Options::max_length`](crate::Options::max_length).
    TooLong,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.position)
    }
}

impl std::error::Error for ParseError {}
