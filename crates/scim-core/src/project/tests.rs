use serde_json::json;

use super::*;
use crate::{ErrorKind, Registry};

const EU: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user() -> Value {
    json!({
        "schemas": ["s"],
        "id": "1",
        "userName": "ada",
        "name": {"givenName": "Ada", "familyName": "Byron"},
        "emails": [{"value": "a@x", "type": "work"}, {"value": "b@x"}],
        "password": "leak",
        EU: {"department": "d", "manager": {"value": "m", "displayName": "M"}},
        "urn:x:Other": {"any": [1]},
        "groups": [],
        "meta": {"resourceType": "User", "location": "l"}
    })
}

fn check_with(attributes: &str, excluded: &str, expected: Value) {
    let registry = Registry::standard();
    let selection = Selection::parse(Some(attributes), Some(excluded)).unwrap();
    let Value::Object(mut resource) = user() else {
        unreachable!()
    };
    project(registry.by_name("User").unwrap(), &mut resource, &selection);
    assert_eq!(
        Value::Object(resource),
        expected,
        "{attributes} / {excluded}"
    );
}

/// Checks the attributes that are shown besides `schemas` and `id`.
fn check(attributes: &str, mut expected: Value) {
    expected["schemas"] = json!(["s"]);
    expected["id"] = json!("1");
    check_with(attributes, "", expected);
}

/// The whole user after these changes.
fn check_excluded(excluded: &str, change: impl Fn(&mut Map<String, Value>)) {
    let Value::Object(mut expected) = user() else {
        unreachable!()
    };
    expected.remove("password");
    change(&mut expected);
    check_with("", excluded, Value::Object(expected));
}

// R7643-7-06, R7644-3.10-01, R7644-3.10-02, R7644-3.9-02, R7644-3.9-06, R7644-3.9-07, R7644-3.9-10
#[test]
fn only() {
    check("userName", json!({"userName": "ada"}));
    check(" USERNAME , id,, ", json!({"userName": "ada"}));
    check(
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
        json!({"userName": "ada"}),
    );
    check("nope", json!({}));
    check("password", json!({}));
    check("name.givenName", json!({"name": {"givenName": "Ada"}}));
    check(
        "name.givenName,name",
        json!({"name": {"givenName": "Ada", "familyName": "Byron"}}),
    );
    check("emails.type", json!({"emails": [{"type": "work"}]}));
    check("emails.display", json!({}));
    check("groups", json!({"groups": []}));
    check("meta.location", json!({"meta": {"location": "l"}}));
    check(
        &format!("{EU}:department"),
        json!({EU: {"department": "d"}}),
    );
    check(
        &format!("{}:MANAGER.value", EU.to_uppercase()),
        json!({EU: {"manager": {"value": "m"}}}),
    );
    check(
        EU,
        json!({EU: {"department": "d", "manager": {"value": "m", "displayName": "M"}}}),
    );
    check("URN:X:other", json!({"urn:x:Other": {"any": [1]}}));
    check("department", json!({}));
}

// R7644-3.9-01, R7644-3.9-03, R7644-3.9-06
#[test]
fn except() {
    check_excluded("", |_| {});
    check_excluded("nope", |_| {});
    check_excluded("id,schemas", |_| {});
    check_excluded("meta", |user| {
        user.remove("meta");
    });
    check_excluded("name.familyName,emails", |user| {
        user.remove("emails");
        user["name"].as_object_mut().unwrap().remove("familyName");
    });
    check_excluded("emails.value", |user| {
        user["emails"] = json!([{"type": "work"}]);
    });
    check_excluded(EU, |user| {
        user.remove(EU);
    });
    check_excluded(
        &format!("{EU}:department,{EU}:manager,urn:x:Other"),
        |user| {
            user.remove(EU);
            user.remove("urn:x:Other");
        },
    );
}

