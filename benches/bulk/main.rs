//! Measures whether a bulk of 1,000 creates is faster than 1,000 consecutive POSTs, and how long it
//! delays others.
//!
//! One server of the release binary on a fresh database, one connection. Each round creates the
//! same number of users by POSTs and by one bulk request, in alternating order. Then one more bulk
//! runs while a second client creates users on its own connection. The exit code is 1 if bulk is
//! less than five times as fast on `SQLite`. docs/performance.md has the results.

#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/connection.rs"]
mod connection;
#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/it/harness/sample.rs"]
mod sample;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/server.rs"]
mod server;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::connection::{Connection, Request};
use crate::server::{Database, Server};

/// Measures a bulk request against the same requests one by one.
#[derive(Debug, Parser)]
struct Arguments {
    /// Users per round.
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
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

/// The required speedup of a bulk on `SQLite`.
const AT_LEAST: f64 = 5.0;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("This takes a minute: run it by `cargo bench --bench bulk`.");
        return Ok(ExitCode::SUCCESS);
    }
    let mut good = true;
    for (backend, name) in [
        (Backend::Sqlite, "SQLite"),
        (Backend::Postgres, "PostgreSQL"),
    ] {
        if arguments.database.is_some_and(|only| only != backend) {
            continue;
        }
        let Some(database) = Database::fresh(backend)? else {
            println!("{name}: not on this machine");
            continue;
        };
        let ratio = measure(&arguments, name, &database)?;
        good &= backend != Backend::Sqlite || ratio >= AT_LEAST;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        println!("a bulk must be at least {AT_LEAST} times as fast");
        ExitCode::FAILURE
    })
}

/// Prints the rounds; returns the ratio of the medians.
fn measure(arguments: &Arguments, name: &str, database: &Database) -> anyhow::Result<f64> {
    let server = Server::start(database)?;
    let mut connection = server.connect()?;
    let users = arguments.users;
    println!("\n{name}: {users} users a round");
    let (mut singles, mut bulks) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                let names = names(&format!("single{round}"), users);
                singles.push(one_by_one(&mut connection, &names)?);
            } else {
                let names = names(&format!("bulk{round}"), users);
                bulks.push(in_one_bulk(&mut connection, &names)?);
            }
        }
        println!(
            "  round {}: POSTs {:>8.1} ms, bulk {:>7.1} ms",
            round + 1,
            last_ms(&singles),
            last_ms(&bulks)
        );
    }
    let (single, bulk) = (median(&mut singles), median(&mut bulks));
    let ratio = single.as_secs_f64() / bulk.as_secs_f64();
    println!(
        "  median:  POSTs {:>8.1} ms, bulk {:>7.1} ms: {ratio:.1} times as fast",
        ms(single),
        ms(bulk)
    );
    let (alone, crowded) = (
        longest_concurrent_post(&server, &names("alone", 0))?,
        longest_concurrent_post(&server, &names("crowd", users))?,
    );
    println!(
        "  a POST of another client: at most {:.1} ms alone, {:.1} ms during a bulk",
        ms(alone),
        ms(crowded)
    );
    Ok(ratio)
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{prefix}-{n}@example.com"))
        .collect()
}

fn one_by_one(connection: &mut Connection, names: &[String]) -> anyhow::Result<Duration> {
    let requests: Vec<Request> = names
        .iter()
        .map(|name| connection.request("POST", "/Users", Some(&sample::user(name))))
        .collect();
    let mut total = Duration::ZERO;
    for request in &requests {
        total += connection.send(request)?;
    }
    Ok(total)
}

fn in_one_bulk(connection: &mut Connection, names: &[String]) -> anyhow::Result<Duration> {
    let operation = |name: &String| json!({ "method": "POST", "path": "/Users", "bulkId": name, "data": sample::user(name) });
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": names.iter().map(operation).collect::<Value>(),
    });
    let request = connection.request("POST", "/Bulk", Some(&body));
    let took = connection.send(&request)?;
    let answer = connection.body()?;
    let results = answer.get("Operations").and_then(Value::as_array);
    let results = results.context("no results")?;
    let created = results
        .iter()
        .filter(|result| result.get("status") == Some(&json!("201")))
        .count();
    ensure!(
        created == names.len(),
        "only {created} were created: {answer}"
    );
    Ok(took)
}

/// Returns the longest POST of a second client: during a bulk of these names, or, without names,
/// over 200 POSTs alone.
fn longest_concurrent_post(server: &Server, names: &[String]) -> anyhow::Result<Duration> {
    static ROUND: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let done = AtomicBool::new(names.is_empty());
    let mut other = server.connect()?;
    std::thread::scope(|scope| {
        let posts = scope.spawn(|| -> anyhow::Result<Duration> {
            let mut longest = Duration::ZERO;
            let mut count = 0;
            while !done.load(Ordering::Relaxed) || count < 200 {
                let number = ROUND.fetch_add(1, Ordering::Relaxed);
                let user = sample::user(&format!("other-{number}@example.com"));
                let request = other.request("POST", "/Users", Some(&user));
                longest = longest.max(other.send(&request)?);
                count += 1;
            }
            Ok(longest)
        });
        let bulk = if names.is_empty() {
            Ok(Duration::ZERO)
        } else {
            server
                .connect()
                .and_then(|mut connection| in_one_bulk(&mut connection, names))
        };
        done.store(true, Ordering::Relaxed);
        let longest = posts
            .join()
            .map_err(|_| anyhow::anyhow!("the second client failed"))?;
        bulk.and(longest)
    })
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}

fn last_ms(durations: &[Duration]) -> f64 {
    ms(durations.last().copied().unwrap_or_default())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
