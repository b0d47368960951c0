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

#[test]
fn a_simple_value_is_removed_whatever_the_value_of_the_operation_is() {
    let remove = |path: &str, value: Value| json!([{"op": "remove", "path": path, "value": value}]);
    check(
        json!({"name": {"givenName": "Ada", "familyName": "L"}}),
        remove("name.givenName", json!("other")),
        json!({"name": {"familyName": "L"}}),
    );
    check(
        json!({"title": "x"}),
        remove("title", json!("other")),
        json!({}),
    );
    check_error(
        json!({}),
        remove("userName", json!("other")),
        ErrorKind::Mutability,
    );
}

#[test]
fn a_filter_of_ids_and_nothing_to_list() {
    for value in [json!(""), json!(null)] {
        check_members(
            json!([{"op": "remove", "path": "members[value eq \"a\"]", "value": value}]),
            vec![MemberEdit::Remove(vec!["a".to_owned()])],
        );
    }
}

#[test]
fn a_path_nearly_under_a_schema_is_named_to_the_strict() {
    let path = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users:department";
    let operations = json!([{"op": "add", "path": path, "value": "D"}]);
    for compatibility in [Compatibility::Strict, Compatibility::Tolerant] {
        let patch = parse(&user(), &patch_op(operations.clone()), compatibility);
        let applied = patch.and_then(|patch| patch.apply(&user(), &complete(&user(), &json!({}))));
        let error = applied.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPath);
        let hint = format!("did you mean {EU:?}");
        assert!(error.detail.contains(&hint), "{error}");
    }
}

#[test]
fn simple_elements_of_an_undeclared_list() {
    let path = format!("{X}:list[value eq \"a\"].value");
    check(
        json!({X: {"list": ["a", "c"]}}),
        json!([{"op": "replace", "path": path, "value": "b"}]),
        json!({X: {"list": ["b", "c"]}}),
    );
    let path = format!("{X}:list[value eq \"a\"].other");
    check(
        json!({X: {"list": ["a", "c"]}}),
        json!([{"op": "replace", "path": path, "value": "b"}]),
        json!({X: {"list": ["a", "c"]}}),
    );
}

#[test]
fn members_of_undeclared_objects_have_no_letter_case() {
    check(
        json!({X: {"Abc": 1, "def": 2}}),
        json!([{"op": "replace", "value": {X: {"aBC": 3, "new": 4}}}]),
        json!({X: {"Abc": 3, "def": 2, "new": 4}}),
    );
    check(
        json!({X: {"Abc": [1, 2], "def": 2}}),
        json!([{"op": "remove", "path": X, "value": {"aBC": [1], "DEF": 2}}]),
        json!({X: {"Abc": [2]}}),
    );
}

#[test]
fn an_element_that_is_listed_goes_as_a_whole() {
    let remove = |value: Value| json!([{"op": "remove", "path": format!("{X}:list[type eq \"t\"]"), "value": value}]);
    let before =
        || json!({X: {"list": [{"type": "t", "a": 1, "tags": ["x", "y"]}, {"type": "u"}]}});
    let rest = json!({X: {"list": [{"type": "u"}]}});
    check(before(), remove(json!({"type": "t"})), rest.clone());
    check(before(), remove(json!({"a": 1, "tags": ["x", "y"]})), rest);
    check(before(), remove(json!({"a": 2})), before());
    check(before(), remove(json!({})), before());
    check(
        before(),
        remove(json!({"tags": ["x"]})),
        json!({X: {"list": [{"type": "t", "a": 1, "tags": ["y"]}, {"type": "u"}]}}),
    );
}

#[test]
fn lists_inside_elements_that_have_no_such_value() {
    let rt = resident();
    let document = json!({HOME: {"places": [{"value": "a", "tags": ["x"]}, {"value": "b"}]}});
    let run = |op: &str, value: Option<&str>| {
        let path = format!("{HOME}:places.tags[value eq \"z\"]");
        let operations = json!([{"op": op, "path": path, "value": value}]);
        let patched = run(&rt, &document, &operations);
        patched
            .map(|patched| patched.document)
            .map_err(|error| error.kind)
    };
    assert_eq!(run("remove", None), Ok(complete(&rt, &document)));
    assert_eq!(run("replace", Some("y")), Err(ErrorKind::NoTarget));
}

