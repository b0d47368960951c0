//! The bare `SQLite`: one thread, prepared statements, one durable transaction for each write, and
//! the same rows.
//!
//! One thread, because `SQLite` has one writer: more threads wait for each other's lock and are
//! slower.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use crate::random::Random;
use crate::template::{Cell, Effect, Text, id, name};

pub struct Raw {
    connection: Connection,
    users: usize,
    random: Random,
    /// The number of created users.
    created: usize,
}

impl Raw {
    /// Opens it with the settings of the server's writer.
    pub fn open(path: &Path, users: usize) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0; \
             PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16000;",
        )?;
        Ok(Self {
            connection,
            users,
            random: Random::new(2),
            created: 0,
        })
    }

    pub fn get(&mut self, time: Duration) -> anyhow::Result<f64> {
        let sql = "SELECT id, resource_type, version, created, modified, doc FROM resources \
                   WHERE tenant_id = 1 AND id = ?1 AND resource_type = 'User'";
        self.look_up(time, sql, id)
    }

    pub fn filter(&mut self, time: Duration) -> anyhow::Result<f64> {
        let sql = "SELECT id, resource_type, version, created, modified, doc FROM resources \
                   WHERE tenant_id = 1 AND resource_type = 'User' AND user_name = ?1";
        self.look_up(time, sql, |number| format!("{}@example.com", name(number)))
    }

    /// Returns the rows found per second.
    fn look_up(
        &mut self,
        time: Duration,
        sql: &str,
        key: impl Fn(usize) -> String,
    ) -> anyhow::Result<f64> {
        let mut statement = self.connection.prepare(sql)?;
        let (random, users) = (&mut self.random, self.users);
        rate(time, || {
            let key = key(random.below(users));
            let found = statement
                .query_row([key], |row| row.get::<_, String>(5))
                .optional()?;
            found.map(drop).context("nobody there")
        })
    }

    /// Returns the writes per second, each for a new user.
    pub fn create(&mut self, time: Duration, effects: &[Effect]) -> anyhow::Result<f64> {
        let mut plan = Plan::prepare(&self.connection, effects)?;
        let created = &mut self.created;
        rate(time, || {
            *created += 1;
            plan.write(500_000_000 + *created)
        })
    }

    /// Returns the writes per second, each for an existing user.
    pub fn patch(&mut self, time: Duration, effects: &[Effect]) -> anyhow::Result<f64> {
        let mut plan = Plan::prepare(&self.connection, effects)?;
        let (random, users) = (&mut self.random, self.users);
        rate(time, || plan.write(random.below(users)))
    }
}

/// A prepared write.
struct Plan<'c, 'e> {
    begin: rusqlite::Statement<'c>,
    statements: Vec<(rusqlite::Statement<'c>, Vec<&'e Cell>)>,
    commit: rusqlite::Statement<'c>,
}

/// Returns the statement for one row, and its parameters.
fn statement<'e>(effect: &'e Effect) -> (String, Vec<&'e Cell>) {
    let mut cells = Vec::new();
    let mut place = |cell: &'e Cell| match cell {
        // There is only one tenant.
        Cell::ChangeNumber => "(SELECT change_seq FROM tenants WHERE id = 1)".to_owned(),
        cell => {
            cells.push(cell);
            "?".to_owned()
        }
    };
    let sql = match effect {
        Effect::Insert { table, row } => {
            let columns: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            let places: Vec<String> = row.iter().map(|(_, cell)| place(cell)).collect();
            format!(
                "INSERT INTO {table} ({}) VALUES ({})",
                columns.join(", "),
                places.join(", ")
            )
        }
        Effect::Update {
            table,
            key,
            set,
            add,
        } => {
            let set = set
                .iter()
                .map(|(name, cell)| format!("{name} = {}", place(cell)));
            let add = add
                .iter()
                .map(|(name, by)| format!("{name} = {name} + {by}"));
            let set: Vec<String> = set.chain(add).collect();
            let key: Vec<String> = key
                .iter()
                .map(|(name, cell)| format!("{name} = {}", place(cell)))
                .collect();
            format!(
                "UPDATE {table} SET {} WHERE {}",
                set.join(", "),
                key.join(" AND ")
            )
        }
    };
    (sql, cells)
}

impl<'c, 'e> Plan<'c, 'e> {
    fn prepare(connection: &'c Connection, effects: &'e [Effect]) -> anyhow::Result<Self> {
        let mut statements = Vec::new();
        for effect in effects {
            let (sql, cells) = statement(effect);
            statements.push((connection.prepare(&sql)?, cells));
        }
        Ok(Self {
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            statements,
            commit: connection.prepare("COMMIT")?,
        })
    }

    fn write(&mut self, number: usize) -> anyhow::Result<()> {
        let (id, name) = (id(number), name(number));
        let value = |cell: &&Cell| match cell {
            Cell::Null | Cell::ChangeNumber => Value::Null,
            Cell::Int(value) => Value::Integer(*value),
            Cell::Real(value) => Value::Real(*value),
            Cell::Truth(value) => Value::Integer(i64::from(*value)),
            Cell::Text(text) => Value::Text(Text::fill(text, &id, &name)),
        };
        self.begin.execute([])?;
        for (statement, cells) in &mut self.statements {
            let written = statement.execute(params_from_iter(cells.iter().map(value)))?;
            ensure!(written == 1, "{written} rows were written");
        }
        self.commit.execute([])?;
        Ok(())
    }
}

/// Returns how often per second `work` succeeds.
fn rate(time: Duration, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut done: u32 = 0;
    while started.elapsed() < time {
        work()?;
        done += 1;
    }
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
