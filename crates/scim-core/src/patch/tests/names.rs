//! The names in a value: which a path could address, and which no schema defines.

use super::*;

/// A name that a tolerant tenant drops from a value is logged, like one dropped from a body.
#[test]
fn names_that_no_schema_defines_are_noted() {
    let rt = resident();
    let value = json!({
        "name": {"petName": "x", "givenName": "A"},
        "emails": [{"value": "a@b.org", "colour": 1}, {"value": "c@b.org", "colour": 2}],
        HOME: {"home": {"garden": "g"}, "lamp": 1},
        "groups": [{"nope": 1}],
        "shoeSize": 40,
    });
    let home = |name: &str| format!("{HOME}:{name}");
    let mut expected = vec![
        "name.petName".to_owned(),
        "emails.colour".to_owned(),
        home("home.garden"),
        home("lamp"),
        "shoeSize".to_owned(),
    ];
    expected.sort();
    let mut body = value.clone();
    body["userName"] = json!("ada");
    let mut ignored = admit(&rt, &body, Compatibility::Tolerant).unwrap().ignored;
    ignored.sort();
    assert_eq!(ignored, expected);
    let operations = patch_op(json!([{"op": "add", "value": value}]));
    let mut ignored = parse(&rt, &operations, Compatibility::Tolerant)
        .unwrap()
        .ignored;
    ignored.sort();
    assert_eq!(ignored, expected);
    let operations = patch_op(json!([
        operation("replace", "name", json!({"petName": "x"})),
        operation(
            "add",
            "emails[type eq \"w\"]",
            json!({"value": "a@b.org", "colour": 1})
        ),
        operation("remove", "emails", json!([{"colour": 1}])),
    ]));
    let ignored = parse(&rt, &operations, Compatibility::Tolerant)
        .unwrap()
        .ignored;
    assert_eq!(ignored, ["name.petName", "emails.colour"]);
}

// R7643-2.1-03, R7643-3.3-02
#[test]
fn names_that_no_path_could_address() {
    let rt = resident();
    for value in [
        json!({"": 1}),
        json!({"a b": 1}),
        json!({"a.b.c": 1}),
        json!({"a": {"": 1}}),
        json!({"a": [{"b c": 1}]}),
        json!({"a.": 1}),
    ] {
        let body = json!({"userName": "ada", X: value});
        let error = admit(&rt, &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{body}: {error}");
        for operation in [
            operation("add", X, value.clone()),
            json!({"op": "replace", "value": {X: value}}),
        ] {
            let operations = json!([operation]);
            let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant);
            assert_eq!(
                error.unwrap_err().kind,
                ErrorKind::InvalidSyntax,
                "{operations}"
            );
        }
    }
    for name in [
        "urn:acme:x:",
        "urn:acme:x:a b",
        "urn:acme:x:a.b.c",
        "urn:acme x:a",
        ":x:a",
    ] {
        let body = json!({"userName": "ada", name: "v"});
        let error = admit(&rt, &body, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{name}: {error}");
        let operations = json!([operation("add", name, json!("v"))]);
        let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant);
        assert_eq!(error.unwrap_err().kind, ErrorKind::InvalidPath, "{name}");
    }
    // One dot is a path.
    let body = json!({"userName": "ada", X: {"a.b": 1, "a.c": 2}});
    let admitted = admit(&rt, &body, Compatibility::Tolerant).unwrap();
    assert_eq!(admitted.document.0[X], json!({"a": {"b": 1, "c": 2}}));
}

/// POST and PUT read every name that an operation without path reads.
// R7644-3.3-07, R7643-3.3-02
#[test]
fn a_body_is_read_like_a_value_without_path() {
    let rt = resident();
    let core = rt.schema.id.as_str();
    for body in [
        json!({(core): {"title": "T", "name": {"givenName": "A"}, "id": "x"}}),
        json!({(format!("{core}:title")): "T", (format!("{core}:name.givenName")): "A"}),
        json!({(format!("{core}.title")): ["T"]}),
        json!({"name.givenName": "A", "name": {"familyName": "B"}}),
        json!({"emails": [{"value": "c@d.org"}], "emails[type eq \"work\"].value": "a@b.org"}),
        json!({(format!("{EU}:department")): "D", EU: {"costCenter": "C", "manager.value": "m"}}),
        json!({(format!("{HOME}:places[type eq \"t\"].tags")): ["x", "y"]}),
        json!({HOME: {"places[type eq \"t\"].value": "v", "home.rooms": "r"}}),
        json!({"urn:acme:x:list[type eq \"t\"].value": "v", "urn:acme:x": {"k": 1}}),
        json!({"urn:acme:x:a": 1, "urn:acme:x:b.c": ["d"], "urn:acme:y": {"e": null, "f": 1}}),
        json!({"nope": 1, "name.nope": 3, (format!("{core}:nope")): 4, "acme:x": 5}),
        json!({"emails.value": "x", "groups": [1], "urn:ietf:params:scim:schemas:extension:enterprise:2.0:x": 1}),
    ] {
        let mut created = body.clone();
        created["userName"] = json!("ada");
        let mut admitted = admit(&rt, &created, Compatibility::Tolerant).unwrap();
        admitted.document.set_id(ID);
        let mut value = body.clone();
        // Without elements no sub-attribute can be added.
        value.as_object_mut().unwrap().shift_remove("emails.value");
        let operations = json!([{"op": "add", "value": value}]);
        let document = patched(&rt, &json!({}), &operations, Compatibility::Tolerant).unwrap();
        assert_eq!(
            admitted.document.to_string(),
            document.to_string(),
            "{body}"
        );
    }
}
