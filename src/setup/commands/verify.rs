//! `rollcall setup verify`: proves that provisioning works, with one user from assignment to
//! deactivation.

use std::time::Duration;

use okta_client::json::str_at;
use serde_json::{Value, json};

use crate::service::setup::Person;
use crate::setup::commands::instructions::Polling;
use crate::setup::report::{Outcome, StepState};
use crate::setup::run::{Run, store_failure};
use crate::setup::steps::{assignments, connection, diff, event_hook};
use crate::setup::{Failure, FailureKind, OktaId};

const STEP: &str = "verify";

/// Assigns the user `login`, waits until it arrives with the same id on both sides, unassigns it,
/// and waits until it is deactivated.
///
/// # Errors
/// Returns an error if the user has the app already, or if the app does not provision.
pub async fn verify(run: &mut Run, login: &str, polling: Polling) -> Result<Outcome, Failure> {
    let org = diff::load(run, None).await?;
    let app = org.required_app_id()?;
    if !run.session.desired.app.provisioning {
        return Err(invalid(
            "app.provisioning is off in setup.toml, so there is nothing to verify.",
        ));
    }
    if connection::needs_manual_steps(&run.session.desired)
        && let Some(app) = &org.app
    {
        let manual = connection::check_manual_steps(run, app).await?;
        if !manual.is_done() {
            manual.report_open(&mut run.report);
            return Ok(Outcome::Manual);
        }
    }
    let (user, login) = assignments::user(&run.session, login).await?;
    let is_resumed = run.state.test_user.as_ref() == Some(&user);
    if !is_resumed && app_user(run, &app, &user).await?.is_some() {
        return Err(invalid(&format!(
            "`{login}` has the app already, and `verify` would unassign it. Use a test user who does not have the app."
        )));
    }
    run.state.test_user = Some(user.clone());
    run.save().await?;
    let test = TestUser {
        app: &app,
        id: &user,
        login: &login,
        polling,
    };
    let outcome = test.follow(run).await;
    // Unassign the test user, whatever happened.
    let cleaned = run
        .write_unless_gone(STEP, &assignments::unassign_user(&app, &user))
        .await;
    if cleaned.is_ok() {
        run.state.test_user = None;
        run.save().await?;
    }
    let outcome = outcome?;
    cleaned?;
    Ok(outcome)
}

fn invalid(message: &str) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

/// The test user, and how to wait for it.
struct TestUser<'t> {
    app: &'t OktaId,
    id: &'t OktaId,
    login: &'t str,
    polling: Polling,
}

impl TestUser<'_> {
    /// Follows the user from assignment to deactivation.
    async fn follow(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let Some(id) = self.arrival(run).await? else {
            return self.explain(run, "arrived").await;
        };
        run.report.step(
            "arrived",
            StepState::Done,
            format!("in Rollcall as {id}, and Okta knows it by the same id"),
        );
        run.report.more.insert("user_id".into(), json!(id));
        run.write_unless_gone(STEP, &assignments::unassign_user(self.app, self.id))
            .await?;
        run.report.step(
            "unassigned",
            StepState::Done,
            format!("{} no longer has the app", self.login),
        );
        let deactivated = self
            .wait(run, |person, _| {
                person
                    .filter(|person| person.active == Some(false))
                    .map(|person| person.id.clone())
            })
            .await?;
        match deactivated {
            Some(same) if same == id => {
                run.report.step(
                    "deactivated",
                    StepState::Done,
                    "the user is inactive in Rollcall, under the same id",
                );
                Ok(Outcome::Done)
            }
            Some(other) => Err(invalid(&format!(
                "The user arrived under the id {id} and was deactivated under another one, {other}."
            ))),
            None => self.explain(run, "deactivated").await,
        }
    }

    /// Assigns the user, and returns the id in Rollcall if it arrives in time.
    async fn arrival(&self, run: &mut Run) -> Result<Option<String>, Failure> {
        let assign = assignments::assign_user(self.app, self.id, self.login);
        match run.write(STEP, &assign).await {
            Ok(_) => {}
            Err(failure) if failure.okta.code.as_deref() == Some("E0000062") => {}
            Err(failure) => return Err(failure),
        }
        run.report.step(
            "assigned",
            StepState::Done,
            format!("{} has the app", self.login),
        );
        self.wait(run, |person, app_user| {
            let here = person.filter(|person| person.active == Some(true))?;
            let there = str_at(app_user?, "/externalId")?;
            (there == here.id).then(|| here.id.clone())
        })
        .await
    }

    /// Waits until `done` returns a value, provisioning fails, or the time is over.
    async fn wait<T>(
        &self,
        run: &Run,
        done: impl Fn(Option<&Person>, Option<&Value>) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            let people = run.records.people_with(self.id.as_str()).await;
            let people = people.map_err(store_failure)?;
            let app_user = app_user(run, self.app, self.id).await?;
            if let Some(value) = done(people.first(), app_user.as_ref()) {
                return Ok(Some(value));
            }
            let is_error = app_user
                .as_ref()
                .is_some_and(|user| str_at(user, "/syncState") == Some("ERROR"));
            if waited >= self.polling.timeout || is_error {
                return Ok(None);
            }
            run.session.client.sleep(self.polling.interval).await;
            waited = waited.saturating_add(self.polling.interval);
        }
    }

    /// Reports why a step did not happen, as far as both sides show it.
    async fn explain(&self, run: &mut Run, step: &'static str) -> Result<Outcome, Failure> {
        let people = run.records.people_with(self.id.as_str()).await;
        let here = match people.map_err(store_failure)?.first() {
            None => "Rollcall has no such user".to_owned(),
            Some(person) => format!(
                "Rollcall has it as {} (active: {:?})",
                person.id, person.active
            ),
        };
        let there = match app_user(run, self.app, self.id).await? {
            None => "Okta shows no assignment".to_owned(),
            Some(user) => format!(
                "Okta shows status {}, sync {}",
                str_at(&user, "/status").unwrap_or("none"),
                str_at(&user, "/syncState").unwrap_or("none")
            ),
        };
        run.report.step(
            step,
            StepState::Failed,
            format!("did not happen: {here}; {there}"),
        );
        for event in event_hook::new_failures(run, self.app).await? {
            run.report.fault(
                "log",
                format!("{} of {}: {}", event.event, event.who, event.reason),
            );
        }
        run.report
            .print("The console shows the same under Dashboard > Tasks, with a button to retry.");
        Ok(Outcome::Failed)
    }
}

async fn app_user(run: &Run, app: &OktaId, user: &OktaId) -> Result<Option<Value>, Failure> {
    let path = format!("/api/v1/apps/{app}/users/{user}");
    match run.session.client.get(&path, &[]).await {
        Ok(response) => Ok(Some(response.body)),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}
