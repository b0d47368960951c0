//! Does this resource, or this one value of it, satisfy the filter?
//!
//! The oracle: what is said here the store's SQL must say too. Evaluation is total, it never fails; the
//! combinations that make no sense have been refused by [`crate::scim::filter`]. This module knows nothing of
//! SQL or of paging.
//!
//! Rules where RFC 7644 section 3.4.2.2 is silent: `ne` is the negation of `eq`, so it holds for an unassigned
//! attribute; on a multi-valued attribute it holds where any value differs or none is assigned. `eq null` means
//! unassigned. Text is ordered by its bytes, after folding unless the attribute is `caseExact`.

use std::borrow::Cow;

use serde_json::Value;

use crate::scim::filter::{CompareOp, Filter, Operand};
use crate::scim::name::{fold, fold_user_name};
use crate::scim::registry::AttrRef;
use crate::scim::schema::Type;

/// Whether one element of `attribute` satisfies the filter of the brackets: `type eq "work"` in
/// `emails[type eq "work"]`.
///
/// The paths of the filter are complete (`emails.type`). An element of a simple attribute is its own `value`.
pub fn element_matches(filter: &Filter, attribute: &AttrRef, element: &Value) -> bool {
    match filter {
        Filter::And(terms) => terms
            .iter()
            .all(|term| element_matches(term, attribute, element)),
        Filter::Or(terms) => terms
            .iter()
            .any(|term| element_matches(term, attribute, element)),
        Filter::Not(term) => !element_matches(term, attribute, element),
        Filter::Present(path) => leaf(path, element).is_some_and(assigned),
        Filter::Compare { path, op, value } => {
            let found = leaf(path, element).or_else(|| assumed(path, element));
            compare(path, *op, value, found)
        }
        Filter::Element { filter, .. } => element_matches(filter, attribute, element),
    }
}

/// Whether the value counts as assigned: not null, not empty, and for a complex value not without content.
pub fn assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(assigned),
        Value::Object(members) => members.values().any(assigned),
    }
}

/// The value at the path inside one element of the path's attribute.
fn leaf<'v>(path: &AttrRef, element: &'v Value) -> Option<&'v Value> {
    match (element, &path.sub) {
        (Value::Object(members), Some(sub)) => members.get(&sub.name),
        (Value::Object(_), None) => Some(element),
        (_, Some(sub)) if sub.name != "value" => None,
        _ => Some(element),
    }
}

static FALSE: Value = Value::Bool(false);

/// RFC 7643 section 2.4: a value without `primary` has it false.
fn assumed(path: &AttrRef, element: &Value) -> Option<&'static Value> {
    let sub = path.sub.as_ref()?;
    let is_primary =
        path.attribute.multi_valued && sub.kind == Type::Boolean && sub.name == "primary";
    (is_primary && assigned(element)).then_some(&FALSE)
}

/// One comparison with one value; `None` and an empty value are unassigned.
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

/// One comparison with an assigned value; any operator but `ne`.
fn holds(path: &AttrRef, op: CompareOp, operand: &Operand, value: &Value) -> bool {
    match (operand, value) {
        (Operand::Text(right), Value::String(left)) => {
            text_holds(op, &comparable(path, left), right)
        }
        (Operand::Bool(right), Value::Bool(left)) => op == CompareOp::Eq && left == right,
        (Operand::Number(right), Value::Number(left)) => left
            .as_f64()
            .and_then(|left| left.partial_cmp(right))
            .is_some_and(|order| ordered(op, order)),
        (Operand::Instant(right), Value::String(left)) => left
            .parse::<jiff::Timestamp>()
            .is_ok_and(|left| ordered(op, left.as_microsecond().cmp(right))),
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

/// The stored text as the operand was prepared, so that the two may be compared byte by byte.
fn comparable<'t>(path: &AttrRef, text: &'t str) -> Cow<'t, str> {
    if path.leaf().case_exact {
        Cow::Borrowed(text)
    } else if path.key() == "userName" {
        Cow::Owned(fold_user_name(text).into_string())
    } else {
        Cow::Owned(fold(text).into_string())
    }
}
