//! The profile of an app's users, and the mappings that fill it.

use serde_json::{Map, Value, json};

use super::apps::app;
use super::handler::{body, only_query, page};
use super::http::{Reply, Request};
use super::org::{Mapping, Org};

/// The attributes of every app's profile, with Okta's own expressions for them.
const BASE: [(&str, &str); 5] = [
    ("userName", "user.login"),
    ("givenName", "user.firstName"),
    ("familyName", "user.lastName"),
    ("email", "user.email"),
    ("displayName", "user.displayName"),
];

pub fn route(org: &mut Org, request: &Request, segments: &[&str]) -> Option<Reply> {
    Some(match (request.method.as_str(), segments) {
        (_, ["meta", "schemas", "apps", id, "default"]) if !org.apps.contains_key(*id) => {
            Reply::not_found(id)
        }
        ("GET", ["meta", "schemas", "apps", id, "default"]) => Reply::ok(schema(org, id)),
        ("POST", ["meta", "schemas", "apps", id, "default"]) => extend(org, request, id),
        ("GET", ["mappings"]) => mappings(org, request),
        (_, ["mappings", id]) if !org.mappings.contains_key(*id) => Reply::not_found(id),
        ("GET", ["mappings", id]) => Reply::ok(mapping_json(id, &org.mappings[*id])),
        ("POST", ["mappings", id]) => map(org, request, id),
        _ => return None,
    })
}

pub fn default_mapping() -> Map<String, Value> {
    let entry = |expression: &str| json!({ "expression": expression, "pushStatus": "PUSH" });
    BASE.iter()
        .map(|(name, expression)| ((*name).to_owned(), entry(expression)))
        .collect()
}

fn schema(org: &Org, id: &str) -> Value {
    let app = &org.apps[id];
    let base: Map<String, Value> = BASE
        .iter()
        .map(|(name, _)| {
            (
                (*name).to_owned(),
                json!({ "title": name, "type": "string", "scope": "NONE" }),
            )
        })
        .collect();
    json!({
        "id": format!("{}/meta/schemas/apps/{id}/default", org.url),
        "$schema": "http://json-schema.org/draft-04/schema#",
        "name": app.name, "title": format!("{} User", app.label), "type": "object",
        "definitions": {
            "base": { "id": "#base", "type": "object", "properties": base, "required": ["userName"] },
            "custom": { "id": "#custom", "type": "object", "properties": app.attributes, "required": [] },
        },
    })
}

fn extend(org: &mut Org, request: &Request, id: &str) -> Reply {
    let given = body(org, request, &["definitions"]);
    let Some(Value::Object(properties)) = given.pointer("/definitions/custom/properties") else {
        org.complain(format!("no custom properties: {}", request.describe()));
        return Reply::invalid("definitions.custom.properties");
    };
    if org.apps[id].connection.is_none() {
        // Once the integration is saved, names that clash with the managed profile are rejected;
        // hence the order.
        org.complain("attributes before the API integration");
        return Reply::error(500, "E0000009", "Internal Server Error");
    }
    let app = app(org, id);
    for (name, property) in properties {
        if property.is_null() {
            app.attributes.remove(name);
            continue;
        }
        if BASE.iter().any(|(known, _)| known == name) {
            let text =
                "Profile property in Okta managed template has conflicts with custom property";
            return Reply::error(500, "E0000009", text);
        }
        for needed in ["title", "type", "externalName", "externalNamespace"] {
            if property[needed].as_str().is_none() {
                return Reply::invalid(&format!("{name}.{needed}: must be set"));
            }
        }
        app.attributes.insert(name.clone(), property.clone());
    }
    Reply::ok(schema(org, id))
}

fn mappings(org: &mut Org, request: &Request) -> Reply {
    only_query(org, request, &["sourceId", "targetId", "limit", "after"]);
    let query = request.query();
    let is = |name: &str, value: &str| query.get(name).is_none_or(|expected| expected == value);
    let found: Vec<Value> = org
        .mappings
        .iter()
        .filter(|(_, mapping)| is("sourceId", &mapping.source) && is("targetId", &mapping.target))
        .map(|(id, mapping)| {
            let mut mapping_json = mapping_json(id, mapping);
            mapping_json
                .as_object_mut()
                .expect("an object")
                .remove("properties");
            mapping_json
        })
        .collect();
    page(org, request, found, 20, 200)
}

fn mapping_json(id: &str, mapping: &Mapping) -> Value {
    let end = |id: &str| {
        let kind = if id.starts_with("oty") {
            "user"
        } else {
            "appuser"
        };
        json!({ "id": id, "name": kind, "type": kind })
    };
    json!({
        "id": id, "source": end(&mapping.source), "target": end(&mapping.target),
        "properties": mapping.properties,
    })
}

fn map(org: &mut Org, request: &Request, id: &str) -> Reply {
    let given = body(org, request, &["properties"]);
    let Some(Value::Object(properties)) = given.get("properties") else {
        org.complain(format!("no properties: {}", request.describe()));
        return Reply::invalid("properties");
    };
    let target = org.mappings[id].target.clone();
    for (name, entry) in properties {
        let is_known = BASE.iter().any(|(known, _)| known == name)
            || org
                .apps
                .get(&target)
                .is_some_and(|app| app.attributes.contains_key(name));
        if !is_known {
            return Reply::invalid(&format!("{name}: no such property of the target"));
        }
        let mapping = org.mappings.get_mut(id).expect("the route looked it up");
        if entry.is_null() || entry["expression"].is_null() {
            mapping.properties.remove(name);
            continue;
        }
        if !matches!(entry["pushStatus"].as_str(), Some("PUSH" | "DONT_PUSH")) {
            return Reply::invalid(&format!("{name}.pushStatus: PUSH or DONT_PUSH"));
        }
        mapping.properties.insert(name.clone(), entry.clone());
    }
    Reply::ok(mapping_json(id, &org.mappings[id]))
}
