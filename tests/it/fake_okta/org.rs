//! The state of an org. The rows are plain data; the functions that answer requests convert them to
//! Okta's format.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};

use super::http::Request;

/// The whole state, behind one lock.
pub struct Org {
    pub url: String,
    /// The maximum page size, whatever a client asks for.
    pub page_size: usize,
    /// How far its clock is ahead of ours.
    pub clock_ahead_s: i64,
    /// The remaining requests of the window, according to the rate limit headers.
    pub requests_left: u32,
    /// Another host, for faults that redirect there.
    pub elsewhere: Option<String>,
    pub tokens: Vec<ApiToken>,
    pub service_apps: Vec<ServiceApp>,
    pub access: Vec<Access>,
    pub used_ids: BTreeSet<String>,
    pub apps: BTreeMap<String, App>,
    pub groups: BTreeMap<String, Group>,
    pub users: BTreeMap<String, User>,
    pub mappings: BTreeMap<String, Mapping>,
    pub hooks: BTreeMap<String, Value>,
    pub log: Vec<Value>,
    pub jobs: VecDeque<Job>,
    /// Whether a job is running.
    pub is_busy: bool,
    /// Whether the answer to a write is being withheld.
    pub is_holding: bool,
    pub faults: Vec<Planned>,
    /// The number of writes to the API.
    pub writes: usize,
    pub requests: Vec<Request>,
    /// Violations of Okta's rules. Any violation fails the test.
    pub complaints: Vec<String>,
    number: u32,
}

/// An API token (SSWS).
#[derive(Clone)]
pub struct ApiToken {
    pub id: String,
    pub secret: String,
    pub user: String,
    pub roles: Vec<&'static str>,
    pub is_expired: bool,
    /// Bound to a network zone that no client is in.
    pub is_elsewhere: bool,
    pub days_left: i64,
}

/// An API Services app with a public key.
#[derive(Clone)]
pub struct ServiceApp {
    pub client_id: String,
    pub keys: Vec<Value>,
    pub scopes: Vec<String>,
    pub roles: Vec<&'static str>,
    pub wants_proof: bool,
}

/// An issued access token.
#[derive(Clone)]
pub struct Access {
    pub token: String,
    pub client_id: String,
    pub scopes: Vec<String>,
    /// The thumbprint of the key that it is bound to.
    pub bound_to: Option<String>,
}

pub struct App {
    pub id: String,
    pub name: String,
    pub label: String,
    pub is_active: bool,
    /// Other members of the POST.
    pub body: Map<String, Value>,
    pub features: Vec<&'static str>,
    pub connection: Option<Connection>,
    pub logos: usize,
    pub users: BTreeMap<String, AppUser>,
    pub groups: BTreeMap<String, Value>,
    pub pushes: BTreeMap<String, Push>,
    pub attributes: Map<String, Value>,
}

/// The SCIM connection of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub base_url: String,
    pub authorization: String,
    pub dialect: Dialect,
}

/// How changes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A: custom apps.
    Put,
    /// B: catalogue apps.
    Patch,
}

#[derive(Clone)]
pub struct AppUser {
    pub user: String,
    /// `USER`, or `GROUP` if a group assignment added the user.
    pub scope: &'static str,
    /// Our id of the user.
    pub external_id: Option<String>,
    pub status: &'static str,
    pub sync_state: &'static str,
    pub password: Option<String>,
}

#[derive(Clone)]
pub struct Push {
    pub id: String,
    pub source: String,
    pub target: String,
    pub target_name: String,
    pub status: &'static str,
    pub error: Option<String>,
    /// Our id of the group, and the members that were pushed last.
    pub remote: Option<String>,
    pub pushed_members: BTreeSet<String>,
    /// Whether a rename in Okta renames it here too.
    pub follows_name: bool,
}

pub struct Group {
    pub id: String,
    pub name: String,
    pub is_built_in: bool,
    pub members: BTreeSet<String>,
}

