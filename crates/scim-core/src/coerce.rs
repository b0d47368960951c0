//! Coerces a JSON value of a request to the value that an attribute of the schema may hold.
//!
//! Lenient if a client's meaning is plain (RFC 7643 section 2.3 is strict): identity providers send
//! numbers for text, text for booleans and single values for lists. Knows attributes, not
//! resources.

mod location;
mod scalar;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use self::location::Location;
pub(crate) use self::scalar::{is_base64, kind_of, no_nul, scalar, text, wrong};
use crate::document::arrange_complex;
use crate::equality::{Comparable, pair};
use crate::schema::{Attribute, Mutability};
use crate::{ScimError, name};

/// The meaning of null and `[]` in an object that is merged into an existing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullMeaning {
    /// The attribute becomes unassigned (RFC 7643 section 2.5).
    Unassign,
    /// Nothing: an `add` of nothing.
    Skip,
}

/// An attribute that an object names, with its value; `None` unassigns it.
pub(crate) type NamedValue = (Arc<Attribute>, Option<Value>);

/// Returns the value for the whole attribute; `None` is unassigned (null, `""`, `[]`, or nothing
/// left in it).
pub(crate) fn attribute(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Option<Value>, ScimError> {
    if attribute.multi_valued {
        let elements = elements(attribute, value, at)?;
        Ok((!elements.is_empty()).then_some(Value::Array(elements)))
    } else {
        single(attribute, value, at)
    }
}

/// Returns the elements of a multi-valued attribute, exact duplicates once; a single value is a
/// list of one.
pub(crate) fn elements(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Vec<Value>, ScimError> {
    let given = match value {
        Value::Null => &[],
        Value::Array(given) => given.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut elements = Vec::with_capacity(given.len());
    for (index, value) in given.iter().enumerate() {
        elements.extend(element(attribute, value, &at.index(index))?);
    }
    dedupe(attribute, &mut elements);
    let primaries = elements.iter().filter(|element| is_primary(element));
    if primaries.count() > 1 {
        return Err(two_primaries(at));
    }
    Ok(elements)
}

/// Returns one element of a multi-valued attribute.
pub(crate) fn element(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Option<Value>, ScimError> {
    if let (true, Value::Object(members)) = (attribute.is_complex(), value) {
        let named = sub_values(attribute, members, NullMeaning::Unassign, at)?;
        // Okta pushes the whole profile, empty fields too: an element whose value is empty is
        // dropped.
        let is_empty = |(sub, value): &NamedValue| sub.name == "value" && value.is_none();
        let says_more = |(sub, value): &NamedValue| {
            value.is_some() && !matches!(sub.name.as_str(), "type" | "primary" | "display")
        };
        if named.iter().any(is_empty) && !named.iter().any(says_more) {
            return Ok(None);
        }
        return Ok(object(named));
    }
    match value {
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(_) | Value::Number(_) if attribute.is_complex() => {
            let named = bare_value(attribute, value, at)?;
            Ok(object(vec![named]))
        }
        // Clients that treat every list alike send `{"value": ..}` for a text.
        Value::Object(members) => match find(members, "value") {
            Some(inner) => scalar(attribute, inner, at),
            None => Err(wrong(attribute, value, at)),
        },
        Value::Array(_) => Err(wrong(attribute, value, at)),
        other => single(attribute, other, at),
    }
}

/// Returns the `value` of a complex attribute, sent without the object around it.
fn bare_value(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<NamedValue, ScimError> {
    let Some(sub) = attribute
        .sub_attribute("value")
        .filter(|sub| !sub.is_complex())
    else {
        return Err(wrong(attribute, value, at));
    };
    let mut value = self::attribute(sub, value, at)?;
    if let Some(value) = &mut value {
        canonicalise(attribute, sub, value);
    }
    Ok((Arc::clone(sub), value))
}

/// Returns the only element of a list of one, otherwise the value itself.
pub(crate) fn only(value: &Value) -> &Value {
    match value {
        Value::Array(elements) => match elements.as_slice() {
            [element] => element,
            _ => value,
        },
        other => other,
    }
}

/// Returns the names in the value that the attribute does not define, each once, as `name.petName`.
pub(crate) fn undefined(attribute: &Attribute, value: &Value, at: &str) -> Vec<String> {
    if !attribute.is_complex() {
        return Vec::new();
    }
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    let names: BTreeSet<&str> = elements
        .iter()
        .filter_map(Value::as_object)
        .flat_map(Map::keys)
        .map(String::as_str)
        .filter(|name| attribute.sub_attribute(name).is_none())
        .collect();
    names.iter().map(|name| format!("{at}.{name}")).collect()
}

fn find<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let mut members = members.iter();
    members.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
}

/// Returns the value of a singular attribute, or of a simple element.
pub(crate) fn single(
    attribute: &Attribute,
    value: &Value,
    at: &Location,
) -> Result<Option<Value>, ScimError> {
    if attribute.is_complex() {
        return Ok(
            match complex(attribute, value, NullMeaning::Unassign, at)? {
                Some(named) => object(named),
                None => None,
            },
        );
    }
    match value {
        Value::Array(elements) => match elements.as_slice() {
            [] => Ok(None),
            // Entra sends singular values as [{"value": ..}].
            [Value::Object(members)] => match only_value(members) {
                Some(inner) => scalar(attribute, inner, at),
                None => Err(wrong(attribute, value, at)),
            },
            // A list of one is read as its element.
            [one] => scalar(attribute, one, at),
            _ => Err(wrong(attribute, value, at)),
        },
        other => scalar(attribute, other, at),
    }
}

/// Returns the sub-attributes that the value of a singular complex attribute names; `None` if it is
/// unassigned as a whole. Text alone, or a list of one object, is accepted if the meaning is plain
/// (`manager`).
pub(crate) fn complex(
    attribute: &Attribute,
    value: &Value,
    nulls: NullMeaning,
    at: &Location,
) -> Result<Option<Vec<NamedValue>>, ScimError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::Object(members) => sub_values(attribute, members, nulls, at).map(Some),
        Value::Array(elements) => match elements.as_slice() {
            [] => Ok(None),
            [one] if !one.is_array() => complex(attribute, one, nulls, at),
            _ => Err(wrong(attribute, value, at)),
        },
        Value::String(_) | Value::Number(_) => {
            bare_value(attribute, value, at).map(|named| Some(vec![named]))
        }
        Value::Bool(_) => Err(wrong(attribute, value, at)),
    }
}

/// Returns the sub-attributes that an object names.
fn sub_values(
    attribute: &Attribute,
    members: &Map<String, Value>,
    nulls: NullMeaning,
    at: &Location,
) -> Result<Vec<NamedValue>, ScimError> {
    let mut named = named(&attribute.sub_attributes, members, nulls, at)?;
    for (sub, value) in &mut named {
        if let Some(value) = value {
            canonicalise(attribute, sub, value);
        }
    }
    Ok(named)
}

/// Brings the value of a sub-attribute to the canonical form of RFC 7643 section 4.1.2. Idempotent.
pub(crate) fn canonicalise(parent: &Attribute, sub: &Attribute, value: &mut Value) {
    let Value::String(text) = value else { return };
    match (parent.name.as_str(), sub.name.as_str()) {
        // RFC 5321 section 2.4: the domain ignores letter case, the part before it belongs to the
        // receiving host.
        ("emails", "value") => {
            if let Some((local, domain)) = text.rsplit_once('@')
                && domain.bytes().any(|b| b.is_ascii_uppercase())
            {
                *text = format!("{local}@{}", domain.to_ascii_lowercase());
            }
        }
        ("ims", "value") => {
            let canonical: String = text.split_whitespace().collect::<String>().to_lowercase();
            // A value of nothing but spaces must not become empty.
            if !canonical.is_empty() && *text != canonical {
                *text = canonical;
            }
        }
        _ => {}
    }
}

/// Returns the attributes that an object names, in the order of `attributes`. Names are matched
/// ignoring case; unknown ones and those that a client cannot set are left out.
pub(crate) fn named(
    attributes: &[Arc<Attribute>],
    members: &Map<String, Value>,
    nulls: NullMeaning,
    at: &Location,
) -> Result<Vec<NamedValue>, ScimError> {
    let mut slots: Vec<Option<NamedValue>> = vec![None; attributes.len()];
    for (name, value) in members {
        let mut known = attributes.iter().zip(&mut slots);
        let Some((attribute, slot)) = known.find(|(a, _)| a.name.eq_ignore_ascii_case(name)) else {
            continue;
        };
        let at = at.name(&attribute.name);
        if slot.is_some() {
            return Err(twice(&at));
        }
        if attribute.mutability == Mutability::ReadOnly
            || (nulls == NullMeaning::Skip && is_nothing(value))
        {
            continue;
        }
        *slot = Some((
            Arc::clone(attribute),
            self::attribute(attribute, value, &at)?,
        ));
    }
    Ok(slots.into_iter().flatten().collect())
}

/// Rejects JSON of an unknown shape that could not be stored: with U+0000 anywhere inside, in names
/// too, which not every database can hold, or nested so deep that a parser of the stored text would
/// give up.
pub(crate) fn storable(value: &Value, at: &Location) -> Result<(), ScimError> {
    fn walk(value: &Value, at: &Location, levels: usize) -> Result<(), ScimError> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(ScimError::invalid_value(format!(
                "{at} is nested deeper than {MAX_LEVELS} levels"
            )));
        };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
            Value::String(text) => no_nul(text, at),
            Value::Array(elements) => elements
                .iter()
                .try_for_each(|value| walk(value, at, levels)),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                no_nul(name, at)?;
                walk(value, at, levels)
            }),
        }
    }
    walk(value, at, MAX_LEVELS)
}

