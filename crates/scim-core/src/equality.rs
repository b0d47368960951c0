//! The equality of values by the rules of their attribute: the letter case of a `caseExact: false`
//! text, the spelling of a time and `primary: false` make no difference (RFC 7643 sections 2.2 and
//! 2.4).
//!
//! Knows attributes, not resources. Values that no schema describes are compared exactly.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use crate::name;
use crate::schema::{Attribute, Type, instant};

/// A value that is compared with others of the same attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparable<'a> {
    /// `None` where no schema describes the value.
    attribute: Option<&'a Attribute>,
    value: &'a Value,
}

impl<'a> Comparable<'a> {
    /// Wraps one value of the attribute: an element, if it is multi-valued.
    pub(crate) fn of(attribute: &'a Attribute, value: &'a Value) -> Self {
        Self {
            attribute: Some(attribute),
            value,
        }
    }

    /// Wraps a value that no schema describes.
    pub(crate) fn undeclared(value: &'a Value) -> Self {
        Self {
            attribute: None,
            value,
        }
    }

    fn member(self, name: &str, value: &'a Value) -> Self {
        Self {
            attribute: self
                .attribute
                .and_then(|a| a.sub_attribute(name))
                .map(|sub| &**sub),
            value,
        }
    }

    fn element(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// Returns the members of an object that carry meaning.
    fn members(
        self,
        members: &'a Map<String, Value>,
    ) -> impl Iterator<Item = (&'a String, Comparable<'a>)> {
        members
            .iter()
            .filter(move |(name, value)| {
                self.attribute.is_none() || !(value.is_null() || is_not_primary(name, value))
            })
            .map(move |(name, value)| (name, self.member(name, value)))
    }

    /// Returns whether this value has all that `listed` names, and perhaps more: a list has each of
    /// its elements, an object each of its members, and none of those that are null. An object that
    /// names nothing is held by none.
    pub(crate) fn holds(self, listed: &Self) -> bool {
        match (self.value, listed.value) {
            (Value::Object(own), Value::Object(wanted)) => {
                let lacks_empty = wanted
                    .iter()
                    .filter(|(_, wanted)| listed.attribute.is_some() && wanted.is_null())
                    .all(|(name, _)| !own.contains_key(name));
                let mut wanted = listed.members(wanted).peekable();
                wanted.peek().is_some()
                    && lacks_empty
                    && wanted.all(|(name, wanted)| {
                        own.get(name)
                            .is_some_and(|own| self.member(name, own).holds(&wanted))
                    })
            }
            (Value::Array(own), Value::Array(wanted)) => {
                let own: HashSet<Self> = own.iter().map(|own| self.element(own)).collect();
                wanted
                    .iter()
                    .all(|wanted| own.contains(&listed.element(wanted)))
            }
            _ => self == *listed,
        }
    }

    /// Returns the `value` of an element if it is a text.
    pub(crate) fn text_value(self) -> Option<Self> {
        let value = self.value.get("value").filter(|value| value.is_string())?;
        Some(self.member("value", value))
    }

    /// Returns whether letter case makes no difference to a text.
    fn is_folded(self) -> bool {
        self.attribute.is_some_and(|attribute| {
            !attribute.case_exact && attribute.name != "$ref" && attribute.kind == Type::String
        })
    }

    fn is_reference(self) -> bool {
        self.attribute
            .is_some_and(|attribute| attribute.name == "$ref")
    }

    fn instant(self, text: &str) -> Option<i64> {
        let is_time = self
            .attribute
            .is_some_and(|attribute| attribute.kind == Type::DateTime);
        if is_time { instant(text) } else { None }
    }
}

/// RFC 7643 section 2.4: `primary: false` says no more than no `primary`.
fn is_not_primary(name: &str, value: &Value) -> bool {
    name == "primary" && *value == Value::Bool(false)
}

impl PartialEq for Comparable<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.value, other.value) {
            (Value::Object(left), Value::Object(right)) => {
                self.members(left).count() == other.members(right).count()
                    && self.members(left).all(|(name, left)| {
                        right
                            .get(name)
                            .is_some_and(|right| left == other.member(name, right))
                    })
            }
            // The values of a list have no order (RFC 7643 section 2.4).
            (Value::Array(left), Value::Array(right)) if self.attribute.is_some() => {
                left.len() == right.len() && self.holds(other) && other.holds(self)
            }
            (Value::String(left), Value::String(right)) if self.is_folded() => {
                if left.is_ascii() && right.is_ascii() {
                    left.eq_ignore_ascii_case(right)
                } else {
                    name::fold(left) == name::fold(right)
                }
            }
            (Value::String(left), Value::String(right)) if self.is_reference() => {
                name::without_version(left) == name::without_version(right)
            }
            (Value::String(left), Value::String(right)) => {
                left == right
                    || self
                        .instant(left)
                        .is_some_and(|left| self.instant(right) == Some(left))
            }
            (Value::Number(left), Value::Number(right)) => {
                // A double cannot distinguish large integers.
                let are_integers = !left.is_f64() && !right.is_f64();
                left == right
                    || (self.attribute.is_some()
                        && !are_integers
                        && left.as_f64() == right.as_f64())
            }
            (left, right) => left == right,
        }
    }
}

