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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_types_are_as_if_absent() {
        let app = json!({"id": "0oa1", "label": null, "features": ["PUSH", 1, null, "IMPORT"],
            "settings": { "notes": { "admin": "Ours" } }});
        assert_eq!(str_at(&app, "/settings/notes/admin"), Some("Ours"));
        assert_eq!(str_at(&app, "/features/1"), None);
        for absent in ["/label", "/settings", "/absent", "label"] {
            assert_eq!(str_at(&app, absent), None, "{absent}");
        }
        assert_eq!(strs_at(&app, "/features"), ["PUSH", "IMPORT"]);
        for absent in ["/label", "/settings", "/absent", "/id"] {
            assert_eq!(strs_at(&app, absent), [""; 0], "{absent}");
        }
        let id = |value: &Value| object_id(value).map(|id| id.to_string());
        assert_eq!(id(&app).as_deref(), Some("0oa1"));
        for wrong in [json!({}), json!({ "id": 1 }), json!({ "id": "../x" })] {
            assert_eq!(id(&wrong), None, "{wrong}");
        }
    }
}
