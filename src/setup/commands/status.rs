//! `rollcall setup status`: the state of each step, the number of users, new failures and the last
//! writes.

use std::collections::BTreeMap;

use okta_client::json::str_at;
use serde_json::{Value, json};

use crate::service::setup::SetupWrite;
use crate::setup::commands::plan;
use crate::setup::report::Outcome;
use crate::setup::run::{Run, store_failure};
use crate::setup::steps::{diff, event_hook};
use crate::setup::{Failure, OktaId};

/// How many of the last writes the report has.
const MAX_WRITES: i64 = 20;

/// Reports the state of the setup.
///
/// # Errors
/// Returns an error if Okta refuses the credential, or if `setup.toml` does not fit the org.
pub async fn status(
    run: &mut Run,
    hook_secret: Option<secrecy::SecretString>,
) -> Result<Outcome, Failure> {
    let org = diff::load(run, hook_secret).await?;
    let outcome = plan::report_states(run, &org).await?;
    if let Some(app) = org.app_id() {
        report_users(run, &app).await?;
        report_failures(run, &app).await?;
    }
    report_writes(run).await?;
    Ok(outcome)
}

/// Reports the number of the app's users by their state in Okta.
async fn report_users(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{app}/users");
    let all = run.session.client.list(&path, &[("limit", "500")]).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for user in &all {
        let word = match (str_at(user, "/syncState"), str_at(user, "/status")) {
            (Some("ERROR"), _) => "ERROR",
            (_, status) => status.unwrap_or("UNKNOWN"),
        };
        let count = counts.entry(word.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    let line = if counts.is_empty() {
        "no user has the app yet".to_owned()
    } else {
        let parts: Vec<String> = counts
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        parts.join(", ")
    };
    if counts.contains_key("ERROR") {
        run.report.warn(
            "users",
            format!(
                "{line}. See Dashboard > Tasks in the console, and press Retry when the cause is fixed."
            ),
        );
    } else {
        run.report.ok("users", line);
    }
    run.report.more.insert("users".into(), json!(counts));
    Ok(())
}

/// Reports failures that are new in the System Log.
async fn report_failures(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let failed = event_hook::new_failures(run, app).await?;
    for event in &failed {
        run.report.warn(
            "log",
            format!(
                "{} {} of {}: {}",
                event.at, event.event, event.who, event.reason
            ),
        );
    }
    if failed.is_empty() {
        run.report.ok("log", "no new failure in Okta");
    }
    run.report.more.insert("failures".into(), json!(failed));
    Ok(())
}

/// Reports the last writes, and warns about those without a response.
async fn report_writes(run: &mut Run) -> Result<(), Failure> {
    let writes = run
        .records
        .writes(MAX_WRITES)
        .await
        .map_err(store_failure)?;
    for write in writes.iter().filter(|write| write.ended.is_none()) {
        run.report.warn(
            "record",
            format!(
                "{} {} ({}) was sent and no response came; `rollcall setup apply` finds out whether it was executed",
                write.method, write.path, write.step
            ),
        );
    }
    let list: Vec<Value> = writes.iter().map(write_json).collect();
    run.report.more.insert("writes".into(), json!(list));
    Ok(())
}

fn write_json(write: &SetupWrite) -> Value {
    let time = |us: Option<i64>| {
        us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
            .map(|time| time.to_string())
    };
    json!({
        "step": write.step,
        "method": write.method,
        "path": write.path,
        "began": time(Some(write.began)),
        "ended": time(write.ended),
        "status": write.status,
        "okta_request_id": write.request_id,
        "okta_code": write.error_code,
        "okta_error_id": write.error_id,
    })
}
