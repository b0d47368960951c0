//! The event hook, and failures in Okta's System Log.

use okta_client::Method;
use okta_client::json::{object_id, str_at, strs_at};
use okta_client::{RequestBody, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::setup::desired::EventHook;
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::session::Session;
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "event hook";
/// How far back the first query of the log goes.
const FIRST_QUERY_HOURS: i64 = 24;
const MAX_PAGES: usize = 20;

/// Returns the changes to the event hook.
///
/// # Errors
/// Returns an error if there is no secret for a hook that has to be written.
pub async fn diff(
    run: &mut Run,
    secret: Option<&SecretString>,
) -> Result<Vec<PlannedChange>, Failure> {
    let Some(desired) = run.session.desired.event_hook.clone() else {
        return match &run.state.hook {
            None => Ok(Vec::new()),
            Some(id) => Ok(delete_hook(id)
                .into_iter()
                .map(|write| PlannedChange::write(STEP, '-', "remove it", write))
                .collect()),
        };
    };
    let all = run.session.client.list("/api/v1/eventHooks", &[]).await?;
    let hook = all.iter().find(|hook| match &run.state.hook {
        Some(id) => object_id(hook).as_ref() == Some(id),
        None => matches(hook, &desired),
    });
    let Some((hook, id)) = hook.and_then(|hook| Some((hook, object_id(hook)?))) else {
        let body = hook_body(&desired, secret)?;
        let write = Write::post("/api/v1/eventHooks".to_owned(), body, StateChange::Hook);
        let line = format!(
            "send {} kinds of events to {}",
            desired.events.len(),
            desired.url
        );
        return Ok(vec![PlannedChange::write(STEP, '+', line, write)]);
    };
    // Found by name and address after a crash: setup created it.
    if run.state.hook.is_none() {
        run.state.hook = Some(id.clone());
        run.save().await?;
    }
    let mut changes = Vec::new();
    if differs(hook, &desired) {
        let path = format!("/api/v1/eventHooks/{id}");
        let body = RequestBody::Json(hook_body(&desired, secret)?);
        let write = Write::new(Method::PUT, path, body, StateChange::Nothing);
        let line = "correct its name, address or events";
        changes.push(PlannedChange::write(STEP, '~', line, write));
    }
    if str_at(hook, "/verificationStatus") != Some("VERIFIED") {
        let path = format!("/api/v1/eventHooks/{id}/lifecycle/verify");
        let write = Write::new(Method::POST, path, RequestBody::None, StateChange::Nothing);
        changes.push(PlannedChange::write(STEP, '~', "verify it", write));
    }
    Ok(changes)
}

fn differs(hook: &Value, desired: &EventHook) -> bool {
    let mut events = strs_at(hook, "/events/items");
    events.sort_unstable();
    let mut desired_events: Vec<&str> = desired.events.iter().map(String::as_str).collect();
    desired_events.sort_unstable();
    events != desired_events || !matches(hook, desired)
}

fn matches(hook: &Value, desired: &EventHook) -> bool {
    str_at(hook, "/name") == Some(desired.name.as_str())
        && str_at(hook, "/channel/config/uri") == Some(desired.url.as_str())
}

/// Finds the desired hook in the org.
///
/// # Errors
/// Returns an error if Okta does not list the hooks.
pub async fn find(session: &Session) -> Result<Option<OktaId>, Failure> {
    let Some(desired) = &session.desired.event_hook else {
        return Ok(None);
    };
    let all = session.client.list("/api/v1/eventHooks", &[]).await?;
    Ok(all
        .iter()
        .find(|hook| matches(hook, desired))
        .and_then(object_id))
}

fn hook_body(desired: &EventHook, secret: Option<&SecretString>) -> Result<Value, Failure> {
    let secret = secret.ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            "setup.toml has an event hook: set ROLLCALL_EVENT_HOOK_SECRET to the secret that Okta sends with each event.",
        )
    })?;
    Ok(json!({
        "name": desired.name,
        "events": { "type": "EVENT_TYPE", "items": desired.events },
        "channel": { "type": "HTTP", "version": "1.0.0", "config": {
            "uri": desired.url,
            "authScheme": { "type": "HEADER", "key": "Authorization", "value": secret.expose_secret() },
        } },
    }))
}

