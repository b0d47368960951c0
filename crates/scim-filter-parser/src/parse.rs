//! The grammar of filters and PATCH paths, by recursive descent. Knows no schema.

use std::str::FromStr;

use crate::lexer::{Parser, Result, quote};
use crate::path::PathContext;
use crate::{
    AttrPath, CompareOp, Comparison, ElementFilter, ElementTail, ErrorKind, Filter, Options,
    ParseError, PatchPath, Value,
};

/// Parses a filter with the dialect and limits of `options`.
///
/// # Errors
/// Returns the first defect: see [`ErrorKind`].
pub fn parse_filter_with(text: &str, options: &Options) -> Result<Filter> {
    let mut parser = Parser::new(text, options)?;
    let filter = parser.filter("")?;
    parser.end_of_filter()?;
    Ok(filter)
}

/// Parses a PATCH path with the dialect and limits of `options`.
///
/// # Errors
/// Returns the first defect: see [`ErrorKind`].
pub fn parse_path_with(text: &str, options: &Options) -> Result<PatchPath> {
    let mut parser = Parser::new(text, options)?;
    let path = parser.patch_path()?;
    parser.end_of_path(&path)?;
    Ok(path)
}

/// Parses an attribute path, as in the `attributes` query parameter, with the dialect and limits of
/// `options`.
///
/// # Errors
/// Returns the first defect: see [`ErrorKind`].
pub fn parse_attr_path_with(text: &str, options: &Options) -> Result<AttrPath> {
    let mut parser = Parser::new(text, options)?;
    let path = parser.leading_attr_path()?;
    parser.skip_spaces();
    match parser.peek() {
        None => Ok(path),
        Some(_) => Err(parser.expected("the end of the attribute path")),
    }
}

impl Filter {
    /// Parses a filter with the default [`Options`].
    ///
    /// ```
    /// # use scim_filter_parser::Filter;
    /// assert!(Filter::parse(r#"title pr and userType eq "Employee""#).is_ok());
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        parse_filter_with(text, &Options::default())
    }
}

impl PatchPath {
    /// Parses a PATCH path with the default [`Options`].
    ///
    /// ```
    /// # use scim_filter_parser::PatchPath;
    /// assert!(PatchPath::parse(r#"members[value eq "2819c223"]"#).is_ok());
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        parse_path_with(text, &Options::default())
    }
}

impl AttrPath {
    /// Parses an attribute path with the default [`Options`].
    ///
    /// ```
    /// # use scim_filter_parser::AttrPath;
    /// let path = AttrPath::parse("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName")?;
    /// assert_eq!(path.urn.as_deref(), Some("urn:ietf:params:scim:schemas:core:2.0:User"));
    /// assert_eq!((path.name.as_str(), path.sub.as_deref()), ("name", Some("familyName")));
    /// # Ok::<(), scim_filter_parser::ParseError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        parse_attr_path_with(text, &Options::default())
    }
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl FromStr for PatchPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl FromStr for AttrPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// `and` or `or`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connective {
    And,
    Or,
}

impl Connective {
    fn word(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }

    fn of(self, terms: Vec<Filter>) -> Filter {
        match self {
            Self::And => Filter::And(terms),
            Self::Or => Filter::Or(terms),
        }
    }

    /// Adds a term; one of the same connective is flattened, so `(a or b) or c` is one `Or`.
    fn add(self, terms: &mut Vec<Filter>, term: Filter) {
        match (self, term) {
            (Self::And, Filter::And(inner)) | (Self::Or, Filter::Or(inner)) => terms.extend(inner),
            (_, term) => terms.push(term),
        }
    }
}

/// `pr`, or another operator and its value.
enum Test {
    Present,
    Compare(CompareOp, Value),
}

