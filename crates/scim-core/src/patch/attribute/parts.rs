//! Changes of sub-attributes, from the values that `add` and `replace` give them.

use serde_json::Value;

use crate::admit::coerce::NamedValue;
use crate::patch::{Op, SubEdit, ValueEdit};

/// The changes that `add` or `replace` makes of sub-attributes with these values.
pub(super) fn parts(op: Op, named: Vec<NamedValue>) -> Vec<SubEdit> {
    named
        .into_iter()
        .filter_map(|named| part(op, named))
        .collect()
}

/// Nothing where there is nothing to add to a list.
pub(super) fn part(op: Op, (sub, value): NamedValue) -> Option<SubEdit> {
    let change = match (op, value) {
        (Op::Add, Some(Value::Array(new))) if sub.multi_valued => ValueEdit::Append(new),
        (_, Some(Value::Array(elements))) if sub.multi_valued => ValueEdit::Elements(elements),
        (_, Some(value)) => ValueEdit::Set(value),
        (Op::Add, None) if sub.multi_valued => return None,
        (_, None) => ValueEdit::Unassign,
    };
    Some((sub, change))
}

impl ValueEdit {
    /// The value that the change gives to an attribute without one.
    pub(in crate::patch) fn value(&self) -> Option<Value> {
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
