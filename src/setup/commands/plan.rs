//! `rollcall setup plan`: shows what `apply` would do. Also the steps' states, for `status`. Reads
//! only.

use secrecy::SecretString;

use crate::setup::desired::DesiredState;
use crate::setup::report::{Outcome, StepState};
use crate::setup::steps::app_template::ProvisioningSupport;
use crate::setup::steps::connection::{self, ManualStepStatus};
use crate::setup::steps::diff::{OrgState, STEPS, Step, diff, load, report_drift};
use crate::setup::{Failure, Run};

/// Reports the changes that `apply` would make, and the manual steps.
///
/// # Errors
/// Returns an error if Okta refuses the credential, or if `setup.toml` does not fit the org.
pub async fn plan(run: &mut Run, hook_secret: Option<SecretString>) -> Result<Outcome, Failure> {
    let org = load(run, hook_secret).await?;
    let mut outcome = Outcome::Done;
    for step in STEPS {
        for change in diff(run, &org, step).await? {
            run.report.change(change.step, change.sign, change.text);
            outcome = Outcome::Changes;
        }
        if step == Step::ManualSteps && connection::needs_manual_steps(&run.session.desired) {
            let manual = match &org.app {
                Some(app) => connection::check_manual_steps(run, app).await?,
                None => ManualStepStatus {
                    missing: vec!["the steps in the Admin Console".to_owned()],
                    ..ManualStepStatus::default()
                },
            };
            if !manual.is_done() {
                run.report
                    .step(step.name(), StepState::Open, manual.missing.join("; "));
                if outcome == Outcome::Done {
                    outcome = Outcome::Manual;
                }
            }
        }
    }
    if let Some(app) = &org.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

/// Reports each step's state.
///
/// # Errors
/// Returns an error if Okta refuses to show the state of a step.
pub async fn report_states(run: &mut Run, org: &OrgState) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Done;
    for step in STEPS {
        let found = if step == Step::ManualSteps {
            manual_state(run, org).await?
        } else {
            step_state(run, org, step).await?
        };
        if found == Outcome::Manual || outcome == Outcome::Done {
            outcome = found;
        }
    }
    if let Some(app) = &org.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

/// Reports the state of the manual steps.
async fn manual_state(run: &mut Run, org: &OrgState) -> Result<Outcome, Failure> {
    let step = Step::ManualSteps.name();
    if !connection::needs_manual_steps(&run.session.desired) {
        return Ok(Outcome::Done);
    }
    let Some(app) = &org.app else {
        run.report.step(step, StepState::Pending, "needs the app");
        return Ok(Outcome::Done);
    };
    let manual = connection::check_manual_steps(run, app).await?;
    if !manual.is_done() {
        manual.report_open(&mut run.report);
        return Ok(Outcome::Manual);
    }
    run.report
        .step(step, StepState::Done, connection::MANUAL_STEPS_DONE);
    for hint in manual.hints {
        run.report.warn(step, hint);
    }
    Ok(Outcome::Done)
}

/// Reports the state of a step that the API can do.
async fn step_state(run: &mut Run, org: &OrgState, step: Step) -> Result<Outcome, Failure> {
    let changes = diff(run, org, step).await?;
    if changes.is_empty() {
        if is_desired(&run.session.desired, step) {
            run.report.step(step.name(), StepState::Done, "up to date");
        }
        return Ok(Outcome::Done);
    }
    let lines: Vec<String> = changes
        .into_iter()
        .map(|change| format!("{} {}", change.sign, change.text))
        .collect();
    run.report
        .step(step.name(), StepState::Pending, lines.join("; "));
    Ok(Outcome::Changes)
}

/// Returns whether `setup.toml` asks for this step.
fn is_desired(desired: &DesiredState, step: Step) -> bool {
    let is_by_api = desired.app.provisioning_support() == ProvisioningSupport::Api;
    match step {
        Step::App => true,
        Step::Logo => desired.app.logo.is_some(),
        Step::Token => connection::needs_manual_steps(desired),
        Step::Connection => desired.app.provisioning && is_by_api,
        Step::ManualSteps => false,
        Step::Profile => !desired.attributes.is_empty(),
        Step::Assign => !(desired.assign.groups.is_empty() && desired.assign.users.is_empty()),
        Step::Push => !desired.push_groups.is_empty(),
        Step::Hook => desired.event_hook.is_some(),
    }
}
