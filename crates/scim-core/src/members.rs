//! Group members as the core sees them. They are rows in the store, never part of a
//! [`crate::Document`].
//!
//! Knows how clients write them, not whether the ids exist.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::coerce;
use crate::coerce::Location;
use crate::{Filter, ScimError};

/// One member as a client sent it (RFC 7643 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id of the user or group.
    pub value: String,
    /// Kept as sent; `None` where the client sent none or null.
    pub display: Option<String>,
}

/// One step of a PATCH on `members`, in the order of the request.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberEdit {
    /// Add these members, each id once. To add one that is a member already changes nothing.
    Add(Vec<Member>),
    /// Remove these ids; an id that is no member is ignored.
    Remove(Vec<String>),
    /// `remove` with a filter that is more than a list of ids: the members that
    /// [`crate::eval::element_matches`] finds. The paths inside are complete (`members.type`).
    RemoveWhere(Filter),
    /// Remove all members.
    RemoveAll,
    /// Changes nothing: `noTarget` unless the filter finds a member.
    Demand(Filter),
    /// Each id once; none empties the group.
    Replace(Vec<Member>),
}

/// Reads the value of `members`: a list, one member alone, or nothing (null). Each id once, the
/// first counts.
pub(super) fn parse(value: &Value, at: &Location) -> Result<Vec<Member>, ScimError> {
    let elements = match value {
        Value::Null => &[],
        Value::Array(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut members = Vec::with_capacity(elements.len());
    let mut seen = HashSet::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let at = at.index(index);
        let member = match element {
            Value::Null => continue,
            Value::Object(element) => parse_one(element, &at)?,
            // The id alone.
            Value::String(_) | Value::Number(_) => with_id(coerce::text(element, &at)?, None, &at)?,
            other => {
                return Err(ScimError::invalid_value(format!(
                    "{at} must be an object such as {{\"value\":\"<id>\"}}, not {}",
                    coerce::kind_of(other)
                )));
            }
        };
        // Compared by `value` alone: the rest of a member says nothing that the id does not.
        if seen.insert(member.value.clone()) {
            members.push(member);
        }
    }
    Ok(members)
}

/// One member; `$ref` and `type` follow from the id and are not read.
fn parse_one(element: &Map<String, Value>, at: &Location) -> Result<Member, ScimError> {
    let value = text(element, "value", at)?;
    let display = text(element, "display", at)?;
    // Not read, but no text holds U+0000.
    for name in ["type", "$ref"] {
        if let Some(given @ Value::String(_)) = find(element, name) {
            coerce::text(given, &at.name(name))?;
        }
    }
    with_id(value, display, at)
}

fn with_id(
    value: Option<String>,
    display: Option<String>,
    at: &Location,
) -> Result<Member, ScimError> {
    let Some(value) = value else {
        return Err(ScimError::invalid_value(format!(
            "{at} has no value: it must be the id of a user or group"
        )));
    };
    if value.len() > MAX_ID_BYTES {
        return Err(ScimError::invalid_value(format!(
            "{at}.value is longer than {MAX_ID_BYTES} bytes, the limit of an id"
        )));
    }
    Ok(Member { value, display })
}

/// The most bytes in the id of a member.
pub const MAX_ID_BYTES: usize = 2_000;

fn text(
    element: &Map<String, Value>,
    name: &str,
    at: &Location,
) -> Result<Option<String>, ScimError> {
    match find(element, name) {
        None => Ok(None),
        Some(value) => coerce::text(value, &at.name(name)),
    }
}

fn find<'v>(element: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    element.get(name).or_else(|| {
        let mut members = element.iter();
        members.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    fn check(value: Value, expected: &[(&str, Option<&str>)]) {
        let members = parse(&value, &Location::root("members")).unwrap();
        let found: Vec<_> = members
            .iter()
            .map(|m| (m.value.as_str(), m.display.as_deref()))
            .collect();
        assert_eq!(found, expected, "{value}");
    }

    fn check_error(value: Value, expected: &str) {
        let error = parse(&value, &Location::root("members")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{value}");
        assert!(error.detail.contains(expected), "{}", error.detail);
    }

    #[test]
    fn forms() {
        check(json!(null), &[]);
        check(json!([]), &[]);
        check(json!([null]), &[]);
        check(json!({"value": "a"}), &[("a", None)]);
        check(
            json!([{"value": "a", "display": "A"}, {"VALUE": "b", "Display": "B"}]),
            &[("a", Some("A")), ("b", Some("B"))],
        );
        check(
            json!([{"value": "a", "display": null}, {"value": "b", "display": ""}]),
            &[("a", None), ("b", None)],
        );
        check(
            json!([{"value": 7, "display": 8, "$ref": 9, "type": {}}]),
            &[("7", Some("8"))],
        );
        check(json!("a"), &[("a", None)]);
        check(json!(["a", 7, {"value": "a"}]), &[("a", None), ("7", None)]);
        check(
            json!([{"value": "a", "display": "1"}, {"value": "b"}, {"value": "a", "display": "2"}]),
            &[("a", Some("1")), ("b", None)],
        );
        let longest = "a".repeat(2_000);
        check(json!({"value": longest}), &[(&longest, None)]);
        // Ids are case exact.
        check(
            json!([{"value": "a"}, {"value": "A"}]),
            &[("a", None), ("A", None)],
        );
    }

    #[test]
    fn errors() {
        check_error(
            json!([{"value": "a"}, {"display": "b"}]),
            "members[1] has no value",
        );
        check_error(json!([{"value": ""}]), "members[0]");
        check_error(json!([{"value": null}]), "members[0]");
        check_error(json!([{"value": {"value": "a"}}]), "members[0].value");
        check_error(json!([{"value": true}]), "members[0].value");
        check_error(json!([{"value": "a\u{0}"}]), "U+0000");
        check_error(json!([{"value": "a", "display": "\u{0}"}]), "U+0000");
        check_error(json!([{"value": "a", "type": "\u{0}"}]), "U+0000");
        check_error(json!([{"value": "a", "$REF": "\u{0}"}]), "U+0000");
        check_error(
            json!([{"value": "a", "display": ["x"]}]),
            "members[0].display",
        );
        check_error(json!([["a"]]), "members[0] must be an object");
        check_error(json!(true), "members[0] must be an object");
        check_error(json!([""]), "members[0] has no value");
        check_error(json!(["a\u{0}"]), "U+0000");
        check_error(json!([{"value": "a".repeat(2_001)}]), "longer");
    }
}
