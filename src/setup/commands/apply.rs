//! `rollcall setup apply`: for each step, computes the difference, writes it, and computes it
//! again. Nothing is written that is up to date, so the command can be stopped and repeated at any
//! point.

use okta_client::RequestBody;
use okta_client::json::str_at;
use secrecy::{ExposeSecret as _, SecretString};

use crate::setup::commands::instructions::{Polling, wait_for_manual_steps};
use crate::setup::report::{Outcome, StepState};
use crate::setup::run::{Action, PlannedChange, Run, Write};
use crate::setup::state::{AppState, StateChange};
use crate::setup::steps::connection::Connection;
use crate::setup::steps::diff::{
    OrgState, STEPS, Step, app_summary, diff, load, reload_app, report_drift,
};
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, connection};
use crate::setup::{Failure, FailureKind, OktaId, advice};

/// A step that still differs after this many rounds is given up.
const MAX_ROUNDS: usize = 6;

/// Makes the org match `setup.toml` as far as Okta's API goes, and stops at the manual steps.
///
/// # Errors
/// Returns the first failure of a required step. What was done is recorded, and the next run
/// continues from there.
pub async fn apply(
    run: &mut Run,
    hook_secret: Option<SecretString>,
    polling: Polling,
) -> Result<Outcome, Failure> {
    if connection::needs_manual_steps(&run.session.desired)
        && run.options.token_file.is_none()
        && !run.options.may_print_token
        && !connection::diff_token(run).await?.is_empty()
    {
        return Err(Failure::new(
            FailureKind::Invalid,
            "A token for Okta has to be created, and JSON output does not show it. Pass a file for it with --token-file.",
        ));
    }
    let mut org = load(run, hook_secret).await?;
    run.save().await?;
    let mut changed = false;
    for step in STEPS {
        changed |= apply_step(run, &mut org, step).await?;
        if step == Step::Connection {
            report_connection(run, &org).await?;
        }
        if step == Step::ManualSteps && connection::needs_manual_steps(&run.session.desired) {
            let is_done = wait_for_manual_steps(run, &mut org, polling).await?;
            if !is_done {
                return Ok(Outcome::Manual);
            }
        }
    }
    if let Some(app) = &org.app {
        report_drift(run, app);
        run.report.app = Some(app_summary(app));
    }
    if !changed {
        run.report
            .ok("apply", "no changes: the org matches setup.toml");
    }
    Ok(Outcome::Done)
}

/// Reports the connection of an app with manual steps, so that nothing is done twice in the
/// console.
async fn report_connection(run: &mut Run, org: &OrgState) -> Result<(), Failure> {
    if !connection::needs_manual_steps(&run.session.desired) {
        return Ok(());
    }
    let Some(id) = org.app_id() else {
        return Ok(());
    };
    let line = match connection::probe(run, &id).await? {
        Connection::Enabled => "enabled, by the API",
        Connection::Disabled => "created by the API, but switched off",
        Connection::NotByApi => {
            "not available by API (Okta answers UNKNOWN): create it in the console"
        }
    };
    run.report.ok(connection::STEP, line);
    Ok(())
}

/// Writes until a step does not differ any more. Returns whether anything was written.
async fn apply_step(run: &mut Run, org: &mut OrgState, step: Step) -> Result<bool, Failure> {
    let mut changed = false;
    for _ in 0..MAX_ROUNDS {
        let changes = diff(run, org, step).await?;
        if changes.is_empty() {
            if changed {
                run.report.step(step.name(), StepState::Done, "up to date");
            }
            return Ok(changed);
        }
        for change in changes {
            if matches!(change.action, Action::Later) {
                continue;
            }
            run.report
                .change(change.step, change.sign, change.text.clone());
            match execute(run, org, &change).await {
                Ok(()) => changed = true,
                // No other step depends on it.
                Err(failure) if is_minor(step, &failure) => {
                    run.report
                        .warn(step.name(), advice::add(failure).to_string());
                    return Ok(changed);
                }
                Err(failure) => return Err(failure),
            }
        }
        run.options.new_token = false;
    }
    run.report.warn(
        step.name(),
        "Okta does not show the changes yet; run the command again in a minute",
    );
    Ok(changed)
}

