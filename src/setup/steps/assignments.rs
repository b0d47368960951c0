//! Who has the app, and which groups are pushed. Names are resolved before anything is made, so that a name which does
//! not exist leaves nothing half done.

use std::collections::BTreeSet;

use okta_client::transport::RequestBody;
use okta_client::value::{id_of, quoted, text};
use reqwest::Method;
use serde_json::{Value, json};

use crate::setup::desired::PushGroup;
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::session::Session;
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "assign";
pub const PUSH_STEP: &str = "push";

/// The wished groups and users, by Okta's ids.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    pub groups: Vec<(OktaId, String)>,
    pub users: Vec<(OktaId, String)>,
    pub pushes: Vec<(OktaId, String, PushGroup)>,
}

/// Looks every name up.
///
/// # Errors
/// A name that nobody or several have; a built-in group that was not allowed; a user who is not active.
pub async fn resolve(session: &Session) -> Result<Resolved, Failure> {
    let wish = &session.wish;
    let mut resolved = Resolved::default();
    for name in &wish.assign.groups {
        resolved
            .groups
            .push(group(session, name, wish.assign.built_in).await?);
    }
    for login in &wish.assign.users {
        resolved.users.push(user(session, login).await?);
    }
    for push in &wish.push_groups {
        let (id, name) = group(session, &push.group, true).await?;
        if resolved.groups.iter().any(|(assigned, _)| *assigned == id) {
            return Err(wrong(format!(
                "push_groups: `{name}` is assigned as well. Okta sends no removals for a group that is both: take another one for pushing."
            )));
        }
        resolved.pushes.push((id, name, push.clone()));
    }
    Ok(resolved)
}

fn wrong(message: String) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

async fn group(
    session: &Session,
    wished: &str,
    built_in: bool,
) -> Result<(OktaId, String), Failure> {
    let found = if OktaId::is_of_kind(wished, "00g") {
        match session
            .client
            .get(&format!("/api/v1/groups/{wished}"), &[])
            .await
        {
            Ok(answer) => vec![answer.body],
            Err(failure) if failure.why == FailureKind::Gone => Vec::new(),
            Err(failure) => return Err(failure),
        }
    } else {
        let search = format!("profile.name eq {}", quoted(wished));
        let query = [("search", search.as_str()), ("limit", "200")];
        let mut found = session.client.list("/api/v1/groups", &query).await?;
        found.retain(|group| text(group, "/profile/name") == Some(wished));
        found
    };
    let one = only(found, "group", wished)?;
    let name = text(&one.1, "/profile/name").unwrap_or(wished).to_owned();
    if text(&one.1, "/type") == Some("BUILT_IN") && !built_in {
        return Err(wrong(format!(
            "assign.groups: `{name}` is one of Okta's built-in groups, which would give the app to everybody. If that is meant, set assign.built_in = true."
        )));
    }
    Ok((one.0, name))
}

/// A user by login or id.
///
/// # Errors
/// See [`resolve`].
pub async fn user(session: &Session, wished: &str) -> Result<(OktaId, String), Failure> {
    let found = if OktaId::is_of_kind(wished, "00u") {
        match session
            .client
            .get(&format!("/api/v1/users/{wished}"), &[])
            .await
        {
            Ok(answer) => vec![answer.body],
            Err(failure) if failure.why == FailureKind::Gone => Vec::new(),
            Err(failure) => return Err(failure),
        }
    } else {
        let search = format!("profile.login eq {}", quoted(wished));
        let query = [("search", search.as_str()), ("limit", "200")];
        let mut found = session.client.list("/api/v1/users", &query).await?;
        found.retain(|user| {
            text(user, "/profile/login").is_some_and(|login| login.eq_ignore_ascii_case(wished))
        });
        found
    };
    let one = only(found, "user", wished)?;
    let login = text(&one.1, "/profile/login").unwrap_or(wished).to_owned();
    if matches!(text(&one.1, "/status"), Some("DEPROVISIONED" | "SUSPENDED")) {
        return Err(wrong(format!(
            "The user `{login}` is not active in Okta. Activate the user, or leave it out."
        )));
    }
    Ok((one.0, login))
}

