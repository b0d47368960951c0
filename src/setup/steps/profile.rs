//! Attributes of the app's profile, and their mappings. They are written after the connection,
//! because Okta refuses a connection whose own attributes clash with existing ones.

use okta_client::json::{object_id, str_at};
use serde_json::{Map, Value, json};

use crate::setup::desired::{Attribute, Push};
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "profile";

/// Returns the changes to attributes and mappings.
///
/// # Errors
/// Returns an error if Okta has no mapping from its users to the app, as before the connection is
/// saved.
pub async fn diff(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let desired = &run.session.desired.attributes;
    if desired.is_empty() {
        return Ok(Vec::new());
    }
    let Some(app) = app else {
        return Ok(desired
            .iter()
            .map(|attribute| PlannedChange::later(STEP, line(attribute)))
            .collect());
    };
    let mut changes = diff_attributes(run, app, desired).await?;
    // A mapping needs its attribute, so mappings follow when all attributes exist.
    if changes.is_empty() {
        changes.extend(diff_mappings(run, app, desired).await?);
    } else {
        let mapped = desired
            .iter()
            .filter(|attribute| attribute.mapping.is_some());
        changes.extend(
            mapped.map(|attribute| PlannedChange::later(STEP, format!("map {}", line(attribute)))),
        );
    }
    Ok(changes)
}

fn line(attribute: &Attribute) -> String {
    match &attribute.mapping {
        Some(expression) => format!("{} from {expression}", attribute.name),
        None => attribute.name.clone(),
    }
}

async fn diff_attributes(
    run: &Run,
    app: &OktaId,
    desired: &[Attribute],
) -> Result<Vec<PlannedChange>, Failure> {
    let path = format!("/api/v1/meta/schemas/apps/{app}/default");
    let schema = run.session.client.get(&path, &[]).await?.body;
    let mut properties = Map::new();
    let mut added = Vec::new();
    let mut lines = Vec::new();
    let mut sign = '~';
    for attribute in desired.iter().filter(|attribute| attribute.title.is_some()) {
        let body = property(attribute);
        let current = schema.pointer(&format!(
            "/definitions/custom/properties/{}",
            attribute.name
        ));
        let is_current = current.is_some_and(|current| {
            body.as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| current.get(name) == Some(value))
        });
        if is_current {
            continue;
        }
        if current.is_none() {
            sign = '+';
            added.push(attribute.name.clone());
        }
        lines.push(attribute.name.clone());
        properties.insert(attribute.name.clone(), body);
    }
    if properties.is_empty() {
        return Ok(Vec::new());
    }
    let body = json!({ "definitions": { "custom": {
        "id": "#custom", "type": "object", "properties": properties, "required": [],
    } } });
    let write = Write::post(path, body, StateChange::Attributes(added));
    Ok(vec![PlannedChange::write(
        STEP,
        sign,
        format!("the app's attributes {}", lines.join(", ")),
        write,
    )])
}

/// Returns the attribute as Okta's schema has it.
fn property(attribute: &Attribute) -> Value {
    let mut body = json!({
        "title": attribute.title,
        "type": attribute.kind.as_deref().unwrap_or("string"),
        "externalName": attribute.external_name,
        "externalNamespace": attribute.external_namespace,
        "required": attribute.required,
        "scope": "NONE",
    });
    if let Some(object) = body.as_object_mut() {
        if let Some(description) = &attribute.description {
            object.insert("description".into(), json!(description));
        }
        if let Some(length) = attribute.max_length {
            object.insert("maxLength".into(), json!(length));
        }
    }
    body
}

async fn diff_mappings(
    run: &Run,
    app: &OktaId,
    desired: &[Attribute],
) -> Result<Vec<PlannedChange>, Failure> {
    let mapped: Vec<(&Attribute, &String)> = desired
        .iter()
        .filter_map(|attribute| Some((attribute, attribute.mapping.as_ref()?)))
        .collect();
    if mapped.is_empty() {
        return Ok(Vec::new());
    }
    let mapping_id = find_mapping(run, app).await?;
    let path = format!("/api/v1/mappings/{mapping_id}");
    let mapping = run.session.client.get(&path, &[]).await?.body;
    let mut properties = Map::new();
    let mut lines = Vec::new();
    for (attribute, expression) in mapped {
        let status = push_status(attribute.push);
        let current = mapping.pointer(&format!("/properties/{}", attribute.name));
        let is_current = current.is_some_and(|current| {
            str_at(current, "/expression") == Some(expression.as_str())
                && str_at(current, "/pushStatus") == Some(status)
        });
        if !is_current {
            lines.push(format!("{} from {expression}", attribute.name));
            properties.insert(
                attribute.name.clone(),
                json!({ "expression": expression, "pushStatus": status }),
            );
        }
    }
    if properties.is_empty() {
        return Ok(Vec::new());
    }
    let names = properties.keys().cloned().collect();
    let write = Write::post(
        path,
        json!({ "properties": properties }),
        StateChange::Mapping(mapping_id, names),
    );
    Ok(vec![PlannedChange::write(
        STEP,
        '+',
        format!("map {}", lines.join(", ")),
        write,
    )])
}

fn push_status(push: Push) -> &'static str {
    match push {
        Push::Always => "PUSH",
        Push::Create => "DONT_PUSH",
    }
}

/// Finds the mapping from Okta's users to the app.
async fn find_mapping(run: &Run, app: &OktaId) -> Result<OktaId, Failure> {
    let query = [("targetId", app.as_str()), ("limit", "200")];
    let mappings = run.session.client.list("/api/v1/mappings", &query).await?;
    mappings
        .iter()
        .filter(|mapping| str_at(mapping, "/target/id").is_none_or(|id| id == app.as_str()))
        .find_map(object_id)
        .ok_or_else(|| {
            Failure::new(
                FailureKind::Unsupported,
                "Okta has no mapping from its users to the app. Save the provisioning settings in the console first.",
            )
        })
}
