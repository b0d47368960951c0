//! The identifiers of a person, and their removal from the records of others: for an erasure.
//!
//! Only values that exist to name another person are removed: the manager of a user, and member ids
//! that were unknown. Free text in the records of others belongs to them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::name::{ENTERPRISE_USER, fold};

/// Every identifier that one person ever had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    id: String,
    /// Texts that a reference may hold in place of the id: user names, external ids, e-mail
    /// addresses.
    references: BTreeSet<String>,
    /// Texts that a reference may display.
    displayed: BTreeSet<String>,
}

impl Identifiers {
    /// Starts with the id; [`Self::learn`] adds the rest.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            references: BTreeSet::new(),
            displayed: BTreeSet::new(),
        }
    }

    /// Adds the identifiers in a document of the person, or in the payload of a change of theirs.
    pub fn learn(&mut self, payload: &Map<String, Value>) {
        for (name, value) in payload {
            self.learn_attribute(name, value);
        }
        let differences = payload.get("attributes").and_then(Value::as_array);
        for entry in differences.into_iter().flatten() {
            let Some(path) = entry.get("path").and_then(Value::as_str) else {
                continue;
            };
            for side in ["before", "after"] {
                if let Some(value) = entry.get(side) {
                    self.learn_attribute(path, value);
                }
                let elements = entry.get("elements").and_then(Value::as_array);
                let elements = elements.into_iter().flatten();
                let values = elements.filter_map(|element| element.get(side).cloned());
                self.learn_attribute(path, &values.collect());
            }
        }
    }

    fn learn_attribute(&mut self, path: &str, value: &Value) {
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        match path {
            "userName" | "externalId" => self.references.extend(text(value)),
            "emails" => {
                let list = value.as_array().into_iter().flatten();
                let values = list.filter_map(|one| text(one.get("value")?));
                self.references.extend(values);
            }
            "displayName" | "name.formatted" => self.displayed.extend(text(value)),
            "name" => self.displayed.extend(value.get("formatted").and_then(text)),
            _ => {}
        }
    }

    /// Returns search terms: every JSON text that names the person contains at least one of them.
    pub fn search_terms(&self) -> Vec<String> {
        let references = self.references.iter().flat_map(|reference| {
            let folded = fold(reference).into_string();
            [reference.clone(), folded]
        });
        let all: BTreeSet<String> = references
            .chain(self.displayed.iter().cloned())
            .chain([self.id.clone()])
            .map(|text| escape_json(&text))
            .collect();
        all.into_iter().collect()
    }

    /// Returns the subjects under which an issuer may name the person in an access token.
    pub fn subjects(&self) -> Vec<String> {
        let references = self.references.iter().cloned();
        references.chain([self.id.clone()]).collect()
    }

    /// Returns whether a reference with this value names the person.
    pub fn matches(&self, text: &str) -> bool {
        let last = text.rsplit('/').next().unwrap_or(text);
        text == self.id || last == self.id || self.is_reference(text)
    }

    fn is_reference(&self, text: &str) -> bool {
        let folded = fold(text);
        self.references
            .iter()
            .any(|reference| fold(reference) == folded)
    }

    fn matches_or_displays(&self, text: &str) -> bool {
        self.matches(text) || self.displayed.contains(text)
    }

    /// Returns whether the person is the manager in a document of another.
    pub fn is_manager_in(&self, document: &Map<String, Value>) -> bool {
        let manager = document.get(ENTERPRISE_USER).and_then(|e| e.get("manager"));
        manager.is_some_and(|manager| self.is_manager(manager))
    }

    /// Returns whether the manager is the person: the `value` decides; if there is none, the
    /// displayed name.
    fn is_manager(&self, manager: &Value) -> bool {
        let text = |name: &str| manager.get(name).and_then(Value::as_str);
        match (text("value"), text("$ref"), text("displayName")) {
            (Some(value), ..) => self.matches(value),
            (None, Some(reference), _) => self.matches(reference),
            (None, None, shown) => shown.is_some_and(|shown| self.displayed.contains(shown)),
        }
    }

    /// Returns the payload of another's change without the person; `None` if it does not name them.
    pub fn scrub(&self, payload: &str) -> Option<String> {
        let before: Map<String, Value> = serde_json::from_str(payload).ok()?;
        let mut after = before.clone();
        if self.is_manager_in(&after) {
            take_manager(&mut after);
        }
        if let Some(Value::Array(entries)) = after.get_mut("attributes") {
            entries
                .iter_mut()
                .for_each(|entry| self.scrub_difference(entry));
        }
        if let Some(Value::Array(members)) = after.get_mut("members") {
            members.retain(|member| {
                let value = member.get("value").and_then(Value::as_str);
                !value.is_some_and(|value| self.is_reference(value))
            });
        }
        (after != before).then(|| Value::Object(after).to_string())
    }

    /// Both sides are judged alone: another person may have come after this one, or before.
    fn scrub_difference(&self, entry: &mut Value) {
        let Some(entry) = entry.as_object_mut() else {
            return;
        };
        let path = entry
            .get("path")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !is_about_manager(path) {
            return;
        }
        for side in ["before", "after"] {
            let Some(value) = entry.get_mut(side) else {
                continue;
            };
            let names = match &*value {
                Value::String(text) => self.matches_or_displays(text),
                Value::Object(_) => self.is_manager(value),
                _ => false,
            };
            if names {
                *value = Value::Null;
            }
        }
    }
}

