//! `rollcall setup verify`: proves that provisioning works, with one person from assignment to deactivation.

use std::time::Duration;

use okta_client::value::text;
use serde_json::{Value, json};

use crate::service::setup::Person;
use crate::setup::commands::instructions::PendingStep;
use crate::setup::commands::status::needed;
use crate::setup::report::{Outcome, State};
use crate::setup::run::{Run, ours};
use crate::setup::steps::{assignments, connection, diff, event_hook};
use crate::setup::{Failure, FailureKind, OktaId};

const STEP: &str = "verify";

/// Assigns the user `login`, sees it arrive here under one id on both sides, unassigns it, sees it deactivated.
///
/// # Errors
/// A user who has the app already; see [`Failure`] for the rest.
pub async fn verify(run: &mut Run, login: &str, waiting: PendingStep) -> Result<Outcome, Failure> {
    let found = diff::find(run, None).await?;
    let app = needed(&found)?;
    if !run.session.wish.app.provisioning {
        return Err(wrong(
            "app.provisioning is off in setup.toml, so there is nothing to verify.",
        ));
    }
    if connection::is_by_hand(&run.session.wish)
        && let Some(whole) = &found.app
    {
        let manual = connection::look_at_clicks(run, whole).await?;
        if !manual.is_done() {
            run.report.step(
                connection::MANUAL_STEP,
                State::Open,
                manual.missing.join("; "),
            );
            for hint in manual.hints {
                run.report.warn(connection::MANUAL_STEP, hint);
            }
            return Ok(Outcome::Manual);
        }
    }
    let (user, login) = assignments::user(&run.session, login).await?;
    let is_resumed = run.kept.test_user.as_ref() == Some(&user);
    if !is_resumed && app_user(run, &app, &user).await?.is_some() {
        return Err(wrong(&format!(
            "`{login}` has the app already, and verify would take it away. Name a test user who does not have it."
        )));
    }
    run.kept.test_user = Some(user.clone());
    run.save().await?;
    let outcome = follow(run, &app, &user, &login, waiting).await;
    // Whatever happened, the test user does not keep the app.
    let cleaned = run
        .write_if_there(STEP, &assignments::drop_user(&app, &user))
        .await;
    if cleaned.is_ok() {
        run.kept.test_user = None;
        run.save().await?;
    }
    let outcome = outcome?;
    cleaned?;
    Ok(outcome)
}

fn wrong(message: &str) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

async fn follow(
    run: &mut Run,
    app: &OktaId,
    user: &OktaId,
    login: &str,
    waiting: PendingStep,
) -> Result<Outcome, Failure> {
    match run
        .write(STEP, &assignments::assign_user(app, user, login))
        .await
    {
        Ok(_) => {}
        Err(failure) if failure.okta.code.as_deref() == Some("E0000062") => {}
        Err(failure) => return Err(failure),
    }
    run.report
        .step("assigned", State::Done, format!("{login} has the app"));
    let arrived = wait(run, app, user, waiting, |person, app_user| {
        let here = person.filter(|person| person.active == Some(true))?;
        let there = text(app_user?, "/externalId")?;
        (there == here.id).then(|| here.id.clone())
    })
    .await?;
    let Some(id) = arrived else {
        return explain(run, app, user, "arrived").await;
    };
    run.report.step(
        "arrived",
        State::Done,
        format!("here as {id}, and Okta knows it by the same id"),
    );
    run.report.more.insert("user_id".into(), json!(id));
    run.write_if_there(STEP, &assignments::drop_user(app, user))
        .await?;
    run.report.step(
        "unassigned",
        State::Done,
        format!("{login} no longer has the app"),
    );
    let gone = wait(run, app, user, waiting, |person, _| {
        person
            .filter(|person| person.active == Some(false))
            .map(|person| person.id.clone())
    })
    .await?;
    match gone {
        Some(again) if again == id => {
            run.report.step(
                "deactivated",
                State::Done,
                "the user is inactive here, under the same id",
            );
            Ok(Outcome::Done)
        }
        Some(again) => Err(wrong(&format!(
            "The user was deactivated under another id ({again}) than it came with ({id})."
        ))),
        None => explain(run, app, user, "deactivated").await,
    }
}

/// Looks until `done` answers, or the time is over.
async fn wait<T>(
    run: &Run,
    app: &OktaId,
    user: &OktaId,
    waiting: PendingStep,
    done: impl Fn(Option<&Person>, Option<&Value>) -> Option<T>,
) -> Result<Option<T>, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let people = run.records.people_with(user.as_str()).await.map_err(ours)?;
        let app_user = app_user(run, app, user).await?;
        if let Some(answer) = done(people.first(), app_user.as_ref()) {
            return Ok(Some(answer));
        }
        let is_error = app_user
            .as_ref()
            .is_some_and(|user| text(user, "/syncState") == Some("ERROR"));
        if waited >= waiting.at_most || is_error {
            return Ok(None);
        }
        run.session.client.sleep(waiting.every).await;
        waited = waited.saturating_add(waiting.every);
    }
}

/// Says as much as can be known about why it did not happen.
async fn explain(
    run: &mut Run,
    app: &OktaId,
    user: &OktaId,
    step: &'static str,
) -> Result<Outcome, Failure> {
    let people = run.records.people_with(user.as_str()).await.map_err(ours)?;
    let here = match people.first() {
        None => "Rollcall has no such user".to_owned(),
        Some(person) => format!(
            "Rollcall has it as {} (active: {:?})",
            person.id, person.active
        ),
    };
    let there = match app_user(run, app, user).await? {
        None => "Okta shows no assignment".to_owned(),
        Some(user) => format!(
            "Okta shows status {}, sync {}",
            text(&user, "/status").unwrap_or("none"),
            text(&user, "/syncState").unwrap_or("none")
        ),
    };
    run.report.step(
        step,
        State::Failed,
        format!("did not happen: {here}; {there}"),
    );
    for one in event_hook::failures(run, app).await? {
        run.report.fault(
            "log",
            format!("{} of {}: {}", one.event, one.who, one.reason),
        );
    }
    run.report
        .tell("The console shows the same under Dashboard > Tasks, with a button to retry.");
    Ok(Outcome::Failed)
}

async fn app_user(run: &Run, app: &OktaId, user: &OktaId) -> Result<Option<Value>, Failure> {
    let path = format!("/api/v1/apps/{app}/users/{user}");
    match run.session.client.get(&path, &[]).await {
        Ok(answer) => Ok(Some(answer.body)),
        Err(failure) if failure.why == FailureKind::Gone => Ok(None),
        Err(failure) => Err(failure),
    }
}
