//! The representation of one user over HTTP, in an export, and in the tables. It is recorded from
//! the server itself, so that the baselines write the same rows as the server, even after it
//! changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rusqlite::Connection as Sqlite;
use rusqlite::types::Value;
use serde_json::json;

use crate::server::{Database, Server};
use crate::{Backend, sample};

/// A placeholder for the name of any user, with as many digits.
const NAME: &str = "zq999999999";

/// The id of a user by number.
pub fn id(number: usize) -> String {
    format!("01890000-0000-7000-8000-{number:012}")
}

/// Returns the name of a user by number; requests.lua generates the same.
pub fn name(number: usize) -> String {
    format!("zq{number:09}")
}

/// A text with placeholders for the id and the name of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Fixed(String),
    Id,
    Name,
}

impl Text {
    fn new(text: &str, id: &str) -> Self {
        let mut pieces = Vec::new();
        for (index, part) in text.split(id).enumerate() {
            if index > 0 {
                pieces.push(Piece::Id);
            }
            for (index, fixed) in part.split(NAME).enumerate() {
                if index > 0 {
                    pieces.push(Piece::Name);
                }
                if !fixed.is_empty() {
                    pieces.push(Piece::Fixed(fixed.to_owned()));
                }
            }
        }
        Self(pieces)
    }

    pub fn fill(&self, id: &str, name: &str) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Fixed(text) => text.as_str(),
                Piece::Id => id,
                Piece::Name => name,
            })
            .collect()
    }
}

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Truth(bool),
    Text(Text),
    /// The tenant's number of the change.
    ChangeNumber,
}

/// The effect of a write on one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Insert {
        table: String,
        row: Vec<(String, Cell)>,
    },
    Update {
        table: String,
        key: Vec<(String, Cell)>,
        set: Vec<(String, Cell)>,
        /// The difference by which a number changes.
        add: Vec<(String, i64)>,
    },
}

/// The representations of one user.
pub struct Template {
    /// The lines of an export: the header, the resource and the change. The others are derived from
    /// them.
    pub header: serde_json::Value,
    pub resource: Text,
    pub change: Text,
    pub create: Vec<Effect>,
    pub patch: Vec<Effect>,
    /// The response to a GET: status line and headers, and the body.
    pub head: String,
    pub body: Vec<u8>,
}

impl Template {
    pub fn learn() -> anyhow::Result<Self> {
        let database = Database::fresh(Backend::Sqlite)?.context("no SQLite")?;
        let path = database.url.trim_start_matches("sqlite:").to_owned();
        let server = Server::start(&database)?;
        let mut connection = server.connect()?;
        // Creates another user first, so that the counters exist.
        let first = connection.request("POST", "/Users", Some(&sample::user("first@example.com")));
        connection.send(&first)?;
        let empty = snapshot(&path)?;
        let user = sample::user(&format!("{NAME}@example.com"));
        let create = connection.request("POST", "/Users", Some(&user));
        connection.send(&create)?;
        let answer = connection.body()?;
        let id = answer.get("id").and_then(serde_json::Value::as_str);
        let id = id.context("a user without an id")?.to_owned();
        let created = snapshot(&path)?;
        let get = connection.request("GET", &format!("/Users/{id}"), None);
        connection.send(&get)?;
        let (head, body) = (connection.head().to_owned(), connection.bytes().to_vec());
        // Waits, so that timestamps differ from counts.
        std::thread::sleep(Duration::from_millis(5));
        let change = sample::patch(json!([{ "op": "replace", "value": { "active": false } }]));
        let patch = connection.request("PATCH", &format!("/Users/{id}"), Some(&change));
        connection.send(&patch)?;
        let patched = snapshot(&path)?;
        drop(server);
        let lines = export(&database.url)?;
        let find = |kind: &str| -> anyhow::Result<Text> {
            let start = format!("{{\"{kind}\":");
            let line = lines
                .lines()
                .find(|line| line.starts_with(&start) && line.contains(&id));
            Ok(Text::new(line.context("not in the export")?, &id))
        };
        let (resource, change) = (find("resource")?, find("change")?);
        let header = serde_json::from_str(lines.lines().next().context("an empty export")?)?;
        Ok(Self {
            header,
            // The last state of the export is inactive, and a new user is active.
            resource: activated(&resource)?,
            change,
            create: difference(&empty, &created, &id)?,
            patch: difference(&created, &patched, &id)?,
            head,
            body,
        })
    }
}

/// Returns a user as it was before the PATCH.
fn activated(resource: &Text) -> anyhow::Result<Text> {
    let mark = "\u{1}";
    let line = resource.fill(mark, NAME);
    let active = line
        .replace("\"active\":false", "\"active\":true")
        .replace("\"version\":2", "\"version\":1");
    ensure!(
        active != line,
        "the export has no inactive user of version 2"
    );
    Ok(Text::new(&active, mark))
}