pub struct User {
    pub id: String,
    pub is_active: bool,
    pub profile: Map<String, Value>,
}

pub struct Mapping {
    pub source: String,
    pub target: String,
    pub properties: Map<String, Value>,
}

/// Okta's background jobs, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    Provision {
        app: String,
        user: String,
    },
    Update {
        app: String,
        user: String,
    },
    /// The user may be unassigned already, so the job stores the id.
    Deactivate {
        connection: Connection,
        app: String,
        user: String,
        external_id: String,
    },
    PushGroup {
        app: String,
        push: String,
        /// Pushes the whole membership instead of the changes.
        is_full: bool,
    },
    DeleteGroup {
        connection: Connection,
        remote: String,
    },
}

/// A fault that happens once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The write succeeds, and the connection breaks before the answer.
    LoseAnswer,
    /// The connection breaks and nothing is done.
    LoseRequest,
    /// The write succeeds, and its answer never arrives.
    HoldAnswer,
    /// Nothing is done, and no answer is sent.
    HoldRequest,
    /// 500 E0000009, and nothing is done.
    Broken,
    /// 429 with the window's end.
    Limited,
    /// 429 without any header, as the edge sends it.
    LimitedAtTheEdge,
    /// 503 E0000010.
    ReadOnly,
    /// 409 E0000268: another change is running.
    Concurrent,
    /// 302 to another host.
    Redirect,
    /// A list whose next page is on another host.
    ForeignPage,
    /// 404 E0000008.
    NotFound,
    /// 200 and an HTML page.
    NoJson,
    /// 403 E0000006, as for a role that lacks this permission.
    Forbidden,
}

pub enum When {
    /// At the write with this number, counted from 1 since the fault was planned.
    Write(usize),
    /// At the next request with this method whose path contains this.
    Request(&'static str, &'static str),
}

pub struct Planned {
    pub when: When,
    pub fault: Fault,
}

/// The user type whose profile every mapping starts from.
pub const USER_TYPE: &str = "oty1defaultUserType0";

impl Org {
    pub fn new(url: String) -> Self {
        let mut org = Self {
            url,
            page_size: 1000,
            clock_ahead_s: 0,
            requests_left: 599,
            elsewhere: None,
            tokens: Vec::new(),
            service_apps: Vec::new(),
            access: Vec::new(),
            used_ids: BTreeSet::new(),
            apps: BTreeMap::new(),
            groups: BTreeMap::new(),
            users: BTreeMap::new(),
            mappings: BTreeMap::new(),
            hooks: BTreeMap::new(),
            log: Vec::new(),
            jobs: VecDeque::new(),
            is_busy: false,
            is_holding: false,
            faults: Vec::new(),
            writes: 0,
            requests: Vec::new(),
            complaints: Vec::new(),
            number: 0,
        };
        org.add_group("Everyone", true);
        org
    }

    /// An id of 20 characters with Okta's prefix for its kind.
    pub fn new_id(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!(
            "{prefix}{:x>width$}",
            self.number,
            width = 20 - prefix.len()
        )
    }

    pub fn complain(&mut self, text: impl Into<String>) {
        self.complaints.push(text.into());
    }

    pub fn add_group(&mut self, name: &str, is_built_in: bool) -> String {
        let id = self.new_id("00g");
        let group = Group {
            id: id.clone(),
            name: name.to_owned(),
            is_built_in,
            members: BTreeSet::new(),
        };
        self.groups.insert(id.clone(), group);
        id
    }

    pub fn add_user(&mut self, profile: Map<String, Value>) -> String {
        let id = self.new_id("00u");
        let user = User {
            id: id.clone(),
            is_active: true,
            profile,
        };
        self.users.insert(id.clone(), user);
        let everyone = self.groups.values_mut().find(|group| group.is_built_in);
        everyone.expect("Everyone").members.insert(id.clone());
        id
    }

    pub fn user_by_login(&self, login: &str) -> Option<&User> {
        self.users
            .values()
            .find(|user| user.login().eq_ignore_ascii_case(login))
    }

