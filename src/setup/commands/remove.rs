//! `rollcall setup remove`: takes away what setup made, and nothing else. In the order in which nothing is left behind: what
//! hangs on the app first, then the app, then our own token.

use std::collections::BTreeSet;
use std::time::Duration;

use okta_client::Login;
use okta_client::transport::RequestBody;
use okta_client::value::{id_of, text, texts};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::setup::commands::instructions::PendingStep;
use crate::setup::report::{Outcome, State};
use crate::setup::run::{Run, Write, ours};
use crate::setup::state::StateChange;
use crate::setup::steps::{app, assignments, connection, diff, event_hook};
use crate::setup::{Failure, FailureKind, OktaId, preflight, recover};

/// What the flags ask for.
#[derive(Debug, Clone, Copy)]
pub struct Removal {
    /// Without it nothing is done.
    pub do_it: bool,
    /// Leave Rollcall's own token alive.
    pub keep_token: bool,
    /// How long to wait until Okta has deactivated here whom the app is taken from.
    pub waiting: PendingStep,
    /// Hand the API token back to Okta at the end.
    pub revoke_okta_token: bool,
}

/// # Errors
/// An app that is not ours; see [`Failure`] for the rest.
pub async fn remove(run: &mut Run, removal: Removal) -> Result<Outcome, Failure> {
    let session = std::sync::Arc::clone(&run.session);
    run.report.hush(true);
    preflight::org(&session, &mut run.report).await?;
    preflight::credential(&session, &mut run.report).await?;
    run.report.hush(false);
    recover::lost_write(run).await?;
    let found = find(run).await?;
    run.report.app = found.as_ref().map(diff::short);
    let (mut writes, mut last) = (Vec::new(), Vec::new());
    if let Some(hook) = &run.kept.hook {
        for write in event_hook::drop_hook(hook) {
            writes.push((event_hook::STEP, "the event hook".to_owned(), write));
        }
    }
    if let Some(app) = &found {
        let (of_app, end) = of_app(run, app).await?;
        writes.extend(of_app);
        last = end;
    }
    for (step, line, _) in writes.iter().chain(&last) {
        run.report.change(step, '-', line.clone());
    }
    let drops_token = run.kept.token.is_some() && !removal.keep_token;
    if drops_token {
        run.report
            .change(connection::TOKEN_STEP, '-', "Rollcall's token for Okta");
    }
    let is_api_token = matches!(session.client.login(), Login::Token(_));
    let hands_back = removal.revoke_okta_token && is_api_token;
    if hands_back {
        run.report
            .change("credential", '-', "the API token that this command uses");
    }
    if run.report.changes.is_empty() {
        run.report
            .ok("remove", "there is nothing of setup's in the org");
        return Ok(Outcome::Done);
    }
    if !removal.do_it {
        run.report
            .tell("Nothing was done; `rollcall setup remove --yes` does it.");
        return Ok(Outcome::Changes);
    }
    run.save().await?;
    let app = found.as_ref().and_then(id_of);
    if !take_away(run, app, &writes, &last, removal.waiting).await? {
        return Ok(Outcome::Manual);
    }
    if drops_token && let Some(token) = run.kept.token.clone() {
        run.records.revoke_token(&token.name).await.map_err(ours)?;
    }
    run.records.forget().await.map_err(ours)?;
    run.kept = crate::setup::state::SetupState::default();
    if hands_back {
        session
            .client
            .send(
                Method::DELETE,
                "/api/v1/api-tokens/current",
                &[],
                &RequestBody::None,
            )
            .await?;
    }
    run.report.ok("remove", "done; the org is as it was");
    Ok(Outcome::Done)
}

/// Sends the writes. Okta deactivates people in the background, with our token and by way of the app: both must outlive
/// that. False where it is not over in time.
async fn take_away(
    run: &mut Run,
    app: Option<OktaId>,
    writes: &[RemovalStep],
    last: &[RemovalStep],
    waiting: PendingStep,
) -> Result<bool, Failure> {
    for (step, _, write) in writes {
        run.write_if_there(step, write).await?;
    }
    let Some(app) = app else {
        return Ok(true);
    };
    for (step, _, write) in last {
        if !wait(run, &app, waiting).await? {
            return Ok(false);
        }
        run.write_if_there(step, write).await?;
    }
    // An app that stays is waited for as well.
    Ok(!last.is_empty() || wait(run, &app, waiting).await?)
}

