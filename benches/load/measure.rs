//! One database of one size with its server, and the same without us.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::constant::Constant;
use crate::operations::{self, Kind, Operation};
use crate::pgbench::{self, Pgbench};
use crate::raw::Raw;
use crate::report::{Comparison, Fact, Row, Section, Target, thousands};
use crate::server::{Database, Server};
use crate::template::Template;
use crate::wrk::{self, Load, Outcome};
use crate::{Arguments, Backend, fill, postgres, process};

/// The database without us.
enum Bare {
    Sqlite(Box<Raw>),
    Postgres(Pgbench),
}

pub struct Bench<'a> {
    pub arguments: &'a Arguments,
    template: &'a Template,
    constant: &'a Constant,
    pub backend: Backend,
    pub users: usize,
    pub server: Server,
    bare: Bare,
    /// How many requests were sent to change somebody, or a group, for the next ones to go on from there.
    changed: HashMap<Vec<String>, u64>,
    runs: u64,
    filled: f64,
    database: Database,
    _copy: TempDir,
}

impl<'a> Bench<'a> {
    /// Fills a database and starts the server on it. `None` where this machine has no such database.
    pub fn prepare(
        arguments: &'a Arguments,
        backend: Backend,
        users: usize,
        template: &'a Template,
        constant: &'a Constant,
    ) -> anyhow::Result<Option<Self>> {
        let Some(database) = Database::fresh(backend)? else {
            return Ok(None);
        };
        eprintln!("{}: filling in {users} users", backend.name());
        let filled = fill::users(&database.url, template, users)?;
        let copy = TempDir::with_prefix_in("load-", env!("CARGO_TARGET_TMPDIR"))?;
        let bare = match backend {
            Backend::Sqlite => {
                let file = copy.path().join("bare.sqlite");
                std::fs::copy(file_of(&database), &file)?;
                Bare::Sqlite(Box::new(Raw::open(&file, users)?))
            }
            Backend::Postgres => {
                postgres::run(&database.url, "VACUUM ANALYZE")?;
                let url = postgres::copy(&database.url).context("cannot copy the database")?;
                postgres::run(&url, "VACUUM ANALYZE")?;
                postgres::run(&url, "CHECKPOINT")?;
                Bare::Postgres(Pgbench {
                    url,
                    users,
                    runs: 0,
                })
            }
        };
        let server = Server::start(&database)?;
        let bench = Self {
            arguments,
            template,
            constant,
            backend,
            users,
            server,
            bare,
            changed: HashMap::new(),
            runs: 0,
            filled,
            database,
            _copy: copy,
        };
        bench.check()?;
        Ok(Some(bench))
    }

    /// All are there.
    fn check(&self) -> anyhow::Result<()> {
        let mut connection = self.server.connect()?;
        let page = connection.request("GET", "/Users?count=1", None);
        connection.send(&page)?;
        let total = connection
            .body()?
            .get("totalResults")
            .and_then(Value::as_u64);
        ensure!(
            total == u64::try_from(self.users).ok(),
            "{total:?} users and not {}",
            self.users
        );
        Ok(())
    }

    pub fn section(&self, what: &str) -> Section {
        Section::new(format!(
            "{}, {} users{what}",
            self.backend.name(),
            thousands(number(self.users))
        ))
    }

    /// Single users and lists.
    pub fn users(&mut self) -> anyhow::Result<Section> {
        let arguments = self.arguments;
        let mut section = self.section("");
        section
            .facts
            .push(Fact::new("filled by import", self.filled, "s"));
        let ready = Fact::new("start to ready", self.server.ready.as_secs_f64(), "s");
        section.facts.push(ready.within(Target::AtMost(1.0)));
        let first = arguments.connections.first().copied().unwrap_or(64);
        for operation in operations::main()
            .iter()
            .filter(|operation| arguments.is_wanted(operation.name))
        {
            section.push(self.compare(operation, first)?);
            for connections in arguments.connections.iter().skip(1).copied() {
                section.push(self.row(operation, connections, 2)?);
            }
        }
        let others = operations::others(&self.server, self.users)?;
        for operation in others
            .iter()
            .filter(|operation| arguments.is_wanted(operation.name))
        {
            section.push(self.row(operation, first, arguments.seconds)?);
        }
        let memory = process::memory(self.server.id())?;
        section
            .facts
            .push(Fact::new("memory", mega(memory.resident), "MB"));
        let peak = Fact::new("memory at its peak", mega(memory.peak), "MB");
        section.facts.push(peak.within(Target::AtMost(150.0)));
        if self.backend == Backend::Sqlite {
            let size = std::fs::metadata(file_of(&self.database))?.len();
            section.facts.push(Fact::new("file", mega(size), "MB"));
        }
        Ok(section)
    }