fn export(url: &str) -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["export", "-", "--without-tokens", "--database", url])
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the export failed: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Tables that are written at other times, not by the request.
const ASIDE: [&str; 3] = ["arrivals", "tokens", "walks"];

struct Table {
    columns: Vec<Column>,
    /// Rows by the values of their key.
    rows: BTreeMap<String, Vec<Value>>,
}

#[derive(Clone)]
struct Column {
    name: String,
    is_truth: bool,
    is_key: bool,
}

/// Reads all rows of a small database.
fn snapshot(path: &str) -> anyhow::Result<BTreeMap<String, Table>> {
    let connection = Sqlite::open(Path::new(path))?;
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\'",
    )?;
    let tables = statement.query_map([], |row| row.get(0))?;
    let tables: Vec<String> = tables.collect::<Result<_, _>>()?;
    let mut found = BTreeMap::new();
    for table in tables {
        if ASIDE.contains(&table.as_str()) {
            continue;
        }
        let mut statement = connection.prepare(&format!("PRAGMA table_info({table})"))?;
        let columns = statement.query_map([], |row| {
            Ok(Column {
                name: row.get(1)?,
                is_truth: row.get::<_, String>(2)? == "BOOLEAN",
                is_key: row.get::<_, i64>(5)? > 0,
            })
        })?;
        let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let rows = statement.query_map([], |row| {
            (0..columns.len())
                .map(|index| row.get(index))
                .collect::<Result<Vec<Value>, _>>()
        })?;
        let mut by_key = BTreeMap::new();
        for row in rows {
            let row = row?;
            let key: Vec<&Value> = columns
                .iter()
                .zip(&row)
                .filter(|(column, _)| column.is_key)
                .map(|(_, value)| value)
                .collect();
            by_key.insert(format!("{key:?}"), row.clone());
        }
        found.insert(
            table,
            Table {
                columns,
                rows: by_key,
            },
        );
    }
    Ok(found)
}

/// Returns the difference between two states, the counters first: a change needs its number.
fn difference(
    before: &BTreeMap<String, Table>,
    after: &BTreeMap<String, Table>,
    id: &str,
) -> anyhow::Result<Vec<Effect>> {
    let (mut updates, mut inserts) = (Vec::new(), Vec::new());
    for (name, table) in after {
        let old = before.get(name).context("a new table")?;
        ensure!(
            old.rows.keys().all(|key| table.rows.contains_key(key)),
            "a write removed a row of {name}"
        );
        for (key, row) in &table.rows {
            let cells = table.columns.iter().zip(row);
            match old.rows.get(key) {
                Some(old) if old == row => {}
                Some(old) => updates.push(updated(name, cells.zip(old), id)),
                None => inserts.push(inserted(name, cells, id)),
            }
        }
    }
    ensure!(
        !updates.is_empty() && !inserts.is_empty(),
        "a write that wrote nothing"
    );
    updates.extend(inserts);
    Ok(updates)
}

fn updated<'a>(
    table: &str,
    cells: impl Iterator<Item = ((&'a Column, &'a Value), &'a Value)>,
    id: &str,
) -> Effect {
    let (mut key, mut set, mut add) = (Vec::new(), Vec::new(), Vec::new());
    for ((column, new), old) in cells {
        let name = column.name.clone();
        match (old, new) {
            _ if column.is_key => key.push((name, cell(column, new, id))),
            _ if old == new => {}
            (Value::Integer(old), Value::Integer(new))
                if !column.is_truth && new.abs_diff(*old) < 1000 =>
            {
                add.push((name, new - old));
            }
            _ => set.push((name, cell(column, new, id))),
        }
    }
    Effect::Update {
        table: table.to_owned(),
        key,
        set,
        add,
    }
}

fn inserted<'a>(
    table: &str,
    cells: impl Iterator<Item = (&'a Column, &'a Value)>,
    id: &str,
) -> Effect {
    let row = cells.map(|(column, value)| {
        let numbered = table == "changes" && column.name == "seq";
        let cell = if numbered {
            Cell::ChangeNumber
        } else {
            cell(column, value, id)
        };
        (column.name.clone(), cell)
    });
    Effect::Insert {
        table: table.to_owned(),
        row: row.collect(),
    }
}

fn cell(column: &Column, value: &Value, id: &str) -> Cell {
    match value {
        Value::Null | Value::Blob(_) => Cell::Null,
        Value::Integer(value) if column.is_truth => Cell::Truth(*value != 0),
        Value::Integer(value) => Cell::Int(*value),
        Value::Real(value) => Cell::Real(*value),
        Value::Text(text) => Cell::Text(Text::new(text, id)),
    }
}
