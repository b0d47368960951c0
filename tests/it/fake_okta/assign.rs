//! Users, groups, app assignments and group push.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::apps::app;
use super::handler::{Holder, body, equals, only_query, page};
use super::http::{Reply, Request};
use super::org::{AppUser, Group, Job, Org, Push, User, now};

/// Handles `users`, `groups` and `api-tokens`.
pub fn route_directory(
    org: &mut Org,
    request: &Request,
    segments: &[&str],
    holder: &Holder,
) -> Option<Reply> {
    Some(match (request.method.as_str(), segments) {
        ("GET", ["users", "me"]) => match holder.user.as_deref().and_then(|id| org.users.get(id)) {
            Some(user) => Reply::ok(user_json(user)),
            None => Reply::not_found("me"),
        },
        ("GET", ["users"]) => search(org, request, "profile.login"),
        ("POST", ["users"]) => new_user(org, request),
        ("GET", ["groups"]) => search(org, request, "profile.name"),
        ("GET", ["api-tokens"]) => Reply::ok(api_tokens(org)),
        ("DELETE", ["api-tokens", "current"]) => {
            let user = holder.user.clone();
            org.tokens
                .retain(|token| Some(&token.user) != user.as_ref());
            Reply::empty()
        }
        ("GET", ["groups", id]) => match org.groups.get(*id) {
            Some(group) => Reply::ok(group_json(group)),
            None => Reply::not_found(id),
        },
        ("GET", ["groups", id, "users"]) => {
            only_query(org, request, &["limit", "after"]);
            let Some(group) = org.groups.get(*id) else {
                return Some(Reply::not_found(id));
            };
            let members = group.members.iter().map(|id| user_json(&org.users[id]));
            let members = members.collect();
            page(org, request, members, 1000, 1000)
        }
        (_, ["users", id, ..]) if user_id(org, id).is_none() => Reply::not_found(id),
        ("GET", ["users", id]) => Reply::ok(user_json(&org.users[&user_id(org, id)?])),
        ("GET", ["users", id, "roles"]) => Reply::ok(roles(org, id)),
        ("PUT", ["users", id]) => {
            let given = body(org, request, &["profile", "credentials"]);
            let profile = given["profile"].as_object().cloned().unwrap_or_default();
            let id = user_id(org, id)?;
            change_profile(org, &id, profile);
            Reply::ok(user_json(&org.users[&id]))
        }
        ("POST", ["users", id, "lifecycle", step @ ("activate" | "deactivate")]) => {
            let id = user_id(org, id)?;
            if *step == "activate" {
                org.users.get_mut(&id)?.is_active = true;
            } else {
                deactivate_user(org, &id);
            }
            Reply::ok(json!({}))
        }
        _ => return None,
    })
}

/// Finds a user by id or login.
fn user_id(org: &Org, text: &str) -> Option<String> {
    let by_login = || org.user_by_login(text).map(|user| user.id.clone());
    org.users
        .get(text)
        .map(|user| user.id.clone())
        .or_else(by_login)
}

pub fn user_json(user: &User) -> Value {
    let status = if user.is_active {
        "ACTIVE"
    } else {
        "DEPROVISIONED"
    };
    json!({ "id": user.id, "status": status, "created": now(), "profile": user.profile, "credentials": {} })
}

pub fn group_json(group: &Group) -> Value {
    let kind = if group.is_built_in {
        "BUILT_IN"
    } else {
        "OKTA_GROUP"
    };
    json!({
        "id": group.id, "type": kind, "objectClass": ["okta:user_group"],
        "profile": { "name": group.name, "description": null },
    })
}

