//! The app integration: found by its stored id, else by marker, else made. Never twice, and never replaced by PUT where
//! SCIM may have been switched on by hand: a PUT would switch it off.

use okta_client::transport::RequestBody;
use okta_client::value::{id_of, text};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::setup::desired::DesiredState;
use crate::setup::run::{Action, PlannedChange, Run, Write};
use crate::setup::state::StateChange;
use crate::setup::steps::app_template::Carries;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "app";
pub const LOGO_STEP: &str = "logo";
const MAX_LOGO_BYTES: usize = 1_000_000;

/// What setup knows its own app by, in the notes for admins: it stays the same when our database is lost.
pub fn marker(wish: &DesiredState) -> String {
    format!(
        "[rollcall setup: {} @ {}]",
        wish.rollcall.tenant, wish.rollcall.base_url
    )
}

/// The notes that the app shall have.
pub fn notes(wish: &DesiredState) -> String {
    match &wish.app.notes {
        Some(own) => format!("{own}\n{}", marker(wish)),
        None => format!("Made by Rollcall. {}", marker(wish)),
    }
}

/// Looks for the app.
///
/// # Errors
/// Several apps that could be it, or somebody else's app under its label.
pub async fn find(run: &mut Run) -> Result<Option<Value>, Failure> {
    if let Some(id) = run.options.app_id.clone() {
        return Ok(Some(read(run, &id).await?));
    }
    if let Some(kept) = run.kept.app.clone() {
        match read(run, &kept.id).await {
            Ok(app) => {
                check_kind(run, &app)?;
                return Ok(Some(app));
            }
            Err(failure) if failure.why == FailureKind::Gone => {
                run.report.warn(
                    STEP,
                    format!(
                        "the app {} is gone from the org; it is looked for anew",
                        kept.id
                    ),
                );
                run.kept.forget_app();
            }
            Err(failure) => return Err(failure),
        }
    }
    search(run).await
}

async fn read(run: &Run, id: &OktaId) -> Result<Value, Failure> {
    let client = &run.session.client;
    Ok(client.get(&format!("/api/v1/apps/{id}"), &[]).await?.body)
}

async fn search(run: &Run) -> Result<Option<Value>, Failure> {
    let wish = &run.session.wish;
    let mut query = vec![("limit", "200"), ("includeNonDeleted", "true")];
    let filter;
    if let Some(name) = wish.app.definition() {
        filter = format!("name eq \"{}\"", name.replace(['"', '\\'], ""));
        query.push(("filter", &filter));
    }
    let all = run.session.client.list("/api/v1/apps", &query).await?;
    let marker = marker(wish);
    let own: Vec<&Value> = all
        .iter()
        .filter(|app| {
            text(app, "/settings/notes/admin").is_some_and(|notes| notes.contains(&marker))
        })
        .collect();
    match own.as_slice() {
        [] => {}
        [app] => {
            check_kind(run, app)?;
            return Ok(Some((*app).clone()));
        }
        several => {
            let ids: Vec<&str> = several.iter().filter_map(|app| text(app, "/id")).collect();
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "Several apps carry the marker {marker}: {}. Name the right one with --app-id and delete the others.",
                    ids.join(", ")
                ),
            ));
        }
    }
    // Okta would make a second app with the same label, and nobody could tell them apart.
    let label = wish.app.label.as_str();
    let query = [
        ("q", label),
        ("limit", "200"),
        ("includeNonDeleted", "true"),
    ];
    let named = run.session.client.list("/api/v1/apps", &query).await?;
    match named.iter().find(|app| text(app, "/label") == Some(label)) {
        None => Ok(None),
        Some(app) => Err(Failure::new(
            FailureKind::Taken,
            format!(
                "An app labelled `{label}` exists already ({}, {}) and is not Rollcall's. Choose another label in setup.toml, or take that app over with --app-id {}.",
                text(app, "/name").unwrap_or("unnamed"),
                text(app, "/status").unwrap_or("of unknown state"),
                text(app, "/id").unwrap_or_default()
            ),
        )),
    }
}

/// An app cannot change its kind.
fn check_kind(run: &Run, app: &Value) -> Result<(), Failure> {
    let wished = &run.session.wish.app;
    let is_other = match wished.definition() {
        Some(name) => text(app, "/name").is_some_and(|is| is != name),
        None => run
            .kept
            .app
            .as_ref()
            .is_some_and(|kept| kept.kind != wished.kind),
    };
    if is_other {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!(
                "The app in the org is of the kind `{}`, setup.toml wants {}. An app cannot change its kind: put the old one back into setup.toml, or run `rollcall setup remove` first.",
                text(app, "/name").unwrap_or("unknown"),
                wished.kind.title()
            ),
        ));
    }
    Ok(())
}

/// What is to be done about the app itself.
pub fn look(run: &Run, app: Option<&Value>) -> Vec<PlannedChange> {
    let wish = &run.session.wish;
    let Some(app) = app else {
        let body = wish.app.body(&notes(wish));
        let write = Write::post(
            "/api/v1/apps".to_owned(),
            body,
            StateChange::App(wish.app.kind),
        );
        return vec![PlannedChange::write(
            STEP,
            '+',
            format!(
                "make {} labelled `{}`",
                wish.app.kind.title(),
                wish.app.label
            ),
            write.with("activate", "true"),
        )];
    };
    let Some(id) = id_of(app) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    let is_kept = run.kept.app.as_ref().is_some_and(|kept| kept.id == id);
    if !is_kept {
        let label = text(app, "/label").unwrap_or_default();
        changes.push(PlannedChange {
            step: STEP,
            sign: '~',
            text: format!("take over the app `{label}` ({id})"),
            action: Action::Adopt { app: id.clone() },
        });
    }
    if text(app, "/status") == Some("INACTIVE") {
        let path = format!("/api/v1/apps/{id}/lifecycle/activate");
        let write = Write::new(Method::POST, path, RequestBody::None, StateChange::Nothing);
        changes.push(PlannedChange::write(STEP, '~', "activate it", write));
    }
    if is_kept
        && wish.app.carries() == Carries::Never
        && let Some(body) = dressed(wish, app)
    {
        let path = format!("/api/v1/apps/{id}");
        let write = Write::new(
            Method::PUT,
            path,
            RequestBody::Json(body),
            StateChange::Nothing,
        );
        let what = drift(wish, app).join(", ");
        changes.push(PlannedChange::write(
            STEP,
            '~',
            format!("correct {what}"),
            write,
        ));
    }
    changes
}