#[test]
fn a_value_that_repeats_the_name_of_its_attribute() {
    let rt = resident();
    let remove = |value: Value| {
        let path = format!("{HOME}:devices");
        let operations = json!([{"op": "remove", "path": path, "value": value}]);
        let patched = run(&rt, &json!({HOME: {"devices": ["a", "b"]}}), &operations);
        let devices = patched.map(|patched| patched.document.0[HOME]["devices"].clone());
        devices.map_err(|error| error.kind)
    };
    assert_eq!(remove(json!({"DEVICES": ["a"]})), Ok(json!(["b"])));
    assert_eq!(
        remove(json!({"devices": null})),
        Err(ErrorKind::InvalidValue)
    );
    assert_eq!(
        remove(json!({"codes": ["a"]})),
        Err(ErrorKind::InvalidValue)
    );
    let members = |compatibility| {
        let value = json!({"members": [{"value": "a"}]});
        let body = patch_op(json!([{"op": "replace", "path": "members", "value": value}]));
        parse(&group(), &body, compatibility).is_ok()
    };
    assert!(members(Compatibility::Tolerant) && !members(Compatibility::Strict));
    let rt = with_extension(
        r#"[{"name": "boss", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "boss"}, {"name": "value"}]}]"#,
        false,
    );
    let document = json!({"urn:x:E": {"boss": [{"boss": "x", "value": "1"}, {"value": "x"}]}});
    let operations = json!([{"op": "remove", "path": "urn:x:E:boss", "value": {"boss": "x"}}]);
    let patched = run(&rt, &document, &operations).unwrap();
    assert_eq!(
        patched.document.0["urn:x:E"],
        json!({"boss": [{"value": "x"}]})
    );
}

#[test]
fn the_only_value_that_fits_a_filter_on_a_simple_list() {
    let rt = resident();
    let run = |filter: &str, value: &str| {
        let path = format!("{HOME}:devices[{filter}]");
        let operations = json!([{"op": "replace", "path": path, "value": value}]);
        let patched = run(&rt, &json!({HOME: {"devices": ["a"]}}), &operations);
        let devices = patched.map(|patched| patched.document.0[HOME]["devices"].clone());
        devices.map_err(|error| error.kind)
    };
    assert_eq!(run("value eq \"b\"", "B"), Ok(json!(["a", "B"])));
    assert_eq!(run("value eq \"b\"", "c"), Err(ErrorKind::NoTarget));
    assert_eq!(run("value ge \"b\"", "b"), Err(ErrorKind::NoTarget));
    assert_eq!(run("value eq \"a\"", "c"), Ok(json!(["c"])));
}

#[test]
fn a_listed_value_is_enough() {
    let emails = || json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]});
    let rest = || json!({"emails": [{"value": "b"}]});
    for listed in [
        json!([{"value": "a", "nope": 1}]),
        json!([{"value": "a", "type": ""}]),
        json!([{"type": "work"}]),
    ] {
        check(
            emails(),
            json!([{"op": "remove", "path": "emails", "value": listed}]),
            rest(),
        );
    }
    check(
        emails(),
        json!([{"op": "remove", "path": "emails", "value": [{"type": "work", "nope": 1}]}]),
        emails(),
    );
}

#[test]
fn what_the_urn_of_an_undeclared_extension_takes() {
    let on = |op: &str, value: Value| json!([{"op": op, "path": X, "value": value}]);
    let before = || json!({X: {"a": 1}});
    for nothing in [json!(""), json!(null), json!([])] {
        check(before(), on("add", nothing.clone()), before());
        check(before(), on("replace", nothing), json!({}));
    }
    check(before(), on("remove", json!("")), before());
    check(before(), json!([{"op": "remove", "path": X}]), json!({}));
    for op in ["add", "replace", "remove"] {
        check_error(before(), on(op, json!(7)), ErrorKind::InvalidValue);
        check_error(before(), on(op, json!("x")), ErrorKind::InvalidValue);
    }
}

#[test]
fn lists_inside_undeclared_members() {
    let on = |op: &str, value: Value| {
        let path = format!("{X}:things.list[value eq \"z\"]");
        json!([{"op": op, "path": path, "value": value}])
    };
    let before = || json!({X: {"things": [{"list": ["a", "z"]}, {"list": ["b"]}]}});
    check(
        before(),
        on("replace", json!("y")),
        json!({X: {"things": [{"list": ["a", "y"]}, {"list": ["b"]}]}}),
    );
    check(
        before(),
        on("remove", json!(null)),
        json!({X: {"things": [{"list": ["a"]}, {"list": ["b"]}]}}),
    );
    let other = || json!({X: {"things": [{"list": ["b"]}]}});
    check(other(), on("remove", json!(null)), other());
    check_error(other(), on("replace", json!("y")), ErrorKind::NoTarget);
    check_error(other(), on("add", json!("y")), ErrorKind::InvalidPath);
    let simple = || json!({X: {"things": "text"}});
    check(simple(), on("remove", json!(null)), simple());
    check_error(simple(), on("replace", json!("y")), ErrorKind::InvalidPath);
}

