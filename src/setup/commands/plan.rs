//! `plan` and `status`: what differs, and nothing is written.

use secrecy::SecretString;

use crate::setup::desired::DesiredState;
use crate::setup::report::{Outcome, State};
use crate::setup::steps::app_template::Carries;
use crate::setup::steps::connection;
use crate::setup::steps::connection::Manual;
use crate::setup::steps::diff::{OrgState, STEPS, Step, find, look, report_drift};
use crate::setup::{Failure, Run};

/// `rollcall setup plan`: what `apply` would do. Writes nothing.
///
/// # Errors
/// See [`Failure`].
pub async fn plan(run: &mut Run, hook_secret: Option<SecretString>) -> Result<Outcome, Failure> {
    let found = find(run, hook_secret).await?;
    let mut outcome = Outcome::Done;
    for step in STEPS {
        for change in look(run, &found, step).await? {
            run.report.change(change.step, change.sign, change.text);
            outcome = Outcome::Changes;
        }
        if step == Step::Console && connection::is_by_hand(&run.session.wish) {
            let manual = match &found.app {
                Some(app) => connection::look_at_clicks(run, app).await?,
                None => Manual {
                    missing: vec!["the clicks in the Admin Console".to_owned()],
                    ..Manual::default()
                },
            };
            if !manual.is_done() {
                run.report.step(
                    connection::MANUAL_STEP,
                    State::Open,
                    manual.missing.join("; "),
                );
                if outcome == Outcome::Done {
                    outcome = Outcome::Manual;
                }
            }
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

/// Each step's state, for `status`. Writes nothing.
///
/// # Errors
/// See [`Failure`].
pub async fn states(run: &mut Run, found: &OrgState) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Done;
    let wish = run.session.wish.clone();
    for step in STEPS {
        if step == Step::Console {
            if !connection::is_by_hand(&wish) {
                continue;
            }
            let Some(app) = &found.app else {
                run.report
                    .step(step.name(), State::Pending, "needs the app");
                continue;
            };
            let manual = connection::look_at_clicks(run, app).await?;
            if manual.is_done() {
                let line = "Okta has come with the token, and the switches are on";
                run.report.step(step.name(), State::Done, line);
            } else {
                run.report
                    .step(step.name(), State::Open, manual.missing.join("; "));
                outcome = Outcome::Manual;
            }
            for hint in manual.hints {
                run.report.warn(step.name(), hint);
            }
            continue;
        }
        let changes = look(run, found, step).await?;
        if changes.is_empty() {
            if is_wished(&wish, step) {
                run.report.step(step.name(), State::Done, "as wished");
            }
            continue;
        }
        let lines: Vec<String> = changes
            .into_iter()
            .map(|change| format!("{} {}", change.sign, change.text))
            .collect();
        run.report
            .step(step.name(), State::Pending, lines.join("; "));
        if outcome == Outcome::Done {
            outcome = Outcome::Changes;
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

fn is_wished(wish: &DesiredState, step: Step) -> bool {
    let by_api = wish.app.carries() == Carries::ByApi;
    match step {
        Step::App => true,
        Step::Logo => wish.app.logo.is_some(),
        Step::Token => connection::is_by_hand(wish),
        Step::Connection => wish.app.provisioning && by_api,
        Step::Console => false,
        Step::Profile => !wish.attributes.is_empty(),
        Step::Assign => !(wish.assign.groups.is_empty() && wish.assign.users.is_empty()),
        Step::Push => !wish.push_groups.is_empty(),
        Step::Hook => wish.event_hook.is_some(),
    }
}