impl Eq for Comparable<'_> {}

impl Hash for Comparable<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Neither members nor the values of a list have an order, so their hashes are added up.
        let alone = |part: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            part(&mut hasher);
            hasher.finish()
        };
        match self.value {
            Value::Object(members) => self
                .members(members)
                .map(|(name, member)| {
                    alone(&|hasher| {
                        name.hash(hasher);
                        member.hash(hasher);
                    })
                })
                .fold(0_u64, u64::wrapping_add)
                .hash(state),
            Value::Array(elements) => elements
                .iter()
                .map(|element| alone(&|hasher| self.element(element).hash(hasher)))
                .fold(0_u64, u64::wrapping_add)
                .hash(state),
            Value::String(text) if self.is_folded() => {
                if text.is_ascii() {
                    text.bytes()
                        .for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
                } else {
                    name::fold(text)
                        .as_str()
                        .bytes()
                        .for_each(|byte| state.write_u8(byte));
                }
            }
            Value::String(text) if self.is_reference() => name::without_version(text).hash(state),
            Value::String(text) => match self.instant(text) {
                Some(instant) => instant.hash(state),
                None => text.hash(state),
            },
            Value::Number(number) => {
                // -0.0 is equal to 0.0 and has other bits; the sum of the two is 0.0.
                let double = number.as_f64().unwrap_or_default() + 0.0;
                double.to_bits().hash(state);
            }
            other => other.hash(state),
        }
    }
}

/// Returns the `value` and `type` of an element, which identify it (RFC 7643 section 2.4: the same
/// pair should not occur twice). `None` for an element without a text as its `value`.
pub(crate) fn pair<'a>(
    attribute: &'a Attribute,
    element: &'a Value,
) -> Option<(Comparable<'a>, Option<Comparable<'a>>)> {
    let whole = Comparable::of(attribute, element);
    let kind = element.get("type").map(|kind| whole.member("type", kind));
    Some((whole.text_value()?, kind))
}

/// The values that a `remove` lists, indexed so that each element of a list is looked up.
#[derive(Debug, Default)]
pub(crate) struct ListedValues<'a> {
    attribute: Option<&'a Attribute>,
    whole: HashSet<Comparable<'a>>,
    /// Objects by their `value`, and those without one: an element is listed that holds all of one.
    by_value: HashMap<Comparable<'a>, Vec<Comparable<'a>>>,
    others: Vec<Comparable<'a>>,
}

impl<'a> ListedValues<'a> {
    /// Values of the attribute, which is multi-valued.
    pub(crate) fn of(attribute: &'a Attribute, values: &'a [Value]) -> Self {
        let mut listed = Self {
            attribute: Some(attribute),
            ..Self::default()
        };
        values
            .iter()
            .for_each(|value| listed.add(Comparable::of(attribute, value)));
        listed
    }

    /// Values that no schema describes. An object with nothing but a `value` also means that value.
    pub(crate) fn undeclared(values: &'a [Value]) -> Self {
        let mut listed = Self::default();
        for value in values {
            listed.add(Comparable::undeclared(value));
            if let (Some(inner), Some(1)) = (value.get("value"), value.as_object().map(Map::len)) {
                listed.whole.insert(Comparable::undeclared(inner));
            }
        }
        listed
    }

    fn add(&mut self, same: Comparable<'a>) {
        match same.text_value() {
            Some(value) => self.by_value.entry(value).or_default().push(same),
            None if same.value.is_object() => self.others.push(same),
            None => {}
        }
        self.whole.insert(same);
    }

    pub(crate) fn has(&self, element: &Value) -> bool {
        let element = Comparable {
            attribute: self.attribute,
            value: element,
        };
        // If no schema says what the list holds, a value alone means the `value` of an object.
        let has_bare_value = || {
            self.attribute.is_none()
                && element
                    .value
                    .get("value")
                    .is_some_and(|value| self.whole.contains(&Comparable::undeclared(value)))
        };
        let same_value = element
            .text_value()
            .and_then(|value| self.by_value.get(&value));
        let mut candidates = same_value.into_iter().flatten().chain(&self.others);
        self.whole.contains(&element)
            || candidates.any(|listed| element.holds(listed))
            || has_bare_value()
    }