#[test]
fn an_undeclared_list_without_elements_goes() {
    let remove = json!([{"op": "remove", "path": format!("{X}:list[type eq \"t\"]")}]);
    check(
        json!({X: {"list": [{"type": "t"}]}}),
        remove.clone(),
        json!({}),
    );
    check(
        json!({X: {"list": [{"type": "t"}], "a": 1}}),
        remove,
        json!({X: {"a": 1}}),
    );
    check(
        json!({X: {"list": [{"type": "t"}], "a": 1}}),
        json!([{"op": "remove", "path": format!("{X}:list[type eq \"t\"]"), "value": ""}]),
        json!({X: {"a": 1}}),
    );
    check_error(
        json!({X: {"list": [{"type": "t"}]}}),
        json!([{"op": "add", "path": format!("{X}:list[type ne \"t\"]"), "value": {"a": 1}}]),
        ErrorKind::NoTarget,
    );
    check(
        json!({X: {"a": "t", "b": 1}}),
        json!([{"op": "remove", "path": format!("{X}:a"), "value": ""}]),
        json!({X: {"b": 1}}),
    );
    check(
        json!({X: {"o": "text"}}),
        json!([{"op": "replace", "value": {X: {"o.a": null}}}]),
        json!({X: {"o": "text"}}),
    );
}

#[test]
fn names_that_are_ignored_are_reported() {
    let near = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users:department";
    let operations = json!([{"op": "add", "value": {near: "D", "title": "x"}}]);
    let patched = run(&user(), &json!({}), &operations).unwrap();
    assert_eq!(patched.ignored, [near]);
    let known = json!([{"op": "add", "value": {format!("{X}:a"): 1}}]);
    let patched = run(&user(), &json!({}), &known).unwrap();
    assert!(patched.ignored.is_empty());
    assert_eq!(patched.document.0[X], json!({"a": 1}));
    let operations = json!([{"op": "add", "value": {"foo[type eq \"x\"]": 1, "foo": 2}}]);
    let patch = parse(&user(), &patch_op(operations), Compatibility::Tolerant).unwrap();
    assert_eq!(patch.ignored, ["foo[type eq \"x\"]", "foo"]);
    let operations = json!([{"op": "add", "value": {"foo[": 1}}]);
    check_error(json!({}), operations, ErrorKind::InvalidPath);
    let body = json!({"userName": "a", "foo[": 1});
    let admitted = admit(&user(), &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.ignored, ["foo["]);
}

#[test]
fn an_object_in_a_body_is_an_extension_of_its_own() {
    let below = format!("{X}:y");
    let body = json!({"userName": "a", X: {"a": 1}, &below: {"b": 1}});
    let admitted = admit(&user(), &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.document.0[X], json!({"a": 1}));
    assert_eq!(admitted.document.0[&below], json!({"b": 1}));
    check(
        json!({X: {"a": 1}}),
        json!([{"op": "add", "value": {&below: {"b": 1}}}]),
        json!({X: {"a": 1, "y": {"b": 1}}}),
    );
}

#[test]
fn passwords_and_documents_are_told_apart() {
    let patch = |operation: Value| {
        let body = patch_op(json!([operation]));
        parse(&user(), &body, Compatibility::Tolerant).unwrap()
    };
    let title = patch(json!({"op": "add", "path": "title", "value": "x"}));
    assert!(title.touches_document() && !title.sets_password());
    let password = patch(json!({"op": "add", "path": "password", "value": "x"}));
    assert!(password.sets_password());
    let nothing = patch(json!({"op": "add", "value": {"foo": 1}}));
    assert!(!nothing.touches_document() && !nothing.sets_password());
}

#[test]
fn long_texts_in_details_are_cut() {
    let cut = super::refuse::shortened(&"é".repeat(121));
    assert_eq!(cut, format!("{}…", "é".repeat(120)));
    let short = "é".repeat(120);
    assert_eq!(super::refuse::shortened(&short), short);
}

#[test]
fn a_new_primary_without_a_value() {
    check(
        json!({"emails": [
            {"value": "a", "type": "home", "primary": true}, {"value": "b", "type": "work"}]}),
        json!([{"op": "replace", "path": "emails[type eq \"work\"]",
            "value": {"display": "x", "type": "work", "primary": true}}]),
        json!({"emails": [
            {"value": "a", "type": "home", "primary": false},
            {"display": "x", "type": "work", "primary": true}]}),
    );
}

