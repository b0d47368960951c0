//! Checks whole documents, however they were made.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::coerce::{self, Location};
use crate::registry::{AttrRef, MAX_DESCRIPTION, ResourceType};
use crate::schema::{Attribute, Mutability};
use crate::{Document, ScimError, indexing, name};

/// Checks a whole document against the schema: required attributes, at most one primary value, and
/// lengths that an index can take.
pub(crate) fn validate(rt: &ResourceType, document: &Document) -> Result<(), ScimError> {
    required(&rt.schema.attributes, &document.0, None)?;
    for extension in &rt.extensions {
        let urn = extension.schema.id.as_str();
        match document.container(Some(urn)) {
            Some(attributes) => {
                let at = Location::root(urn);
                required(&extension.schema.attributes, attributes, Some(&at))?;
            }
            None if extension.required => return Err(missing(&Location::root(urn))),
            None => {}
        }
    }
    description(rt, document)?;
    lengths(rt, document)
}

/// Checks the length of a description: Okta would not import a role or an entitlement with a longer
/// one.
fn description(rt: &ResourceType, document: &Document) -> Result<(), ScimError> {
    let text = document.0.get("description").and_then(Value::as_str);
    let is_limited = matches!(
        rt.schema.id.as_str(),
        name::OKTA_ROLE | name::OKTA_ENTITLEMENT
    );
    if is_limited && text.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(ScimError::invalid_value(format!(
            "description is longer than {MAX_DESCRIPTION} characters, the limit of Okta; shorten it"
        )));
    }
    Ok(())
}

fn missing(at: &Location) -> ScimError {
    ScimError::invalid_value(format!(
        "{at} is required and must not be empty; map it in the identity provider"
    ))
}

