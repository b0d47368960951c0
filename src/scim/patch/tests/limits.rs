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
