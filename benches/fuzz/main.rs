//! Sends a million random requests and checks that the service survives them.
//!
//! One server of the release binary on a fresh database. The requests are made from the server's
//! own OpenAPI document: every operation, with parameters, ids, tokens and bodies that are valid,
//! nearly valid or wrong. The exit code is 1 if a response is a 5xx, if one does not arrive within
//! 30 seconds, if the server stops, or if its memory does not return to within 50 MB of what it was
//! after the first requests. The same seed sends the same requests.

#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/connection.rs"]
mod connection;
mod document;
mod mutate;
#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;
#[path = "../scaling/random.rs"]
mod random;
mod send;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/server.rs"]
mod server;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::document::Document;
use crate::send::{Faults, Fuzzer};
use crate::server::{Database, Server};

/// Sends random requests.
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests in all, half of them on each database.
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// Connections at once.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Chooses the requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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

/// The most memory that may be left in use.
const LEFT_KIB: u64 = 50 * 1024;
/// The time for the server to return memory that it no longer uses.
const SETTLE: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let backends: Vec<Backend> = [Backend::Sqlite, Backend::Postgres]
        .into_iter()
        .filter(|backend| arguments.database.is_none_or(|only| only == *backend))
        .collect();
    let requests = arguments.requests / backends.len().max(1);
    let mut is_good = true;
    for backend in backends {
        let Some(database) = Database::fresh(backend)? else {
            println!("{backend:?}: not on this machine");
            continue;
        };
        is_good &= fuzz(backend, &database, requests, &arguments)?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn fuzz(
    backend: Backend,
    database: &Database,
    requests: usize,
    arguments: &Arguments,
) -> anyhow::Result<bool> {
    let server = Server::start(database)?;
    let tokens = tokens(&mut server.connect()?)?;
    let document = Document::read(&mut server.connect()?)?;
    let started = Instant::now();
    let run = |count: usize, seed: u64| -> anyhow::Result<Faults> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..arguments.connections)
                .map(|number| {
                    let seed = seed + u64::try_from(number).unwrap_or_default();
                    let mut fuzzer = Fuzzer::new(&server.host, &document, &tokens, seed);
                    scope.spawn(move || fuzzer.run(count / arguments.connections))
                })
                .collect();
            let mut faults = Faults::default();
            for thread in threads {
                faults.add(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(faults)
        })
    };
    // Caches and buffers reach their size.
    let mut faults = run(requests / 10, arguments.seed)?;
    let before = settled_kib(&server, u64::MAX)?;
    faults.add(run(requests - requests / 10, arguments.seed + 1_000)?);
    let after = settled_kib(&server, before + LEFT_KIB)?;
    println!(
        "{backend:?}: {} requests in {:.0} s, {} of them accepted; memory {} MB before, {} MB after",
        faults.sent,
        started.elapsed().as_secs_f64(),
        faults.accepted,
        before / 1024,
        after / 1024
    );
    for fault in &faults.found {
        println!("  {fault}");
    }
    let is_alive = server.connect()?.send(&health(&server)?).is_ok();
    Ok(faults.found.is_empty() && is_alive && after <= before + LEFT_KIB)
}

fn health(server: &Server) -> anyhow::Result<connection::Request> {
    Ok(server.connect()?.request_at("GET", "/healthz", None))
}

/// Waits until the server takes at most this much memory, or for a minute; returns what it takes.
fn settled_kib(server: &Server, most: u64) -> anyhow::Result<u64> {
    let started = Instant::now();
    loop {
        std::thread::sleep(Duration::from_secs(2));
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        let taken: u64 = number.context("the server stopped")?.parse()?;
        if taken <= most || started.elapsed() > SETTLE {
            return Ok(taken);
        }
    }
}

/// Creates a token for each set of rights.
fn tokens(admin: &mut Connection) -> anyhow::Result<Vec<String>> {
    let mut tokens = vec![
        server::TOKEN.to_owned(),
        String::new(),
        "unknown".to_owned(),
    ];
    for (name, scope, fields) in [
        ("scim", "scim", Value::Null),
        ("read", "read", Value::Null),
        ("limited", "read", json!(["userName", "emails.value"])),
    ] {
        let new = json!({ "name": name, "scopes": [scope], "fields": fields });
        let request = admin.request_at("POST", "/admin/v1/tokens", Some(&new));
        admin.send(&request)?;
        let created = admin.body()?;
        let token = created.get("token").and_then(Value::as_str);
        tokens.push(token.context("no token")?.to_owned());
    }
    Ok(tokens)
}