const MAX_LEVELS: usize = 50;

/// Returns whether the value is null or `[]`: the ways to write nothing that cannot be a slip for
/// an empty text.
pub(crate) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

/// Returns whether the value is null, `[]` or `""`.
pub(crate) fn is_empty(value: &Value) -> bool {
    is_nothing(value) || value.as_str() == Some("")
}

pub(crate) fn is_primary(element: &Value) -> bool {
    matches!(element.get("primary"), Some(Value::Bool(true)))
}

pub(crate) fn two_primaries(at: &Location) -> ScimError {
    ScimError::invalid_value(format!(
        "{at} marks more than one value as primary; only one can be"
    ))
}

pub(crate) fn twice(at: &Location) -> ScimError {
    ScimError::invalid_syntax(format!(
        "{at} is given twice; names that differ only in letter case are one name"
    ))
}

/// Keeps the first of equal elements, and of those with one `value` and one `type` the first with
/// what only the others say (RFC 7643 section 2.4: no pair should occur twice).
pub(crate) fn dedupe(attribute: &Attribute, elements: &mut Vec<Value>) {
    if elements.len() < 2 {
        return;
    }
    let first_equals = first_equals(attribute, elements);
    if first_equals.iter().copied().eq(0..elements.len()) {
        return;
    }
    let mut kept: Vec<Option<Value>> = elements.drain(..).map(Some).collect();
    let mut joined = BTreeSet::new();
    for (index, first_equal) in first_equals.into_iter().enumerate() {
        if index == first_equal {
            continue;
        }
        let twin = kept.get_mut(index).and_then(Option::take);
        if let (Some(Some(Value::Object(first))), Some(Value::Object(twin))) =
            (kept.get_mut(first_equal), twin)
        {
            join(first, twin);
            joined.insert(first_equal);
        }
    }
    for first_equal in joined {
        if let Some(Some(Value::Object(members))) = kept.get_mut(first_equal) {
            dedupe_lists(attribute, members);
            arrange_complex(attribute, members);
        }
    }
    elements.extend(kept.into_iter().flatten());
}

