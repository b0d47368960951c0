//! Measures a walk over a large directory by cursor, while another client deletes and creates
//! users.
//!
//! Every user who is present from the start of the walk to its end must be seen exactly once, and
//! the last pages must cost as much as the first ones. The baseline, in the same run and on the
//! same server, is the page at the same depth by `startIndex` without a stored position. The exit
//! code is 1 if a user is missed or seen twice, or if the last pages by cursor cost more than twice
//! the first. docs/performance.md has the results.

#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/connection.rs"]
mod connection;
#[expect(dead_code, reason = "the load benchmark uses more of it")]
#[path = "../scaling/server.rs"]
mod server;

#[expect(
    clippy::expect_used,
    reason = "shared with the tests, which fail by panicking"
)]
#[path = "../../tests/it/harness/postgres.rs"]
mod postgres;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection, sql_query};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::server::{Database, Server};

/// Measures a walk by cursor.
#[derive(Debug, Parser)]
struct Arguments {
    /// Users of the directory.
    #[arg(long, default_value_t = 200_000)]
    users: usize,
    /// Users per page.
    #[arg(long, default_value_t = 200)]
    count: usize,
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

/// The number of pages at each end that form a median.
const EDGE: usize = 50;
/// One user out of this many is deleted during the walk.
const DELETED_ONE_IN: usize = 20;

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
        is_good &= measure(backend, &database, &arguments)?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(backend: Backend, database: &Database, arguments: &Arguments) -> anyhow::Result<bool> {
    let server = Server::start(database)?;
    plant(backend, &database.url, arguments.users)?;
    println!(
        "{backend:?}: {} users, pages of {}",
        arguments.users, arguments.count
    );
    let mut is_good = true;
    for order in ["", "&sortBy=userName"] {
        let (times, writes) = walk(&server, arguments, order)?;
        let edge = EDGE.min(times.len() / 2);
        let (first, last) = (
            median(times.iter().take(edge)),
            median(times.iter().rev().take(edge)),
        );
        let ratio = last.as_secs_f64() / first.as_secs_f64();
        is_good &= ratio <= 2.0;
        let name = if order.is_empty() {
            "cursor"
        } else {
            "cursor, sorted by userName"
        };
        println!(
            "  {name}: everyone once in {} pages beside {writes} writes; first {first:.1?}, last {last:.1?}, ratio {ratio:.2}",
            times.len()
        );
    }
    let by_index = |start: usize| -> anyhow::Result<Duration> {
        let mut connection = server.connect()?;
        let mut times = Vec::new();
        for number in 0..EDGE {
            // No earlier page was at these positions, so no position is stored.
            let path = format!(
                "/Users?startIndex={}&count={}",
                start + number,
                arguments.count
            );
            let request = connection.request("GET", &path, None);
            times.push(connection.send(&request)?);
        }
        Ok(median(times.iter()))
    };
    let (first, last) = (
        by_index(2)?,
        by_index(arguments.users.saturating_sub(2 * arguments.count))?,
    );
    println!(
        "  startIndex by position (baseline): first {first:.1?}, last {last:.1?}, ratio {:.2}",
        last.as_secs_f64() / first.as_secs_f64()
    );
    Ok(is_good)
}

/// Returns the durations of the pages, and the number of writes meanwhile.
fn walk(
    server: &Server,
    arguments: &Arguments,
    order: &str,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (done, writes) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let writer = {
        let (connection, done, writes) =
            (server.connect()?, Arc::clone(&done), Arc::clone(&writes));
        let (users, salt) = (arguments.users, order.len());
        std::thread::spawn(move || write(connection, users, salt, &done, &writes))
    };
    let mut connection = server.connect()?;
    let (mut times, mut seen, mut cursor) = (Vec::new(), HashSet::new(), String::new());
    loop {
        let path = format!("/Users?count={}{order}&cursor={cursor}", arguments.count);
        let request = connection.request("GET", &path, None);
        times.push(connection.send(&request)?);
        let body = connection.body()?;
        for user in body
            .get("Resources")
            .and_then(Value::as_array)
            .context("no page")?
        {
            let id = user["id"].as_str().context("no id")?;
            ensure!(seen.insert(id.to_owned()), "{id} was seen twice");
        }
        match body.get("nextCursor").and_then(Value::as_str) {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    done.store(true, Ordering::Relaxed);
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer failed"))??;
    let stays = |number: &usize| !number.is_multiple_of(DELETED_ONE_IN);
    for number in (0..arguments.users).filter(stays) {
        ensure!(
            seen.contains(&planted_id(number)),
            "user {number} was missed"
        );
    }
    Ok((times, writes.load(Ordering::Relaxed)))
}

/// Deletes some of the users, spread over the directory, and creates others between them.
fn write(
    mut connection: Connection,
    users: usize,
    salt: usize,
    done: &AtomicBool,
    writes: &AtomicUsize,
) -> anyhow::Result<()> {
    for number in (0..users).step_by(DELETED_ONE_IN) {
        if done.load(Ordering::Relaxed) {
            break;
        }
        // In a scattered order; the number of steps and the prime are coprime.
        let steps = users / DELETED_ONE_IN;
        let number = (number / DELETED_ONE_IN * 7_919 % steps.max(1)) * DELETED_ONE_IN;
        if salt == 0 {
            let path = format!("/Users/{}", planted_id(number));
            let request = connection.request("DELETE", &path, None);
            connection.send(&request)?;
        }
        let name = format!("planted{number:012}.{salt}");
        let body: Value = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
        });
        let request = connection.request("POST", "/Users", Some(&body));
        connection.send(&request)?;
        writes.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn median<'t>(times: impl Iterator<Item = &'t Duration>) -> Duration {
    let mut times: Vec<Duration> = times.copied().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn planted_id(number: usize) -> String {
    format!("01890000-0000-7000-8000-{number:012}")
}

/// Inserts users directly into the database, because it takes too long by HTTP.
fn plant(backend: Backend, url: &str, users: usize) -> anyhow::Result<()> {
    let numbers = match backend {
        Backend::Sqlite => format!(
            "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {users}) \
             SELECT n, printf('%012d', n) AS digits FROM numbers"
        ),
        Backend::Postgres => format!(
            "SELECT n, lpad(n::text, 12, '0') AS digits FROM generate_series(0, {users} - 1) AS n"
        ),
    };
    let insert = format!(
        "INSERT INTO resources (tenant_id, id, resource_type, version, created, modified, active, user_name, doc) \
         SELECT 1, '01890000-0000-7000-8000-' || digits, 'User', 1, 1, 1, TRUE, 'planted' || digits, \
         '{{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"id\":\"01890000-0000-7000-8000-' || digits \
         || '\",\"userName\":\"planted' || digits || '\",\"active\":true}}' FROM ({numbers}) AS planted"
    );
    let count = format!(
        "INSERT INTO counts (tenant_id, resource_type, live, deleted) VALUES (1, 'User', {users}, 0)"
    );
    for sql in [insert, count, "ANALYZE resources".to_owned()] {
        match backend {
            Backend::Sqlite => {
                let mut connection =
                    SqliteConnection::establish(url.trim_start_matches("sqlite:"))?;
                sql_query(&sql).execute(&mut connection)?;
            }
            Backend::Postgres => {
                let mut connection = PgConnection::establish(url)?;
                sql_query(&sql).execute(&mut connection)?;
            }
        }
    }
    Ok(())
}
