//! Composed SQL: text whose pieces depend on a request, such as a filter or an order, with the
//! parameters between them.
//!
//! Such a text cannot be split at compile time, so it is no
//! `Statement`. It must not know tables or filters.

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::backend::Backend as DieselBackend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Double, HasSqlType, Integer, Text};
use diesel::{QueryResult, RunQueryDsl};

/// A piece of SQL with its parameters. All text is part of this program; values are parameters.
///
/// A fragment is not kept prepared unless [`Fragment::cached`] says that its text is one of a few.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fragment {
    parts: Vec<FragmentPart>,
    is_cached: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum FragmentPart {
    Text(Cow<'static, str>),
    Bind(OwnedBind),
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedBind {
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
    pub fn bind(mut self, value: OwnedBind) -> Self {
        self.parts.push(FragmentPart::Bind(value));
        self
    }

    #[must_use]
    pub fn bind_text(self, value: &str) -> Self {
        self.bind(OwnedBind::Text(value.to_owned()))
    }

    #[must_use]
    pub fn append(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Has the connection keep the statement prepared. Only for texts of which there are a few,
    /// whatever clients send.
    #[must_use]
    pub fn cached(mut self) -> Self {
        self.is_cached = true;
        self
    }

    pub fn is_cached(&self) -> bool {
        self.is_cached
    }

    /// Joins the pieces with a separator.
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
        // Filters of clients have any number of texts: kept prepared, they would fill the memory of
        // the connection.
        if !self.is_cached {
            out.unsafe_to_cache_prepared();
        }
        for part in &self.parts {
            match part {
                FragmentPart::Text(text) => out.push_sql(text),
                FragmentPart::Bind(OwnedBind::Text(value)) => {
                    out.push_bind_param::<Text, _>(value)?
                }
                FragmentPart::Bind(OwnedBind::BigInt(value)) => {
                    out.push_bind_param::<BigInt, _>(value)?
                }
                FragmentPart::Bind(OwnedBind::Integer(value)) => {
                    out.push_bind_param::<Integer, _>(value)?
                }
                FragmentPart::Bind(OwnedBind::Double(value)) => {
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

impl Fragment {
    /// The fragment as a whole statement whose rows have the columns `Row`.
    pub fn query<Row>(self) -> ComposedQuery<Row> {
        ComposedQuery {
            sql: self,
            row: PhantomData,
        }
    }
}

/// A composed statement; see `Fetch` for how it runs.
#[derive(Debug)]
pub struct ComposedQuery<Row> {
    sql: Fragment,
    row: PhantomData<Row>,
}

impl<Row> Query for ComposedQuery<Row> {
    type SqlType = Row;
}

impl<Row> QueryId for ComposedQuery<Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, Row> RunQueryDsl<C> for ComposedQuery<Row> {}

impl<Row, DB> QueryFragment<DB> for ComposedQuery<Row>
where
    DB: DieselBackend,
    Fragment: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
}
