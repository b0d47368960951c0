//! Attributes of the app's profile, and the mappings that fill them. Only after the connection is saved: Okta refuses a
//! connection whose own attributes clash with some that were added before.

use okta_client::value::{id_of, text};
use serde_json::{Map, Value, json};

use crate::setup::desired::{Attribute, Push};
use crate::setup::run::{PlannedChange, Run, Write};
use crate::setup::state::StateChange;
use crate::setup::{Failure, FailureKind, OktaId};

pub const STEP: &str = "profile";

/// What is to be done about attributes and mappings.
///
/// # Errors
/// See [`Failure`].
pub async fn look(run: &Run, app: Option<&OktaId>) -> Result<Vec<PlannedChange>, Failure> {
    let wished = &run.session.wish.attributes;
    if wished.is_empty() {
        return Ok(Vec::new());
    }
    let Some(app) = app else {
        return Ok(wished
            .iter()
            .map(|one| PlannedChange::later(STEP, line(one)))
            .collect());
    };
    let mut changes = attributes(run, app, wished).await?;
    // A mapping needs its attribute: where one is still to be added, the mappings are looked at after that.
    if changes.is_empty() {
        changes.extend(mappings(run, app, wished).await?);
    } else {
        let mapped = wished.iter().filter(|one| one.mapping.is_some());
        changes.extend(mapped.map(|one| PlannedChange::later(STEP, format!("map {}", line(one)))));
    }
    Ok(changes)
}

fn line(attribute: &Attribute) -> String {
    match &attribute.mapping {
        Some(expression) => format!("{} from {expression}", attribute.name),
        None => attribute.name.clone(),
    }
}

async fn attributes(
    run: &Run,
    app: &OktaId,
    wished: &[Attribute],
) -> Result<Vec<PlannedChange>, Failure> {
    let path = format!("/api/v1/meta/schemas/apps/{app}/default");
    let schema = run.session.client.get(&path, &[]).await?.body;
    let mut properties = Map::new();
    let (mut added, mut lines, mut sign) = (Vec::new(), Vec::new(), '~');
    for attribute in wished.iter().filter(|one| one.title.is_some()) {
        let body = property(attribute);
        let is = schema.pointer(&format!(
            "/definitions/custom/properties/{}",
            attribute.name
        ));
        let fits = is.is_some_and(|is| {
            body.as_object()
                .into_iter()
                .flatten()
                .all(|(name, value)| is.get(name) == Some(value))
        });
        if fits {
            continue;
        }
        if is.is_none() {
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

async fn mappings(
    run: &Run,
    app: &OktaId,
    wished: &[Attribute],
) -> Result<Vec<PlannedChange>, Failure> {
    let mapped: Vec<(&Attribute, &String)> = wished
        .iter()
        .filter_map(|one| Some((one, one.mapping.as_ref()?)))
        .collect();
    if mapped.is_empty() {
        return Ok(Vec::new());
    }
    let client = &run.session.client;
    let query = [("targetId", app.as_str()), ("limit", "200")];
    let all = client.list("/api/v1/mappings", &query).await?;
    let to_app = all
        .iter()
        .filter(|one| text(one, "/target/id").is_none_or(|id| id == app.as_str()))
        .find_map(id_of)
        .ok_or_else(|| {
            Failure::new(
                FailureKind::Unsupported,
                "Okta shows no mapping from its users to the app. Save the provisioning settings in the console first.",
            )
        })?;
    let path = format!("/api/v1/mappings/{to_app}");
    let mapping = client.get(&path, &[]).await?.body;
    let (mut properties, mut lines) = (Map::new(), Vec::new());
    for (attribute, expression) in mapped {
        let status = match attribute.push {
            Push::Always => "PUSH",
            Push::Create => "DONT_PUSH",
        };
        let is = mapping.pointer(&format!("/properties/{}", attribute.name));
        let fits = is.is_some_and(|is| {
            text(is, "/expression") == Some(expression.as_str())
                && text(is, "/pushStatus") == Some(status)
        });
        if !fits {
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
        StateChange::Mapping(to_app, names),
    );
    Ok(vec![PlannedChange::write(
        STEP,
        '+',
        format!("map {}", lines.join(", ")),
        write,
    )])
}
