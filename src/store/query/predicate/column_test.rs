//! Conditions on one column.
//!
//! It must not know tables or filters. What differs between the databases is in [`position_of`] and
//! [`unindexed`].

use scim_core::filter::CompareOp;

use crate::store::Backend;
use crate::store::engine::fragment::{Fragment, OwnedBind};

/// `instr` of SQLite is `strpos` in PostgreSQL, with the same arguments and the same result.
fn position_of(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "instr",
        Backend::Postgres => "strpos",
    }
}

/// The column `id` without its index. SQLite prefers a range of ids to every other index, which the
/// `+` prevents; PostgreSQL decides by statistics.
pub fn unindexed(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "+id",
        Backend::Postgres => "id",
    }
}

/// A condition on one value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnTest {
    Present,
    Text(CompareOp, String),
    BigInt(CompareOp, i64),
    Double(CompareOp, f64),
    Bool(bool),
}

impl ColumnTest {
    /// The condition, or its opposite for a column that has a value. Neither is true of NULL,
    /// except the opposite of `Present`.
    pub fn sql(&self, column: &'static str, negated: bool, backend: Backend) -> Fragment {
        let start = Fragment::text(column);
        match (self, negated) {
            (Self::Present, false) => start.push(" IS NOT NULL"),
            (Self::Present, true) => start.push(" IS NULL"),
            (Self::Bool(value), _) => {
                let truth = if *value { "TRUE" } else { "FALSE" };
                start.push(if negated { " <> " } else { " = " }).push(truth)
            }
            (Self::BigInt(op, value), _) => start
                .push(symbol(*op, negated))
                .bind(OwnedBind::BigInt(*value)),
            (Self::Double(op, value), _) => start
                .push(symbol(*op, negated))
                .bind(OwnedBind::Double(*value)),
            (Self::Text(op, value), _) => match op {
                CompareOp::Co | CompareOp::Sw | CompareOp::Ew => {
                    part_sql(column, *op, value, negated, backend)
                }
                CompareOp::Eq
                | CompareOp::Ne
                | CompareOp::Gt
                | CompareOp::Ge
                | CompareOp::Lt
                | CompareOp::Le => start.push(symbol(*op, negated)).bind_text(value),
            },
        }
    }

    /// Whether an index on the column finds the rows without reading all of them.
    pub fn is_range(&self) -> bool {
        match self {
            Self::Present | Self::Bool(_) => false,
            Self::Text(CompareOp::Sw, prefix) => !prefix.is_empty(),
            Self::Text(op, _) | Self::BigInt(op, _) | Self::Double(op, _) => {
                !matches!(op, CompareOp::Ne | CompareOp::Co | CompareOp::Ew)
            }
        }
    }

    pub fn is_equality(&self) -> bool {
        match self {
            Self::Present | Self::Bool(_) => false,
            Self::Text(op, _) | Self::BigInt(op, _) | Self::Double(op, _) => *op == CompareOp::Eq,
        }
    }
}

fn symbol(op: CompareOp, negated: bool) -> &'static str {
    match (op, negated) {
        (CompareOp::Ne, false) | (CompareOp::Eq, true) => " <> ",
        (CompareOp::Gt, false) | (CompareOp::Le, true) => " > ",
        (CompareOp::Ge, false) | (CompareOp::Lt, true) => " >= ",
        (CompareOp::Lt, false) | (CompareOp::Ge, true) => " < ",
        (CompareOp::Le, false) | (CompareOp::Gt, true) => " <= ",
        // The rest is `eq` and `not ne`; co, sw and ew are handled by the caller.
        _ => " = ",
    }
}

/// The conditions for co, sw and ew. There are no patterns: `%`, `_` and `\` in the text have no
/// special meaning.
fn part_sql(
    column: &'static str,
    op: CompareOp,
    value: &str,
    negated: bool,
    backend: Backend,
) -> Fragment {
    if value.is_empty() {
        return ColumnTest::Present.sql(column, negated, backend);
    }
    let not = if negated { "NOT (" } else { "(" };
    let condition = match op {
        CompareOp::Sw => {
            let low = Fragment::text(not)
                .push(column)
                .push(" >= ")
                .bind_text(value);
            match successor(value) {
                Some(high) => low.push(" AND ").push(column).push(" < ").bind_text(&high),
                None => low,
            }
        }
        CompareOp::Ew => {
            // A text shorter than the value gives a shorter result, whatever a start below 1 means.
            let letters = i32::try_from(value.chars().count()).unwrap_or(i32::MAX);
            Fragment::text(not)
                .push("substr(")
                .push(column)
                .push(", length(")
                .push(column)
                .push(") + 1 - ")
                .bind(OwnedBind::Integer(letters))
                .push(") = ")
                .bind_text(value)
        }
        _ => Fragment::text(not)
            .push(position_of(backend))
            .push("(")
            .push(column)
            .push(", ")
            .bind_text(value)
            .push(") > 0"),
    };
    condition.push(")")
}

/// Returns the least text above all those that start with `prefix`, in the order of code points,
/// which is that of UTF-8 bytes. `None` if there is none.
pub fn successor(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // A range of chars skips the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::successor;

    #[test]
    fn successors() {
        let check = |prefix: &str, expected: Option<&str>| {
            assert_eq!(successor(prefix).as_deref(), expected, "{prefix:?}");
        };
        check("a", Some("b"));
        check("jo%", Some("jo&"));
        check("a\u{7f}", Some("a\u{80}"));
        check("a\u{d7ff}", Some("a\u{e000}"));
        check("a\u{10ffff}", Some("b"));
        check("a\u{10ffff}\u{10ffff}", Some("b"));
        check("\u{10ffff}", None);
        check("", None);
    }
}
