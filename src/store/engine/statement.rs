//! Fixed SQL: each [`Statement`] is readable text whose parameters are `$1`, `$2`, .., the same for
//! both databases and split at compile time.
//!
//! Everything else is diesel's query builder. SQL whose text depends on a request, such as a
//! filter, is no fixed statement: [`crate::store::engine::fragment`] composes it, and it runs in
//! the same way. No text may hold a value of a client; those are parameters.
//!
//! Two things are spelled as in PostgreSQL and translated for SQLite:
//!
//! - `column = ANY ($n)` compares with a list of texts, see [`TextList`],
//! - `json_rows($n) AS name(column TYPE, ..)` in a FROM clause reads the objects of a JSON array as
//!   rows. The types are `TEXT`, `BIGINT` and `DOUBLE PRECISION`.
//!
//! SQLite prepares a statement again for each value of a parameter that is its limit. So a limit
//! that varies is written `LIMIT 0 + $n`, and a row that is the only one is not limited at all.

use std::marker::PhantomData;

use diesel::backend::Backend as DieselBackend;
use diesel::pg::{Pg, PgRowByRowLoadingMode};
use diesel::query_builder::{AstPass, Query as DieselQuery, QueryFragment, QueryId};
use diesel::query_dsl::methods::{ExecuteDsl, LoadQuery};
use diesel::sql_types::{BigInt, Bool, Double, Nullable, Text as SqlText, Untyped};
use diesel::sqlite::Sqlite;
use diesel::{OptionalExtension as _, PgConnection, QueryResult, RunQueryDsl, SqliteConnection};

use crate::store::engine::budget;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// A fixed statement. `Row` is the SQL types of its columns where rows are read by position, and
/// [`Untyped`] where they are read by name or there are none.
#[derive(Debug)]
pub(in crate::store) struct Statement<Row: 'static = Untyped> {
    sqlite: Text,
    postgres: Text,
    row: PhantomData<fn() -> Row>,
}

/// The text of a statement, split at its parameters.
#[derive(Debug, Clone, Copy)]
struct Text {
    pieces: [Piece; MAX_PIECES],
    /// The number of pieces in use.
    count: usize,
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Sql(&'static str),
    /// `$n`
    Parameter(usize),
    /// `= ANY ($n)`
    Any(usize),
    /// `json_rows($n) AS name(column TYPE, ..)`
    Rows {
        parameter: usize,
        name: &'static str,
        columns: &'static str,
    },
}

/// A longer statement does not compile.
const MAX_PIECES: usize = 32;

impl<Row: 'static> Statement<Row> {
    /// The same text on both databases.
    ///
    /// In a constant, a text whose parameters are not numbered from `$1` without gaps does not
    /// compile.
    pub const fn new(text: &'static str) -> Self {
        Self::joined(&[text])
    }

    /// The same text on both databases, in parts that several statements may share.
    pub const fn joined(parts: &[&'static str]) -> Self {
        Self::per_backend(parts, parts)
    }

    /// A text for each database, where the two differ in more than the module translates.
    pub const fn per_backend(sqlite: &[&'static str], postgres: &[&'static str]) -> Self {
        Self {
            sqlite: Text::split(sqlite),
            postgres: Text::split(postgres),
            row: PhantomData,
        }
    }

    /// The statement with its parameters, `$1` first.
    pub fn bind<'q>(&'static self, binds: &'q [Bind<'q>]) -> Query<'q, Row> {
        Query {
            statement: self,
            binds,
            key: PhantomData,
        }
    }

    fn text(&self, backend: Backend) -> &Text {
        match backend {
            Backend::Sqlite => &self.sqlite,
            Backend::Postgres => &self.postgres,
        }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where a fault is a compile error"
)]
impl Text {
    const fn split(parts: &[&'static str]) -> Self {
        let mut pieces = [Piece::Sql(""); MAX_PIECES];
        let mut count = 0;
        let mut numbers: u64 = 0;
        let mut index = 0;
        while index < parts.len() {
            let mut rest = parts[index];
            while let Some(dollar) = find(rest, b'$') {
                let (before, after) = rest.split_at(dollar);
                let (number, after) = parse_number(after.split_at(1).1);
                let (before, piece, after) = parse_piece(before, number, after);
                pieces[count] = Piece::Sql(before);
                pieces[count + 1] = piece;
                count += 2;
                numbers |= 1 << number;
                rest = after;
            }
            if !rest.is_empty() {
                pieces[count] = Piece::Sql(rest);
                count += 1;
            }
            index += 1;
        }
        assert!(
            (numbers + 2).is_power_of_two(),
            "parameters are numbered from $1 without gaps"
        );
        Self { pieces, count }
    }
}

/// The position of the first such byte.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn find(text: &str, byte: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == byte {
            return Some(index);
        }
        index += 1;
    }
    None
}

