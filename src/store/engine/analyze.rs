//! Keeps PostgreSQL's picture of a young database true.
//!
//! It plans with the statistics of its last look at a table, and looks by itself once a minute. An import grows the
//! tables a thousandfold in that time, and plans made for empty ones read all of them for each row that comes. So
//! the writer asks for a look each time that it has doubled what it wrote.

use diesel::sql_types::Float;
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::engine::sql::Sql;
use crate::store::{Backend, Conn, StoreError};

/// Rows written before the first look.
const FIRST: u64 = 200;
/// Beyond so many PostgreSQL's own looks come soon enough.
const LAST: u64 = 250_000;

/// How many rows were added to the tables that grow with the directory.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct TableGrowth {
    pub resources: u64,
    pub members: u64,
}

/// What one writer has added since it started.
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

    /// Counts what a batch added that is committed, and has the tables analysed of which that is news. SQLite
    /// needs none of it: it chooses indexes by their columns.
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

    /// Nothing to do where the statistics know of as many rows as were added here; another node that is at it is
    /// not waited for.
    fn look(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let name = self.name;
        let known: RowEstimate =
            Sql::new("SELECT reltuples AS rows FROM pg_class WHERE oid = $1::REGCLASS")
                .text(name)
                .get_result(conn)?;
        if f64::from(known.rows) < self.rows_as_known() {
            conn.batch(&format!("ANALYZE (SKIP_LOCKED) {name}"))?;
        }
        Ok(())
    }

    fn rows_as_known(&self) -> f64 {
        u32::try_from(self.rows).map_or(f64::MAX, f64::from)
    }
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