#[test]
fn immutable_parts_of_an_element_that_is_replaced() {
    let rt = with_extension(
        r#"[{"name": "keys", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value"}, {"name": "serial", "mutability": "immutable"}]},
            {"name": "own", "mutability": "readOnly"}]"#,
        false,
    );
    let run = |before: Value, after: Value| {
        let path = "urn:x:E:keys[value eq \"a\"]";
        let operations = json!([{"op": "replace", "path": path, "value": after}]);
        let patched = run(&rt, &json!({"urn:x:E": {"keys": [before]}}), &operations);
        patched.map(|_| ()).map_err(|error| error.kind)
    };
    let key = |serial: &str| json!({"value": "a", "serial": serial});
    assert_eq!(run(key("1"), key("1")), Ok(()));
    assert_eq!(run(key("1"), key("2")), Err(ErrorKind::Mutability));
    assert_eq!(
        run(key("1"), json!({"value": "a"})),
        Err(ErrorKind::Mutability)
    );
    assert_eq!(run(json!({"value": "a"}), key("2")), Ok(()));
    let operations = json!([{"op": "add", "path": "urn:x:E", "value": {"own": "x"}}]);
    let strict = parse(&rt, &patch_op(operations), Compatibility::Strict);
    assert_eq!(strict.unwrap_err().kind, ErrorKind::Mutability);
}

#[test]
fn a_required_list_is_not_emptied() {
    let attributes = r#"[{"name": "keys", "multiValued": true, "required": true}]"#;
    let rt = with_extension(attributes, false);
    let run = |operation: Value| {
        let document = json!({"urn:x:E": {"keys": ["a", "b"]}});
        let patched = run(&rt, &document, &json!([operation]));
        let keys = patched.map(|patched| patched.document.0["urn:x:E"]["keys"].clone());
        keys.map_err(|error| error.kind)
    };
    let path = "urn:x:E:keys";
    let refused = Err(ErrorKind::Mutability);
    assert_eq!(run(json!({"op": "remove", "path": path})), refused);
    assert_eq!(
        run(json!({"op": "remove", "path": path, "value": null})),
        refused
    );
    let listed = json!({"op": "remove", "path": path, "value": ["a"]});
    assert_eq!(run(listed), Ok(json!(["b"])));
}

#[test]
fn a_strict_client_may_repeat_the_id_of_a_member() {
    let members = |value: Value| {
        let path = "members[value eq \"a\"]";
        let body = patch_op(json!([{"op": "replace", "path": path, "value": value}]));
        let patch = parse(&group(), &body, Compatibility::Strict);
        patch
            .map(|patch| patch.member_edits().len())
            .map_err(|error| error.kind)
    };
    assert_eq!(members(json!({"value": "a", "display": null})), Ok(1));
    assert_eq!(members(json!({"VALUE": "a"})), Ok(1));
    assert_eq!(members(json!({"value": "b"})), Err(ErrorKind::Mutability));
    assert_eq!(members(json!({"display": "a"})), Err(ErrorKind::Mutability));
    check_members(
        json!([{"op": "remove", "path": "members", "value": ["a", 7, {"value": "b"}]}]),
        vec![MemberEdit::Remove(vec!["a".into(), "7".into(), "b".into()])],
    );
    check_members(
        json!([{"op": "remove", "path": "members[value eq \"a\" or value eq \"b\"]", "value": "a"}]),
        vec![MemberEdit::Remove(vec!["a".into()])],
    );
}

#[test]
fn values_of_single_undeclared_members() {
    let on = |op: &str, path: &str, value: Value| json!([{"op": op, "path": format!("{X}:{path}"), "value": value}]);
    // A list of one, written by an earlier version as its element, stays one.
    let one = || json!({X: {"list": {"type": "t", "a": 1}}});
    check(
        one(),
        on("replace", "list[type eq \"t\"].a", json!(2)),
        json!({X: {"list": {"type": "t", "a": 2}}}),
    );
    check(
        one(),
        on("add", "list[type eq \"u\"].a", json!(2)),
        json!({X: {"list": [{"type": "t", "a": 1}, {"type": "u", "a": 2}]}}),
    );
    check_error(
        json!({X: {"things": [{"a": 1}]}}),
        on("add", "things.a", json!(2)),
        ErrorKind::InvalidPath,
    );
    let text = || json!({X: {"things": "text"}});
    check(text(), on("replace", "things.a", json!(null)), text());
    check_error(
        text(),
        on("replace", "things.a", json!(1)),
        ErrorKind::InvalidPath,
    );
}

