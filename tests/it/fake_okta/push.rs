//! Okta as a SCIM client: the requests that it sends in both dialects when something changes in the
//! org.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Shared;
use super::assign::push_soon;
use super::org::{Connection, Dialect, Job, Org};
use crate::harness::percent_encode;
use crate::harness::sample::{GROUP, PATCH_OP, USER};

/// The number of member changes in one PATCH; Okta's own default.
const CHUNK: usize = 100;

/// Returns a client that lives as long as the runtime it is used on.
pub fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy();
    client.build().expect("builds a client")
}

/// Runs the jobs one after the other while the org exists.
pub async fn work(shared: Arc<Shared>) {
    loop {
        let job = {
            let mut org = shared.lock();
            let job = org.jobs.pop_front();
            org.is_busy = job.is_some();
            job
        };
        shared.changed.notify_all();
        match job {
            None => shared.work.notified().await,
            Some(job) => run(&shared, job).await,
        }
    }
}

async fn run(shared: &Shared, job: Job) {
    match job {
        Job::Provision { app, user } => provision(shared, &app, &user).await,
        Job::Update { app, user } => update(shared, &app, &user).await,
        Job::Deactivate {
            connection,
            app,
            user,
            external_id,
        } => {
            let scim = Scim {
                http: &shared.http,
                connection,
            };
            let done = scim.set_active(&external_id, false).await;
            let outcome = done.as_ref().map(|_| ()).map_err(String::as_str);
            let event = "application.provision.user.deactivate";
            shared.lock().note(event, &[&app, &user], outcome);
        }
        Job::PushGroup { app, push, is_full } => push_group(shared, &app, &push, is_full).await,
        Job::DeleteGroup { connection, remote } => {
            let scim = Scim {
                http: &shared.http,
                connection,
            };
            let (status, said) = scim
                .send(Method::DELETE, &format!("/Groups/{remote}"), None)
                .await;
            if status != 204 {
                shared
                    .lock()
                    .complain(format!("DELETE of a group: {status} {said}"));
            }
        }
    }
}

async fn provision(shared: &Shared, app: &str, user: &str) {
    let Some((scim, desired)) = prepared(shared, app, user) else {
        return;
    };
    let done = scim.assign(&desired).await;
    let mut org = shared.lock();
    let outcome = done.as_ref().map(|_| ()).map_err(String::as_str);
    org.note("application.provision.user.push", &[app, user], outcome);
    let Some(row) = org
        .apps
        .get_mut(app)
        .and_then(|app| app.users.get_mut(user))
    else {
        return;
    };
    match done {
        Ok(id) => {
            row.external_id = Some(id);
            (row.status, row.sync_state) = ("PROVISIONED", "SYNCHRONIZED");
            let pushes = org.apps[app].pushes.values();
            let pushes = pushes.filter(|push| org.groups[&push.source].members.contains(user));
            let pushes: Vec<String> = pushes.map(|push| push.id.clone()).collect();
            for push in pushes {
                push_soon(&mut org, app, &push, false);
            }
        }
        Err(_) => row.sync_state = "ERROR",
    }
}

async fn update(shared: &Shared, app: &str, user: &str) {
    let Some((scim, desired)) = prepared(shared, app, user) else {
        return;
    };
    let row = shared.lock().apps[app].users[user].clone();
    let Some(id) = row.external_id else {
        return;
    };
    let done = match (row.password, scim.connection.dialect) {
        (Some(password), Dialect::Patch) => {
            let operation = json!({ "op": "replace", "value": { "password": password } });
            scim.patch(&format!("/Users/{id}"), vec![operation])
                .await
                .map(|_| ())
        }
        (password, _) => {
            let change = |user: &mut Map<String, Value>| {
                user.extend(desired.clone());
                user.remove("password");
                user.extend(password.map(|password| ("password".to_owned(), json!(password))));
            };
            scim.get_and_put(&format!("/Users/{id}"), change)
                .await
                .map(|_| ())
        }
    };
    let mut org = shared.lock();
    let outcome = done.as_ref().copied().map_err(String::as_str);
    org.note(
        "application.provision.user.push_profile",
        &[app, user],
        outcome,
    );
    let row = org
        .apps
        .get_mut(app)
        .and_then(|app| app.users.get_mut(user));
    if let Some(row) = row {
        row.password = None;
        row.sync_state = if done.is_ok() {
            "SYNCHRONIZED"
        } else {
            "ERROR"
        };
    }
}

