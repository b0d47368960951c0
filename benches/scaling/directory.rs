//! A server full of users, and the measured requests.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use crate::connection::{Connection, Request};
use crate::numbers::counted;
use crate::random::Random;
use crate::sample;
use crate::server::Server;

/// The number of connections that fill a server: this many writes share a commit.
const FILLERS: usize = 64;

/// A server and its users.
pub struct Directory {
    pub connection: Connection,
    /// The ids, by number of the user.
    users: Vec<String>,
    deactivated: HashSet<usize>,
    /// The number of the first users that are in a group.
    grouped: usize,
    random: Random,
}

/// A group and its requests.
pub struct Group {
    path: String,
    /// The numbers of its users.
    members: Range<usize>,
}

pub fn user_name(number: usize) -> String {
    format!("user{number:07}@example.com")
}

impl Directory {
    /// Creates this many users, as Okta creates them, and prints the rate.
    pub fn fill(server: &Server, count: usize) -> anyhow::Result<Self> {
        let started = Instant::now();
        let parts: Vec<_> = std::thread::scope(|scope| {
            let fillers: Vec<_> = (0..FILLERS)
                .map(|filler| scope.spawn(move || create_users(server, filler, count)))
                .collect();
            let join = |filler: std::thread::ScopedJoinHandle<'_, _>| {
                filler.join().map_err(|_| anyhow!("a thread panicked"))?
            };
            fillers.into_iter().map(join).collect::<anyhow::Result<_>>()
        })?;
        let elapsed = started.elapsed();
        let millis = usize::try_from(elapsed.as_millis())?.max(1);
        println!(
            "  {} created over {FILLERS} connections in {:.1} s, {}",
            counted(count, "users"),
            elapsed.as_secs_f64(),
            counted(count * 1000 / millis, "a second")
        );
        let mut users: Vec<(usize, String)> = parts.into_iter().flatten().collect();
        users.sort_unstable();
        let mut directory = Self {
            connection: server.connect()?,
            users: users.into_iter().map(|(_, id)| id).collect(),
            deactivated: HashSet::new(),
            grouped: 0,
            random: Random::new(1),
        };
        directory.check(count)?;
        Ok(directory)
    }

    fn check(&mut self, count: usize) -> anyhow::Result<()> {
        let request = self.get("/Users?count=1");
        self.connection.send(&request)?;
        let page = self.connection.body()?;
        let total = page.get("totalResults").and_then(Value::as_u64);
        ensure!(
            total == u64::try_from(count).ok() && self.users.len() == count,
            "{total:?} users and not {count}"
        );
        Ok(())
    }

    /// Creates a group of users without a group, then replaces it with the same members except one.
    pub fn group(&mut self, name: &str, size: usize) -> anyhow::Result<Group> {
        let members = self.grouped..self.grouped + size;
        let ids: Vec<&str> = members.clone().map(|number| self.id(number)).collect();
        let (all, but_one) = (
            sample::group(name, &ids),
            sample::group(name, ids.get(1..).unwrap_or_default()),
        );
        let request = self.connection.request("POST", "/Groups", Some(&all));
        let created = self.connection.send(&request)?.as_secs_f64();
        let path = format!("/Groups/{}", self.created_id()?);
        let request = self.connection.request("PUT", &path, Some(&but_one));
        let replaced = self.connection.send(&request)?.as_secs_f64();
        let request = self.connection.request("PUT", &path, Some(&all));
        self.connection.send(&request)?;
        println!(
            "  a group of {} created by one POST in {created:.2} s, replaced by one PUT in {replaced:.2} s",
            counted(size, "members")
        );
        self.grouped = members.end;
        Ok(Group { path, members })
    }

    /// Returns the id of the last created resource.
    pub fn created_id(&self) -> anyhow::Result<String> {
        id_of(&self.connection.body()?)
    }

    fn get(&self, path: &str) -> Request {
        self.connection.request("GET", path, None)
    }

    fn id(&self, number: usize) -> &str {
        self.users.get(number).map_or("", String::as_str)
    }

    pub fn look_up(&mut self) -> Request {
        let name = user_name(self.random.below(self.users.len()));
        self.get(&format!(
            "/Users?filter=userName%20eq%20%22{name}%22&startIndex=1&count=100"
        ))
    }

    /// The lookup before each create: no user has the name yet.
    pub fn look_up_unknown(&mut self) -> Request {
        let number = self.random.below(self.users.len());
        self.get(&format!("/Users?filter=userName%20eq%20%22nobody{number:07}%40example.com%22&startIndex=1&count=100"))
    }

    pub fn read(&mut self) -> Request {
        let number = self.random.below(self.users.len());
        self.get(&format!("/Users/{}", self.id(number)))
    }

    pub fn first_page(&self) -> Request {
        self.get("/Users?startIndex=1&count=100")
    }

    pub fn create(&self, round: usize) -> Request {
        let body = sample::user(&format!("new{round:07}@example.com"));
        self.connection.request("POST", "/Users", Some(&body))
    }

    /// Deletes the resource that the last request created.
    pub fn delete_created(&self) -> anyhow::Result<Request> {
        let path = format!("/Users/{}", self.created_id()?);
        Ok(self.connection.request("DELETE", &path, None))
    }

    /// Deactivates a user, or reactivates the inactive one, so that each request is a change.
    pub fn flip_active(&mut self) -> Request {
        let number = self.random.below(self.users.len());
        let active = self.deactivated.remove(&number);
        if !active {
            self.deactivated.insert(number);
        }
        let body = sample::patch(json!([{ "op": "replace", "value": { "active": active } }]));
        self.connection
            .request("PATCH", &format!("/Users/{}", self.id(number)), Some(&body))
    }

    /// Returns a user without a group, a different one in each round.
    fn new_member(&self, round: usize) -> (usize, &str) {
        let free = self.users.len() - self.grouped;
        let number = self.grouped + round % free.max(1);
        (number, self.id(number))
    }

    pub fn add_member(&self, group: &Group, round: usize) -> Request {
        let (number, id) = self.new_member(round);
        let value = json!([{ "value": id, "display": user_name(number) }]);
        let body = sample::patch(json!([{ "op": "add", "path": "members", "value": value }]));
        self.connection.request("PATCH", &group.path, Some(&body))
    }

    pub fn read_member(&self, group: &Group, round: usize) -> Request {
        let number = group.members.start + round % group.members.len().max(1);
        self.get(&format!("/Users/{}", self.id(number)))
    }

    pub fn remove_member(&self, group: &Group, round: usize) -> Request {
        let path = format!("members[value eq \"{}\"]", self.new_member(round).1);
        let body = sample::patch(json!([{ "op": "remove", "path": path }]));
        self.connection.request("PATCH", &group.path, Some(&body))
    }
}

/// Creates every `FILLERS`th user, starting with number `filler`; returns their numbers and ids.
fn create_users(
    server: &Server,
    filler: usize,
    count: usize,
) -> anyhow::Result<Vec<(usize, String)>> {
    let mut connection = server.connect()?;
    let mut created = Vec::new();
    for number in (filler..count).step_by(FILLERS) {
        let body = sample::user(&user_name(number));
        let request = connection.request("POST", "/Users", Some(&body));
        connection.send(&request)?;
        created.push((number, id_of(&connection.body()?)?));
    }
    Ok(created)
}

fn id_of(resource: &Value) -> anyhow::Result<String> {
    let id = resource.get("id").and_then(Value::as_str);
    Ok(id.context("a resource without an id")?.to_owned())
}
