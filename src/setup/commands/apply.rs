//! `apply`: makes true what the looks find, looks again, and goes on. Each step is read, compared, written only where it
//! differs, and read back, so that it can be stopped anywhere.

use okta_client::transport::RequestBody;
use okta_client::value::text;
use secrecy::{ExposeSecret as _, SecretString};

use crate::setup::commands::instructions::{PendingStep, wait_for_clicks};
use crate::setup::report::{Outcome, State};
use crate::setup::run::{Action, PlannedChange, Run, Write};
use crate::setup::state::{AppState, StateChange};
use crate::setup::steps::connection::Connection;
use crate::setup::steps::diff::{
    OrgState, STEPS, Step, find, look, read_back, report_drift, short,
};
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, connection};
use crate::setup::{Failure, FailureKind, OktaId};

/// A step that has not come to rest after so many rounds never will.
const MAX_ROUNDS: usize = 6;

/// `rollcall setup apply`: makes the wish true, as far as Okta's API goes, and stops where a person has to click.
///
/// # Errors
/// See [`Failure`]. What was done until then is on record, and the next run goes on from there.
pub async fn apply(
    run: &mut Run,
    hook_secret: Option<SecretString>,
    waiting: PendingStep,
) -> Result<Outcome, Failure> {
    if connection::is_by_hand(&run.session.wish)
        && run.options.token_file.is_none()
        && !run.options.may_print_token
        && !connection::look_at_token(run).await?.is_empty()
    {
        return Err(Failure::new(
            FailureKind::Invalid,
            "A token for Okta is to be made, and JSON output does not show it: name a file for it with --token-file.",
        ));
    }
    let mut found = find(run, hook_secret).await?;
    run.save().await?;
    let mut changed = false;
    for step in STEPS {
        changed |= take(run, &mut found, step).await?;
        if step == Step::Connection {
            say_connection(run, &found).await?;
        }
        if step == Step::Console && connection::is_by_hand(&run.session.wish) {
            let open = wait_for_clicks(run, &mut found, waiting).await?;
            if open {
                return Ok(Outcome::Manual);
            }
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
        run.report.app = Some(short(app));
    }
    if !changed {
        run.report
            .ok("apply", "no changes: the org is as setup.toml wishes");
    }
    Ok(Outcome::Done)
}

/// Asks Okta for the connection of an app that is wired by hand, so that nobody clicks what is there already.
async fn say_connection(run: &mut Run, found: &OrgState) -> Result<(), Failure> {
    if !connection::is_by_hand(&run.session.wish) {
        return Ok(());
    }
    let Some(id) = found.app_id() else {
        return Ok(());
    };
    let line = match connection::probe(run, &id).await? {
        Connection::Enabled => "there is one that Okta's API knows",
        Connection::Disabled => "there is one that Okta's API knows, switched off",
        Connection::NotByApi => "not by the API (Okta answers UNKNOWN): it is made in the console",
    };
    run.report.ok(connection::STEP, line);
    Ok(())
}

/// One step: looks, writes, looks again, until there is nothing left. True where something was written.
async fn take(run: &mut Run, found: &mut OrgState, step: Step) -> Result<bool, Failure> {
    let mut changed = false;
    for _ in 0..MAX_ROUNDS {
        let changes = look(run, found, step).await?;
        if changes.is_empty() {
            if changed {
                run.report.step(step.name(), State::Done, "as wished");
            }
            return Ok(changed);
        }
        for change in changes {
            if matches!(change.action, Action::Later) {
                continue;
            }
            run.report
                .change(change.step, change.sign, change.text.clone());
            match perform(run, found, &change).await {
                Ok(()) => changed = true,
                // Nothing else depends on it.
                Err(failure) if is_minor(step, &failure) => {
                    run.report.warn(step.name(), failure.to_string());
                    return Ok(changed);
                }
                Err(failure) => return Err(failure),
            }
        }
        run.options.new_token = false;
    }
    run.report.warn(
        step.name(),
        "Okta does not show what was written yet; run the command again in a minute",
    );
    Ok(changed)
}

fn is_minor(step: Step, failure: &Failure) -> bool {
    let may_fail = matches!(step, Step::Logo | Step::Hook);
    may_fail
        && matches!(
            failure.why,
            FailureKind::Invalid | FailureKind::Unsupported | FailureKind::Gone
        )
}

async fn perform(
    run: &mut Run,
    found: &mut OrgState,
    change: &PlannedChange,
) -> Result<(), Failure> {
    match &change.action {
        Action::Later => Ok(()),
        Action::Write(write) => {
            match run.write(change.step, write).await {
                Ok(_) => {}
                // Somebody was quicker, or a write before this one was done although no answer came.
                Err(failure) if failure.okta.code.as_deref() == Some("E0000062") => {
                    run.kept.keep(&write.keep, None);
                    run.save().await?;
                }
                Err(failure) => return Err(failure),
            }
            if change.step == app::STEP {
                read_back(run, found).await?;
            }
            Ok(())
        }
        Action::Adopt { app } => {
            // An app with our marker was made by us, and the answer was lost; one without is another's.
            let own = found.app.as_ref().is_some_and(|found| {
                text(found, "/settings/notes/admin")
                    .is_some_and(|notes| notes.contains(&app::marker(&run.session.wish)))
            });
            run.kept.app = Some(AppState {
                id: app.clone(),
                kind: run.session.wish.app.kind,
                adopted: !own,
            });
            run.save().await
        }
        Action::MakeToken => {
            let secret = connection::make_token(run).await?;
            deliver(run, found, &secret).await
        }
        Action::Connect { app } => {
            let Some(id) = app.clone().or_else(|| found.app_id()) else {
                return Ok(());
            };
            connect_by_api(run, &id).await
        }
    }
}

/// Hands the token to the admin, and only then counts it as delivered.
async fn deliver(
    run: &mut Run,
    found: &mut OrgState,
    secret: &SecretString,
) -> Result<(), Failure> {
    match &run.options.token_file {
        Some(path) => {
            write_secret(path, secret)?;
            found.token = TokenLocation::File(path.display().to_string());
        }
        None => {
            run.report.tell(&format!(
                "SCIM token (shown once): {}",
                secret.expose_secret()
            ));
            found.token = TokenLocation::Here(secret.expose_secret().to_owned());
        }
    }
    run.kept.keep(&StateChange::Connected, None);
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
                    "--token-file {}: {error}. The token is lost; the next run makes another.",
                    path.display()
                ),
            )
        })
}

async fn connect_by_api(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{app}/connections/default");
    let secret = connection::make_token(run).await?;
    let body = connection::connection_body(&run.session.wish, &secret);
    let write = Write::post(path, body, StateChange::Connected).with("activate", "true");
    run.write(connection::STEP, &write).await?;
    match connection::probe(run, app).await? {
        Connection::Enabled => Ok(()),
        Connection::Disabled => {
            let path = format!("/api/v1/apps/{app}/connections/default/lifecycle/activate");
            let body = RequestBody::None;
            let write = Write::new(reqwest::Method::POST, path, body, StateChange::Nothing);
            run.write(connection::STEP, &write).await.map(|_| ())
        }
        Connection::NotByApi => Err(Failure::new(
            FailureKind::Unsupported,
            "Okta took the connection and does not have it: this app's provisioning is out of the API's reach. Take the kind `scim-header`.",
        )),
    }
}
