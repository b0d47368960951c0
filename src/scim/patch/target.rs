//! One attribute, perhaps narrowed to some elements and a sub-attribute, and a value -> the change to make.

use std::sync::Arc;

use scim_filter_parser as syntax;
use serde_json::{Map, Value};

use super::{Change, Edit, OnMiss, Op, Reader, Step, member, refuse};
use crate::scim::admit::coerce::{self, Named, Nulls, Place};
use crate::scim::admit::into_password;
use crate::scim::admit::strict::{self, ReadOnly};
use crate::scim::registry::{AttrRef, ResourceType};
use crate::scim::schema::{Attribute, Mutability};
use crate::scim::{Compatibility, Filter, ScimError, filter};

/// What a path names beyond the attribute.
#[derive(Clone, Copy)]
pub(super) struct Selected<'a> {
    pub filter: Option<&'a syntax::Filter>,
    pub sub: Option<&'a Arc<Attribute>>,
}

/// Reads an operation on one attribute; `path` may name a sub-attribute itself.
pub(super) fn attribute(
    rt: &ResourceType,
    op: Op,
    path: &AttrRef,
    selected: Option<Selected>,
    value: Option<&Value>,
    reader: &mut Reader,
) -> Result<(), ScimError> {
    let attribute = &path.attribute;
    let filter = selected.and_then(|selected| selected.filter);
    let sub = selected
        .and_then(|selected| selected.sub)
        .or(path.sub.as_ref());
    let leaf = sub.unwrap_or(attribute);
    // What the path names, as far as an error may say it.
    let full_name = || match sub {
        Some(sub) if path.sub.is_none() => format!("{}.{}", path.key(), sub.name),
        _ => path.key().to_owned(),
    };
    if attribute.mutability == Mutability::ReadOnly {
        return Err(refuse::read_only(path.key()));
    }
    if leaf.mutability == Mutability::ReadOnly {
        return Err(refuse::read_only(&full_name()));
    }
    if op == Op::Remove && leaf.required && filter.is_none() {
        return Err(refuse::required(&full_name()));
    }
    if op != Op::Remove && value.is_none() {
        return Err(refuse::no_value(&full_name()));
    }
    if reader.is_strict() {
        gate(op, attribute, sub, filter.is_some(), value, &full_name())?;
    }
    let filter = match filter {
        Some(syntax) => Some((syntax, resolve(rt, path, syntax, reader.compatibility)?)),
        None => None,
    };
    if rt.is_relational(&attribute.name) && path.container.is_none() {
        return match (filter, sub) {
            (_, Some(_)) => Err(refuse::immutable()),
            (Some((syntax, filter)), None) => member::filtered(op, syntax, filter, value, reader),
            (None, None) => member::whole(op, value, reader),
        };
    }
    let at = Place::root(path.key());
    if rt.is_password(path.container.as_deref(), attribute) {
        let password = match (op, value) {
            (Op::Remove, _) | (_, None) => None,
            (Op::Add, Some(value)) if coerce::is_nothing(value) => return Ok(()),
            (_, Some(value)) => coerce::attribute(attribute, value, &at)?.and_then(into_password),
        };
        reader.edit(Edit::Password(password));
        return Ok(());
    }
    let change = match (filter, sub, op) {
        (Some((syntax, filter)), sub, op) => {
            let found = Found {
                attribute,
                syntax,
                sub,
                at,
                compatibility: reader.compatibility,
            };
            filtered(op, &found, filter, value)?
        }
        (None, sub, Op::Remove) => Some(remove(attribute, sub, value, &at)?),
        (None, Some(sub), op) => sub_attribute(op, attribute, sub, value, &at)?,
        (None, None, op) => whole(op, attribute, value, &at)?,
    };
    if let Some(change) = change {
        reader.edit(Edit::Attribute {
            path: path.clone(),
            change,
        });
    }
    Ok(())
}

/// What a strict tenant demands of the value before anything is made of it.
fn gate(
    op: Op,
    attribute: &Attribute,
    sub: Option<&Arc<Attribute>>,
    is_filtered: bool,
    value: Option<&Value>,
    name: &str,
) -> Result<(), ScimError> {
    let at = Place::root(name);
    match (op, sub, value) {
        (Op::Remove, _, value) => refuse::no_value_to_remove(value, name),
        (_, _, None | Some(Value::Null)) => Ok(()),
        (_, Some(sub), Some(value)) => strict::sub_attribute(attribute, sub, value, &at),
        (_, None, Some(value @ Value::Array(_))) if !is_filtered => {
            strict::attribute(attribute, value, ReadOnly::Refuse, &at)
        }
        // RFC 7644 section 3.5.2.1 lets one value stand for a list of one.
        (_, None, Some(value)) => strict::element(attribute, value, ReadOnly::Refuse, &at),
    }
}

