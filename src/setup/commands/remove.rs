//! `rollcall setup remove`: removes what setup created, and nothing else: first what depends on the
//! app, then the app, then Rollcall's token.

use std::collections::BTreeSet;
use std::time::Duration;

use okta_client::json::{object_id, str_at, strs_at};
use okta_client::{Credential, Method, RequestBody};
use serde_json::{Map, Value, json};

use crate::setup::commands::instructions::Polling;
use crate::setup::report::{Outcome, StepState};
use crate::setup::run::{Run, Write, store_failure};
use crate::setup::state::{SetupState, StateChange};
use crate::setup::steps::{app, assignments, connection, diff, event_hook};
use crate::setup::{Failure, FailureKind, OktaId, preflight, recover};

/// The flags of `remove`.
#[derive(Debug, Clone, Copy)]
pub struct Removal {
    /// Without it the command only shows what it would do.
    pub is_confirmed: bool,
    /// Do not revoke Rollcall's token.
    pub keep_token: bool,
    /// How long to wait until Okta has deactivated the users that lose the app.
    pub polling: Polling,
    /// Revoke the API token at the end.
    pub revoke_okta_token: bool,
}

/// A write of a removal, with the step and the line that a report shows.
type RemovalStep = (&'static str, String, Write);

/// What a removal will do.
#[derive(Default)]
struct RemovalPlan {
    /// What depends on the app, and the event hook.
    writes: Vec<RemovalStep>,
    /// The removal of the app, after Okta has deactivated its users.
    last: Vec<RemovalStep>,
    revokes_token: bool,
    revokes_okta_token: bool,
}

/// Removes what setup created, or shows what it would remove.
///
/// # Errors
/// Returns an error if the app does not carry the marker, so that setup may not have created it.
pub async fn remove(run: &mut Run, removal: Removal) -> Result<Outcome, Failure> {
    let session = std::sync::Arc::clone(&run.session);
    run.report.mute_ok();
    preflight::check_org(&session, &mut run.report).await?;
    preflight::check_credential(&session, &mut run.report).await?;
    run.report.unmute_ok();
    recover::resolve_pending_write(run).await?;
    let app = find(run).await?;
    run.report.app = app.as_ref().map(diff::app_summary);
    let plan = plan_removal(run, app.as_ref(), removal).await?;
    if run.report.changes.is_empty() {
        run.report
            .ok("remove", "there is nothing of setup's in the org");
        return Ok(Outcome::Done);
    }
    if !removal.is_confirmed {
        run.report
            .print("Nothing was removed. Run `rollcall setup remove --yes` to remove it.");
        return Ok(Outcome::Changes);
    }
    run.save().await?;
    let app = app.as_ref().and_then(object_id);
    if !send_removal(run, app, &plan, removal.polling).await? {
        return Ok(Outcome::Manual);
    }
    if plan.revokes_token
        && let Some(token) = run.state.token.clone()
    {
        let revoked = run.records.revoke_token(&token.name).await;
        revoked.map_err(store_failure)?;
    }
    run.records.forget().await.map_err(store_failure)?;
    run.state = SetupState::default();
    if plan.revokes_okta_token {
        let path = "/api/v1/api-tokens/current";
        session
            .client
            .send(Method::DELETE, path, &[], &RequestBody::None)
            .await?;
    }
    run.report.ok("remove", "done; the org is as it was");
    Ok(Outcome::Done)
}

/// Collects what is to be removed, and reports it.
async fn plan_removal(
    run: &mut Run,
    app: Option<&Value>,
    removal: Removal,
) -> Result<RemovalPlan, Failure> {
    let mut plan = RemovalPlan::default();
    if let Some(hook) = &run.state.hook {
        for write in event_hook::delete_hook(hook) {
            plan.writes
                .push((event_hook::STEP, "the event hook".to_owned(), write));
        }
    }
    if let Some(app) = app {
        plan_app_removal(run, app, &mut plan).await?;
    }
    for (step, line, _) in plan.writes.iter().chain(&plan.last) {
        run.report.change(step, '-', line.clone());
    }
    plan.revokes_token = run.state.token.is_some() && !removal.keep_token;
    if plan.revokes_token {
        run.report
            .change(connection::TOKEN_STEP, '-', "Rollcall's token for Okta");
    }
    let is_api_token = matches!(run.session.client.credential(), Credential::ApiToken(_));
    plan.revokes_okta_token = removal.revoke_okta_token && is_api_token;
    if plan.revokes_okta_token {
        run.report
            .change("credential", '-', "the API token that this command uses");
    }
    Ok(plan)
}

/// Sends the writes. Returns whether Okta deactivated the users in time: it does so in the
/// background, through the app and with our token, so both must outlive that.
async fn send_removal(
    run: &mut Run,
    app: Option<OktaId>,
    plan: &RemovalPlan,
    polling: Polling,
) -> Result<bool, Failure> {
    for (step, _, write) in &plan.writes {
        run.write_unless_gone(step, write).await?;
    }
    let Some(app) = app else {
        return Ok(true);
    };
    for (step, _, write) in &plan.last {
        if !wait(run, &app, polling).await? {
            return Ok(false);
        }
        run.write_unless_gone(step, write).await?;
    }
    // Also if the app stays.
    Ok(!plan.last.is_empty() || wait(run, &app, polling).await?)
}

/// Finds the app, which must carry our marker or have been taken over.
async fn find(run: &mut Run) -> Result<Option<Value>, Failure> {
    let found = match app::find(run).await {
        // Another app with the label is not ours.
        Err(failure) if failure.kind == FailureKind::AlreadyExists => None,
        other => other?,
    };
    let Some(found) = found else { return Ok(None) };
    let marked = str_at(&found, "/settings/notes/admin")
        .is_some_and(|notes| notes.contains(&app::marker(&run.session.desired)));
    let adopted = run.state.app.as_ref().is_some_and(|known| known.adopted);
    if marked || adopted {
        return Ok(Some(found));
    }
    Err(Failure::new(
        FailureKind::Invalid,
        format!(
            "The app `{}` ({}) does not carry the marker {} in its notes, so it is not removed: setup may not have created it. Restore the marker, or delete the app in the console.",
            str_at(&found, "/label").unwrap_or_default(),
            str_at(&found, "/id").unwrap_or_default(),
            app::marker(&run.session.desired)
        ),
    ))
}

/// Plans the removal of what depends on the app, and of the app itself.
async fn plan_app_removal(
    run: &mut Run,
    app: &Value,
    plan: &mut RemovalPlan,
) -> Result<(), Failure> {
    let Some(id) = object_id(app) else {
        return Ok(());
    };
    for (mapping, name) in &run.state.pushes {
        let line = format!("the push of {name} (the group stays in Rollcall)");
        let stop = assignments::push_status(&id, mapping, "INACTIVE");
        plan.writes
            .push((assignments::PUSH_STEP, format!("stop {line}"), stop));
        let delete = assignments::delete_push(&id, mapping);
        plan.writes.push((assignments::PUSH_STEP, line, delete));
    }
    for (user, login) in &run.state.users {
        let write = assignments::unassign_user(&id, user);
        plan.writes
            .push((assignments::STEP, format!("the user {login}"), write));
    }
    for (group, name) in &run.state.groups {
        let write = assignments::unassign_group(&id, group);
        plan.writes
            .push((assignments::STEP, format!("the group {name}"), write));
    }
    if run.state.app.as_ref().is_some_and(|known| known.adopted) {
        run.report.warn(
            app::STEP,
            "the app existed before setup and stays; only what setup added is removed",
        );
        plan.writes.extend(profile_removal(run, &id));
        return record_users_losing_app(run, app, &id, RemovalTarget::Ours).await;
    }
    let path = format!("/api/v1/apps/{id}");
    if str_at(app, "/status") != Some("INACTIVE") {
        let stop = format!("{path}/lifecycle/deactivate");
        let write = Write::new(Method::POST, stop, RequestBody::None, StateChange::Nothing);
        plan.last
            .push((app::STEP, "deactivate the app".to_owned(), write));
    }
    let body = RequestBody::None;
    let write = Write::new(Method::DELETE, path, body, StateChange::Nothing);
    plan.last
        .push((app::STEP, "delete the app".to_owned(), write));
    record_users_losing_app(run, app, &id, RemovalTarget::All).await
}

/// Returns the removal of mappings and attributes that setup added to an app which stays.
fn profile_removal(run: &Run, app: &OktaId) -> Vec<RemovalStep> {
    let all_set_to = |names: &[String], value: &Value| -> Map<String, Value> {
        names
            .iter()
            .map(|name| (name.clone(), value.clone()))
            .collect()
    };
    let mut steps = Vec::new();
    if let Some(mapping) = &run.state.mapping {
        let removed = json!({ "expression": null, "pushStatus": null });
        let body = json!({ "properties": all_set_to(&mapping.properties, &removed) });
        let path = format!("/api/v1/mappings/{}", mapping.id);
        let write = Write::post(path, body, StateChange::Nothing);
        steps.push((
            "profile",
            format!("the mappings of {}", mapping.properties.join(", ")),
            write,
        ));
    }
    if !run.state.attributes.is_empty() {
        let properties = all_set_to(&run.state.attributes, &Value::Null);
        let body = json!({ "definitions": { "custom": {
            "id": "#custom", "type": "object", "properties": properties, "required": [],
        } } });
        let path = format!("/api/v1/meta/schemas/apps/{app}/default");
        let write = Write::post(path, body, StateChange::Nothing);
        steps.push((
            "profile",
            format!("the attributes {}", run.state.attributes.join(", ")),
            write,
        ));
    }
    steps
}

/// The users that lose the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RemovalTarget {
    /// The users that setup assigned.
    Ours,
    /// All users of the app.
    All,
}

