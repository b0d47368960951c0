//! Removes values that are never returned (RFC 7643 section 7) from what is derived from a
//! document, such as a change: they exist in documents only.
//!
//! [`crate::project`] removes them from responses.

use serde_json::{Map, Value};

use crate::diff::AttrChange;
use crate::registry::ResourceType;
use crate::schema::{Attribute, Returned};

/// Returns the text of a document without its secrets; the text itself if the type has none.
pub fn strip_document(rt: &ResourceType, doc_text: String) -> String {
    if !rt.has_secrets() {
        return doc_text;
    }
    // The stored text was written by [`Document`](crate::Document); were it damaged, nothing of it
    // is shown.
    let mut resource: Map<String, Value> = serde_json::from_str(&doc_text).unwrap_or_default();
    resource.retain(|name, value| match (rt.extension(name), value) {
        (Some(extension), Value::Object(members)) => {
            members.retain(|name, value| {
                let attribute = extension.schema.attribute(name);
                attribute.is_some_and(|attribute| keep(attribute, value))
            });
            !members.is_empty()
        }
        (_, value) => match rt.attr_by_key(name) {
            Some(path) => keep(&path.attribute, value),
            None => true,
        },
    });
    Value::Object(resource).to_string()
}

/// Returns a difference without secrets: it still shows that a secret was changed, not from what to
/// what.
pub fn strip_change(rt: &ResourceType, mut change: AttrChange) -> AttrChange {
    if !rt.has_secrets() {
        return change;
    }
    let Some(path) = rt.attr_by_key(&change.path) else {
        return change;
    };
    let is_secret = path.attribute.returned == Returned::Never;
    for value in [&mut change.before, &mut change.after] {
        *value = value.take().filter(|_| !is_secret).and_then(|mut value| {
            let kept = keep(path.leaf(), &mut value);
            kept.then_some(value)
        });
    }
    if is_secret {
        change.elements.clear();
    }
    for element in &mut change.elements {
        let values = [&mut element.before, &mut element.after];
        for value in values.into_iter().flatten() {
            // The element stays, because its place in the list counts.
            keep(path.leaf(), value);
        }
        if let Some(same) = element.same.take() {
            let mut same = Value::Object(same);
            keep(path.leaf(), &mut same);
            element.same = match same {
                Value::Object(same) => Some(same),
                _ => None,
            };
        }
    }
    change
}

/// Removes the secrets from the value; returns false if nothing remains.
fn keep(attribute: &Attribute, value: &mut Value) -> bool {
    if attribute.returned == Returned::Never {
        return false;
    }
    let strip = |members: &mut Map<String, Value>| {
        members.retain(|name, _| {
            let sub = attribute.sub_attribute(name);
            sub.is_none_or(|sub| sub.returned != Returned::Never)
        });
        !members.is_empty()
    };
    match value {
        Value::Object(members) => strip(members),
        Value::Array(elements) => {
            elements.retain_mut(|element| element.as_object_mut().is_none_or(strip));
            !elements.is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::registry::Extension;
    use crate::schema::Schema;

    fn rt() -> ResourceType {
        let parse = |text: &str| Arc::new(Schema::parse(text).unwrap());
        let core = parse(
            r#"{"id":"urn:x:A","name":"A","attributes":[{"name":"a"},{"name":"n","returned":"never"},
            {"name":"o","type":"complex","subAttributes":[{"name":"s","returned":"never"},{"name":"t"}]},
            {"name":"c","type":"complex","multiValued":true,"subAttributes":[{"name":"s","returned":"never"},{"name":"t"}]}]}"#,
        );
        let extension = Extension {
            schema: parse(
                r#"{"id":"urn:x:E","name":"E","attributes":[{"name":"n","returned":"never"}]}"#,
            ),
            required: false,
        };
        ResourceType::new("A", "/As", "", core, vec![extension]).unwrap()
    }

    #[test]
    fn documents() {
        let text = json!({
            "id": "1", "a": "x", "n": "leak", "c": [{"s": "leak", "t": 1}, {"s": "leak"}],
            "o": {"s": "leak", "t": 1},
            "urn:x:E": {"n": "leak"}, "urn:unknown": {"n": "kept"},
        });
        assert_eq!(
            strip_document(&rt(), text.to_string()),
            json!({"id": "1", "a": "x", "c": [{"t": 1}], "o": {"t": 1}, "urn:unknown": {"n": "kept"}})
                .to_string()
        );
        let text = json!({"id": "1", "o": {"s": "leak"}, "c": [{"s": "leak"}]}).to_string();
        assert_eq!(strip_document(&rt(), text), r#"{"id":"1"}"#);
    }

    #[test]
    fn differences() {
        let change =
            |path: &str, value: Value| AttrChange::new(path.to_owned(), None, Some(&value));
        let check = |path: &str, value: Value, expected: Option<Value>| {
            assert_eq!(
                strip_change(&rt(), change(path, value)).after,
                expected,
                "{path}"
            );
        };
        check("a", json!("x"), Some(json!("x")));
        check("n", json!("leak"), None);
        check("urn:x:E:n", json!("leak"), None);
        check("c", json!([{"s": "leak", "t": 1}]), Some(json!([{"t": 1}])));
        check("o.s", json!("leak"), None);
        check("o.t", json!("x"), Some(json!("x")));
        check("o", json!({"s": "leak"}), None);
        check("urn:unknown", json!({"n": 1}), Some(json!({"n": 1})));
        let mut list: Vec<Value> = (0..800).map(|n| json!({"t": n, "s": "kept"})).collect();
        let before = Value::from(list.clone());
        list[7]["s"] = json!("leak");
        list[9] = json!({"s": "leak"});
        list.push(json!({"s": "leak", "t": 1}));
        let change = AttrChange::new("c".to_owned(), Some(&before), Some(&list.into()));
        let stripped = strip_change(&rt(), change);
        assert_eq!(
            json!(stripped.elements),
            json!([
                {"from": 7, "to": 7, "before": {"t": 7}, "after": {"t": 7}},
                {"from": 9, "to": 9, "before": {"t": 9}, "after": {}},
                {"to": 800, "after": {"t": 1}},
            ])
        );
    }
}