/// The filter in the brackets, checked against the attribute.
fn resolve(
    rt: &ResourceType,
    path: &AttrRef,
    inner: &syntax::Filter,
    compatibility: Compatibility,
) -> Result<Filter, ScimError> {
    if !path.attribute.multi_valued {
        return Err(ScimError::invalid_path(format!(
            "{} has one value at most, so a filter cannot choose among its values",
            path.key()
        )));
    }
    filter::resolve_element(rt, path, inner, compatibility)
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
        let nulls = nulls(op);
        return Ok(Some(match coerce::complex(attribute, value, nulls, at)? {
            Some(named) => Change::Merge(named),
            None => Change::Unassign,
        }));
    }
    Ok(Some(match coerce::single(attribute, value, at)? {
        Some(value) => Change::Set(value),
        None => Change::Unassign,
    }))
}

/// `add` or `replace` of one sub-attribute, of the one value or of all elements.
fn sub_attribute(
    op: Op,
    attribute: &Attribute,
    sub: &Arc<Attribute>,
    value: Option<&Value>,
    at: &Place,
) -> Result<Option<Change>, ScimError> {
    if attribute.multi_valued && op == Op::Add {
        return Err(ScimError::invalid_path(format!(
            "{} has many values: say which one, as in {0}[type eq \"work\"].{}",
            attribute.name, sub.name
        )));
    }
    let Some(named) = named_sub(op, attribute, sub, value, at)? else {
        return Ok(None);
    };
    Ok(Some(if attribute.multi_valued {
        Change::Each(named.0, named.1)
    } else {
        Change::Merge(vec![named])
    }))
}

fn remove(
    attribute: &Attribute,
    sub: Option<&Arc<Attribute>>,
    value: Option<&Value>,
    at: &Place,
) -> Result<Change, ScimError> {
    Ok(match (sub, value) {
        (Some(sub), _) if attribute.multi_valued => Change::Each(Arc::clone(sub), None),
        (Some(sub), _) => Change::Merge(vec![(Arc::clone(sub), None)]),
        (None, Some(value)) if attribute.multi_valued && !value.is_null() => {
            Change::RemoveListed(listed(attribute, value, at)?)
        }
        (None, _) => Change::Unassign,
    })
}

/// The elements that a `remove` lists; a text alone stands for the `value` of an element.
fn listed(attribute: &Attribute, value: &Value, at: &Place) -> Result<Vec<Value>, ScimError> {
    let given = match value {
        Value::Array(given) => given.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut listed = Vec::with_capacity(given.len());
    for (index, value) in given.iter().enumerate() {
        let at = at.index(index);
        let wrapped = (attribute.is_complex() && value.is_string())
            .then(|| Value::Object(Map::from_iter([("value".to_owned(), value.clone())])));
        listed.extend(coerce::element(
            attribute,
            wrapped.as_ref().unwrap_or(value),
            &at,
        )?);
    }
    Ok(listed)
}

/// The parts of `emails[type eq "work"].value`.
struct Found<'a> {
    attribute: &'a Attribute,
    syntax: &'a syntax::Filter,
    sub: Option<&'a Arc<Attribute>>,
    at: Place<'a>,
    compatibility: Compatibility,
}

fn filtered(
    op: Op,
    found: &Found,
    filter: Filter,
    value: Option<&Value>,
) -> Result<Option<Change>, ScimError> {
    let Found { attribute, at, .. } = found;
    let step = match (op, found.sub, value) {
        (Op::Remove, None, _) => Step::Remove,
        (Op::Remove, Some(sub), _) => {
            if sub.required {
                return Err(refuse::required(&at.name(&sub.name).to_string()));
            }
            Step::Merge(vec![(Arc::clone(sub), None)])
        }
        (op, Some(sub), value) => match named_sub(op, attribute, sub, value, at)? {
            Some(named) => Step::Merge(vec![named]),
            None => return Ok(None),
        },
        (Op::Add, None, Some(value)) if coerce::is_nothing(value) => return Ok(None),
        (Op::Add, None, Some(value)) if attribute.is_complex() => {
            match coerce::complex(attribute, value, Nulls::Skip, at)? {
                Some(named) => Step::Merge(named),
                None => return Ok(None),
            }
        }
        (_, None, Some(value)) => match coerce::element(attribute, only(value), at)? {
            Some(element) => Step::Replace(element),
            None => Step::Remove,
        },
        (_, None, None) => return Ok(None),
    };
    let on_miss = match &step {
        // RFC 7644 section 3.5.2.2: to remove what is not there succeeds.
        _ if op == Op::Remove => OnMiss::Ignore,
        // Table 9: the filter of the path yielded nothing that could be changed.
        _ if found.compatibility.is_strict() => OnMiss::Refuse,
        Step::Remove => OnMiss::Ignore,
        Step::Merge(named) if named.iter().all(|(_, value)| value.is_none()) => OnMiss::Ignore,
        Step::Merge(named) => on_miss(found, named),
        Step::Replace(Value::Object(members)) => {
            let named = |sub: &Arc<Attribute>| {
                let value = members.get(&sub.name)?;
                Some((Arc::clone(sub), Some(value.clone())))
            };
            let named: Vec<Named> = attribute.sub_attributes.iter().filter_map(named).collect();
            on_miss(found, &named)
        }
        Step::Replace(_) => OnMiss::Refuse,
    };
    Ok(Some(Change::Where {
        filter,
        step,
        on_miss,
    }))
}

