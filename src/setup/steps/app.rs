//! The app: found by its stored id or by its marker, or else created. An app on which SCIM may have
//! been enabled in the console is never replaced by PUT, because a PUT would disable it.

use okta_client::json::{object_id, str_at};
use okta_client::{Method, RequestBody};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::setup::desired::DesiredState;
use crate::setup::run::{Action, PlannedChange, Run, Write};
use crate::setup::state::StateChange;
use crate::setup::steps::app_template::ProvisioningSupport;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "app";
pub const LOGO_STEP: &str = "logo";
const MAX_LOGO_BYTES: usize = 1_000_000;

/// Returns the text by which setup recognizes its app, in the notes for administrators. It does not
/// depend on the stored state, which may be lost.
pub fn marker(desired: &DesiredState) -> String {
    format!(
        "[rollcall setup: {} @ {}]",
        desired.rollcall.tenant, desired.rollcall.base_url
    )
}

/// Returns the desired notes of the app.
pub fn notes(desired: &DesiredState) -> String {
    match &desired.app.notes {
        Some(own) => format!("{own}\n{}", marker(desired)),
        None => format!("Created by Rollcall. {}", marker(desired)),
    }
}

/// Finds the app.
///
/// # Errors
/// Returns an error if several apps carry the marker, if another app has the label, or if the app
/// is of another kind.
pub async fn find(run: &mut Run) -> Result<Option<Value>, Failure> {
    if let Some(id) = run.options.app_id.clone() {
        return Ok(Some(read(run, &id).await?));
    }
    if let Some(known) = run.state.app.clone() {
        match read(run, &known.id).await {
            Ok(app) => {
                check_kind(run, &app)?;
                return Ok(Some(app));
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {
                run.report.warn(
                    STEP,
                    format!(
                        "the app {} does not exist any more; searching for another one",
                        known.id
                    ),
                );
                run.state.forget_app();
            }
            Err(failure) => return Err(failure),
        }
    }
    search(run).await
}

/// Returns the failure of a command that needs the app.
pub fn not_created() -> Failure {
    Failure::new(
        FailureKind::Invalid,
        "The app does not exist yet: run `rollcall setup apply` first.",
    )
}

async fn read(run: &Run, id: &OktaId) -> Result<Value, Failure> {
    let client = &run.session.client;
    Ok(client.get(&format!("/api/v1/apps/{id}"), &[]).await?.body)
}

/// Searches the app by its marker.
async fn search(run: &Run) -> Result<Option<Value>, Failure> {
    let desired = &run.session.desired;
    let mut query = vec![("limit", "200"), ("includeNonDeleted", "true")];
    let filter;
    if let Some(name) = desired.app.definition() {
        filter = format!("name eq \"{}\"", name.replace(['"', '\\'], ""));
        query.push(("filter", &filter));
    }
    let all = run.session.client.list("/api/v1/apps", &query).await?;
    let marker = marker(desired);
    let own: Vec<&Value> = all
        .iter()
        .filter(|app| {
            str_at(app, "/settings/notes/admin").is_some_and(|notes| notes.contains(&marker))
        })
        .collect();
    match own.as_slice() {
        [] => {}
        [app] => {
            check_kind(run, app)?;
            return Ok(Some((*app).clone()));
        }
        several => {
            let ids: Vec<&str> = several
                .iter()
                .filter_map(|app| str_at(app, "/id"))
                .collect();
            return Err(Failure::new(
                FailureKind::Invalid,
                format!(
                    "Several apps carry the marker {marker}: {}. Pass the right one with --app-id and delete the others.",
                    ids.join(", ")
                ),
            ));
        }
    }
    check_label(run).await.map(|()| None)
}

/// Checks that no other app has the desired label: Okta would create a second one, and users could
/// not tell them apart.
async fn check_label(run: &Run) -> Result<(), Failure> {
    let label = run.session.desired.app.label.as_str();
    let query = [
        ("q", label),
        ("limit", "200"),
        ("includeNonDeleted", "true"),
    ];
    let named = run.session.client.list("/api/v1/apps", &query).await?;
    match named
        .iter()
        .find(|app| str_at(app, "/label") == Some(label))
    {
        None => Ok(()),
        Some(app) => Err(Failure::new(
            FailureKind::AlreadyExists,
            format!(
                "An app labelled `{label}` exists already ({}, {}), and setup did not create it. Choose another label in setup.toml, or take over that app with --app-id {}.",
                str_at(app, "/name").unwrap_or("unnamed"),
                str_at(app, "/status").unwrap_or("status unknown"),
                str_at(app, "/id").unwrap_or_default()
            ),
        )),
    }
}

/// Checks that the app has the desired kind, because Okta cannot change it.
fn check_kind(run: &Run, app: &Value) -> Result<(), Failure> {
    let desired = &run.session.desired.app;
    let is_other = match desired.definition() {
        Some(name) => str_at(app, "/name").is_some_and(|is| is != name),
        None => run
            .state
            .app
            .as_ref()
            .is_some_and(|known| known.kind != desired.kind),
    };
    if is_other {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!(
                "The app in the org is of the kind `{}`, and setup.toml asks for {}. An app cannot change its kind: restore the old kind in setup.toml, or run `rollcall setup remove` first.",
                str_at(app, "/name").unwrap_or("unknown"),
                desired.kind.title()
            ),
        ));
    }
    Ok(())
}