fn only(found: Vec<Value>, what: &str, wished: &str) -> Result<(OktaId, Value), Failure> {
    let mut found: Vec<(OktaId, Value)> = found
        .into_iter()
        .filter_map(|one| Some((id_of(&one)?, one)))
        .collect();
    match (found.pop(), found.len()) {
        (None, _) => Err(wrong(format!(
            "There is no {what} `{wished}` in the org. Write the name exactly as Okta shows it, or its id."
        ))),
        (Some(one), 0) => Ok(one),
        (Some(_), _) => Err(wrong(format!(
            "There are several {what}s `{wished}` in the org. Write the id of the right one."
        ))),
    }
}

/// What is to be done about assignments. What somebody else assigned is left alone.
///
/// # Errors
/// See [`Failure`].
pub async fn look(
    run: &Run,
    app: Option<&OktaId>,
    wished: &Resolved,
) -> Result<Vec<PlannedChange>, Failure> {
    let Some(app) = app else {
        let lines = wished
            .groups
            .iter()
            .map(|(_, name)| format!("the group {name}"))
            .chain(
                wished
                    .users
                    .iter()
                    .map(|(_, login)| format!("the user {login}")),
            );
        return Ok(lines.map(|line| PlannedChange::later(STEP, line)).collect());
    };
    let mut changes = Vec::new();
    if !(wished.groups.is_empty() && run.kept.groups.is_empty()) {
        let path = format!("/api/v1/apps/{app}/groups");
        let is = ids(&run.session.client.list(&path, &[("limit", "200")]).await?);
        for (id, name) in &wished.groups {
            if !is.contains(id) {
                let body = RequestBody::Json(json!({}));
                let keep = StateChange::Group(id.clone(), name.clone());
                let write = Write::new(Method::PUT, format!("{path}/{id}"), body, keep);
                changes.push(PlannedChange::write(
                    STEP,
                    '+',
                    format!("the group {name}"),
                    write,
                ));
            }
        }
        for (id, name) in &run.kept.groups {
            if is.contains(id) && !wished.groups.iter().any(|(wished, _)| wished == id) {
                changes.push(PlannedChange::write(
                    STEP,
                    '-',
                    format!("the group {name}"),
                    drop_group(app, id),
                ));
            }
        }
    }
    if !(wished.users.is_empty() && run.kept.users.is_empty()) {
        let path = format!("/api/v1/apps/{app}/users");
        let is = ids(&run.session.client.list(&path, &[("limit", "500")]).await?);
        for (id, login) in &wished.users {
            if !is.contains(id) {
                let write = assign_user(app, id, login);
                changes.push(PlannedChange::write(
                    STEP,
                    '+',
                    format!("the user {login}"),
                    write,
                ));
            }
        }
        for (id, login) in &run.kept.users {
            if is.contains(id) && !wished.users.iter().any(|(wished, _)| wished == id) {
                changes.push(PlannedChange::write(
                    STEP,
                    '-',
                    format!("the user {login}"),
                    drop_user(app, id),
                ));
            }
        }
    }
    Ok(changes)
}

/// Assigns one user, with no profile: mapped attributes must not stand in it.
pub fn assign_user(app: &OktaId, id: &OktaId, login: &str) -> Write {
    Write::post(
        format!("/api/v1/apps/{app}/users"),
        json!({ "id": id, "scope": "USER", "credentials": { "userName": login } }),
        StateChange::User(id.clone(), login.to_owned()),
    )
}

/// Takes the app from one user, whom Okta then deactivates here.
pub fn drop_user(app: &OktaId, id: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/users/{id}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoUser(id.clone()),
    )
    .with("sendEmail", "false")
}

pub fn drop_group(app: &OktaId, id: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/groups/{id}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoGroup(id.clone()),
    )
}

fn ids(list: &[Value]) -> BTreeSet<OktaId> {
    list.iter().filter_map(id_of).collect()
}

