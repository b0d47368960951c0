//! Decides whether a resource, or one value of it, satisfies a filter.
//!
//! A translation of filters to SQL can be tested against this evaluation. It is total, it never
//! fails; [`crate::filter`] has rejected the combinations that make no sense. The module knows
//! nothing of SQL or of paging.
//!
//! Rules where RFC 7644 section 3.4.2.2 is silent: `ne` is the negation of `eq`, so it holds for an
//! unassigned attribute; on a multi-valued attribute it holds if any value differs or none is
//! assigned. `eq null` means unassigned. Text is ordered by its bytes, after folding unless the
//! attribute is `caseExact`.
//!
//! A sub-attribute with several values is multi-valued too: `home.rooms eq "r0"` holds if any room
//! is `r0`, and `places[tags eq "a" and tags eq "b"]` if one place has both tags.
//!
//! ```
//! use scim_core::eval::{View, matches};
//! use scim_core::render::Meta;
//! use scim_core::{Compatibility, Document, Registry, Timestamp, filter};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let document = Document::parse(r#"{"userName":"ada","active":true}"#)?;
//! let meta = Meta {
//!     resource_type: "User",
//!     created: Timestamp::UNIX_EPOCH,
//!     modified: Timestamp::UNIX_EPOCH,
//!     location: "https://example.com/scim/v2/Users/1",
//!     version: 1.into(),
//! };
//! let filter = r#"userName eq "ADA" and meta.lastModified lt "2026-01-01T00:00:00Z""#;
//! let filter = filter::parse(user, filter, Compatibility::Strict)?;
//! assert!(matches(&filter, &View::new(&document, &meta)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::Document;
use crate::filter::{CompareOp, Filter, Operand};
use crate::registry::AttrRef;
use crate::render::{Meta, group_value, member_value, meta_value};
use crate::schema::instant;
use crate::views::{GroupView, MemberView};

/// A resource with everything that a filter may ask for.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The attributes of the resource.
    pub document: &'a Document,
    /// The attributes that the server sets.
    pub meta: &'a Meta<'a>,
    /// The members of a group; may be left empty if the filter does not [mention](mentions) them.
    pub members: &'a [MemberView],
    /// The groups of a user, direct and nested; may be left empty if the filter does not
    /// [mention](mentions) them.
    pub groups: &'a [GroupView],
}

impl<'a> View<'a> {
    /// A resource without rows beside its document.
    pub fn new(document: &'a Document, meta: &'a Meta<'a>) -> Self {
        Self {
            document,
            meta,
            members: &[],
            groups: &[],
        }
    }
}

/// Returns whether the resource satisfies the filter.
pub fn matches(filter: &Filter, view: &View) -> bool {
    match filter {
        Filter::And(terms) => terms.iter().all(|term| matches(term, view)),
        Filter::Or(terms) => terms.iter().any(|term| matches(term, view)),
        Filter::Not(term) => !matches(term, view),
        Filter::Present(path) => {
            let value = attribute(path, view);
            elements(value.as_deref())
                .iter()
                .flat_map(|element| values_at(path, element))
                .any(assigned)
        }
        Filter::Compare { path, op, value } => {
            let found = attribute(path, view);
            let found = elements(found.as_deref());
            if path.is_multi_valued() {
                let values = found
                    .iter()
                    .flat_map(|element| compared(path, value, element));
                compare_any(path, *op, value, values)
            } else {
                let leaf = found
                    .first()
                    .and_then(|element| values_at(path, element).first());
                compare(path, *op, value, leaf)
            }
        }
        Filter::Element { path, filter } => {
            let value = attribute(path, view);
            elements(value.as_deref())
                .iter()
                .flat_map(|element| values_at(path, element))
                .filter(|element| assigned(element))
                .any(|element| element_matches(filter, path, element))
        }
    }
}

