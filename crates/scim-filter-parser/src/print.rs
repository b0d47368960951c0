//! The canonical text of a tree: lower-case operators, single spaces, no redundant parentheses.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::{
    AttrPath, CompareOp, Comparison, ElementFilter, ElementTail, Filter, PatchPath, Value,
};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(terms) => join(f, terms, " and "),
            Self::Or(terms) => join(f, terms, " or "),
            Self::Not(filter) => write!(f, "not ({filter})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(comparison) => comparison.fmt(f),
            Self::Element(element) => element.fmt(f),
        }
    }
}

/// Only an `or` under an `and` needs parentheses.
fn join(f: &mut Formatter<'_>, terms: &[Filter], connective: &str) -> fmt::Result {
    for (i, term) in terms.iter().enumerate() {
        if i > 0 {
            f.write_str(connective)?;
        }
        match term {
            Filter::Or(_) if connective == " and " => write!(f, "({term})")?,
            _ => term.fmt(f)?,
        }
    }
    Ok(())
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.path, self.op, self.value)
    }
}

impl Display for ElementFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.path, self.filter)?;
        match &self.tail {
            Some(tail) => tail.fmt(f),
            None => Ok(()),
        }
    }
}

impl Display for ElementTail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.test {
            Some((op, value)) => write!(f, ".{} {op} {value}", self.sub),
            None => write!(f, ".{} pr", self.sub),
        }
    }
}

impl Display for AttrPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

impl Display for PatchPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.attr.fmt(f)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            // Debug keeps the point or the exponent (`1.0`, `1e300`), so that it stays a decimal
            // when read again.
            Self::Decimal(value) => write!(f, "{value:?}"),
            Self::String(value) => string(f, value),
        }
    }
}

/// A JSON string; only what JSON demands is escaped.
fn string(f: &mut Formatter<'_>, value: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
