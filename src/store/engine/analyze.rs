//! Keeps PostgreSQL's statistics of a growing database up to date.
//!
//! PostgreSQL analyses tables by itself about once a minute. An import grows the tables a
//! thousandfold in that time, and plans made for empty tables read whole tables for each new row.
//! So the writer runs `ANALYZE` each time that its number of written rows has doubled.

use std::ops::AddAssign;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Float};

use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Backend, Conn, StoreError};

/// Rows written before the first `ANALYZE`.
const FIRST: u64 = 200;
/// Above this number of rows PostgreSQL's own analysis is frequent enough.
const LAST: u64 = 250_000;

/// The number of rows added to the tables that grow with the directory.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct TableGrowth {
    pub resources: u64,
    pub members: u64,
}

impl AddAssign for TableGrowth {
    fn add_assign(&mut self, other: Self) {
        self.resources = self.resources.saturating_add(other.resources);
        self.members = self.members.saturating_add(other.members);
    }
}

/// The rows that one writer has added since it started.
#[derive(Debug)]
pub(in crate::store) struct StatisticsRefresher {
    tables: [Table; 3],
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    rows: u64,
    next: u64,
}

#[derive(QueryableByName)]
struct RowEstimate {
    #[diesel(sql_type = Float)]
    rows: f32,
}

impl StatisticsRefresher {
    pub fn new() -> Self {
        Self {
            tables: ["resources", "attributes", "members"].map(|name| Table {
                name,
                rows: 0,
                next: FIRST,
            }),
        }
    }

    /// Counts the rows of a committed batch, and analyses the tables that have doubled. SQLite
    /// needs no statistics: it chooses indexes by their columns.
    pub fn add(&mut self, grown: TableGrowth, conn: &mut Conn) -> Result<(), StoreError> {
        if conn.backend() == Backend::Sqlite {
            return Ok(());
        }
        for table in &mut self.tables {
            let rows = match table.name {
                "members" => grown.members,
                _ => grown.resources,
            };
            if table.is_due(rows) {
                table.look(conn)?;
            }
        }
        Ok(())
    }
}

impl Table {
    fn is_due(&mut self, rows: u64) -> bool {
        self.rows = self.rows.saturating_add(rows);
        let is_due = self.rows >= self.next;
        while self.rows >= self.next && self.next < LAST {
            self.next *= 2;
        }
        is_due && self.rows < LAST
    }

    /// Does nothing if the statistics already know of that many rows. Does not wait for another
    /// node that analyses the table.
    fn look(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let name = self.name;
        static ESTIMATE: Statement =
            Statement::new("SELECT reltuples AS rows FROM pg_class WHERE oid = $1::REGCLASS");
        let known: RowEstimate = ESTIMATE.bind(&[name.into()]).fetch_one(conn)?;
        if f64::from(known.rows) < self.rows_as_known() {
            conn.batch(&format!("ANALYZE (SKIP_LOCKED) {name}"))?;
        }
        Ok(())
    }

    fn rows_as_known(&self) -> f64 {
        u32::try_from(self.rows).map_or(f64::MAX, f64::from)
    }
}

/// Deletes the samples of indexed values that SQLite's planner keeps after an `ANALYZE`; it plans
/// without them. [`crate::store::engine::compact`] replaces those of PostgreSQL.
pub fn forget_samples(conn: &mut Conn) -> Result<(), StoreError> {
    static COUNT: Statement<BigInt> =
        Statement::new("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat4'");
    if conn.backend() == Backend::Postgres {
        return Ok(());
    }
    let tables: i64 = COUNT.bind(&[]).fetch_one(conn)?;
    if tables > 0 {
        conn.batch("DELETE FROM sqlite_stat4")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::StatisticsRefresher;

    #[test]
    fn looks_when_doubled() {
        let [mut table, ..] = StatisticsRefresher::new().tables;
        let steps = [199, 1, 199, 1, 5_000, 1, 240_000, 10_000, 1_000_000];
        let due = steps.map(|rows| table.is_due(rows));
        assert_eq!(
            due,
            [false, true, false, true, true, false, true, false, false]
        );
    }
}
