//! What happens at twice the rate that the service can keep up with, and what connections cost that do nothing?
//!
//! One server on a fresh database. First closed loops, each connection waiting for its answer, tell the best rate. Then
//! requests come in an open loop at twice that rate, whether earlier ones are answered or not, over many connections.
//! Half of them look a user up, a quarter reads one, a quarter creates one. The latency counts from the moment at which
//! the request was due. Both in turn for some rounds, since a machine is not as fast in one second as in the next: the
//! median of the rounds counts. At last, idle connections. docs/performance.md has the results.
//!
//! The client runs on the same cores, so what it takes is missing on the other side: more so at twice the rate.

mod client;
#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use tokio::task::JoinSet;

use crate::client::{Connection, Outcome};
use crate::server::{Database, Server};

/// Measures a service that gets more than it can do.
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests at twice the best rate.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Connections that they come over.
    #[arg(long, default_value_t = 1_500)]
    connections: usize,
    /// Requests of each closed loop.
    #[arg(long, default_value_t = 10_000)]
    closed: usize,
    /// Rounds, each with a best rate of its own.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How many times the best rate.
    #[arg(long, default_value_t = 2.0)]
    times: f64,
    /// Users that are there beforehand.
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 2_000)]
    idle: usize,
    /// Only this database.
    #[arg(long)]
    database: Option<Backend>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Less than this part of the best rate is a failure.
const AT_LEAST: f64 = 0.8;
/// How many connections the closed loops have; the best of them counts.
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
        let outcomes = open(&server, &directory, arguments, rate).await?;
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
    // It goes on as before.
    let (after, _) = closed(&server, &directory, 64, arguments.closed).await?;
    println!("  64 connections afterwards: {after:.0}/s");
    Ok(is_good && *median >= AT_LEAST)
}

/// Ids and user names.
struct Directory {
    people: Vec<(String, String)>,
    made: AtomicUsize,
}

async fn fill(server: &Server, users: usize) -> anyhow::Result<Directory> {
    let mut connection = server.connect().await?;
    let mut people = Vec::with_capacity(users);
    for number in 0..users {
        let name = format!("p{number}@example.com");
        let request = connection.create(&name);
        let outcome = connection.exchange(&request).await?;
        ensure!(outcome.status == 201, "{outcome:?}");
        let body: serde_json::Value = serde_json::from_slice(connection.body())?;
        let id = body.get("id").and_then(serde_json::Value::as_str);
        people.push((id.context("no id")?.to_owned(), name));
    }
    Ok(Directory {
        people,
        made: AtomicUsize::new(0),
    })
}

impl Directory {
    /// The request of this number.
    fn request(&self, connection: &Connection, number: usize) -> anyhow::Result<Vec<u8>> {
        let index = number.wrapping_mul(7919) % self.people.len();
        let (id, name) = self.people.get(index).context("nobody is there")?;
        Ok(match number % 4 {
            0 => {
                let made = self.made.fetch_add(1, Ordering::Relaxed);
                connection.create(&format!("n{made}@example.com"))
            }
            1 => connection.get(&format!("/Users/{id}")),
            _ => connection.get(&format!("/Users?filter=userName%20eq%20%22{name}%22")),
        })
    }
}

/// Requests a second where each connection waits for its answer, and what each takes of the server's processor time.
async fn closed(
    server: &Server,
    directory: &Arc<Directory>,
    connections: usize,
    requests: usize,
) -> anyhow::Result<(f64, Duration)> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let cpu = server.cpu()?;
    let started = Instant::now();
    for _ in 0..connections {
        let mut connection = server.connect().await?;
        let (directory, next) = (Arc::clone(directory), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return anyhow::Ok(());
                }
                let request = directory.request(&connection, number)?;
                let outcome = connection.exchange(&request).await?;
                ensure!(outcome.is_good(), "{outcome:?}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let rate = per_second(requests, started.elapsed());
    let spent = server.cpu()?.saturating_sub(cpu);
    Ok((rate, spent.div_f64(fraction(requests))))
}

/// What became of a request, and when.
struct Sent {
    outcome: Option<Outcome>,
    latency: Duration,
    done: Duration,
}

/// Requests that come at this rate, whatever becomes of the earlier ones.
async fn open(
    server: &Server,
    directory: &Arc<Directory>,
    arguments: &Arguments,
    rate: f64,
) -> anyhow::Result<Vec<Sent>> {
    let next = Arc::new(AtomicUsize::new(0));
    let requests = arguments.requests;
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(server.connect().await?);
    }
    let started = Instant::now() + Duration::from_millis(200);
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (directory, next) = (Arc::clone(directory), Arc::clone(&next));
        tasks.spawn(async move {
            let mut all = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return anyhow::Ok(all);
                }
                let request = directory.request(&connection, number)?;
                let due = started + Duration::from_secs_f64(fraction(number) / rate);
                tokio::time::sleep_until(due.into()).await;
                let outcome = connection.exchange(&request).await.ok();
                all.push(Sent {
                    outcome,
                    latency: due.elapsed(),
                    done: started.elapsed(),
                });
                if outcome.is_none_or(|outcome| outcome.closes) {
                    connection = connection.again().await?;
                }
            }
        });
    }
    let mut all = Vec::with_capacity(requests);
    while let Some(done) = tasks.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

/// What a round showed.
struct Seen {
    /// Requests served in a second.
    goodput: f64,
    /// Every request was served, or refused as it should be.
    all_answered: bool,
}

fn report(sent: &[Sent], best: f64, rate: f64) -> Seen {
    let count = |want: &dyn Fn(&Outcome) -> bool| {
        let outcomes = sent.iter().filter_map(|sent| sent.outcome.as_ref());
        outcomes.filter(|outcome| want(outcome)).count()
    };
    let served = count(&Outcome::is_good);
    let (many, busy) = (
        count(&|one| one.status == 429),
        count(&|one| one.status == 503),
    );
    let proper = count(&Outcome::is_refusal);
    let lost = sent.iter().filter(|sent| sent.outcome.is_none()).count();
    let other = sent.len() - served - many - busy - lost;
    let (mut latencies, mut refusals) = (Vec::new(), Vec::new());
    for one in sent {
        match one.outcome {
            Some(outcome) if outcome.is_good() => latencies.push(one.latency),
            _ => refusals.push(one.latency),
        }
    }
    let last = sent.iter().map(|sent| sent.done).max().unwrap_or_default();
    let goodput = per_second(served, last);
    println!(
        "  offered {rate:.0}/s: served {served} of {} at {goodput:.0}/s, {:.0} % of the best",
        sent.len(),
        100.0 * goodput / best
    );
    println!(
        "  refused {} (429: {many}, 503: {busy}), of these with Retry-After and a SCIM error {proper}; no answer {lost}, other {other}",
        many + busy
    );
    let [p50, p99] = [0.5, 0.99].map(|part| percentile(&mut latencies, part));
    println!(
        "  served within {p50:.0?} (median), {p99:.0?} (99 %); refused within {:.0?} (99 %)",
        percentile(&mut refusals, 0.99)
    );
    Seen {
        goodput,
        all_answered: proper == many + busy && lost + other == 0,
    }
}

/// Connections that did one request each and then nothing.
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

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let skipped = Duration::from_secs_f64(fraction(times.len()) * part).as_secs();
    let index = usize::try_from(skipped).unwrap_or(0);
    times
        .get(index.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn per_second(count: usize, time: Duration) -> f64 {
    fraction(count) / time.as_secs_f64()
}

/// A number as a fraction can be reckoned with.
fn fraction(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