/// The app, which must be ours by its marker, or one that was taken over.
async fn find(run: &mut Run) -> Result<Option<Value>, Failure> {
    let found = match app::find(run).await {
        // Somebody else's app under our label is no business of ours.
        Err(failure) if failure.why == FailureKind::Taken => None,
        other => other?,
    };
    let Some(found) = found else { return Ok(None) };
    let marked = text(&found, "/settings/notes/admin")
        .is_some_and(|notes| notes.contains(&app::marker(&run.session.wish)));
    let adopted = run.kept.app.as_ref().is_some_and(|kept| kept.adopted);
    if marked || adopted {
        return Ok(Some(found));
    }
    Err(Failure::new(
        FailureKind::Invalid,
        format!(
            "The app `{}` ({}) does not carry the marker {} in its notes, so it may be somebody else's and is not removed. Put the marker back, or delete the app by hand.",
            text(&found, "/label").unwrap_or_default(),
            text(&found, "/id").unwrap_or_default(),
            app::marker(&run.session.wish)
        ),
    ))
}

type RemovalStep = (&'static str, String, Write);

/// What hangs on the app, and then the app itself.
async fn of_app(
    run: &mut Run,
    found: &Value,
) -> Result<(Vec<RemovalStep>, Vec<RemovalStep>), Failure> {
    let Some(id) = id_of(found) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let mut steps: Vec<RemovalStep> = Vec::new();
    for (mapping, name) in &run.kept.pushes {
        let line = format!("the push of {name} (the group stays in Rollcall)");
        let stop = assignments::push_status(&id, mapping, "INACTIVE");
        steps.push((assignments::PUSH_STEP, format!("stop {line}"), stop));
        let drop = assignments::drop_push(&id, mapping);
        steps.push((assignments::PUSH_STEP, line, drop));
    }
    for (user, login) in &run.kept.users {
        let write = assignments::drop_user(&id, user);
        steps.push((assignments::STEP, format!("the user {login}"), write));
    }
    for (group, name) in &run.kept.groups {
        let write = assignments::drop_group(&id, group);
        steps.push((assignments::STEP, format!("the group {name}"), write));
    }
    let adopted = run.kept.app.as_ref().is_some_and(|kept| kept.adopted);
    if adopted {
        run.report.warn(
            app::STEP,
            "the app was there before setup and stays; only what setup added is taken away",
        );
        steps.extend(profile(run, &id));
        note_who_leaves(run, found, &id, RemovalTarget::Ours).await?;
        return Ok((steps, Vec::new()));
    }
    note_who_leaves(run, found, &id, RemovalTarget::Everybody).await?;
    let mut last: Vec<RemovalStep> = Vec::new();
    let path = format!("/api/v1/apps/{id}");
    if text(found, "/status") != Some("INACTIVE") {
        let stop = format!("{path}/lifecycle/deactivate");
        let write = Write::new(Method::POST, stop, RequestBody::None, StateChange::Nothing);
        last.push((app::STEP, "deactivate the app".to_owned(), write));
    }
    let write = Write::new(
        Method::DELETE,
        path,
        RequestBody::None,
        StateChange::Nothing,
    );
    last.push((app::STEP, "delete the app".to_owned(), write));
    Ok((steps, last))
}

/// Mappings and attributes that setup added to an app which stays.
fn profile(run: &Run, app: &OktaId) -> Vec<RemovalStep> {
    let nothing = |names: &[String], value: &Value| -> Map<String, Value> {
        names
            .iter()
            .map(|name| (name.clone(), value.clone()))
            .collect()
    };
    let mut steps = Vec::new();
    if let Some(mapping) = &run.kept.mapping {
        let gone = json!({ "expression": null, "pushStatus": null });
        let body = json!({ "properties": nothing(&mapping.properties, &gone) });
        let path = format!("/api/v1/mappings/{}", mapping.id);
        let write = Write::post(path, body, StateChange::Nothing);
        steps.push((
            "profile",
            format!("the mappings of {}", mapping.properties.join(", ")),
            write,
        ));
    }
    if !run.kept.attributes.is_empty() {
        let properties = nothing(&run.kept.attributes, &Value::Null);
        let body = json!({ "definitions": { "custom": {
            "id": "#custom", "type": "object", "properties": properties, "required": [],
        } } });
        let path = format!("/api/v1/meta/schemas/apps/{app}/default");
        let write = Write::post(path, body, StateChange::Nothing);
        steps.push((
            "profile",
            format!("the attributes {}", run.kept.attributes.join(", ")),
            write,
        ));
    }
    steps
}

/// Of whom a removal takes the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RemovalTarget {
    /// Those that setup assigned itself.
    Ours,
    Everybody,
}

