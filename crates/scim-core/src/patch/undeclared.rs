//! Edits of extensions that no schema describes: their values are stored and compared unchanged,
//! names are matched ignoring case.

mod names;
mod values;

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use self::names::check_names;
pub(super) use self::names::{is_name, not_addressable};
use self::values::{
    MemberEditKind, apply_at, as_list, is_blank, keep_distinct, many_values, merge,
    names_only_lists, remove_listed_members, set_object, single_value, spelled, split_name,
};
use super::cost::{copied, values as count_values};
use super::operation::Op;
use super::refuse;
use crate::coerce;
use crate::coerce::{Location, is_nothing, only};
use crate::document::into_object;
use crate::equality::{Comparable, ListedValues};
use crate::eval::element_matches;
use crate::filter::{literal, resolve_undeclared};
use crate::registry::AttrRef;
use crate::{Compatibility, Document, Filter, ScimError};

/// One step on an undeclared extension.
#[derive(Debug, Clone)]
pub(super) struct UndeclaredEdit {
    op: Op,
    /// The container's URN, or that and an attribute: only the document decides which.
    name: String,
    /// `None` for a remove of everything under the name.
    value: Option<Value>,
    near: Option<Near>,
    chosen: Option<Chosen>,
    /// The name is the container's URN, whatever the document has.
    is_container: bool,
}

/// The treatment of a name that is nearly under a known schema, unless the document has an
/// extension of that name.
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
        let at = Location::root(name);
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

    /// Turns this into the edit of a whole extension, as the body of a create or replace has it.
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

    /// Returns the number of values that the edit has to visit.
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
            (Op::Remove, Some(value)) => ListedValues::undeclared(as_list(value)).depth(),
            _ => 0,
        };
        // A value for one member of a list is copied into each element.
        let is_for_each = self.chosen.is_some() || path.is_some_and(|path| path.contains('.'));
        let copied = match &self.value {
            Some(value) if is_for_each => copied(value),
            _ => 0,
        };
        let chosen = self.chosen.as_ref();
        let comparisons = chosen.map_or(1, |chosen| chosen.filter.comparisons().max(1));
        let each = depth.saturating_add(copied).saturating_add(comparisons);
        count_values(list.or(Some(container)))
            .saturating_mul(each)
            .saturating_add(names)
    }

    /// Applies the edit. Returns false if its name is nearly that of a known schema, and the
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
            // `"urn:acme:x": ""` gives no value to an extension `urn:acme`.
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

    /// Splits the name into the URN and the attribute. An existing container decides; an object is
    /// meant for a container of its own.
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

    /// Does the same as [`Self::split`] if the client wrote a dot in place of the last colon after
    /// the URN of an extension that the document has: `urn:acme:x.list`.
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

    fn change<'v>(&self, value: Option<&'v Value>) -> MemberEditKind<'v> {
        static NULL: Value = Value::Null;
        match self.op {
            Op::Remove => MemberEditKind::Remove(value),
            op => MemberEditKind::Put(op, value.unwrap_or(&NULL)),
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
            None => apply_at(container, path, self.change(self.value.as_ref()))?,
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

    /// Edits the elements that the filter finds of a list inside a member, or inside each value of
    /// a member.
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
                    "no value of {} matches the path",
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

    /// Edits the elements of one list that the filter finds.
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
            let refused =
                || ScimError::no_target(format!("no value of {} matches the path", self.name));
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
        let listed = ListedValues::undeclared(self.value.as_ref().map_or(&[], as_list));
        let mut changed: Vec<Value> = Vec::with_capacity(elements.len());
        let mut added: Vec<Value> = Vec::new();
        let before = std::mem::take(elements);
        for (mut element, hit) in before.into_iter().zip(hits) {
            let stays = match sub {
                _ if !hit => true,
                Some(sub) if element.is_object() => self.change_member(&mut element, sub)?,
                // An element that is no object has no member but its own `value`.
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

    /// Changes a member of an element; returns whether anything is left of the element.
    fn change_member(&self, element: &mut Value, sub: &str) -> Result<bool, ScimError> {
        let Some(members) = element.as_object_mut() else {
            return Ok(true);
        };
        apply_at(members, sub, self.change(self.value.as_ref()))?;
        Ok(!members.is_empty())
    }

    /// Changes an element that the filter finds; returns whether it stays.
    fn change_element(
        &self,
        element: &mut Value,
        listed: &ListedValues,
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
    /// Returns whether the filter finds any of the elements of a list.
    fn finds(&self, members: &Map<String, Value>, name: &str) -> bool {
        let list = spelled(members, name).and_then(|name| members.get(name));
        let mut elements = list.map(as_list).unwrap_or_default().iter();
        elements.any(|element| element_matches(&self.filter, &self.path, element))
    }

    /// Returns the element that the filter and the value describe together, unless they contradict
    /// each other.
    fn described(&self, value: Option<&Value>) -> Option<Value> {
        let mut members = self.terms.clone()?;
        let value = only(value?);
        match (&self.sub, value) {
            (Some(sub), value) => {
                let name = spelled(&members, sub).map_or(sub.clone(), str::to_owned);
                match members.get(&name) {
                    Some(term) if Comparable::undeclared(term) != Comparable::undeclared(value) => {
                        return None;
                    }
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

/// Returns the members that a filter of `eq` terms joined by `and` fixes.
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
