//! Edits on the values of one document.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Change, Edit, OnMiss, Patched, Step};
use crate::scim::admit::coerce::{self, Named, Place, Same, is_primary, pair};
use crate::scim::admit::set_once;
use crate::scim::document::{arrange_complex, into_object};
use crate::scim::eval::element_matches;
use crate::scim::registry::AttrRef;
use crate::scim::schema::{Attribute, Mutability};
use crate::scim::{Document, Filter, ScimError};

impl Edit {
    pub(super) fn apply(&self, patched: &mut Patched) -> Result<(), ScimError> {
        match self {
            Self::CheckId(id) => match patched.document.id() {
                Some(own) if own != id => Err(super::refuse::read_only("id")),
                _ => Ok(()),
            },
            Self::Password(password) => {
                patched.password = Some(password.clone());
                Ok(())
            }
            Self::Clear(urn) => {
                patched.document.0.shift_remove(urn);
                Ok(())
            }
            Self::Attribute { path, change } => {
                let name = &path.attribute.name;
                let container = path.container.as_deref();
                patched
                    .document
                    .change(container, name, |before| change.apply(path, before))
            }
            Self::Unknown(edit) => edit.apply(&mut patched.document),
        }
    }

    /// How many values the edit had to look at.
    pub(super) fn steps(&self, document: &Document) -> usize {
        match self {
            Self::Attribute { path, .. } => document
                .container(path.container.as_deref())
                .and_then(|attributes| attributes.get(&path.attribute.name))
                .and_then(Value::as_array)
                .map_or(1, Vec::len),
            Self::CheckId(_) | Self::Password(_) | Self::Clear(_) | Self::Unknown(_) => 1,
        }
    }
}

impl Change {
    /// The attribute's value after the change; `None` is unassigned.
    fn apply(&self, path: &AttrRef, before: Option<Value>) -> Result<Option<Value>, ScimError> {
        let attribute = &path.attribute;
        let at = Place::root(path.key());
        if attribute.mutability == Mutability::Immutable
            && let Some(before) = before
        {
            let after = self.apply_freely(path, Some(before.clone()), &at)?;
            return match after.as_ref() == Some(&before) {
                true => Ok(after),
                false => Err(set_once(&at)),
            };
        }
        self.apply_freely(path, before, &at)
    }

    fn apply_freely(
        &self,
        path: &AttrRef,
        before: Option<Value>,
        at: &Place,
    ) -> Result<Option<Value>, ScimError> {
        let attribute = &path.attribute;
        let elements = match self {
            Self::Unassign => return Ok(None),
            Self::Set(value) => return Ok(Some(value.clone())),
            Self::Merge(named) => {
                let mut members = into_object(before);
                merge(attribute, &mut members, named, at)?;
                return Ok((!members.is_empty()).then_some(Value::Object(members)));
            }
            Self::Elements(elements) => elements.clone(),
            Self::Append(new) => {
                let mut elements = into_elements(before);
                append(attribute, &mut elements, new, at)?;
                elements
            }
            Self::RemoveListed(listed) => {
                let mut elements = into_elements(before);
                remove_listed(&mut elements, listed);
                elements
            }
            Self::Each(sub, value) => {
                let mut elements = into_elements(before);
                if elements.is_empty() && value.is_some() {
                    return Err(no_match(at));
                }
                let all = vec![true; elements.len()];
                let named = [(std::sync::Arc::clone(sub), value.clone())];
                merge_each(attribute, &mut elements, &all, &named, at)?;
                elements
            }
            Self::Where {
                filter,
                step,
                on_miss,
            } => {
                let mut elements = into_elements(before);
                let matched = matches(filter, path, &elements);
                if matched.contains(&true) {
                    apply_step(attribute, &mut elements, &matched, step, at)?;
                } else {
                    apply_miss(attribute, &mut elements, on_miss, at)?;
                }
                elements
            }
        };
        Ok((!elements.is_empty()).then_some(Value::Array(elements)))
    }
}

