//! More than the server can do: requests that come when they come (an open loop), twice as many as it can answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::measure::{self, count, mega};
use crate::process;
use crate::report::{Fact, Section, Target};
use crate::sample;
use crate::server::{Server, TOKEN};

/// How many are offered at twice the rate.
const OFFERED: usize = 20_000;
/// Those that find the rate: each waits for its answer.
const CLOSED: usize = 64;
/// As many may wait for an answer at once; who comes later waits for one of them.
const OPEN: usize = 4_000;

#[derive(Default)]
struct Tally {
    done: AtomicU64,
    /// 429 or 503 with `Retry-After`.
    refused: AtomicU64,
    /// Anything else, also no answer.
    wrong: AtomicU64,
}

/// Finds the rate that it can sustain, then offers twice as much.
pub fn run(server: &Server, section: &mut Section) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (best, _) = runtime.block_on(offer(server, "calm", OFFERED, CLOSED, None))?;
    let before = process::forget_peak(server.id())?.resident;
    let rate = 2.0 * best;
    let (goodput, tally) = runtime.block_on(offer(server, "storm", OFFERED, OPEN, Some(rate)))?;
    let peak = process::memory(server.id())?.peak;
    let value = |counter: &AtomicU64| count(counter.load(Ordering::Relaxed));
    section
        .facts
        .push(Fact::new("creates that it can sustain", best, "a second"));
    section
        .facts
        .push(Fact::new("creates offered", rate, "a second"));
    section
        .facts
        .push(Fact::new("creates done meanwhile", goodput, "a second"));
    let share = Fact::new("share of the best under overload", goodput / best, "");
    section.facts.push(share.within(Target::AtLeast(0.8)));
    section.facts.push(Fact::new(
        "refused with Retry-After",
        value(&tally.refused),
        "",
    ));
    let wrong = Fact::new("refused otherwise or not answered", value(&tally.wrong), "");
    section.facts.push(wrong.within(Target::AtMost(0.0)));
    let more = mega(peak.saturating_sub(before));
    let memory = Fact::new("memory that overload takes", more, "MB");
    section.facts.push(memory.within(Target::AtMost(150.0)));
    Ok(())
}

/// Sends creates over so many connections, each at its time where there is a rate; how many were done a second.
async fn offer(
    server: &Server,
    prefix: &str,
    requests: usize,
    connections: usize,
    rate: Option<f64>,
) -> anyhow::Result<(f64, Arc<Tally>)> {
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(
        (0..requests)
            .map(|number| create(&server.host, &format!("{prefix}{number}@example.com")))
            .collect(),
    );
    let (next, tally) = (Arc::new(AtomicUsize::new(0)), Arc::new(Tally::default()));
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(TcpStream::connect(&server.host).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        let (requests, next, tally, host) = (
            Arc::clone(&requests),
            Arc::clone(&next),
            Arc::clone(&tally),
            server.host.clone(),
        );
        tasks.spawn(async move {
            while let Some((number, request)) = Some(next.fetch_add(1, Ordering::Relaxed))
                .and_then(|at| Some((at, requests.get(at)?)))
            {
                if let Some(rate) = rate {
                    let due = started + Duration::from_secs_f64(measure::number(number) / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                let answer =
                    tokio::time::timeout(Duration::from_secs(30), exchange(&mut stream, request))
                        .await;
                let counter = match answer {
                    Ok(Ok((201, _))) => &tally.done,
                    Ok(Ok((429 | 503, true))) => &tally.refused,
                    _ => {
                        if let Ok(fresh) = TcpStream::connect(&host).await {
                            stream = fresh;
                        }
                        &tally.wrong
                    }
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let done = count(tally.done.load(Ordering::Relaxed));
    Ok((done / started.elapsed().as_secs_f64(), tally))
}

fn create(host: &str, user_name: &str) -> Vec<u8> {
    let body: Value = sample::user(user_name);
    let body = body.to_string();
    format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The status, and whether it says when to come again.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<(u16, bool)> {
    let mut rest = request;
    while !rest.is_empty() {
        stream.ready(Interest::WRITABLE).await?;
        match stream.try_write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        stream.ready(Interest::READABLE).await?;
        match stream.try_read(&mut piece) {
            Ok(0) => anyhow::bail!("the server closed the connection"),
            Ok(read) => answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(found) = whole(&answer)? {
            return Ok(found);
        }
    }
}

/// `None` where there is more to come.
fn whole(answer: &[u8]) -> anyhow::Result<Option<(u16, bool)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(answer.get(..end).unwrap_or_default())?.to_ascii_lowercase();
    let header = |name: &str| {
        let found = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| *found == name);
        found.map(|(_, value)| value)
    };
    let length: usize = header("content-length")
        .context("no length")?
        .trim()
        .parse()?;
    if answer.len() < end + 4 + length {
        return Ok(None);
    }
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Some((status, header("retry-after").is_some())))
}
