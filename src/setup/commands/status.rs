//! `rollcall setup status`: how far it is, who has the app, and what failed since the last time.

use std::collections::BTreeMap;

use okta_client::value::text;
use serde_json::{Value, json};

use crate::service::setup::SetupWrite;
use crate::setup::commands::plan;
use crate::setup::report::Outcome;
use crate::setup::run::{Run, ours};
use crate::setup::steps::diff::OrgState;
use crate::setup::steps::{diff, event_hook};
use crate::setup::{Failure, OktaId};

/// How many of the last writes are shown.
const WRITES: i64 = 20;

/// # Errors
/// See [`Failure`].
pub async fn status(
    run: &mut Run,
    hook_secret: Option<secrecy::SecretString>,
) -> Result<Outcome, Failure> {
    let found = diff::find(run, hook_secret).await?;
    let outcome = plan::states(run, &found).await?;
    if let Some(app) = found.app_id() {
        users(run, &app).await?;
        failures(run, &app).await?;
    }
    writes(run).await?;
    Ok(outcome)
}

/// Counts the app's users by what Okta says of them.
async fn users(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{app}/users");
    let all = run.session.client.list(&path, &[("limit", "500")]).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for user in &all {
        let word = match (text(user, "/syncState"), text(user, "/status")) {
            (Some("ERROR"), _) => "ERROR",
            (_, status) => status.unwrap_or("UNKNOWN"),
        };
        let count = counts.entry(word.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    let line = if counts.is_empty() {
        "nobody has the app yet".to_owned()
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
                "{line}. See Dashboard > Tasks in the console, and press Retry when it is mended."
            ),
        );
    } else {
        run.report.ok("users", line);
    }
    run.report.more.insert("users".into(), json!(counts));
    Ok(())
}

async fn failures(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let failed = event_hook::failures(run, app).await?;
    for one in &failed {
        run.report.warn(
            "log",
            format!("{} {} of {}: {}", one.at, one.event, one.who, one.reason),
        );
    }
    if failed.is_empty() {
        run.report.ok("log", "Okta tells of no new failure");
    }
    run.report.more.insert("failures".into(), json!(failed));
    Ok(())
}

/// The last writes, and those of which nobody knows what became of them.
async fn writes(run: &mut Run) -> Result<(), Failure> {
    let writes = run.records.writes(WRITES).await.map_err(ours)?;
    for open in writes.iter().filter(|write| write.ended.is_none()) {
        run.report.warn(
            "record",
            format!(
                "{} {} ({}) was sent and no answer came; `rollcall setup apply` looks whether it was done",
                open.method, open.path, open.step
            ),
        );
    }
    let shown: Vec<Value> = writes.iter().map(shown).collect();
    run.report.more.insert("writes".into(), json!(shown));
    Ok(())
}

fn shown(write: &SetupWrite) -> Value {
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

/// The app of a verb that needs one.
///
/// # Errors
/// Where it is not made yet.
pub fn needed(found: &OrgState) -> Result<OktaId, Failure> {
    found.app_id().ok_or_else(|| {
        Failure::new(
            crate::setup::FailureKind::Invalid,
            "The app is not made yet: run `rollcall setup apply` first.",
        )
    })
}