#[test]
fn empty_values_of_an_extension_and_of_elements() {
    let both = || json!({EU: {"department": "D"}});
    for (op, value, expected) in [
        ("add", json!(""), Some(both())),
        ("add", json!([]), Some(both())),
        ("remove", json!(""), Some(both())),
        ("replace", json!(""), Some(json!({}))),
        ("replace", json!([]), Some(json!({}))),
        ("add", json!(7), None),
        ("replace", json!(7), None),
        ("remove", json!(7), None),
    ] {
        let operations = json!([{"op": op, "path": EU, "value": value}]);
        match expected {
            Some(expected) => check(both(), operations, expected),
            None => check_error(both(), operations, ErrorKind::InvalidValue),
        }
    }
    let emails = || json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]});
    let path = "emails[type eq \"work\"]";
    for nothing in [json!(null), json!([])] {
        check(
            emails(),
            json!([{"op": "add", "path": path, "value": nothing}]),
            emails(),
        );
    }
    check(
        emails(),
        json!([{"op": "remove", "path": path, "value": "other"}]),
        emails(),
    );
    check(
        emails(),
        json!([{"op": "remove", "path": path, "value": {"value": "a"}}]),
        json!({"emails": [{"value": "b"}]}),
    );
    check(
        emails(),
        json!([{"op": "add", "path": "emails", "value": [""]}]),
        emails(),
    );
    check(
        emails(),
        json!([{"op": "replace", "path": "emails", "value": [""]}]),
        json!({}),
    );
    check_error(
        json!({}),
        json!([{"op": "replace", "path": "groups.nope", "value": "x"}]),
        ErrorKind::Mutability,
    );
}

#[test]
fn values_of_a_list_in_one_element_as_the_strict_send_them() {
    let rt = resident();
    let replace = |value: Value| {
        let path = format!("{HOME}:home.rooms[value eq \"a\"]");
        let body = patch_op(json!([{"op": "replace", "path": path, "value": value}]));
        let document = complete(&rt, &json!({HOME: {"home": {"rooms": ["a", "b"]}}}));
        let patch = parse(&rt, &body, Compatibility::Strict)?;
        let document = patch.apply(&rt, &document)?.document;
        Ok::<_, ScimError>(document.0[HOME]["home"]["rooms"].clone())
    };
    assert_eq!(replace(json!("c")), Ok(json!(["c", "b"])));
    assert_eq!(
        replace(json!(["c"])).unwrap_err().kind,
        ErrorKind::InvalidValue
    );
}

#[test]
fn only_true_takes_the_mark_of_the_primary() {
    let emails = |first: bool, second: bool| {
        json!({"emails": [
            {"value": "a", "type": "home", "primary": first},
            {"value": "b", "type": "work", "primary": second}]})
    };
    let set = |sub: &str, value: Value| {
        let path = format!("emails[type eq \"work\"].{sub}");
        json!([{"op": "replace", "path": path, "value": value}])
    };
    check(
        emails(true, false),
        set("primary", json!(true)),
        emails(false, true),
    );
    check(
        emails(true, true),
        set("primary", json!(false)),
        emails(true, false),
    );
    check(
        emails(true, false),
        set("display", json!("true")),
        json!({"emails": [
            {"value": "a", "type": "home", "primary": true},
            {"value": "b", "display": "true", "type": "work", "primary": false}]}),
    );
}

#[test]
fn lists_in_a_declared_element_are_listed_alone() {
    let rt = resident();
    let check = |value: Value, expected: Value| {
        let places = json!([{"value": "a", "type": "t", "tags": ["x", "y"]}, {"value": "b"}]);
        let path = format!("{HOME}:places[value eq \"a\"]");
        let operations = json!([{"op": "remove", "path": path, "value": value}]);
        let patched = run(&rt, &json!({HOME: {"places": places}}), &operations).unwrap();
        let expected = complete(&rt, &json!({HOME: {"places": expected}}));
        assert_eq!(patched.document, expected, "{operations}");
    };
    let rest = json!([{"value": "b"}]);
    check(json!({"type": "t"}), rest.clone());
    check(json!({"type": "t", "tags": ["x", "y"]}), rest);
    check(
        json!({"tags": ["x"]}),
        json!([{"value": "a", "type": "t", "tags": ["y"]}, {"value": "b"}]),
    );
    check(
        json!({"type": "u"}),
        json!([{"value": "a", "type": "t", "tags": ["x", "y"]}, {"value": "b"}]),
    );
}
