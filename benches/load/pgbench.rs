//! The bare PostgreSQL: pgbench, prepared statements, the same lookups and the same rows.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::postgres;
use crate::template::{Cell, Effect, Piece, Text};

/// Runs scripts against its own database, which is removed when dropped.
pub struct Pgbench {
    pub url: String,
    pub users: usize,
    /// The number of runs so far, so that no user is created twice.
    pub runs: usize,
}

/// Selects an existing user.
const EXISTING_USER: &str = "\\set k random(0, :users - 1)\n";
/// Selects a new user, roughly ordered by time, across all clients.
const NEW_USER: &str = "\\set i :i + 1\n\\set k 500000000 + :run * 10000000 + :i * :clients + :client_id\n\\set number :k\n";

const ID: &str = "(E'01890000-0000-7000-8000-' || lpad(:k, 12, '0'))";
const NAME: &str = "(E'zq' || lpad(:k, 9, '0'))";

pub fn get() -> String {
    format!(
        "{EXISTING_USER}SELECT id, resource_type, version, created, modified, doc FROM resources \
         WHERE tenant_id = 1 AND id = {ID} AND resource_type = 'User';\n"
    )
}

pub fn filter() -> String {
    format!(
        "{EXISTING_USER}SELECT id, resource_type, version, created, modified, doc FROM resources \
         WHERE tenant_id = 1 AND resource_type = 'User' AND user_name = {NAME} || '@example.com';\n"
    )
}

pub fn create(effects: &[Effect], counters: Counters) -> String {
    format!("{NEW_USER}{}", transaction(effects, counters))
}

pub fn patch(effects: &[Effect], counters: Counters) -> String {
    format!(
        "{NEW_USER}{EXISTING_USER}{}",
        transaction(effects, counters)
    )
}

/// The rows that all clients write, so that each waits for the previous commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counters {
    /// As Rollcall does: changes are numbered without gaps, and resources are counted.
    Shared,
    /// Each client numbers its own changes.
    PerClient,
}

/// Builds one transaction. Rows that all clients write come last, so that clients block each other
/// as briefly as possible.
fn transaction(effects: &[Effect], counters: Counters) -> String {
    let (mut own, mut shared, mut numbered, mut tenant) =
        (Vec::new(), Vec::new(), Vec::new(), String::new());
    for effect in effects {
        match effect {
            Effect::Update { table, .. } if table == "tenants" => tenant = update(effect),
            Effect::Update { table, .. } if table == "counts" => shared.push(update(effect)),
            Effect::Update { .. } => own.push(update(effect)),
            Effect::Insert { table, row } => {
                let (columns, values) = (columns(row), values(row));
                let insert = format!("INSERT INTO {table} ({columns})");
                if !row.iter().any(|(_, cell)| *cell == Cell::ChangeNumber) {
                    add_row(&mut own, &insert, &values);
                } else if counters == Counters::Shared {
                    numbered.push(format!(
                        "WITH s AS ({tenant} RETURNING change_seq) {insert} SELECT {values} FROM s"
                    ));
                } else {
                    numbered.push(format!(
                        "{insert} VALUES ({})",
                        values.replace("s.change_seq", ":number")
                    ));
                }
            }
        }
    }
    // The resource before the rows that refer to it.
    own.sort_by_key(|statement| !statement.starts_with("INSERT INTO resources"));
    let shared = if counters == Counters::Shared {
        shared
    } else {
        Vec::new()
    };
    let statements = [
        vec!["BEGIN".to_owned()],
        own,
        shared,
        numbered,
        vec!["COMMIT".to_owned()],
    ];
    statements.concat().join(";\n") + ";\n"
}

/// Combines the rows of one table into one statement.
fn add_row(statements: &mut Vec<String>, insert: &str, values: &str) {
    match statements.last_mut() {
        Some(last) if last.starts_with(insert) => {
            last.push_str(&format!(", ({values})"));
        }
        _ => statements.push(format!("{insert} VALUES ({values})")),
    }
}

fn columns(row: &[(String, Cell)]) -> String {
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

fn values(row: &[(String, Cell)]) -> String {
    let values: Vec<String> = row.iter().map(|(_, cell)| value(cell)).collect();
    values.join(", ")
}

fn update(effect: &Effect) -> String {
    let Effect::Update {
        table,
        key,
        set,
        add,
    } = effect
    else {
        return String::new();
    };
    let set = set
        .iter()
        .map(|(name, cell)| format!("{name} = {}", value(cell)));
    let add = add
        .iter()
        .map(|(name, by)| format!("{name} = {name} + {by}"));
    let set: Vec<String> = set.chain(add).collect();
    let key: Vec<String> = key
        .iter()
        .map(|(name, cell)| format!("{name} = {}", value(cell)))
        .collect();
    format!(
        "UPDATE {table} SET {} WHERE {}",
        set.join(", "),
        key.join(" AND ")
    )
}

fn value(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Truth(value) => value.to_string(),
        Cell::Text(text) => literal(text),
        Cell::ChangeNumber => "s.change_seq".to_owned(),
    }
}

/// pgbench parses a colon as the start of a variable, even within quotes.
fn literal(text: &Text) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Fixed(text) => {
            let text = text
                .replace('\\', "\\\\")
                .replace('\'', "''")
                .replace(':', "\\072");
            format!("E'{text}'")
        }
        Piece::Id => ID.to_owned(),
        Piece::Name => NAME.to_owned(),
    };
    let pieces: Vec<String> = text.0.iter().map(piece).collect();
    if pieces.is_empty() {
        "''".to_owned()
    } else {
        pieces.join(" || ")
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        postgres::drop_database(&self.url);
    }
}

impl Pgbench {
    /// Runs a script; returns transactions per second.
    pub fn run(&mut self, script: &str, connections: usize, seconds: u64) -> anyhow::Result<f64> {
        self.runs += 1;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), script)?;
        let output = Command::new(postgres::program("pgbench"))
            .args([
                "-n",
                "-M",
                "prepared",
                "-j",
                "1",
                "-c",
                &connections.to_string(),
            ])
            .args(["-T", &seconds.to_string(), "-D", "i=0"])
            .args(["-D", &format!("users={}", self.users)])
            .args(["-D", &format!("run={}", self.runs)])
            .args(["-D", &format!("clients={connections}"), "-f"])
            .arg(file.path())
            .arg(&self.url)
            .stdin(Stdio::null())
            .output()
            .context("cannot run pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let failed = said
            .lines()
            .find_map(|line| line.strip_prefix("number of failed transactions: "));
        let is_good = failed.is_none_or(|failed| failed.starts_with("0 "));
        ensure!(
            output.status.success() && is_good,
            "pgbench failed: {said}{errors}\n{script}"
        );
        let tps = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.with_context(|| format!("pgbench says no rate: {said}"))
    }
}
