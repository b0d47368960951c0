//! Extensions that no schema describes, in which only the values show what is a list.

use super::*;

// R7644-3.5.2.2-06, R7643-3.3-02
#[test]
fn lists_of_undeclared_extensions() {
    let x = |list: Value| json!({X: {"list": list, "other": "o"}});
    let path = format!("{X}:list");
    let remove = |path: &str, value: Value| operation("remove", path, value);
    let texts = x(json!(["a", "b", "c"]));
    let rest = || x(json!(["a", "c"]));
    for listed in [json!(["b"]), json!("b"), json!([{"value": "b"}])] {
        check_tolerant(&texts, remove(&path, listed.clone()), rest());
        check_tolerant(&texts, remove(X, json!({"list": listed})), rest());
    }
    let by_filter = format!("{path}[value eq \"b\"]");
    check_tolerant(&texts, json!({"op": "remove", "path": by_filter}), rest());
    for nothing in [json!([]), json!(["z"]), json!("B"), json!([{"a": "b"}])] {
        check_tolerant(&texts, remove(&path, nothing), texts.clone());
    }
    check_tolerant(&texts, remove(X, json!({})), texts.clone());
    check_tolerant(&texts, remove(X, json!({"other": "x"})), texts.clone());
    check_tolerant(
        &texts,
        remove(X, json!({"other": "o"})),
        json!({X: {"list": ["a", "b", "c"]}}),
    );
    check_tolerant(
        &texts,
        remove(&path, json!(["a", "b", "c"])),
        json!({X: {"other": "o"}}),
    );
    check_tolerant(
        &texts,
        json!({"op": "remove", "path": path}),
        json!({X: {"other": "o"}}),
    );
    check_tolerant(&texts, json!({"op": "remove", "path": X}), json!({}));
    let numbers = x(json!([1, 2, true]));
    check_tolerant(&numbers, remove(&path, json!([2])), x(json!([1, true])));
    let objects = x(json!([{"value": "a", "type": "t"}, {"value": "b"}]));
    for listed in [json!([{"value": "a"}]), json!("a"), json!({"type": "t"})] {
        check_tolerant(&objects, remove(&path, listed), x(json!([{"value": "b"}])));
    }
    check_tolerant(&objects, remove(&path, json!([{}])), objects.clone());
    let typed = format!("{path}[type eq \"t\"]");
    check_tolerant(
        &objects,
        json!({"op": "remove", "path": typed}),
        x(json!([{"value": "b"}])),
    );
    check_tolerant(
        &objects,
        remove(&typed, json!([{"value": "b"}])),
        objects.clone(),
    );
    // A list inside a member.
    let inner = json!({X: {"obj": {"list": ["a", "b"], "k": 1}}});
    let inner_path = format!("{X}:obj.list");
    let after = json!({X: {"obj": {"list": ["a"], "k": 1}}});
    check_tolerant(&inner, remove(&inner_path, json!(["b"])), after.clone());
    check_tolerant(
        &inner,
        remove(&format!("{X}:obj"), json!({"list": ["b"]})),
        after.clone(),
    );
    let chosen = format!("{inner_path}[value eq \"b\"]");
    check_tolerant(&inner, json!({"op": "remove", "path": chosen}), after);
}

// R7644-3.5.2.1-05, R7644-3.5.2.3-03, R7643-3.3-02
#[test]
fn changing_lists_of_undeclared_extensions() {
    let x = |list: Value| json!({X: {"list": list}});
    let path = format!("{X}:list");
    let texts = x(json!(["a", "b"]));
    check_tolerant(
        &texts,
        operation("add", &path, json!(["c", "a"])),
        x(json!(["a", "b", "c"])),
    );
    check_tolerant(
        &texts,
        operation("add", &path, json!("B")),
        x(json!(["a", "b", "B"])),
    );
    check_tolerant(
        &x(json!("a")),
        operation("add", &path, json!(["b"])),
        x(json!(["a", "b"])),
    );
    let chosen = format!("{path}[value eq \"b\"]");
    check_tolerant(
        &texts,
        operation("replace", &chosen, json!("c")),
        x(json!(["a", "c"])),
    );
    check_tolerant(
        &texts,
        operation("add", &chosen, json!("c")),
        x(json!(["a", "b", "c"])),
    );
    let objects = x(json!([{"type": "t", "value": "a"}, {"type": "u", "value": "b"}]));
    let typed = format!("{path}[type eq \"t\"].value");
    check_tolerant(
        &objects,
        operation("replace", &typed, json!("z")),
        x(json!([{"type": "t", "value": "z"}, {"type": "u", "value": "b"}])),
    );
    check_tolerant(
        &json!({}),
        operation("add", &typed, json!("z")),
        x(json!([{"type": "t", "value": "z"}])),
    );
    let rt = resident();
    let missing = json!([operation("replace", &chosen, json!("c"))]);
    let error = patched(&rt, &x(json!(["a"])), &missing, Compatibility::Tolerant).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoTarget);
}

