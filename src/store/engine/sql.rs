//! Statements written as text, the same for both databases, and the one way to hand a list to them.
//!
//! diesel's own `sql_query` is never prepared ahead. [`Sql`] is, so its text must come from this program
//! alone: what a client sends is always a parameter.
//!
//! SQLite prepares a statement anew for each value of a parameter that is its limit. So a row that is the only one
//! is asked for by `get_result` and not by `first`, which adds `LIMIT ?`.

use std::borrow::Cow;
use std::fmt::Write;
use std::marker::PhantomData;

use diesel::backend::Backend as DieselBackend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::methods::{ExecuteDsl, LoadQuery};
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text, Untyped};
use diesel::sqlite::Sqlite;
use diesel::{OptionalExtension as _, PgConnection, QueryResult, RunQueryDsl, SqliteConnection};
use serde::Serialize;

use crate::store::engine::conn::{Conn, MultiBackend};
use crate::store::{Backend, ResourceId, StoreError};

/// A statement with parameters `$1`, `$2`, .. of which each may be used several times.
#[derive(Debug, Clone)]
pub(in crate::store) struct Sql<'a> {
    text: Cow<'a, str>,
    binds: Vec<Bind<'a>>,
}

/// A parameter.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Bind<'a> {
    Int(i64),
    Text(&'a str),
    /// A text, or NULL.
    AnyText(Option<&'a str>),
    /// A number, or NULL.
    AnyDouble(Option<f64>),
    /// A truth value, or NULL.
    AnyBool(Option<bool>),
}

/// What parameters can be handed to: either database, and the one that stands for both.
trait Takes: DieselBackend + Sized {
    fn push<'b>(bind: &'b Bind<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

macro_rules! takes {
    ($($backend:ty),+) => {$(
        impl Takes for $backend {
            fn push<'b>(bind: &'b Bind<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
                match bind {
                    Bind::Int(value) => out.push_bind_param::<BigInt, _>(value),
                    Bind::Text(value) => out.push_bind_param::<Text, _>(*value),
                    Bind::AnyText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
                    Bind::AnyDouble(value) => out.push_bind_param::<Nullable<Double>, _>(value),
                    Bind::AnyBool(value) => out.push_bind_param::<Nullable<Bool>, _>(value),
                }
            }
        }
    )+};
}

takes!(Sqlite, Pg, MultiBackend);

/// A database itself.
trait Native: Takes {
    const BACKEND: Backend;
}

impl Native for Sqlite {
    const BACKEND: Backend = Backend::Sqlite;
}

impl Native for Pg {
    const BACKEND: Backend = Backend::Postgres;
}

impl<'a> Sql<'a> {
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: text.into(),
            binds: Vec::new(),
        }
    }

    /// The next parameter.
    pub fn int(mut self, value: i64) -> Self {
        self.binds.push(Bind::Int(value));
        self
    }

    /// The next parameter.
    pub fn text(mut self, value: &'a str) -> Self {
        self.binds.push(Bind::Text(value));
        self
    }
}

impl QueryFragment<MultiBackend> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let mut parts = self.text.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            let (number, rest) = part.split_at(digits);
            let bind = number
                .parse::<usize>()
                .ok()
                .and_then(|number| self.binds.get(number.checked_sub(1)?))
                .ok_or_else(|| {
                    diesel::result::Error::QueryBuilderError("a parameter without a value".into())
                })?;
            MultiBackend::push(bind, &mut out)?;
            out.push_sql(rest);
        }
        Ok(())
    }
}

impl QueryId for Sql<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<Conn> for Sql<'_> {}

/// A statement of the hot paths, whose text is fixed: the connection knows it by its type, and looks at the text once.
pub(in crate::store) trait Fixed: 'static {
    /// The SQL types of the columns of its rows; [`Untyped`] where it has none.
    type Row;

    /// What stands before, between and behind the parameters.
    fn text(backend: Backend) -> &'static [&'static str];
}

/// A [`Fixed`] statement with its parameters. It is given to the database itself: the way through [`Conn`]'s enum writes the
/// text anew each time.
pub(in crate::store) struct Prepared<'a, S, const N: usize> {
    binds: [Bind<'a>; N],
    statement: PhantomData<S>,
}

impl<'a, S: Fixed, const N: usize> Prepared<'a, S, N> {
    pub fn new(binds: [Bind<'a>; N]) -> Self {
        Self {
            binds,
            statement: PhantomData,
        }
    }

    /// The row, where there is one.
    pub fn one<T>(self, conn: &mut Conn) -> QueryResult<Option<T>>
    where
        Self: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        match conn {
            Conn::Sqlite(conn) => self.get_result(conn),
            Conn::Postgres(conn) => self.get_result(conn),
        }
        .optional()
    }