/// Reports how many users lose the app, and records those that Okta will deactivate.
async fn record_users_losing_app(
    run: &mut Run,
    app: &Value,
    id: &OktaId,
    target: RemovalTarget,
) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{id}/users");
    let mut users = run.session.client.list(&path, &[("limit", "500")]).await?;
    if target == RemovalTarget::Ours {
        users.retain(|user| object_id(user).is_some_and(|id| run.state.users.contains_key(&id)));
    }
    let deactivates = strs_at(app, "/features").contains(&"PUSH_USER_DEACTIVATION");
    if !users.is_empty() {
        let effect = if deactivates {
            "Okta deactivates them in Rollcall first. To keep them active, disable Deactivate Users before."
        } else {
            "Deactivate Users is off, so they stay active in Rollcall."
        };
        run.report.warn(
            "users",
            format!("users that lose the app: {}. {effect}", users.len()),
        );
    }
    if deactivates {
        let linked = users
            .iter()
            .filter(|user| str_at(user, "/externalId").is_some());
        run.state.leaving.extend(linked.filter_map(object_id));
    }
    Ok(())
}

/// Waits until all users that lost the app are inactive in Rollcall. Returns whether they are, or
/// are not to be waited for.
async fn wait(run: &mut Run, app: &OktaId, polling: Polling) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    let mut is_first = true;
    loop {
        let active = still_active(run, app).await?;
        if active.is_empty() {
            return Ok(true);
        }
        if polling.timeout == Duration::ZERO {
            run.report.warn(
                "users",
                format!(
                    "still active in Rollcall, not waited for: {}",
                    active.join(", ")
                ),
            );
            return Ok(true);
        }
        if waited >= polling.timeout {
            run.report.step(
                "users",
                StepState::Open,
                format!(
                    "still active in Rollcall: {}. See Dashboard > Tasks, then run the command again; it continues from here (`--wait 0s` does not wait).",
                    active.join(", ")
                ),
            );
            return Ok(false);
        }
        if is_first {
            run.report.print(&format!(
                "waiting: Okta has to deactivate {} users in Rollcall",
                active.len()
            ));
            is_first = false;
        }
        run.session.client.sleep(polling.interval).await;
        waited = waited.saturating_add(polling.interval);
    }
}

/// Returns the names of users that lost the app and are still active. Users that still have the app
/// lose it when it is deleted.
async fn still_active(run: &Run, app: &OktaId) -> Result<Vec<String>, Failure> {
    if run.state.leaving.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/users");
    let users = run.session.client.list(&path, &[("limit", "500")]).await?;
    let have_it: BTreeSet<OktaId> = users.iter().filter_map(object_id).collect();
    let mut active = Vec::new();
    for id in run.state.leaving.difference(&have_it) {
        let people = run
            .records
            .people_with(id.as_str())
            .await
            .map_err(store_failure)?;
        let person = people.iter().find(|person| person.active != Some(false));
        active.extend(
            person.map(|person| person.user_name.clone().unwrap_or_else(|| id.to_string())),
        );
    }
    Ok(active)
}