/// The number of a parameter, and what follows it.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "evaluated at compile time; a digit fits"
)]
const fn parse_number(text: &'static str) -> (usize, &'static str) {
    let bytes = text.as_bytes();
    let mut number = 0;
    let mut digits = 0;
    while digits < bytes.len() && bytes[digits].is_ascii_digit() {
        number = number * 10 + (bytes[digits] - b'0') as usize;
        digits += 1;
    }
    assert!(number > 0, "`$` is followed by the number of a parameter");
    (number, text.split_at(digits).1)
}

/// Recognises the translated forms around a parameter; returns the text before and after it.
const fn parse_piece(
    before: &'static str,
    number: usize,
    after: &'static str,
) -> (&'static str, Piece, &'static str) {
    if let Some(before) = strip_suffix(before, "= ANY (") {
        assert!(starts_with(after, ")"), "`= ANY ($n)`");
        return (before, Piece::Any(number), after.split_at(1).1);
    }
    if let Some(before) = strip_suffix(before, "json_rows(") {
        assert!(starts_with(after, ") AS "), "`json_rows($n) AS name(..)`");
        let rest = after.split_at(5).1;
        let (head, after) = rest.split_at(position(rest, b')'));
        let (name, columns) = head.split_at(position(head, b'('));
        let piece = Piece::Rows {
            parameter: number,
            name,
            columns: columns.split_at(1).1,
        };
        return (before, piece, after.split_at(1).1);
    }
    (before, Piece::Parameter(number), after)
}

