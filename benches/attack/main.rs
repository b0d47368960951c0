//! Attacks the service from one tenant, and measures what another tenant notices.
//!
//! One server of the release binary on a fresh database, with a tenant of each side. The victim
//! looks users up, reads them, creates them, lists them and follows the feed, each at a fixed rate
//! on a connection of its own. First alone, then beside each attack of attacks.rs in turn. The exit
//! code is 1 if a request of the victim is answered with a 5xx or not at all, if its 99th
//! percentile is over five times that of the quiet time before, or if the server takes more than 512 MB.
//! docs/limits.md has the limits that are attacked.
//!
//! The attackers run on the same cores, at the lowest priority, and still take CPU time from the
//! server.

mod attacks;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/connection.rs"]
mod connection;
#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
mod report;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/server.rs"]
mod server;
mod tenants;
mod victim;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::attacks::{ATTACKS, Attack};
use crate::report::Verdict;
use crate::server::{Database, Server};
use crate::tenants::Tenants;

/// Measures what attacks on the service do to another tenant.
#[derive(Debug, Parser)]
struct Arguments {
    /// Users of the attacking tenant.
    #[arg(long, default_value_t = 100_000)]
    users: usize,
    /// Seconds per attack, and of the quiet time before each.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Run only these attacks.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
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

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut is_good = true;
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if arguments.database.is_some_and(|only| only != backend) {
            continue;
        }
        let Some(database) = Database::fresh(backend)? else {
            println!("{backend:?}: not on this machine");
            continue;
        };
        println!("{backend:?}, {} users", arguments.users);
        is_good &= attack_all(&database, &arguments)?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn attack_all(database: &Database, arguments: &Arguments) -> anyhow::Result<bool> {
    let server = Server::start(database)?;
    let tenants = Tenants::create(&server, arguments.users)?;
    let time = Duration::from_secs(arguments.seconds);
    let mut is_good = true;
    report::head();
    for attack in ATTACKS {
        let is_wanted =
            arguments.only.is_empty() || arguments.only.iter().any(|n| n == attack.name);
        if is_wanted {
            is_good &= run(&server, &tenants, attack, time)?.print(attack.name);
        }
    }
    Ok(is_good)
}

/// Measures the victim alone, and then beside an attack.
fn run(
    server: &Server,
    tenants: &Tenants,
    attack: &Attack,
    time: Duration,
) -> anyhow::Result<Verdict> {
    let quiet = victim::measure(tenants, time)?;
    let is_over = AtomicBool::new(false);
    let (attacked, sent) = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..attack.connections)
            .map(|number| {
                let is_over = &is_over;
                scope.spawn(move || attacks::repeat(attack, tenants, number, is_over))
            })
            .collect();
        let attacked = victim::measure(tenants, time);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        let sent = attackers
            .into_iter()
            .filter_map(|one| one.join().ok())
            .sum();
        (attacked, sent)
    });
    Ok(Verdict {
        quiet,
        attacked: attacked?,
        sent,
        peak_kib: report::peak_kib(server.id())?,
    })
}