#[test]
fn what_a_write_names_is_returned() {
    let text = r#"{"id":"urn:x:A","attributes":[
        {"name":"r","returned":"request"}, {"name":"q","returned":"request"},
        {"name":"c","type":"complex","multiValued":true,"subAttributes":[
            {"name":"d"},{"name":"r","returned":"request"},{"name":"q","returned":"request"}]}]}"#;
    let schema = std::sync::Arc::new(crate::schema::Schema::parse(text).unwrap());
    let extension = r#"{"id":"urn:x:E","attributes":[{"name":"r","returned":"request"}]}"#;
    let extension = crate::registry::Extension {
        schema: std::sync::Arc::new(crate::schema::Schema::parse(extension).unwrap()),
        required: false,
    };
    let rt = ResourceType::new("A", "/As", "", schema, vec![extension]).unwrap();
    let check = |body: Value, excluded: Option<&str>, expected: Value| {
        let value = json!({"r": 1, "q": 1, "c": [{"d": 1, "r": 1, "q": 1}], "urn:x:E": {"r": 1}});
        let mut resource = value.as_object().unwrap().clone();
        let selection = Selection::parse(None, excluded).unwrap();
        project(&rt, &mut resource, &selection.and_sent(&rt, &body));
        assert_eq!(Value::Object(resource), expected, "{body} {excluded:?}");
    };
    let d = json!([{"d": 1}]);
    check(json!({}), None, json!({"c": d}));
    check(json!({"R": 1}), None, json!({"r": 1, "c": d}));
    check(json!({"R": 1}), Some("c"), json!({"r": 1}));
    check(json!({"R": 1}), Some("r"), json!({"c": d}));
    check(json!({"urn:x:A:r": 1}), None, json!({"r": 1, "c": d}));
    check(json!({"urn:x:A": {"r": 1}}), None, json!({"r": 1, "c": d}));
    check(
        json!({"urn:x:E": {"r": 1}}),
        None,
        json!({"c": d, "urn:x:E": {"r": 1}}),
    );
    check(
        json!({"urn:x:E.r": 1}),
        None,
        json!({"c": d, "urn:x:E": {"r": 1}}),
    );
    let whole = json!([{"d": 1, "r": 1, "q": 1}]);
    check(json!({"c": [{"r": 1}]}), None, json!({"c": whole}));
    check(json!({"c.r": 1}), None, json!({"c": [{"d": 1, "r": 1}]}));
    check(json!({"c.r": 1}), Some("c.r"), json!({"c": d}));
    let patch = |operation: Value| json!({"operations": [operation]});
    check(patch(json!({"path": "r"})), None, json!({"r": 1, "c": d}));
    check(
        patch(json!({"path": "c[d eq 1].r"})),
        None,
        json!({"c": whole}),
    );
    check(
        patch(json!({"value": {"q": 1}})),
        None,
        json!({"q": 1, "c": d}),
    );
    check(
        patch(json!({"path": "urn:x:E", "value": {"r": 1}})),
        None,
        json!({"c": d, "urn:x:E": {"r": 1}}),
    );
}

#[test]
fn parts_of_undeclared_extensions() {
    let registry = Registry::standard();
    let user = registry.by_name("User").unwrap();
    let check = |attributes: Option<&str>, excluded: Option<&str>, expected: Value| {
        let value = json!({"urn:x:y": {
            "One": {"a": 1, "b": 2}, "list": [{"a": 1, "b": 2}, {"b": 3}, 4], "text": "t"}});
        let mut resource = value.as_object().unwrap().clone();
        project(
            user,
            &mut resource,
            &Selection::parse(attributes, excluded).unwrap(),
        );
        assert_eq!(
            Value::Object(resource),
            expected,
            "{attributes:?} {excluded:?}"
        );
    };
    let only = |names: &str, expected: Value| check(Some(names), None, expected);
    only("urn:x:Y:one.A", json!({"urn:x:y": {"One": {"a": 1}}}));
    only("urn:x:y:one.c", json!({}));
    only(
        "urn:x:y:one,urn:x:y:one.a",
        json!({"urn:x:y": {"One": {"a": 1, "b": 2}}}),
    );
    only("urn:x:y:list.a", json!({"urn:x:y": {"list": [{"a": 1}]}}));
    only("urn:x:y:list.c", json!({}));
    only("urn:x:y:text", json!({"urn:x:y": {"text": "t"}}));
    only("urn:x:y:text.a", json!({}));
    only("urn:x:y:tex", json!({}));
    let except = |names: &str, expected: Value| check(None, Some(names), expected);
    except(
        "urn:x:y:one.A,urn:x:y:list.b",
        json!({"urn:x:y": {"One": {"b": 2}, "list": [{"a": 1}, {}, 4], "text": "t"}}),
    );
    except(
        "urn:x:y:one,urn:x:y:LIST",
        json!({"urn:x:y": {"text": "t"}}),
    );
    except("urn:x:y:one,urn:x:y:list,urn:x:y:text", json!({}));
}