/// What of the app's dress is not as wished, by name.
pub fn drift(wish: &DesiredState, app: &Value) -> Vec<&'static str> {
    let hidden = |key: &str| {
        app.pointer(key)
            .and_then(Value::as_bool)
            .is_none_or(|is| is == wish.app.hidden)
    };
    let notes_fit = text(app, "/settings/notes/admin") == Some(notes(wish).as_str());
    let mut different = Vec::new();
    if text(app, "/label") != Some(wish.app.label.as_str()) {
        different.push("label");
    }
    if !hidden("/visibility/hide/web") || !hidden("/visibility/hide/iOS") {
        different.push("visibility");
    }
    if !notes_fit {
        different.push("notes");
    }
    different
}

/// The app as it is, with the dress as wished: what a PUT needs, which takes away whatever it does not name.
fn dressed(wish: &DesiredState, app: &Value) -> Option<Value> {
    if drift(wish, app).is_empty() {
        return None;
    }
    let mut body = app.clone();
    let object = body.as_object_mut()?;
    for read_only in [
        "id",
        "status",
        "created",
        "lastUpdated",
        "_links",
        "_embedded",
        "features",
        "orn",
    ] {
        object.remove(read_only);
    }
    object.insert("label".into(), json!(wish.app.label));
    let hide = json!({ "iOS": wish.app.hidden, "web": wish.app.hidden });
    set(
        object.entry("visibility").or_insert_with(|| json!({})),
        "hide",
        hide,
    );
    let notes = json!({ "admin": notes(wish) });
    set(
        object.entry("settings").or_insert_with(|| json!({})),
        "notes",
        notes,
    );
    Some(body)
}

fn set(target: &mut Value, name: &str, value: Value) {
    if let Some(object) = target.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The logo, where it is another one than last time.
///
/// # Errors
/// A file that cannot be read, or is no picture that Okta takes.
pub fn look_at_logo(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let wish = &run.session.wish;
    let Some(path) = &wish.app.logo else {
        return Ok(Vec::new());
    };
    let path = wish.folder.join(path);
    let fault = |problem: String| {
        Failure::new(
            FailureKind::Invalid,
            format!("app.logo: {}: {problem}", path.display()),
        )
    };
    let bytes = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
    let (media_type, ending) = picture(&bytes).map_err(fault)?;
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if app.is_some() && run.kept.logo_sha256.as_ref() == Some(&hash) {
        return Ok(Vec::new());
    }
    let line = format!("show {}", path.display());
    let Some(app) = app else {
        return Ok(vec![PlannedChange::later(LOGO_STEP, line)]);
    };
    let body = RequestBody::File {
        name: format!("logo.{ending}"),
        media_type,
        bytes,
    };
    let path = format!("/api/v1/apps/{app}/logo");
    let write = Write::new(Method::POST, path, body, StateChange::Logo(hash));
    Ok(vec![PlannedChange::write(LOGO_STEP, '+', line, write)])
}

/// Media type and ending, by what the file holds and not by its name.
fn picture(bytes: &[u8]) -> Result<(&'static str, &'static str), String> {
    if bytes.len() >= MAX_LOGO_BYTES {
        return Err("it must be smaller than 1 MB".to_owned());
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Ok(("image/png", "png"))
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Ok(("image/jpeg", "jpg"))
    } else if bytes.starts_with(b"GIF8") {
        Ok(("image/gif", "gif"))
    } else if std::str::from_utf8(bytes).is_ok_and(|text| text.contains("<svg")) {
        Ok(("image/svg+xml", "svg"))
    } else {
        Err("it is neither PNG, JPG, GIF nor SVG".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_what_they_hold() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(picture(bytes).ok().map(|found| found.1), expected);
        };
        check(b"\x89PNG\r\n\x1a\n....", Some("png"));
        check(b"\xff\xd8\xff\xe0", Some("jpg"));
        check(b"GIF89a", Some("gif"));
        check(b"<?xml?><svg/>", Some("svg"));
        check(b"<html>", None);
        check(b"", None);
        check(&[b'x'; MAX_LOGO_BYTES], None);
    }

    #[test]
    fn only_what_differs_is_drift() {
        let wish = crate::setup::file::tests::wish("[app]\nlabel = \"Rollcall\"");
        let mut app = json!({ "label": "Rollcall", "settings": { "notes": { "admin": notes(&wish) } },
            "visibility": { "hide": { "web": true, "iOS": true } }, "id": "0oa1", "features": [] });
        assert_eq!(drift(&wish, &app), Vec::<&str>::new());
        assert_eq!(dressed(&wish, &app), None);
        app["label"] = json!("Other");
        app["visibility"]["hide"]["web"] = json!(false);
        assert_eq!(drift(&wish, &app), ["label", "visibility"]);
        let body = dressed(&wish, &app).unwrap();
        assert_eq!((&body["label"], body.get("id")), (&json!("Rollcall"), None));
    }
}
