use super::*;

#[test]
fn too_much_work_is_refused() {
    let values: Vec<Value> = (0..50_000)
        .map(|n| json!({"value": n.to_string()}))
        .collect();
    let document = json!({"emails": values});
    let operations = |count: usize| {
        let operation = json!({"op": "remove", "path": "emails", "value": []});
        Value::Array(vec![operation; count])
    };
    assert!(run(&user(), &document, &operations(100)).is_ok());
    let error = run(&user(), &document, &operations(101)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidValue);
    assert!(error.detail.contains("too many operations"), "{error}");
}

/// A filter compares each element with all its terms.
#[test]
fn the_terms_of_filters_count() {
    let elements: Vec<Value> = (0..1_000)
        .map(|n| json!({"value": n.to_string(), "type": "t"}))
        .collect();
    let terms: Vec<String> = (0..100).map(|n| format!("value co \"x{n}\"")).collect();
    let filter = terms.join(" or ");
    for (document, path) in [
        (json!({"emails": elements}), format!("emails[{filter}]")),
        (
            json!({"urn:acme:x": {"list": elements}}),
            format!("urn:acme:x:list[{filter}]"),
        ),
    ] {
        let operation = json!({"op": "remove", "path": path});
        let operations = |count: usize| Value::Array(vec![operation.clone(); count]);
        let error = run(&user(), &document, &operations(60)).unwrap_err();
        assert!(error.detail.contains("too many operations"), "{error}");
        let few = run(&user(), &document, &operations(10));
        // Without a match, a strict client would be answered noTarget.
        assert!(
            few.as_ref()
                .err()
                .is_none_or(|error| error.kind == ErrorKind::NoTarget),
            "{few:?}"
        );
    }
}

/// A long value for one member of each element would make a resource that fills the memory.
#[test]
fn a_long_value_is_not_copied_into_very_many_elements() {
    let elements: Vec<Value> = (0..3_000)
        .map(|n| json!({"value": n.to_string(), "type": "t"}))
        .collect();
    let long = "x".repeat(200_000);
    for (document, path) in [
        (json!({"emails": elements}), "emails[type eq \"t\"].display"),
        (json!({"emails": elements}), "emails.display"),
        (
            json!({"urn:acme:x": {"list": elements}}),
            "urn:acme:x:list.label",
        ),
        (
            json!({"urn:acme:x": {"list": elements}}),
            "urn:acme:x:list[type eq \"t\"].label",
        ),
    ] {
        let operation = |value: &str| json!([{"op": "replace", "path": path, "value": value}]);
        assert!(
            run(&user(), &document, &operation("short")).is_ok(),
            "{path}"
        );
        let error = run(&user(), &document, &operation(&long)).unwrap_err();
        assert!(
            error.detail.contains("too many operations"),
            "{path}: {error}"
        );
    }
}

/// Many names are compared with many, and one value is copied into many elements.
#[test]
fn what_an_edit_costs_is_bounded() {
    let rt = resident();
    let many: serde_json::Map<String, Value> = (0..20_000)
        .map(|index| (format!("k{index}"), json!(index)))
        .collect();
    let before = json!({X: many.clone()});
    let gone = json!([operation("remove", X, Value::Object(many))]);
    let after = patched(&rt, &before, &gone, Compatibility::Tolerant).unwrap();
    assert_eq!(after.to_string(), complete(&rt, &json!({})).to_string());

    let elements: Vec<Value> = (0..2_000)
        .map(|index| json!({"value": format!("v{index}"), "type": "t"}))
        .collect();
    let before = json!({HOME: {"places": elements}, X: {"list": elements}});
    for path in [
        format!("{HOME}:places[type eq \"t\"].type"),
        format!("{HOME}:places.type"),
        format!("{X}:list[type eq \"t\"].type"),
    ] {
        let operations = json!([operation("replace", &path, json!("x".repeat(1_000_000)))]);
        let error = patched(&rt, &before, &operations, Compatibility::Tolerant).unwrap_err();
        assert!(error.detail.contains("too many"), "{error}");
    }
}

#[test]
fn the_lists_of_many_equal_elements_become_one_list() {
    let rt = resident();
    let places: Vec<Value> = (0..4_000)
        .map(|n| json!({"value": "v", "type": "t", "tags": [format!("t{}", n % 3_000), "last"]}))
        .collect();
    let mut tags: Vec<String> = (0..3_000).map(|n| format!("t{n}")).collect();
    tags.insert(1, "last".to_owned());
    let joined = json!([{"value": "v", "type": "t", "tags": tags}]);

    let body = json!({"userName": "ada", HOME: {"places": places}});
    let created = admit(&rt, &body, Compatibility::Tolerant).unwrap();
    assert_eq!(created.document.0[HOME]["places"], joined);

    let before = json!({"userName": "ada", HOME: {"places": [{"value": "v", "type": "t"}]}});
    let operations = json!([operation("add", &format!("{HOME}:places"), json!(places))]);
    let after = patched(&rt, &before, &operations, Compatibility::Tolerant).unwrap();
    assert_eq!(after.0[HOME]["places"], joined);
}

#[test]
fn listed_objects_are_compared_with_each_element() {
    let emails: Vec<Value> = (0..3_000)
        .map(|n| json!({"value": n.to_string()}))
        .collect();
    let listed: Vec<Value> = (0..2_000).map(|n| json!({"type": n.to_string()})).collect();
    let remove = json!([{"op": "remove", "path": "emails", "value": listed}]);
    let error = run(&user(), &json!({"emails": emails}), &remove).unwrap_err();
    assert!(error.detail.contains("too many operations"), "{error}");
}

#[test]
fn a_long_value_in_place_of_a_long_list_is_no_work() {
    let list: Vec<u32> = (0..3_000).collect();
    let long = "x".repeat(200_000);
    let replace = json!([{"op": "replace", "path": format!("{X}:list"), "value": long}]);
    assert!(run(&user(), &json!({X: {"list": list}}), &replace).is_ok());
}
