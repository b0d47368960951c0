//! Reads the value of a `remove`: the elements or parts that it takes away.

use serde_json::{Map, Value};

use crate::ScimError;
use crate::coerce;
use crate::coerce::{Location, NamedValue, NullMeaning};
use crate::patch::edit::{SubEdit, ValueEdit};
use crate::schema::{Attribute, Mutability};

/// Reads a `remove` of an attribute or sub-attribute. A value lists what to remove of a list or of
/// a complex value; a simple value is removed whatever the operation's value is. Returns `None` if
/// the operation lists nothing.
pub(super) fn remove(
    attribute: &Attribute,
    value: Option<&Value>,
    at: &Location,
) -> Result<Option<ValueEdit>, ScimError> {
    let change = match value {
        None | Some(Value::Null) => ValueEdit::Unassign,
        Some(value) if attribute.multi_valued => {
            ValueEdit::RemoveListed(listed(attribute, value, at)?)
        }
        Some(Value::Array(listed)) if listed.iter().all(Value::is_null) => return Ok(None),
        Some(value) if names_parts(attribute, value) => {
            ValueEdit::Merge(listed_parts(attribute, value, at)?)
        }
        Some(_) => ValueEdit::Unassign,
    };
    Ok(Some(change))
}

/// Returns whether the value of a `remove` names the parts of a complex value to take.
fn names_parts(attribute: &Attribute, value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => attribute.is_complex(),
        Value::String(text) => !text.is_empty() && attribute.sub_attribute("value").is_some(),
        Value::Number(_) => attribute.sub_attribute("value").is_some(),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Reads the removal of an attribute named in a list of what to remove, such as `{"department":
/// "D"}` for a whole extension: it is removed only if it has this value.
pub(super) fn remove_equal(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Option<ValueEdit>, ScimError> {
    if attribute.multi_valued {
        return Ok(Some(ValueEdit::RemoveListed(listed(attribute, value, at)?)));
    }
    if attribute.is_complex() {
        return listed_parts(attribute, value, at).map(|parts| Some(ValueEdit::Merge(parts)));
    }
    let value = coerce::single(attribute, value, at)?;
    Ok(value.map(ValueEdit::UnassignEqual))
}

pub(super) fn listed_parts(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Vec<SubEdit>, ScimError> {
    let named = coerce::complex(attribute, value, NullMeaning::Skip, at)?;
    let removal = |(sub, value): NamedValue| {
        let change = match value? {
            Value::Array(listed) => ValueEdit::RemoveListed(listed),
            value => ValueEdit::UnassignEqual(value),
        };
        Some((sub, change))
    };
    Ok(named.into_iter().flatten().filter_map(removal).collect())
}

/// Returns the elements that a `remove` lists.
pub(super) fn listed(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Vec<Value>, ScimError> {
    let given = match value {
        Value::Array(given) => given.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut listed = Vec::with_capacity(given.len());
    for (index, value) in given.iter().enumerate() {
        let element = coerce::element(attribute, value, &at.index(index))?;
        listed.extend(match (element, value) {
            (Some(Value::Object(element)), Value::Object(given))
                if !element.contains_key("value") =>
            {
                with_given_names(attribute, element, given).map(Value::Object)
            }
            (element, _) => element,
        });
    }
    Ok(listed)
}

/// Completes the element that a `remove` lists without a `value` with everything by which the
/// client distinguishes it from others: what the client calls empty stays as null. Returns `None`
/// if it has a member that no schema defines, since no element has that.
fn with_given_names(
    attribute: &Attribute,
    mut element: Map<String, Value>,
    given: &Map<String, Value>,
) -> Option<Map<String, Value>> {
    for name in given.keys() {
        let sub = attribute.sub_attribute(name)?;
        if sub.mutability != Mutability::ReadOnly && !element.contains_key(&sub.name) {
            element.insert(sub.name.clone(), Value::Null);
        }
    }
    Some(element)
}

/// Returns whether the object names nothing but multi-valued sub-attributes.
pub(super) fn names_only_lists(list: &Attribute, members: &Map<String, Value>) -> bool {
    let is_list = |name: &String| list.sub_attribute(name).is_some_and(|sub| sub.multi_valued);
    !members.is_empty() && members.keys().all(is_list)
}