/// The push of this group, if there is one.
///
/// # Errors
/// See [`Failure`].
pub async fn push_of(
    session: &Session,
    app: &OktaId,
    source: &OktaId,
) -> Result<Option<OktaId>, Failure> {
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let all = session.client.list(&path, &[("limit", "1000")]).await?;
    Ok(all
        .iter()
        .find(|one| text(one, "/sourceGroupId") == Some(source.as_str()))
        .and_then(id_of))
}

/// What is to be done about group push.
///
/// # Errors
/// See [`Failure`].
pub async fn look_at_pushes(
    run: &mut Run,
    app: Option<&OktaId>,
    wished: &Resolved,
) -> Result<Vec<PlannedChange>, Failure> {
    let target = |name: &str, push: &PushGroup| match (&push.target_id, &push.target) {
        (Some(id), _) => format!("the group {name} to the group with the id {id}"),
        (None, Some(target)) => format!("the group {name} as {target}"),
        (None, None) => format!("the group {name}"),
    };
    let Some(app) = app else {
        return Ok(wished
            .pushes
            .iter()
            .map(|(_, name, push)| PlannedChange::later(PUSH_STEP, target(name, push)))
            .collect());
    };
    if wished.pushes.is_empty() && run.kept.pushes.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let all = run.session.client.list(&path, &[("limit", "1000")]).await?;
    let mut changes = Vec::new();
    for (source, name, push) in &wished.pushes {
        let is = all
            .iter()
            .find(|one| text(one, "/sourceGroupId") == Some(source.as_str()));
        match is.map(|one| (id_of(one), text(one, "/status"), one)) {
            None => {
                let mut body = json!({ "sourceGroupId": source, "status": "ACTIVE" });
                if let Some(object) = body.as_object_mut() {
                    match &push.target_id {
                        Some(id) => object.insert("targetGroupId".into(), json!(id)),
                        None => object.insert(
                            "targetGroupName".into(),
                            json!(push.target.as_ref().unwrap_or(name)),
                        ),
                    };
                }
                let write = Write::post(
                    path.clone(),
                    body,
                    StateChange::Push(source.clone(), name.clone()),
                );
                changes.push(PlannedChange::write(
                    PUSH_STEP,
                    '+',
                    target(name, push),
                    write,
                ));
            }
            Some((Some(id), Some("INACTIVE"), _)) => {
                changes.push(PlannedChange::write(
                    PUSH_STEP,
                    '~',
                    format!("push the group {name} again"),
                    push_status(app, &id, "ACTIVE"),
                ));
            }
            Some((_, Some("ERROR"), one)) => {
                let reason = text(one, "/errorSummary").unwrap_or("no reason given");
                run.report.fault(
                    PUSH_STEP,
                    format!("Okta could not push the group {name}: {reason}. Press Push now under Push Groups when that is mended."),
                );
            }
            Some(_) => {}
        }
    }
    for (id, name) in &run.kept.pushes {
        let is = all.iter().find(|one| id_of(one).as_ref() == Some(id));
        let source = is.and_then(|one| text(one, "/sourceGroupId"));
        let is_wished = wished
            .pushes
            .iter()
            .any(|(wished, _, _)| Some(wished.as_str()) == source);
        if let Some(one) = is
            && !is_wished
        {
            let line = format!("the group {name} (it stays here, as it is)");
            if text(one, "/status") != Some("INACTIVE") {
                let write = push_status(app, id, "INACTIVE");
                changes.push(PlannedChange::write(PUSH_STEP, '-', line.clone(), write));
            }
            changes.push(PlannedChange::write(
                PUSH_STEP,
                '-',
                line,
                drop_push(app, id),
            ));
        }
    }
    Ok(changes)
}

pub fn push_status(app: &OktaId, mapping: &OktaId, status: &str) -> Write {
    let path = format!("/api/v1/apps/{app}/group-push/mappings/{mapping}");
    let body = RequestBody::Json(json!({ "status": status }));
    Write::new(Method::PATCH, path, body, StateChange::Nothing)
}

/// Ends a push; the group stays in Rollcall.
pub fn drop_push(app: &OktaId, mapping: &OktaId) -> Write {
    let path = format!("/api/v1/apps/{app}/group-push/mappings/{mapping}");
    Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::NoPush(mapping.clone()),
    )
    .with("deleteTargetGroup", "false")
}
