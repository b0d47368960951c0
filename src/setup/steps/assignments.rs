//! Assignments and group push. Names are resolved before anything is written, so that a misspelt
//! name leaves nothing half done.

use std::collections::BTreeSet;

use okta_client::json::{object_id, str_at};
use okta_client::{Method, RequestBody, quote};
use serde_json::{Value, json};

use crate::setup::desired::PushGroup;
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::session::Session;
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "assign";
pub const PUSH_STEP: &str = "push";

/// The groups and users that `setup.toml` names, with Okta's ids.
#[derive(Debug, Clone, Default)]
pub struct ResolvedNames {
    pub groups: Vec<(OktaId, String)>,
    pub users: Vec<(OktaId, String)>,
    pub pushes: Vec<(OktaId, String, PushGroup)>,
}

/// Looks up every name.
///
/// # Errors
/// Returns an error if a name does not exist or is ambiguous, if a group is built in and
/// `assign.built_in` is off, and if a user is not active.
pub async fn resolve(session: &Session) -> Result<ResolvedNames, Failure> {
    let desired = &session.desired;
    let mut resolved = ResolvedNames::default();
    for name in &desired.assign.groups {
        resolved
            .groups
            .push(group(session, name, desired.assign.built_in).await?);
    }
    for login in &desired.assign.users {
        resolved.users.push(user(session, login).await?);
    }
    for push in &desired.push_groups {
        let (id, name) = group(session, &push.group, true).await?;
        if resolved.groups.iter().any(|(assigned, _)| *assigned == id) {
            return Err(invalid(format!(
                "push_groups: `{name}` is assigned as well. Okta sends no removals for a group that is both: use another one for pushing."
            )));
        }
        resolved.pushes.push((id, name, push.clone()));
    }
    Ok(resolved)
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

/// Finds a group by name or id. Returns the id and the name.
async fn group(
    session: &Session,
    name_or_id: &str,
    built_in: bool,
) -> Result<(OktaId, String), Failure> {
    let found = if OktaId::has_prefix(name_or_id, "00g") {
        match session
            .client
            .get(&format!("/api/v1/groups/{name_or_id}"), &[])
            .await
        {
            Ok(response) => vec![response.body],
            Err(failure) if failure.kind == FailureKind::NotFound => Vec::new(),
            Err(failure) => return Err(failure),
        }
    } else {
        let search = format!("profile.name eq {}", quote(name_or_id));
        let query = [("search", search.as_str()), ("limit", "200")];
        let mut found = session.client.list("/api/v1/groups", &query).await?;
        found.retain(|group| str_at(group, "/profile/name") == Some(name_or_id));
        found
    };
    let (id, group) = only(found, "group", name_or_id)?;
    let name = str_at(&group, "/profile/name")
        .unwrap_or(name_or_id)
        .to_owned();
    if str_at(&group, "/type") == Some("BUILT_IN") && !built_in {
        return Err(invalid(format!(
            "assign.groups: `{name}` is one of Okta's built-in groups, which would assign the app to every user. If you want that, set assign.built_in = true."
        )));
    }
    Ok((id, name))
}

/// Finds an active user by login or id. Returns the id and the login.
///
/// # Errors
/// Returns an error if the user does not exist or is not active, or if the login is ambiguous.
pub async fn user(session: &Session, login_or_id: &str) -> Result<(OktaId, String), Failure> {
    let found = if OktaId::has_prefix(login_or_id, "00u") {
        match session
            .client
            .get(&format!("/api/v1/users/{login_or_id}"), &[])
            .await
        {
            Ok(response) => vec![response.body],
            Err(failure) if failure.kind == FailureKind::NotFound => Vec::new(),
            Err(failure) => return Err(failure),
        }
    } else {
        let search = format!("profile.login eq {}", quote(login_or_id));
        let query = [("search", search.as_str()), ("limit", "200")];
        let mut found = session.client.list("/api/v1/users", &query).await?;
        found.retain(|user| {
            str_at(user, "/profile/login")
                .is_some_and(|login| login.eq_ignore_ascii_case(login_or_id))
        });
        found
    };
    let (id, user) = only(found, "user", login_or_id)?;
    let login = str_at(&user, "/profile/login")
        .unwrap_or(login_or_id)
        .to_owned();
    if matches!(
        str_at(&user, "/status"),
        Some("DEPROVISIONED" | "SUSPENDED")
    ) {
        return Err(invalid(format!(
            "The user `{login}` is not active in Okta. Activate the user, or remove the name."
        )));
    }
    Ok((id, login))
}

/// Returns the only object of a list, with its id.
fn only(found: Vec<Value>, what: &str, name: &str) -> Result<(OktaId, Value), Failure> {
    let mut found: Vec<(OktaId, Value)> = found
        .into_iter()
        .filter_map(|object| Some((object_id(&object)?, object)))
        .collect();
    match (found.pop(), found.len()) {
        (None, _) => Err(invalid(format!(
            "There is no {what} `{name}` in the org. Use the name exactly as Okta shows it, or the id."
        ))),
        (Some(object), 0) => Ok(object),
        (Some(_), _) => Err(invalid(format!(
            "There are several {what}s `{name}` in the org. Use the id of the right one."
        ))),
    }
}

/// Returns the changes to assignments. Assignments that setup did not make stay.
///
/// # Errors
/// Returns an error if Okta does not list the assignments.
pub async fn diff(
    run: &Run,
    app: Option<&OktaId>,
    names: &ResolvedNames,
) -> Result<Vec<PlannedChange>, Failure> {
    let Some(app) = app else {
        let groups = names.groups.iter().map(|(_, name)| group_line(name));
        let users = names.users.iter().map(|(_, login)| user_line(login));
        return Ok(groups
            .chain(users)
            .map(|line| PlannedChange::later(STEP, line))
            .collect());
    };
    let mut changes = diff_groups(run, app, &names.groups).await?;
    changes.extend(diff_users(run, app, &names.users).await?);
    Ok(changes)
}

fn group_line(name: &str) -> String {
    format!("the group {name}")
}

fn user_line(login: &str) -> String {
    format!("the user {login}")
}

async fn diff_groups(
    run: &Run,
    app: &OktaId,
    desired: &[(OktaId, String)],
) -> Result<Vec<PlannedChange>, Failure> {
    let ours = &run.state.groups;
    if desired.is_empty() && ours.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/groups");
    let assigned = ids(&run.session.client.list(&path, &[("limit", "200")]).await?);
    let missing = desired.iter().filter(|(id, _)| !assigned.contains(id));
    let added = missing.map(|(id, name)| {
        let body = RequestBody::Json(json!({}));
        let change = StateChange::Group(id.clone(), name.clone());
        let write = Write::new(Method::PUT, format!("{path}/{id}"), body, change);
        PlannedChange::write(STEP, '+', group_line(name), write)
    });
    let removed = ours.iter().filter(|(id, _)| {
        assigned.contains(id) && !desired.iter().any(|(desired, _)| desired == *id)
    });
    let removed = removed.map(|(id, name)| {
        PlannedChange::write(STEP, '-', group_line(name), unassign_group(app, id))
    });
    Ok(added.chain(removed).collect())
}

async fn diff_users(
    run: &Run,
    app: &OktaId,
    desired: &[(OktaId, String)],
) -> Result<Vec<PlannedChange>, Failure> {
    let ours = &run.state.users;
    if desired.is_empty() && ours.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/users");
    let assigned = ids(&run.session.client.list(&path, &[("limit", "500")]).await?);
    let missing = desired.iter().filter(|(id, _)| !assigned.contains(id));
    let added = missing.map(|(id, login)| {
        PlannedChange::write(STEP, '+', user_line(login), assign_user(app, id, login))
    });
    let removed = ours.iter().filter(|(id, _)| {
        assigned.contains(id) && !desired.iter().any(|(desired, _)| desired == *id)
    });
    let removed = removed.map(|(id, login)| {
        PlannedChange::write(STEP, '-', user_line(login), unassign_user(app, id))
    });
    Ok(added.chain(removed).collect())
}

/// Assigns a user, without a profile, because Okta refuses mapped attributes in it.
pub fn assign_user(app: &OktaId, id: &OktaId, login: &str) -> Write {
    Write::post(
        format!("/api/v1/apps/{app}/users"),
        json!({ "id": id, "scope": "USER", "credentials": { "userName": login } }),
        StateChange::User(id.clone(), login.to_owned()),
    )
}

/// Unassigns a user. Okta then deactivates the user in Rollcall.
pub fn unassign_user(app: &OktaId, id: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/users/{id}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoUser(id.clone()),
    )
    .with("sendEmail", "false")
}

