//! `rollcall setup instructions`: prints the manual steps. Also waits until they are done, for
//! `apply`.

use std::time::Duration;

use serde_json::Value;

use crate::setup::report::{Outcome, StepState};
use crate::setup::steps::connection::ManualStepStatus;
use crate::setup::steps::diff::{OrgState, app_summary, reload_app, token_location};
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, connection, manual_steps};
use crate::setup::{Failure, Run};

/// How long to wait for a condition, and how often to check it.
#[derive(Debug, Clone, Copy)]
pub struct Polling {
    /// Zero: check once, without waiting.
    pub timeout: Duration,
    pub interval: Duration,
}

/// Waits for the manual steps. Returns whether they are done.
///
/// # Errors
/// Returns an error if Okta or the database fails while waiting.
pub async fn wait_for_manual_steps(
    run: &mut Run,
    org: &mut OrgState,
    polling: Polling,
) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    let mut printed: Option<ManualStepStatus> = None;
    loop {
        if printed.is_some() {
            reload_app(run, org).await?;
        }
        let Some(app) = org.app.clone() else {
            return Ok(false);
        };
        let manual = connection::check_manual_steps(run, &app).await?;
        if manual.is_done() {
            run.report.step(
                connection::MANUAL_STEP,
                StepState::Done,
                connection::MANUAL_STEPS_DONE,
            );
            return Ok(true);
        }
        if printed.is_none() && polling.timeout > Duration::ZERO {
            for line in manual_steps::render(&run.session.desired, &app, &org.token) {
                run.report.print(&line);
            }
        }
        if waited >= polling.timeout {
            report_instructions(run, &app, &manual, org, polling);
            return Ok(false);
        }
        if printed.as_ref() != Some(&manual) {
            for line in manual.missing.iter().chain(&manual.hints) {
                run.report.print(&format!("waiting: {line}"));
            }
        }
        printed = Some(manual);
        run.session.client.sleep(polling.interval).await;
        waited = waited.saturating_add(polling.interval);
    }
}

/// Reports what is missing, and the steps if they were not printed before.
fn report_instructions(
    run: &mut Run,
    app: &Value,
    manual: &ManualStepStatus,
    org: &OrgState,
    polling: Polling,
) {
    manual.report_open(&mut run.report);
    let token = token_in_report(run, &org.token);
    let lines = manual_steps::render(&run.session.desired, app, &token);
    if polling.timeout == Duration::ZERO {
        for line in &lines {
            run.report.print(line);
        }
    }
    run.report.instructions = Some(lines);
    run.report
        .print("Then run `rollcall setup apply` again; it continues from here.");
}

/// Returns the token as the report may contain it: JSON never has a token.
fn token_in_report(run: &Run, token: &TokenLocation) -> TokenLocation {
    match token {
        TokenLocation::Shown(_) if !run.options.may_print_token => TokenLocation::ShownEarlier,
        other => other.clone(),
    }
}

/// Prints the manual steps, whether they are done or not.
///
/// # Errors
/// Returns an error if the app does not exist yet.
pub async fn instruct(run: &mut Run) -> Result<Outcome, Failure> {
    let desired = run.session.desired.clone();
    if !connection::needs_manual_steps(&desired) {
        run.report.ok(
            connection::MANUAL_STEP,
            "this kind of app needs no steps in the console",
        );
        return Ok(Outcome::Done);
    }
    let app = app::find(run).await?.ok_or_else(app::not_created)?;
    run.report.app = Some(app_summary(&app));
    let lines = manual_steps::render(&desired, &app, &token_location(run));
    for line in &lines {
        run.report.print(line);
    }
    run.report.instructions = Some(lines);
    let manual = connection::check_manual_steps(run, &app).await?;
    if manual.is_done() {
        run.report.ok(connection::MANUAL_STEP, "all steps are done");
        return Ok(Outcome::Done);
    }
    manual.report_open(&mut run.report);
    Ok(Outcome::Manual)
}
