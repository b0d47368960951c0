//! Changes of sub-attributes, from the values that `add` and `replace` give them.

use serde_json::Value;

use crate::coerce::NamedValue;
use crate::patch::edit::{SubEdit, ValueEdit};
use crate::patch::operation::Op;

/// The changes that `add` or `replace` makes of sub-attributes with these values.
pub(super) fn parts(op: Op, named: Vec<NamedValue>) -> Vec<SubEdit> {
    named
        .into_iter()
        .filter_map(|named| part(op, named))
        .collect()
}

/// Nothing where there is nothing to add to a list. The value has been read: only that of a
/// multi-valued sub-attribute is a list.
pub(super) fn part(op: Op, (sub, value): NamedValue) -> Option<SubEdit> {
    let change = match (op, value) {
        (Op::Add, Some(Value::Array(new))) => ValueEdit::Append(new),
        (_, Some(Value::Array(elements))) => ValueEdit::Elements(elements),
        (_, Some(value)) => ValueEdit::Set(value),
        (Op::Add, None) if sub.multi_valued => return None,
        (_, None) => ValueEdit::Unassign,
    };
    Some((sub, change))
}