/// Unassigns a group.
pub fn unassign_group(app: &OktaId, id: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/groups/{id}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoGroup(id.clone()),
    )
}

fn ids(list: &[Value]) -> BTreeSet<OktaId> {
    list.iter().filter_map(object_id).collect()
}

/// Finds the push mapping of a group.
///
/// # Errors
/// Returns an error if Okta does not list the mappings.
pub async fn find_push(
    session: &Session,
    app: &OktaId,
    source: &OktaId,
) -> Result<Option<OktaId>, Failure> {
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let mappings = session.client.list(&path, &[("limit", "1000")]).await?;
    Ok(mappings
        .iter()
        .find(|mapping| str_at(mapping, "/sourceGroupId") == Some(source.as_str()))
        .and_then(object_id))
}

/// Returns the changes to group push, and reports the groups that Okta failed to push.
///
/// # Errors
/// Returns an error if Okta does not list the push mappings.
pub async fn diff_group_push(
    run: &mut Run,
    app: Option<&OktaId>,
    names: &ResolvedNames,
) -> Result<Vec<PlannedChange>, Failure> {
    let Some(app) = app else {
        return Ok(names
            .pushes
            .iter()
            .map(|(_, name, push)| PlannedChange::later(PUSH_STEP, push_line(name, push)))
            .collect());
    };
    if names.pushes.is_empty() && run.state.pushes.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let mappings = run.session.client.list(&path, &[("limit", "1000")]).await?;
    let mut changes = Vec::new();
    for (source, name, push) in &names.pushes {
        let mapping = mappings
            .iter()
            .find(|mapping| str_at(mapping, "/sourceGroupId") == Some(source.as_str()));
        match mapping.map(|mapping| (object_id(mapping), str_at(mapping, "/status"), mapping)) {
            None => {
                let change = StateChange::Push(source.clone(), name.clone());
                let write = Write::post(path.clone(), push_body(source, name, push), change);
                let line = push_line(name, push);
                changes.push(PlannedChange::write(PUSH_STEP, '+', line, write));
            }
            Some((Some(id), Some("INACTIVE"), _)) => {
                let line = format!("push the group {name} again");
                let write = push_status(app, &id, "ACTIVE");
                changes.push(PlannedChange::write(PUSH_STEP, '~', line, write));
            }
            Some((_, Some("ERROR"), mapping)) => {
                let reason = str_at(mapping, "/errorSummary").unwrap_or("no reason given");
                run.report.fault(
                    PUSH_STEP,
                    format!("Okta could not push the group {name}: {reason}. Fix the cause, then press Push now under Push Groups."),
                );
            }
            Some(_) => {}
        }
    }
    changes.extend(undesired_pushes(run, app, &mappings, names));
    Ok(changes)
}

