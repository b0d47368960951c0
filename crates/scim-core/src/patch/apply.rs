//! Edits on the values of one document.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cost::{copied, values};
use super::edit::{Edit, ElementEdit, ElementSelection, OnMiss, PasswordEdit, SubEdit, ValueEdit};
use crate::coerce;
use crate::coerce::{Location, is_primary, set_once};
use crate::document::{arrange_complex, into_object};
use crate::equality::{Comparable, ListedValues, pair};
use crate::eval::element_matches;
use crate::schema::{Attribute, Mutability};
use crate::{Document, ScimError};

/// A document after a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// The document after all edits.
    pub document: Document,
    /// The change of the password.
    pub password: PasswordEdit,
    /// As [`Patch::ignored`](super::Patch::ignored), for names that only the document shows to be
    /// unknown.
    pub ignored: Vec<String>,
}

impl Patched {
    pub(super) fn of(document: Document) -> Self {
        Self {
            document,
            password: PasswordEdit::Keep,
            ignored: Vec::new(),
        }
    }
}

impl Edit {
    pub(super) fn apply(&self, patched: &mut Patched) -> Result<(), ScimError> {
        match self {
            Self::CheckId(id) => match patched.document.id() {
                Some(own) if own != id => Err(super::refuse::read_only("id")),
                _ => Ok(()),
            },
            Self::Password(password) => {
                patched.password = password.clone();
                Ok(())
            }
            Self::Clear(urn) => {
                patched.document.0.shift_remove(urn);
                Ok(())
            }
            Self::Attribute { path, change } => {
                let attribute = &path.attribute;
                let at = Location::root(path.key());
                let container = path.container.as_deref();
                patched
                    .document
                    .change(container, &attribute.name, |before| {
                        change.apply(attribute, before, &at)
                    })
            }
            Self::Undeclared(edit) => {
                if !edit.apply(&mut patched.document)? {
                    patched.ignored.push(edit.name().to_owned());
                }
                Ok(())
            }
        }
    }

    /// Returns the number of values that the edit has to visit.
    pub(super) fn steps(&self, document: &Document) -> usize {
        match self {
            Self::Attribute { path, change } => {
                let value = document
                    .container(path.container.as_deref())
                    .and_then(|attributes| attributes.get(&path.attribute.name));
                let each = change
                    .depth(&path.attribute)
                    .saturating_add(change.copied());
                values(value).saturating_mul(each.saturating_add(1))
            }
            Self::Undeclared(edit) => edit.steps(document),
            Self::CheckId(_) | Self::Password(_) | Self::Clear(_) => 1,
        }
    }
}

impl ValueEdit {
    /// The value of the attribute after the change; `None` is unassigned.
    fn apply(
        &self,
        attribute: &Attribute,
        before: Option<Value>,
        at: &Location,
    ) -> Result<Option<Value>, ScimError> {
        if attribute.mutability == Mutability::Immutable
            && let Some(before) = before
        {
            let after = self.apply_freely(attribute, Some(before.clone()), at)?;
            return match after.as_ref() == Some(&before) {
                true => Ok(after),
                false => Err(set_once(at)),
            };
        }
        self.apply_freely(attribute, before, at)
    }

    fn apply_freely(
        &self,
        attribute: &Attribute,
        before: Option<Value>,
        at: &Location,
    ) -> Result<Option<Value>, ScimError> {
        let elements = match self {
            Self::Unassign => return Ok(None),
            Self::UnassignEqual(value) => {
                let differs = |own: &Value| {
                    Comparable::of(attribute, own) != Comparable::of(attribute, value)
                };
                return Ok(before.filter(differs));
            }
            Self::Set(value) => return Ok(Some(value.clone())),
            Self::Merge(parts) => {
                let mut members = into_object(before);
                merge(attribute, &mut members, parts, at)?;
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
                let hits = vec![true; elements.len()];
                remove_listed(attribute, &mut elements, &hits, listed);
                elements
            }
            Self::Each(part) => {
                let mut elements = into_elements(before);
                each(attribute, &mut elements, part, at)?;
                elements
            }
            Self::Where(selection) => {
                let mut elements = into_elements(before);
                selection.apply(attribute, &mut elements, at)?;
                elements
            }
        };
        Ok((!elements.is_empty()).then_some(Value::Array(elements)))
    }

    /// Returns how much else each value may have to be compared with: listed objects, or the further
    /// terms of a filter.
    fn depth(&self, attribute: &Attribute) -> usize {
        match self {
            Self::RemoveListed(listed) => ListedValues::of(attribute, listed).depth(),
            Self::Merge(parts) => parts.iter().map(|(sub, change)| change.depth(sub)).sum(),
            Self::Each(part) => part.1.depth(&part.0),
            Self::Where(selection) => {
                let depth = match &selection.step {
                    ElementEdit::RemoveListed(listed) => {
                        ListedValues::of(attribute, listed).depth()
                    }
                    ElementEdit::Merge(parts) => {
                        parts.iter().map(|(sub, change)| change.depth(sub)).sum()
                    }
                    ElementEdit::Remove | ElementEdit::Replace(_) | ElementEdit::Append(_) => 0,
                };
                // One comparison is the visit itself.
                depth.saturating_add(selection.filter.comparisons().saturating_sub(1))
            }
            Self::Unassign
            | Self::UnassignEqual(_)
            | Self::Set(_)
            | Self::Append(_)
            | Self::Elements(_) => 0,
        }
    }