/// A sub-attribute of what has none, or of a list without saying which element, destroys nothing.
// R7644-3.5.2.1-05, R7644-3.5.2.3-03
#[test]
fn sub_attributes_of_undeclared_values() {
    let rt = resident();
    let before = json!({X: {
        "objects": [{"value": "v", "type": "t"}, {"value": "w"}, "text"], "list": ["a"], "one": "1", "on": true,
    }});
    let refused = |path: &str, op: &str| {
        let operations = json!([operation(op, &format!("{X}:{path}"), json!("y"))]);
        let error = patched(&rt, &before, &operations, Compatibility::Tolerant).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPath, "{operations}: {error}");
    };
    refused("objects.label", "add");
    for op in ["add", "replace"] {
        refused("list.label", op);
        refused("one.label", op);
        refused("on.label", op);
    }
    let objects = |objects: Value| {
        let mut after = before.clone();
        after[X]["objects"] = objects;
        after
    };
    check_tolerant(
        &before,
        operation("replace", &format!("{X}:objects.label"), json!("L")),
        objects(
            json!([{"value": "v", "type": "t", "label": "L"}, {"value": "w", "label": "L"}, "text"]),
        ),
    );
    check_tolerant(
        &before,
        json!({"op": "remove", "path": format!("{X}:objects.value")}),
        objects(json!([{"type": "t"}, "text"])),
    );
    check_tolerant(
        &before,
        operation("remove", &format!("{X}:objects.value"), json!(["w"])),
        objects(json!([{"value": "v", "type": "t"}, "text"])),
    );
    for path in ["list.label", "one.label", "on.label", "none.label"] {
        check_unchanged(
            &before,
            json!({"op": "remove", "path": format!("{X}:{path}")}),
        );
    }
    check_tolerant(
        &before,
        operation(
            "add",
            &format!("{X}:objects[type eq \"t\"]"),
            json!([{"label": "L"}]),
        ),
        objects(json!([{"value": "v", "type": "t", "label": "L"}, {"value": "w"}, "text"])),
    );
}

#[test]
fn added_values_take_the_shape_of_an_undeclared_list() {
    let x = |list: Value| json!({X: {"list": list}});
    let path = format!("{X}:list");
    let add = |value: Value| operation("add", &path, value);
    for (before, added, after) in [
        (json!(["a"]), json!([{"value": "b"}]), json!(["a", "b"])),
        (json!(["a"]), json!({"value": "a"}), json!(["a"])),
        (
            json!([{"value": "a"}]),
            json!(["b", "a"]),
            json!([{"value": "a"}, {"value": "b"}]),
        ),
        (
            json!(["a"]),
            json!([{"value": "b", "type": "t"}]),
            json!(["a", {"value": "b", "type": "t"}]),
        ),
        (
            json!(["a", {"value": "b"}]),
            json!(["c"]),
            json!(["a", {"value": "b"}, "c"]),
        ),
    ] {
        check_tolerant(&x(before), add(added), x(after));
    }
}

/// A dot in place of the last colon, for an extension that the resource has.
#[test]
fn a_dot_after_the_urn_of_an_undeclared_extension() {
    let before = json!({X: {"list": ["a", "b"]}});
    for (operation, after) in [
        (
            operation("add", &format!("{X}.list"), json!("c")),
            json!(["a", "b", "c"]),
        ),
        (
            operation("remove", &format!("{X}.list"), json!(["a"])),
            json!(["b"]),
        ),
        (
            json!({"op": "remove", "path": format!("{X}.list[value eq \"b\"]")}),
            json!(["a"]),
        ),
        (
            json!({"op": "replace", "value": {format!("{X}.list"): ["c"]}}),
            json!(["c"]),
        ),
    ] {
        check_tolerant(&before, operation, json!({X: {"list": after}}));
    }
    // Without it the dot is between attribute and sub-attribute.
    check_tolerant(
        &json!({}),
        operation("add", "urn:acme:x.list", json!(["a"])),
        json!({"urn:acme": {"x": {"list": ["a"]}}}),
    );
    check_tolerant(
        &json!({"urn:acme": {"x": {"k": 1}}, X: {"list": ["a"]}}),
        operation("add", "urn:acme:x.list", json!(["b"])),
        json!({"urn:acme": {"x": {"k": 1, "list": ["b"]}}, X: {"list": ["a"]}}),
    );
}