#[test]
fn the_parameter_that_chose() {
    let check = |attributes, excluded, parameter: &str, names: &[&str]| {
        let selection = Selection::parse(attributes, excluded).unwrap();
        let (found, found_names) = selection.named();
        assert_eq!(found, parameter);
        assert_eq!(found_names, names);
        assert_eq!(selection.is_all(), names.is_empty());
        let mask = FieldMask::new(["userName".to_owned()].into());
        let masked = selection.within(Some(mask));
        assert!(!masked.is_all());
        let registry = Registry::standard();
        assert!(!masked.shows_whole_document(registry.by_name("User").unwrap()));
    };
    check(None, Some(" , "), "", &[]);
    check(Some("a, b"), None, "attributes", &["a", "b"]);
    check(None, Some("a"), "excludedAttributes", &["a"]);
}

// R7644-3.9-04
#[test]
fn both_are_refused() {
    let error = Selection::parse(Some("a"), Some("b")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidValue);
}

#[test]
fn what_to_load() {
    let registry = Registry::standard();
    let group = registry.by_name("Group").unwrap();
    let check = |attributes, excluded, wanted: bool, whole: bool| {
        let selection = Selection::parse(attributes, excluded).unwrap();
        let found = (
            selection.wants(group, "members"),
            selection.shows_whole_document(group),
        );
        assert_eq!(found, (wanted, whole), "{attributes:?} {excluded:?}");
    };
    check(None, None, true, true);
    check(Some(""), Some(""), true, true);
    check(Some("displayName"), None, false, false);
    check(Some("members"), None, true, false);
    check(Some("members.value"), None, true, false);
    check(None, Some("members"), false, true);
    check(None, Some("Members,nope"), false, true);
    check(None, Some("members.value"), true, false);
    check(None, Some("members,displayName"), false, false);
    check(None, Some("meta"), true, false);
    check(None, Some("urn:x:y"), true, false);
    assert!(!Selection::all().wants(group, "groups"));
}

// R7643-7-05, R7643-7-06, R7643-7-07, R7644-3.9-01, R7644-3.9-08
#[test]
fn returned_on_request() {
    let text = r#"{"id":"urn:x:A","name":"A","attributes":[
        {"name":"r","returned":"request"},
        {"name":"n","returned":"never"},
        {"name":"c","type":"complex","subAttributes":[{"name":"a","returned":"always"},{"name":"d"},{"name":"r","returned":"request"}]}]}"#;
    let schema = std::sync::Arc::new(crate::schema::Schema::parse(text).unwrap());
    let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
    assert!(!rt.is_returned_whole());
    let check = |attributes: &str, expected: Value| {
        let value = json!({"r": 1, "n": 1, "c": {"a": 1, "d": 1, "r": 1}});
        let mut resource = value.as_object().unwrap().clone();
        let selection = Selection::parse(Some(attributes), None).unwrap();
        project(&rt, &mut resource, &selection);
        assert_eq!(Value::Object(resource), expected, "{attributes}");
    };
    check("", json!({"c": {"a": 1, "d": 1}}));
    check("r,n", json!({"r": 1}));
    check("c.r", json!({"c": {"a": 1, "r": 1}}));
    check("c", json!({"c": {"a": 1, "d": 1}}));
    check("urn:x:A", json!({"c": {"a": 1, "d": 1}}));
}
