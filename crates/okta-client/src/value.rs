//! Reading Okta's JSON, whose unknown fields and nulls are tolerated.

use serde_json::Value;

use crate::OktaId;

/// The text at a JSON pointer.
pub fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The object's own id.
pub fn id_of(value: &Value) -> Option<OktaId> {
    text(value, "/id").and_then(|id| OktaId::parse(id).ok())
}

/// The texts of a list.
pub fn texts<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A text inside the quotes of one of Okta's filters.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
