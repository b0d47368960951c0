//! One attribute, perhaps narrowed to some elements and a sub-attribute, and a value -> the change to make.

use std::sync::Arc;

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use super::{Action, Change, Edit, OnMiss, Op, Part, Reader, Selection, Step, member, refuse};
use crate::scim::admit::coerce::{self, Named, Nulls, Place, into_password};
use crate::scim::admit::same::Same;
use crate::scim::admit::strict::{self, ReadOnly};
use crate::scim::registry::{AttrRef, ResourceType};
use crate::scim::schema::{Attribute, Mutability};
use crate::scim::{Compatibility, Filter, ScimError, filter, name};

/// What a path names beyond the attribute.
#[derive(Clone, Copy)]
pub(super) struct Selected<'a> {
    pub filter: Option<&'a syntax::Filter>,
    pub sub: Option<&'a Arc<Attribute>>,
    /// The filter chooses among the values of the sub-attribute, not among those of the attribute.
    pub chooses_values: bool,
    /// The attribute is named in the value, not in the path.
    pub is_named_in_value: bool,
}

impl<'a> Selected<'a> {
    /// An attribute that a value names.
    pub fn in_value(path: &'a AttrRef) -> Self {
        Self {
            filter: None,
            sub: path.sub.as_ref(),
            chooses_values: false,
            is_named_in_value: true,
        }
    }
}

/// Reads an operation on one attribute; `selected` names its sub-attribute, where one is meant.
pub(super) fn attribute(
    rt: &ResourceType,
    path: &AttrRef,
    selected: Selected,
    action: Action,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let attribute = &path.attribute;
    let target = Target {
        attribute,
        sub: selected.sub,
        name: match selected.sub {
            Some(sub) if path.sub.is_none() => format!("{}.{}", path.key(), sub.name),
            _ => path.key().to_owned(),
        },
        compatibility: reader.compatibility,
    };
    let is_relational = rt.is_relational(&attribute.name) && path.container.is_none();
    let action = match action.value {
        Some(value) if is_relational || action.op == Op::Remove => Action {
            value: Some(target.unwrapped(value)),
            ..action
        },
        _ => action,
    };
    target.check(selected, action)?;
    let filter = match selected.filter {
        Some(syntax) => {
            let path = target.list(rt, path, selected)?;
            let filter = filter::resolve_element(rt, &path, syntax, reader.compatibility)?;
            Some(Chosen {
                path,
                syntax,
                filter,
            })
        }
        None => None,
    };
    if is_relational {
        return match (filter, selected.sub) {
            (_, Some(_)) => Err(refuse::immutable()),
            (Some(chosen), None) => {
                member::filtered(rt, action, chosen.syntax, chosen.filter, reader)
            }
            (None, None) => member::whole(action, reader),
        };
    }
    if rt.is_password(path.container.as_deref(), attribute) {
        return password(attribute, action, reader);
    }
    if says_nothing_of_activity(rt, path, action, reader.compatibility) {
        return Ok(());
    }
    if let (Some(value), None, false) = (action.value, selected.sub, action.op == Op::Remove) {
        for name in coerce::undefined(attribute, value, &target.name) {
            reader.ignore(&name);
        }
    }
    if let Some(change) = target.change(action, selected, filter)? {
        reader.edit(Edit::Attribute {
            path: path.clone(),
            change,
        });
    }
    Ok(())
}

fn password(attribute: &Attribute, action: Action, reader: &mut Reader) -> Result<(), ScimError> {
    let password = match (action.op, action.value) {
        (Op::Remove, _) | (_, None) => None,
        (Op::Add, Some(value)) if coerce::is_nothing(value) => return Ok(()),
        (_, Some(value)) => {
            let at = Place::root(&attribute.name);
            coerce::attribute(attribute, value, &at)?.and_then(into_password)
        }
    };
    reader.edit(Edit::Password(password));
    Ok(())
}

