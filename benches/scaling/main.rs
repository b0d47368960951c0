//! Measures whether a request costs the same in a large directory as in a small one.
//!
//! Two servers of the release binary run at the same time, one with 1,000 users and one with
//! 100,000, and one client alternates between them, so that other load on the machine affects both.
//! The small one is the baseline. Then, on the large one, edits of a group of 50,000 alternate with
//! edits of a group of 10. The exit code is 1 if a median is more than twice its baseline.
//! docs/performance.md has the results.

#[expect(dead_code, reason = "the load benchmark uses more of it")]
mod connection;
mod directory;
mod measure;
mod numbers;
mod random;
mod report;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
mod server;

#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/it/harness/sample.rs"]
mod sample;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::directory::Directory;
use crate::numbers::counted;
use crate::report::{Report, Section};
use crate::server::{Database, Server};

/// Measures how the cost of a request grows with the directory and with the group.
#[derive(Debug, Parser)]
struct Arguments {
    /// Users of the baseline.
    #[arg(long, default_value_t = 1_000)]
    small: usize,
    /// Users of the large directory.
    #[arg(long, default_value_t = 100_000)]
    large: usize,
    /// Members of the small group.
    #[arg(long, default_value_t = 10)]
    small_group: usize,
    /// Members of the large group.
    #[arg(long, default_value_t = 50_000)]
    large_group: usize,
    /// Maximum rounds of a table; each sends every request once to both sides.
    #[arg(long, default_value_t = 2_000)]
    rounds: usize,
    /// Maximum seconds of a table.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Run only this database.
    #[arg(long)]
    database: Option<Backend>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
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
    if !arguments.bench {
        println!("This takes minutes: run it by `cargo bench --bench scaling`.");
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::ensure!(
        arguments.small_group + arguments.large_group < arguments.large,
        "the large directory needs more users than the groups have members"
    );
    let mut report = Report::default();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if arguments.database.is_none_or(|only| only == backend) {
            match run(&arguments, backend)? {
                Some(sections) => report.add(sections),
                None => report.skip(backend.name()),
            }
        }
    }
    let file = report.write()?;
    println!("\nWritten to {}", file.display());
    Ok(if report.is_within_limit() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures both tables of one database, or returns `None` if this machine does not have it.
fn run(arguments: &Arguments, backend: Backend) -> anyhow::Result<Option<Vec<Section>>> {
    let (Some(small), Some(large)) = (Database::fresh(backend)?, Database::fresh(backend)?) else {
        return Ok(None);
    };
    let limits = measure::Limits {
        rounds: arguments.rounds,
        time: Duration::from_secs(arguments.seconds),
    };
    println!("\n{}", backend.name());
    let (small, large) = (Server::start(&small)?, Server::start(&large)?);
    // The large one first: otherwise the other's connection would be closed as idle.
    let mut directory = Directory::fill(&large, arguments.large)?;
    let mut baseline = Directory::fill(&small, arguments.small)?;
    let users = measure::users(&mut baseline, &mut directory, &limits)?;
    let users = Section::new(
        backend.name(),
        [arguments.small, arguments.large].map(|count| counted(count, "users")),
        users,
    );
    users.print();
    let few = directory.group("few", arguments.small_group)?;
    let many = directory.group("many", arguments.large_group)?;
    let groups = measure::groups(&mut directory, &few, &many, &limits)?;
    let groups = Section::new(
        backend.name(),
        [arguments.small_group, arguments.large_group].map(|count| counted(count, "members")),
        groups,
    );
    groups.print();
    Ok(Some(vec![users, groups]))
}
