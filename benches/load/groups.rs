//! Groups of several sizes, and the cost of adding a member.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::connection::Connection;
use crate::measure::Bench;
use crate::numbers::{mega, number, thousands};
use crate::process;
use crate::report::{Fact, Section};
use crate::sample;
use crate::server::Server;
use crate::target::Target;
use crate::template::{id, name};

/// The number of users that are added and removed.
const POOL: usize = 1_000;

/// A group of this many of the first users.
pub struct Group {
    pub members: usize,
    pub path: String,
}

/// The groups of a directory, and the ids of users without a group.
pub struct Groups {
    pub all: Vec<Group>,
    pub pool: NamedTempFile,
}

impl Groups {
    pub fn make(bench: &mut Bench<'_>, section: &mut Section) -> anyhow::Result<Self> {
        let mut connection = bench.server.connect()?;
        let pool = make_pool(&mut connection, section)?;
        let mut all = Vec::new();
        for members in [10, 1_000, 50_000, 100_000] {
            if members <= bench.users {
                all.push(make_group(&mut connection, members, section)?);
            }
        }
        let groups = Self { all, pool };
        bench.restart()?;
        if let Some(group) = groups.of(100_000) {
            get(&bench.server, group, section)?;
        }
        Ok(groups)
    }

    pub fn of(&self, members: usize) -> Option<&Group> {
        self.all.iter().find(|group| group.members == members)
    }
}

/// Creates them by one bulk request.
fn make_pool(connection: &mut Connection, section: &mut Section) -> anyhow::Result<NamedTempFile> {
    let operation = |number: usize| {
        let user = sample::user(&format!("pool{number}@example.com"));
        json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": user })
    };
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": (0..POOL).map(operation).collect::<Value>(),
    });
    let request = connection.request("POST", "/Bulk", Some(&body));
    let took = connection.send(&request)?.as_secs_f64();
    section
        .facts
        .push(Fact::new("bulk of 1,000 creates", took * 1e3, "ms"));
    let answer = connection.body()?;
    let results = answer
        .get("Operations")
        .and_then(Value::as_array)
        .context("no results")?;
    let mut file = NamedTempFile::new()?;
    for result in results {
        ensure!(
            result.get("status") == Some(&json!("201")),
            "not created: {result}"
        );
        let location = result
            .get("location")
            .and_then(Value::as_str)
            .unwrap_or_default();
        writeln!(file, "{}", location.rsplit('/').next().unwrap_or_default())?;
    }
    ensure!(results.len() == POOL, "{} results", results.len());
    Ok(file)
}

fn make_group(
    connection: &mut Connection,
    members: usize,
    section: &mut Section,
) -> anyhow::Result<Group> {
    let title = format!("{} members", thousands(number(members)));
    let member = |number: usize| json!({ "value": id(number), "display": format!("{}@example.com", name(number)) });
    let mut group = sample::group(&title, &[]);
    let request = connection.request("POST", "/Groups", Some(&group));
    connection.send(&request)?;
    let created = connection.body()?;
    let path = format!(
        "/Groups/{}",
        created.get("id").and_then(Value::as_str).context("no id")?
    );
    for first in [0, 1] {
        *group.get_mut("members").context("no members")? = (first..members).map(member).collect();
        let request = connection.request("PUT", &path, Some(&group));
        let took = connection.send(&request)?.as_secs_f64();
        if members == 100_000 {
            let what = [
                "PUT of 100,000 members into an empty group",
                "PUT of 100,000 members that leaves one out",
            ];
            let what = what.get(first).copied().unwrap_or_default();
            section
                .facts
                .push(Fact::new(what, took, "s").within(Target::AtMost(3.0)));
        }
    }
    Ok(Group { members, path })
}

/// Measures a server that has done almost nothing, so that no memory is left from before.
fn get(server: &Server, group: &Group, section: &mut Section) -> anyhow::Result<()> {
    let mut connection = server.connect()?;
    let first = connection.request("GET", "/Users?count=100", None);
    connection.send(&first)?;
    let before = process::reset_peak(server.id())?;
    let request = connection.request("GET", &group.path, None);
    let took = connection.send(&request)?.as_secs_f64();
    let more = process::memory(server.id())?.peak - before.resident;
    let (size, more) = (u64::try_from(connection.bytes().len())?, mega(more));
    let fact = Fact::new("GET of 100,000 members", took, "s");
    section.facts.push(fact);
    let what = "memory that this takes (MB), in sizes of the answer (MB)";
    let fact = Fact::ratio(what, more, mega(size), "");
    section.facts.push(fact.within(Target::AtMost(2.0)));
    Ok(())
}