/// Deactivates and deletes a hook: Okta only deletes an inactive one.
pub fn delete_hook(id: &OktaId) -> [Write; 2] {
    let path = format!("/api/v1/eventHooks/{id}");
    [
        Write::new(
            Method::POST,
            format!("{path}/lifecycle/deactivate"),
            RequestBody::None,
            StateChange::Nothing,
        ),
        Write::new(Method::DELETE, path, RequestBody::None, StateChange::NoHook),
    ]
}

/// A failed provisioning event in the System Log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailedEvent {
    pub at: String,
    pub event: String,
    pub who: String,
    pub reason: String,
}

/// Reads the failures since the last call, and stores the cursor.
///
/// If the credential may not read the log, this reports a warning and returns none.
///
/// # Errors
/// Returns an error if Okta is unavailable.
pub async fn new_failures(run: &mut Run, app: &OktaId) -> Result<Vec<FailedEvent>, Failure> {
    let cursor = run
        .state
        .log_cursor
        .clone()
        .filter(|url| run.session.desired.org.owns(url));
    let first = match cursor {
        Some(url) => run.session.client.get_page(&url).await,
        None => first_log_page(run, app).await,
    };
    let mut response = match first {
        Ok(response) => response,
        Err(failure)
            if failure.kind == FailureKind::AccessDenied && failure.okta.status == Some(403) =>
        {
            run.report.warn(
                "log",
                "the credential may not read the System Log, so failures in Okta are not shown (okta.logs.read, Report Administrator)",
            );
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    let mut failed = Vec::new();
    for _ in 0..MAX_PAGES {
        let events = response.body.as_array().cloned().unwrap_or_default();
        failed.extend(events.iter().map(read_event));
        // A polling query always has a next page, which is empty until there is a new event.
        let Some(next) = response.next_page else {
            break;
        };
        run.state.log_cursor = Some(next.clone());
        if events.is_empty() {
            break;
        }
        response = run.session.client.get_page(&next).await?;
    }
    run.save().await?;
    Ok(failed)
}

async fn first_log_page(run: &Run, app: &OktaId) -> Result<Response, Failure> {
    let client = &run.session.client;
    let now = client.now();
    let since = now
        .checked_sub(jiff::SignedDuration::from_hours(FIRST_QUERY_HOURS))
        .unwrap_or(now);
    let since = format!("{since:.0}");
    let filter = format!("target.id eq \"{app}\" and outcome.result eq \"FAILURE\"");
    let query = [
        ("since", since.as_str()),
        ("filter", filter.as_str()),
        ("sortOrder", "ASCENDING"),
        ("limit", "100"),
    ];
    client.get("/api/v1/logs", &query).await
}

fn read_event(event: &Value) -> FailedEvent {
    let who = event
        .pointer("/target")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|target| {
            matches!(
                str_at(target, "/type"),
                Some("User" | "AppUser" | "UserGroup")
            )
        })
        .and_then(|target| {
            str_at(target, "/alternateId").or_else(|| str_at(target, "/displayName"))
        });
    let own = |pointer| str_at(event, pointer).unwrap_or_default().to_owned();
    FailedEvent {
        at: own("/published"),
        event: own("/eventType"),
        who: who.unwrap_or("unknown").to_owned(),
        reason: own("/outcome/reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_user_and_a_reason() {
        let event = json!({ "published": "2026-11-24T20:00:00Z", "eventType": "application.provision.user.push",
            "outcome": { "result": "FAILURE", "reason": "Conflict" },
            "target": [{ "type": "AppInstance", "alternateId": "Rollcall" }, { "type": "User", "alternateId": "ada@acme.example" }] });
        let failed = read_event(&event);
        assert_eq!(
            (failed.who.as_str(), failed.reason.as_str()),
            ("ada@acme.example", "Conflict")
        );
        assert_eq!(read_event(&json!({})).who, "unknown");
    }
}
