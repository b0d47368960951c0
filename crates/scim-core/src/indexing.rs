//! The values of a document that a database indexes: rows for the declared paths, and columns for
//! the attributes that nearly every request looks up.
//!
//! The module knows nothing of how the rows are stored.
//!
//! ```
//! use scim_core::{Document, Registry, indexing};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let text = r#"{"userName":"Ada","emails":[{"value":"Ada@Example.com","type":"work"}]}"#;
//! let document = Document::parse(text)?;
//! assert_eq!(indexing::hot_columns(user, &document).user_name.as_deref(), Some("ada"));
//! let rows = indexing::index_rows(user, &document);
//! let rows: Vec<_> = rows.iter().map(|row| (row.path.key(), row.text.as_deref())).collect();
//! assert!(rows.contains(&("emails.value", Some("ada@example.com"))));
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde_json::Value;

use crate::Document;
use crate::eval::{assigned, elements};
use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Type, Uniqueness, instant};

/// One value under an indexed path.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    /// The indexed path.
    pub path: AttrRef,
    /// The index of the element in its array; 0 for a single-valued attribute. If the sub-attribute
    /// has several values, the index of the value among all values of the attribute.
    pub position: i32,
    /// Folded, or raw where the attribute is `caseExact`.
    pub text: Option<String>,
    /// A number, a boolean as 0 or 1, or a `dateTime` in microseconds since the epoch.
    pub num: Option<f64>,
    /// The set of values in which this one must be unique, if the attribute is unique.
    pub unique_in: Option<String>,
}

/// Single-valued attributes that are columns of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HotColumns {
    /// Folded.
    pub user_name: Option<String>,
    /// Unchanged.
    pub external_id: Option<String>,
    /// Folded.
    pub display_name: Option<String>,
    /// The `active` of a user.
    pub active: Option<bool>,
}

/// Returns the display name of a resource in the lists of members and groups: its `userName`, or
/// else its `displayName`.
pub fn label(document: &Document) -> Option<String> {
    ["userName", "displayName"]
        .iter()
        .find_map(|name| document.0.get(*name)?.as_str())
        .map(str::to_owned)
}

/// Returns the rows of the index: for the paths that the type marks as indexed, and no other.
///
/// Unassigned values have no row; neither have values whose type is not the schema's.
pub fn index_rows(rt: &ResourceType, document: &Document) -> Vec<IndexRow> {
    let mut rows = Vec::new();
    for path in &rt.indexed {
        let start = rows.len();
        rows.extend(rows_at(path, document));
        if let Some(space) = unique_in(rt, path) {
            for row in rows.iter_mut().skip(start) {
                row.unique_in = Some(space.clone());
            }
        }
    }
    rows
}

/// Returns the rows of one path, of an attribute that is not unique.
pub fn rows_at(path: &AttrRef, document: &Document) -> Vec<IndexRow> {
    values_at(path, document)
        .filter_map(|(position, value)| row(path, position, value))
        .collect()
}

/// Returns the assigned values at the path, whatever their type, each with the position of its row.
pub fn values_at<'d>(
    path: &AttrRef,
    document: &'d Document,
) -> impl Iterator<Item = (i32, &'d Value)> {
    let elements = elements(top_level(document, path));
    let is_list = path.sub.as_ref().is_some_and(|sub| sub.multi_valued);
    let below = move |element: &'d Value| match &path.sub {
        Some(sub) => element.get(&sub.name),
        None => Some(element),
    };
    let lists = elements.iter().filter(move |_| is_list);
    let lists = lists.flat_map(move |element| self::elements(below(element)));
    let singles = (0..).zip(elements).filter(move |_| !is_list);
    let singles = singles.filter_map(move |(position, element)| Some((position, below(element)?)));
    let all = (0..).zip(lists).chain(singles);
    all.filter(|(_, value)| assigned(value))
}

/// Returns the values of the columns that every resource has beside its document.
pub fn hot_columns(rt: &ResourceType, document: &Document) -> HotColumns {
    let text = |name: &str| -> Option<String> {
        let path = rt.attr_by_key(name)?;
        let text = top_level(document, &path)?.as_str()?;
        Some(path.comparable(text).into_owned())
    };
    HotColumns {
        user_name: text("userName"),
        external_id: text("externalId"),
        display_name: text("displayName"),
        active: document.0.get("active").and_then(Value::as_bool),
    }
}

/// Returns the whole value of the path's attribute.
fn top_level<'d>(document: &'d Document, path: &AttrRef) -> Option<&'d Value> {
    let map = match &path.container {
        Some(urn) => document.0.get(urn.as_ref())?.as_object()?,
        None => &document.0,
    };
    map.get(&path.attribute.name)
}