    /// Returns the most objects that one element may have to be compared with.
    pub(crate) fn depth(&self) -> usize {
        let longest = self.by_value.values().map(Vec::len).max();
        self.others
            .len()
            .saturating_add(longest.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn attribute(text: &str) -> Attribute {
        serde_json::from_str(text).unwrap()
    }

    fn list() -> Attribute {
        attribute(
            r#"{"name": "rooms", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value"},
                {"name": "code", "caseExact": true},
                {"name": "type"},
                {"name": "primary", "type": "boolean"},
                {"name": "since", "type": "dateTime"},
                {"name": "size", "type": "decimal"},
                {"name": "tags", "multiValued": true},
                {"name": "$ref", "type": "reference", "caseExact": true}
            ]}"#,
        )
    }

    #[track_caller]
    fn check(left: &Value, right: &Value, expected: bool) {
        let attribute = list();
        let one = Comparable::of(&attribute, left);
        let other = Comparable::of(&attribute, right);
        assert_eq!(one == other, expected, "{left} {right}");
        assert_eq!(other == one, expected, "{right} {left}");
        let distinct = HashSet::from([one, other]).len();
        assert_eq!(distinct == 1, expected, "hashes of {left} and {right}");
    }

    #[test]
    fn equal_by_the_rules_of_the_attribute() {
        check(&json!({"value": "A"}), &json!({"value": "a"}), true);
        check(&json!({"value": "Å"}), &json!({"value": "A\u{30a}"}), true);
        check(&json!({"code": "A"}), &json!({"code": "a"}), false);
        check(
            &json!({"value": "a", "type": "x"}),
            &json!({"type": "X", "value": "A", "primary": false}),
            true,
        );
        check(
            &json!({"value": "a", "primary": true}),
            &json!({"value": "a"}),
            false,
        );
        check(
            &json!({"since": "2026-01-01T00:00:00Z"}),
            &json!({"since": "2026-01-01T01:00:00+01:00"}),
            true,
        );
        check(&json!({"size": 1}), &json!({"size": 1.0}), true);
        check(&json!({"size": 0}), &json!({"size": -0.0}), true);
        check(
            &json!({"size": u64::MAX}),
            &json!({"size": u64::MAX - 1}),
            false,
        );
        check(
            &json!({"tags": ["a", "B"]}),
            &json!({"tags": ["b", "A"]}),
            true,
        );
        check(&json!({"tags": ["a"]}), &json!({"tags": ["a", "b"]}), false);
        check(&json!({"tags": ["a"]}), &json!({"tags": ["a", "a"]}), false);
        check(
            &json!({"tags": ["a", "b"]}),
            &json!({"tags": ["a", "a"]}),
            false,
        );
        check(&json!({"value": "k"}), &json!({"value": "\u{212a}"}), true);
        check(
            &json!({"$ref": "https://h/v2/Users/1"}),
            &json!({"$ref": "https://h/Users/1"}),
            true,
        );
    }

    #[test]
    fn undeclared_values_are_compared_exactly() {
        let same = |left: &Value, right: &Value| {
            Comparable::undeclared(left) == Comparable::undeclared(right)
        };
        assert!(same(&json!({"a": 1, "b": [1]}), &json!({"b": [1], "a": 1})));
        assert!(!same(&json!("a"), &json!("A")));
        assert!(!same(&json!([1, 2]), &json!([2, 1])));
        assert!(!same(&json!({"primary": false}), &json!({})));
    }

    #[test]
    fn lists_in_a_list_are_listed_as_a_whole() {
        let listed = [json!(["a", "b"]), json!({"value": 7})];
        let listed = ListedValues::undeclared(&listed);
        assert!(listed.has(&json!(["a", "b"])) && !listed.has(&json!(["a", "b", "c"])));
        assert!(listed.has(&json!(7)) && !listed.has(&json!(8)));
        assert_eq!(listed.depth(), 1);
    }

    #[test]
    fn containment() {
        let attribute = list();
        let check = |own: Value, listed: Value, expected: bool| {
            let holds =
                Comparable::of(&attribute, &own).holds(&Comparable::of(&attribute, &listed));
            assert_eq!(holds, expected, "{own} {listed}");
        };
        let own = || json!({"value": "A", "type": "work", "tags": ["x", "y"]});
        check(own(), json!({"value": "a"}), true);
        check(own(), json!({"tags": ["Y"]}), true);
        check(own(), json!({"tags": ["z"]}), false);
        check(own(), json!({"value": "a", "type": "home"}), false);
        check(own(), json!({"value": "a", "primary": false}), true);
        check(own(), json!({}), false);
        check(own(), json!({"primary": false}), false);
    }
}