/// Whether a tolerant tenant's client gives a user's `active` no value. As in a create and a PUT
/// that leaves the user as active or inactive as before.
fn says_nothing_of_activity(
    rt: &ResourceType,
    path: &AttrRef,
    action: Action,
    compatibility: Compatibility,
) -> bool {
    rt.schema.id == name::USER
        && path.key() == "active"
        && action.op != Op::Remove
        && action.value.is_some_and(coerce::is_empty)
        && !compatibility.is_strict()
}

/// The filter in the brackets of a path, checked against the list that it chooses from.
struct Chosen<'a> {
    path: AttrRef,
    syntax: &'a syntax::Filter,
    filter: Filter,
}

/// The attribute that an operation is about.
struct Target<'a> {
    attribute: &'a Attribute,
    sub: Option<&'a Arc<Attribute>>,
    /// As errors name it.
    name: String,
    compatibility: Compatibility,
}

impl Target<'_> {
    fn leaf(&self) -> &Attribute {
        self.sub.map_or(self.attribute, |sub| sub)
    }

    fn at(&self) -> Place<'_> {
        Place::root(&self.name)
    }

    /// Some clients name the attribute of the path again: `"value": {"members": [..]}`.
    fn unwrapped<'v>(&self, value: &'v Value) -> &'v Value {
        let Value::Object(members) = value else {
            return value;
        };
        let mut members = members.iter();
        match (members.next(), members.next()) {
            // Null within the value is not a wish to remove everything.
            (Some((name, inner)), None)
                if !self.compatibility.is_strict()
                    && !inner.is_null()
                    && name.eq_ignore_ascii_case(&self.leaf().name)
                    && self.leaf().sub_attribute(name).is_none() =>
            {
                inner
            }
            _ => value,
        }
    }

    /// Refuses what the characteristics of the attribute do not allow.
    fn check(&self, selected: Selected, action: Action) -> Result<(), ScimError> {
        let Action { op, value } = action;
        if self.attribute.mutability == Mutability::ReadOnly {
            return Err(refuse::read_only(&self.name));
        }
        let leaf = self.leaf();
        if leaf.mutability == Mutability::ReadOnly {
            return Err(refuse::read_only(&self.name));
        }
        let lists_some = leaf.multi_valued && value.is_some_and(|value| !value.is_null());
        if op == Op::Remove && leaf.required && selected.filter.is_none() && !lists_some {
            return Err(refuse::required(&self.name));
        }
        if op != Op::Remove && value.is_none() {
            return Err(refuse::no_value(&self.name));
        }
        if self.compatibility.is_strict() {
            self.check_strict(selected, action)?;
        }
        Ok(())
    }

    /// Checks what a strict tenant demands of the value, before it is read.
    fn check_strict(&self, selected: Selected, action: Action) -> Result<(), ScimError> {
        let at = self.at();
        let (attribute, read_only) = (self.attribute, ReadOnly::Refuse);
        match (action.op, self.sub, action.value) {
            (Op::Remove, _, value) => refuse::no_value_to_remove(value, &self.name),
            (_, _, None | Some(Value::Null)) => Ok(()),
            (_, Some(sub), Some(value)) if selected.chooses_values => {
                strict::element(sub, value, read_only, &at)
            }
            (_, Some(sub), Some(value)) => strict::sub_attribute(attribute, sub, value, &at),
            (_, None, Some(value @ Value::Array(_))) if selected.filter.is_none() => {
                strict::attribute(attribute, value, read_only, &at)
            }
            // RFC 7644 section 3.5.2.1 lets one value stand for a list of one.
            (_, None, Some(value)) => strict::element(attribute, value, read_only, &at),
        }
    }

    /// The list that a filter chooses from.
    fn list(
        &self,
        rt: &ResourceType,
        path: &AttrRef,
        selected: Selected,
    ) -> Result<AttrRef, ScimError> {
        let (list, is_list) = match self.sub.filter(|_| selected.chooses_values) {
            Some(sub) => (rt.attr_by_key(&self.name), sub.multi_valued),
            None => (Some(path.clone()), self.attribute.multi_valued),
        };
        list.filter(|_| is_list).ok_or_else(|| {
            ScimError::invalid_path(format!(
                "{} has one value at most, so a filter cannot choose among its values",
                path.key()
            ))
        })
    }

    fn change(
        &self,
        action: Action,
        selected: Selected,
        chosen: Option<Chosen>,
    ) -> Result<Option<Change>, ScimError> {
        let Action { op, value } = action;
        match (chosen, self.sub) {
            (Some(chosen), Some(sub)) if selected.chooses_values => {
                let change = self.filtered(action, sub, None, chosen)?;
                Ok(change.map(|change| self.of_sub(sub, change)))
            }
            (Some(chosen), sub) => self.filtered(action, self.attribute, sub, chosen),
            (None, sub) if op == Op::Remove => {
                let change = match value {
                    // `emails.type` names a value of each element: those that are listed go.
                    Some(value)
                        if selected.is_named_in_value
                            || (sub.is_some()
                                && self.attribute.multi_valued
                                && !value.is_null()) =>
                    {
                        remove_equal(self.leaf(), value, &self.at())?
                    }
                    value => remove(self.leaf(), value, &self.at())?,
                };
                Ok(match sub {
                    Some(sub) => change.map(|change| self.of_sub(sub, change)),
                    None => change,
                })
            }
            (None, Some(sub)) => {
                if self.attribute.multi_valued && op == Op::Add {
                    return Err(ScimError::invalid_path(format!(
                        "{} has many values: say which one, as in {0}[type eq \"work\"].{}",
                        self.attribute.name, sub.name
                    )));
                }
                let part = self.part(op, sub, value)?;
                Ok(part.map(|(sub, change)| self.of_sub(&sub, change)))
            }
            (None, None) => whole(op, self.attribute, value, &self.at()),
        }
    }

    /// A change of the sub-attribute, of the one value or of all elements.
    fn of_sub(&self, sub: &Arc<Attribute>, change: Change) -> Change {
        let part = (Arc::clone(sub), change);
        if self.attribute.multi_valued {
            Change::Each(Box::new(part))
        } else {
            Change::Merge(vec![part])
        }
    }

    /// `add` or `replace` of one sub-attribute; nothing where there is nothing to add.
    fn part(
        &self,
        op: Op,
        sub: &Arc<Attribute>,
        value: Option<&Value>,
    ) -> Result<Option<Part>, ScimError> {
        match value {
            None => Ok(None),
            Some(value) if op == Op::Add && coerce::is_nothing(value) => Ok(None),
            Some(value) => {
                let mut value = coerce::attribute(sub, value, &self.at())?;
                if let Some(value) = &mut value {
                    coerce::canonicalise(self.attribute, sub, value);
                }
                Ok(part(op, (Arc::clone(sub), value)))
            }
        }
    }

    /// A change of the elements of `list` that a filter finds, or of one sub-attribute of each.
    fn filtered(
        &self,
        action: Action,
        list: &Attribute,
        sub: Option<&Arc<Attribute>>,
        chosen: Chosen,
    ) -> Result<Option<Change>, ScimError> {
        let Some(step) = self.step(action, list, sub)? else {
            return Ok(None);
        };
        let found = Found {
            list,
            syntax: chosen.syntax,
            at: self.at(),
        };
        let on_miss = match &step {
            // RFC 7644 section 3.5.2.2: to remove what is not there succeeds.
            _ if action.op == Op::Remove => OnMiss::Ignore,
            // Table 9: the filter of the path yielded nothing that could be changed.
            _ if self.compatibility.is_strict() => OnMiss::Refuse,
            Step::Remove | Step::RemoveListed(_) => OnMiss::Ignore,
            Step::Merge(parts) if parts.iter().all(|(_, change)| change.value().is_none()) => {
                OnMiss::Ignore
            }
            Step::Merge(parts) => found.on_miss(parts),
            Step::Replace(value) | Step::Append(value) => found.on_missing_value(value),
        };
        Ok(Some(Change::Where(Box::new(Selection {
            path: chosen.path,
            filter: chosen.filter,
            step,
            on_miss,
        }))))
    }

    /// The step for the elements that are found.
    fn step(
        &self,
        action: Action,
        list: &Attribute,
        sub: Option<&Arc<Attribute>>,
    ) -> Result<Option<Step>, ScimError> {
        let at = &self.at();
        Ok(Some(match (action.op, sub, action.value) {
            (Op::Remove, None, None | Some(Value::Null)) => Step::Remove,
            (Op::Remove, None, Some(Value::String(text))) if text.is_empty() => Step::Remove,
            // `{"tags": ["x"]}` lists values of the lists in the element, not the element.
            (Op::Remove, None, Some(Value::Object(members))) if names_only_lists(list, members) => {
                let value = action.value.unwrap_or(&Value::Null);
                Step::Merge(listed_parts(list, value, at)?)
            }
            (Op::Remove, None, Some(value)) => Step::RemoveListed(listed(list, value, at)?),
            (Op::Remove, Some(sub), value) => {
                let Some(change) = remove(sub, value, at)? else {
                    return Ok(None);
                };
                if sub.required && matches!(change, Change::Unassign) {
                    return Err(refuse::required(&self.name));
                }
                Step::Merge(vec![(Arc::clone(sub), change)])
            }
            (op, Some(sub), value) => match self.part(op, sub, value)? {
                Some(part) => Step::Merge(vec![part]),
                None => return Ok(None),
            },
            (Op::Add, None, Some(value)) if coerce::is_nothing(value) => return Ok(None),
            (Op::Add, None, Some(value)) if list.is_complex() => {
                match coerce::complex(list, value, Nulls::Skip, at)? {
                    Some(named) => Step::Merge(parts(Op::Add, named)),
                    None => return Ok(None),
                }
            }
            (Op::Add, None, Some(value)) => match coerce::element(list, coerce::only(value), at)? {
                Some(element) => Step::Append(element),
                None => return Ok(None),
            },
            (Op::Replace, None, Some(value)) => {
                match coerce::element(list, coerce::only(value), at)? {
                    Some(element) => Step::Replace(element),
                    None => Step::Remove,
                }
            }
            (_, None, None) => return Ok(None),
        }))
    }
}

