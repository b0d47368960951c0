//! Measures the service at twice its maximum rate, and the cost of idle connections.
//!
//! One server on a fresh database. First, closed loops, in which each connection waits for its
//! response, find the best rate. Then an open loop sends requests at twice that rate, whether
//! earlier ones are answered or not, over many connections. Half of them look a user up, a quarter
//! reads one, a quarter creates one. The latency counts from the time at which the request was due.
//! Both alternate for some rounds, since the speed of a machine varies: the median of the rounds
//! counts. Finally, idle connections. docs/performance.md has the results.
//!
//! The client runs on the same cores and takes CPU time from the server: more so at twice the rate.

mod client;
mod loops;
mod numbers;
#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
mod report;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use crate::client::Connection;
use crate::loops::{closed, fill, open};
use crate::numbers::fraction;
use crate::report::report;
use crate::server::{Database, Server};

/// Measures the service at more than its maximum rate.
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests at twice the best rate.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Connections for these requests.
    #[arg(long, default_value_t = 1_500)]
    connections: usize,
    /// Requests of each closed loop.
    #[arg(long, default_value_t = 10_000)]
    closed: usize,
    /// Rounds, each with its own best rate.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// The rate of the open loop, as a multiple of the best rate.
    #[arg(long, default_value_t = 2.0)]
    times: f64,
    /// Users created beforehand.
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 2_000)]
    idle: usize,
    /// Run only this database.
    #[arg(long)]
    database: Option<Backend>,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// The minimum share of the best rate.
const AT_LEAST: f64 = 0.8;
/// The numbers of connections of the closed loops; the best one counts.
const CLOSED: [usize; 3] = [32, 64, 128];

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut is_good = true;
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if arguments.database.is_some_and(|only| only != backend) {
            continue;
        }
        let Some(database) = Database::fresh(backend)? else {
            println!("{backend:?}: not on this machine");
            continue;
        };
        is_good &= runtime.block_on(overload(backend, &database, &arguments))?;
        runtime.block_on(idle(&database, arguments.idle))?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn overload(
    backend: Backend,
    database: &Database,
    arguments: &Arguments,
) -> anyhow::Result<bool> {
    let server = Server::start(database)?;
    let directory = Arc::new(fill(&server, arguments.users).await?);
    let mut is_good = true;
    let mut parts = Vec::new();
    for round in 1..=arguments.rounds {
        let mut best: f64 = 0.0;
        for connections in CLOSED {
            let (rate, cost) = closed(&server, &directory, connections, arguments.closed).await?;
            println!(
                "{backend:?} {round}: {connections} connections, one request at a time each: {rate:.0}/s, {cost:.0?} of processor time a request"
            );
            best = best.max(rate);
        }
        let before = server.memory_kib("VmRSS")?;
        let rate = best * arguments.times;
        let cpu = server.cpu()?;
        let Arguments {
            connections,
            requests,
            ..
        } = *arguments;
        let outcomes = open(&server, &directory, connections, requests, rate).await?;
        let spent = server.cpu()?.saturating_sub(cpu);
        let peak = server.memory_kib("VmHWM")?;
        let seen = report(&outcomes, best, rate);
        println!(
            "  processor time of the server {spent:.1?}; memory {} MiB before, at most {} MiB",
            before / 1024,
            peak / 1024
        );
        is_good &= seen.all_answered;
        parts.push(seen.goodput / best);
    }
    parts.sort_unstable_by(f64::total_cmp);
    let (least, greatest) = (parts.first(), parts.last());
    let median = parts.get(parts.len() / 2).context("no round")?;
    println!(
        "{backend:?}: served in the median of the rounds {:.0} % of the best ({:.0} to {:.0} %)",
        100.0 * median,
        100.0 * least.unwrap_or(median),
        100.0 * greatest.unwrap_or(median)
    );
    // Afterwards the service works as before.
    let (after, _) = closed(&server, &directory, 64, arguments.closed).await?;
    println!("  64 connections afterwards: {after:.0}/s");
    Ok(is_good && *median >= AT_LEAST)
}

/// Measures connections that send one request each and then stay idle.
async fn idle(database: &Database, count: usize) -> anyhow::Result<()> {
    let server = Server::start(database)?;
    let visit = async || -> anyhow::Result<Connection> {
        let mut connection = server.connect().await?;
        let request = connection.get("/Users?count=1");
        ensure!(
            connection.exchange(&request).await?.is_good(),
            "no good answer"
        );
        Ok(connection)
    };
    let first = visit().await?;
    let before = server.memory_kib("VmRSS")?;
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(visit().await?);
    }
    let after = server.memory_kib("VmRSS")?;
    let cpu = server.cpu()?;
    let watched = Duration::from_secs(10);
    tokio::time::sleep(watched).await;
    let spent = server.cpu()?.saturating_sub(cpu);
    println!(
        "  {count} idle connections: {:.1} KiB each, {:.2} % of a core",
        fraction(after.saturating_sub(before)) / fraction(count.max(1)),
        100.0 * spent.as_secs_f64() / watched.as_secs_f64()
    );
    drop((first, open));
    Ok(())
}