impl Parser<'_> {
    /// Parses a whole filter. `after` names the preceding token in error messages.
    fn filter(&mut self, after: &str) -> Result<Filter> {
        self.chain(Connective::Or, after)
    }

    /// Parses one operand, or several with the connective between them.
    fn chain(&mut self, connective: Connective, after: &str) -> Result<Filter> {
        let first = self.operand(connective, after)?;
        if !self.connective(connective)? {
            return Ok(first);
        }
        let after = format!(" after `{}`", connective.word());
        let mut terms = Vec::new();
        connective.add(&mut terms, first);
        loop {
            let term = self.operand(connective, &after)?;
            connective.add(&mut terms, term);
            if !self.connective(connective)? {
                return Ok(connective.of(terms));
            }
        }
    }

    /// `and` binds tighter than `or`, so what `or` connects are chains of `and`.
    fn operand(&mut self, connective: Connective, after: &str) -> Result<Filter> {
        match connective {
            Connective::Or => self.chain(Connective::And, after),
            Connective::And => self.term(after),
        }
    }

    /// Consumes the connective if it comes next; otherwise does not advance.
    fn connective(&mut self, connective: Connective) -> Result<bool> {
        let before = self.position;
        let separated = self.skip_spaces();
        let token = self.token();
        let word = connective.word();
        if !token.eq_ignore_ascii_case(word) {
            self.position = before;
            return Ok(false);
        }
        if !separated && !self.is_tolerant() {
            return Err(self.defect(self.position, format!("expected a space before `{word}`")));
        }
        self.position += token.len();
        let end = self.position;
        if !self.skip_spaces() && !self.is_tolerant() && self.peek().is_some() {
            return Err(self.defect(end, format!("expected a space after `{word}`")));
        }
        Ok(true)
    }

    /// Parses a group, a negated group, a filter on elements or a test of one attribute.
    fn term(&mut self, after: &str) -> Result<Filter> {
        self.skip_spaces();
        if self.peek() == Some('(') {
            return self.group();
        }
        let token = self.token();
        let is = |keyword: &str| token.eq_ignore_ascii_case(keyword);
        if token.is_empty() || is("and") || is("or") {
            return Err(self.expected(&format!("a filter{after}")));
        }
        if is("not") {
            self.position += token.len();
            self.skip_spaces();
            if self.peek() != Some('(') {
                return Err(self.expected("`(` after `not`"));
            }
            return Ok(Filter::Not(Box::new(self.group()?)));
        }
        let path = self.attr_path(PathContext::Filter)?;
        if self.peek() == Some('[') {
            return self.element(path);
        }
        Ok(match self.test(token)? {
            Test::Present => Filter::Present(path),
            Test::Compare(op, value) => Filter::Compare(Comparison { path, op, value }),
        })
    }

    /// `(` filter `)`.
    fn group(&mut self) -> Result<Filter> {
        self.enter()?;
        self.eat('(');
        let filter = self.filter(" after `(`")?;
        self.skip_spaces();
        if !self.eat(')') {
            return Err(self.expected("`and`, `or` or `)`"));
        }
        self.leave();
        Ok(filter)
    }

    /// `[` filter `]` after `path`, and the tail of the tolerant dialect.
    fn element(&mut self, path: AttrPath) -> Result<Filter> {
        let filter = Box::new(self.bracket()?);
        let tail = if self.peek() != Some('.') {
            None
        } else if self.is_tolerant() {
            self.eat('.');
            let sub = self.sub_attribute()?;
            let test = match self.test(&sub)? {
                Test::Present => None,
                Test::Compare(op, value) => Some((op, value)),
            };
            Some(ElementTail { sub, test })
        } else {
            return Err(self.defect(
                self.position,
                "a filter cannot name a sub-attribute after `]`; put the test inside the brackets",
            ));
        };
        Ok(Filter::Element(ElementFilter { path, filter, tail }))
    }

    fn bracket(&mut self) -> Result<Filter> {
        if self.in_element {
            return Err(self.defect(
                self.position,
                "a filter inside `[` and `]` cannot hold another `[`",
            ));
        }
        self.enter()?;
        self.eat('[');
        self.in_element = true;
        let filter = self.filter(" after `[`")?;
        self.skip_spaces();
        if !self.eat(']') {
            return Err(self.expected("`and`, `or` or `]`"));
        }
        self.in_element = false;
        self.leave();
        Ok(filter)
    }

    /// Parses the operator and the value after the path written `path`.
    fn test(&mut self, path: &str) -> Result<Test> {
        self.skip_spaces();
        let token = self.token();
        let lower = token.to_ascii_lowercase();
        if lower == "pr" {
            self.position += token.len();
            return Ok(Test::Present);
        }
        let Some(op) = CompareOp::from_word(&lower) else {
            return Err(match lower.as_str() {
                "" | "and" | "or" | "not" => {
                    self.expected(&format!("an operator after `{}`", quote(path)))
                }
                _ => ParseError {
                    kind: ErrorKind::UnknownOperator,
                    position: self.position,
                    message: format!(
                        "unknown operator `{}`: expected eq, ne, co, sw, ew, gt, ge, lt, le or pr",
                        quote(token)
                    ),
                },
            });
        };
        self.position += token.len();
        let separated = self.skip_spaces();
        if !separated && !self.is_tolerant() && self.peek().is_some() {
            return Err(self.expected(&format!("a space after `{lower}`")));
        }
        Ok(Test::Compare(op, self.value(&lower)?))
    }

    fn end_of_filter(&mut self) -> Result<()> {
        self.skip_spaces();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("`and`, `or` or the end of the filter")),
        }
    }

    fn patch_path(&mut self) -> Result<PatchPath> {
        let attr = self.leading_attr_path()?;
        let mut path = PatchPath {
            attr,
            filter: None,
            sub: None,
        };
        if self.peek() == Some('[') {
            path.filter = Some(self.bracket()?);
            if self.eat('.') {
                path.sub = Some(self.sub_attribute()?);
            }
        }
        Ok(path)
    }

    fn leading_attr_path(&mut self) -> Result<AttrPath> {
        self.skip_spaces();
        if self.token().is_empty() {
            return Err(self.expected("an attribute path"));
        }
        self.attr_path(PathContext::Path)
    }

    fn end_of_path(&mut self, path: &PatchPath) -> Result<()> {
        self.skip_spaces();
        match self.peek() {
            None => Ok(()),
            Some(_) if path.filter.is_none() => Err(self.expected("`[` or the end of the path")),
            Some(_) => Err(self.expected("the end of the path")),
        }
    }
}