/// `add` or `replace` of a whole attribute.
fn whole(
    op: Op,
    attribute: &Attribute,
    value: Option<&Value>,
    at: &Place,
) -> Result<Option<Change>, ScimError> {
    let Some(value) = value else {
        return Ok(None);
    };
    // An add of nothing; an empty text stands for a wish to clear, as Entra writes it.
    if op == Op::Add && coerce::is_nothing(value) {
        return Ok(None);
    }
    if attribute.multi_valued {
        let elements = coerce::elements(attribute, value, at)?;
        return Ok(match op {
            Op::Add if elements.is_empty() => None,
            Op::Add => Some(Change::Append(elements)),
            _ if elements.is_empty() => Some(Change::Unassign),
            _ => Some(Change::Elements(elements)),
        });
    }
    if attribute.is_complex() {
        let nulls = match op {
            Op::Add => Nulls::Skip,
            Op::Remove | Op::Replace => Nulls::Unassign,
        };
        return Ok(Some(match coerce::complex(attribute, value, nulls, at)? {
            Some(named) => Change::Merge(parts(op, named)),
            None => Change::Unassign,
        }));
    }
    Ok(Some(match coerce::single(attribute, value, at)? {
        Some(value) => Change::Set(value),
        None => Change::Unassign,
    }))
}

