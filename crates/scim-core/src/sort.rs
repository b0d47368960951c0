//! The order of a list (RFC 7644 section 3.4.2.3): by one attribute, and among equals by id.
//!
//! The reference for a database's `ORDER BY`, as [`crate::eval`] is for its conditions. Resources
//! without a value come last; descending is the exact reverse of ascending. The module knows
//! nothing of SQL or of paging.
//!
//! ```
//! use scim_core::eval::View;
//! use scim_core::render::Meta;
//! use scim_core::{Compatibility, Document, Registry, Timestamp, sort};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let path = sort::resolve(user, "name.familyName", Compatibility::Strict)?;
//! let path = path.expect("users have this attribute");
//! let meta = Meta {
//!     resource_type: "User",
//!     created: Timestamp::UNIX_EPOCH,
//!     modified: Timestamp::UNIX_EPOCH,
//!     location: "",
//!     version: 1.into(),
//! };
//! let mut users = [
//!     r#"{"userName":"zoe"}"#,
//!     r#"{"userName":"ada","name":{"familyName":"lovelace"}}"#,
//!     r#"{"userName":"carl","name":{"familyName":"Gauss"}}"#,
//! ]
//! .map(|text| Document::parse(text).expect("an object"));
//! users.sort_by_key(|user| sort::key(&path, &View::new(user, &meta)));
//! assert_eq!(users.map(|user| user.0["userName"].to_string()), [r#""carl""#, r#""ada""#, r#""zoe""#]);
//! # Ok::<(), scim_core::ScimError>(())
//! ```

use std::cmp::Ordering;

use serde_json::Value;

use crate::eval::{View, attribute, elements, values_at};
use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Returned, Type, instant};
use crate::{Compatibility, ScimError};

/// The `sortOrder` of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The smallest first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

/// The sort key of one resource: ready to compare, and the greatest of all if it has no value.
#[derive(Debug, Clone)]
pub enum SortKey {
    /// False before true.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Microseconds since the epoch.
    Instant(i64),
    /// Folded unless the attribute is `caseExact`.
    Text(String),
    /// No value; comes last.
    Missing,
}

/// A sort key is put into cursors, and no index has longer ones. Texts that differ only later are
/// equals.
const LONGEST_BYTES: usize = 2_000;

impl Order {
    /// Reads `sortOrder`, in any letter case.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("ascending") {
            Ok(Self::Ascending)
        } else if text.eq_ignore_ascii_case("descending") {
            Ok(Self::Descending)
        } else {
            Err(ScimError::invalid_value(
                "sortOrder must be ascending or descending.",
            ))
        }
    }
}

/// Resolves `sortBy`; returns `None` if the type has no such attribute.
///
/// # Errors
/// `invalidValue` for a complex attribute without `value`, and for one that is never returned,
/// since the order would reveal its values.
pub fn resolve(
    rt: &ResourceType,
    sort_by: &str,
    compatibility: Compatibility,
) -> Result<Option<AttrRef>, ScimError> {
    let sort_by = sort_by.trim();
    let corrected = || match compatibility {
        Compatibility::Tolerant => rt.attr_by_key(&rt.with_colon(sort_by)?),
        Compatibility::Strict => None,
    };
    let Some(path) = rt.attr_by_key(sort_by).or_else(corrected) else {
        return Ok(None);
    };
    let is_never_returned = |returned| returned == Returned::Never;
    if is_never_returned(path.leaf().returned) || is_never_returned(path.attribute.returned) {
        return Err(ScimError::invalid_value(format!(
            "{path} cannot be sorted by, because it is never returned."
        )));
    }
    if !path.leaf().is_complex() {
        return Ok(Some(path));
    }
    // As in filters, `emails` means the value.
    rt.attr_by_key(&format!("{path}.value"))
        .map(Some)
        .ok_or_else(|| {
            let first = path.leaf().sub_attributes.first();
            ScimError::invalid_value(format!(
                "{path} is complex: sort by one of its sub-attributes, such as {path}.{}.",
                first.map_or("value", |sub| &sub.name)
            ))
        })
}