fn matches(filter: &Filter, path: &AttrRef, elements: &[Value]) -> Vec<bool> {
    let matches = |element| element_matches(filter, path, element);
    elements.iter().map(matches).collect()
}

fn apply_step(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    matched: &[bool],
    step: &Step,
    at: &Place,
) -> Result<(), ScimError> {
    match step {
        Step::Remove => retain(elements, matched, false),
        Step::Merge(named) => merge_each(attribute, elements, matched, named, at)?,
        Step::Replace(value) => {
            for (element, _) in elements.iter_mut().zip(matched).filter(|(_, hit)| **hit) {
                check_immutable(attribute, element, value, at)?;
                *element = value.clone();
            }
            // All that the filter found are now one and the same value.
            coerce::dedupe(attribute, elements);
            if is_primary(value) {
                let pair = pair(value);
                let is_it = |element: &Value| match pair {
                    Some(_) => coerce::pair(element) == pair,
                    None => Same(element) == Same(value),
                };
                let keep = elements.iter().position(is_it);
                demote(elements, keep);
            }
        }
    }
    Ok(())
}

fn apply_miss(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    on_miss: &OnMiss,
    at: &Place,
) -> Result<(), ScimError> {
    match on_miss {
        OnMiss::Ignore => Ok(()),
        // RFC 7644 section 3.5.2.3: no match on replace is noTarget.
        OnMiss::Refuse => Err(no_match(at)),
        OnMiss::Create(element) => append(attribute, elements, std::slice::from_ref(element), at),
    }
}

fn no_match(at: &Place) -> ScimError {
    ScimError::no_target(format!("no value of {at} is what the path asks for"))
}

/// Appends what is not there yet. An element with the `value` and `type` of one that is there adds to that one
/// (RFC 7643 section 2.4: the same pair should not stand twice).
fn append(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    new: &[Value],
    at: &Place,
) -> Result<(), ScimError> {
    enum Spot {
        Known,
        Beside(usize),
        New,
    }
    let spots: Vec<Spot> = {
        let known: HashSet<Same> = elements.iter().map(Same).collect();
        let mut pairs = HashMap::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            if let Some(pair) = pair(element) {
                pairs.entry(pair).or_insert(index);
            }
        }
        let spot = |element: &Value| match pair(element).and_then(|pair| pairs.get(&pair)) {
            _ if known.contains(&Same(element)) => Spot::Known,
            Some(index) => Spot::Beside(*index),
            None => Spot::New,
        };
        new.iter().map(spot).collect()
    };
    let mut primary = None;
    for (value, spot) in new.iter().zip(spots) {
        let index = match spot {
            Spot::Known => continue,
            Spot::New => {
                elements.push(value.clone());
                elements.len().saturating_sub(1)
            }
            Spot::Beside(index) => {
                if let (Some(Value::Object(members)), Value::Object(value)) =
                    (elements.get_mut(index), value)
                {
                    let named: Vec<Named> = attribute
                        .sub_attributes
                        .iter()
                        .filter_map(|sub| {
                            let value = value.get(&sub.name)?;
                            Some((std::sync::Arc::clone(sub), Some(value.clone())))
                        })
                        .collect();
                    merge(attribute, members, &named, at)?;
                }
                index
            }
        };
        if is_primary(value) {
            primary = Some(index);
        }
    }
    if primary.is_some() {
        demote(elements, primary);
    }
    coerce::dedupe(attribute, elements);
    Ok(())
}

