//! Keeps a local copy of the directory in step with Rollcall, in memory and in a JSON file.
//!
//! It reads a snapshot and then follows the change feed. The file is replaced as a whole and
//! contains the position in the feed, so the program may be killed at any time: it continues from
//! there.
//!
//! ```text
//! export ROLLCALL_URL=https://scim.example.com ROLLCALL_TOKEN=rct_...
//! cargo run --example sync -- copy.json            # follows continuously
//! cargo run --example sync -- copy.json --once     # until it is in step
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How long one request to the feed waits for a change.
const WAIT_S: u64 = 30;

/// The copy. Applying a change twice is harmless, and changes of unknown resources are ignored.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// The number of the last applied change; `None` before the first snapshot.
    pub after: Option<i64>,
    pub resources: BTreeMap<String, Map<String, Value>>,
    /// Groups to their members.
    pub members: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Page {
    changes: Vec<Change>,
    next: i64,
    last: i64,
}

#[derive(Deserialize)]
struct Change {
    kind: String,
    id: String,
    #[serde(default)]
    attributes: Vec<Difference>,
    #[serde(default)]
    lists: Vec<ListDifference>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    resource: Map<String, Value>,
    /// All data of the resource was erased, and must be erased here too.
    #[serde(default)]
    erased: bool,
}

#[derive(Deserialize)]
struct Difference {
    path: String,
    after: Value,
}

/// The differences of a long list.
#[derive(Deserialize)]
struct ListDifference {
    path: String,
    #[serde(default)]
    removed: Vec<Value>,
    #[serde(default)]
    added: Vec<Value>,
    #[serde(default)]
    modified: Vec<Modified>,
}

#[derive(Deserialize)]
struct Modified {
    same: Map<String, Value>,
    before: Map<String, Value>,
    after: Map<String, Value>,
}

#[derive(Deserialize)]
struct Snapshot {
    seq: i64,
    resources: Vec<Item>,
    members: Vec<Member>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    resource: Map<String, Value>,
}

#[derive(Deserialize)]
struct Member {
    group: String,
    member: String,
}

/// The service from an application's point of view.
pub struct Rollcall {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Rollcall {
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(WAIT_S + 30))
                .build()?,
            url: format!("{}/directory/v1", url.trim_end_matches('/')),
            token: token.to_owned(),
        })
    }

    /// Returns `None` if the requested changes are no longer available (410).
    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let url = format!("{}{path}", self.url);
        let request = self.http.get(&url).bearer_auth(&self.token);
        let response = request.send().await?;
        match response.status() {
            StatusCode::GONE => Ok(None),
            StatusCode::OK => Ok(Some(serde_json::from_slice(&response.bytes().await?)?)),
            status => bail!("{url} answered {status}: {}", response.text().await?),
        }
    }

    /// Reads everything; changes made meanwhile arrive again in the feed.
    async fn snapshot(&self) -> anyhow::Result<Copy> {
        let mut copy = Copy::default();
        let mut path = "/snapshot?limit=1000".to_owned();
        loop {
            let page: Snapshot = self.get(&path).await?.context("no snapshot")?;
            for item in page.resources {
                copy.resources.insert(item.id, item.resource);
            }
            for Member { group, member } in page.members {
                copy.members.entry(group).or_default().insert(member);
            }
            match page.next {
                Some(cursor) => path = format!("/snapshot?limit=1000&cursor={cursor}"),
                None => {
                    copy.after = Some(page.seq);
                    return Ok(copy);
                }
            }
        }
    }

    /// Applies the next changes to the copy, waiting up to `wait_s` for the first; returns true
    /// when it is in step.
    pub async fn step(&self, copy: &mut Copy, wait_s: u64) -> anyhow::Result<bool> {
        if let Some(after) = copy.after {
            let path = format!("/changes?after={after}&limit=1000&wait={wait_s}");
            if let Some(page) = self.get::<Page>(&path).await? {
                for change in page.changes {
                    copy.apply(change);
                }
                copy.after = Some(page.next);
                return Ok(page.next >= page.last);
            }
        }
        *copy = self.snapshot().await?;
        Ok(false)
    }
}

