//! The differences between two documents, for a change feed and to decide whether anything differs
//! at all.
//!
//! Knows nothing of members and groups, which are not in documents.
//!
//! ```
//! use scim_core::{Document, Registry, diff};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let before = Document::parse(r#"{"userName":"ada","name":{"givenName":"Ada"}}"#)?;
//! let after = Document::parse(r#"{"userName":"ada","name":{"givenName":"Augusta"}}"#)?;
//! let changes = diff::diff(user, &before, &after);
//! assert_eq!(changes[0].path, "name.givenName");
//! assert_eq!(changes[0].after, Some("Augusta".into()));
//! assert_eq!(changes.len(), 1);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod elements;

use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::Document;
use crate::registry::ResourceType;

pub use elements::ElementChange;

/// One attribute that differs; `None` is unassigned.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AttrChange {
    /// `title`, `name.givenName`, `emails`, `urn:..:User:department`, or the URN of an unknown
    /// extension, with a colon and one of its members where it was there before and after.
    pub path: String,
    /// The URN of the unknown extension, if the path names a member of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The value before the change.
    pub before: Option<Value>,
    /// The value after the change.
    pub after: Option<Value>,
    /// Of a long list, in place of `before` and `after`: the elements that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<ElementChange>,
}

impl AttrChange {
    /// Records a difference: a long list by its elements, all else by both values.
    pub fn new(path: String, before: Option<&Value>, after: Option<&Value>) -> Self {
        let elements = match (before, after) {
            (Some(before), Some(after)) => elements::compare(before, after),
            _ => None,
        };
        let whole = |value: Option<&Value>| value.filter(|_| elements.is_none()).cloned();
        Self {
            path,
            within: None,
            before: whole(before),
            after: whole(after),
            elements: elements.unwrap_or_default(),
        }
    }
}

/// Returns the attributes that differ; empty if the documents are equal.
///
/// A multi-valued attribute is one change, of a long list by its elements; a complex one with a
/// single value is reported by its sub-attributes, and an extension by its attributes. They come in
/// the order of `before`, followed by the new ones.
pub fn diff(rt: &ResourceType, before: &Document, after: &Document) -> Vec<AttrChange> {
    let mut changes = Vec::new();
    for (name, before, after) in differing(&before.0, &after.0) {
        match (rt.extension(name), members(before), members(after)) {
            (Some(_), Some(before), Some(after)) => {
                for (attribute, before, after) in differing(before, after) {
                    let path = format!("{name}:{attribute}");
                    compare(rt, path, before, after, &mut changes);
                }
            }
            // An unknown extension that was there before and after.
            (None, Some(before_members), Some(after_members))
                if !before_members.is_empty()
                    && !after_members.is_empty()
                    && rt.attr_by_key(name).is_none() =>
            {
                for (member, before, after) in differing(before_members, after_members) {
                    let path = format!("{name}:{member}");
                    changes.push(AttrChange {
                        within: Some(name.clone()),
                        ..AttrChange::new(path, before, after)
                    });
                }
            }
            _ => compare(rt, name.clone(), before, after, &mut changes),
        }
    }
    changes
}

/// Records the difference of one attribute, by its sub-attributes where it is complex and
/// single-valued.
fn compare(
    rt: &ResourceType,
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<AttrChange>,
) {
    // Of the declared attributes only single complex ones are objects.
    let is_told_by_parts = rt.find(&path).is_some();
    match (is_told_by_parts, members(before), members(after)) {
        (true, Some(before), Some(after)) => {
            let parts = differing(before, after).into_iter();
            changes.extend(parts.map(|(sub, before, after)| {
                AttrChange::new(format!("{path}.{sub}"), before, after)
            }));
        }
        _ => changes.push(AttrChange::new(path, before, after)),
    }
}

/// Takes recorded differences back, so that the document is as it was before them. `payload` is the
/// JSON text of an object with the list `attributes`.
pub fn undo(rt: &ResourceType, document: &mut Map<String, Value>, payload: &str) {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let list = payload.get("attributes").and_then(Value::as_array);
    for entry in list.into_iter().flatten() {
        let Some(path) = entry.get("path").and_then(Value::as_str) else {
            continue;
        };
        let names = names(rt, path, entry.get("within").and_then(Value::as_str));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match entry.get("elements") {
            Some(changes) => undo_elements(document, &names, changes),
            None => put(
                document,
                &names,
                entry.get("before").filter(|value| !value.is_null()),
            ),
        }
    }
}

/// Returns the names of the members that lead to the value of a recorded difference.
pub fn names(rt: &ResourceType, path: &str, within: Option<&str>) -> Vec<String> {
    let member = within.and_then(|urn| path.strip_prefix(urn)?.strip_prefix(':'));
    if let (Some(urn), Some(member)) = (within, member) {
        return vec![urn.to_owned(), member.to_owned()];
    }
    match rt.attr_by_key(path) {
        Some(found) => {
            let names = [
                found.container.as_deref().map(str::to_owned),
                Some(found.attribute.name.clone()),
                found.sub.as_ref().map(|sub| sub.name.clone()),
            ];
            names.into_iter().flatten().collect()
        }
        // The container of an extension, registered or not.
        None => vec![path.to_owned()],
    }
}