// R7644-3.5.2.2-06
#[test]
fn lists_of_undeclared_extensions_without_path() {
    let before = json!({X: {"list": ["a", "b"], "k": 1}});
    check_tolerant(
        &before,
        json!({"op": "remove", "value": {format!("{X}:list"): ["a"]}}),
        json!({X: {"list": ["b"], "k": 1}}),
    );
    let core = resident().schema.id.clone();
    check_tolerant(
        &json!({}),
        json!({"op": "add", "value": {core: [{"title": "T"}]}}),
        json!({"title": "T"}),
    );
    check_tolerant(
        &before,
        operation("add", X, json!([{"list": ["c"]}])),
        json!({X: {"list": ["a", "b", "c"], "k": 1}}),
    );
}

/// Paths into an undeclared extension, in which only the values show what is a list.
#[test]
fn undeclared_values_are_not_lost_to_a_path_into_them() {
    let objects = json!([
        {"value": "a", "type": "t", "tags": ["x", "y"]}, {"value": "b", "type": "u"},
    ]);
    let list = json!({X: {"list": objects, "texts": ["a", "b"], "one": "o"}});
    let rt = resident();
    for op in ["add", "replace"] {
        for name in [
            "list.type",
            "texts.type",
            "one.type",
            "list.tags[value eq \"z\"]",
        ] {
            let by_path = operation(op, &format!("{X}:{name}"), json!("z"));
            let by_name = json!({"op": op, "value": {X: {name: "z"}}});
            for operation in [by_path, by_name] {
                // A path means the sub-attribute of every element.
                if operation
                    == json!({"op": "replace", "path": format!("{X}:list.type"), "value": "z"})
                {
                    continue;
                }
                let found = patched(&rt, &list, &json!([operation]), Compatibility::Tolerant);
                assert!(found.is_err(), "{operation}");
            }
        }
    }
    let after = |index: usize, member: &str, value: Option<Value>| {
        let mut after = list.clone();
        let element = after[X]["list"][index].as_object_mut().unwrap();
        match value {
            Some(value) => element.insert(member.to_owned(), value),
            None => element.shift_remove(member),
        };
        after
    };
    let remove = |name: &str, value: Value| operation("remove", &format!("{X}:{name}"), value);
    check_tolerant(
        &list,
        remove("list.type", json!("t")),
        after(0, "type", None),
    );
    check_tolerant(
        &list,
        remove("list.tags", json!(["x"])),
        after(0, "tags", Some(json!(["y"]))),
    );
    check_tolerant(
        &list,
        json!({"op": "remove", "path": format!("{X}:list.tags[value eq \"x\"]")}),
        after(0, "tags", Some(json!(["y"]))),
    );
    check_tolerant(
        &list,
        remove("list[type eq \"t\"]", json!({"tags": ["x"]})),
        after(0, "tags", Some(json!(["y"]))),
    );
    for nothing in [
        remove("one.type", json!("o")),
        remove("texts.type", json!("a")),
        remove("list[type eq \"t\"]", json!({"tags": ["z"]})),
    ] {
        check_tolerant(&list, nothing, list.clone());
    }
    let mut texts = list.clone();
    texts[X]["texts"] = json!(["b"]);
    check_tolerant(&list, remove("texts.value", json!("a")), texts);
}

#[test]
fn the_parts_of_an_undeclared_object_are_not_lost() {
    let remove = |name: &str, value: Value| operation("remove", &format!("{X}:{name}"), value);
    let object = json!({X: {"obj": {"a": 1, "b": 2}}});
    check_tolerant(
        &object,
        remove("obj", json!([{"a": 1}])),
        json!({X: {"obj": {"b": 2}}}),
    );
    check_tolerant(
        &object,
        operation("add", &format!("{X}:obj"), json!([{"a": 3}])),
        json!({X: {"obj": [{"a": 1, "b": 2}, {"a": 3}]}}),
    );
    check_tolerant(
        &object,
        operation("remove", X, json!([{"obj": {"a": 1}}])),
        json!({X: {"obj": {"b": 2}}}),
    );
    check_tolerant(
        &json!({}),
        operation("add", &format!("{X}:a"), json!("")),
        json!({}),
    );
}

#[test]
fn one_name_in_two_cases_loses_no_value() {
    let rt = resident();
    for value in [
        json!({"a": 1, "A": 2}),
        json!({"o": {"b": 1, "B": 2}}),
        json!({"l": [{"b": 1, "B": 2}]}),
    ] {
        let operations = json!([operation("add", X, value)]);
        let error = patched(&rt, &json!({}), &operations, Compatibility::Tolerant).unwrap_err();
        assert!(error.detail.contains("twice"), "{error}");
    }
}