fn is_minor(step: Step, failure: &Failure) -> bool {
    let may_fail = matches!(step, Step::Logo | Step::Hook);
    may_fail
        && matches!(
            failure.kind,
            FailureKind::Invalid | FailureKind::Unsupported | FailureKind::NotFound
        )
}

async fn execute(run: &mut Run, org: &mut OrgState, change: &PlannedChange) -> Result<(), Failure> {
    match &change.action {
        Action::Later => Ok(()),
        Action::Write(write) => {
            match run.write(change.step, write).await {
                Ok(_) => {}
                // The user was assigned meanwhile, or by an earlier write without a response.
                Err(failure) if failure.okta.code.as_deref() == Some("E0000062") => {
                    run.state.apply(&write.change, None);
                    run.save().await?;
                }
                Err(failure) => return Err(failure),
            }
            if change.step == app::STEP {
                reload_app(run, org).await?;
            }
            Ok(())
        }
        Action::Adopt { app } => {
            // An app with our marker was created by setup, and the response was lost.
            let is_own = org.app.as_ref().is_some_and(|app| {
                str_at(app, "/settings/notes/admin")
                    .is_some_and(|notes| notes.contains(&app::marker(&run.session.desired)))
            });
            run.state.app = Some(AppState {
                id: app.clone(),
                kind: run.session.desired.app.kind,
                adopted: !is_own,
            });
            run.save().await
        }
        Action::CreateToken => {
            let secret = connection::create_token(run).await?;
            hand_over_token(run, org, &secret).await
        }
        Action::Connect { app } => {
            let Some(id) = app.clone().or_else(|| org.app_id()) else {
                return Ok(());
            };
            connect_by_api(run, &id).await
        }
    }
}

/// Writes or prints the token, and then records it as delivered.
async fn hand_over_token(
    run: &mut Run,
    org: &mut OrgState,
    secret: &SecretString,
) -> Result<(), Failure> {
    match &run.options.token_file {
        Some(path) => {
            write_secret(path, secret)?;
            org.token = TokenLocation::File(path.display().to_string());
        }
        None => {
            run.report.print(&format!(
                "SCIM token (shown once): {}",
                secret.expose_secret()
            ));
            org.token = TokenLocation::Shown(secret.expose_secret().to_owned());
        }
    }
    run.state.apply(&StateChange::Connected, None);
    run.save().await
}

fn write_secret(path: &std::path::Path, secret: &SecretString) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", secret.expose_secret()))
        .map_err(|error| {
            Failure::new(
                FailureKind::Invalid,
                format!(
                    "--token-file {}: {error}. The token is lost; the next run creates another.",
                    path.display()
                ),
            )
        })
}

async fn connect_by_api(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{app}/connections/default");
    let secret = connection::create_token(run).await?;
    let body = connection::connection_body(&run.session.desired, &secret);
    let write = Write::post(path, body, StateChange::Connected).with("activate", "true");
    run.write(connection::STEP, &write).await?;
    match connection::probe(run, app).await? {
        Connection::Enabled => Ok(()),
        Connection::Disabled => {
            let path = format!("/api/v1/apps/{app}/connections/default/lifecycle/activate");
            let body = RequestBody::None;
            let write = Write::new(okta_client::Method::POST, path, body, StateChange::Nothing);
            run.write(connection::STEP, &write).await.map(|_| ())
        }
        Connection::NotByApi => Err(Failure::new(
            FailureKind::Unsupported,
            "Okta accepted the connection but does not have it: the provisioning of this app cannot be configured by API. Use the kind `scim-header`.",
        )),
    }
}
