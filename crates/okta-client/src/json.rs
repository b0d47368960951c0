//! Helpers to read Okta's JSON, in which unknown fields and nulls are tolerated.

use serde_json::Value;

use crate::org::OktaId;

/// Returns the string at a JSON pointer, if there is one.
///
/// ```
/// let app = serde_json::json!({ "settings": { "notes": { "admin": "Ours" } } });
/// assert_eq!(okta_client::json::str_at(&app, "/settings/notes/admin"), Some("Ours"));
/// assert_eq!(okta_client::json::str_at(&app, "/label"), None);
/// ```
pub fn str_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Returns the strings of the array at a JSON pointer. The result is empty if there is no array.
pub fn strs_at<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Returns the object's own `id`, if it is a valid one.
pub fn object_id(value: &Value) -> Option<OktaId> {
    str_at(value, "/id").and_then(|id| OktaId::parse(id).ok())
}