/// Returns whether a difference at the path is one of a user's manager.
pub fn is_about_manager(path: &str) -> bool {
    let inner = path
        .strip_prefix(ENTERPRISE_USER)
        .and_then(|rest| rest.strip_prefix(":manager"));
    inner.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn take_manager(document: &mut Map<String, Value>) {
    if let Some(Value::Object(extension)) = document.get_mut(ENTERPRISE_USER) {
        extension.shift_remove("manager");
    }
}

/// Returns the text as it appears between the quotes of a JSON string.
fn escape_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(&quoted).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ada() -> Identifiers {
        let mut names = Identifiers::new("a1");
        let learn = |names: &mut Identifiers, value: Value| names.learn(value.as_object().unwrap());
        learn(
            &mut names,
            json!({"userName": "Ada@x", "emails": [{"value": "a@home"}], "displayName": "Ada \"K\"", "title": "T"}),
        );
        learn(
            &mut names,
            json!({"attributes": [{"path": "userName", "before": "old@x", "after": "Ada@x"},
                                  {"path": "name.formatted", "before": null, "after": "Ada King"},
                                  {"path": "emails", "before": null, "after": null, "elements": [
                                      {"from": 1, "before": {"value": "a@old"}},
                                      {"from": 2, "to": 1, "before": {}, "after": {"value": "a@new"}}]}]}),
        );
        names
    }

    #[test]
    fn a_person_is_known_by_all_names() {
        let names = ada();
        for text in [
            "a1",
            "https://h/scim/v2/Users/a1",
            "ada@X",
            "OLD@x",
            "a@home",
            "a@old",
            "a@new",
        ] {
            assert!(names.matches(text), "{text}");
        }
        for text in ["a", "T", "Ada King", "x", "https://h/scim/v2/Users/a11"] {
            assert!(!names.matches(text), "{text}");
        }
        assert!(names.search_terms().contains(&r#"Ada \"K\""#.to_owned()));
        assert!(names.subjects().contains(&"old@x".to_owned()));
    }

    #[test]
    fn identifiers_of_a_document_and_of_its_changes() {
        let mut names = Identifiers::new("a1");
        let payload = json!({
            "userName": "Ada", "externalId": "00u", "displayName": "", "title": "T",
            "name": {"formatted": "Ada \"K\"", "givenName": "G"},
            "emails": [{"value": "a@x"}, {"value": ""}, {"type": "work"}],
            "attributes": [
                {"path": "displayName", "before": "Before", "after": "After"},
                {"path": "emails", "before": [{"value": "old@x"}], "after": null},
                {"path": "title", "before": "no", "after": "no"},
                {"before": "no"},
            ],
        });
        names.learn(payload.as_object().unwrap());
        assert_eq!(names.subjects(), ["00u", "Ada", "a@x", "old@x", "a1"]);
        assert_eq!(
            names.search_terms(),
            [
                "00u",
                "Ada",
                r#"Ada \"K\""#,
                "After",
                "Before",
                "a1",
                "a@x",
                "ada",
                "old@x"
            ]
        );
    }

    #[test]
    fn managers() {
        let names = ada();
        let check = |manager: Value, expected: bool| {
            let document = json!({ENTERPRISE_USER: {"manager": manager}});
            let found = names.is_manager_in(document.as_object().unwrap());
            assert_eq!(found, expected, "{document}");
        };
        check(json!({"value": "a1"}), true);
        check(json!({"value": "b2", "$ref": "https://h/Users/a1"}), false);
        check(json!({"$ref": "https://h/Users/a1"}), true);
        check(
            json!({"$ref": "https://h/Users/b2", "displayName": "Ada King"}),
            false,
        );
        check(json!({"displayName": "Ada King"}), true);
        check(json!({"displayName": "ada@x"}), false);
        check(json!({}), false);
        assert!(!names.is_manager_in(&Map::new()));
        for (path, expected) in [
            (format!("{ENTERPRISE_USER}:manager"), true),
            (format!("{ENTERPRISE_USER}:manager.value"), true),
            (format!("{ENTERPRISE_USER}:managers"), false),
            (format!("{ENTERPRISE_USER}:department"), false),
            ("manager".to_owned(), false),
        ] {
            assert_eq!(is_about_manager(&path), expected, "{path}");
        }
    }

    #[test]
    fn others_payloads() {
        let names = ada();
        let check = |payload: Value, expected: Option<Value>| {
            let found = names.scrub(&payload.to_string());
            assert_eq!(found, expected.map(|value| value.to_string()), "{payload}");
        };
        let path = format!("{ENTERPRISE_USER}:manager");
        let value = format!("{path}.value");
        check(
            json!({"userName": "bob", ENTERPRISE_USER: {"manager": {"value": "a1", "displayName": "Ada"}, "department": "D"}}),
            Some(json!({"userName": "bob", ENTERPRISE_USER: {"department": "D"}})),
        );
        // A namesake.
        check(
            json!({ENTERPRISE_USER: {"manager": {"value": "b2", "displayName": "Ada King"}}}),
            None,
        );
        check(
            json!({"attributes": [{"path": value, "before": "a1", "after": "b2"}]}),
            Some(json!({"attributes": [{"path": value, "before": null, "after": "b2"}]})),
        );
        check(
            json!({"attributes": [{"path": path, "before": null, "after": {"displayName": "Ada King"}}]}),
            Some(json!({"attributes": [{"path": path, "before": null, "after": null}]})),
        );
        check(
            json!({"attributes": [{"path": "title", "before": "a1", "after": "ada@x"}]}),
            None,
        );
        check(
            json!({"members": [{"value": "ada@x"}, {"value": "a1"}]}),
            Some(json!({"members": [{"value": "a1"}]})),
        );
        check(json!({"members": [{"value": "a1"}]}), None);
        let text = |path: &str, before: Value, after: Value| json!({"attributes": [{"path": path, "before": before, "after": after}, 7]});
        // A name alone may be displayed in place of an id; a list is no manager.
        check(
            text(&path, json!("Ada King"), json!(["a1"])),
            Some(text(&path, json!(null), json!(["a1"]))),
        );
        check(text(&path, json!("T"), json!({"value": "b2"})), None);
        assert_eq!(names.scrub("damaged"), None);
    }
}
