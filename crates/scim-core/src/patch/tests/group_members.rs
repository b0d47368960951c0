use super::*;

// R7644-3.5.2.1-08, R7643-4.2-03
#[test]
fn whole_lists() {
    let a_and_b = || vec![member("a"), member("b")];
    let list = json!([{"value": "a"}, {"value": "b"}, {"value": "a"}]);
    check_members(
        json!([{"op": "add", "path": "members", "value": list}]),
        vec![MemberEdit::Add(a_and_b())],
    );
    check_members(
        json!([{"op": "replace", "path": "Members", "value": list}]),
        vec![MemberEdit::Replace(a_and_b())],
    );
    check_members(
        json!([{"op": "replace", "value": {"members": list, "displayName": "x"}}]),
        vec![MemberEdit::Replace(a_and_b())],
    );
    check_members(
        json!([{"op": "add", "value": {"MEMBERS": list}}]),
        vec![MemberEdit::Add(a_and_b())],
    );
    for nothing in [json!([]), json!(null)] {
        check_members(
            json!([{"op": "replace", "path": "members", "value": nothing}]),
            vec![MemberEdit::Replace(vec![])],
        );
        check_members(
            json!([{"op": "add", "path": "members", "value": nothing}]),
            vec![],
        );
    }
    check_members(
        json!([{"op": "remove", "path": "members"}]),
        vec![MemberEdit::RemoveAll],
    );
    check_members(
        json!([{"op": "add", "path": "members", "value": {"value": "a", "display": "A"}}]),
        vec![MemberEdit::Add(vec![Member {
            value: "a".to_owned(),
            display: Some("A".to_owned()),
        }])],
    );
}

// L-05, R7644-3.5.2.2-06
#[test]
fn removing_some() {
    let remove = |value: Value| json!([{"op": "Remove", "path": "members", "value": value}]);
    let a_and_b = || vec![MemberEdit::Remove(ids(&["a", "b"]))];
    check_members(remove(json!([{"value": "a"}, {"value": "b"}])), a_and_b());
    check_members(remove(json!(["a", "b", "a"])), a_and_b());
    check_members(
        remove(json!({"value": "a"})),
        vec![MemberEdit::Remove(ids(&["a"]))],
    );
    check_members(remove(json!([])), vec![]);
    check_members(remove(json!(null)), vec![MemberEdit::RemoveAll]);
    let by_path = |path: &str| json!([{"op": "remove", "path": path}]);
    check_members(
        by_path("members[value eq \"a\"]"),
        vec![MemberEdit::Remove(ids(&["a"]))],
    );
    check_members(
        by_path("members[value eq \"a\" or VALUE EQ \"b\"]"),
        a_and_b(),
    );
    check_members(
        json!([{"op": "replace", "path": "members[value eq \"a\"]", "value": null}]),
        vec![MemberEdit::Remove(ids(&["a"]))],
    );
    for path in [
        "members[type eq \"User\"]",
        "members[value ne \"a\"]",
        "members[value sw \"a\"]",
    ] {
        let patch = parse(&group(), &patch_op(by_path(path)), Compatibility::Tolerant).unwrap();
        let edits = patch.member_edits();
        assert!(matches!(edits[..], [MemberEdit::RemoveWhere(_)]), "{path}");
    }
    let long: Vec<String> = (0..1_000).map(|n| format!("value eq \"{n}\"")).collect();
    let patch = by_path(&format!("members[{}]", long.join(" or ")));
    let patch = parse(&group(), &patch_op(patch), Compatibility::Tolerant).unwrap();
    let [MemberEdit::Remove(ids)] = patch.member_edits() else {
        panic!("not one edit");
    };
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn neighbours_are_joined() {
    check_members(
        json!([
            {"op": "remove", "path": "members[value eq \"a\"]"},
            {"op": "remove", "path": "members[value eq \"b\"]"},
            {"op": "replace", "value": {"id": ID, "displayName": "x"}},
            {"op": "remove", "path": "members", "value": [{"value": "a"}]},
            {"op": "add", "path": "members", "value": [{"value": "c"}]},
            {"op": "add", "path": "members", "value": [{"value": "d"}, {"value": "c"}]},
            {"op": "remove", "path": "members[value eq \"c\"]"},
        ]),
        vec![
            MemberEdit::Remove(ids(&["a", "b"])),
            MemberEdit::Add(vec![member("c"), member("d")]),
            MemberEdit::Remove(ids(&["c"])),
        ],
    );
}

#[test]
fn one_member_by_filter() {
    let path = "members[value eq \"a\"]";
    for op in ["add", "replace"] {
        for value in [
            json!({"value": "a"}),
            json!([{"value": "a"}]),
            json!({"type": "User"}),
        ] {
            check_members(
                json!([{"op": op, "path": path, "value": value}]),
                vec![MemberEdit::Add(vec![member("a")])],
            );
        }
        for value in [json!({"value": "b"}), json!("a"), json!([{}, {}])] {
            check_members_error(
                json!([{"op": op, "path": path, "value": value}]),
                ErrorKind::Mutability,
            );
        }
    }
}

#[test]
fn refused() {
    for sub in ["value", "display", "type", "$ref"] {
        for op in ["add", "replace", "remove"] {
            for path in [
                format!("members[value eq \"a\"].{sub}"),
                format!("members.{sub}"),
            ] {
                check_members_error(
                    json!([{"op": op, "path": path, "value": "x"}]),
                    ErrorKind::Mutability,
                );
            }
        }
    }
    let invalid = ErrorKind::InvalidValue;
    check_members_error(json!([{"op": "add", "path": "members"}]), invalid);
    check_members_error(
        json!([{"op": "add", "path": "members", "value": [true]}]),
        invalid,
    );
    check_members_error(
        json!([{"op": "add", "path": "members", "value": [{}]}]),
        invalid,
    );
    check_members_error(
        json!([{"op": "remove", "path": "members", "value": [{}]}]),
        invalid,
    );
    check_members_error(
        json!([{"op": "add", "path": "members[value eq \"a\"]"}]),
        invalid,
    );
    check_members_error(
        json!([{"op": "remove", "path": "members[foo eq \"a\"]"}]),
        ErrorKind::InvalidFilter,
    );
    check_members_error(
        json!([{"op": "remove", "path": "members[value eq \"\\u0000\"]"}]),
        ErrorKind::InvalidFilter,
    );
    check_members_error(
        json!([{"op": "remove", "path": "displayName"}]),
        ErrorKind::Mutability,
    );
}

#[test]
fn names_and_members_apart() {
    let rt = group();
    let body = patch_op(json!([{
        "op": "replace", "value": {"id": ID, "displayName": "Surveyors West"},
    }]));
    let patch = parse(&rt, &body, Compatibility::Tolerant).unwrap();
    assert!(patch.member_edits().is_empty());
    let patched = patch.apply(&rt, &complete(&rt, &json!({}))).unwrap();
    assert_eq!(patched.document.0["displayName"], "Surveyors West");
    let same = patch.apply(&rt, &patched.document).unwrap();
    assert_eq!(same.document, patched.document);
}

#[test]
fn many_are_fast() {
    let operations: Vec<Value> = (0..1_000)
        .map(|n| json!({"op": "remove", "path": format!("members[value eq \"{n}\"]")}))
        .collect();
    let patch = parse(
        &group(),
        &patch_op(json!(operations)),
        Compatibility::Tolerant,
    )
    .unwrap();
    assert!(matches!(patch.member_edits(), [MemberEdit::Remove(ids)] if ids.len() == 1_000));
}
