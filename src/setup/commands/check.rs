//! `rollcall setup check`: checks the credential, the names, the app, the connection, the clock,
//! the rate limit and drift. Reads only.

use okta_client::json::{object_id, str_at};
use serde_json::Value;

use crate::setup::report::{Level, Outcome};
use crate::setup::run::Run;
use crate::setup::steps::app_template::ProvisioningSupport;
use crate::setup::steps::connection::Connection;
use crate::setup::steps::{app, assignments, connection, diff};
use crate::setup::{Failure, preflight};

/// Checks everything and changes nothing. Any fault makes the outcome [`Outcome::Failed`].
///
/// # Errors
/// Returns an error if Okta refuses the credential, or if a name in `setup.toml` does not exist.
pub async fn check(run: &mut Run) -> Result<Outcome, Failure> {
    let session = std::sync::Arc::clone(&run.session);
    preflight::check_org(&session, &mut run.report).await?;
    preflight::check_credential(&session, &mut run.report).await?;
    preflight::check_apps(&session, &mut run.report).await?;
    assignments::resolve(&session).await?;
    let names = session.desired.assign.groups.len() + session.desired.assign.users.len();
    if names > 0 {
        run.report
            .ok("names", "every group and user in setup.toml exists");
    }
    let outcome = match app::find(run).await? {
        None => {
            run.report.ok(
                "app",
                "not created yet; `rollcall setup plan` shows what would be created",
            );
            Outcome::Done
        }
        Some(app) => check_app(run, &app).await?,
    };
    let has_fault = run
        .report
        .findings
        .iter()
        .any(|finding| finding.level == Level::Fault);
    Ok(if has_fault { Outcome::Failed } else { outcome })
}

async fn check_app(run: &mut Run, app: &Value) -> Result<Outcome, Failure> {
    let desired = run.session.desired.clone();
    run.report.app = Some(diff::app_summary(app));
    let label = str_at(app, "/label").unwrap_or_default();
    let status = str_at(app, "/status").unwrap_or("status unknown");
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
    let Some(id) = object_id(app).filter(|_| desired.app.provisioning) else {
        return Ok(Outcome::Done);
    };
    let is_by_api = desired.app.provisioning_support() == ProvisioningSupport::Api;
    match (connection::probe(run, &id).await?, is_by_api) {
        (Connection::Enabled, _) => run.report.ok("connection", "enabled, by the API"),
        (Connection::Disabled, true) => run.report.fault(
            "connection",
            "switched off; `rollcall setup apply` switches it on",
        ),
        (Connection::NotByApi, true) => run.report.fault(
            "connection",
            "there is none; `rollcall setup apply` creates it",
        ),
        (_, false) => run.report.ok(
            "connection",
            "not available by API, as usual for this kind: create it in the console",
        ),
    }
    if is_by_api {
        return Ok(Outcome::Done);
    }
    let manual = connection::check_manual_steps(run, app).await?;
    if manual.is_done() {
        run.report
            .ok(connection::MANUAL_STEP, connection::MANUAL_STEPS_DONE);
        for hint in manual.hints {
            run.report.warn(connection::MANUAL_STEP, hint);
        }
        return Ok(Outcome::Done);
    }
    manual.report_open(&mut run.report);
    Ok(Outcome::Manual)
}
