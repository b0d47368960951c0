//! Limits on the size of a resource and on the number of values of an attribute.
//!
//! A resource that is larger already, because the limits were higher or there were none, can be
//! read, and changed to anything that is not larger.

use scim_core::{Document, ScimError};
use serde_json::{Map, Value};

use crate::service::{Error, Options, Policy};

/// The memory of any value is at least as large, however short its text.
const LEAST_VALUE_BYTES: u64 = 32;

/// The limits that apply to a tenant.
#[derive(Debug, Clone, Copy)]
pub(in crate::service) struct DocumentLimits {
    bytes: u64,
    values: u64,
}

impl DocumentLimits {
    /// Returns the tenant's own limits, or else those of the service.
    pub fn of(policy: Policy, options: &Options) -> Self {
        let own = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
        Self {
            bytes: own(policy.document_limit_bytes).unwrap_or(options.scim.document_limit_bytes),
            values: own(policy.attribute_values_limit)
                .unwrap_or(options.scim.attribute_values_limit),
        }
    }

    /// Checks a new document. `text` is its JSON.
    ///
    /// # Errors
    /// [`Error::DocumentTooLarge`], and `invalidValue` for too many values of an attribute.
    pub fn check(
        self,
        before: Option<&Document>,
        after: &Document,
        text: &str,
    ) -> Result<(), Error> {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        // A value has at least two bytes, with its comma.
        let most_values = length.div_euclid(2).saturating_add(1);
        if most_values > self.values {
            self.check_values(before, after)?;
        }
        let most_bytes = most_values.saturating_mul(LEAST_VALUE_BYTES);
        if most_bytes.saturating_add(length) <= self.bytes {
            return Ok(());
        }
        let size = size_of_members(&after.0);
        let had = before.map_or(0, |before| size_of_members(&before.0));
        if size <= self.bytes.max(had) {
            return Ok(());
        }
        Err(Error::DocumentTooLarge(format!(
            "The resource would have {size} bytes, and it may have {}. Remove values from it, or have the operator of \
             the service raise `document_limit_bytes`.",
            self.bytes
        )))
    }

    fn check_values(self, before: Option<&Document>, after: &Document) -> Result<(), Error> {
        let empty = Map::new();
        let before = before.map_or(&empty, |before| &before.0);
        for (name, value) in &after.0 {
            let old = before.get(name);
            // The name of an extension, whose members are attributes.
            match (value, name.contains(':')) {
                (Value::Object(members), true) => {
                    for (inner, value) in members {
                        let old = old.and_then(|old| old.get(inner));
                        self.check_attribute(&format!("{name}:{inner}"), old, value)?;
                    }
                }
                _ => self.check_attribute(name, old, value)?,
            }
        }
        Ok(())
    }

    fn check_attribute(self, name: &str, old: Option<&Value>, value: &Value) -> Result<(), Error> {
        let found = count(value);
        if found <= self.values.max(old.map_or(0, count)) {
            return Ok(());
        }
        Err(ScimError::invalid_value(format!(
            "{name} would have {found} values, and an attribute may have {}. Send fewer, or have the operator of the \
             service raise `attribute_values_limit`.",
            self.values
        ))
        .into())
    }
}

/// The number of elements of the lists in a value.
fn count(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(elements) => elements
            .iter()
            .map(|element| count(element).saturating_add(1))
            .fold(0, u64::saturating_add),
        Value::Object(members) => members.values().map(count).fold(0, u64::saturating_add),
    }
}

/// The size of a document as its limit counts it: the length of its texts, and for each value at
/// least that of a short one.
fn size_of_members(members: &Map<String, Value>) -> u64 {
    members
        .iter()
        .map(|(name, value)| length(name).saturating_add(size(value)))
        .fold(0, u64::saturating_add)
}

fn size(value: &Value) -> u64 {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => return length(text).max(LEAST_VALUE_BYTES),
        Value::Array(elements) => elements.iter().map(size).fold(0, u64::saturating_add),
        Value::Object(members) => size_of_members(members),
    };
    inner.saturating_add(LEAST_VALUE_BYTES)
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: DocumentLimits = DocumentLimits {
        bytes: 1_000,
        values: 10,
    };

    fn document(value: Value) -> Document {
        match value {
            Value::Object(members) => Document(members),
            other => panic!("{other}"),
        }
    }

    fn check(before: Option<Value>, after: Value) -> Option<String> {
        let before = before.map(document);
        let after = document(after);
        let text = after.to_string();
        let checked = LIMITS.check(before.as_ref(), &after, &text);
        checked.err().map(|error| error.to_string())
    }

    fn is_refused(before: Option<Value>, after: Value, part: &str) {
        let error = check(before, after).unwrap();
        assert!(error.contains(part), "{error}");
    }

    fn numbers(count: usize) -> Value {
        json!(vec![0; count])
    }

    #[test]
    fn sizes() {
        let title = |length: usize| json!({ "title": "x".repeat(length) });
        assert_eq!(check(None, title(900)), None);
        is_refused(None, title(1_100), "1105 bytes");
        // However small its values are.
        let many = json!({ "a": [[], [], [], [], []], "b": vec![json!({}); 9], "c": numbers(10) });
        assert_eq!(check(None, many.clone()), None);
        let mut more = many;
        more["d"] = numbers(10);
        is_refused(None, more, "bytes");
    }

    #[test]
    fn values() {
        assert_eq!(check(None, json!({ "emails": numbers(10) })), None);
        is_refused(
            None,
            json!({ "emails": numbers(11) }),
            "emails would have 11",
        );
        is_refused(
            None,
            json!({ "urn:x:y": { "list": [[0, 0, 0, 0], [0, 0, 0, 0], [0]] } }),
            "urn:x:y:list would have 12",
        );
        let each = json!({ "urn:x:y": { "a": numbers(10), "b": numbers(10) } });
        assert_eq!(check(None, each), None);
    }

    #[test]
    fn a_resource_over_the_limits_may_shrink() {
        let large = |title: usize, count: usize, active: bool| json!({ "title": "x".repeat(title), "a": numbers(count), "active": active });
        let before = Some(large(2_000, 20, true));
        assert_eq!(check(before.clone(), large(2_000, 20, false)), None);
        assert_eq!(check(before.clone(), large(1_900, 15, true)), None);
        is_refused(before.clone(), large(2_001, 20, true), "bytes");
        is_refused(before, large(1_000, 21, true), "21 values");
    }
}