fn row(path: &AttrRef, position: i32, value: &Value) -> Option<IndexRow> {
    let (text, num) = match (path.leaf().kind, value) {
        (Type::Boolean, Value::Bool(value)) => (None, Some(f64::from(u8::from(*value)))),
        (Type::Integer | Type::Decimal, Value::Number(number)) => (None, Some(number.as_f64()?)),
        // Microseconds are exact in a double until the year 2255.
        (Type::DateTime, Value::String(text)) => (None, instant(text)?.to_string().parse().ok()),
        (Type::String | Type::Reference | Type::Binary, Value::String(text)) => {
            (Some(path.comparable(text).into_owned()), None)
        }
        _ => return None,
    };
    Some(IndexRow {
        path: path.clone(),
        position,
        text,
        num,
        unique_in: None,
    })
}

/// Returns the rule by which the rows of a path are made: if this text changes, the existing rows
/// have to be rebuilt.
pub fn index_rule(rt: &ResourceType, path: &AttrRef) -> String {
    let leaf = path.leaf();
    let kind = match leaf.kind {
        Type::String | Type::Reference | Type::Binary if leaf.case_exact => "exact",
        Type::String | Type::Reference | Type::Binary => "folded",
        Type::Boolean => "truth",
        Type::Integer | Type::Decimal => "number",
        Type::DateTime => "instant",
        Type::Complex => "none",
    };
    // Earlier versions made no rows of such lists.
    let each = match &path.sub {
        Some(sub) if sub.multi_valued => ", each value",
        _ => "",
    };
    match unique_in(rt, path) {
        Some(space) => format!("{kind}{each}, unique in {space}"),
        None => format!("{kind}{each}"),
    }
}

