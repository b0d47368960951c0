//! A resource's own content as ordered JSON with canonical attribute names.
//!
//! Holds the order that makes equal documents equal texts. The module knows nothing of where a
//! document comes from or where it is stored.

use std::sync::Arc;
use std::{fmt, mem};

use serde_json::{Map, Value};

use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Attribute, Mutability};

/// The stored part of a resource: everything but `meta`, `members`, `User.groups` and the password.
///
/// Names are spelled as the schema spells them, unassigned attributes are absent, and extensions
/// are objects under their URN. [`crate::admit`] and [`crate::patch`] make documents; nothing else
/// should. The text of a document is its [`Display`](fmt::Display).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(pub Map<String, Value>);

impl Document {
    /// Parses the text that [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// Returns an error if the text is not a JSON object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Returns the `id` of the resource.
    pub fn id(&self) -> Option<&str> {
        self.0.get("id").and_then(Value::as_str)
    }

    /// Sets the id of a new resource, right after `schemas`.
    pub fn set_id(&mut self, id: &str) {
        self.0.shift_remove("id");
        let position = usize::from(self.0.contains_key("schemas"));
        self.0
            .shift_insert(position, "id".to_owned(), Value::from(id));
    }

    /// Returns the value at the path. The path of a sub-attribute has a value only within a
    /// singular complex attribute: the elements of a multi-valued one have one each.
    pub fn get(&self, path: &AttrRef) -> Option<&Value> {
        let value = self
            .container(path.container.as_deref())?
            .get(&path.attribute.name)?;
        match &path.sub {
            None => Some(value),
            Some(sub) => value.as_object()?.get(&sub.name),
        }
    }

    /// Returns the object that holds an extension's attributes, or with `None` the core attributes.
    pub(super) fn container(&self, urn: Option<&str>) -> Option<&Map<String, Value>> {
        match urn {
            None => Some(&self.0),
            Some(urn) => self.0.get(urn)?.as_object(),
        }
    }

    /// Passes one attribute through `change`; `None` is unassigned, before and after.
    ///
    /// Leaves the order of names to [`Self::arrange`]. After an error the attribute is lost.
    pub(super) fn change<E>(
        &mut self,
        container: Option<&str>,
        name: &str,
        change: impl FnOnce(Option<Value>) -> Result<Option<Value>, E>,
    ) -> Result<(), E> {
        match container {
            None => change_in(&mut self.0, name, change),
            Some(urn) => change_in(&mut self.0, urn, |before| {
                let mut attributes = into_object(before);
                change_in(&mut attributes, name, change)?;
                Ok((!attributes.is_empty()).then_some(Value::Object(attributes)))
            }),
        }
    }

