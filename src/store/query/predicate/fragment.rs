//! SQL text with its parameters, put together piece by piece, and conditions on one column.
//!
//! Knows no table and no filter. What the two databases want differently is in [`position_of`] and [`unindexed`].

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::backend::Backend as DieselBackend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Double, HasSqlType, Integer, Text};
use scim_core::filter::CompareOp;

use crate::store::{Backend, Conn};

/// A piece of SQL, safe to put into diesel statements: all that comes from outside is a parameter.
///
/// The text of an empty one may become one of very many, until [`Fragment::kept`] says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fragment {
    parts: Vec<FragmentPart>,
    /// Whether the text is one of a fixed few, so that the connection may keep it prepared.
    kept: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum FragmentPart {
    Text(Cow<'static, str>),
    Bind(Bind),
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Bind {
    Text(String),
    BigInt(i64),
    Integer(i32),
    Double(f64),
}

impl Fragment {
    pub fn text(text: &'static str) -> Self {
        Self::default().push(text)
    }

    #[must_use]
    pub fn push(mut self, text: &'static str) -> Self {
        self.parts.push(FragmentPart::Text(Cow::Borrowed(text)));
        self
    }

    #[must_use]
    pub fn bind(mut self, value: Bind) -> Self {
        self.parts.push(FragmentPart::Bind(value));
        self
    }

    #[must_use]
    pub fn bind_text(self, value: &str) -> Self {
        self.bind(Bind::Text(value.to_owned()))
    }

    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Declares that there are only a few texts like this one, whatever clients ask.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// The pieces with a separator between them.
    pub fn join(pieces: impl IntoIterator<Item = Self>, separator: &'static str) -> Self {
        let mut all = Self::default();
        for (index, piece) in pieces.into_iter().enumerate() {
            if index > 0 {
                all = all.push(separator);
            }
            all = all.append(piece);
        }
        all
    }

    pub fn bind_count(&self) -> usize {
        let is_bind = |part: &&FragmentPart| matches!(part, FragmentPart::Bind(_));
        self.parts.iter().filter(is_bind).count()
    }
}

/// `instr` of SQLite is `strpos` in PostgreSQL, with the same arguments and the same answer.
fn position_of(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "instr",
        Backend::Postgres => "strpos",
    }
}

/// The column `id` where its index must not lead. SQLite takes the range for the best way in, whatever else there
/// is, and knows the `+` that hinders it; PostgreSQL counts for itself.
pub fn unindexed(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "+id",
        Backend::Postgres => "id",
    }
}

/// A condition on one value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Present,
    Text(CompareOp, String),
    BigInt(CompareOp, i64),
    Double(CompareOp, f64),
    Bool(bool),
}

impl Test {
    /// The condition, or its opposite for a column that has a value. Neither is true of NULL, except that
    /// nothing is `Present` in the opposite.
    pub fn sql(&self, column: &'static str, negated: bool, backend: Backend) -> Fragment {
        let start = Fragment::text(column);
        match (self, negated) {
            (Self::Present, false) => start.push(" IS NOT NULL"),
            (Self::Present, true) => start.push(" IS NULL"),
            (Self::Bool(value), _) => {
                let truth = if *value { "TRUE" } else { "FALSE" };
                start.push(if negated { " <> " } else { " = " }).push(truth)
            }
            (Self::BigInt(op, value), _) => {
                start.push(symbol(*op, negated)).bind(Bind::BigInt(*value))
            }
            (Self::Double(op, value), _) => {
                start.push(symbol(*op, negated)).bind(Bind::Double(*value))
            }
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

    /// Whether an index that is ordered by the column finds the rows without reading all of them.
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
        // The rest is `eq`, `not ne`; co, sw and ew never come here.
        _ => " = ",
    }
}

/// co, sw and ew. No pattern language: `%`, `_` and `\` in the text mean themselves.
fn part_sql(
    column: &'static str,
    op: CompareOp,
    value: &str,
    negated: bool,
    backend: Backend,
) -> Fragment {
    if value.is_empty() {
        return Test::Present.sql(column, negated, backend);
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
            // A text shorter than the value gives something shorter, whatever start below 1 means.
            let letters = i32::try_from(value.chars().count()).unwrap_or(i32::MAX);
            Fragment::text(not)
                .push("substr(")
                .push(column)
                .push(", length(")
                .push(column)
                .push(") + 1 - ")
                .bind(Bind::Integer(letters))
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

/// The least text above all those that begin with `prefix`, in the order of code points, which is that of
/// UTF-8 bytes. `None` where there is none.
pub fn successor(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // A range of chars steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

impl<DB> QueryFragment<DB> for Fragment
where
    DB: DieselBackend
        + HasSqlType<Text>
        + HasSqlType<BigInt>
        + HasSqlType<Integer>
        + HasSqlType<Double>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    i32: ToSql<Integer, DB>,
    f64: ToSql<Double, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // Client filters make ever new texts: kept prepared, they would fill the memory of the connection.
        if !self.kept {
            out.unsafe_to_cache_prepared();
        }
        for part in &self.parts {
            match part {
                FragmentPart::Text(text) => out.push_sql(text),
                FragmentPart::Bind(Bind::Text(value)) => out.push_bind_param::<Text, _>(value)?,
                FragmentPart::Bind(Bind::BigInt(value)) => {
                    out.push_bind_param::<BigInt, _>(value)?
                }
                FragmentPart::Bind(Bind::Integer(value)) => {
                    out.push_bind_param::<Integer, _>(value)?
                }
                FragmentPart::Bind(Bind::Double(value)) => {
                    out.push_bind_param::<Double, _>(value)?
                }
            }
        }
        Ok(())
    }
}

impl QueryId for Fragment {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// A whole statement whose rows have the columns `Row`.
pub struct Statement<Row> {
    sql: Fragment,
    row: PhantomData<Row>,
}

impl<Row> Statement<Row> {
    pub fn new(sql: Fragment) -> Self {
        Self {
            sql,
            row: PhantomData,
        }
    }
}

impl<Row> Query for Statement<Row> {
    type SqlType = Row;
}

impl<Row> QueryId for Statement<Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> diesel::RunQueryDsl<Conn> for Statement<Row> {}

impl<Row, DB> QueryFragment<DB> for Statement<Row>
where
    DB: DieselBackend,
    Fragment: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
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