/// What a filter that finds nothing stands for: Entra expects `emails[type eq "work"].value` to create the element
/// `{"type": "work", "value": ..}`. A filter that the new element would not satisfy cannot mean that.
fn on_miss(found: &Found, named: &[Named]) -> OnMiss {
    let Some(mut terms) = eq_terms(found.syntax, found.attribute, &found.at) else {
        return OnMiss::Refuse;
    };
    for (sub, value) in named {
        let Some(value) = value else { continue };
        match terms.iter_mut().find(|(term, _)| term.name == sub.name) {
            Some((_, Some(term))) if same_text(sub, term, value) => *term = value.clone(),
            Some(_) => return OnMiss::Refuse,
            None => terms.push((Arc::clone(sub), Some(value.clone()))),
        }
    }
    let mut members: Map<String, Value> = terms
        .into_iter()
        .filter_map(|(sub, value)| Some((sub.name.clone(), value?)))
        .collect();
    crate::scim::document::arrange_complex(found.attribute, &mut members);
    OnMiss::Create(Value::Object(members))
}

/// The sub-attributes that a filter of `eq` terms joined by `and` fixes.
fn eq_terms(filter: &syntax::Filter, attribute: &Attribute, at: &Place) -> Option<Vec<Named>> {
    match filter {
        syntax::Filter::Compare(comparison) if comparison.op == syntax::CompareOp::Eq => {
            let sub = attribute.sub_attribute(&comparison.path.name)?;
            if sub.mutability == Mutability::ReadOnly {
                return None;
            }
            let value = match &comparison.value {
                syntax::Value::Null => Value::Null,
                syntax::Value::Bool(value) => Value::from(*value),
                syntax::Value::Integer(value) => Value::from(*value),
                syntax::Value::Decimal(value) => Value::from(*value),
                syntax::Value::String(value) => Value::from(value.as_str()),
            };
            let mut value = coerce::scalar(sub, &value, at).ok()?;
            if let Some(value) = &mut value {
                coerce::canonicalise(attribute, sub, value);
            }
            Some(vec![(Arc::clone(sub), value)])
        }
        syntax::Filter::And(terms) => {
            let mut all: Vec<Named> = Vec::new();
            for term in terms {
                for (sub, value) in eq_terms(term, attribute, at)? {
                    if all.iter().any(|(other, _)| other.name == sub.name) {
                        return None;
                    }
                    all.push((sub, value));
                }
            }
            Some(all)
        }
        _ => None,
    }
}

fn same_text(sub: &Attribute, left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) if !sub.case_exact => {
            crate::scim::name::fold(left) == crate::scim::name::fold(right)
        }
        _ => left == right,
    }
}

/// The value for one sub-attribute; nothing where there is nothing to add.
fn named_sub(
    op: Op,
    attribute: &Attribute,
    sub: &Arc<Attribute>,
    value: Option<&Value>,
    at: &Place,
) -> Result<Option<Named>, ScimError> {
    match value {
        None => Ok(None),
        Some(value) if op == Op::Add && coerce::is_nothing(value) => Ok(None),
        Some(value) => {
            let mut value = coerce::attribute(sub, value, at)?;
            if let Some(value) = &mut value {
                coerce::canonicalise(attribute, sub, value);
            }
            Ok(Some((Arc::clone(sub), value)))
        }
    }
}

fn nulls(op: Op) -> Nulls {
    match op {
        Op::Add => Nulls::Skip,
        Op::Remove | Op::Replace => Nulls::Unassign,
    }
}

/// The one element of a list of one.
fn only(value: &Value) -> &Value {
    match value {
        Value::Array(elements) => match elements.as_slice() {
            [element] => element,
            _ => value,
        },
        other => other,
    }
}