    /// Returns the cost of copying the values of the change into each element.
    fn copied(&self) -> usize {
        let of_parts = |parts: &[SubEdit]| -> usize {
            let values = parts.iter().filter_map(|(_, change)| change.value());
            values.map(|value| copied(&value)).sum()
        };
        match self {
            Self::Each(part) => of_parts(std::slice::from_ref(part)),
            Self::Where(selection) => match &selection.step {
                ElementEdit::Merge(parts) => of_parts(parts),
                ElementEdit::Replace(value) => copied(value),
                ElementEdit::Remove | ElementEdit::RemoveListed(_) | ElementEdit::Append(_) => 0,
            },
            _ => 0,
        }
    }

    /// Returns whether the change needs an existing value.
    fn needs_target(&self) -> bool {
        match self {
            Self::Set(_) | Self::Append(_) | Self::Elements(_) => true,
            Self::Where(selection) => !matches!(selection.on_miss, OnMiss::Ignore),
            Self::Unassign
            | Self::UnassignEqual(_)
            | Self::Merge(_)
            | Self::RemoveListed(_)
            | Self::Each(_) => false,
        }
    }
}

impl ElementSelection {
    fn apply(
        &self,
        attribute: &Attribute,
        elements: &mut Vec<Value>,
        at: &Location,
    ) -> Result<(), ScimError> {
        let matched = self.matches(elements);
        if matched.contains(&true) {
            return apply_step(attribute, elements, &matched, &self.step, at);
        }
        match &self.on_miss {
            OnMiss::Ignore => Ok(()),
            // RFC 7644 section 3.5.2.3: no match on replace is noTarget.
            OnMiss::Refuse => Err(no_match(at)),
            OnMiss::Create(element) => {
                append(attribute, elements, std::slice::from_ref(element), at)
            }
        }
    }

    fn matches(&self, elements: &[Value]) -> Vec<bool> {
        let matches = |element| element_matches(&self.filter, &self.path, element);
        elements.iter().map(matches).collect()
    }
}

/// Changes one sub-attribute of each element.
fn each(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    part: &SubEdit,
    at: &Location,
) -> Result<(), ScimError> {
    let (sub, change) = part;
    let mut all = vec![true; elements.len()];
    if let ValueEdit::Where(selection) = change {
        // Selects the elements whose list has such a value; an element without one is no error.
        for (hit, element) in all.iter_mut().zip(elements.iter()) {
            let list = element.get(&sub.name).and_then(Value::as_array);
            *hit = list.is_some_and(|list| selection.matches(list).contains(&true));
        }
    }
    if !all.contains(&true) {
        return match change.needs_target() {
            true => Err(no_match(at)),
            false => Ok(()),
        };
    }
    let parts = std::slice::from_ref(part);
    merge_each(attribute, elements, &all, parts, at)
}

fn apply_step(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    matched: &[bool],
    step: &ElementEdit,
    at: &Location,
) -> Result<(), ScimError> {
    match step {
        ElementEdit::Remove => retain(elements, matched, false),
        ElementEdit::RemoveListed(listed) => remove_listed(attribute, elements, matched, listed),
        ElementEdit::Merge(parts) => merge_each(attribute, elements, matched, parts, at)?,
        ElementEdit::Append(value) => append(attribute, elements, std::slice::from_ref(value), at)?,
        ElementEdit::Replace(value) => {
            for (element, _) in elements.iter_mut().zip(matched).filter(|(_, hit)| **hit) {
                check_immutable(attribute, element, value, at)?;
                *element = value.clone();
            }
            // All that the filter found are now one and the same value.
            coerce::dedupe(attribute, elements);
            if is_primary(value) {
                let wanted = pair(attribute, value);
                let is_it = |element: &Value| match wanted {
                    Some(_) => pair(attribute, element) == wanted,
                    None => Comparable::of(attribute, element) == Comparable::of(attribute, value),
                };
                let keep = elements.iter().position(is_it);
                demote(elements, keep);
            }
        }
    }
    Ok(())
}

fn no_match(at: &Location) -> ScimError {
    ScimError::no_target(format!("no value of {at} matches the path"))
}