/// The key that orders the resource: of several values the primary one, else the first. The same
/// holds for the values of a sub-attribute that has several.
pub fn key(path: &AttrRef, view: &View) -> SortKey {
    let value = attribute(path, view);
    let elements = elements(value.as_deref());
    let key = |element: &Value| {
        let mut values = values_at(path, element).iter();
        values.find_map(|value| typed(path, value))
    };
    let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
    let mut primary = elements
        .iter()
        .filter(|_| path.attribute.multi_valued)
        .filter(is_primary);
    primary
        .find_map(key)
        .or_else(|| elements.iter().find_map(key))
        .unwrap_or(SortKey::Missing)
}

fn typed(path: &AttrRef, value: &Value) -> Option<SortKey> {
    match (path.leaf().kind, value) {
        (Type::Boolean, Value::Bool(value)) => Some(SortKey::Bool(*value)),
        (Type::Integer | Type::Decimal, Value::Number(number)) => {
            number.as_f64().map(SortKey::Number)
        }
        (Type::DateTime, Value::String(text)) => instant(text).map(SortKey::Instant),
        (Type::String | Type::Reference | Type::Binary, Value::String(text))
            if !text.is_empty() =>
        {
            let mut text = path.comparable(text).into_owned();
            text.truncate(text.floor_char_boundary(LONGEST_BYTES));
            Some(SortKey::Text(text))
        }
        _ => None,
    }
}

