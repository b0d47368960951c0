//! Edits of extensions that no schema describes: their values are kept and compared as they are,
//! names are matched ignoring case.

use std::collections::{HashMap, HashSet};

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use super::apply::{copied, values};
use super::target::literal;
use super::{Op, refuse};
use crate::scim::admit::coerce::{self, Place, is_nothing, only};
use crate::scim::admit::same::{Listed, Same};
use crate::scim::document::into_object;
use crate::scim::eval::element_matches;
use crate::scim::filter::resolve_undeclared;
use crate::scim::registry::AttrRef;
use crate::scim::{Compatibility, Document, Filter, ScimError};

/// One step on an undeclared extension.
#[derive(Debug, Clone)]
pub(super) struct UndeclaredEdit {
    op: Op,
    /// The container's URN, or that and an attribute: only the document can tell.
    name: String,
    /// `None` for a remove of all that the name stands for.
    value: Option<Value>,
    near: Option<Near>,
    chosen: Option<Chosen>,
    /// The name is the container's URN, whatever the document has.
    is_container: bool,
}

/// The fate of a name that is nearly under a known schema, unless the document has an extension of
/// that name.
#[derive(Debug, Clone)]
pub(super) enum Near {
    /// `invalidPath` that names this URN.
    Refuse(String),
    Ignore,
}

/// The elements of a list that a filter finds.
#[derive(Debug, Clone)]
struct Chosen {
    path: AttrRef,
    filter: Filter,
    /// The members that the filter's `eq` terms ask for; `None` where it has others.
    terms: Option<Map<String, Value>>,
    /// One member of each element.
    sub: Option<String>,
}