/// Removes the elements that hold all that one of `listed` holds.
fn remove_listed(elements: &mut Vec<Value>, listed: &[Value]) {
    if listed.is_empty() {
        return;
    }
    let simple: HashSet<Same> = listed.iter().map(Same).collect();
    let mut by_value: HashMap<&str, Vec<&Map<String, Value>>> = HashMap::new();
    let mut others: Vec<&Map<String, Value>> = Vec::new();
    for listed in listed.iter().filter_map(Value::as_object) {
        match listed.get("value").and_then(Value::as_str) {
            Some(value) => by_value.entry(value).or_default().push(listed),
            None => others.push(listed),
        }
    }
    let is_listed = |element: &Value| {
        let value = element.get("value").and_then(Value::as_str);
        let same_value = value.and_then(|value| by_value.get(value));
        let mut candidates = same_value.into_iter().flatten().chain(&others);
        let holds = |listed: &Map<String, Value>| {
            let mut parts = listed.iter();
            parts.all(|(name, value)| element.get(name) == Some(value))
        };
        simple.contains(&Same(element)) || candidates.any(|listed| holds(listed))
    };
    let matched: Vec<bool> = elements.iter().map(is_listed).collect();
    retain(elements, &matched, false);
}

/// Merges into each matched element; one that nothing is left of is dropped.
fn merge_each(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    matched: &[bool],
    named: &[Named],
    at: &Place,
) -> Result<(), ScimError> {
    let mut count = 0_usize;
    let mut last = None;
    for (index, element) in elements.iter_mut().enumerate() {
        if matched.get(index) != Some(&true) {
            continue;
        }
        count = count.saturating_add(1);
        last = Some(index);
        if let Value::Object(members) = element {
            merge(attribute, members, named, at)?;
        }
    }
    let makes_primary = named
        .iter()
        .any(|(sub, value)| sub.name == "primary" && *value == Some(Value::Bool(true)));
    if makes_primary {
        if count > 1 {
            return Err(coerce::two_primaries(at));
        }
        // RFC 7644 section 3.5.2: the new primary takes the mark from the old one.
        demote(elements, last);
    }
    elements.retain(|element| {
        element
            .as_object()
            .is_none_or(|members| !members.is_empty())
    });
    coerce::dedupe(attribute, elements);
    Ok(())
}

/// Sets and unassigns the named sub-attributes of one complex value and leaves the others.
fn merge(
    attribute: &Attribute,
    members: &mut Map<String, Value>,
    named: &[Named],
    at: &Place,
) -> Result<(), ScimError> {
    let is_named = |name: &str| named.iter().any(|(sub, _)| sub.name == name);
    for (sub, value) in named {
        let before = members.get(&sub.name);
        if before == value.as_ref() {
            continue;
        }
        if sub.mutability == Mutability::Immutable && before.is_some() {
            return Err(set_once(&at.name(&sub.name)));
        }
        if sub.name == "value" && !is_named("$ref") {
            // The URI of another resource than the one that `value` names now.
            members.shift_remove("$ref");
        }
        match value {
            Some(value) => {
                members.insert(sub.name.clone(), value.clone());
            }
            None => {
                members.shift_remove(&sub.name);
            }
        }
    }
    arrange_complex(attribute, members);
    Ok(())
}

fn check_immutable(
    attribute: &Attribute,
    before: &Value,
    after: &Value,
    at: &Place,
) -> Result<(), ScimError> {
    let subs = attribute.sub_attributes.iter();
    for sub in subs.filter(|sub| sub.mutability == Mutability::Immutable) {
        let before = before.get(&sub.name);
        if before.is_some() && before != after.get(&sub.name) {
            return Err(set_once(&at.name(&sub.name)));
        }
    }
    Ok(())
}

/// Takes the mark `primary` from all elements but one.
fn demote(elements: &mut [Value], keep: Option<usize>) {
    for (index, element) in elements.iter_mut().enumerate() {
        if Some(index) != keep
            && is_primary(element)
            && let Some(primary) = element.get_mut("primary")
        {
            *primary = Value::Bool(false);
        }
    }
}

fn retain(elements: &mut Vec<Value>, matched: &[bool], keep: bool) {
    let mut matched = matched.iter();
    elements.retain(|_| matched.next().is_none_or(|hit| *hit == keep));
}

fn into_elements(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(elements)) => elements,
        None | Some(Value::Null) => Vec::new(),
        Some(other) => vec![other],
    }
}