/// Lists users or groups, or finds one by the attribute that setup searches by.
fn search(org: &mut Org, request: &Request, attribute: &str) -> Reply {
    only_query(org, request, &["search", "limit", "after", "q"]);
    let query = request.query();
    let searched = match query.get("search").map(|search| equals(search, attribute)) {
        Some(None) => {
            org.complain(format!(
                "a search that Okta does not have: {}",
                request.describe()
            ));
            return Reply::error(400, "E0000031", "Invalid search criteria.");
        }
        other => other.flatten(),
    };
    let is = |name: &str| searched.is_none_or(|searched| searched.eq_ignore_ascii_case(name));
    let found: Vec<Value> = if attribute == "profile.login" {
        org.users
            .values()
            .filter(|user| is(user.login()))
            .map(user_json)
            .collect()
    } else {
        org.groups
            .values()
            .filter(|group| is(&group.name))
            .map(group_json)
            .collect()
    };
    let (default, max) = if attribute == "profile.login" {
        (200, 200)
    } else {
        (1000, 10_000)
    };
    page(org, request, found, default, max)
}

fn new_user(org: &mut Org, request: &Request) -> Reply {
    only_query(org, request, &["activate"]);
    let given = body(org, request, &["profile", "credentials", "groupIds"]);
    match &given["profile"] {
        Value::Object(profile) => {
            let id = org.add_user(profile.clone());
            Reply::ok(user_json(&org.users[&id]))
        }
        _ => Reply::invalid("profile"),
    }
}

fn roles(org: &Org, user: &str) -> Value {
    let token = org.tokens.iter().find(|token| token.user == user);
    let roles = token.map(|token| token.roles.clone()).unwrap_or_default();
    let role = |kind: &&str| json!({ "id": kind, "type": kind, "label": kind, "status": "ACTIVE" });
    json!(roles.iter().map(role).collect::<Vec<_>>())
}

fn api_tokens(org: &Org) -> Value {
    let describe = org.tokens.iter().map(|token| {
        let expires = super::org::now_s() + token.days_left * 86_400 + 60;
        let expires = jiff::Timestamp::from_second(expires).expect("a time");
        json!({
            "id": token.id, "name": format!("token of {}", token.user), "userId": token.user,
            "tokenWindow": "P30D", "expiresAt": expires.to_string(), "clientName": "Okta API",
        })
    });
    json!(describe.collect::<Vec<_>>())
}

/// Handles `apps/{id}/users`, `apps/{id}/groups` and `apps/{id}/group-push`.
pub fn route(org: &mut Org, request: &Request, segments: &[&str]) -> Option<Reply> {
    Some(match (request.method.as_str(), segments) {
        ("GET", ["apps", id, "users"]) => {
            only_query(org, request, &["limit", "after", "q", "expand"]);
            let users = org.apps[*id]
                .users
                .values()
                .map(|user| app_user_json(org, user))
                .collect();
            page(org, request, users, 50, 500)
        }
        ("POST", ["apps", id, "users"]) => assign_user(org, request, id),
        (_, ["apps", id, "users", user]) if !org.apps[*id].users.contains_key(*user) => {
            Reply::not_found(&format!("{user} (AppUser)"))
        }
        ("GET", ["apps", id, "users", user]) => {
            Reply::ok(app_user_json(org, &org.apps[*id].users[*user]))
        }
        ("DELETE", ["apps", id, "users", user]) => {
            only_query(org, request, &["sendEmail"]);
            unassign_user(org, id, user);
            Reply::empty()
        }
        ("GET", ["apps", id, "groups"]) => {
            only_query(org, request, &["limit", "after", "q", "expand"]);
            let groups = org.apps[*id].groups.iter();
            let groups = groups
                .map(|(id, assigned)| json!({ "id": id, "priority": 0, "profile": assigned }));
            let groups = groups.collect();
            page(org, request, groups, 20, 200)
        }
        ("PUT", ["apps", id, "groups", group]) => assign_group(org, request, id, group),
        ("GET" | "DELETE", ["apps", id, "groups", group])
            if !org.apps[*id].groups.contains_key(*group) =>
        {
            Reply::not_found(group)
        }
        ("GET", ["apps", _, "groups", group]) => Reply::ok(json!({ "id": group, "priority": 0 })),
        ("DELETE", ["apps", id, "groups", group]) => {
            unassign_group(org, id, group);
            Reply::empty()
        }
        ("GET", ["apps", id, "group-push", "mappings"]) => {
            only_query(
                org,
                request,
                &["limit", "after", "sourceGroupId", "status", "lastUpdated"],
            );
            let query = request.query();
            let source = query.get("sourceGroupId");
            let pushes = org.apps[*id].pushes.values();
            let pushes = pushes.filter(|push| source.is_none_or(|source| *source == push.source));
            let pushes = pushes.map(push_json).collect();
            page(org, request, pushes, 100, 1000)
        }
        ("POST", ["apps", id, "group-push", "mappings"]) => new_push(org, request, id),
        (_, ["apps", id, "group-push", "mappings", push])
            if !org.apps[*id].pushes.contains_key(*push) =>
        {
            Reply::not_found(push)
        }
        ("GET", ["apps", id, "group-push", "mappings", push]) => {
            Reply::ok(push_json(&org.apps[*id].pushes[*push]))
        }
        ("PATCH", ["apps", id, "group-push", "mappings", push]) => {
            switch_push(org, request, id, push)
        }
        ("DELETE", ["apps", id, "group-push", "mappings", push]) => {
            delete_push(org, request, id, push)
        }
        _ => return None,
    })
}

