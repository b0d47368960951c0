//! Measures the throughput of the release binary, and of the same machine without it, in the same
//! run.
//!
//! The baselines are a constant response of the same framework in its own process, the raw database
//! with the same durable writes and lookups, and a directory of another size. Results are ratios to
//! them; the exit code is 1 if a target is missed or a response was an error. docs/performance.md
//! has the results.

#[path = "../scaling/connection.rs"]
mod connection;
mod constant;
mod directory;
mod fill;
mod groups;
mod keeper;
mod measure;
mod numbers;
mod operations;
mod pairs;
mod pgbench;
mod postgres;
mod process;
mod profile;
#[path = "../scaling/random.rs"]
mod random;
mod raw;
mod report;
#[expect(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/it/harness/sample.rs"]
mod sample;
#[path = "../scaling/server.rs"]
mod server;
mod streams;
mod target;
mod template;
mod walks;
mod wrk;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::constant::Constant;
use crate::groups::Groups;
use crate::keeper::Keeper;
use crate::measure::Bench;
use crate::report::Report;
use crate::template::Template;

/// The same allocator as the server's, for the baselines.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the server under load, and its baselines.
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers of users.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000])]
    users: Vec<usize>,
    /// Seconds per operation.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The first number applies to all operations, the others to those with a baseline.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 16, 1])]
    connections: Vec<usize>,
    /// Run only this database.
    #[arg(long)]
    database: Option<Backend>,
    /// Run only these operations (of requests.lua) and parts: sizes, groups, listeners, walks.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only profile the server during this operation.
    #[arg(long)]
    profile: Option<String>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// Run as the constant handler.
    #[arg(long, hide = true)]
    constant: bool,
}

impl Arguments {
    /// Whether an operation or a part is selected.
    fn is_selected(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.constant {
        constant::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.bench {
        println!("This takes minutes: run it by `just bench`.");
        return Ok(ExitCode::SUCCESS);
    }
    let template = Template::learn()?;
    let constant = Constant::start(&template)?;
    let keeper = Keeper::start()?;
    keeper.process(constant.id())?;
    let mut report = Report {
        machine: process::machine(),
        ..Report::default()
    };
    println!("{}", report.machine);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if arguments.database.is_some_and(|only| only != backend) {
            continue;
        }
        if let Some(operation) = &arguments.profile {
            let users = arguments.users.last().copied().unwrap_or(1_000);
            let bench = Bench::prepare(&arguments, backend, users, &template, &constant, &keeper)?;
            let file = profile::record(&mut bench.context("no such database")?, operation)?;
            println!("recorded {}", file.display());
            continue;
        }
        run(
            (&arguments, &keeper),
            backend,
            &template,
            &constant,
            &mut report,
        )?;
    }
    if arguments.profile.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nWritten to {}", report.write()?.display());
    for missed in &report.missed {
        println!("MISSED {missed}");
    }
    Ok(if report.missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs everything on one database, the smallest directory first. The servers keep running, so that
/// two can be compared.
fn run(
    (arguments, keeper): (&Arguments, &Keeper),
    backend: Backend,
    template: &Template,
    constant: &Constant,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut benches = Vec::new();
    for users in arguments.users.iter().copied() {
        let Some(mut bench) =
            Bench::prepare(arguments, backend, users, template, constant, keeper)?
        else {
            println!("\nSKIPPED: {}: this machine has none", backend.name());
            return Ok(());
        };
        report.add(bench.users()?);
        benches.push(bench);
    }
    let Some(mut large) = benches.pop() else {
        return Ok(());
    };
    if let Some(small) = benches
        .first_mut()
        .filter(|_| arguments.is_selected("sizes"))
    {
        report.add(pairs::sizes(small, &mut large)?);
    }
    drop(benches);
    let mut section = large.section(": groups and all users");
    if arguments.is_selected("walks") {
        walks::walk(&large.server, large.users, &mut section)?;
    }
    if arguments.is_selected("listeners") {
        pairs::listeners(&mut large, &mut section)?;
    }
    if arguments.is_selected("groups") {
        let groups = Groups::make(&mut large, &mut section)?;
        pairs::groups(&mut large, &groups, &mut section)?;
    }
    report.add(section);
    Ok(())
}
