use super::*;

fn check_body(body: Value, expected: Option<ErrorKind>) {
    let found = parse(&user(), &body, Compatibility::Tolerant)
        .err()
        .map(|error| error.kind);
    assert_eq!(found, expected, "{body}");
}

// R7644-3.5.2-02, R7644-3.5.2-03
#[test]
fn bodies() {
    let syntax = Some(ErrorKind::InvalidSyntax);
    let op = json!([{"op": "add", "value": {}}]);
    check_body(patch_op(op.clone()), None);
    check_body(
        json!({"SCHEMAS": [PATCH_OP.to_uppercase()], "operations": op}),
        None,
    );
    check_body(json!({"schemas": PATCH_OP, "Operations": op}), None);
    check_body(patch_op(json!([])), None);
    for schemas in [json!(null), json!([]), json!(["urn:x"]), json!(7)] {
        check_body(json!({"schemas": schemas, "Operations": op}), None);
    }
    check_body(json!({"Operations": op}), None);
    check_body(json!({"schemas": [PATCH_OP]}), syntax);
    check_body(patch_op(json!({"op": "add"})), syntax);
    check_body(patch_op(json!(null)), syntax);
    check_body(patch_op(json!(["add"])), syntax);
    check_body(json!([]), syntax);
    check_body(
        json!({"schemas": [PATCH_OP], "Operations": op, "operations": op}),
        syntax,
    );
}

// R7644-3.5.2-04, L-01
#[test]
fn ops() {
    let syntax = ErrorKind::InvalidSyntax;
    let row = json!({"path": "nickName", "value": "A"});
    for op in [
        json!("move"),
        json!("test"),
        json!(null),
        json!(1),
        json!(""),
    ] {
        let mut operation = row.clone();
        operation["op"] = op;
        check_error(json!({}), json!([operation]), syntax);
    }
    check_error(json!({}), json!([row]), syntax);
    for op in ["Add", "ADD", "Replace", "rePlace"] {
        let operation = json!([{"OP": op, "Path": "nickName", "VALUE": "A"}]);
        check(json!({}), operation, json!({"nickName": "A"}));
    }
    check(
        json!({"nickName": "A"}),
        json!([{"op": "Remove", "path": "nickName"}]),
        json!({}),
    );
}

#[test]
fn details_name_the_operation() {
    let operations = json!([
        {"op": "add", "path": "nickName", "value": "A"},
        {"op": "replace", "path": "emails[type eq \"x\"].value", "value": 5},
        {"op": "remove", "path": "userName"},
    ]);
    let error = run(&user(), &json!({}), &operations).unwrap_err();
    assert!(
        error.detail.starts_with("Operations[2]: userName"),
        "{error}"
    );
}

#[test]
fn nothing_to_do() {
    let rt = group();
    let touches = |operations: Value| {
        let patch = parse(&rt, &patch_op(operations), Compatibility::Tolerant).unwrap();
        patch.touches_document()
    };
    assert!(!touches(
        json!([{"op": "add", "path": "members", "value": {"value": "a"}}])
    ));
    assert!(!touches(
        json!([{"op": "replace", "value": {"meta": {}, "foo": 1}}])
    ));
    assert!(touches(
        json!([{"op": "replace", "value": {"displayName": "x"}}])
    ));
}
