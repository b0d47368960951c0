//! Adds to, replaces and removes from JSON values that no schema describes, as far as the values
//! themselves show what is a list.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::ScimError;
use crate::coerce::is_nothing;
use crate::document::into_object;
use crate::equality::{Comparable, ListedValues};
use crate::patch::operation::Op;

/// An action on a value.
#[derive(Clone, Copy)]
pub(super) enum MemberEditKind<'a> {
    Put(Op, &'a Value),
    /// All of it, or what is listed.
    Remove(Option<&'a Value>),
}

/// Applies the change to a member by its name, or with a dot to a member of that member.
///
/// # Errors
/// `invalidPath` if the member has no members to change.
pub(super) fn apply_at(
    members: &mut Map<String, Value>,
    path: &str,
    change: MemberEditKind,
) -> Result<(), ScimError> {
    let (name, sub) = split_name(members, path);
    match (sub, change) {
        (None, MemberEditKind::Put(op, value)) => {
            if put(op, members, &name, value)? {
                members.shift_remove(&name);
            }
        }
        (None, MemberEditKind::Remove(None)) => {
            members.shift_remove(&name);
        }
        (None, MemberEditKind::Remove(Some(listed))) => {
            let is_gone = match members.get_mut(&name) {
                None => false,
                // Of a single value there is nothing to list: `""` is what clients send that always
                // send a value.
                Some(Value::String(_) | Value::Bool(_) | Value::Number(_)) if is_blank(listed) => {
                    true
                }
                Some(value) => remove_listed(value, listed),
            };
            if is_gone {
                members.shift_remove(&name);
            }
        }
        (Some(sub), change) => apply_inside(members, name, &sub, change)?,
    }
    Ok(())
}

/// Applies the change to a member of the member with this name, of each of its elements if it is a
/// list. A value that has no members is left unchanged.
///
/// # Errors
/// `invalidPath` if the member has no members to change.
fn apply_inside(
    members: &mut Map<String, Value>,
    name: String,
    sub: &str,
    change: MemberEditKind,
) -> Result<(), ScimError> {
    let is_gone = match (members.get_mut(&name), change) {
        (Some(Value::Object(inner)), change) => {
            apply_at(inner, sub, change)?;
            inner.is_empty()
        }
        (Some(Value::Array(_)), MemberEditKind::Put(Op::Add, _)) => {
            return Err(many_values(&name, sub));
        }
        (Some(Value::Array(elements)), change) => {
            apply_to_each(elements, &name, sub, change)?;
            elements.is_empty()
        }
        (Some(Value::Null) | None, MemberEditKind::Put(..)) => {
            let mut inner = Map::new();
            apply_at(&mut inner, sub, change)?;
            if !inner.is_empty() {
                members.insert(name, Value::Object(inner));
            }
            return Ok(());
        }
        (Some(_), MemberEditKind::Put(_, value)) if !is_nothing(value) => {
            return Err(single_value(&name, sub));
        }
        (Some(_), MemberEditKind::Put(..)) | (_, MemberEditKind::Remove(_)) => false,
    };
    if is_gone {
        members.shift_remove(&name);
    }
    Ok(())
}

/// Changes one member of each element of a list: what `emails.type` without a filter means.
fn apply_to_each(
    elements: &mut Vec<Value>,
    name: &str,
    sub: &str,
    change: MemberEditKind,
) -> Result<(), ScimError> {
    if matches!(change, MemberEditKind::Put(..)) && !elements.iter().any(Value::is_object) {
        return Err(single_value(name, sub));
    }
    let mut outcome = Ok(());
    elements.retain_mut(|element| match (element.as_object_mut(), change) {
        (Some(members), change) => {
            keep_first_error(&mut outcome, apply_at(members, sub, change));
            !members.is_empty()
        }
        // An element that is no object has no member but its own `value`.
        (None, MemberEditKind::Remove(listed)) if sub.eq_ignore_ascii_case("value") => {
            listed.is_none_or(|listed| !ListedValues::undeclared(as_list(listed)).has(element))
        }
        (None, _) => true,
    });
    keep_distinct(elements);
    outcome
}

pub(super) fn many_values(name: &str, sub: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{name} has many values: say which one, as in {name}[type eq \"work\"].{sub}"
    ))
}

pub(super) fn single_value(name: &str, sub: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{name} is a single value here and has no {sub}; \
         replace {name} as a whole, or correct the attribute mapping"
    ))
}