/// The changes that `add` or `replace` makes of sub-attributes with these values.
fn parts(op: Op, named: Vec<Named>) -> Vec<Part> {
    named
        .into_iter()
        .filter_map(|named| part(op, named))
        .collect()
}

/// Nothing where there is nothing to add to a list.
fn part(op: Op, (sub, value): Named) -> Option<Part> {
    let change = match (op, value) {
        (Op::Add, Some(Value::Array(new))) if sub.multi_valued => Change::Append(new),
        (_, Some(Value::Array(elements))) if sub.multi_valued => Change::Elements(elements),
        (_, Some(value)) => Change::Set(value),
        (Op::Add, None) if sub.multi_valued => return None,
        (_, None) => Change::Unassign,
    };
    Some((sub, change))
}

/// `remove` of an attribute or sub-attribute. A value lists what to remove of a list or of a
/// complex value; a simple value goes whatever the operation says it is. Nothing where an empty
/// list says so.
fn remove(
    attribute: &Attribute,
    value: Option<&Value>,
    at: &Place,
) -> Result<Option<Change>, ScimError> {
    let change = match value {
        None | Some(Value::Null) => Change::Unassign,
        Some(value) if attribute.multi_valued => {
            Change::RemoveListed(listed(attribute, value, at)?)
        }
        Some(Value::Array(listed)) if listed.iter().all(Value::is_null) => return Ok(None),
        Some(value) if names_parts(attribute, value) => {
            Change::Merge(listed_parts(attribute, value, at)?)
        }
        Some(_) => Change::Unassign,
    };
    Ok(Some(change))
}