impl Copy {
    fn apply(&mut self, change: Change) {
        match change.kind.as_str() {
            _ if change.erased => self.forget(&change.id),
            "created" => {
                self.resources.insert(change.id, change.resource);
            }
            "deleted" => self.forget(&change.id),
            "member_added" => self
                .members
                .entry(change.id)
                .or_default()
                .extend(change.members),
            "member_removed" => {
                let members = self.members.entry(change.id).or_default();
                members.retain(|member| !change.members.contains(member));
            }
            "updated" | "activated" | "deactivated" => {
                if let Some(resource) = self.resources.get_mut(&change.id) {
                    for difference in change.attributes {
                        put(resource, &difference.path, difference.after);
                    }
                    for difference in change.lists {
                        edit(resource, difference);
                    }
                }
            }
            // Ids of the identity provider that match no user, and future kinds of changes.
            _ => {}
        }
        self.members.retain(|_, members| !members.is_empty());
    }

    fn forget(&mut self, id: &str) {
        self.resources.remove(id);
        self.members.remove(id);
        for members in self.members.values_mut() {
            members.remove(id);
        }
    }

    /// # Errors
    /// The file exists and is not a copy.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(path)?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no copy", path.display()))
    }

    /// # Errors
    /// The directory is not writable.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let draft = path.with_extension("draft");
        std::fs::write(&draft, serde_json::to_vec(self)?)?;
        std::fs::rename(&draft, path)?;
        Ok(())
    }
}

/// Applies what differs in a long list. Doing it a second time changes nothing.
fn edit(resource: &mut Map<String, Value>, difference: ListDifference) {
    let (urn, name) = match difference.path.rsplit_once(':') {
        Some((urn, name)) => (Some(urn), name),
        None => (None, &*difference.path),
    };
    let holder = match urn {
        None => Some(resource),
        Some(urn) => resource.get_mut(urn).and_then(Value::as_object_mut),
    };
    let Some(Value::Array(list)) = holder.and_then(|holder| holder.get_mut(name)) else {
        return;
    };
    list.retain(|element| !difference.removed.contains(element));
    for element in difference.added {
        if !list.contains(&element) {
            list.push(element);
        }
    }
    for modified in difference.modified {
        let known: Vec<_> = modified.same.iter().chain(&modified.before).collect();
        for element in list.iter_mut().filter_map(Value::as_object_mut) {
            if known
                .iter()
                .all(|(name, value)| element.get(*name) == Some(*value))
            {
                element.retain(|name, _| !modified.before.contains_key(name));
                element.extend(modified.after.clone());
            }
        }
    }
}

/// Sets an attribute: `title`, `name.givenName`, or one of an extension after its URN and a colon.
/// Null removes it.
fn put(resource: &mut Map<String, Value>, path: &str, value: Value) {
    let (urn, path) = match path.rsplit_once(':') {
        Some((urn, path)) => (Some(urn), path),
        None => (None, path),
    };
    let steps: Vec<&str> = urn.into_iter().chain(path.split('.')).collect();
    set(resource, &steps, value);
}

fn set(holder: &mut Map<String, Value>, steps: &[&str], value: Value) {
    match steps {
        [] => {}
        [name] if value.is_null() => {
            holder.remove(*name);
        }
        [name] => {
            holder.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = holder
                .entry((*name).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            let is_empty = inner.as_object_mut().is_some_and(|inner| {
                set(inner, rest, value);
                inner.is_empty()
            });
            // An object without values is removed too.
            if is_empty {
                holder.remove(*name);
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_once = arguments.iter().any(|argument| argument == "--once");
    let path = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let path = PathBuf::from(path.context("name the file of the copy")?);
    let variable = |name: &str| {
        #[expect(
            clippy::disallowed_methods,
            reason = "an example has no settings of its own"
        )]
        std::env::var(name).with_context(|| format!("{name} is not set"))
    };
    let rollcall = Rollcall::new(&variable("ROLLCALL_URL")?, &variable("ROLLCALL_TOKEN")?)?;
    let mut copy = Copy::load(&path)?;
    loop {
        let wait_s = if is_once { 0 } else { WAIT_S };
        match rollcall.step(&mut copy, wait_s).await {
            Ok(is_in_step) => {
                copy.save(&path)?;
                if is_in_step && is_once {
                    return Ok(());
                }
            }
            Err(error) if is_once => return Err(error),
            Err(error) => {
                // The service restarts, or the network is down: continue from the last position.
                eprintln!("{error:#}");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}
