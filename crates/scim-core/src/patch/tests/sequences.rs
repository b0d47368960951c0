use super::*;

// R7644-3.5.2-08
#[test]
fn in_order() {
    check(
        json!({}),
        json!([
            {"op": "add", "path": "nickName", "value": "a"},
            {"op": "replace", "path": "nickName", "value": "b"},
        ]),
        json!({"nickName": "b"}),
    );
    check(
        json!({}),
        json!([
            {"op": "add", "path": "emails", "value": {"value": "x"}},
            {"op": "replace", "path": "emails[value eq \"x\"].type", "value": "work"},
            {"op": "add", "path": "emails[type eq \"work\"].display", "value": "X"},
        ]),
        json!({"emails": [{"value": "x", "display": "X", "type": "work"}]}),
    );
    check(
        emails(),
        json!([
            {"op": "remove", "path": "emails"},
            {"op": "add", "path": "emails", "value": [{"value": "x"}]},
        ]),
        json!({"emails": [{"value": "x"}]}),
    );
    // Swapping types needs both operations to see the other's work.
    check(
        emails(),
        json!([
            {"op": "replace", "path": "emails[type eq \"work\"].type", "value": "other"},
            {"op": "replace", "path": "emails[type eq \"home\"].type", "value": "work"},
            {"op": "replace", "path": "emails[type eq \"other\"].type", "value": "home"},
        ]),
        json!({"emails": [
            {"value": "a@w.org", "type": "home", "primary": true},
            {"value": "a@h.org", "type": "work"},
        ]}),
    );
}

// R7644-3.5.2-16
#[test]
fn no_change_to_the_letter() {
    let rt = user();
    let mut document = complete(&rt, &emails());
    document.0.sort_keys();
    for operations in [
        json!([{"op": "add", "path": "emails", "value": emails()["emails"]}]),
        json!([{"op": "replace", "value": {"id": ID, "userName": "ada"}}]),
        json!([
            {"op": "add", "path": "title", "value": "x"},
            {"op": "remove", "path": "title"},
        ]),
    ] {
        let patch = parse(&rt, &patch_op(operations), Compatibility::Tolerant).unwrap();
        let patched = patch.apply(&rt, &document).unwrap();
        assert_eq!(patched.document.to_string(), document.to_string());
    }
}

#[test]
fn passwords() {
    let check = |operations: Value, expected: PasswordEdit| {
        let patched = run(&user(), &json!({}), &operations).unwrap();
        assert_eq!(patched.password, expected, "{operations}");
        assert!(!patched.document.to_string().contains("password"));
    };
    let set = |text: &str| PasswordEdit::Set(text.to_owned());
    check(
        json!([{"op": "replace", "value": {"password": "s3"}}]),
        set("s3"),
    );
    check(
        json!([{"op": "add", "path": "PASSWORD", "value": "s3"}]),
        set("s3"),
    );
    check(
        json!([{"op": "replace", "path": "password", "value": 5}]),
        set("5"),
    );
    check(
        json!([{"op": "replace", "path": "password", "value": null}]),
        PasswordEdit::Clear,
    );
    check(
        json!([{"op": "remove", "path": "password"}]),
        PasswordEdit::Clear,
    );
    check(
        json!([{"op": "add", "path": "password", "value": null}]),
        PasswordEdit::Keep,
    );
    check(
        json!([{"op": "replace", "value": {"active": true}}]),
        PasswordEdit::Keep,
    );
    check_error(
        json!({}),
        json!([{"op": "replace", "path": "password", "value": {}}]),
        ErrorKind::InvalidValue,
    );
}

#[test]
fn a_thousand_operations_are_fast() {
    let rt = user();
    let operations: Vec<Value> = (0..1_000)
        .map(|n| json!({"op": "add", "path": "emails", "value": {"value": format!("{n}@x")}}))
        .collect();
    let patched = run(&rt, &json!({}), &json!(operations)).unwrap();
    assert_eq!(
        patched.document.0["emails"].as_array().unwrap().len(),
        1_000
    );
}

// R7644-3.5.2-09, R7644-3.5.2-10
#[test]
fn what_is_immutable_is_set_once() {
    let text = r#"{"id":"urn:x:Device","name":"Device","attributes":[
        {"name":"displayName","required":true},
        {"name":"serial","mutability":"immutable"},
        {"name":"place","type":"complex","subAttributes":[
            {"name":"site","mutability":"immutable"},{"name":"room"}]}]}"#;
    let schema = Arc::new(crate::schema::Schema::parse(text).unwrap());
    let rt = ResourceType::new("Device", "/Devices", "", schema, vec![]).unwrap();
    let before = complete(&rt, &json!({"serial": "1", "place": {"site": "A"}}));
    let empty = complete(&rt, &json!({}));
    for (document, operation, expected) in [
        (
            &empty,
            json!({"op": "add", "path": "serial", "value": "1"}),
            None,
        ),
        (
            &empty,
            json!({"op": "replace", "path": "serial", "value": "1"}),
            None,
        ),
        (
            &before,
            json!({"op": "add", "path": "serial", "value": "1"}),
            None,
        ),
        (
            &before,
            json!({"op": "replace", "value": {"serial": "1"}}),
            None,
        ),
        (
            &before,
            json!({"op": "replace", "path": "place.room", "value": "5"}),
            None,
        ),
        (
            &before,
            json!({"op": "add", "path": "serial", "value": "2"}),
            Some(ErrorKind::Mutability),
        ),
        (
            &before,
            json!({"op": "remove", "path": "serial"}),
            Some(ErrorKind::Mutability),
        ),
        (
            &before,
            json!({"op": "replace", "path": "place.site", "value": "B"}),
            Some(ErrorKind::Mutability),
        ),
    ] {
        for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
            let body = patch_op(json!([operation]));
            let patch = parse(&rt, &body, compatibility).unwrap();
            let found = patch.apply(&rt, document).err().map(|error| error.kind);
            assert_eq!(found, expected, "{compatibility} {operation}");
        }
    }
}