/// Returns the name of the set of values that the path's values must differ in: `server` is within
/// the type, `global` wherever the same schema is in use.
pub fn unique_in(rt: &ResourceType, path: &AttrRef) -> Option<String> {
    match path.leaf().uniqueness {
        Uniqueness::None => None,
        Uniqueness::Server => Some(format!("{} {}", rt.name, path.key())),
        Uniqueness::Global if path.container.is_some() => Some(path.key().to_owned()),
        Uniqueness::Global => Some(format!("{}:{}", rt.schema.id, path.key())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;
    use crate::schema::Schema;

    fn document(value: &Value) -> Document {
        Document(value.as_object().unwrap().clone())
    }

    fn check(
        rt: &ResourceType,
        value: &Value,
        expected: &[(&str, i32, Option<&str>, Option<f64>)],
    ) {
        let rows = index_rows(rt, &document(value));
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.path.key(), row.position, row.text.as_deref(), row.num))
            .collect();
        assert_eq!(rows, expected, "{value}");
    }

    #[test]
    fn rows_of_users() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let enterprise = crate::name::ENTERPRISE_USER;
        check(user, &json!({"userName": "a", "title": "not indexed"}), &[]);
        check(
            user,
            &json!({
                "name": {"familyName": "Ångström"},
                "emails": [{"value": "A@X"}, {"type": "Work"}, {"value": "b@x", "type": "home"}],
                enterprise: {"department": "R&D", "manager": {"value": "U1"}},
            }),
            &[
                ("emails.value", 0, Some("a@x"), None),
                ("emails.value", 2, Some("b@x"), None),
                ("emails.type", 1, Some("work"), None),
                ("emails.type", 2, Some("home"), None),
                ("name.familyName", 0, Some("ångström"), None),
                (&format!("{enterprise}:department"), 0, Some("r&d"), None),
                (&format!("{enterprise}:manager.value"), 0, Some("U1"), None),
            ],
        );
        // Values of other types, as in a damaged document, have no rows.
        check(
            user,
            &json!({"emails": {"value": 5}, "name": "x", enterprise: []}),
            &[],
        );
    }

    #[test]
    fn rows_of_every_type() {
        let text = r#"{"id":"urn:x:A","name":"A","attributes":[{"name":"b","type":"boolean"},{"name":"n","type":"decimal"},{"name":"d","type":"dateTime"},{"name":"l","multiValued":true}]}"#;
        let schema = std::sync::Arc::new(Schema::parse(text).unwrap());
        let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
        let rt = rt.index(&["b", "n", "d", "l"]).unwrap();
        check(
            &rt,
            &json!({"b": true, "n": 1.5, "d": "1970-01-01T00:00:01Z", "l": ["X", "y"]}),
            &[
                ("b", 0, None, Some(1.0)),
                ("n", 0, None, Some(1.5)),
                ("d", 0, None, Some(1_000_000.0)),
                ("l", 0, Some("x"), None),
                ("l", 1, Some("y"), None),
            ],
        );
        check(&rt, &json!({"b": "true", "n": "1", "d": "yesterday"}), &[]);
    }

    #[test]
    fn rows_of_lists_below() {
        let text = r#"{"id":"urn:x:A","name":"A","attributes":[
            {"name":"home","type":"complex","subAttributes":[
                {"name":"rooms","multiValued":true},{"name":"floor","type":"integer"}]},
            {"name":"places","type":"complex","multiValued":true,"subAttributes":[
                {"name":"keys","multiValued":true,"uniqueness":"server"},
                {"name":"tags","multiValued":true}]}]}"#;
        let schema = std::sync::Arc::new(Schema::parse(text).unwrap());
        let new = || ResourceType::new("A", "/As", "", schema.clone(), vec![]).unwrap();
        let rt = new().index(&["home.rooms", "home.floor"]).unwrap();
        check(
            &rt,
            &json!({
                "home": {"rooms": ["X", "", 5, "y"], "floor": 1},
                "places": [{"keys": ["k", "L"]}, {"tags": ["t"]}, {"keys": ["m"]}],
            }),
            &[
                ("home.rooms", 0, Some("x"), None),
                ("home.rooms", 3, Some("y"), None),
                ("home.floor", 0, None, Some(1.0)),
                ("places.keys", 0, Some("k"), None),
                ("places.keys", 1, Some("l"), None),
                ("places.keys", 2, Some("m"), None),
            ],
        );
        // Earlier versions wrote a list of one so.
        check(
            &rt,
            &json!({"home": {"rooms": "X"}}),
            &[("home.rooms", 0, Some("x"), None)],
        );
        let rule = |key: &str| index_rule(&rt, &rt.attr_by_key(key).unwrap());
        assert_eq!(rule("home.rooms"), "folded, each value");
        assert_eq!(rule("home.floor"), "number");
        assert_eq!(
            rule("places.keys"),
            "folded, each value, unique in A places.keys"
        );
        assert_eq!(rule("home"), "none");
        let refused = new().index(&["places.tags"]).unwrap_err();
        assert!(refused.contains("lists inside a list"), "{refused}");
    }

    #[test]
    fn rules_of_every_type() {
        let extension =
            r#"{"id": "urn:x:E", "attributes": [{"name": "g", "uniqueness": "global"}]}"#;
        let core = r#"{"id": "urn:x:A", "attributes": [{"name": "e", "caseExact": true},
            {"name": "b", "type": "boolean"}, {"name": "d", "type": "dateTime"}, {"name": "s"},
            {"name": "r", "type": "reference"}, {"name": "g", "uniqueness": "global"}]}"#;
        let parse = |text| std::sync::Arc::new(Schema::parse(text).unwrap());
        let extension = crate::registry::Extension {
            schema: parse(extension),
            required: false,
        };
        let rt = ResourceType::new("A", "/As", "", parse(core), vec![extension]).unwrap();
        for (key, expected) in [
            ("e", "exact"),
            ("b", "truth"),
            ("d", "instant"),
            ("s", "folded"),
            ("r", "exact"),
            ("g", "folded, unique in urn:x:A:g"),
            ("urn:x:E:g", "folded, unique in urn:x:E:g"),
        ] {
            assert_eq!(index_rule(&rt, &rt.attr_by_key(key).unwrap()), expected);
        }
    }

    #[test]
    fn labels() {
        let check = |value: Value, expected: Option<&str>| {
            assert_eq!(label(&document(&value)).as_deref(), expected, "{value}");
        };
        check(
            json!({"userName": "ada", "displayName": "Ada"}),
            Some("ada"),
        );
        check(json!({"displayName": "G"}), Some("G"));
        check(json!({"title": "x"}), None);
    }

    #[test]
    fn columns() {
        let registry = Registry::standard();
        let check = |name: &str, value: Value, expected: HotColumns| {
            let rt = registry.by_name(name).unwrap();
            assert_eq!(hot_columns(rt, &document(&value)), expected, "{value}");
        };
        check("User", json!({}), HotColumns::default());
        check(
            "User",
            json!({"userName": "ＡDA", "externalId": "00uA", "displayName": "Ada", "active": false}),
            HotColumns {
                user_name: Some("ada".to_owned()),
                external_id: Some("00uA".to_owned()),
                display_name: Some("ada".to_owned()),
                active: Some(false),
            },
        );
        check(
            "Group",
            json!({"displayName": "G", "userName": "no attribute of groups"}),
            HotColumns {
                display_name: Some("g".to_owned()),
                ..HotColumns::default()
            },
        );
    }
}