fn undo_elements(document: &mut Map<String, Value>, names: &[&str], changes: &Value) {
    let Ok(changes) = Vec::<ElementChange>::deserialize(changes) else {
        return;
    };
    let Some((last, around)) = names.split_last() else {
        return;
    };
    let mut inner = Some(document);
    for name in around {
        inner = inner.and_then(|object| object.get_mut(*name)?.as_object_mut());
    }
    if let Some(Value::Array(list)) = inner.and_then(|object| object.get_mut(*last)) {
        elements::undo(list, &changes);
    }
}

/// Sets the value at the end of the path, or takes it away; an object that becomes empty goes too.
fn put(object: &mut Map<String, Value>, names: &[&str], value: Option<&Value>) {
    let Some((first, rest)) = names.split_first() else {
        return;
    };
    if rest.is_empty() {
        match value {
            Some(value) => object.insert((*first).to_owned(), value.clone()),
            None => object.remove(*first),
        };
        return;
    }
    let inner = object
        .entry(*first)
        .or_insert_with(|| Value::Object(Map::new()));
    let is_empty = inner.as_object_mut().is_some_and(|inner| {
        put(inner, rest, value);
        inner.is_empty()
    });
    if is_empty {
        object.remove(*first);
    }
}

/// The members of a value that is an object, or absent and so without members.
fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match value {
        None => Some(&NONE),
        Some(value) => value.as_object(),
    }
}

type Pair<'a> = (&'a String, Option<&'a Value>, Option<&'a Value>);

fn differing<'a>(before: &'a Map<String, Value>, after: &'a Map<String, Value>) -> Vec<Pair<'a>> {
    let kept = before
        .iter()
        .map(|(name, value)| (name, Some(value), after.get(name)));
    let new = after.iter().filter(|(name, _)| !before.contains_key(*name));
    let new = new.map(|(name, value)| (name, None, Some(value)));
    kept.chain(new)
        .filter(|(_, before, after)| before != after)
        .collect()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;

    const EU: &str = crate::name::ENTERPRISE_USER;

    fn check(before: Value, after: Value, expected: &[(&str, Value, Value)]) {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let document = |value: &Value| Document(value.as_object().unwrap().clone());
        let changes = diff(user, &document(&before), &document(&after));
        let changes: Vec<_> = changes
            .into_iter()
            // No document holds null, so it can mean unassigned here.
            .map(
                |AttrChange {
                     path,
                     before,
                     after,
                     ..
                 }| {
                    (path, before.unwrap_or_default(), after.unwrap_or_default())
                },
            )
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, before, after)| (path.to_string(), before.clone(), after.clone()))
            .collect();
        assert_eq!(changes, expected, "{before} -> {after}");
    }

    #[test]
    fn differences() {
        let null = Value::Null;
        check(json!({}), json!({}), &[]);
        check(
            json!({"title": "a", "active": true, "name": {"givenName": "A", "familyName": "B"}}),
            json!({"name": {"familyName": "B", "givenName": "A"}, "active": true, "title": "a"}),
            &[],
        );
        check(
            json!({"title": "a", "active": true, "nickName": "n"}),
            json!({"locale": "en", "active": false, "title": "a"}),
            &[
                ("active", json!(true), json!(false)),
                ("nickName", json!("n"), null.clone()),
                ("locale", null.clone(), json!("en")),
            ],
        );
        check(
            json!({"name": {"givenName": "A", "familyName": "B"}}),
            json!({"name": {"givenName": "C", "middleName": "M"}}),
            &[
                ("name.givenName", json!("A"), json!("C")),
                ("name.familyName", json!("B"), null.clone()),
                ("name.middleName", null.clone(), json!("M")),
            ],
        );
        check(
            json!({}),
            json!({"name": {"givenName": "A"}}),
            &[("name.givenName", null.clone(), json!("A"))],
        );
        check(
            json!({"emails": [{"value": "a"}]}),
            json!({"emails": [{"value": "a"}, {"value": "b"}]}),
            &[(
                "emails",
                json!([{"value": "a"}]),
                json!([{"value": "a"}, {"value": "b"}]),
            )],
        );
    }

    #[test]
    fn extensions() {
        let null = Value::Null;
        check(
            json!({EU: {"department": "a", "manager": {"value": "m"}}}),
            json!({EU: {"department": "b", "manager": {"value": "n"}}}),
            &[
                (&format!("{EU}:department"), json!("a"), json!("b")),
                (&format!("{EU}:manager.value"), json!("m"), json!("n")),
            ],
        );
        check(
            json!({"schemas": ["u", EU], EU: {"department": "a"}}),
            json!({"schemas": ["u"]}),
            &[
                ("schemas", json!(["u", EU]), json!(["u"])),
                (&format!("{EU}:department"), json!("a"), null.clone()),
            ],
        );
        check(
            json!({"urn:x:y": {"a": 1, "b": 2}}),
            json!({"urn:x:y": {"a": 2, "b": 2}}),
            &[("urn:x:y:a", json!(1), json!(2))],
        );
        check(
            json!({"urn:x:y": {"a": 1, "b": 2}}),
            json!({"urn:x:z": {"a": 1}}),
            &[
                ("urn:x:y", json!({"a": 1, "b": 2}), null.clone()),
                ("urn:x:z", null.clone(), json!({"a": 1})),
            ],
        );
    }
}