fn required(
    attributes: &[Arc<Attribute>],
    values: &Map<String, Value>,
    parent: Option<&Location>,
) -> Result<(), ScimError> {
    for attribute in attributes {
        let at = match parent {
            Some(parent) => parent.name(&attribute.name),
            None => Location::root(&attribute.name),
        };
        let value = values.get(&attribute.name);
        // The server sets readOnly attributes, and a password is never in a document.
        let is_ours = matches!(
            attribute.mutability,
            Mutability::ReadOnly | Mutability::WriteOnly
        );
        if attribute.required && !is_ours && value.is_none_or(is_blank) {
            return Err(missing(&at));
        }
        match value {
            Some(Value::Object(members)) => {
                required(&attribute.sub_attributes, members, Some(&at))?;
            }
            Some(Value::Array(elements)) => {
                if elements.iter().filter(|e| coerce::is_primary(e)).count() > 1 {
                    return Err(coerce::two_primaries(&at));
                }
                for (index, element) in elements.iter().enumerate() {
                    if let Value::Object(members) = element {
                        required(&attribute.sub_attributes, members, Some(&at.index(index)))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// `PostgreSQL` refuses index rows of more than about 2,700 bytes.
pub const MAX_INDEXED_BYTES: usize = 2_000;

fn lengths(rt: &ResourceType, document: &Document) -> Result<(), ScimError> {
    if let Some(Value::String(user_name)) = document.0.get("userName") {
        if let Some(found) = name::forbidden_in_user_name(user_name) {
            return Err(ScimError::invalid_value(format!(
                "userName holds the character U+{:04X}, which user names cannot have; correct it in the identity provider",
                u32::from(found)
            )));
        }
        if is_too_long(user_name, |text| name::fold_user_name(text).as_str().len()) {
            return Err(too_long(&Location::root("userName")));
        }
    }
    for (name, fold) in [("externalId", Fold::Not), ("displayName", Fold::Case)] {
        if let Some(Value::String(text)) = document.0.get(name) {
            check_length(text, fold, &Location::root(name))?;
        }
    }
    rt.indexed
        .iter()
        .try_for_each(|path| check_indexed(path, document))
}

fn check_indexed(path: &AttrRef, document: &Document) -> Result<(), ScimError> {
    let fold = if path.leaf().case_exact {
        Fold::Not
    } else {
        Fold::Case
    };
    let mut values = indexing::values_at(path, document);
    values.try_for_each(|(_, value)| match value {
        Value::String(text) => check_length(text, fold, &Location::root(path.key())),
        _ => Ok(()),
    })
}

#[derive(Debug, Clone, Copy)]
enum Fold {
    Not,
    Case,
}

fn check_length(text: &str, fold: Fold, at: &Location) -> Result<(), ScimError> {
    let length = |text: &str| match fold {
        Fold::Not => text.len(),
        Fold::Case => name::fold(text).as_str().len(),
    };
    if is_too_long(text, length) {
        return Err(too_long(at));
    }
    Ok(())
}

/// Folding costs time and makes a text at most three times as long.
fn is_too_long(text: &str, folded_length: impl Fn(&str) -> usize) -> bool {
    text.len() > MAX_INDEXED_BYTES / 3 && folded_length(text) > MAX_INDEXED_BYTES
}

fn too_long(at: &Location) -> ScimError {
    ScimError::invalid_value(format!(
        "{at} is longer than {MAX_INDEXED_BYTES} bytes; shorten it in the identity provider"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;
    use crate::registry::{Extension, known_schema};
    use crate::schema::Schema;

    fn check(rt: &ResourceType, value: &Value, expected: Option<&str>) {
        let document = Document(value.as_object().unwrap().clone());
        let detail = validate(rt, &document).err().map(|error| error.detail);
        match (&detail, expected) {
            (Some(detail), Some(expected)) => assert!(detail.contains(expected), "{detail}"),
            _ => assert_eq!(detail.as_deref(), expected, "{value}"),
        }
    }

    #[test]
    fn descriptions() {
        let text = |count| "é".repeat(count);
        for urn in [name::OKTA_ROLE, name::OKTA_ENTITLEMENT] {
            let schema = known_schema(urn).unwrap();
            let rt = ResourceType::new("Role", "/Roles", "", schema, vec![]).unwrap();
            let role = |count| {
                let mut role = json!({"displayName": "x", "description": text(count)});
                if urn == name::OKTA_ENTITLEMENT {
                    role["type"] = json!("x");
                }
                role
            };
            check(&rt, &role(1_000), None);
            check(&rt, &role(1_001), Some("longer than 1000 characters"));
        }
        let schema = r#"{"id": "urn:x:A", "attributes": [{"name": "description"}]}"#;
        let schema = Arc::new(Schema::parse(schema).unwrap());
        let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
        check(&rt, &json!({"description": text(1_001)}), None);
    }

    #[test]
    fn requirements() {
        let core = r#"{"id": "urn:x:A", "attributes": [
            {"name": "a", "required": true},
            {"name": "own", "required": true, "mutability": "readOnly"},
            {"name": "secret", "required": true, "mutability": "writeOnly", "returned": "never"},
            {"name": "one", "type": "complex", "subAttributes": [
                {"name": "x", "required": true}, {"name": "y"}]},
            {"name": "many", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "x", "required": true}, {"name": "primary", "type": "boolean"}]}]}"#;
        let extension = r#"{"id": "urn:x:E", "attributes": [{"name": "e", "required": true}]}"#;
        let parse = |text| Arc::new(Schema::parse(text).unwrap());
        let rt = |required| {
            let extension = Extension {
                schema: parse(extension),
                required,
            };
            ResourceType::new("A", "/As", "", parse(core), vec![extension]).unwrap()
        };
        let optional = rt(false);
        let primary = json!({"x": "1", "primary": true});
        for (value, expected) in [
            (json!({"a": "x"}), None),
            (json!({}), Some("a is required")),
            (json!({"a": " "}), Some("a is required")),
            (
                json!({"a": "x", "one": {"y": "1"}}),
                Some("one.x is required"),
            ),
            (json!({"a": "x", "one": {"x": "1"}}), None),
            (
                json!({"a": "x", "many": [{"x": "1"}, {"primary": true}]}),
                Some("many[1].x is required"),
            ),
            (
                json!({"a": "x", "many": [primary, primary]}),
                Some("more than one value as primary"),
            ),
            (json!({"a": "x", "many": [primary, {"x": "2"}]}), None),
            (json!({"a": "x", "urn:x:E": {"e": "1"}}), None),
            (
                json!({"a": "x", "urn:x:E": {"f": 1}}),
                Some("urn:x:E:e is required"),
            ),
        ] {
            check(&optional, &value, expected);
        }
        check(&rt(true), &json!({"a": "x"}), Some("urn:x:E is required"));
        check(&rt(true), &json!({"a": "x", "urn:x:E": {"e": "1"}}), None);
    }

    #[test]
    fn longest_texts() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        // Folding makes three bytes of these two.
        let growing = |count| "ⱥ".to_uppercase().repeat(count);
        assert_eq!(
            (growing(1).len(), name::fold(&growing(1)).as_str().len()),
            (2, 3)
        );
        for (name, text, is_ok) in [
            ("externalId", "x".repeat(2_000), true),
            ("externalId", "x".repeat(2_001), false),
            ("externalId", growing(1_000), true),
            ("displayName", "x".repeat(2_000), true),
            ("displayName", "x".repeat(2_001), false),
            ("displayName", growing(666), true),
            ("displayName", growing(667), false),
            ("title", "x".repeat(2_001), true),
        ] {
            let expected = (!is_ok).then(|| format!("{name} is longer than 2000 bytes"));
            let value = json!({"userName": "a", name: text});
            check(user, &value, expected.as_deref());
        }
        for (user_name, is_ok) in [("x".repeat(2_000), true), ("x".repeat(2_001), false)] {
            let expected = (!is_ok).then_some("userName is longer than 2000 bytes");
            check(user, &json!({"userName": user_name}), expected);
        }
        check(user, &json!({"userName": "a\u{200b}"}), Some("U+200B"));
        let emails = json!([{"value": "x".repeat(2_000)}, {"value": "x".repeat(2_001)}]);
        let value = json!({"userName": "a", "emails": emails});
        check(user, &value, Some("emails.value is longer"));
        let manager = json!({"manager": {"value": growing(1_000)}});
        check(
            user,
            &json!({"userName": "a", name::ENTERPRISE_USER: manager}),
            None,
        );
    }
}
