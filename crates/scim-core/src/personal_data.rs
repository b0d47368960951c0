//! What a person is called, and where the record of another names that person: for an erasure.
//!
//! The places are those that are there to name somebody: the manager of a user, and member ids that were none. What
//! others' records say in free text is theirs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::name::{ENTERPRISE_USER, fold};

/// All that one person was ever called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    id: String,
    /// What a reference may hold in the place of the id: user names, external ids, e-mail addresses.
    words: BTreeSet<String>,
    /// What a reference may show.
    shown: BTreeSet<String>,
}

impl Identifiers {
    pub fn of(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            words: BTreeSet::new(),
            shown: BTreeSet::new(),
        }
    }

    /// Takes in a document of the person, or the payload of a change.
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
            "userName" | "externalId" => self.words.extend(text(value)),
            "emails" => {
                let list = value.as_array().into_iter().flatten();
                let values = list.filter_map(|one| text(one.get("value")?));
                self.words.extend(values);
            }
            "displayName" | "name.formatted" => self.shown.extend(text(value)),
            "name" => self.shown.extend(value.get("formatted").and_then(text)),
            _ => {}
        }
    }

    /// The pieces of which one is in every JSON text that names the person.
    pub fn pieces(&self) -> Vec<String> {
        let words = self.words.iter().flat_map(|word| {
            let folded = fold(word).into_string();
            [word.clone(), folded]
        });
        let all: BTreeSet<String> = words
            .chain(self.shown.iter().cloned())
            .chain([self.id.clone()])
            .map(|text| inside_json(&text))
            .collect();
        all.into_iter().collect()
    }

    /// What an issuer may call the person in an access token.
    pub fn subjects(&self) -> Vec<String> {
        let words = self.words.iter().cloned();
        words.chain([self.id.clone()]).collect()
    }

    /// Whether a reference with this value is one to the person.
    pub fn is(&self, text: &str) -> bool {
        let last = text.rsplit('/').next().unwrap_or(text);
        text == self.id || last == self.id || self.is_word(text)
    }

    fn is_word(&self, text: &str) -> bool {
        let folded = fold(text);
        self.words.iter().any(|word| fold(word) == folded)
    }

    fn is_or_shows(&self, text: &str) -> bool {
        self.is(text) || self.shown.contains(text)
    }

    /// Whether the person is the manager in a document of another.
    pub fn is_manager_in(&self, document: &Map<String, Value>) -> bool {
        let manager = document.get(ENTERPRISE_USER).and_then(|e| e.get("manager"));
        manager.is_some_and(|manager| self.is_manager(manager))
    }

    /// Who the manager is, the value says; where there is none, what is shown.
    fn is_manager(&self, manager: &Value) -> bool {
        let text = |name: &str| manager.get(name).and_then(Value::as_str);
        match (text("value"), text("$ref"), text("displayName")) {
            (Some(value), ..) => self.is(value),
            (None, Some(reference), _) => self.is(reference),
            (None, None, shown) => shown.is_some_and(|shown| self.shown.contains(shown)),
        }
    }

    /// The payload of another's change without the person; `None` where it does not name the person.
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
                !value.is_some_and(|value| self.is_word(value))
            });
        }
        (after != before).then(|| Value::Object(after).to_string())
    }

    /// Both sides stand alone: somebody else may have come after the person, or been there before.
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
                Value::String(text) => self.is_or_shows(text),
                Value::Object(_) => self.is_manager(value),
                _ => false,
            };
            if names {
                *value = Value::Null;
            }
        }
    }
}

/// Whether a difference at the path is one of a user's manager.
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

/// The text as it stands between the quotes of a JSON text.
fn inside_json(text: &str) -> String {
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
        let mut names = Identifiers::of("a1");
        let learn = |names: &mut Identifiers, value: Value| names.learn(value.as_object().unwrap());
        learn(
            &mut names,
            json!({"userName": "Ada@x", "emails": [{"value": "a@home"}], "displayName": "Ada \"K\"", "title": "T"}),
        );
        learn(
            &mut names,
            json!({"attributes": [{"path": "userName", "before": "old@x", "after": "Ada@x"},
                                  {"path": "name.formatted", "before": null, "after": "Ada King"}]}),
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
        ] {
            assert!(names.is(text), "{text}");
        }
        for text in ["a", "T", "Ada King", "x", "https://h/scim/v2/Users/a11"] {
            assert!(!names.is(text), "{text}");
        }
        assert!(names.pieces().contains(&r#"Ada \"K\""#.to_owned()));
        assert!(names.subjects().contains(&"old@x".to_owned()));
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
    }
}