const fn position(text: &str, byte: u8) -> usize {
    let found = find(text, byte);
    assert!(found.is_some(), "`json_rows($n) AS name(column TYPE, ..)`");
    match found {
        Some(index) => index,
        None => 0,
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn starts_with(text: &str, prefix: &str) -> bool {
    let text = text.as_bytes();
    let prefix = prefix.as_bytes();
    let mut index = 0;
    while index < prefix.len() {
        if index >= text.len() || text[index] != prefix[index] {
            return false;
        }
        index += 1;
    }
    true
}

const fn strip_suffix(text: &'static str, suffix: &str) -> Option<&'static str> {
    let Some(start) = text.len().checked_sub(suffix.len()) else {
        return None;
    };
    if !text.is_char_boundary(start) {
        return None;
    }
    let (head, tail) = text.split_at(start);
    if starts_with(tail, suffix) {
        Some(head)
    } else {
        None
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Bind<'a> {
    Int(i64),
    Text(&'a str),
    OptionalText(Option<&'a str>),
    OptionalDouble(Option<f64>),
    OptionalBool(Option<bool>),
    /// For `= ANY ($n)` alone.
    List(&'a TextList<'a>),
}

macro_rules! bind_from {
    ($($from:ty, $value:ident => $bind:expr;)+) => {$(
        impl<'a> From<$from> for Bind<'a> {
            fn from($value: $from) -> Self {
                $bind
            }
        }
    )+};
}

bind_from! {
    i64, value => Self::Int(value);
    i32, value => Self::Int(value.into());
    u32, value => Self::Int(value.into());
    TenantId, value => Self::Int(value.0);
    &'a str, value => Self::Text(value);
    &'a String, value => Self::Text(value);
    &'a ResourceId, value => Self::Text(value.as_str());
    Option<&'a str>, value => Self::OptionalText(value);
    Option<f64>, value => Self::OptionalDouble(value);
    Option<bool>, value => Self::OptionalBool(value);
    &'a TextList<'a>, value => Self::List(value);
}

/// The texts that `column = ANY ($n)` compares with.
///
/// A single one is compared directly; it is what most requests are about. Several are a JSON array,
/// and for PostgreSQL an SQL array made of it: that is looked up in the index, while a join with a
/// list may read the whole table.
#[derive(Debug)]
pub(in crate::store) enum TextList<'a> {
    Single(&'a str),
    /// A JSON array of texts.
    Several(String),
}

impl<'a> TextList<'a> {
    pub fn new(texts: &[&'a str]) -> Result<Self, StoreError> {
        Ok(match texts {
            [only] => Self::Single(only),
            several => Self::Several(serde_json::to_string(several)?),
        })
    }

    pub fn of_ids(ids: &'a [ResourceId]) -> Result<Self, StoreError> {
        let texts: Vec<&str> = ids.iter().map(ResourceId::as_str).collect();
        Self::new(&texts)
    }
}

/// A statement with its parameters. It runs on the connection of the database itself: through the
/// enum over both, diesel would collect the parameters twice.
///
/// `Key` is how the connection finds the prepared form.
#[derive(Debug)]
pub(in crate::store) struct Query<'q, Row: 'static, Key = ByText> {
    statement: &'static Statement<Row>,
    binds: &'q [Bind<'q>],
    key: PhantomData<Key>,
}

/// Prepared statements are found by their text, which is built for each query. That costs a
/// microsecond per thousand characters or so.
#[derive(Debug)]
pub(in crate::store) struct ByText;

impl QueryId for ByText {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<'q, Row: 'static, Key> Query<'q, Row, Key> {
    /// The same, found by the type `Other`, which must stand for this SQL text alone.
    pub fn keyed<Other: QueryId>(self) -> Query<'q, Row, Other> {
        Query {
            statement: self.statement,
            binds: self.binds,
            key: PhantomData,
        }
    }
}

impl<Row: 'static, Key: QueryId> Query<'_, Row, Key> {
    /// The number of rows that were written.
    pub fn execute(self, conn: &mut Conn) -> QueryResult<usize> {
        match conn {
            Conn::Sqlite(conn) => ExecuteDsl::execute(self, conn),
            Conn::Postgres(conn) => ExecuteDsl::execute(self, conn),
        }
    }
}

/// Reads the rows of a query on the connection of the database itself.
pub(in crate::store) trait Fetch<'q, T>:
    LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T>
{
    fn fetch_all(self, conn: &mut Conn) -> QueryResult<Vec<T>>
    where
        Self: 'q,
    {
        budget::prepare(conn)?;
        match conn {
            Conn::Sqlite(conn) => self.load(conn),
            Conn::Postgres(conn) => self.load(conn),
        }
    }

    /// The first row, which must be there.
    fn fetch_one(self, conn: &mut Conn) -> QueryResult<T>
    where
        Self: 'q,
    {
        budget::prepare(conn)?;
        match conn {
            Conn::Sqlite(conn) => self.get_result(conn),
            Conn::Postgres(conn) => self.get_result(conn),
        }
    }

    /// The first row, if there is one.
    fn fetch_optional(self, conn: &mut Conn) -> QueryResult<Option<T>>
    where
        Self: 'q,
    {
        self.fetch_one(conn).optional()
    }
}

impl<'q, T, Q> Fetch<'q, T> for Q where
    Q: LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T>
{
}

/// The first rows of a query, as many as the memory for them allows.
#[derive(Debug)]
pub(in crate::store) struct FirstRows<T> {
    pub rows: Vec<T>,
    /// Whether rows were left out.
    pub is_cut: bool,
}

/// Reads the first rows of a query, up to a number of bytes.
pub(in crate::store) trait FetchWithin<'q, T>:
    LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T, PgRowByRowLoadingMode>
{
    /// Reads rows until they have more than `most_bytes`; the first is read in any case.
    fn fetch_within(
        self,
        conn: &mut Conn,
        most_bytes: usize,
        weigh: fn(&T) -> usize,
    ) -> QueryResult<FirstRows<T>>
    where
        Self: 'q,
    {
        budget::prepare(conn)?;
        match conn {
            Conn::Sqlite(conn) => take_within(self.load_iter(conn)?, most_bytes, weigh),
            // By default, libpq reads all rows before it returns the first.
            Conn::Postgres(conn) => {
                let rows = RunQueryDsl::load_iter::<T, PgRowByRowLoadingMode>(self, conn)?;
                take_within(rows, most_bytes, weigh)
            }
        }
    }
}

impl<'q, T, Q> FetchWithin<'q, T> for Q where
    Q: LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T, PgRowByRowLoadingMode>
{
}

fn take_within<T>(
    rows: impl Iterator<Item = QueryResult<T>>,
    most_bytes: usize,
    weigh: fn(&T) -> usize,
) -> QueryResult<FirstRows<T>> {
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    for row in rows {
        let row = row?;
        bytes = bytes.saturating_add(weigh(&row));
        if bytes > most_bytes && !found.is_empty() {
            return Ok(FirstRows {
                rows: found,
                is_cut: true,
            });
        }
        found.push(row);
    }
    Ok(FirstRows {
        rows: found,
        is_cut: false,
    })
}

/// What differs between the databases when a statement is written.
trait Dialect: DieselBackend + Sized {
    const BACKEND: Backend;

    fn push<'b>(bind: &'b Bind<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

macro_rules! dialect {
    ($($database:ty => $backend:expr),+) => {$(
        impl Dialect for $database {
            const BACKEND: Backend = $backend;

            fn push<'b>(bind: &'b Bind<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
                match bind {
                    Bind::Int(value) => out.push_bind_param::<BigInt, _>(value),
                    Bind::Text(value) => out.push_bind_param::<SqlText, _>(*value),
                    Bind::OptionalText(value) => {
                        out.push_bind_param::<Nullable<SqlText>, _>(value)
                    }
                    Bind::OptionalDouble(value) => {
                        out.push_bind_param::<Nullable<Double>, _>(value)
                    }
                    Bind::OptionalBool(value) => out.push_bind_param::<Nullable<Bool>, _>(value),
                    Bind::List(TextList::Single(text)) => {
                        out.push_bind_param::<SqlText, _>(*text)
                    }
                    Bind::List(TextList::Several(list)) => {
                        out.push_bind_param::<SqlText, _>(list)
                    }
                }
            }
        }
    )+};
}

dialect!(Sqlite => Backend::Sqlite, Pg => Backend::Postgres);

impl<DB: Dialect, Row: 'static, Key> QueryFragment<DB> for Query<'_, Row, Key> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let text = self.statement.text(DB::BACKEND);
        for piece in text.pieces.iter().take(text.count) {
            match *piece {
                Piece::Sql(text) => out.push_sql(text),
                Piece::Parameter(number) => DB::push(self.value(number)?, &mut out)?,
                Piece::Any(number) => push_any(self.value(number)?, &mut out)?,
                Piece::Rows {
                    parameter,
                    name,
                    columns,
                } => push_rows(self.value(parameter)?, name, columns, &mut out)?,
            }
        }
        Ok(())
    }
}

impl<Row: 'static, Key> Query<'_, Row, Key> {
    fn value(&self, number: usize) -> QueryResult<&Bind<'_>> {
        let bind = number
            .checked_sub(1)
            .and_then(|index| self.binds.get(index));
        bind.ok_or_else(|| {
            diesel::result::Error::QueryBuilderError(
                "a parameter of the statement has no value".into(),
            )
        })
    }
}

fn push_any<'b, DB: Dialect>(bind: &'b Bind<'_>, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
    let (before, after) = match (bind, DB::BACKEND) {
        (Bind::List(TextList::Several(_)), Backend::Sqlite) => {
            ("IN (SELECT k.value FROM json_each(", ") AS k)")
        }
        (Bind::List(TextList::Several(_)), Backend::Postgres) => (
            "= ANY (ARRAY(SELECT k.value FROM jsonb_array_elements_text(",
            "::JSONB) AS k(value)))",
        ),
        _ => ("= ", ""),
    };
    out.push_sql(before);
    DB::push(bind, out)?;
    out.push_sql(after);
    Ok(())
}

/// SQLite has `json_each` over text, PostgreSQL `jsonb_to_recordset` over its own type.
fn push_rows<'b, DB: Dialect>(
    bind: &'b Bind<'_>,
    name: &'static str,
    columns: &'static str,
    out: &mut AstPass<'_, 'b, DB>,
) -> QueryResult<()> {
    let columns = columns.split(", ").enumerate();
    let columns = columns.map(|(index, column)| {
        let (column, kind) = column.split_once(' ').unwrap_or((column, ""));
        (if index == 0 { "" } else { ", " }, column, kind)
    });
    match DB::BACKEND {
        Backend::Sqlite => {
            out.push_sql("(SELECT ");
            for (comma, column, _) in columns {
                for text in [comma, "value ->> '", column, "' AS ", column] {
                    out.push_sql(text);
                }
            }
            out.push_sql(" FROM json_each(");
            DB::push(bind, out)?;
            out.push_sql(")) AS ");
            out.push_sql(name);
        }
        Backend::Postgres => {
            out.push_sql("jsonb_to_recordset(");
            DB::push(bind, out)?;
            for text in ["::JSONB) AS ", name, "("] {
                out.push_sql(text);
            }
            for (comma, column, kind) in columns {
                for text in [comma, column, " ", kind] {
                    out.push_sql(text);
                }
                if kind == "TEXT" {
                    out.push_sql(" COLLATE \"C\"");
                }
            }
            out.push_sql(")");
        }
    }
    Ok(())
}