/// An action on a value.
#[derive(Clone, Copy)]
enum Deed<'a> {
    Put(Op, &'a Value),
    /// All of it, or what is listed.
    Remove(Option<&'a Value>),
}

impl UndeclaredEdit {
    /// # Errors
    /// `invalidValue` for what cannot be stored, `invalidSyntax` for names in the value that no
    /// path could address.
    pub(super) fn new(
        op: Op,
        name: &str,
        value: Option<&Value>,
        near: Option<Near>,
    ) -> Result<Self, ScimError> {
        let name = name.trim();
        let at = Place::root(name);
        coerce::no_nul(name, &at)?;
        let value = value.filter(|value| op != Op::Remove || !value.is_null());
        if let Some(value) = value {
            coerce::storable(value, &at)?;
            if op != Op::Remove {
                check_names(value, &at)?;
            }
        }
        Ok(Self {
            op,
            name: name.to_owned(),
            value: value.cloned(),
            near,
            chosen: None,
            is_container: false,
        })
    }

    /// The edit of a whole extension, as the body of a create or replace has it.
    pub(super) fn of_container(self) -> Self {
        Self {
            is_container: true,
            ..self
        }
    }

    /// Narrows the edit to the elements of a list that the filter finds, and to one member of each.
    ///
    /// # Errors
    /// `invalidPath` and `invalidFilter` for a filter that makes no sense.
    pub(super) fn select(
        mut self,
        path: &syntax::AttrPath,
        filter: &syntax::Filter,
        sub: Option<String>,
        compatibility: Compatibility,
    ) -> Result<Self, ScimError> {
        let urn = path.urn.as_deref().unwrap_or_default();
        let (path, resolved) =
            resolve_undeclared(urn, &path.name, path.sub.as_deref(), filter, compatibility)?;
        self.chosen = Some(Chosen {
            path,
            filter: resolved,
            terms: eq_terms(filter),
            sub,
        });
        Ok(self)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of values that the edit looks at.
    pub(super) fn steps(&self, document: &Document) -> usize {
        let (urn, path) = self.split(document);
        let Some(container) = spelled(&document.0, urn).and_then(|urn| document.0.get(urn)) else {
            return document.0.len();
        };
        // Names are compared with all of those that are there.
        let names = document
            .0
            .len()
            .saturating_add(container.as_object().map_or(0, Map::len));
        let list = path.and_then(|path| {
            let name = path.split('.').next().unwrap_or_default();
            let container = container.as_object()?;
            container.get(spelled(container, name)?)
        });
        let depth = match (self.op, &self.value) {
            (Op::Remove, Some(value)) => Listed::undeclared(as_list(value)).depth(),
            _ => 0,
        };
        // A value for one member of a list is copied into each element.
        let is_for_each = self.chosen.is_some() || path.is_some_and(|path| path.contains('.'));
        let copied = match &self.value {
            Some(value) if is_for_each => copied(value),
            _ => 0,
        };
        let each = depth.saturating_add(copied).saturating_add(1);
        values(list.or(Some(container)))
            .saturating_mul(each)
            .saturating_add(names)
    }

    /// Whether the edit was applied; else its name is nearly that of a known schema, and the
    /// document has no extension of that name.
    pub(super) fn apply(&self, document: &mut Document) -> Result<bool, ScimError> {
        let (urn, path) = self.split(document);
        let own = spelled(&document.0, urn).map(str::to_owned);
        match (&self.near, &own) {
            (Some(Near::Refuse(known)), None) => return Err(refuse::near_miss(&self.name, known)),
            (Some(Near::Ignore), None) => return Ok(false),
            _ => {}
        }
        let says_nothing = self.value.as_ref().is_some_and(coerce::is_empty);
        let Some(urn) = own.or_else(|| (!says_nothing).then(|| urn.to_owned())) else {
            // `"urn:acme:x": ""` is no value of an extension `urn:acme`.
            return Ok(true);
        };
        let mut container = into_object(document.0.get_mut(&urn).map(Value::take));
        match path {
            None => self.on_container(&mut container)?,
            Some(path) => self.on_attribute(&mut container, path)?,
        }
        if container.is_empty() {
            document.0.shift_remove(&urn);
        } else {
            document.0.insert(urn, Value::Object(container));
        }
        Ok(true)
    }

    /// The URN and the attribute. A container that exists decides; an object is meant for a
    /// container of its own.
    fn split(&self, document: &Document) -> (&str, Option<&str>) {
        let whole = (self.name.as_str(), None);
        let Some((urn, path)) = self.name.rsplit_once(':') else {
            return whole;
        };
        let exists = |urn: &str| spelled(&document.0, urn).is_some();
        if let Some((urn, path)) = self.split_at_dot(document) {
            return (urn, Some(path));
        }
        if self.chosen.is_some() {
            return (urn, Some(path));
        }
        if self.is_container || exists(&self.name) {
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

    /// The same where the client wrote a dot in place of the last colon after the URN of an
    /// extension that the document has: `urn:acme:x.list`.
    fn split_at_dot(&self, document: &Document) -> Option<(&str, &str)> {
        let (owner, local) = self.name.rsplit_once(':')?;
        let has = |urn: &str| spelled(&document.0, urn).is_some();
        if has(&self.name) {
            return None;
        }
        let attribute = local.split('.').next().unwrap_or_default();
        let members =
            spelled(&document.0, owner).and_then(|owner| document.0.get(owner)?.as_object());
        if members.is_some_and(|members| spelled(members, attribute).is_some()) {
            return None;
        }
        let dots = self.name.match_indices('.').map(|(dot, _)| dot);
        dots.filter(|dot| *dot > owner.len())
            .filter_map(|dot| self.name.split_at_checked(dot))
            .find(|(urn, _)| has(urn))
            .and_then(|(urn, path)| Some((urn, path.strip_prefix('.')?)))
    }

    fn deed<'v>(&self, value: Option<&'v Value>) -> Deed<'v> {
        static NULL: Value = Value::Null;
        match self.op {
            Op::Remove => Deed::Remove(value),
            op => Deed::Put(op, value.unwrap_or(&NULL)),
        }
    }

    fn on_container(&self, container: &mut Map<String, Value>) -> Result<(), ScimError> {
        match (self.op, self.value.as_ref().map(only)) {
            (Op::Remove, None) => container.clear(),
            (Op::Remove, Some(Value::Object(listed))) => remove_listed_members(container, listed),
            (op, Some(Value::Object(new))) => merge(op, container, new)?,
            (Op::Add | Op::Remove, Some(value)) if coerce::is_empty(value) => {}
            (Op::Replace, Some(value)) if coerce::is_empty(value) => container.clear(),
            (_, None) => {}
            (_, Some(other)) => {
                return Err(ScimError::invalid_value(format!(
                    "{} must be an object with the attributes of the extension, not {}",
                    self.name,
                    coerce::kind_of(other)
                )));
            }
        }
        Ok(())
    }

    fn on_attribute(
        &self,
        container: &mut Map<String, Value>,
        path: &str,
    ) -> Result<(), ScimError> {
        match &self.chosen {
            None => apply_at(container, path, self.deed(self.value.as_ref()))?,
            Some(chosen) => {
                let (name, sub) = split_name(container, path);
                match sub {
                    None => self.on_chosen(chosen, container, name)?,
                    Some(sub) => self.on_inner(chosen, container, name, &sub)?,
                }
            }
        }
        Ok(())
    }

    /// The elements that the filter finds of a list inside a member, or inside each value of a
    /// member.
    fn on_inner(
        &self,
        chosen: &Chosen,
        container: &mut Map<String, Value>,
        name: String,
        sub: &str,
    ) -> Result<(), ScimError> {
        match container.get_mut(&name) {
            Some(Value::Array(_)) if self.op == Op::Add => Err(many_values(&name, sub)),
            Some(Value::Array(elements)) => {
                let mut is_found = self.op == Op::Remove;
                for members in elements.iter_mut().filter_map(Value::as_object_mut) {
                    if chosen.finds(members, sub) {
                        is_found = true;
                        self.on_chosen(chosen, members, sub.to_owned())?;
                    }
                }
                elements.retain(|element| element.as_object().is_none_or(|one| !one.is_empty()));
                keep_distinct(elements);
                if elements.is_empty() {
                    container.shift_remove(&name);
                }
                if is_found {
                    return Ok(());
                }
                Err(ScimError::no_target(format!(
                    "no value of {} is what the path asks for",
                    self.name
                )))
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                if self.op == Op::Remove {
                    return Ok(());
                }
                Err(single_value(&name, sub))
            }
            Some(Value::Null | Value::Object(_)) | None => {
                let mut inner = into_object(container.get(&name).cloned());
                self.on_chosen(chosen, &mut inner, sub.to_owned())?;
                set_object(container, name, inner);
                Ok(())
            }
        }
    }

    /// The elements of one list that the filter finds.
    fn on_chosen(
        &self,
        chosen: &Chosen,
        members: &mut Map<String, Value>,
        name: String,
    ) -> Result<(), ScimError> {
        let name = spelled(members, &name).map_or(name.clone(), str::to_owned);
        let before = members.get(&name).cloned();
        let was_list = before.as_ref().is_none_or(Value::is_array);
        let mut elements = match before {
            Some(Value::Array(elements)) => elements,
            None => Vec::new(),
            Some(single) => vec![single],
        };
        let matches = |element: &Value| element_matches(&chosen.filter, &chosen.path, element);
        let hits: Vec<bool> = elements.iter().map(matches).collect();
        if hits.contains(&true) {
            self.change_elements(&mut elements, &hits, chosen.sub.as_deref())?;
        } else if self.op != Op::Remove {
            let element = chosen.described(self.value.as_ref());
            let refused = || {
                ScimError::no_target(format!(
                    "no value of {} is what the path asks for",
                    self.name
                ))
            };
            elements.push(element.ok_or_else(refused)?);
        }
        match elements.len() {
            0 => {
                members.shift_remove(&name);
            }
            1 if !was_list => {
                members.insert(name, elements.remove(0));
            }
            _ => {
                members.insert(name, Value::Array(elements));
            }
        }
        Ok(())
    }

    fn change_elements(
        &self,
        elements: &mut Vec<Value>,
        hits: &[bool],
        sub: Option<&str>,
    ) -> Result<(), ScimError> {
        let listed = Listed::undeclared(self.value.as_ref().map_or(&[], as_list));
        let mut changed: Vec<Value> = Vec::with_capacity(elements.len());
        let mut added: Vec<Value> = Vec::new();
        let before = std::mem::take(elements);
        for (mut element, hit) in before.into_iter().zip(hits) {
            let stays = match sub {
                _ if !hit => true,
                Some(sub) if element.is_object() => self.change_member(&mut element, sub)?,
                // An element that is no object has no members but its own `value`.
                Some(sub) if !sub.eq_ignore_ascii_case("value") => true,
                _ => self.change_element(&mut element, &listed, &mut added)?,
            };
            if stays {
                changed.push(element);
            }
        }
        changed.extend(added);
        keep_distinct(&mut changed);
        *elements = changed;
        Ok(())
    }

    /// Changes a member of an element; whether anything is left of the element.
    fn change_member(&self, element: &mut Value, sub: &str) -> Result<bool, ScimError> {
        let Some(members) = element.as_object_mut() else {
            return Ok(true);
        };
        apply_at(members, sub, self.deed(self.value.as_ref()))?;
        Ok(!members.is_empty())
    }

    /// Changes an element that the filter finds; whether it stays.
    fn change_element(
        &self,
        element: &mut Value,
        listed: &Listed,
        added: &mut Vec<Value>,
    ) -> Result<bool, ScimError> {
        // `{"tags": ["x"]}` lists values of the lists in the element, not the element.
        if let (Op::Remove, Some(Value::Object(parts)), Some(members)) =
            (self.op, &self.value, element.as_object_mut())
            && names_only_lists(parts)
        {
            remove_listed_members(members, parts);
            return Ok(!members.is_empty());
        }
        Ok(match (self.op, &self.value) {
            (Op::Remove, None) => false,
            (Op::Remove, Some(value)) => !is_blank(value) && !listed.has(element),
            (Op::Add, Some(value)) => {
                match (element.as_object_mut(), only(value)) {
                    (Some(members), Value::Object(new)) => merge(Op::Add, members, new)?,
                    _ => added.extend(as_list(value).iter().cloned()),
                }
                true
            }
            (Op::Replace, Some(value)) if is_nothing(value) => false,
            (Op::Replace, Some(value)) => {
                *element = only(value).clone();
                true
            }
            (Op::Add | Op::Replace, None) => true,
        })
    }
}

impl Chosen {
    /// Whether the filter finds any of the elements of a list.
    fn finds(&self, members: &Map<String, Value>, name: &str) -> bool {
        let list = spelled(members, name).and_then(|name| members.get(name));
        let mut elements = list.map(as_list).unwrap_or_default().iter();
        elements.any(|element| element_matches(&self.filter, &self.path, element))
    }

    /// The element that the filter and the value describe together, where they do not contradict
    /// each other.
    fn described(&self, value: Option<&Value>) -> Option<Value> {
        let mut members = self.terms.clone()?;
        let value = only(value?);
        match (&self.sub, value) {
            (Some(sub), value) => {
                let name = spelled(&members, sub).map_or(sub.clone(), str::to_owned);
                match members.get(&name) {
                    Some(term) if Same::undeclared(term) != Same::undeclared(value) => return None,
                    _ => {
                        members.insert(name, value.clone());
                    }
                }
            }
            (None, Value::Object(new)) => {
                for (name, value) in new {
                    let name = spelled(&members, name).unwrap_or(name).to_owned();
                    match members.get(&name) {
                        Some(term) if term != value => return None,
                        _ => {
                            members.insert(name, value.clone());
                        }
                    }
                }
            }
            // `list[value eq "b"]` can only be followed by this very value.
            (None, value) => {
                let asked = spelled(&members, "value").and_then(|name| members.get(name));
                return (members.len() == 1 && asked == Some(value)).then(|| value.clone());
            }
        }
        Some(Value::Object(members))
    }
}

/// The members that a filter of `eq` terms joined by `and` fixes.
fn eq_terms(filter: &syntax::Filter) -> Option<Map<String, Value>> {
    match filter {
        syntax::Filter::Compare(comparison) if comparison.op == syntax::CompareOp::Eq => {
            let name = comparison.path.name.clone();
            Some(Map::from_iter([(name, literal(&comparison.value))]))
        }
        syntax::Filter::And(terms) => {
            let mut all = Map::new();
            for term in terms {
                for (name, value) in eq_terms(term)? {
                    if spelled(&all, &name).is_some() {
                        return None;
                    }
                    all.insert(name, value);
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Applies the deed to a member by its name, or with a dot to a member of that member.
///
/// # Errors
/// `invalidPath` where the member has no members to change.
fn apply_at(members: &mut Map<String, Value>, path: &str, deed: Deed) -> Result<(), ScimError> {
    let (name, sub) = split_name(members, path);
    match (sub, deed) {
        (None, Deed::Put(op, value)) => {
            if put(op, members, &name, value)? {
                members.shift_remove(&name);
            }
        }
        (None, Deed::Remove(None)) => {
            members.shift_remove(&name);
        }
        (None, Deed::Remove(Some(listed))) => {
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
        (Some(sub), deed) => apply_inside(members, name, &sub, deed)?,
    }
    Ok(())
}

/// Applies the deed to a member of the member with this name, of each of its elements where it is a
/// list. A value that has no members stays as it is.
///
/// # Errors
/// `invalidPath` where the member has no members to change.
fn apply_inside(
    members: &mut Map<String, Value>,
    name: String,
    sub: &str,
    deed: Deed,
) -> Result<(), ScimError> {
    let is_gone = match (members.get_mut(&name), deed) {
        (Some(Value::Object(inner)), deed) => {
            apply_at(inner, sub, deed)?;
            inner.is_empty()
        }
        (Some(Value::Array(_)), Deed::Put(Op::Add, _)) => return Err(many_values(&name, sub)),
        (Some(Value::Array(elements)), deed) => {
            apply_to_each(elements, &name, sub, deed)?;
            elements.is_empty()
        }
        (Some(Value::Null) | None, Deed::Put(..)) => {
            let mut inner = Map::new();
            apply_at(&mut inner, sub, deed)?;
            if !inner.is_empty() {
                members.insert(name, Value::Object(inner));
            }
            return Ok(());
        }
        (Some(_), Deed::Put(_, value)) if !is_nothing(value) => {
            return Err(single_value(&name, sub));
        }
        (Some(_), Deed::Put(..)) | (_, Deed::Remove(_)) => false,
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
    deed: Deed,
) -> Result<(), ScimError> {
    if matches!(deed, Deed::Put(..)) && !elements.iter().any(Value::is_object) {
        return Err(single_value(name, sub));
    }
    let mut outcome = Ok(());
    elements.retain_mut(|element| match (element.as_object_mut(), deed) {
        (Some(members), deed) => {
            note(&mut outcome, apply_at(members, sub, deed));
            !members.is_empty()
        }
        // An element that is no object has no members but its own `value`.
        (None, Deed::Remove(listed)) if sub.eq_ignore_ascii_case("value") => {
            listed.is_none_or(|listed| !Listed::undeclared(as_list(listed)).has(element))
        }
        (None, _) => true,
    });
    keep_distinct(elements);
    outcome
}

fn many_values(name: &str, sub: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{name} has many values: say which one, as in {name}[type eq \"work\"].{sub}"
    ))
}

fn single_value(name: &str, sub: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{name} is a single value here and has no {sub}; \
         replace {name} as a whole, or correct the attribute mapping"
    ))
}

/// Keeps the first fault.
fn note(outcome: &mut Result<(), ScimError>, next: Result<(), ScimError>) {
    if outcome.is_ok() {
        *outcome = next;
    }
}

/// Puts an object under the name; an empty one unassigns it, but takes no value away that is no
/// object.
fn set_object(members: &mut Map<String, Value>, name: String, inner: Map<String, Value>) {
    if !inner.is_empty() {
        members.insert(name, Value::Object(inner));
    } else if members.get(&name).is_some_and(Value::is_object) {
        members.shift_remove(&name);
    }
}

/// The name as the object spells it, and what follows the dot. A member whose own name has a dot
/// wins.
fn split_name(members: &Map<String, Value>, path: &str) -> (String, Option<String>) {
    if let Some(name) = spelled(members, path) {
        return (name.to_owned(), None);
    }
    let (name, sub) = match path.split_once('.') {
        Some((name, sub)) => (name, Some(sub.to_owned())),
        None => (path, None),
    };
    (spelled(members, name).unwrap_or(name).to_owned(), sub)
}

fn merge(
    op: Op,
    before: &mut Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<(), ScimError> {
    let mut names = Names::of(before);
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
        _ if new.values().all(is_nothing) && op != Op::Replace => false,
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
struct Names(HashMap<String, String>);

impl Names {
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
        if let Some(name) = self.spelled(path) {
            return (name, None);
        }
        let (name, sub) = match path.split_once('.') {
            Some((name, sub)) => (name, Some(sub.to_owned())),
            None => (path, None),
        };
        (self.spelled(name).unwrap_or_else(|| name.to_owned()), sub)
    }
}

/// Adds or replaces by the rules for known attributes, as far as the JSON itself tells what it is:
/// objects merge, lists are added to or replaced, null and `[]` unassign under `replace`. Whether
/// the member is to be removed.
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

/// The values in the shape of the elements that they are added to: `{"value": ..}` alone is its
/// text among texts, and a text is `{"value": ..}` among such objects.
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

/// The value as it is stored: equal elements of a list once.
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
fn remove_listed_members(members: &mut Map<String, Value>, listed: &Map<String, Value>) {
    let names = Names::of(members);
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

/// Removes from a value what is listed; whether nothing is left of it.
fn remove_listed(value: &mut Value, listed: &Value) -> bool {
    match (value, listed) {
        (Value::Array(elements), listed) => {
            let listed = Listed::undeclared(as_list(listed));
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
        (value, listed) => Listed::undeclared(as_list(listed)).has(value),
    }
}

fn as_list(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        other => std::slice::from_ref(other),
    }
}

fn names_only_lists(listed: &Map<String, Value>) -> bool {
    !listed.is_empty() && listed.values().all(Value::is_array)
}

fn is_blank(value: &Value) -> bool {
    value.as_str() == Some("")
}

/// Keeps the first of equal elements.
fn keep_distinct(elements: &mut Vec<Value>) {
    let first: Vec<bool> = {
        let mut seen = HashSet::with_capacity(elements.len());
        let mut is_first = |element| seen.insert(Same::undeclared(element));
        elements.iter().map(&mut is_first).collect()
    };
    let mut first = first.into_iter();
    elements.retain(|_| first.next().unwrap_or(true));
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

/// Whether a path could address the name: not that of `urn:acme:x:` or `urn:acme:x:a b`.
pub(super) fn is_name(name: &str, value: Option<&Value>) -> bool {
    let local = name.rsplit(':').next().unwrap_or_default();
    // An object may be meant for a container of its own, whose URN may have several dots.
    let may_be_urn = value.is_none_or(Value::is_object);
    !name.contains(char::is_whitespace)
        && !name.starts_with(':')
        && !local.is_empty()
        && (may_be_urn || is_addressable(local))
}

/// Refuses names of attributes and sub-attributes that no path could ever address.
fn check_names(value: &Value, at: &Place) -> Result<(), ScimError> {
    let Value::Object(members) = value else {
        return check_sub_names(value, at);
    };
    super::distinct(members.keys().map(String::as_str))?;
    for (name, value) in members {
        check_name(name, at)?;
        check_sub_names(value, &at.name(name))?;
    }
    Ok(())
}

fn check_sub_names(value: &Value, at: &Place) -> Result<(), ScimError> {
    match value {
        Value::Object(members) => check_member_names(members, at),
        Value::Array(elements) => elements
            .iter()
            .filter_map(Value::as_object)
            .try_for_each(|members| check_member_names(members, at)),
        _ => Ok(()),
    }
}

fn check_member_names(members: &Map<String, Value>, at: &Place) -> Result<(), ScimError> {
    super::distinct(members.keys().map(String::as_str))?;
    members.keys().try_for_each(|name| check_name(name, at))
}

fn check_name(name: &str, at: &Place) -> Result<(), ScimError> {
    if is_addressable(name) {
        Ok(())
    } else {
        Err(not_addressable(&at.name(name).to_string()))
    }
}

fn is_addressable(name: &str) -> bool {
    let parts = name.split('.');
    parts.clone().count() <= 2
        && parts
            .into_iter()
            .all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
}

pub(super) fn not_addressable(name: &str) -> ScimError {
    let name = super::read::shortened(name);
    ScimError::invalid_syntax(format!(
        "{name:?} is no name of an attribute: no path could address it; correct the attribute mapping"
    ))
}