/// Whether the value of a `remove` says which parts of a complex value to take.
fn names_parts(attribute: &Attribute, value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) => attribute.is_complex(),
        Value::String(text) => !text.is_empty() && attribute.sub_attribute("value").is_some(),
        Value::Number(_) => attribute.sub_attribute("value").is_some(),
        Value::Null | Value::Bool(_) => false,
    }
}

/// The removal of an attribute named in a list of what to remove, such as
/// `{"department": "D"}` for a whole extension: only where it has this value.
fn remove_equal(
    attribute: &Attribute,
    value: &Value,
    at: &Place,
) -> Result<Option<Change>, ScimError> {
    if attribute.multi_valued {
        return Ok(Some(Change::RemoveListed(listed(attribute, value, at)?)));
    }
    if attribute.is_complex() {
        return listed_parts(attribute, value, at).map(|parts| Some(Change::Merge(parts)));
    }
    let value = coerce::single(attribute, value, at)?;
    Ok(value.map(Change::UnassignEqual))
}

fn listed_parts(attribute: &Attribute, value: &Value, at: &Place) -> Result<Vec<Part>, ScimError> {
    let named = coerce::complex(attribute, value, Nulls::Skip, at)?;
    let removal = |(sub, value): Named| {
        let change = match value? {
            Value::Array(listed) => Change::RemoveListed(listed),
            value => Change::UnassignEqual(value),
        };
        Some((sub, change))
    };
    Ok(named.into_iter().flatten().filter_map(removal).collect())
}

/// The elements that a `remove` lists.
fn listed(attribute: &Attribute, value: &Value, at: &Place) -> Result<Vec<Value>, ScimError> {
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
                told_apart(attribute, element, given).map(Value::Object)
            }
            (element, _) => element,
        });
    }
    Ok(listed)
}

/// The element that a `remove` lists without a `value`, with all by which the client tells it from
/// others: what it calls empty stays as null. `None` where it has a member that no schema defines,
/// for no element has that.
fn told_apart(
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

/// Whether the object names nothing but multi-valued sub-attributes.
fn names_only_lists(list: &Attribute, members: &Map<String, Value>) -> bool {
    let is_list = |name: &String| list.sub_attribute(name).is_some_and(|sub| sub.multi_valued);
    !members.is_empty() && members.keys().all(is_list)
}

impl Change {
    /// The value that the change gives to an attribute without one.
    pub(super) fn value(&self) -> Option<Value> {
        match self {
            Self::Set(value) => Some(value.clone()),
            Self::Append(values) | Self::Elements(values) => Some(Value::Array(values.clone())),
            Self::Unassign
            | Self::UnassignEqual(_)
            | Self::Merge(_)
            | Self::RemoveListed(_)
            | Self::Each(_)
            | Self::Where(_) => None,
        }
    }
}

/// A filter on the elements of a list, and what it stands for where it finds none.
struct Found<'a> {
    list: &'a Attribute,
    syntax: &'a syntax::Filter,
    at: Place<'a>,
}

