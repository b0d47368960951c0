//! The values of `roles` and `entitlements` in a user's document, if these refer to resources of
//! their own.
//!
//! Knows documents; the caller says which resources exist.

use serde_json::{Map, Value};

use crate::Document;
use crate::registry::{Assignable, ResourceType};

/// A role or an entitlement that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAssignment {
    /// The name of its resource type.
    pub resource_type: String,
    /// Its display name.
    pub display: Option<String>,
}

/// Returns the ids that the attribute's values name.
pub fn ids<'d>(document: &'d Document, attribute: &str) -> impl Iterator<Item = &'d str> {
    let values = document.0.get(attribute).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(id_of)
}

/// Completes the values: each once, with its name if the client gave none, and with its type.
/// Removes and returns the values that do not exist, as the client wrote them.
pub fn settle(
    rt: &ResourceType,
    assignable: &Assignable,
    document: &mut Document,
    find: impl Fn(&str) -> Option<NamedAssignment>,
) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    edit(document, assignable.attribute, |element| {
        let found = id_of(element)
            .and_then(|id| Some((id.to_owned(), find(id)?)))
            .filter(|(_, named)| assignable.types.contains(&named.resource_type));
        let Some((id, named)) = found else {
            unknown.push(id_of(element).map_or_else(|| element.to_string(), str::to_owned));
            return false;
        };
        if seen.contains(&id) {
            return false;
        }
        seen.push(id);
        if let Value::Object(members) = element {
            if let (Some(display), false) = (named.display, members.contains_key("display")) {
                members.insert("display".to_owned(), Value::from(display));
            }
            if assignable.tells_type {
                members.insert("type".to_owned(), Value::from(named.resource_type));
            }
        }
        true
    });
    document.arrange(rt);
    unknown
}

/// Removes the values that name this id.
pub fn withdraw(document: &mut Document, attribute: &str, id: &str) {
    edit(document, attribute, |element| id_of(element) != Some(id));
}

/// Renames the values that name this id, if they have the old name.
pub fn rename(
    document: &mut Document,
    attribute: &str,
    id: &str,
    old: Option<&str>,
    new: Option<&str>,
) {
    edit(document, attribute, |element| {
        if let Value::Object(members) = element
            && is_named(members, id)
            && members.get("display").and_then(Value::as_str) == old
        {
            match new {
                Some(new) => members.insert("display".to_owned(), Value::from(new)),
                None => members.shift_remove("display"),
            };
        }
        true
    });
}

fn id_of(element: &Value) -> Option<&str> {
    element.get("value")?.as_str()
}

fn is_named(members: &Map<String, Value>, id: &str) -> bool {
    members.get("value").and_then(Value::as_str) == Some(id)
}

fn edit(document: &mut Document, attribute: &str, keep: impl FnMut(&mut Value) -> bool) {
    let Some(Value::Array(elements)) = document.0.get_mut(attribute) else {
        return;
    };
    elements.retain_mut(keep);
    if elements.is_empty() {
        document.0.shift_remove(attribute);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;

    fn document(value: &Value) -> Document {
        Document(value.as_object().unwrap().clone())
    }

    fn find(id: &str) -> Option<NamedAssignment> {
        let (kind, display) = id.split_once('-')?;
        Some(NamedAssignment {
            resource_type: kind.to_owned(),
            display: Some(display.to_owned()),
        })
    }

    #[test]
    fn settled() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let check = |tells_type: bool, values: Value, expected: Value, unknown: &[&str]| {
            let assignable = Assignable {
                attribute: "roles",
                types: vec!["Role".to_owned()],
                tells_type,
            };
            let mut document = document(&json!({ "roles": values }));
            assert_eq!(settle(user, &assignable, &mut document, find), unknown);
            let found = document.0.get("roles").cloned().unwrap_or_default();
            assert_eq!(found.to_string(), expected.to_string());
        };
        check(
            false,
            json!([{"type": "x", "value": "Role-a"}, {"value": "Role-b", "display": "B"}]),
            json!([{"value": "Role-a", "display": "a", "type": "x"}, {"value": "Role-b", "display": "B"}]),
            &[],
        );
        check(
            true,
            json!([{"value": "Role-a", "display": "A", "type": "wrong"}, {"value": "Role-a"}]),
            json!([{"value": "Role-a", "display": "A", "type": "Role"}]),
            &[],
        );
        check(
            true,
            json!([{"value": "User-a"}, {"value": "gone"}, {"display": "no id"}]),
            Value::Null,
            &["User-a", "gone", r#"{"display":"no id"}"#],
        );
    }

    #[test]
    fn withdrawn_and_renamed() {
        let values =
            json!({"roles": [{"value": "a", "display": "A"}, {"value": "b", "display": "own"}]});
        let mut one = document(&values);
        withdraw(&mut one, "roles", "a");
        assert_eq!(one.0["roles"], json!([{"value": "b", "display": "own"}]));
        withdraw(&mut one, "roles", "b");
        assert!(one.0.is_empty());
        let mut one = document(&values);
        rename(&mut one, "roles", "a", Some("A"), Some("New"));
        rename(&mut one, "roles", "b", Some("B"), Some("New"));
        assert_eq!(
            one.0["roles"],
            json!([{"value": "a", "display": "New"}, {"value": "b", "display": "own"}])
        );
        rename(&mut one, "roles", "c", Some("own"), Some("New"));
        assert_eq!(one.0["roles"][1]["display"], "own");
    }
}