fn creation(desired: &DesiredState) -> PlannedChange {
    let app = &desired.app;
    let body = app.body(&notes(desired));
    let change = StateChange::App(app.kind);
    let write = Write::post("/api/v1/apps".to_owned(), body, change).with("activate", "true");
    let line = format!("create {} labelled `{}`", app.kind.title(), app.label);
    PlannedChange::write(STEP, '+', line, write)
}

/// Returns the changes to the app itself.
pub fn diff(run: &Run, app: Option<&Value>) -> Vec<PlannedChange> {
    let desired = &run.session.desired;
    let Some(app) = app else {
        return vec![creation(desired)];
    };
    let Some(id) = object_id(app) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    let is_known = run.state.app.as_ref().is_some_and(|known| known.id == id);
    if !is_known {
        let label = str_at(app, "/label").unwrap_or_default();
        changes.push(PlannedChange {
            step: STEP,
            sign: '~',
            text: format!("take over the app `{label}` ({id})"),
            action: Action::Adopt { app: id.clone() },
        });
    }
    if str_at(app, "/status") == Some("INACTIVE") {
        let path = format!("/api/v1/apps/{id}/lifecycle/activate");
        let write = Write::new(Method::POST, path, RequestBody::None, StateChange::Nothing);
        changes.push(PlannedChange::write(STEP, '~', "activate it", write));
    }
    if is_known
        && desired.app.provisioning_support() == ProvisioningSupport::Never
        && let Some(body) = replacement(desired, app)
    {
        let path = format!("/api/v1/apps/{id}");
        let write = Write::new(
            Method::PUT,
            path,
            RequestBody::Json(body),
            StateChange::Nothing,
        );
        let what = drift(desired, app).join(", ");
        changes.push(PlannedChange::write(
            STEP,
            '~',
            format!("correct {what}"),
            write,
        ));
    }
    changes
}

/// Returns the names of the settings that differ from the desired ones.
pub fn drift(desired: &DesiredState, app: &Value) -> Vec<&'static str> {
    let is_hidden_as_desired = |key: &str| {
        app.pointer(key)
            .and_then(Value::as_bool)
            .is_none_or(|hidden| hidden == desired.app.hidden)
    };
    let notes_fit = str_at(app, "/settings/notes/admin") == Some(notes(desired).as_str());
    let mut different = Vec::new();
    if str_at(app, "/label") != Some(desired.app.label.as_str()) {
        different.push("label");
    }
    if !is_hidden_as_desired("/visibility/hide/web")
        || !is_hidden_as_desired("/visibility/hide/iOS")
    {
        different.push("visibility");
    }
    if !notes_fit {
        different.push("notes");
    }
    different
}

/// Returns the body of a PUT that corrects the drift. It has the rest of the app as it is, because
/// a PUT removes what it does not name.
fn replacement(desired: &DesiredState, app: &Value) -> Option<Value> {
    if drift(desired, app).is_empty() {
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
    object.insert("label".into(), json!(desired.app.label));
    let hide = json!({ "iOS": desired.app.hidden, "web": desired.app.hidden });
    set(
        object.entry("visibility").or_insert_with(|| json!({})),
        "hide",
        hide,
    );
    let notes = json!({ "admin": notes(desired) });
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

/// Returns the upload of the logo, if it is not the one that was uploaded last.
///
/// # Errors
/// Returns an error if the file cannot be read, or is not an image that Okta accepts.
pub fn diff_logo(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let desired = &run.session.desired;
    let Some(path) = &desired.app.logo else {
        return Ok(Vec::new());
    };
    let path = desired.folder.join(path);
    let fault = |problem: String| {
        Failure::new(
            FailureKind::Invalid,
            format!("app.logo: {}: {problem}", path.display()),
        )
    };
    let bytes = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
    let (media_type, extension) = image_type(&bytes).map_err(fault)?;
    let hash: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if app.is_some() && run.state.logo_sha256.as_ref() == Some(&hash) {
        return Ok(Vec::new());
    }
    let line = format!("upload {}", path.display());
    let Some(app) = app else {
        return Ok(vec![PlannedChange::later(LOGO_STEP, line)]);
    };
    let body = RequestBody::File {
        name: format!("logo.{extension}"),
        media_type,
        bytes,
    };
    let path = format!("/api/v1/apps/{app}/logo");
    let write = Write::new(Method::POST, path, body, StateChange::Logo(hash));
    Ok(vec![PlannedChange::write(LOGO_STEP, '+', line, write)])
}

/// Returns the media type and the file extension, by the content and not by the name.
fn image_type(bytes: &[u8]) -> Result<(&'static str, &'static str), String> {
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
    fn images_are_recognized_by_their_content() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(image_type(bytes).ok().map(|found| found.1), expected);
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
        let desired = crate::setup::file::tests::desired("[app]\nlabel = \"Rollcall\"");
        let mut app = json!({ "label": "Rollcall", "settings": { "notes": { "admin": notes(&desired) } },
            "visibility": { "hide": { "web": true, "iOS": true } }, "id": "0oa1", "features": [] });
        assert_eq!(drift(&desired, &app), Vec::<&str>::new());
        assert_eq!(replacement(&desired, &app), None);
        app["label"] = json!("Other");
        app["visibility"]["hide"]["web"] = json!(false);
        assert_eq!(drift(&desired, &app), ["label", "visibility"]);
        let body = replacement(&desired, &app).unwrap();
        assert_eq!((&body["label"], body.get("id")), (&json!("Rollcall"), None));
    }
}
