//! The requests of the victim, and how they fare.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::json;

use crate::connection::{Connection, Request};
use crate::tenants::{Tenants, user_name};

/// The pause between two requests of one kind: some fifty per second, as during an import.
const PAUSE: Duration = Duration::from_millis(20);
/// Names of created users, different in each measurement.
static CREATED: AtomicUsize = AtomicUsize::new(0);

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lookup,
    Read,
    Create,
    List,
    Feed,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Lookup,
        Self::Read,
        Self::Create,
        Self::List,
        Self::Feed,
    ];

    fn request(self, connection: &Connection, tenants: &Tenants, number: usize) -> Request {
        let index = number.wrapping_mul(7919) % tenants.victim.ids.len().max(1);
        let get = |path: &str| connection.request_at("GET", path, None);
        match self {
            Self::Lookup => {
                let name = user_name(index);
                get(&format!(
                    "/scim/v2/Users?filter=userName%20eq%20%22{name}%22"
                ))
            }
            Self::Read => {
                let id = tenants.victim.ids.get(index);
                get(&format!("/scim/v2/Users/{}", id.map_or("", String::as_str)))
            }
            Self::Create => {
                let created = CREATED.fetch_add(1, Ordering::Relaxed);
                let name = format!("created{created}@example.com");
                let user = json!({ "userName": name, "name": { "familyName": "King" } });
                connection.request("POST", "/Users", Some(&user))
            }
            Self::List => get("/scim/v2/Users?startIndex=101&count=100"),
            Self::Feed => get("/directory/v1/changes?after=100&limit=100"),
        }
    }
}

/// The responses to one kind of request.
#[derive(Debug, Clone)]
pub struct Responses {
    pub kind: Kind,
    /// Of the requests that were served.
    pub latencies: Vec<Duration>,
    /// Answered 429.
    pub refused: usize,
    /// Answered with a 5xx, or not answered.
    pub failed: usize,
}

/// Sends the requests of each kind for this time.
pub fn measure(tenants: &Tenants, time: Duration) -> anyhow::Result<Vec<Responses>> {
    std::thread::scope(|scope| {
        let kinds: Vec<_> = Kind::ALL
            .into_iter()
            .map(|kind| scope.spawn(move || send(kind, tenants, time)))
            .collect();
        kinds
            .into_iter()
            .map(|kind| kind.join().map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    })
}

fn send(kind: Kind, tenants: &Tenants, time: Duration) -> anyhow::Result<Responses> {
    let mut connection = Connection::open(&tenants.host, &tenants.victim.token)?;
    let mut responses = Responses {
        kind,
        latencies: Vec::new(),
        refused: 0,
        failed: 0,
    };
    let started = Instant::now();
    for number in 0.. {
        if started.elapsed() > time {
            break;
        }
        let request = kind.request(&connection, tenants, number);
        match connection.exchange(&request) {
            Ok((200..300, latency)) => responses.latencies.push(latency),
            Ok((429, _)) => responses.refused += 1,
            Ok(_) => responses.failed += 1,
            Err(_) => {
                responses.failed += 1;
                connection = Connection::open(&tenants.host, &tenants.victim.token)?;
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(responses)
}