    /// Orders all names (`schemas`, common attributes, then as the schemas list them, unknown
    /// extensions last), drops empty containers and rebuilds `schemas`.
    pub(super) fn arrange(&mut self, rt: &ResourceType) {
        let mut old = mem::take(&mut self.0);
        let mut schemas = vec![Value::from(rt.schema.id.as_str())];
        let mut new = Map::with_capacity(old.len().saturating_add(1));
        new.insert("schemas".to_owned(), Value::Null);
        for name in ["id", "externalId"] {
            if let Some(value) = old.swap_remove(name) {
                new.insert(name.to_owned(), value);
            }
        }
        for attribute in &rt.schema.attributes {
            let value = old.swap_remove(&attribute.name);
            if let Some(value) = value.and_then(|value| arranged(attribute, value)) {
                new.insert(attribute.name.clone(), value);
            }
        }
        for extension in &rt.extensions {
            let urn = extension.schema.id.as_str();
            let mut from = into_object(old.swap_remove(urn));
            let mut to = Map::with_capacity(from.len());
            for attribute in &extension.schema.attributes {
                let value = from.swap_remove(&attribute.name);
                if let Some(value) = value.and_then(|value| arranged(attribute, value)) {
                    to.insert(attribute.name.clone(), value);
                }
            }
            if !to.is_empty() {
                schemas.push(Value::from(urn));
                new.insert(urn.to_owned(), Value::Object(to));
            }
        }
        let mut unknown: Vec<(String, Value)> = old
            .into_iter()
            .filter(|(urn, value)| urn.contains(':') && is_filled(value))
            .collect();
        unknown.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (urn, value) in unknown {
            schemas.push(Value::from(urn.as_str()));
            new.insert(urn, value);
        }
        new.insert("schemas".to_owned(), Value::Array(schemas));
        self.0 = new;
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// Returns the members of an object, none of anything else.
pub(super) fn into_object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Orders the sub-attributes of one complex value as the schema lists them.
pub(super) fn arrange_complex(attribute: &Attribute, members: &mut Map<String, Value>) {
    let mut old = mem::take(members);
    let kept = |sub: &&Arc<Attribute>| sub.mutability != Mutability::WriteOnly;
    for sub in attribute.sub_attributes.iter().filter(kept) {
        if let Some((name, value)) = old.swap_remove_entry(&sub.name) {
            members.insert(name, value);
        }
    }
}

fn change_in<E>(
    members: &mut Map<String, Value>,
    name: &str,
    change: impl FnOnce(Option<Value>) -> Result<Option<Value>, E>,
) -> Result<(), E> {
    let slot = members.get_mut(name);
    match (change(slot.map(Value::take))?, members.get_mut(name)) {
        (Some(value), Some(slot)) => *slot = value,
        (Some(value), None) => {
            members.insert(name.to_owned(), value);
        }
        (None, Some(_)) => {
            members.shift_remove(name);
        }
        (None, None) => {}
    }
    Ok(())
}

/// Returns the value in the order of the schema; `None` if nothing is left. writeOnly values are
/// dropped: they could never be read.
fn arranged(attribute: &Attribute, mut value: Value) -> Option<Value> {
    if attribute.mutability == Mutability::WriteOnly {
        return None;
    }
    if attribute.is_complex() {
        match &mut value {
            Value::Object(members) => {
                arrange_complex(attribute, members);
                if members.is_empty() {
                    return None;
                }
            }
            Value::Array(elements) => {
                for members in elements.iter_mut().filter_map(Value::as_object_mut) {
                    arrange_complex(attribute, members);
                }
                elements.retain(|element| element.as_object().is_none_or(|m| !m.is_empty()));
                if elements.is_empty() {
                    return None;
                }
            }
            _ => {}
        }
    }
    Some(value)
}

fn is_filled(value: &Value) -> bool {
    value.as_object().is_some_and(|members| !members.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;

    #[test]
    fn texts() {
        let text = r#"{"schemas":["x"],"userName":"ada"}"#;
        let mut document = Document::parse(text).unwrap();
        assert_eq!(document.to_string(), text);
        assert_eq!(document.id(), None);
        document.set_id("1");
        assert_eq!(document.id(), Some("1"));
        let expected = r#"{"schemas":["x"],"id":"1","userName":"ada"}"#;
        assert_eq!(document.to_string(), expected);
        let mut bare = Document::parse(r#"{"userName":"ada","id":"0"}"#).unwrap();
        bare.set_id("2");
        assert_eq!(bare.to_string(), r#"{"id":"2","userName":"ada"}"#);
        assert!(Document::parse("[]").is_err());
    }

    #[test]
    fn values_at_a_path() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let enterprise = crate::name::ENTERPRISE_USER;
        let value = json!({
            "title": "x", "name": {"givenName": "Ada"}, "emails": [{"value": "a"}],
            enterprise: {"manager": {"value": "m"}},
        });
        let document = Document(value.as_object().unwrap().clone());
        let check = |key: &str, expected: Value| {
            let found = document.get(&user.attr_by_key(key).unwrap());
            assert_eq!(found.cloned().unwrap_or_default(), expected, "{key}");
        };
        check("title", json!("x"));
        check("name.givenName", json!("Ada"));
        check("name.familyName", Value::Null);
        check("emails", json!([{"value": "a"}]));
        check("emails.value", Value::Null);
        check(&format!("{enterprise}:manager.value"), json!("m"));
        check(&format!("{enterprise}:department"), Value::Null);
        check("nickName", Value::Null);
    }

    #[test]
    fn the_order_of_names() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let enterprise = crate::name::ENTERPRISE_USER;
        let value = json!({
            "urn:x:b": {"z": 1, "a": 2}, "urn:x:a": {"k": 1}, "urn:x:empty": {}, "urn:x:text": "t",
            "stray": {"a": 1}, enterprise: {"department": "d", "costCenter": "c", "nope": 1},
            "active": true, "emails": [{"type": "t", "value": "v"}, {}], "roles": [{}],
            "name": {"familyName": "f", "formatted": "n"}, "password": "leak",
            "userName": "u", "externalId": "e", "id": "1",
        });
        let mut document = Document(value.as_object().unwrap().clone());
        document.arrange(user);
        let urn = crate::name::USER;
        let expected = json!({
            "schemas": [urn, enterprise, "urn:x:a", "urn:x:b"], "id": "1", "externalId": "e",
            "userName": "u", "name": {"formatted": "n", "familyName": "f"}, "active": true,
            "emails": [{"value": "v", "type": "t"}],
            enterprise: {"costCenter": "c", "department": "d"},
            "urn:x:a": {"k": 1}, "urn:x:b": {"z": 1, "a": 2},
        });
        assert_eq!(document.to_string(), expected.to_string());
    }
}