impl Found<'_> {
    /// Decides what a filter that finds nothing means: Entra expects `emails[type eq "work"].value`
    /// to create the element `{"type": "work", "value": ..}`. A filter that the new element would
    /// not satisfy cannot mean that.
    fn on_miss(&self, parts: &[Part]) -> OnMiss {
        let Some(mut terms) = self.eq_terms(self.syntax) else {
            return OnMiss::Refuse;
        };
        for (sub, change) in parts {
            let Some(value) = change.value() else {
                continue;
            };
            let term = terms.iter_mut().find(|(term, _)| term.name == sub.name);
            match (term, value) {
                (Some((_, Some(Value::Array(term)))), Value::Array(new)) => {
                    let adds = matches!(change, Change::Append(_));
                    if adds {
                        coerce::extend(sub, term, &new);
                    } else if Same::of(sub, &Value::Array(new.clone()))
                        .holds(&Same::of(sub, &Value::Array(term.clone())))
                    {
                        *term = new;
                    } else {
                        return OnMiss::Refuse;
                    }
                }
                (Some((_, Some(term))), value) if Same::of(sub, term) == Same::of(sub, &value) => {
                    *term = value;
                }
                (Some(_), _) => return OnMiss::Refuse,
                (None, value) => terms.push((Arc::clone(sub), Some(value))),
            }
        }
        let mut members: Map<String, Value> = terms
            .into_iter()
            .filter_map(|(sub, value)| Some((sub.name.clone(), value?)))
            .collect();
        crate::scim::document::arrange_complex(self.list, &mut members);
        OnMiss::Create(Value::Object(members))
    }

    /// The same for a whole element.
    fn on_missing_value(&self, value: &Value) -> OnMiss {
        if let Value::Object(members) = value {
            let named = |sub: &Arc<Attribute>| {
                let value = members.get(&sub.name)?;
                Some((Arc::clone(sub), Some(value.clone())))
            };
            let named = self.list.sub_attributes.iter().filter_map(named).collect();
            return self.on_miss(&parts(Op::Replace, named));
        }
        // `rooms[value eq "r1"]` can only be followed by this very value.
        let is_asked_for = match self.syntax {
            syntax::Filter::Compare(comparison)
                if comparison.op == syntax::CompareOp::Eq
                    && comparison.path.name.eq_ignore_ascii_case("value") =>
            {
                coerce::scalar(self.list, &literal(&comparison.value), &self.at)
                    .ok()
                    .flatten()
                    .is_some_and(|asked| Same::of(self.list, &asked) == Same::of(self.list, value))
            }
            _ => false,
        };
        if is_asked_for {
            OnMiss::Create(value.clone())
        } else {
            OnMiss::Refuse
        }
    }

    /// The sub-attributes that a filter of `eq` terms joined by `and` fixes.
    fn eq_terms(&self, filter: &syntax::Filter) -> Option<Vec<Named>> {
        match filter {
            syntax::Filter::Compare(comparison) if comparison.op == syntax::CompareOp::Eq => {
                let sub = self.list.sub_attribute(&comparison.path.name)?;
                if sub.mutability == Mutability::ReadOnly {
                    return None;
                }
                let mut value =
                    coerce::attribute(sub, &literal(&comparison.value), &self.at).ok()?;
                if let Some(value) = &mut value {
                    coerce::canonicalise(self.list, sub, value);
                }
                Some(vec![(Arc::clone(sub), value)])
            }
            syntax::Filter::And(terms) => {
                let mut all: Vec<Named> = Vec::new();
                for term in terms {
                    for (sub, value) in self.eq_terms(term)? {
                        let known = all.iter_mut().find(|(other, _)| other.name == sub.name);
                        match (known, value) {
                            // One element may have both values of a list.
                            (Some((_, Some(Value::Array(list)))), Some(Value::Array(more))) => {
                                coerce::extend(&sub, list, &more);
                            }
                            (Some(_), _) => return None,
                            (None, value) => all.push((sub, value)),
                        }
                    }
                }
                Some(all)
            }
            _ => None,
        }
    }
}

/// The literal of a filter as JSON.
pub(super) fn literal(value: &syntax::Value) -> Value {
    match value {
        syntax::Value::Null => Value::Null,
        syntax::Value::Bool(value) => Value::from(*value),
        syntax::Value::Integer(value) => Value::from(*value),
        syntax::Value::Decimal(value) => Value::from(*value),
        syntax::Value::String(value) => Value::from(value.as_str()),
    }
}