/// Records the first error.
fn keep_first_error(outcome: &mut Result<(), ScimError>, next: Result<(), ScimError>) {
    if outcome.is_ok() {
        *outcome = next;
    }
}

/// Sets an object under the name; an empty one unassigns it, but removes no value that is not an
/// object.
pub(super) fn set_object(
    members: &mut Map<String, Value>,
    name: String,
    inner: Map<String, Value>,
) {
    if !inner.is_empty() {
        members.insert(name, Value::Object(inner));
    } else if members.get(&name).is_some_and(Value::is_object) {
        members.shift_remove(&name);
    }
}

/// Splits a path into the name as the object spells it and the part after the dot. A member whose
/// own name has a dot wins.
pub(super) fn split_name(members: &Map<String, Value>, path: &str) -> (String, Option<String>) {
    split(path, |name| spelled(members, name).map(str::to_owned))
}

fn split(path: &str, spelled: impl Fn(&str) -> Option<String>) -> (String, Option<String>) {
    if let Some(name) = spelled(path) {
        return (name, None);
    }
    let (name, sub) = match path.split_once('.') {
        Some((name, sub)) => (name, Some(sub.to_owned())),
        None => (path, None),
    };
    (spelled(name).unwrap_or_else(|| name.to_owned()), sub)
}

pub(super) fn merge(
    op: Op,
    before: &mut Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<(), ScimError> {
    let mut names = MemberNames::of(before);
    let mut parts: Map<String, Value> = Map::new();
    let mut gone = HashSet::new();
    for (path, value) in new {
        match names.split(path) {
            (name, None) => {
                if put(op, before, &name, value)? {
                    gone.insert(name);
                } else {
                    names.add(&name);
                }
            }
            (name, Some(sub)) => {
                names.add(&name);
                if let Value::Object(part) = parts
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()))
                {
                    part.insert(sub, value.clone());
                }
            }
        }
    }
    if !gone.is_empty() {
        before.retain(|name, _| !gone.contains(name));
    }
    for (name, part) in parts {
        merge_into(op, before, name, &into_object(Some(part)))?;
    }
    Ok(())
}

/// Merges into a member, which has to be an object.
///
/// # Errors
/// `invalidPath` for a member that is a list or a simple value: it would be lost.
fn merge_into(
    op: Op,
    members: &mut Map<String, Value>,
    name: String,
    new: &Map<String, Value>,
) -> Result<(), ScimError> {
    let sub = new.keys().next().map_or("", String::as_str);
    let is_gone = match members.get_mut(&name) {
        Some(Value::Object(inner)) => {
            merge(op, inner, new)?;
            inner.is_empty()
        }
        Some(_) if new.values().all(is_nothing) => false,
        Some(Value::Array(_)) => return Err(many_values(&name, sub)),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            return Err(single_value(&name, sub));
        }
        Some(Value::Null) | None => {
            let mut inner = Map::new();
            merge(op, &mut inner, new)?;
            if !inner.is_empty() {
                members.insert(name, Value::Object(inner));
            }
            return Ok(());
        }
    };
    if is_gone {
        members.shift_remove(&name);
    }
    Ok(())
}

/// The names of an object's members by their lower case, since an object may have very many.
struct MemberNames(HashMap<String, String>);

impl MemberNames {
    fn of(members: &Map<String, Value>) -> Self {
        let mut names = Self(HashMap::with_capacity(members.len()));
        members.keys().for_each(|name| names.add(name));
        names
    }

    fn add(&mut self, name: &str) {
        self.0
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| name.to_owned());
    }

    fn spelled(&self, name: &str) -> Option<String> {
        self.0.get(&name.to_ascii_lowercase()).cloned()
    }

    /// As [`split_name`].
    fn split(&self, path: &str) -> (String, Option<String>) {
        split(path, |name| self.spelled(name))
    }
}

/// Adds or replaces by the rules for declared attributes, as far as the JSON itself shows what it
/// is: objects merge, lists are added to or replaced, null and `[]` unassign under `replace`.
/// Returns whether the member is to be removed.
fn put(
    op: Op,
    members: &mut Map<String, Value>,
    name: &str,
    value: &Value,
) -> Result<bool, ScimError> {
    if is_nothing(value) {
        return Ok(op == Op::Replace);
    }
    match (members.get_mut(name), value) {
        (Some(Value::Object(before)), Value::Object(new)) => merge(op, before, new)?,
        (Some(Value::Array(before)), new) if op == Op::Add => {
            let new = like(before, as_list(new));
            before.extend(new);
            keep_distinct(before);
        }
        // A list is added to what was the only value.
        (Some(before), Value::Array(new)) if op == Op::Add => {
            let mut elements = vec![before.take()];
            elements.extend(new.iter().cloned());
            keep_distinct(&mut elements);
            *before = Value::Array(elements);
        }
        (Some(before), new) => *before = distinct(new),
        (None, new) => {
            members.insert(name.to_owned(), distinct(new));
        }
    }
    Ok(false)
}

