//! The attacks: what one connection of each sends again and again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::{Connection, Request};
use crate::tenants::{Tenants, user_name};

/// An attack over a number of connections.
pub struct Attack {
    pub name: &'static str,
    pub connections: usize,
    send: Send,
}

enum Send {
    /// A request of the tenant's read token.
    Read(fn(&Connection, &Tenants, usize) -> Request),
    /// A request of the token that may write.
    Write(fn(&Connection, &Tenants, usize) -> Request),
    /// A request with a new invalid token each time.
    Forge,
    /// A request for a public page, whose response is read a byte at a time.
    ReadSlowly,
}

/// The attacks, in the order in which they run.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "filters",
        connections: 12,
        send: Send::Read(filter),
    },
    Attack {
        name: "sorted",
        connections: 12,
        send: Send::Read(|connection, _, _| {
            connection.request("GET", "/Users?sortBy=name.familyName&count=1000", None)
        }),
    },
    Attack {
        name: "pages",
        connections: 32,
        send: Send::Read(|connection, tenants, number| {
            let start = number.wrapping_mul(7919) % tenants.attacker.ids.len().max(1);
            let path = format!("/Users?count=1000&startIndex={start}");
            connection.request("GET", &path, None)
        }),
    },
    Attack {
        name: "snapshots",
        connections: 32,
        send: Send::Read(|connection, _, _| {
            connection.request_at("GET", "/directory/v1/snapshot?limit=1000", None)
        }),
    },
    Attack {
        name: "nodes",
        connections: 8,
        send: Send::Read(|connection, _, _| nodes(connection)),
    },
    Attack {
        name: "forged tokens",
        connections: 64,
        send: Send::Forge,
    },
    Attack {
        name: "slow readers",
        connections: 205,
        send: Send::ReadSlowly,
    },
    Attack {
        name: "listeners",
        connections: 2_000,
        send: Send::Read(|connection, _, _| {
            let path = "/directory/v1/changes?after=9000000&wait=10";
            connection.request_at("GET", path, None)
        }),
    },
    Attack {
        name: "large user",
        connections: 16,
        send: Send::Write(large_user),
    },
    Attack {
        name: "bulk",
        connections: 4,
        send: Send::Write(bulk),
    },
];

/// A filter of 3.9 kB, for which every user is read and none is found.
fn filter(connection: &Connection, _: &Tenants, number: usize) -> Request {
    let terms: Vec<String> = (0..100)
        .map(|term| format!("emails.value%20co%20%22z{number}q{term}%22"))
        .collect();
    let path = format!("/Users?filter={}", terms.join("%20or%20"));
    connection.request("GET", &path, None)
}

/// A search whose body is a list of eight million numbers.
fn nodes(connection: &Connection) -> Request {
    let list = Value::Array(vec![Value::from(0); 8_000_000]);
    connection.request("POST", "/Users/.search", Some(&list))
}

/// A small change of a user with many e-mail addresses.
fn large_user(connection: &Connection, tenants: &Tenants, number: usize) -> Request {
    let operation = json!({
        "op": "replace",
        "path": "emails[value eq \"e7@example.com\"].type",
        "value": format!("t{number}"),
    });
    let schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    let body = json!({ "schemas": [schema], "Operations": [operation] });
    let path = format!("/Users/{}", tenants.large_user);
    connection.request("PATCH", &path, Some(&body))
}

/// A thousand changes in one request.
fn bulk(connection: &Connection, tenants: &Tenants, number: usize) -> Request {
    let operations: Vec<Value> = (0..1_000)
        .map(|operation| {
            let index = (number * 1_000 + operation) % tenants.attacker.ids.len().max(1);
            let id = tenants.attacker.ids.get(index).map_or("", String::as_str);
            let user = json!({ "userName": user_name(index), "title": "x".repeat(2_000), "nickName": format!("n{number}") });
            json!({ "method": "PUT", "path": format!("/Users/{id}"), "data": user })
        })
        .collect();
    let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
    let body = json!({ "schemas": [schema], "Operations": operations });
    connection.request("POST", "/Bulk", Some(&body))
}

/// Repeats an attack on one connection until it is over; returns the number of requests.
pub fn repeat(attack: &Attack, tenants: &Tenants, number: usize, is_over: &AtomicBool) -> usize {
    // The victim measures the server, not the attackers. On Linux the priority is the thread's.
    rustix::process::nice(19).ok();
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let seed = number * 1_000_000 + sent;
        let done = match attack.send {
            Send::ReadSlowly => read_slowly(tenants, is_over),
            Send::Forge => exchange(tenants, &format!("rct_{seed:043}"), |connection| {
                connection.request("GET", "/Users?count=1", None)
            }),
            Send::Read(request) => exchange(tenants, &tenants.read_token, |connection| {
                request(connection, tenants, seed)
            }),
            Send::Write(request) => exchange(tenants, &tenants.attacker.token, |connection| {
                request(connection, tenants, seed)
            }),
        };
        match done {
            Ok(()) => sent += 1,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    sent
}

fn exchange(
    tenants: &Tenants,
    token: &str,
    request: impl Fn(&Connection) -> Request,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(&tenants.host, token)?;
    let request = request(&connection);
    connection.exchange(&request)?;
    Ok(())
}

/// Reads a public page as slowly as the server allows.
fn read_slowly(tenants: &Tenants, is_over: &AtomicBool) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(&tenants.host)?;
    let request = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n",
        tenants.host
    );
    stream.write_all(request.repeat(20).as_bytes())?;
    let mut byte = [0];
    while !is_over.load(Ordering::Relaxed) && stream.read(&mut byte)? > 0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
