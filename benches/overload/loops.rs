//! Requests in closed and in open loops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use crate::client::{Connection, Outcome};
use crate::numbers::{fraction, per_second};
use crate::server::Server;

/// Ids and user names.
pub struct Directory {
    people: Vec<(String, String)>,
    made: AtomicUsize,
}

pub async fn fill(server: &Server, users: usize) -> anyhow::Result<Directory> {
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
    /// Returns the request with this number.
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

/// Measures requests per second if each connection waits for its response, and the server's CPU
/// time for each.
pub async fn closed(
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

/// The result of a request, and its time.
pub struct Sent {
    pub outcome: Option<Outcome>,
    pub latency: Duration,
    pub done: Duration,
}

/// Sends requests at this rate, whether earlier ones are answered or not.
pub async fn open(
    server: &Server,
    directory: &Arc<Directory>,
    connections: usize,
    requests: usize,
    rate: f64,
) -> anyhow::Result<Vec<Sent>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(server.connect().await?);
    }
    let started = Instant::now() + Duration::from_millis(200);
    let mut tasks = JoinSet::new();
    for mut connection in opened {
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
                    connection = connection.reconnect().await?;
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