fn app_user_json(org: &Org, user: &AppUser) -> Value {
    let login = org.users.get(&user.user).map(super::org::User::login);
    json!({
        "id": user.user, "externalId": user.external_id, "scope": user.scope, "status": user.status,
        "syncState": user.sync_state, "created": now(), "credentials": { "userName": login },
        "profile": {},
    })
}

fn assign_user(org: &mut Org, request: &Request, id: &str) -> Reply {
    let given = body(org, request, &["id", "scope", "credentials", "profile"]);
    let Some(user) = given["id"]
        .as_str()
        .filter(|user| org.users.contains_key(*user))
    else {
        return Reply::not_found("user");
    };
    let is_ours = request.header("user-agent").starts_with("rollcall/");
    if is_ours
        && given["profile"]
            .as_object()
            .is_some_and(|profile| !profile.is_empty())
    {
        // With profile push on, Okta rejects mapped attributes.
        org.complain(format!(
            "a profile with an assignment: {}",
            request.describe()
        ));
    }
    if !org.users[user].is_active {
        return Reply::error(403, "E0000117", "Cannot assign an inactive user");
    }
    if org.apps[id].users.contains_key(user) {
        return Reply::error(409, "E0000062", "The user already has an app assignment");
    }
    add_app_user(org, id, user, "USER");
    org.note("application.user_membership.add", &[id, user], Ok(()));
    Reply::ok(app_user_json(org, &org.apps[id].users[user]))
}

pub fn add_app_user(org: &mut Org, id: &str, user: &str, scope: &'static str) {
    let does = org.apps[id].does("PUSH_NEW_USERS");
    let row = AppUser {
        user: user.to_owned(),
        scope,
        external_id: None,
        status: "STAGED",
        sync_state: if does { "SYNCING" } else { "DISABLED" },
        password: None,
    };
    app(org, id).users.insert(user.to_owned(), row);
    if does {
        let (app, user) = (id.to_owned(), user.to_owned());
        org.jobs.push_back(Job::Provision { app, user });
    }
}

/// Removes the app from the user, and deactivates the user in it if that feature is on.
pub fn unassign_user(org: &mut Org, id: &str, user: &str) {
    let app = app(org, id);
    let Some(row) = app.users.remove(user) else {
        return;
    };
    let does = app.does("PUSH_USER_DEACTIVATION");
    if let (true, Some(connection), Some(external_id)) =
        (does, app.connection.clone(), row.external_id)
    {
        org.jobs.push_back(Job::Deactivate {
            connection,
            app: id.to_owned(),
            user: user.to_owned(),
            external_id,
        });
    }
    org.note("application.user_membership.remove", &[id, user], Ok(()));
}