    /// All rows.
    pub fn all<T>(self, conn: &mut Conn) -> QueryResult<Vec<T>>
    where
        Self: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        match conn {
            Conn::Sqlite(conn) => self.load(conn),
            Conn::Postgres(conn) => self.load(conn),
        }
    }

    /// The number of rows that were written.
    pub fn execute(self, conn: &mut Conn) -> QueryResult<usize> {
        match conn {
            Conn::Sqlite(conn) => ExecuteDsl::execute(self, conn),
            Conn::Postgres(conn) => ExecuteDsl::execute(self, conn),
        }
    }
}

impl<DB: Native, S: Fixed, const N: usize> QueryFragment<DB> for Prepared<'_, S, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut parts = S::text(DB::BACKEND).iter();
        let mut push = |out: &mut AstPass<'_, 'b, DB>| {
            out.push_sql(parts.next().copied().unwrap_or_default());
        };
        for bind in &self.binds {
            push(&mut out);
            DB::push(bind, &mut out)?;
        }
        push(&mut out);
        Ok(())
    }
}

impl<S: Fixed, const N: usize> QueryId for Prepared<'_, S, N> {
    type QueryId = Prepared<'static, S, N>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<S: Fixed, const N: usize> Query for Prepared<'_, S, N> {
    type SqlType = S::Row;
}

impl<C, S, const N: usize> RunQueryDsl<C> for Prepared<'_, S, N> {}

/// The type of a column in [`rows`].
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Column {
    Text,
    Int,
    Double,
}

/// The source of a FROM: the objects of a JSON array as rows of a table called `name`.
/// `parameter` is the array's text.
///
/// SQLite has `json_each` over text, PostgreSQL `jsonb_to_recordset` over its own type.
pub(in crate::store) fn rows(
    backend: Backend,
    parameter: &str,
    name: &str,
    columns: &[(&str, Column)],
) -> String {
    let mut sql = String::new();
    let written = match backend {
        Backend::Sqlite => write_sqlite_rows(&mut sql, parameter, name, columns),
        Backend::Postgres => write_postgres_rows(&mut sql, parameter, name, columns),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    sql
}

/// The condition that a column has one of some ids.
#[derive(Debug)]
pub(in crate::store) struct OneOf {
    pub condition: String,
    /// Of the parameter.
    pub value: String,
}

impl OneOf {
    /// One id is compared; it is what most requests are about. Several are a list, and for PostgreSQL an array: that
    /// is looked up in the index, while a join with a list may be turned round and read the whole table.
    pub fn new(
        backend: Backend,
        column: &str,
        parameter: &str,
        ids: &[ResourceId],
    ) -> Result<Self, StoreError> {
        #[derive(Serialize)]
        struct Item<'a> {
            id: &'a str,
        }
        if let [id] = ids {
            return Ok(Self {
                condition: format!("{column} = {parameter}"),
                value: id.as_str().to_owned(),
            });
        }
        let source = rows(backend, parameter, "w", &[("id", Column::Text)]);
        let list: Vec<Item> = ids.iter().map(|id| Item { id: id.as_str() }).collect();
        Ok(Self {
            condition: match backend {
                Backend::Sqlite => format!("{column} IN (SELECT w.id FROM {source})"),
                Backend::Postgres => format!("{column} = ANY (ARRAY(SELECT w.id FROM {source}))"),
            },
            value: serde_json::to_string(&list)?,
        })
    }
}

fn write_sqlite_rows(
    sql: &mut String,
    parameter: &str,
    name: &str,
    columns: &[(&str, Column)],
) -> std::fmt::Result {
    sql.push_str("(SELECT ");
    for (index, (column, _)) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(sql, "{comma}value ->> '{column}' AS {column}")?;
    }
    write!(sql, " FROM json_each({parameter})) AS {name}")
}

fn write_postgres_rows(
    sql: &mut String,
    parameter: &str,
    name: &str,
    columns: &[(&str, Column)],
) -> std::fmt::Result {
    write!(sql, "jsonb_to_recordset({parameter}::JSONB) AS {name}(")?;
    for (index, (column, kind)) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let kind = match kind {
            Column::Text => "TEXT COLLATE \"C\"",
            Column::Int => "BIGINT",
            Column::Double => "DOUBLE PRECISION",
        };
        write!(sql, "{comma}{column} {kind}")?;
    }
    sql.push(')');
    Ok(())
}
