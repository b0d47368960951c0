//! One database of one size with its server, and the bare database for comparison.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::constant::Constant;
use crate::keeper::Keeper;
use crate::numbers::{mega, number, thousands};
use crate::operations::{self, Kind, Operation};
use crate::pgbench::{self, Counters, Pgbench};
use crate::raw::Raw;
use crate::report::{Comparison, Fact, Row, Section};
use crate::server::{Database, Server};
use crate::target::Target;
use crate::template::Template;
use crate::wrk::{self, Load, Outcome};
use crate::{Arguments, Backend, directory, fill, postgres, process};

/// The bare database.
enum Bare {
    Sqlite(Box<Raw>),
    Postgres(Pgbench),
}

/// How often the server and its baselines are measured alternately.
const ROUNDS: u64 = 5;
/// In a directory this small, a run soon changes every user; so each run first restores them.
const SMALL: usize = 10_000;

pub struct Bench<'a> {
    pub arguments: &'a Arguments,
    template: &'a Template,
    constant: &'a Constant,
    pub backend: Backend,
    pub users: usize,
    pub server: Server,
    bare: Bare,
    /// The number of change requests sent to users or groups, from which the next ones continue.
    changed: HashMap<Vec<String>, u64>,
    runs: u64,
    filled: f64,
    database: Database,
    keeper: &'a Keeper,
    _copy: TempDir,
}

impl<'a> Bench<'a> {
    /// Fills a database and starts the server on it. Returns `None` if this machine has no such
    /// database.
    pub fn prepare(
        arguments: &'a Arguments,
        backend: Backend,
        users: usize,
        template: &'a Template,
        constant: &'a Constant,
        keeper: &'a Keeper,
    ) -> anyhow::Result<Option<Self>> {
        let Some(database) = Database::fresh(backend)? else {
            return Ok(None);
        };
        eprintln!("{}: filling in {users} users", backend.name());
        keeper.folder(database.folder())?;
        let filled = fill::users(&database.url, template, users)?;
        let copy = TempDir::with_prefix_in("load-", env!("CARGO_TARGET_TMPDIR"))?;
        keeper.folder(copy.path())?;
        let bare = match backend {
            Backend::Sqlite => {
                let file = copy.path().join("bare.sqlite");
                std::fs::copy(file_of(&database), &file)?;
                // Otherwise the first writes wait until all of it reaches the disk.
                File::open(&file)?.sync_all()?;
                File::open(file_of(&database))?.sync_all()?;
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
        keeper.process(server.id())?;
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
            keeper,
            _copy: copy,
        };
        directory::check(&bench.server, users)?;
        Ok(Some(bench))
    }

    /// Starts another server on the same database.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.server = Server::start(&self.database)?;
        self.keeper.process(self.server.id())?;
        Ok(())
    }

    pub fn section(&self, what: &str) -> Section {
        Section::new(format!(
            "{}, {} users{what}",
            self.backend.name(),
            thousands(number(self.users))
        ))
    }