    /// Adds an entry to the System Log.
    pub fn note(&mut self, event: &str, targets: &[&str], outcome: Result<(), &str>) {
        let uuid = self.new_id("log");
        let targets: Vec<Value> = targets
            .iter()
            .map(|id| json!({ "id": id, "type": kind(id), "alternateId": self.alternate(id) }))
            .collect();
        let outcome = match outcome {
            Ok(()) => json!({ "result": "SUCCESS" }),
            Err(reason) => json!({ "result": "FAILURE", "reason": reason }),
        };
        self.log.push(json!({
            "uuid": uuid, "published": now(), "eventType": event, "severity": "INFO",
            "displayMessage": event, "outcome": outcome, "target": targets,
            "actor": { "id": "okta", "type": "SystemPrincipal" },
        }));
    }

    fn alternate(&self, id: &str) -> String {
        let user = self.users.get(id).map(|user| user.login().to_owned());
        let app = self.apps.get(id).map(|app| app.label.clone());
        user.or(app).unwrap_or_else(|| id.to_owned())
    }

    /// Returns everything that `setup` could leave behind, without the log and the tokens' last
    /// use.
    pub fn snapshot(&self) -> Value {
        let apps = self.apps.values().map(|app| {
            json!([
                app.id,
                app.name,
                app.label,
                app.is_active,
                app.body,
                app.features,
                app.attributes,
                app.users.keys().collect::<Vec<_>>(),
                app.groups,
                app.pushes.keys().collect::<Vec<_>>(),
            ])
        });
        let groups = self.groups.values();
        let users = self.users.values();
        json!({
            "apps": apps.collect::<Vec<_>>(),
            "groups": groups.map(|group| json!([group.id, group.name, group.members])).collect::<Vec<_>>(),
            "users": users.map(|user| json!([user.id, user.is_active, user.profile])).collect::<Vec<_>>(),
            "mappings": self.mappings.iter().map(|(id, mapping)| json!([id, mapping.properties])).collect::<Vec<_>>(),
            "hooks": self.hooks.values().collect::<Vec<_>>(),
        })
    }
}

impl User {
    pub fn login(&self) -> &str {
        self.profile["login"].as_str().unwrap_or_default()
    }
}

impl App {
    /// Returns the app that an admin gets by creating another with the same settings.
    pub fn twin(&self, id: String) -> Self {
        Self {
            id,
            name: self.name.clone(),
            label: self.label.clone(),
            is_active: self.is_active,
            body: self.body.clone(),
            features: Vec::new(),
            connection: None,
            logos: 0,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            pushes: BTreeMap::new(),
            attributes: Map::new(),
        }
    }

    pub fn sign_on_mode(&self) -> &str {
        self.body["signOnMode"].as_str().unwrap_or_default()
    }

    /// Whether it is one of the catalogue's SCIM templates.
    pub fn is_template(&self) -> bool {
        self.name.starts_with("scim2")
    }

    /// Whether it is one of the six apps whose connection the API can create.
    pub fn is_by_api(&self) -> bool {
        let six = [
            "google",
            "office365",
            "okta_org2org",
            "slack",
            "zoomus",
            "zscalerbyz",
        ];
        six.contains(&self.name.as_str())
    }

    /// Whether it is a SAML or SWA app that the wizard could have created.
    pub fn is_custom(&self) -> bool {
        !self.body.contains_key("name")
    }

    pub fn does(&self, feature: &str) -> bool {
        self.is_active && self.features.contains(&feature)
    }
}

/// Returns the System Log's name for a kind of object.
fn kind(id: &str) -> &'static str {
    match id.get(..3) {
        Some("0oa") => "AppInstance",
        Some("00u") => "User",
        Some("00g") => "UserGroup",
        _ => "Unknown",
    }
}

pub fn now() -> String {
    SystemClock::default().now().to_string()
}

pub fn now_s() -> i64 {
    SystemClock::default().now().as_second()
}