/// Returns whether the filter asks for the top-level attribute: `members`, for instance.
pub fn mentions(filter: &Filter, attribute: &str) -> bool {
    let is_named = |path: &AttrRef| path.container.is_none() && path.attribute.name == attribute;
    match filter {
        Filter::And(terms) | Filter::Or(terms) => {
            terms.iter().any(|term| mentions(term, attribute))
        }
        Filter::Not(term) => mentions(term, attribute),
        Filter::Present(path) | Filter::Compare { path, .. } => is_named(path),
        // The paths inside the brackets are of the same attribute.
        Filter::Element { path, .. } => is_named(path),
    }
}

/// Returns whether one element of `attribute` satisfies the filter of the brackets: `type eq
/// "work"` in `emails[type eq "work"]`.
///
/// The paths of the filter are complete (`emails.type`); those outside `attribute` count as
/// unassigned. An element of a simple attribute is its own `value`. If `attribute` names a
/// sub-attribute, as in `home.rooms[value eq "r0"]`, the element is one value of its list.
pub fn element_matches(filter: &Filter, attribute: &AttrRef, element: &Value) -> bool {
    let own = |path: &AttrRef| -> &[Value] {
        if !path.has_attribute_of(attribute) {
            &[]
        } else if is_element_itself(path, attribute) {
            std::slice::from_ref(element)
        } else {
            values_at(path, element)
        }
    };
    match filter {
        Filter::And(terms) => terms
            .iter()
            .all(|term| element_matches(term, attribute, element)),
        Filter::Or(terms) => terms
            .iter()
            .any(|term| element_matches(term, attribute, element)),
        Filter::Not(term) => !element_matches(term, attribute, element),
        Filter::Present(path) => own(path).iter().any(assigned),
        Filter::Compare { path, op, value } => {
            let is_list = path.sub.as_ref().is_some_and(|sub| sub.multi_valued);
            if is_list && !is_element_itself(path, attribute) {
                let values = own(path).iter().filter(|value| assigned(value));
                return compare_any(path, *op, value, values);
            }
            let found = own(path).first().or_else(|| match value {
                Operand::Bool(_) => assumed(path, element),
                _ => None,
            });
            compare(path, *op, value, found)
        }
        Filter::Element { filter, .. } => element_matches(filter, attribute, element),
    }
}

/// Returns whether `path`, inside the brackets of a list of simple values, means the value that is
/// looked at.
fn is_element_itself(path: &AttrRef, brackets: &AttrRef) -> bool {
    brackets.sub.is_some() && path == brackets
}

/// One comparison with one value, which is unassigned where it is `None` or empty.
pub fn compare(path: &AttrRef, op: CompareOp, operand: &Operand, found: Option<&Value>) -> bool {
    let found = found.filter(|value| assigned(value));
    match (op, operand) {
        (CompareOp::Eq, Operand::Null) => found.is_none(),
        (CompareOp::Ne, Operand::Null) => found.is_some(),
        (CompareOp::Ne, _) => {
            !found.is_some_and(|value| holds(path, CompareOp::Eq, operand, value))
        }
        _ => found.is_some_and(|value| holds(path, op, operand, value)),
    }
}

/// Returns whether the value counts as assigned: not null, not empty, and for a complex value not
/// without content.
pub fn assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(assigned),
        Value::Object(members) => members.values().any(assigned),
    }
}

/// The values at the path inside one element of the path's attribute: at most one, unless the
/// sub-attribute has several.
pub(super) fn values_at<'v>(path: &AttrRef, element: &'v Value) -> &'v [Value] {
    let leaf = match (element, &path.sub) {
        (Value::Object(members), Some(sub)) => member_of(path, members, &sub.name),
        (_, Some(sub)) if !is_value(path, &sub.name) => None,
        _ => Some(element),
    };
    match (leaf, &path.sub) {
        (Some(leaf), Some(sub)) if sub.multi_valued => elements(Some(leaf)),
        (Some(leaf), _) => std::slice::from_ref(leaf),
        (None, _) => &[],
    }
}

/// Returns whether the name means the whole of a simple value.
fn is_value(path: &AttrRef, name: &str) -> bool {
    name == "value" || path.is_undeclared && name.eq_ignore_ascii_case("value")
}