    /// Measures single users and lists.
    pub fn users(&mut self) -> anyhow::Result<Section> {
        let arguments = self.arguments;
        let mut section = self.section("");
        section
            .facts
            .push(Fact::new("filled by import", self.filled, "s"));
        let ready = Fact::new("start to ready", self.server.ready.as_secs_f64(), "s");
        section.facts.push(ready.within(Target::AtMost(1.0)));
        let flushes = process::flushes()?;
        let first = arguments.connections.first().copied().unwrap_or(64);
        for operation in operations::main()
            .iter()
            .filter(|operation| arguments.is_selected(operation.name))
        {
            section.push(self.compare(operation, first)?);
            for connections in arguments.connections.iter().skip(1).copied() {
                section.push(self.row(operation, connections, 2)?);
            }
        }
        for (flushes, what) in [(flushes, "before"), (process::flushes()?, "after")] {
            let what = format!("disk, {what}");
            section
                .facts
                .push(Fact::new(&what, flushes, "flushes a second"));
        }
        let memory = process::memory(self.server.id())?;
        section
            .facts
            .push(Fact::new("memory after these", mega(memory.resident), "MB"));
        let others = operations::others(&self.server, self.users)?;
        for operation in others
            .iter()
            .filter(|operation| arguments.is_selected(operation.name))
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

    /// Measures the server, the constant handler and the bare database alternately, so that other
    /// load on the machine affects them all.
    fn compare(&mut self, operation: &Operation, connections: usize) -> anyhow::Result<Row> {
        let seconds = self.arguments.seconds.div_ceil(ROUNDS);
        let (mut outcomes, mut constants, mut bares) = (Vec::new(), Vec::new(), Vec::new());
        let is_read = operation.kind == Kind::Read;
        for _ in 0..ROUNDS {
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
        let rates: Vec<f64> = outcomes.iter().map(Outcome::per_second).collect();
        if is_read {
            let target = operation.of_constant(self.backend);
            let constant = Comparison::new("constant handler", &rates, &constants, target);
            row.comparisons.push(constant);
        }
        let bare_name = match (self.backend, is_read) {
            (Backend::Sqlite, true) => "raw SQLite, one thread",
            (Backend::Sqlite, false) => "raw SQLite, same rows",
            (Backend::Postgres, true) => "pgbench, same lookup",
            (Backend::Postgres, false) => "pgbench, same rows",
        };
        let target = operation.of_bare(self.backend);
        row.comparisons
            .push(Comparison::new(bare_name, &rates, &bares, target));
        if let Some(alone) = self.bare_without_counters(operation, connections)? {
            let name = "pgbench, without the shared counters";
            row.comparisons
                .push(Comparison::new(name, &[row.per_second], &[alone], None));
        }
        Ok(row)
    }

    /// Measures pgbench without contention between clients; not for `SQLite`, which has one writer.
    fn bare_without_counters(
        &mut self,
        operation: &Operation,
        connections: usize,
    ) -> anyhow::Result<Option<f64>> {
        let (template, seconds) = (self.template, self.arguments.seconds.div_ceil(2));
        let Bare::Postgres(bench) = &mut self.bare else {
            return Ok(None);
        };
        let script = match operation.kind {
            Kind::Read => return Ok(None),
            Kind::Create => pgbench::create(&template.create, Counters::PerClient),
            Kind::Change => pgbench::patch(&template.patch, Counters::PerClient),
        };
        bench.run(&script, connections, seconds).map(Some)
    }

    /// Measures without a baseline.
    pub fn row(
        &mut self,
        operation: &Operation,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Row> {
        let outcome = self.load(operation, connections, seconds)?;
        Ok(Row::new(operation.title.clone(), connections, &[outcome]))
    }

    /// Loads the server, and counts acknowledged changes that are missing as errors.
    pub fn load(
        &mut self,
        operation: &Operation,
        connections: usize,
        seconds: u64,
    ) -> anyhow::Result<Outcome> {
        let is_of_users = operation.kind == Kind::Change && operation.arguments.is_empty();
        if is_of_users && self.users <= SMALL {
            directory::activate_all(&self.server)?;
            self.changed.remove(&operation.arguments);
        }
        let host = self.server.host.clone();
        let before = self.last_change()?;
        let mut outcome = self.send(&host, operation, connections, seconds)?;
        if operation.kind != Kind::Read {
            // Some requests in flight at the end are done too; a few met another one of the same
            // user.
            let changes = self.last_change()? - before;
            let under_way = self
                .arguments
                .connections
                .iter()
                .max()
                .copied()
                .unwrap_or(0);
            let spare = outcome.requests / 20 + u64::try_from(under_way)? + outcome.errors();
            outcome.undone = outcome.requests.saturating_sub(changes + spare);
        }
        if operation.kind == Kind::Change {
            *self.changed.entry(operation.arguments.clone()).or_default() += outcome.requests;
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
            (Bare::Postgres(bench), "create") => bench.run(
                &pgbench::create(create, Counters::Shared),
                connections,
                seconds,
            ),
            (Bare::Postgres(bench), _) => bench.run(
                &pgbench::patch(patch, Counters::Shared),
                connections,
                seconds,
            ),
        }
    }

    fn last_change(&self) -> anyhow::Result<u64> {
        directory::last_change(&self.server)
    }
}

fn file_of(database: &Database) -> PathBuf {
    Path::new(database.url.trim_start_matches("sqlite:")).to_owned()
}