fn assign_group(org: &mut Org, request: &Request, id: &str, group: &str) -> Reply {
    if !request.body.is_empty() {
        body(org, request, &["priority", "profile"]);
    }
    if !org.groups.contains_key(group) {
        return Reply::not_found(group);
    }
    app(org, id).groups.insert(group.to_owned(), json!({}));
    let members: Vec<String> = org.groups[group].members.iter().cloned().collect();
    for user in members {
        if org.users[&user].is_active && !org.apps[id].users.contains_key(&user) {
            add_app_user(org, id, &user, "GROUP");
        }
    }
    org.note("group.application_assignment.add", &[id, group], Ok(()));
    Reply::ok(json!({ "id": group, "priority": 0, "profile": {} }))
}

pub fn unassign_group(org: &mut Org, id: &str, group: &str) {
    app(org, id).groups.remove(group);
    let remaining: BTreeSet<String> = org.apps[id]
        .groups
        .keys()
        .flat_map(|other| org.groups[other].members.iter().cloned())
        .collect();
    let leavers: Vec<String> = org.groups[group]
        .members
        .iter()
        .filter(|user| !remaining.contains(*user))
        .filter(|user| {
            org.apps[id]
                .users
                .get(*user)
                .is_some_and(|row| row.scope == "GROUP")
        })
        .cloned()
        .collect();
    for user in leavers {
        unassign_user(org, id, &user);
    }
    org.note("group.application_assignment.remove", &[id, group], Ok(()));
}

fn push_json(push: &Push) -> Value {
    json!({
        "id": push.id, "sourceGroupId": push.source, "targetGroupId": push.target,
        "status": push.status, "errorSummary": push.error, "created": now(), "lastPush": null,
    })
}

fn new_push(org: &mut Org, request: &Request, id: &str) -> Reply {
    let known = [
        "sourceGroupId",
        "targetGroupName",
        "targetGroupId",
        "status",
        "appConfig",
    ];
    let given = body(org, request, &known);
    let text = |name: &str| given[name].as_str().map(str::to_owned);
    let (source, name, target) = (
        text("sourceGroupId"),
        text("targetGroupName"),
        text("targetGroupId"),
    );
    let Some(source) = source.filter(|source| org.groups.contains_key(source)) else {
        return Reply::not_found("sourceGroupId");
    };
    if name.is_some() == target.is_some() {
        return Reply::invalid("exactly one of targetGroupName and targetGroupId");
    }
    if org.apps[id]
        .pushes
        .values()
        .any(|push| push.source == source)
    {
        org.complain(format!("{source} is pushed twice"));
        return Reply::error(400, "E0000027", "The group is pushed already.");
    }
    let push_id = org.new_id("gPm");
    let made = org.new_id("00g");
    let push = Push {
        id: push_id.clone(),
        target: target.unwrap_or(made),
        follows_name: name
            .as_ref()
            .is_none_or(|name| *name == org.groups[&source].name),
        target_name: name.unwrap_or_else(|| org.groups[&source].name.clone()),
        source,
        status: "ACTIVE",
        error: None,
        remote: None,
        pushed_members: BTreeSet::new(),
    };
    // As recorded live; the specification says 201.
    let answer = Reply::ok(push_json(&push));
    let app = app(org, id);
    app.pushes.insert(push_id.clone(), push);
    push_soon(org, id, &push_id, true);
    answer
}

/// Pushes a group if pushing is on.
pub fn push_soon(org: &mut Org, id: &str, push: &str, is_full: bool) {
    let app = &org.apps[id];
    if app.does("GROUP_PUSH") && app.pushes[push].status == "ACTIVE" {
        org.jobs.push_back(Job::PushGroup {
            app: id.to_owned(),
            push: push.to_owned(),
            is_full,
        });
    }
}

