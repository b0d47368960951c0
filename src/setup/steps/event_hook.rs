//! Watching what Okta does: an event hook where one is wished, and the System Log.

use okta_client::transport::RequestBody;
use okta_client::value::{id_of, text, texts};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::setup::desired::EventHook;
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::session::Session;
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "event hook";
/// How far back the first reading of the log goes.
const FIRST_LOOK_HOURS: i64 = 24;
const MAX_PAGES: usize = 20;

/// What is to be done about the event hook.
///
/// # Errors
/// A hook that is wished without its secret; see [`Failure`] for the rest.
pub async fn look(
    run: &mut Run,
    secret: Option<&SecretString>,
) -> Result<Vec<PlannedChange>, Failure> {
    let wished = run.session.wish.event_hook.clone();
    let Some(wished) = wished else {
        return match &run.kept.hook {
            None => Ok(Vec::new()),
            Some(id) => Ok(drop_hook(id)
                .into_iter()
                .map(|write| PlannedChange::write(STEP, '-', "remove it", write))
                .collect()),
        };
    };
    let all = run.session.client.list("/api/v1/eventHooks", &[]).await?;
    let is = all.iter().find(|one| match &run.kept.hook {
        Some(id) => id_of(one).as_ref() == Some(id),
        None => is_it(one, &wished),
    });
    let Some((is, id)) = is.and_then(|is| Some((is, id_of(is)?))) else {
        let body = body(&wished, secret)?;
        let write = Write::post("/api/v1/eventHooks".to_owned(), body, StateChange::Hook);
        let line = format!(
            "tell {} of {} kinds of events",
            wished.url,
            wished.events.len()
        );
        return Ok(vec![PlannedChange::write(STEP, '+', line, write)]);
    };
    // Found by its name after a crash: it is ours.
    if run.kept.hook.is_none() {
        run.kept.hook = Some(id.clone());
        run.save().await?;
    }
    let mut is_events = texts(is, "/events/items");
    let mut wished_events: Vec<&str> = wished.events.iter().map(String::as_str).collect();
    is_events.sort_unstable();
    wished_events.sort_unstable();
    let mut changes = Vec::new();
    if is_events != wished_events
        || text(is, "/channel/config/uri") != Some(wished.url.as_str())
        || text(is, "/name") != Some(wished.name.as_str())
    {
        let path = format!("/api/v1/eventHooks/{id}");
        let body = RequestBody::Json(body(&wished, secret)?);
        let write = Write::new(Method::PUT, path, body, StateChange::Nothing);
        changes.push(PlannedChange::write(
            STEP,
            '~',
            "correct its address or its events",
            write,
        ));
    }
    if text(is, "/verificationStatus") != Some("VERIFIED") {
        let path = format!("/api/v1/eventHooks/{id}/lifecycle/verify");
        let write = Write::new(Method::POST, path, RequestBody::None, StateChange::Nothing);
        changes.push(PlannedChange::write(
            STEP,
            '~',
            "have Okta verify it",
            write,
        ));
    }
    Ok(changes)
}

fn is_it(hook: &Value, wished: &EventHook) -> bool {
    text(hook, "/name") == Some(wished.name.as_str())
        && text(hook, "/channel/config/uri") == Some(wished.url.as_str())
}

/// The wished hook, if there is one in the org.
///
/// # Errors
/// See [`Failure`].
pub async fn find(session: &Session) -> Result<Option<OktaId>, Failure> {
    let Some(wished) = &session.wish.event_hook else {
        return Ok(None);
    };
    let all = session.client.list("/api/v1/eventHooks", &[]).await?;
    Ok(all.iter().find(|one| is_it(one, wished)).and_then(id_of))
}

fn body(wished: &EventHook, secret: Option<&SecretString>) -> Result<Value, Failure> {
    let secret = secret.ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            "setup.toml wishes an event hook: put the secret that Okta shall send with each event into ROLLCALL_EVENT_HOOK_SECRET.",
        )
    })?;
    Ok(json!({
        "name": wished.name,
        "events": { "type": "EVENT_TYPE", "items": wished.events },
        "channel": { "type": "HTTP", "version": "1.0.0", "config": {
            "uri": wished.url,
            "authScheme": { "type": "HEADER", "key": "Authorization", "value": secret.expose_secret() },
        } },
    }))
}

/// A hook must be inactive before it can be deleted.
pub fn drop_hook(id: &OktaId) -> [Write; 2] {
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

/// A provisioning that failed, as the System Log tells.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failed {
    pub at: String,
    pub event: String,
    pub who: String,
    pub reason: String,
}

/// Reads what failed since the last time, and keeps the place where the next reading goes on.
///
/// # Errors
/// See [`Failure`]; where the log may not be read at all that is only reported.
pub async fn failures(run: &mut Run, app: &OktaId) -> Result<Vec<Failed>, Failure> {
    let client = &run.session.client;
    let cursor = run
        .kept
        .log_cursor
        .clone()
        .filter(|url| run.session.wish.org.owns(url));
    let first = match cursor {
        Some(url) => client.get_page(&url).await,
        None => {
            let now = client.now();
            let since = now
                .checked_sub(jiff::SignedDuration::from_hours(FIRST_LOOK_HOURS))
                .unwrap_or(now);
            let filter = format!("target.id eq \"{app}\" and outcome.result eq \"FAILURE\"");
            let since = format!("{since:.0}");
            let query = [
                ("since", since.as_str()),
                ("filter", filter.as_str()),
                ("sortOrder", "ASCENDING"),
                ("limit", "100"),
            ];
            client.get("/api/v1/logs", &query).await
        }
    };
    let mut answer = match first {
        Ok(answer) => answer,
        Err(failure) if failure.why == FailureKind::Refused && failure.okta.status == Some(403) => {
            run.report.warn(
                "log",
                "the credential may not read the System Log, so failures of Okta are not seen here (okta.logs.read, Report Administrator)",
            );
            return Ok(Vec::new());
        }
        Err(failure) => return Err(failure),
    };
    let mut failed = Vec::new();
    for _ in 0..MAX_PAGES {
        let events = answer.body.as_array().cloned().unwrap_or_default();
        failed.extend(events.iter().map(read_event));
        // Polling: there is always a next page, which is empty until something happens.
        let Some(next) = answer.next else { break };
        run.kept.log_cursor = Some(next.clone());
        if events.is_empty() {
            break;
        }
        answer = run.session.client.get_page(&next).await?;
    }
    run.save().await?;
    Ok(failed)
}

fn read_event(event: &Value) -> Failed {
    let who = event
        .pointer("/target")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|target| {
            matches!(
                text(target, "/type"),
                Some("User" | "AppUser" | "UserGroup")
            )
        })
        .and_then(|target| text(target, "/alternateId").or_else(|| text(target, "/displayName")));
    let own = |pointer| text(event, pointer).unwrap_or_default().to_owned();
    Failed {
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
    fn an_event_tells_who_and_why() {
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