/// Returns the app's connection, and the user as SCIM has it, or `None` if the user was unassigned
/// meanwhile.
fn prepared<'s>(
    shared: &'s Shared,
    app: &str,
    user: &str,
) -> Option<(Scim<'s>, Map<String, Value>)> {
    let org = shared.lock();
    let row = org.apps.get(app)?;
    row.users.get(user)?;
    let connection = row.connection.clone()?;
    let scim = Scim {
        http: &shared.http,
        connection,
    };
    Some((scim, profile(&org, app, user)))
}

/// Applies the app's mappings to the profile: core attributes by their path, custom ones by their
/// external names.
fn profile(org: &Org, app: &str, user: &str) -> Map<String, Value> {
    let row = &org.users[user];
    let mapping = org.mappings.values().find(|mapping| mapping.target == app);
    let mapping = &mapping.expect("every app has one").properties;
    let value = |name: &str| {
        let expression = mapping.get(name)?["expression"].as_str()?;
        row.profile.get(expression.strip_prefix("user.")?).cloned()
    };
    let (given, family) = (value("givenName"), value("familyName"));
    let desired = json!({
        "schemas": [USER],
        "userName": value("userName"),
        "name": { "givenName": given, "familyName": family },
        "emails": [{ "primary": true, "value": value("email"), "type": "work" }],
        "displayName": value("displayName"),
        "locale": "en-US",
        "externalId": user,
        "groups": [],
        "password": "q7#Lm2xz",
        "active": true,
    });
    let mut desired = desired.as_object().expect("an object").clone();
    for (name, property) in &org.apps[app].attributes {
        let target = [&property["externalNamespace"], &property["externalName"]].map(Value::as_str);
        if let ([Some(namespace), Some(external)], Some(value)) = (target, value(name)) {
            let extension = desired.entry(namespace).or_insert_with(|| json!({}));
            extension[external] = value;
        }
    }
    desired
}

async fn push_group(shared: &Shared, app: &str, push: &str, is_full: bool) {
    let Some((connection, row, name, members)) = desired_group(&shared.lock(), app, push) else {
        return;
    };
    let scim = Scim {
        http: &shared.http,
        connection,
    };
    let done = match &row.remote {
        None => scim.create_group(&name, &members).await,
        Some(remote) => {
            let before = &row.pushed_members;
            scim.change_group(remote, &name, &members, before, is_full)
                .await
                .map(|()| remote.clone())
        }
    };
    let mut org = shared.lock();
    let outcome = done.as_ref().map(|_| ()).map_err(String::as_str);
    org.note(
        "application.provision.group_push.pushed",
        &[app, &row.source],
        outcome,
    );
    let Some(row) = org
        .apps
        .get_mut(app)
        .and_then(|app| app.pushes.get_mut(push))
    else {
        return;
    };
    match done {
        Ok(remote) => {
            row.remote = Some(remote);
            row.pushed_members = members.into_keys().collect();
        }
        Err(problem) => {
            row.status = "ERROR";
            row.error = Some(problem);
        }
    }
}

type DesiredGroup = (
    Connection,
    super::org::Push,
    String,
    BTreeMap<String, String>,
);

/// Returns the group as it must be in the app: its members that exist there, by our id, with their
/// user names.
fn desired_group(org: &Org, app: &str, push: &str) -> Option<DesiredGroup> {
    let app = org.apps.get(app)?;
    let row = app.pushes.get(push).filter(|row| row.status == "ACTIVE")?;
    let group = &org.groups[&row.source];
    let members = group.members.iter().filter_map(|user| {
        let id = app.users.get(user)?.external_id.clone()?;
        Some((id, org.users[user].login().to_owned()))
    });
    let name = if row.follows_name {
        &group.name
    } else {
        &row.target_name
    };
    Some((
        app.connection.clone()?,
        row.clone(),
        name.clone(),
        members.collect(),
    ))
}

