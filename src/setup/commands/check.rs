//! `rollcall setup check`: reads only. Credential, app, connection, clock, room in the rate limit, drift.

use okta_client::value::{id_of, text};
use serde_json::Value;

use crate::setup::report::{Level, Outcome};
use crate::setup::run::Run;
use crate::setup::steps::app_template::Carries;
use crate::setup::steps::connection::Connection;
use crate::setup::steps::{app, assignments, connection, diff};
use crate::setup::{Failure, preflight};

/// Looks at everything and changes nothing. A fault that was found is a failure of the check.
///
/// # Errors
/// See [`Failure`].
pub async fn check(run: &mut Run) -> Result<Outcome, Failure> {
    let session = std::sync::Arc::clone(&run.session);
    preflight::org(&session, &mut run.report).await?;
    preflight::credential(&session, &mut run.report).await?;
    preflight::apps(&session, &mut run.report).await?;
    assignments::resolve(&session).await?;
    let names = session.wish.assign.groups.len() + session.wish.assign.users.len();
    if names > 0 {
        run.report
            .ok("names", "every group and user of setup.toml is there");
    }
    let outcome = match app::find(run).await? {
        None => {
            run.report.ok(
                "app",
                "not made yet; `rollcall setup plan` shows what would be made",
            );
            Outcome::Done
        }
        Some(app) => look_at_app(run, &app).await?,
    };
    let failed = run
        .report
        .findings
        .iter()
        .any(|finding| finding.level == Level::Fault);
    Ok(if failed { Outcome::Failed } else { outcome })
}

async fn look_at_app(run: &mut Run, app: &Value) -> Result<Outcome, Failure> {
    let wish = run.session.wish.clone();
    run.report.app = Some(diff::short(app));
    let label = text(app, "/label").unwrap_or_default();
    let status = text(app, "/status").unwrap_or("of unknown state");
    let line = format!("`{label}`, {status}");
    if status == "ACTIVE" {
        run.report.ok("app", line);
    } else {
        run.report.fault(
            "app",
            format!("{line}; `rollcall setup apply` activates it"),
        );
    }
    diff::report_drift(run, app);
    let Some(id) = id_of(app).filter(|_| wish.app.provisioning) else {
        return Ok(Outcome::Done);
    };
    let by_api = wish.app.carries() == Carries::ByApi;
    match (connection::probe(run, &id).await?, by_api) {
        (Connection::Enabled, _) => run.report.ok("connection", "enabled, by the API"),
        (Connection::Disabled, true) => run.report.fault(
            "connection",
            "switched off; `rollcall setup apply` switches it on",
        ),
        (Connection::NotByApi, true) => run.report.fault(
            "connection",
            "there is none; `rollcall setup apply` makes it",
        ),
        (_, false) => run.report.ok(
            "connection",
            "not within the API's reach, as is usual for this kind: it is made in the console",
        ),
    }
    if by_api {
        return Ok(Outcome::Done);
    }
    let manual = connection::look_at_clicks(run, app).await?;
    for hint in &manual.hints {
        run.report.warn("console", hint.clone());
    }
    if manual.is_done() {
        run.report.ok(
            "console",
            "Okta has come with the token, and the switches are on",
        );
        return Ok(Outcome::Done);
    }
    run.report.step(
        connection::MANUAL_STEP,
        crate::setup::report::State::Open,
        manual.missing.join("; "),
    );
    Ok(Outcome::Manual)
}