    /// Halves of the server, the constant handler and the bare database in turn, so that what else the machine does
    /// hits them all.
    fn compare(&mut self, operation: &Operation, connections: usize) -> anyhow::Result<Row> {
        let seconds = self.arguments.seconds.div_ceil(2);
        let (mut outcomes, mut constants, mut bares) = (Vec::new(), Vec::new(), Vec::new());
        let is_read = operation.kind == Kind::Read;
        for _ in 0..2 {
            outcomes.push(self.load(operation, connections, seconds)?);
            if is_read {
                let host = self.constant.host.clone();
                constants.push(
                    self.send(&host, operation, connections, seconds)?
                        .per_second(),
                );
            }
            bares.push(self.load_bare(operation.name, connections, seconds)?);
        }
        let mut row = Row::new(operation.title.clone(), connections, &outcomes);
        let rate = row.per_second;
        let mut compare = |name: &str, values: &[f64], target: Option<Target>| {
            let value = mean(values.iter().copied());
            row.comparisons.push(Comparison {
                baseline: name.to_owned(),
                value,
                ratio: rate / value,
                target,
            });
        };
        if is_read {
            compare(
                "constant handler",
                &constants,
                operation.of_constant(self.backend),
            );
        }
        let bare_name = match (self.backend, is_read) {
            (Backend::Sqlite, true) => "raw SQLite, one thread",
            (Backend::Sqlite, false) => "raw SQLite, same rows",
            (Backend::Postgres, true) => "pgbench, same lookup",
            (Backend::Postgres, false) => "pgbench, same rows",
        };
        compare(bare_name, &bares, operation.of_bare(self.backend));
        Ok(row)
    }

    /// Without a baseline.
    pub fn row(
        &mut self,
        operation: &Operation,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Row> {
        let outcome = self.load(operation, connections, seconds)?;
        Ok(Row::new(operation.title.clone(), connections, &[outcome]))
    }

    /// Loads the server, and makes sure that what was acknowledged was done.
    pub fn load(
        &mut self,
        operation: &Operation,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Outcome> {
        let host = self.server.host.clone();
        let before = self.last_change()?;
        let outcome = self.send(&host, operation, connections, seconds)?;
        if operation.kind == Kind::Change {
            *self.changed.entry(operation.arguments.clone()).or_default() += outcome.requests;
        }
        if operation.kind != Kind::Read && outcome.errors() == 0 {
            // At most those that met another one of the same user.
            let changes = self.last_change()? - before;
            let least = outcome.requests - outcome.requests / 20;
            ensure!(
                changes >= least,
                "{}: {} requests made {changes} changes",
                operation.name,
                outcome.requests
            );
        }
        Ok(outcome)
    }

    fn send(
        &mut self,
        host: &str,
        operation: &Operation,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Outcome> {
        self.runs += 1;
        let salt = match operation.kind {
            Kind::Change => self.changed.get(&operation.arguments).copied().unwrap_or(0),
            Kind::Read | Kind::Create => self.runs,
        };
        wrk::run(&Load {
            operation,
            host,
            users: self.users,
            connections,
            seconds,
            salt,
        })
    }

    fn load_bare(
        &mut self,
        operation: &str,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<f64> {
        let time = Duration::from_secs(seconds);
        let Template { create, patch, .. } = self.template;
        match (&mut self.bare, operation) {
            (Bare::Sqlite(raw), "get") => raw.get(time),
            (Bare::Sqlite(raw), "filter") => raw.filter(time),
            (Bare::Sqlite(raw), "create") => raw.create(time, create),
            (Bare::Sqlite(raw), _) => raw.patch(time, patch),
            (Bare::Postgres(bench), "get") => bench.run(&pgbench::get(), connections, seconds),
            (Bare::Postgres(bench), "filter") => {
                bench.run(&pgbench::filter(), connections, seconds)
            }
            (Bare::Postgres(bench), "create") => {
                bench.run(&pgbench::create(create), connections, seconds)
            }
            (Bare::Postgres(bench), _) => bench.run(&pgbench::patch(patch), connections, seconds),
        }
    }

    /// The number of the last change.
    fn last_change(&self) -> anyhow::Result<u64> {
        let mut connection = self.server.connect()?;
        let request = connection.request_at("GET", "/directory/v1/changes?limit=1", None);
        connection.send(&request)?;
        let last = connection.body()?.get("last").and_then(Value::as_u64);
        last.context("a feed without an end")
    }
}

fn file_of(database: &Database) -> PathBuf {
    Path::new(database.url.trim_start_matches("sqlite:")).to_owned()
}

pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / number(values.len())
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

pub fn count(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

pub fn mega(bytes: u64) -> f64 {
    count(bytes / 1024) / 1024.0
}
