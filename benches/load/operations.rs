//! The measured operations.

use anyhow::Context as _;
use serde_json::Value;

use crate::Backend;
use crate::server::Server;
use crate::target::Target;

/// Whether the operation records changes; this is checked afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    /// Creates new users in each run.
    Create,
    /// Changes existing users, continuing where the last run stopped.
    Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The name in requests.lua.
    pub name: &'static str,
    pub title: String,
    pub kind: Kind,
    /// Arguments in addition to the number of users.
    pub arguments: Vec<String>,
}

impl Operation {
    pub fn new(name: &'static str, title: &str, kind: Kind, arguments: Vec<String>) -> Self {
        Self {
            name,
            title: title.to_owned(),
            kind,
            arguments,
        }
    }

    /// The minimum share of the constant response's rate.
    pub fn of_constant(&self, backend: Backend) -> Option<Target> {
        let is_measured = self.kind == Kind::Read && backend == Backend::Sqlite;
        is_measured.then_some(Target::AtLeast(0.5))
    }

    /// The minimum share of the bare database's rate.
    pub fn of_bare(&self, backend: Backend) -> Option<Target> {
        match (self.kind, backend) {
            // One thread that does nothing else, without a network.
            (Kind::Read, Backend::Sqlite) => None,
            (_, Backend::Postgres) => Some(Target::AtLeast(0.5)),
            (_, Backend::Sqlite) => Some(Target::AtLeast(3.0)),
        }
    }
}

/// Returns the operations with a baseline.
pub fn main() -> Vec<Operation> {
    let new = |name, title, kind| Operation::new(name, title, kind, Vec::new());
    vec![
        new("get", "GET by id", Kind::Read),
        new("filter", "filter userName eq", Kind::Read),
        new("create", "create", Kind::Create),
        new("patch", "PATCH active", Kind::Change),
    ]
}

pub fn others(server: &Server, users: usize) -> anyhow::Result<Vec<Operation>> {
    let mut connection = server.connect()?;
    let request = connection.request("GET", "/Users?count=100&cursor=", None);
    connection.send(&request)?;
    let page = connection.body()?;
    let cursor = page
        .get("nextCursor")
        .and_then(Value::as_str)
        .context("no cursor")?;
    let read = |name, title: &str, path: Option<String>| {
        Operation::new(name, title, Kind::Read, path.into_iter().collect())
    };
    let after = users.saturating_sub(1_000) / 2;
    Ok(vec![
        read("email", "filter emails.value eq", None),
        read("lookup", "directory: look up an email", None),
        read(
            "path",
            "page of 100, the first",
            Some("/scim/v2/Users?startIndex=1&count=100".to_owned()),
        ),
        read("deep", "page of 100, deep by startIndex", None),
        read(
            "path",
            "page of 100, by cursor",
            Some(format!("/scim/v2/Users?count=100&cursor={cursor}")),
        ),
        read(
            "path",
            "1,000 changes",
            Some(format!("/directory/v1/changes?after={after}&limit=1000")),
        ),
        Operation::new("put", "PUT of a user", Kind::Create, Vec::new()),
    ])
}
