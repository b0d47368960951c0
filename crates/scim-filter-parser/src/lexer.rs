//! The parser's position in the text: peeking, advancing, and making errors. Knows characters, not
//! grammar.

use crate::{Dialect, ErrorKind, Options, ParseError};

pub(crate) type Result<T> = std::result::Result<T, ParseError>;

/// The most characters of the text that an error message quotes.
const QUOTED_CHARS: usize = 32;

pub(crate) struct Parser<'t> {
    pub(crate) text: &'t str,
    /// Always on a character boundary.
    pub(crate) position: usize,
    pub(crate) dialect: Dialect,
    pub(crate) max_depth: usize,
    /// The number of `(` and `[` that are open.
    pub(crate) depth: usize,
    /// Whether a `[` is open; it also decides the kind of an error.
    pub(crate) in_element: bool,
}

impl<'t> Parser<'t> {
    /// Rejects a text that is too long before it is read.
    pub(crate) fn new(text: &'t str, options: &Options) -> Result<Self> {
        if text.len() > options.max_length {
            return Err(ParseError {
                kind: ErrorKind::TooLong,
                position: text.floor_char_boundary(options.max_length),
                message: format!(
                    "the text has {} bytes, more than the {} allowed",
                    text.len(),
                    options.max_length
                ),
            });
        }
        Ok(Self {
            text,
            position: 0,
            dialect: options.dialect,
            max_depth: options.max_depth.min(crate::DEPTH_CEILING),
            depth: 0,
            in_element: false,
        })
    }

    pub(crate) fn is_tolerant(&self) -> bool {
        self.dialect == Dialect::Tolerant
    }

    pub(crate) fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.position += expected.len_utf8();
        }
        found
    }

    /// Skips spaces and returns whether there was one.
    pub(crate) fn skip_spaces(&mut self) -> bool {
        let rest = self.rest();
        let after = rest.trim_start_matches(|c| self.is_space(c));
        self.position += rest.len() - after.len();
        after.len() < rest.len()
    }

    fn is_space(&self, c: char) -> bool {
        c == ' ' || (self.is_tolerant() && matches!(c, '\t' | '\n' | '\r'))
    }

    /// Returns the characters up to the next space, bracket, parenthesis or quote, without
    /// advancing.
    pub(crate) fn token(&self) -> &'t str {
        self.run_until(|c| matches!(c, '(' | ')' | '[' | ']' | '"' | '\''))
    }

    /// As [`Parser::token`] for a value, which may hold an apostrophe (`O'Brien`).
    pub(crate) fn bare_word(&self) -> &'t str {
        self.run_until(|c| matches!(c, '(' | ')' | '[' | ']' | '"'))
    }

    fn run_until(&self, is_delimiter: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        // Most names are of these alone.
        let plain = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let end = rest
            .get(plain..)
            .and_then(|rest| {
                rest.find(|c: char| c.is_whitespace() || c.is_control() || is_delimiter(c))
            })
            .map_or(rest.len(), |end| plain + end);
        rest.get(..end).unwrap_or_default()
    }

    /// Opens one level; the caller closes it with [`Parser::leave`]. All recursion passes here.
    pub(crate) fn enter(&mut self) -> Result<()> {
        if self.depth >= self.max_depth {
            return Err(ParseError {
                kind: ErrorKind::TooDeep,
                position: self.position,
                message: format!(
                    "more than {} brackets and parentheses are open at once",
                    self.max_depth
                ),
            });
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns the error that `what` was expected here.
    pub(crate) fn expected(&self, what: &str) -> ParseError {
        let token = self.token();
        let message = match self.peek() {
            None => format!("expected {what}"),
            Some(c) if token.is_empty() => {
                format!("expected {what}, found `{}`", printable(c))
            }
            Some(_) => format!("expected {what}, found `{}`", quote(token)),
        };
        self.defect(self.position, message)
    }

    /// Returns a syntax error at `position`.
    pub(crate) fn defect(&self, position: usize, message: impl Into<String>) -> ParseError {
        let kind = if self.in_element {
            ErrorKind::ElementSyntax
        } else {
            ErrorKind::Syntax
        };
        ParseError {
            kind,
            position,
            message: message.into(),
        }
    }
}

/// Shortens a part of the text for an error message. A token holds no control characters.
pub(crate) fn quote(token: &str) -> String {
    match token.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", token.get(..end).unwrap_or_default()),
        None => token.to_owned(),
    }
}

/// Formats a character for an error message: quotes unchanged, invisible characters escaped.
pub(crate) fn printable(c: char) -> String {
    match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    }
}