/// Returns for each element the index of the first that is the same.
fn first_equals(attribute: &Attribute, elements: &[Value]) -> Vec<usize> {
    let mut seen = HashMap::with_capacity(elements.len());
    let mut pairs = HashMap::with_capacity(elements.len());
    let first_equal = |(index, element)| {
        let first_equal = *seen
            .entry(Comparable::of(attribute, element))
            .or_insert(index);
        match pair(attribute, element) {
            Some(pair) => *pairs.entry(pair).or_insert(first_equal),
            None => first_equal,
        }
    };
    elements.iter().enumerate().map(first_equal).collect()
}

/// Adds to the first of two elements the members that only the second has. Its lists may then hold
/// equal values.
fn join(first: &mut Map<String, Value>, twin: Map<String, Value>) {
    for (name, value) in twin {
        match (name.as_str(), value, first.get_mut(&name)) {
            ("primary", Value::Bool(true), _) => {
                first.insert(name, Value::Bool(true));
            }
            ("primary", ..) => {}
            (_, Value::Array(new), Some(Value::Array(list))) => list.extend(new),
            (_, _, Some(_)) => {}
            (_, value, None) => {
                first.insert(name, value);
            }
        }
    }
}

/// Keeps the first of equal values in each list of an element.
fn dedupe_lists(attribute: &Attribute, element: &mut Map<String, Value>) {
    for sub in &attribute.sub_attributes {
        if let Some(Value::Array(list)) = element.get_mut(&sub.name) {
            dedupe(sub, list);
        }
    }
}

/// Appends the values that are not there yet.
pub(crate) fn extend(attribute: &Attribute, elements: &mut Vec<Value>, new: &[Value]) {
    let fresh: Vec<Value> = {
        let mut known: HashSet<Comparable> = elements
            .iter()
            .map(|value| Comparable::of(attribute, value))
            .collect();
        new.iter()
            .filter(|value| known.insert(Comparable::of(attribute, value)))
            .cloned()
            .collect()
    };
    elements.extend(fresh);
}

/// Returns the password of a request, prepared by RFC 8265, or unchanged if that would reject it: a
/// tolerant tenant loses no user over a password.
pub(crate) fn into_password(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(name::opaque(&text).unwrap_or(text)),
        _ => None,
    }
}

pub(crate) fn set_once(at: &Location) -> ScimError {
    ScimError::mutability(format!("{at} is immutable: once set it cannot be changed"))
}

fn object(named: Vec<NamedValue>) -> Option<Value> {
    let members: Map<String, Value> = named
        .into_iter()
        .filter_map(|(attribute, value)| value.map(|value| (attribute.name.clone(), value)))
        .collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// Returns the `value` of an object that has no other member. Clients of Microsoft's library send
/// `{"$ref": null, "value": ..}` for single values.
fn only_value(members: &Map<String, Value>) -> Option<&Value> {
    let is_value = |name: &str| name.eq_ignore_ascii_case("value");
    let says_more = |(name, value): (&String, &Value)| !is_value(name) && !value.is_null();
    match members.iter().any(says_more) {
        true => None,
        false => find(members, "value"),
    }
}