fn switch_push(org: &mut Org, request: &Request, id: &str, push: &str) -> Reply {
    let given = body(org, request, &["status"]);
    let status = match given["status"].as_str() {
        Some("ACTIVE") => "ACTIVE",
        Some("INACTIVE") => "INACTIVE",
        _ => return Reply::invalid("status: ACTIVE or INACTIVE"),
    };
    let row = app(org, id)
        .pushes
        .get_mut(push)
        .expect("the route looked it up");
    row.status = status;
    let answer = Reply::ok(push_json(row));
    push_soon(org, id, push, true);
    answer
}

fn delete_push(org: &mut Org, request: &Request, id: &str, push: &str) -> Reply {
    only_query(org, request, &["deleteTargetGroup"]);
    let query = request.query();
    let deletes = match query.get("deleteTargetGroup").map(String::as_str) {
        Some("true") => true,
        Some("false") => false,
        _ => {
            org.complain(format!(
                "deleteTargetGroup is missing: {}",
                request.describe()
            ));
            return Reply::invalid("deleteTargetGroup: must be given");
        }
    };
    if org.apps[id].pushes[push].status != "INACTIVE" {
        org.complain(format!(
            "the push mapping {push} is deleted while it is active"
        ));
        return Reply::invalid("The mapping must be inactive.");
    }
    let app = app(org, id);
    let row = app.pushes.remove(push).expect("the route looked it up");
    if let (true, Some(connection), Some(remote)) = (deletes, app.connection.clone(), row.remote) {
        org.jobs.push_back(Job::DeleteGroup { connection, remote });
    }
    Reply::empty()
}

// Changes in Okta, and their effects on the apps.

pub fn change_profile(org: &mut Org, id: &str, profile: Map<String, Value>) {
    org.users
        .get_mut(id)
        .expect("the user")
        .profile
        .extend(profile);
    for (app, row) in apps_of_user(org, id) {
        if org.apps[&app].does("PUSH_PROFILE_UPDATES") && row.external_id.is_some() {
            let user = id.to_owned();
            org.jobs.push_back(Job::Update { app, user });
        }
    }
}

pub fn deactivate_user(org: &mut Org, id: &str) {
    org.users.get_mut(id).expect("the user").is_active = false;
    for (app, _) in apps_of_user(org, id) {
        unassign_user(org, &app, id);
    }
}

fn apps_of_user(org: &Org, user: &str) -> Vec<(String, AppUser)> {
    let apps = org.apps.values();
    apps.filter_map(|app| Some((app.id.clone(), app.users.get(user)?.clone())))
        .collect()
}

/// Queues the push of a group after its members or name changed.
pub fn follow_group(org: &mut Org, group: &str) {
    let ids: Vec<String> = org.apps.keys().cloned().collect();
    for id in ids {
        if org.apps[&id].groups.contains_key(group) {
            let members = org.groups[group].members.clone();
            for user in &members {
                if org.users[user].is_active && !org.apps[&id].users.contains_key(user) {
                    add_app_user(org, &id, user, "GROUP");
                }
            }
            let rows = org.apps[&id].users.values();
            let remaining: BTreeSet<String> = org.apps[&id]
                .groups
                .keys()
                .flat_map(|other| org.groups[other].members.iter().cloned())
                .collect();
            let gone = rows.filter(|row| row.scope == "GROUP" && !remaining.contains(&row.user));
            let gone: Vec<String> = gone.map(|row| row.user.clone()).collect();
            for user in gone {
                unassign_user(org, &id, &user);
            }
        }
        let pushes = org.apps[&id].pushes.values();
        let pushes = pushes.filter(|push| push.source == group);
        let pushes: Vec<String> = pushes.map(|push| push.id.clone()).collect();
        for push in pushes {
            push_soon(org, &id, &push, false);
        }
    }
}