impl SortKey {
    /// The order of kinds: where several types are listed, their attributes of one name may be of
    /// several kinds.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
            Self::Missing => 4,
        }
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            // The sum makes one zero of the two that there are; JSON has no NaN.
            (Self::Number(left), Self::Number(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
            (Self::Instant(left), Self::Instant(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for SortKey {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::registry::Extension;
    use crate::render::Meta;
    use crate::schema::Schema;
    use crate::{Document, ErrorKind, Timestamp};

    const X: &str = "urn:x:E";

    fn rt() -> ResourceType {
        let core = r#"{"id": "urn:x:A", "attributes": [
            {"name": "n", "type": "decimal"}, {"name": "i", "type": "integer"},
            {"name": "b", "type": "boolean"}, {"name": "t", "type": "dateTime"},
            {"name": "s"}, {"name": "e", "caseExact": true},
            {"name": "never", "returned": "never"},
            {"name": "secret", "type": "complex", "returned": "never",
             "subAttributes": [{"name": "value"}]},
            {"name": "half", "type": "complex", "subAttributes": [{"name": "a"},
             {"name": "value", "returned": "never"}]},
            {"name": "c", "type": "complex", "subAttributes": [{"name": "first"}]},
            {"name": "one", "type": "complex", "subAttributes": [
             {"name": "value"}, {"name": "primary", "type": "boolean"}]},
            {"name": "list", "type": "complex", "multiValued": true, "subAttributes": [
             {"name": "value"}, {"name": "primary", "type": "boolean"},
             {"name": "tags", "multiValued": true}]}]}"#;
        let extension = r#"{"id": "urn:x:E", "attributes": [{"name": "s"}]}"#;
        let parse = |text| Arc::new(Schema::parse(text).unwrap());
        let extension = Extension {
            schema: parse(extension),
            required: false,
        };
        ResourceType::new("A", "/As", "", parse(core), vec![extension]).unwrap()
    }

    fn key_of(path: &str, document: &Value) -> SortKey {
        let rt = rt();
        let path = resolve(&rt, path, Compatibility::Strict).unwrap().unwrap();
        let document = Document(document.as_object().unwrap().clone());
        let meta = Meta {
            resource_type: "A",
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::from_second(1).unwrap(),
            location: "l",
            version: 1.into(),
        };
        key(&path, &View::new(&document, &meta))
    }

    #[test]
    fn orders() {
        assert_eq!(Order::parse(" ASCENDING "), Ok(Order::Ascending));
        assert_eq!(Order::parse("descending"), Ok(Order::Descending));
        let error = Order::parse("up").unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
    }

    #[test]
    fn paths() {
        use Compatibility::{Strict, Tolerant};
        let rt = rt();
        let check = |sort_by: &str, compatibility, expected: Option<&str>| {
            let found = resolve(&rt, sort_by, compatibility).unwrap();
            assert_eq!(found.as_ref().map(AttrRef::key), expected, "{sort_by}");
        };
        check(" S ", Strict, Some("s"));
        check("list", Strict, Some("list.value"));
        check("meta.created", Strict, Some("meta.created"));
        check("nope", Tolerant, None);
        check("urn:x:E.s", Tolerant, Some("urn:x:E:s"));
        check("urn:x:E.s", Strict, None);
        let check_error = |sort_by: &str, expected: &str| {
            let error = resolve(&rt, sort_by, Strict).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidValue, "{sort_by}");
            assert!(error.detail.contains(expected), "{error}");
        };
        check_error("never", "never returned");
        check_error("secret.value", "never returned");
        check_error("half.value", "never returned");
        check_error("c", "such as c.first");
    }

    #[test]
    fn keys() {
        let check = |path: &str, document: Value, expected: SortKey| {
            let found = key_of(path, &document);
            assert_eq!(found.rank(), expected.rank(), "{path} {document}");
            assert_eq!(found, expected, "{path} {document}");
        };
        let text = |text: &str| SortKey::Text(text.to_owned());
        check("n", json!({"n": 1.5}), SortKey::Number(1.5));
        check("i", json!({"i": 2}), SortKey::Number(2.0));
        check("b", json!({"b": true}), SortKey::Bool(true));
        let time = json!({"t": "1970-01-01T00:00:01Z"});
        check("t", time, SortKey::Instant(1_000_000));
        check("meta.lastModified", json!({}), SortKey::Instant(1_000_000));
        check("s", json!({"s": "Å"}), text("å"));
        check("e", json!({"e": "Å"}), text("Å"));
        check("s", json!({"s": ""}), SortKey::Missing);
        check("s", json!({"s": 7}), SortKey::Missing);
        check("s", json!({}), SortKey::Missing);
        check(&format!("{X}:s"), json!({X: {"s": "a"}}), text("a"));
        let long = json!({"e": format!("{}é", "x".repeat(1_999))});
        check("e", long, text(&"x".repeat(1_999)));
        let list = json!({"list": [{"value": "a"}, {"value": "b", "primary": true}]});
        check("list", list, text("b"));
        let list = json!({"list": [{"value": ""}, {"value": "b"}, {"primary": true}]});
        check("list", list, text("b"));
        let list = json!({"list": [{"tags": []}, {"tags": ["", "y", "x"]}]});
        check("list.tags", list, text("y"));
    }

    #[test]
    fn the_order_of_keys() {
        let text = |text: &str| SortKey::Text(text.to_owned());
        let ascending = [
            SortKey::Bool(false),
            SortKey::Bool(true),
            SortKey::Number(-2.0),
            SortKey::Number(0.5),
            SortKey::Number(3.0),
            SortKey::Instant(-1),
            SortKey::Instant(5),
            text("a"),
            text("b"),
            SortKey::Missing,
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(left.cmp(right), index.cmp(&other), "{left:?} {right:?}");
                assert_eq!(left.partial_cmp(right), Some(index.cmp(&other)));
                assert_eq!(left == right, index == other, "{left:?} {right:?}");
            }
        }
        assert_eq!(SortKey::Number(-0.0), SortKey::Number(0.0));
        assert_eq!(SortKey::Number(0.0), SortKey::Number(-0.0));
    }
}