/// Appends the values that are not present yet. An element with the `value` and `type` of an
/// existing one is merged into that one (RFC 7643 section 2.4: a pair should not occur twice).
fn append(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    new: &[Value],
    at: &Location,
) -> Result<(), ScimError> {
    let targets = append_targets(attribute, elements, new);
    let mut primary = None;
    let mut added = AddedValues::new();
    for (value, target) in new.iter().zip(targets) {
        let index = match target {
            AppendTarget::Known => continue,
            AppendTarget::New => {
                elements.push(value.clone());
                elements.len().saturating_sub(1)
            }
            AppendTarget::Beside(index) => {
                if let (Some(Value::Object(members)), Value::Object(value)) =
                    (elements.get_mut(index), value)
                {
                    let parts = added_parts(attribute, value, index, &mut added);
                    merge(attribute, members, &parts, at)?;
                }
                index
            }
        };
        if is_primary(value) {
            primary = Some(index);
        }
    }
    for ((index, sub), new) in added {
        if let (Some(Value::Object(members)), Some(sub)) =
            (elements.get_mut(index), attribute.sub_attributes.get(sub))
        {
            let part = (Arc::clone(sub), ValueEdit::Append(new));
            merge(attribute, members, &[part], at)?;
        }
    }
    if primary.is_some() {
        demote(elements, primary);
    }
    coerce::dedupe(attribute, elements);
    Ok(())
}

/// The element that an appended value goes to.
enum AppendTarget {
    /// An equal element is there.
    Known,
    /// The element at this index has the same `value` and `type`.
    Beside(usize),
    New,
}

fn append_targets(attribute: &Attribute, elements: &[Value], new: &[Value]) -> Vec<AppendTarget> {
    let known: HashSet<Comparable> = elements
        .iter()
        .map(|element| Comparable::of(attribute, element))
        .collect();
    let mut pairs = HashMap::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        if let Some(pair) = pair(attribute, element) {
            pairs.entry(pair).or_insert(index);
        }
    }
    let target = |element: &Value| {
        let beside = pair(attribute, element).and_then(|pair| pairs.get(&pair));
        match beside {
            _ if known.contains(&Comparable::of(attribute, element)) => AppendTarget::Known,
            Some(index) => AppendTarget::Beside(*index),
            None => AppendTarget::New,
        }
    };
    new.iter().map(target).collect()
}

/// The values to append to lists in elements, by the index of the element and that of the
/// sub-attribute. Each list is searched for equal values once, however many elements add to it.
type AddedValues = BTreeMap<(usize, usize), Vec<Value>>;

/// The changes that an element makes to the one at `index` with the same `value` and `type`, which
/// keeps its spelling of these: lists grow, by way of `added`, and the rest is set.
fn added_parts(
    attribute: &Attribute,
    element: &Map<String, Value>,
    index: usize,
    added: &mut AddedValues,
) -> Vec<SubEdit> {
    let mut parts = Vec::new();
    for (position, sub) in attribute.sub_attributes.iter().enumerate() {
        match element.get(&sub.name) {
            _ if matches!(sub.name.as_str(), "value" | "type") => {}
            Some(Value::Array(new)) if sub.multi_valued => {
                let list = added.entry((index, position)).or_default();
                list.extend(new.iter().cloned());
            }
            Some(value) => parts.push((Arc::clone(sub), ValueEdit::Set(value.clone()))),
            None => {}
        }
    }
    parts
}

/// Removes those of the matched elements that hold all that one of `listed` holds.
fn remove_listed(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    matched: &[bool],
    listed: &[Value],
) {
    if listed.is_empty() {
        return;
    }
    let listed = ListedValues::of(attribute, listed);
    let hits: Vec<bool> = elements
        .iter()
        .zip(matched)
        .map(|(element, matched)| *matched && listed.has(element))
        .collect();
    retain(elements, &hits, false);
}

/// Merges into each matched element; one that nothing is left of is dropped.
fn merge_each(
    attribute: &Attribute,
    elements: &mut Vec<Value>,
    matched: &[bool],
    parts: &[SubEdit],
    at: &Location,
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
            merge(attribute, members, parts, at)?;
        }
    }
    let makes_primary = parts.iter().any(|(sub, change)| {
        sub.name == "primary" && matches!(change, ValueEdit::Set(Value::Bool(true)))
    });
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

/// Changes some sub-attributes of one complex value and leaves the others.
fn merge(
    attribute: &Attribute,
    members: &mut Map<String, Value>,
    parts: &[SubEdit],
    at: &Location,
) -> Result<(), ScimError> {
    let names_reference = parts.iter().any(|(sub, _)| sub.name == "$ref");
    for (sub, change) in parts {
        let before = members.get(&sub.name);
        let after = change.apply(sub, before.cloned(), &at.name(&sub.name))?;
        if before == after.as_ref() {
            continue;
        }
        if sub.name == "value" && !names_reference {
            // The URI of another resource than the one that `value` names now.
            members.shift_remove("$ref");
        }
        match after {
            Some(value) => {
                members.insert(sub.name.clone(), value);
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
    at: &Location,
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
