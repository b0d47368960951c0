//! Rows that only one line of the code decides.

use super::*;

#[test]
fn a_filter_and_an_empty_text_remove_the_element() {
    let emails = json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]});
    check(
        emails,
        json!([{"op": "remove", "path": "emails[type eq \"work\"]", "value": ""}]),
        json!({"emails": [{"value": "b"}]}),
    );
}

#[test]
fn activity_is_left_by_no_value_and_taken_by_a_remove() {
    for value in [json!(null), json!(""), json!([])] {
        check(
            json!({"active": false}),
            json!([{"op": "replace", "path": "active", "value": value}]),
            json!({"active": false}),
        );
        check(
            json!({"active": false}),
            json!([{"op": "add", "value": {"active": value}}]),
            json!({"active": false}),
        );
    }
    check(
        json!({"active": false}),
        json!([{"op": "remove", "path": "active", "value": null}]),
        json!({}),
    );
    check(
        json!({"title": "x"}),
        json!([{"op": "replace", "path": "title", "value": null}]),
        json!({}),
    );
}

/// Builds a user with one more extension.
fn with_extension(attributes: &str, required: bool) -> ResourceType {
    let text = format!(r#"{{"id": "urn:x:E", "attributes": {attributes}}}"#);
    let standard = user();
    let extension = Extension {
        schema: Arc::new(Schema::parse(&text).unwrap()),
        required,
    };
    let schema = standard.schema.clone();
    ResourceType::new("User", "/Users", "", schema, vec![extension]).unwrap()
}

#[test]
fn an_extension_that_is_required_is_not_removed() {
    let optional = r#"[{"name": "a"}]"#;
    let needed = r#"[{"name": "a", "required": true}]"#;
    for (attributes, required, is_ok) in [
        (optional, false, true),
        (optional, true, false),
        (needed, false, false),
    ] {
        let rt = with_extension(attributes, required);
        let document = json!({"urn:x:E": {"a": "x"}});
        let operations = json!([{"op": "remove", "path": "urn:x:E"}]);
        let patched = run(&rt, &document, &operations);
        assert_eq!(patched.is_ok(), is_ok, "{attributes} {required}");
    }
}

#[test]
fn a_reference_goes_with_the_value_that_it_belongs_to() {
    let rt = with_extension(
        r#"[{"name": "boss", "type": "complex", "subAttributes": [
            {"name": "value"}, {"name": "$ref", "type": "reference"}, {"name": "note"}]}]"#,
        false,
    );
    let boss = |boss: Value| json!({"urn:x:E": {"boss": boss}});
    let check = |value: Value, expected: Value| {
        let document = boss(json!({"value": "b1", "$ref": "https://h/Users/b1", "note": "x"}));
        let operations = json!([{"op": "replace", "path": "urn:x:E:boss", "value": value}]);
        let patched = run(&rt, &document, &operations).unwrap();
        let expected = complete(&rt, &boss(expected));
        assert_eq!(patched.document, expected, "{operations}");
    };
    check(
        json!({"note": "y"}),
        json!({"value": "b1", "$ref": "https://h/Users/b1", "note": "y"}),
    );
    check(json!({"value": "b2"}), json!({"value": "b2", "note": "x"}));
    check(
        json!({"value": "b1"}),
        json!({"value": "b1", "$ref": "https://h/Users/b1", "note": "x"}),
    );
    check(
        json!({"value": "b2", "$ref": "https://h/Users/b2"}),
        json!({"value": "b2", "$ref": "https://h/Users/b2", "note": "x"}),
    );
}

#[test]
fn parts_of_undeclared_objects_by_dotted_names() {
    let object = |members: Value| json!({X: {"o": members}});
    check(
        object(json!({"a": 1, "b": 2})),
        json!([{"op": "replace", "value": {X: {"o.a": null}}}]),
        object(json!({"b": 2})),
    );
    check(
        object(json!({"a": 1})),
        json!([{"op": "replace", "value": {X: {"o.a": null}}}]),
        json!({}),
    );
    check(
        object(json!({"a": 1})),
        json!([{"op": "add", "value": {X: {"o.a": null}}}]),
        object(json!({"a": 1})),
    );
    let value = json!([{"op": "replace", "value": {X: {"o.a": 1}}}]);
    check_error(json!({X: {"o": "text"}}), value, ErrorKind::InvalidPath);
}

#[test]
fn the_element_that_a_filter_and_a_value_describe() {
    let list = |element: Value| json!({X: {"list": [element]}});
    let path = format!("{X}:list[type eq \"work\"]");
    let add = |tail: &str, value: Value| json!([{"op": "add", "path": format!("{path}{tail}"), "value": value}]);
    let before = || list(json!({"type": "home"}));
    let both = |element: Value| json!({X: {"list": [{"type": "home"}, element]}});
    check(
        before(),
        add(".type", json!("work")),
        both(json!({"type": "work"})),
    );
    check_error(before(), add(".type", json!("other")), ErrorKind::NoTarget);
    check(
        before(),
        add("", json!({"TYPE": "work", "a": 1})),
        both(json!({"type": "work", "a": 1})),
    );
    check_error(before(), add("", json!({"type": "x"})), ErrorKind::NoTarget);
    check_error(before(), add("", json!("work")), ErrorKind::NoTarget);
    let value = format!("{X}:list[value eq \"b\"]");
    let operations = |text: &str| json!([{"op": "add", "path": value, "value": text}]);
    check(
        json!({X: {"list": ["a"]}}),
        operations("b"),
        json!({X: {"list": ["a", "b"]}}),
    );
    check_error(
        json!({X: {"list": ["a"]}}),
        operations("c"),
        ErrorKind::NoTarget,
    );
}