/// Looks a name up. Documents hold declared names as the schema spells them, undeclared ones as
/// clients do.
fn member_of<'v>(path: &AttrRef, members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let found = members.get(name);
    if found.is_some() || !path.is_undeclared {
        return found;
    }
    let mut others = members.iter();
    others
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

static FALSE: Value = Value::Bool(false);

/// RFC 7643 section 2.4: a value without `primary` has it false.
fn assumed(path: &AttrRef, element: &Value) -> Option<&'static Value> {
    (path.is_primary_flag() && assigned(element)).then_some(&FALSE)
}

/// Returns the assigned values of one element that a comparison with the operand applies to.
fn compared<'v>(
    path: &AttrRef,
    operand: &Operand,
    element: &'v Value,
) -> impl Iterator<Item = &'v Value> {
    let values = values_at(path, element);
    let assumed = match operand {
        Operand::Bool(_) if !values.iter().any(assigned) => assumed(path, element),
        _ => None,
    };
    values.iter().filter(|value| assigned(value)).chain(assumed)
}

/// One comparison with all assigned values of an attribute or sub-attribute that has several.
fn compare_any<'v>(
    path: &AttrRef,
    op: CompareOp,
    operand: &Operand,
    values: impl Iterator<Item = &'v Value>,
) -> bool {
    let mut values = values.peekable();
    match (op, operand) {
        (CompareOp::Eq, Operand::Null) => values.peek().is_none(),
        (CompareOp::Ne, Operand::Null) => values.peek().is_some(),
        (CompareOp::Ne, _) if values.peek().is_none() => true,
        _ => values.any(|value| compare(path, op, operand, Some(value))),
    }
}

/// The top-level attribute of the path, with its sub-attributes.
pub(super) fn attribute<'v>(path: &AttrRef, view: &View<'v>) -> Option<Cow<'v, Value>> {
    let name = path.attribute.name.as_str();
    if let Some(urn) = &path.container {
        let extension = member_of(path, &view.document.0, urn)?.as_object()?;
        return member_of(path, extension, name).map(Cow::Borrowed);
    }
    match name {
        "meta" => Some(Cow::Owned(meta_value(view.meta))),
        "members" if !view.members.is_empty() => {
            Some(Cow::Owned(view.members.iter().map(member_value).collect()))
        }
        "groups" if !view.groups.is_empty() => {
            Some(Cow::Owned(view.groups.iter().map(group_value).collect()))
        }
        _ => view.document.0.get(name).map(Cow::Borrowed),
    }
}

/// The values of an attribute; that of a single-valued one is the only one.
pub(super) fn elements(value: Option<&Value>) -> &[Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(elements)) => elements,
        Some(value) => std::slice::from_ref(value),
    }
}

/// One comparison with an assigned value; any operator but `ne`.
fn holds(path: &AttrRef, op: CompareOp, operand: &Operand, value: &Value) -> bool {
    match (operand, value) {
        (Operand::Text(right), Value::String(left)) => {
            text_holds(op, &path.comparable(left), right)
        }
        (Operand::Bool(right), Value::Bool(left)) => op == CompareOp::Eq && left == right,
        (Operand::Number(right), Value::Number(left)) => left
            .as_f64()
            .and_then(|left| left.partial_cmp(right))
            .is_some_and(|order| ordered(op, order)),
        (Operand::Instant(right), Value::String(left)) => {
            instant(left).is_some_and(|left| ordered(op, left.cmp(right)))
        }
        _ => false,
    }
}

fn text_holds(op: CompareOp, left: &str, right: &str) -> bool {
    match op {
        CompareOp::Co => left.contains(right),
        CompareOp::Sw => left.starts_with(right),
        CompareOp::Ew => left.ends_with(right),
        CompareOp::Eq
        | CompareOp::Ne
        | CompareOp::Gt
        | CompareOp::Ge
        | CompareOp::Lt
        | CompareOp::Le => ordered(op, left.cmp(right)),
    }
}

fn ordered(op: CompareOp, order: std::cmp::Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

#[cfg(test)]
mod tests;