impl<Row: 'static, Key: QueryId> QueryId for Query<'_, Row, Key> {
    type QueryId = Key::QueryId;
    const HAS_STATIC_QUERY_ID: bool = Key::HAS_STATIC_QUERY_ID;
}

impl<Row: 'static, Key> DieselQuery for Query<'_, Row, Key> {
    type SqlType = Row;
}

impl<C, Row: 'static, Key> RunQueryDsl<C> for Query<'_, Row, Key> {}

#[cfg(test)]
mod tests {
    use diesel::debug_query;

    use super::*;

    static EACH_FORM: Statement = Statement::joined(&[
        "INSERT INTO t SELECT $2, r.a FROM json_rows($1) AS r(a TEXT, b BIGINT) ",
        "WHERE r.b = $2 AND r.a = ANY ($3)",
    ]);

    #[test]
    fn each_form_on_both_databases() {
        let check = |list: &TextList, sqlite: &str, postgres: &str| {
            let binds = ["[]".into(), 7.into(), list.into()];
            let query = EACH_FORM.bind(&binds);
            assert_eq!(debug_query::<Sqlite, _>(&query).to_string(), sqlite);
            assert_eq!(debug_query::<Pg, _>(&query).to_string(), postgres);
        };
        check(
            &TextList::new(&["x"]).unwrap(),
            "INSERT INTO t SELECT ?, r.a FROM (SELECT value ->> 'a' AS a, value ->> 'b' AS b \
             FROM json_each(?)) AS r WHERE r.b = ? AND r.a = ? -- binds: [7, \"[]\", 7, \"x\"]",
            "INSERT INTO t SELECT $1, r.a FROM jsonb_to_recordset($2::JSONB) AS \
             r(a TEXT COLLATE \"C\", b BIGINT) WHERE r.b = $3 AND r.a = $4 -- binds: [7, \"[]\", 7, \"x\"]",
        );
        check(
            &TextList::new(&["x", "y"]).unwrap(),
            "INSERT INTO t SELECT ?, r.a FROM (SELECT value ->> 'a' AS a, value ->> 'b' AS b \
             FROM json_each(?)) AS r WHERE r.b = ? AND r.a IN (SELECT k.value FROM json_each(?) AS k) \
             -- binds: [7, \"[]\", 7, \"[\\\"x\\\",\\\"y\\\"]\"]",
            "INSERT INTO t SELECT $1, r.a FROM jsonb_to_recordset($2::JSONB) AS \
             r(a TEXT COLLATE \"C\", b BIGINT) WHERE r.b = $3 AND r.a = ANY (ARRAY(SELECT k.value FROM \
             jsonb_array_elements_text($4::JSONB) AS k(value))) \
             -- binds: [7, \"[]\", 7, \"[\\\"x\\\",\\\"y\\\"]\"]",
        );
    }

    #[test]
    #[should_panic(expected = "numbered from $1")]
    fn numbers_have_no_gaps() {
        let _: Statement = Statement::new("SELECT $1, $3");
    }

    #[test]
    fn a_missing_value_is_an_error() {
        static TWO: Statement = Statement::new("SELECT $1, $2");
        let binds = [1.into()];
        let query = TWO.bind(&binds);
        let mut builder = diesel::sqlite::SqliteQueryBuilder::new();
        assert!(QueryFragment::<Sqlite>::to_sql(&query, &mut builder, &Sqlite).is_err());
    }
}