/// One connection.
struct Scim<'s> {
    http: &'s reqwest::Client,
    connection: Connection,
}

impl Scim<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.connection.base_url);
        let mut request = self
            .http
            .request(method.clone(), url)
            .header("accept", "application/scim+json")
            .header("accept-charset", "utf-8")
            .header("user-agent", "Okta SCIM Client 1.0.0")
            .header("authorization", &self.connection.authorization);
        if method != Method::GET {
            request = request.header("content-type", "application/scim+json; charset=utf-8");
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        match request.send().await {
            Err(error) => (0, json!({ "detail": error.to_string() })),
            Ok(answer) => (
                answer.status().as_u16(),
                answer.json().await.unwrap_or_default(),
            ),
        }
    }

    /// Returns the body of a success, or the error that the admin would read in the task.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let (status, said) = self.send(method, path, body).await;
        if (200..300).contains(&status) {
            return Ok(said);
        }
        let detail = said["detail"].as_str().unwrap_or_default();
        Err(format!(
            "{status}. Errors reported by remote server: {detail}"
        ))
    }

    async fn look_up(
        &self,
        endpoint: &str,
        attribute: &str,
        value: &str,
    ) -> Result<Vec<Value>, String> {
        let filter = percent_encode(&format!("{attribute} eq \"{value}\""));
        let path = format!("{endpoint}?filter={filter}&startIndex=1&count=100");
        let page = self.ask(Method::GET, &path, None).await?;
        if !page["totalResults"].is_u64() || !page["startIndex"].is_u64() {
            return Err("null".to_owned());
        }
        Ok(page["Resources"].as_array().cloned().unwrap_or_default())
    }

    /// Looks the user up, then creates it or links the existing one. Returns our id.
    async fn assign(&self, desired: &Map<String, Value>) -> Result<String, String> {
        let name = desired["userName"].as_str().unwrap_or_default();
        let found = self.look_up("/Users", "userName", name).await?;
        let user = match found.first().and_then(|user| user["id"].as_str()) {
            None => {
                self.ask(Method::POST, "/Users", Some(json!(desired)))
                    .await?
            }
            Some(id) => {
                let path = format!("/Users/{id}");
                if self.connection.dialect == Dialect::Patch && found[0]["active"] == false {
                    self.set_active(id, true).await?;
                }
                // Observed twice in a row during one assignment.
                for _ in 0..2 {
                    let change = |user: &mut Map<String, Value>| {
                        user.extend(desired.clone());
                        user.remove("password");
                    };
                    self.get_and_put(&path, change).await?;
                }
                found[0].clone()
            }
        };
        let id = user["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| "Create new user returned empty user.".to_owned())
    }

    /// Sends the result of our GET back, with changes.
    async fn get_and_put(
        &self,
        path: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<Value, String> {
        let mut resource = self.ask(Method::GET, path, None).await?;
        if resource.get("password").is_some() {
            return Err("a password came back".to_owned());
        }
        change(resource.as_object_mut().ok_or("no object")?);
        self.ask(Method::PUT, path, Some(resource)).await
    }

    async fn patch(&self, path: &str, operations: Vec<Value>) -> Result<Value, String> {
        let body = json!({ "schemas": [PATCH_OP], "Operations": operations });
        self.ask(Method::PATCH, path, Some(body)).await
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<Value, String> {
        let path = format!("/Users/{id}");
        match self.connection.dialect {
            Dialect::Patch => {
                let operation = json!({ "op": "replace", "value": { "active": active } });
                self.patch(&path, vec![operation]).await
            }
            Dialect::Put => {
                let change = |user: &mut Map<String, Value>| {
                    user.insert("active".into(), json!(active));
                };
                self.get_and_put(&path, change).await
            }
        }
    }

    /// Links the group with this name or creates it, and sends the members again in either case.
    async fn create_group(
        &self,
        name: &str,
        members: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let found = self.look_up("/Groups", "displayName", name).await?;
        let group = match found.first() {
            Some(group) => group.clone(),
            None => {
                let body =
                    json!({ "schemas": [GROUP], "displayName": name, "members": listed(members) });
                self.ask(Method::POST, "/Groups", Some(body)).await?
            }
        };
        let id = group["id"]
            .as_str()
            .ok_or("a group without an id")?
            .to_owned();
        let known = BTreeSet::new();
        let is_linked = !found.is_empty();
        self.change_group(&id, name, members, &known, is_linked)
            .await?;
        Ok(id)
    }

    /// Changes the group from `before` to `members`; sends the whole membership if `is_full`.
    async fn change_group(
        &self,
        id: &str,
        name: &str,
        members: &BTreeMap<String, String>,
        before: &BTreeSet<String>,
        is_full: bool,
    ) -> Result<(), String> {
        let path = format!("/Groups/{id}");
        if self.connection.dialect == Dialect::Put {
            let change = |group: &mut Map<String, Value>| {
                group.insert("displayName".into(), json!(name));
                group.insert("members".into(), listed(members));
            };
            return self.get_and_put(&path, change).await.map(|_| ());
        }
        let rename = json!({ "op": "replace", "value": { "id": id, "displayName": name } });
        self.patch(&path, vec![rename]).await?;
        let desired: Vec<(&String, &String)> = members.iter().collect();
        if is_full {
            let (first, rest) = desired.split_at(desired.len().min(CHUNK));
            let first = json!({ "op": "replace", "path": "members", "value": some(first) });
            self.patch(&path, vec![first]).await?;
            for chunk in rest.chunks(CHUNK) {
                let add = json!({ "op": "add", "path": "members", "value": some(chunk) });
                self.patch(&path, vec![add]).await?;
            }
            return Ok(());
        }
        let gone = before.iter().filter(|id| !members.contains_key(*id));
        let mut changes: Vec<Value> = gone
            .map(|id| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") }))
            .collect();
        let new: Vec<_> = desired
            .into_iter()
            .filter(|(id, _)| !before.contains(*id))
            .collect();
        changes.extend(
            new.chunks(CHUNK)
                .map(|chunk| json!({ "op": "add", "path": "members", "value": some(chunk) })),
        );
        for chunk in changes.chunks(CHUNK) {
            self.patch(&path, chunk.to_vec()).await?;
        }
        Ok(())
    }
}

fn listed(members: &BTreeMap<String, String>) -> Value {
    let members: Vec<(&String, &String)> = members.iter().collect();
    some(&members)
}

fn some(members: &[(&String, &String)]) -> Value {
    let shown = members
        .iter()
        .map(|(id, name)| json!({ "value": id, "display": name }));
    shown.collect()
}

/// The connection test that the button `Test API Credentials` runs.
pub async fn test(http: &reqwest::Client, connection: &Connection) -> Result<(), String> {
    let connection = connection.clone();
    let scim = Scim { http, connection };
    for path in [
        "/Users?startIndex=1&count=2",
        "/Groups?startIndex=1&count=100",
    ] {
        let page = scim.ask(Method::GET, path, None).await;
        let page = page.map_err(|problem| format!("Error authenticating: {problem}"))?;
        let numbers = ["totalResults", "startIndex", "itemsPerPage"];
        if !numbers.iter().all(|name| page[name].is_u64()) {
            return Err(format!("Error authenticating: {page}"));
        }
    }
    Ok(())
}

/// Reads pages of 100 until `totalResults` is covered, and returns each resource once.
pub async fn import(http: &reqwest::Client, connection: &Connection, endpoint: &str) -> Vec<Value> {
    let connection = connection.clone();
    let scim = Scim { http, connection };
    let mut seen = BTreeMap::new();
    let mut start = 1;
    loop {
        let path = format!("{endpoint}?startIndex={start}&count=100");
        let page = scim.ask(Method::GET, &path, None).await.expect("a page");
        for resource in page["Resources"].as_array().into_iter().flatten() {
            let id = resource["id"].as_str().expect("an id").to_owned();
            assert!(
                seen.insert(id, resource.clone()).is_none(),
                "listed twice: {resource}"
            );
        }
        start += 100;
        if start > page["totalResults"].as_u64().expect("a number") {
            return seen.into_values().collect();
        }
    }
}
