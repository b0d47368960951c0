//! Edits of extensions that no schema describes: their values are kept as they are, names are matched ignoring case.

use serde_json::{Map, Value};

use super::Op;
use crate::scim::document::into_object;
use crate::scim::{Document, ScimError};

/// One step on an unknown extension.
#[derive(Debug, Clone)]
pub(super) struct UnknownEdit {
    op: Op,
    /// The container's URN, or that and an attribute: only the document can tell.
    text: String,
    /// `None` for a remove.
    value: Option<Value>,
}

impl UnknownEdit {
    pub(super) fn new(op: Op, text: &str, value: Option<&Value>) -> Self {
        let value = match op {
            Op::Remove => None,
            Op::Add | Op::Replace => value.cloned(),
        };
        Self {
            op,
            text: text.to_owned(),
            value,
        }
    }

    pub(super) fn apply(&self, document: &mut Document) -> Result<(), ScimError> {
        let (urn, path) = self.split(document);
        let urn = spelled(&document.0, urn).unwrap_or(urn).to_owned();
        let before = into_object(document.0.get_mut(&urn).map(Value::take));
        let after = match path {
            None => self.on_container(before)?,
            Some(path) => self.on_attribute(before, path),
        };
        if after.is_empty() {
            document.0.shift_remove(&urn);
        } else {
            document.0.insert(urn, Value::Object(after));
        }
        Ok(())
    }

    /// The URN and the attribute. A container that exists decides; an object is meant for a container of its own.
    fn split(&self, document: &Document) -> (&str, Option<&str>) {
        let whole = (self.text.as_str(), None);
        let Some((urn, path)) = self.text.rsplit_once(':') else {
            return whole;
        };
        let exists = |urn: &str| spelled(&document.0, urn).is_some();
        if exists(&self.text) {
            return whole;
        }
        if exists(urn) {
            return (urn, Some(path));
        }
        match self.value {
            Some(Value::Object(_)) | None => whole,
            Some(_) if urn.contains(':') => (urn, Some(path)),
            Some(_) => whole,
        }
    }

    fn on_container(
        &self,
        mut before: Map<String, Value>,
    ) -> Result<Map<String, Value>, ScimError> {
        match &self.value {
            Some(Value::Object(new)) => {
                merge(self.op, &mut before, new);
                Ok(before)
            }
            None => Ok(Map::new()),
            Some(Value::Null) if self.op == Op::Replace => Ok(Map::new()),
            Some(Value::Null) => Ok(before),
            Some(other) => Err(ScimError::invalid_value(format!(
                "{} must be an object with the attributes of the extension, not {}",
                self.text,
                crate::scim::admit::coerce::kind_of(other)
            ))),
        }
    }

    fn on_attribute(&self, mut before: Map<String, Value>, path: &str) -> Map<String, Value> {
        let (name, sub) = match path.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (path, None),
        };
        let value = self.value.clone().unwrap_or_default();
        // To remove is to replace with nothing.
        let op = match self.op {
            Op::Add => Op::Add,
            Op::Remove | Op::Replace => Op::Replace,
        };
        match sub {
            None => put(op, &mut before, name, &value),
            Some(sub) => {
                let name = spelled(&before, name).unwrap_or(name).to_owned();
                let mut inner = into_object(before.get_mut(&name).map(Value::take));
                put(op, &mut inner, sub, &value);
                if inner.is_empty() {
                    before.shift_remove(&name);
                } else {
                    before.insert(name, Value::Object(inner));
                }
            }
        }
        before
    }
}

fn merge(op: Op, before: &mut Map<String, Value>, new: &Map<String, Value>) {
    for (name, value) in new {
        put(op, before, name, value);
    }
}

/// Adds or replaces by the rules for known attributes, as far as the JSON itself tells what it is: objects merge,
/// lists are added to or replaced, null and `[]` unassign under `replace`.
fn put(op: Op, members: &mut Map<String, Value>, name: &str, value: &Value) {
    let name = spelled(members, name).unwrap_or(name).to_owned();
    let is_nothing = crate::scim::admit::coerce::is_nothing(value);
    if is_nothing {
        if op == Op::Replace {
            members.shift_remove(&name);
        }
        return;
    }
    match (members.get_mut(&name), value) {
        (Some(Value::Object(before)), Value::Object(new)) => merge(op, before, new),
        (Some(Value::Array(before)), new) if op == Op::Add => {
            let new = match new {
                Value::Array(new) => new.as_slice(),
                other => std::slice::from_ref(other),
            };
            let fresh: Vec<Value> = {
                let known: std::collections::HashSet<&Value> = before.iter().collect();
                let fresh = new.iter().filter(|value| !known.contains(value));
                fresh.cloned().collect()
            };
            before.extend(fresh);
        }
        (Some(before), new) => *before = new.clone(),
        (None, new) => {
            members.insert(name, new.clone());
        }
    }
}

/// The name as the object spells it.
fn spelled<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    match members.get_key_value(name) {
        Some((name, _)) => Some(name),
        None => members
            .keys()
            .find(|key| key.eq_ignore_ascii_case(name))
            .map(String::as_str),
    }
}
