use super::*;

// R7644-3.5.2-21, R7644-3.5.2-26
#[test]
fn malformed() {
    for path in [
        "emails[",
        "name.",
        ".x",
        "emails[].value",
        "a b",
        "/name/givenName",
        "emails[0]",
        "emails]",
        "name..givenName",
        "emails[type eq]",
        "emails[type \"work\"]",
        "emails[type eq \"work\"]value",
        "emails[type eq \"work\"].value.x",
        "name.a.b",
        ":",
        "urn:",
    ] {
        for op in ["add", "replace", "remove"] {
            let operation = json!([{"op": op, "path": path, "value": "x"}]);
            check_error(emails(), operation, ErrorKind::InvalidPath);
        }
    }
    for path in [json!(1), json!(["nickName"]), json!({})] {
        let operation = json!([{"op": "add", "path": path, "value": "x"}]);
        check_error(json!({}), operation, ErrorKind::InvalidPath);
    }
}

// R7644-3.5.2-26
#[test]
fn an_empty_path_is_none() {
    for path in ["", " "] {
        let operation = |op: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
        check(
            json!({}),
            operation("replace", json!({"nickName": "A"})),
            json!({"nickName": "A"}),
        );
        let error = ErrorKind::InvalidValue;
        check_error(json!({}), operation("add", json!("x")), error);
        let error = ErrorKind::NoTarget;
        check_error(json!({}), operation("remove", json!("x")), error);
    }
}

/// An attribute that no schema defines is left out, and the rest of the PATCH is applied.
// R7644-3.5.2-22, R7644-3.5.2-23
#[test]
fn undefined_attributes() {
    for path in [
        "foo",
        "members",
        "emails.foo",
        "userName.x",
        "name.foo",
        "emails[type eq \"work\"].foo",
        "foo[value eq \"x\"]",
        "foo[value eq \"x\"].bar",
        "urn:ietf:params:scim:schemas:core:2.0:User:foo",
        "urn:ietf:params:scim:schemas:core:2.0:User.foo",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:foo",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.foo",
    ] {
        for op in ["add", "replace", "remove"] {
            let operations = json!([
                {"op": op, "path": path, "value": "x"},
                {"op": "replace", "path": "active", "value": false},
            ]);
            let mut expected = emails();
            expected["active"] = json!(false);
            check(emails(), operations.clone(), expected);
            let patch = parse(&user(), &patch_op(operations), Compatibility::Tolerant).unwrap();
            assert_eq!(patch.ignored, [path]);
        }
    }
    for path in [
        "name[givenName eq \"x\"]",
        "userName[value eq \"x\"]",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
    ] {
        let operation = json!([{"op": "replace", "path": path, "value": "x"}]);
        check_error(emails(), operation, ErrorKind::InvalidPath);
    }
}

/// A slip in a URN makes no extension that nothing reads.
// R7644-3.5.2-22, R7644-3.5.2-25
#[test]
fn near_misses_of_a_known_urn() {
    let stem = "urn:ietf:params:scim:schemas:extension:enterprise:2.0";
    let near = format!("{stem}:Users");
    for path in [
        stem.to_owned(),
        near.clone(),
        format!("{stem}:department"),
        format!("{stem}.department"),
        format!("{near}:department"),
        format!("{}:department", near.to_uppercase()),
        format!("{near}:manager.value"),
        format!("{stem}:skills[value eq \"x\"]"),
        format!("{near}:skills[value eq \"x\"].display"),
    ] {
        for op in ["add", "replace", "remove"] {
            for value in [json!("x"), json!({"department": "x"})] {
                let operation = json!([{"op": op, "path": path, "value": value}]);
                let error = run(&user(), &json!({}), &operation).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidPath, "{path}: {error}");
                assert!(error.detail.contains(EU), "{error}");
            }
        }
    }
    // An extension that is there is one, whatever it is called.
    let own = json!({(near.clone()): {"department": "a"}});
    check(
        own.clone(),
        json!([{"op": "replace", "path": format!("{near}:department"), "value": "b"}]),
        json!({(near.clone()): {"department": "b"}}),
    );
    check(
        own.clone(),
        json!([{"op": "remove", "path": near}]),
        json!({}),
    );
    // In a value a single name is left out, and an object is an extension of its own.
    let flat = |name: &str| json!([{"op": "add", "value": {(name): "x", "title": "Dr"}}]);
    for name in [format!("{stem}:department"), format!("{near}:department")] {
        check(json!({}), flat(&name), json!({"title": "Dr"}));
    }
    check(
        own.clone(),
        flat(&format!("{near}:division")),
        json!({"title": "Dr", (near.clone()): {"department": "a", "division": "x"}}),
    );
    check(json!({}), json!([{"op": "add", "value": own}]), own);
}

#[test]
fn a_dot_in_the_place_of_the_last_colon() {
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    for (name, expected) in [
        (format!("{EU}.department"), json!({EU: {"department": "x"}})),
        (
            format!("{}.Department", EU.to_uppercase()),
            json!({EU: {"department": "x"}}),
        ),
        (
            format!("{EU}.manager.value"),
            json!({EU: {"manager": {"value": "x"}}}),
        ),
        (format!("{core}.title"), json!({"title": "x"})),
        (
            format!("{core}.name.givenName"),
            json!({"name": {"givenName": "x"}}),
        ),
        (
            format!("{core}.emails[type eq \"work\"].value"),
            json!({"emails": [{"value": "x", "type": "work"}]}),
        ),
    ] {
        for op in ["add", "replace"] {
            let path = json!([{"op": op, "path": name, "value": "x"}]);
            check(json!({}), path, expected.clone());
            let value = json!([{"op": op, "value": {(name.clone()): "x"}}]);
            check(json!({}), value, expected.clone());
        }
    }
}

// R7644-3.5.2-21, R7644-3.5.2-23
#[test]
fn faulty_filters() {
    for path in [
        "emails[foo eq \"x\"]",
        "emails[foo eq \"x\"].value",
        "emails[type is \"work\"].value",
        "emails[primary gt true].value",
        "emails[value eq \"a\\u0000\"]",
    ] {
        let operation = json!([{"op": "replace", "path": path, "value": "x"}]);
        check_error(emails(), operation, ErrorKind::InvalidFilter);
    }
}

// R7644-3.5.2-20
#[test]
fn letter_case_and_urns() {
    for path in [
        "nickName",
        "NICKNAME",
        "urn:ietf:params:scim:schemas:core:2.0:User:nickName",
        "URN:IETF:params:scim:schemas:core:2.0:USER:NickName",
    ] {
        let operation = json!([{"op": "add", "path": path, "value": "A"}]);
        check(json!({}), operation, json!({"nickName": "A"}));
    }
    check(
        json!({}),
        json!([{"op": "add", "path": "NAME.GivenName", "value": "Ada"}]),
        json!({"name": {"givenName": "Ada"}}),
    );
    let path = "urn:ietf:params:scim:schemas:core:2.0:User:EMAILS[TYPE Eq \"WORK\"].VALUE";
    check(
        emails(),
        json!([{"op": "replace", "path": path, "value": "b@w.org"}]),
        json!({"emails": [
            {"value": "b@w.org", "type": "work", "primary": true},
            {"value": "a@h.org", "type": "home"},
        ]}),
    );
}

#[test]
fn the_core_urn_alone() {
    check(
        json!({}),
        json!([{
            "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User",
            "value": {"nickName": "A"},
        }]),
        json!({"nickName": "A"}),
    );
    check_error(
        json!({}),
        json!([{"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:User"}]),
        ErrorKind::NoTarget,
    );
}