/// Returns the values in the shape of the elements that they are added to: `{"value": ..}` alone
/// becomes its text among texts, and a text becomes `{"value": ..}` among such objects.
fn like(elements: &[Value], new: &[Value]) -> Vec<Value> {
    let is_simple = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let has_value = |element: &Value| element.get("value").is_some_and(is_simple);
    let are_simple = !elements.is_empty() && elements.iter().all(is_simple);
    let have_values = !elements.is_empty() && elements.iter().all(has_value);
    let shaped = |new: &Value| match new {
        Value::Object(members) if members.len() == 1 && are_simple => {
            let inner = members.get("value").filter(|inner| is_simple(inner));
            inner.unwrap_or(new).clone()
        }
        simple if is_simple(simple) && have_values => {
            Value::Object(Map::from_iter([("value".to_owned(), simple.clone())]))
        }
        other => other.clone(),
    };
    new.iter().map(shaped).collect()
}

/// Returns the value as it is stored: equal elements of a list once.
fn distinct(value: &Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.iter().map(distinct).collect();
            keep_distinct(&mut elements);
            Value::Array(elements)
        }
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), distinct(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Removes from an object the members that are listed, as far as they have the values that are
/// listed.
pub(super) fn remove_listed_members(members: &mut Map<String, Value>, listed: &Map<String, Value>) {
    let names = MemberNames::of(members);
    let mut gone = HashSet::new();
    let mut parts: HashMap<String, Map<String, Value>> = HashMap::new();
    for (path, listed) in listed {
        match names.split(path) {
            (name, None) => {
                if members
                    .get_mut(&name)
                    .is_some_and(|value| remove_listed(value, listed))
                {
                    gone.insert(name);
                }
            }
            (name, Some(sub)) => {
                parts.entry(name).or_default().insert(sub, listed.clone());
            }
        }
    }
    for (name, part) in parts {
        if let Some(Value::Object(inner)) = members.get_mut(&name) {
            remove_listed_members(inner, &part);
            if inner.is_empty() {
                gone.insert(name);
            }
        }
    }
    if !gone.is_empty() {
        members.retain(|name, _| !gone.contains(name));
    }
}

/// Removes from a value what is listed; returns whether nothing is left of it.
fn remove_listed(value: &mut Value, listed: &Value) -> bool {
    match (value, listed) {
        (Value::Array(elements), listed) => {
            let listed = ListedValues::undeclared(as_list(listed));
            elements.retain(|element| !listed.has(element));
            elements.is_empty()
        }
        (Value::Object(members), Value::Object(listed)) => {
            remove_listed_members(members, listed);
            members.is_empty()
        }
        // One object whose parts are listed in a list of one, or one of the listed objects.
        (Value::Object(members), Value::Array(listed)) => {
            for listed in listed.iter().filter_map(Value::as_object) {
                remove_listed_members(members, listed);
            }
            members.is_empty()
        }
        (value, listed) => ListedValues::undeclared(as_list(listed)).has(value),
    }
}

pub(super) fn as_list(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        other => std::slice::from_ref(other),
    }
}

pub(super) fn names_only_lists(listed: &Map<String, Value>) -> bool {
    !listed.is_empty() && listed.values().all(Value::is_array)
}

pub(super) fn is_blank(value: &Value) -> bool {
    value.as_str() == Some("")
}

/// Keeps the first of equal elements.
pub(super) fn keep_distinct(elements: &mut Vec<Value>) {
    let first: Vec<bool> = {
        let mut seen = HashSet::with_capacity(elements.len());
        let mut is_first = |element| seen.insert(Comparable::undeclared(element));
        elements.iter().map(&mut is_first).collect()
    };
    let mut first = first.into_iter();
    elements.retain(|_| first.next().unwrap_or(true));
}

/// Returns the name as the object spells it.
pub(super) fn spelled<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    match members.get_key_value(name) {
        Some((name, _)) => Some(name),
        None => members
            .keys()
            .find(|key| key.eq_ignore_ascii_case(name))
            .map(String::as_str),
    }
}