/// Returns the removal of push mappings that setup created and `setup.toml` no longer names.
fn undesired_pushes(
    run: &Run,
    app: &OktaId,
    mappings: &[Value],
    names: &ResolvedNames,
) -> Vec<PlannedChange> {
    let mut changes = Vec::new();
    for (id, name) in &run.state.pushes {
        let mapping = mappings
            .iter()
            .find(|mapping| object_id(mapping).as_ref() == Some(id));
        let source = mapping.and_then(|mapping| str_at(mapping, "/sourceGroupId"));
        let is_desired = names
            .pushes
            .iter()
            .any(|(desired, _, _)| Some(desired.as_str()) == source);
        if let Some(mapping) = mapping
            && !is_desired
        {
            let line = format!("the group {name} (it stays in Rollcall as it is)");
            if str_at(mapping, "/status") != Some("INACTIVE") {
                let write = push_status(app, id, "INACTIVE");
                changes.push(PlannedChange::write(PUSH_STEP, '-', line.clone(), write));
            }
            let write = delete_push(app, id);
            changes.push(PlannedChange::write(PUSH_STEP, '-', line, write));
        }
    }
    changes
}

fn push_line(name: &str, push: &PushGroup) -> String {
    match (&push.target_id, &push.target) {
        (Some(id), _) => format!("the group {name} to the group with the id {id}"),
        (None, Some(target)) => format!("the group {name} as {target}"),
        (None, None) => format!("the group {name}"),
    }
}

fn push_body(source: &OktaId, name: &str, push: &PushGroup) -> Value {
    match &push.target_id {
        Some(id) => json!({ "sourceGroupId": source, "status": "ACTIVE", "targetGroupId": id }),
        None => json!({
            "sourceGroupId": source,
            "status": "ACTIVE",
            "targetGroupName": push.target.as_deref().unwrap_or(name),
        }),
    }
}

/// Activates or deactivates a push mapping.
pub fn push_status(app: &OktaId, mapping: &OktaId, status: &str) -> Write {
    let path = format!("/api/v1/apps/{app}/group-push/mappings/{mapping}");
    let body = RequestBody::Json(json!({ "status": status }));
    Write::new(Method::PATCH, path, body, StateChange::Nothing)
}

/// Deletes a push mapping. The group stays in Rollcall.
pub fn delete_push(app: &OktaId, mapping: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/group-push/mappings/{mapping}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoPush(mapping.clone()),
    )
    .with("deleteTargetGroup", "false")
}