/// Notes who will lose the app and is to become inactive here for it.
async fn note_who_leaves(
    run: &mut Run,
    app: &Value,
    id: &OktaId,
    whom: RemovalTarget,
) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{id}/users");
    let mut users = run.session.client.list(&path, &[("limit", "500")]).await?;
    if whom == RemovalTarget::Ours {
        users.retain(|user| id_of(user).is_some_and(|id| run.kept.users.contains_key(&id)));
    }
    let deactivates = texts(app, "/features").contains(&"PUSH_USER_DEACTIVATION");
    if !users.is_empty() {
        let then = if deactivates {
            "Okta deactivates them here first; untick Deactivate Users before, if they shall stay active."
        } else {
            "Deactivate Users is off, so they stay active here."
        };
        run.report.warn(
            "users",
            format!(
                "people who have the app and lose it: {}. {then}",
                users.len()
            ),
        );
    }
    if deactivates {
        let linked = users
            .iter()
            .filter(|user| text(user, "/externalId").is_some());
        run.kept.leaving.extend(linked.filter_map(id_of));
    }
    Ok(())
}

/// Waits until everybody who has lost the app is inactive here. False where the time is over before.
async fn wait(run: &mut Run, app: &OktaId, waiting: PendingStep) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    let mut is_told = false;
    loop {
        let active = still_active(run, app).await?;
        if active.is_empty() {
            return Ok(true);
        }
        if waiting.at_most == Duration::ZERO {
            run.report.warn(
                "users",
                format!(
                    "still active here, and not waited for: {}",
                    active.join(", ")
                ),
            );
            return Ok(true);
        }
        if waited >= waiting.at_most {
            run.report.step(
                "users",
                State::Open,
                format!(
                    "still active here: {}. Look under Dashboard > Tasks; then run the command again, which goes on from here (`--wait 0s` waits for nobody).",
                    active.join(", ")
                ),
            );
            return Ok(false);
        }
        if !is_told {
            run.report.tell(&format!(
                "waiting: Okta is to deactivate {} here",
                active.len()
            ));
            is_told = true;
        }
        run.session.client.sleep(waiting.every).await;
        waited = waited.saturating_add(waiting.every);
    }
}

/// The names of those who have lost the app and are active here. Who has it still will lose it with the app.
async fn still_active(run: &Run, app: &OktaId) -> Result<Vec<String>, Failure> {
    if run.kept.leaving.is_empty() {
        return Ok(Vec::new());
    }
    let path = format!("/api/v1/apps/{app}/users");
    let users = run.session.client.list(&path, &[("limit", "500")]).await?;
    let have_it: BTreeSet<OktaId> = users.iter().filter_map(id_of).collect();
    let mut active = Vec::new();
    for id in run.kept.leaving.difference(&have_it) {
        let people = run.records.people_with(id.as_str()).await.map_err(ours)?;
        let one = people.iter().find(|person| person.active != Some(false));
        active.extend(one.map(|person| person.user_name.clone().unwrap_or_else(|| id.to_string())));
    }
    Ok(active)
}
