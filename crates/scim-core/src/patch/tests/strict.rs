//! PATCH bodies that a strict tenant rejects, and what a tolerant one makes of the same operations.

use super::*;
use crate::name::{GROUP, USER};

fn strictly(document: &Value, operations: &Value) -> Result<Patched, ScimError> {
    let rt = user();
    let body = patch_op(operations.clone());
    parse(&rt, &body, Compatibility::Strict)?.apply(&rt, &complete(&rt, document))
}

/// Refused by the strict, done by the tolerant.
#[track_caller]
fn check_both(document: Value, operations: Value, strict: ErrorKind, tolerant: Value) {
    match strictly(&document, &operations) {
        Ok(patched) => panic!("{operations} gave {}", patched.document),
        Err(error) => assert_eq!(error.kind, strict, "{operations}: {error}"),
    }
    check(document, operations, tolerant);
}

/// Done by both, and the same.
#[track_caller]
fn check_same(document: Value, operations: Value, expected: Value) {
    let patched = strictly(&document, &operations).unwrap();
    let rt = user();
    let wanted = complete(&rt, &expected).to_string();
    assert_eq!(patched.document.to_string(), wanted, "{operations}");
    check(document, operations, expected);
}

/// Refused by both.
#[track_caller]
fn check_neither(document: Value, operations: Value, expected: ErrorKind) {
    match strictly(&document, &operations) {
        Ok(patched) => panic!("{operations} gave {}", patched.document),
        Err(error) => assert_eq!(error.kind, expected, "{operations}: {error}"),
    }
    check_error(document, operations, expected);
}

fn one(op: &str, path: &str, value: Value) -> Value {
    json!([{"op": op, "path": path, "value": value}])
}

const INVALID: ErrorKind = ErrorKind::InvalidValue;
const SYNTAX: ErrorKind = ErrorKind::InvalidSyntax;
const PATH: ErrorKind = ErrorKind::InvalidPath;

// R7644-3.5.2-02, R7644-3.5.2-03, R7644-3.5.2-04, L-01, L-13
#[test]
fn envelopes() {
    let op = || json!([{"op": "add", "path": "title", "value": "Dr"}]);
    let kind = |body: Value, compatibility| {
        let patch = parse(&user(), &body, compatibility);
        patch.err().map(|error| error.kind)
    };
    for (body, strict, tolerant) in [
        (patch_op(op()), None, None),
        (
            json!({"schemas": [PATCH_OP, "urn:x"], "operations": op()}),
            None,
            None,
        ),
        (patch_op(json!([])), Some(SYNTAX), None),
        (
            json!({"schemas": PATCH_OP, "Operations": op()}),
            Some(SYNTAX),
            None,
        ),
        (
            patch_op(json!([{"op": "Add", "path": "title", "value": "x"}])),
            Some(SYNTAX),
            None,
        ),
        (
            patch_op(json!([{"op": "add", "path": null, "value": {}}])),
            None,
            None,
        ),
        (json!({"schemas": [PATCH_OP]}), Some(SYNTAX), Some(SYNTAX)),
        (json!({"Operations": op()}), Some(SYNTAX), None),
        (
            json!({"schemas": ["urn:x"], "Operations": op()}),
            Some(SYNTAX),
            None,
        ),
        (
            patch_op(json!([{"op": "move", "path": "title"}])),
            Some(SYNTAX),
            Some(SYNTAX),
        ),
        (
            patch_op(json!([{"path": "title", "value": "x"}])),
            Some(SYNTAX),
            Some(SYNTAX),
        ),
    ] {
        assert_eq!(kind(body.clone(), Compatibility::Strict), strict, "{body}");
        assert_eq!(
            kind(body.clone(), Compatibility::Tolerant),
            tolerant,
            "{body}"
        );
    }
}

// R7644-3.5.2.3-10, L-02, L-04, L-07
#[test]
fn values() {
    check_both(
        json!({"active": true}),
        one("replace", "active", json!("False")),
        INVALID,
        json!({"active": false}),
    );
    check_both(
        emails(),
        one("replace", "emails[type eq \"home\"].primary", json!("True")),
        INVALID,
        json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": false},
            {"value": "a@h.org", "type": "home", "primary": true},
        ]}),
    );
    let manager = format!("{EU}:manager");
    for bare in [json!("m1"), json!([{"value": "m1"}])] {
        check_both(
            json!({}),
            one("add", &manager, bare),
            INVALID,
            json!({EU: {"manager": {"value": "m1"}}}),
        );
    }
    check_both(
        json!({EU: {"manager": {"value": "m1"}}}),
        one("replace", &manager, json!("")),
        INVALID,
        json!({}),
    );
    check_both(
        json!({}),
        one("replace", "title", json!([{"value": "Dr"}])),
        INVALID,
        json!({"title": "Dr"}),
    );
    check_both(
        json!({}),
        one("add", "title", json!(5)),
        INVALID,
        json!({"title": "5"}),
    );
    check_both(
        emails(),
        one(
            "replace",
            "emails[type eq \"home\"]",
            json!([{"value": "b@h.org"}]),
        ),
        INVALID,
        json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": true},
            {"value": "b@h.org"},
        ]}),
    );
    check_both(
        json!({}),
        one("add", "emails", json!([{"value": "a@w.org", "nope": 1}])),
        SYNTAX,
        json!({"emails": [{"value": "a@w.org"}]}),
    );
    check_neither(json!({}), one("replace", "active", json!("yes")), INVALID);
    check_neither(json!({}), one("replace", "name", json!("Ada")), INVALID);
}

// R7644-3.5.2.1-05, R7644-3.5.2.1-10, R7644-3.5.2.3-02, R7644-3.5.2.3-04, R7644-3.5.2.3-05,
// R7644-3.5.2.3-09
#[test]
fn what_is_no_fault() {
    let one_mail = json!({"value": "a@w.org"});
    check_same(
        json!({}),
        one("add", "emails", one_mail.clone()),
        json!({"emails": [one_mail]}),
    );
    check_same(
        emails(),
        one("replace", "emails", one_mail.clone()),
        json!({"emails": [one_mail]}),
    );
    for nothing in [json!(null), json!([])] {
        check_same(emails(), one("add", "emails", nothing.clone()), emails());
        check_same(emails(), one("replace", "emails", nothing), json!({}));
    }
    check_same(
        json!({"name": {"familyName": "Byron"}}),
        one("replace", "name", json!({"givenName": "Ada"})),
        json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
    );
    check_same(
        emails(),
        one("replace", "emails[type eq \"work\"]", one_mail.clone()),
        json!({"emails": [one_mail, {"value": "a@h.org", "type": "home"}]}),
    );
    check_same(
        json!({"title": "Dr"}),
        one("replace", "title", json!(null)),
        json!({}),
    );
    check_same(
        emails(),
        json!([{"op": "remove", "path": "emails[type eq \"other\"]"}]),
        emails(),
    );
    check_same(
        json!({}),
        json!([{"op": "remove", "path": "emails[type eq \"other\"].display", "value": null}]),
        json!({}),
    );
    check_same(
        json!({}),
        one("add", EU, json!({"Department": "D"})),
        json!({EU: {"department": "D"}}),
    );
    check_same(
        json!({}),
        json!([{"op": "add", "value": {EU: {"department": "D"}, "NICKNAME": "A"}}]),
        json!({"nickName": "A", EU: {"department": "D"}}),
    );
}

// R7644-3.5.2.1-09, R7644-3.5.2.3-07, L-06
#[test]
fn a_filter_that_finds_nothing() {
    let target = ErrorKind::NoTarget;
    for op in ["add", "replace"] {
        check_both(
            json!({}),
            one(op, "emails[type eq \"work\"].value", json!("a@w.org")),
            target,
            json!({"emails": [{"value": "a@w.org", "type": "work"}]}),
        );
        check_both(
            json!({}),
            one(op, "emails[type eq \"work\"]", json!({"value": "a@w.org"})),
            target,
            json!({"emails": [{"value": "a@w.org", "type": "work"}]}),
        );
        check_neither(
            emails(),
            one(op, "emails[value co \"x\"].display", json!("x")),
            target,
        );
    }
    for path in ["emails[type eq \"x\"].display", "emails[type eq \"x\"]"] {
        check_both(
            emails(),
            one("replace", path, json!(null)),
            target,
            emails(),
        );
    }
}

// R7644-3.5.2.2-06, L-05
#[test]
fn remove_with_a_value() {
    check_both(
        emails(),
        one("remove", "emails", json!([{"value": "a@h.org"}])),
        INVALID,
        json!({"emails": [{"value": "a@w.org", "type": "work", "primary": true}]}),
    );
    check_both(
        json!({"title": "Dr"}),
        one("remove", "title", json!("Dr")),
        INVALID,
        json!({}),
    );
    check_both(
        json!({EU: {"department": "D"}}),
        one("remove", EU, json!({})),
        INVALID,
        json!({EU: {"department": "D"}}),
    );
}

// R7644-3.5.2.3-11, R7644-3.5.2.3-12, R7644-3.5.2-14, L-03, L-08
#[test]
fn without_path() {
    let replace = |value: Value| json!([{"op": "replace", "value": value}]);
    check_same(
        json!({}),
        replace(json!({"id": ID, "meta": {"version": "x"}, "schemas": [USER], "title": "Dr"})),
        json!({"title": "Dr"}),
    );
    for (name, value, expected) in [
        (
            "name.givenName",
            json!("Ada"),
            json!({"name": {"givenName": "Ada"}}),
        ),
        (
            "emails[type eq \"work\"].value",
            json!("a@w.org"),
            json!({"emails": [{"value": "a@w.org", "type": "work"}]}),
        ),
        (
            &format!("{EU}:department"),
            json!("D"),
            json!({EU: {"department": "D"}}),
        ),
        (USER, json!({"title": "Dr"}), json!({"title": "Dr"})),
        (ACME, json!({"a": 1}), json!({ACME: {"a": 1}})),
        ("nope", json!(1), json!({})),
    ] {
        check_both(json!({}), replace(json!({name: value})), SYNTAX, expected);
    }
    check_both(
        json!({}),
        replace(json!({EU: {"department": "D", "nope": 1}})),
        SYNTAX,
        json!({EU: {"department": "D"}}),
    );
    let mutability = ErrorKind::Mutability;
    check_both(
        json!({}),
        replace(json!({"groups": []})),
        mutability,
        json!({}),
    );
    check_both(
        json!({}),
        replace(json!({EU: {"manager": {"value": "m", "displayName": "M"}}})),
        mutability,
        json!({EU: {"manager": {"value": "m"}}}),
    );
    check_both(
        json!({}),
        replace(json!({"schemas": []})),
        mutability,
        json!({}),
    );
    check_both(
        json!({}),
        replace(json!({"schemas": [USER, GROUP]})),
        INVALID,
        json!({}),
    );
    for id in [json!("other"), json!(7)] {
        check_both(json!({}), replace(json!({"id": id})), mutability, json!({}));
    }
}

// R7644-3.5.2-21, R7644-3.5.2-22, R7644-3.5.2-25
#[test]
fn paths() {
    check_both(
        json!({}),
        one("add", &format!("{ACME}:a"), json!(1)),
        PATH,
        json!({ACME: {"a": 1}}),
    );
    check_both(
        json!({}),
        one("add", USER, json!({"title": "Dr"})),
        PATH,
        json!({"title": "Dr"}),
    );
    check_both(
        emails(),
        json!([{"op": "remove", "path": "emails[type eq 'home']"}]),
        PATH,
        json!({"emails": [{"value": "a@w.org", "type": "work", "primary": true}]}),
    );
    for undefined in ["nope", "userName.x", "emails[type eq \"work\"].nope"] {
        let operations = one("add", undefined, json!("x"));
        check_both(json!({}), operations, PATH, json!({}));
    }
    let near = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department";
    check_neither(json!({}), one("add", near, json!("x")), PATH);
    check_both(
        json!({}),
        one("add", &format!("{EU}.department"), json!("D")),
        PATH,
        json!({EU: {"department": "D"}}),
    );
    check_both(
        json!({}),
        one("add", "", json!({"title": "Dr"})),
        PATH,
        json!({"title": "Dr"}),
    );
}

// R7644-3.5.2-09, R7643-4.3-02
#[test]
fn read_only_parts_are_named() {
    let path = format!("{EU}:manager.displayName");
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let body = patch_op(one("replace", &path, json!("Boss")));
        let error = parse(&user(), &body, compatibility).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Mutability);
        assert!(
            error.detail.contains(&format!("{path} is readOnly")),
            "{error}"
        );
    }
}

// R7643-4.1.2-04, R7643-4.1.2-07, R7644-5-01
#[test]
fn forms_of_text() {
    let home = || json!({"addresses": [{"type": "home", "country": "GB"}]});
    for (document, path, value) in [
        (home(), "addresses[type eq \"home\"].country", json!("USA")),
        (home(), "addresses.country", json!("USA")),
        (json!({}), "userName", json!("♥")),
        (json!({}), "profileUrl", json!("a b")),
        (json!({}), "x509Certificates", json!([{"value": "AQ=="}])),
    ] {
        let operations = one("replace", path, value);
        let error = strictly(&document, &operations).unwrap_err();
        assert_eq!(error.kind, INVALID, "{operations}: {error}");
        assert!(run(&user(), &document, &operations).is_ok(), "{operations}");
    }
}

fn members(operations: Value) -> Result<Vec<MemberEdit>, ErrorKind> {
    let patch = parse(&group(), &patch_op(operations), Compatibility::Strict);
    patch
        .map(|patch| patch.member_edits().to_vec())
        .map_err(|error| error.kind)
}

// R7643-4.2-03, R7644-3.5.2.2-07, R7644-3.5.2.1-05, L-05, L-15
#[test]
fn members_of_a_group() {
    let mutability = Err(ErrorKind::Mutability);
    let a = || vec![member("a")];
    for (operations, expected) in [
        (
            one("add", "members", json!([{"value": "a"}])),
            Ok(vec![MemberEdit::Add(a())]),
        ),
        (
            one("add", "members", json!({"value": "a"})),
            Ok(vec![MemberEdit::Add(a())]),
        ),
        (
            one("replace", "members", json!([{"value": "a"}])),
            Ok(vec![MemberEdit::Replace(a())]),
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\"]"}]),
            Ok(vec![MemberEdit::Remove(ids(&["a"]))]),
        ),
        (
            json!([{"op": "remove", "path": "members"}]),
            Ok(vec![MemberEdit::RemoveAll]),
        ),
        (
            one("remove", "members", json!([{"value": "a"}])),
            Err(INVALID),
        ),
        (one("add", "members", json!([{"value": 7}])), Err(INVALID)),
        (one("add", "members", json!("a")), Err(INVALID)),
        (
            one("add", "members", json!([{"value": "a", "nope": 1}])),
            Err(SYNTAX),
        ),
        (
            one("replace", "members[value eq \"a\"].value", json!("b")),
            mutability.clone(),
        ),
        (
            json!([{"op": "remove", "path": "members[value eq \"a\"].display"}]),
            mutability.clone(),
        ),
        (
            one("replace", "members[value eq \"a\"]", json!({"value": "b"})),
            mutability.clone(),
        ),
        (
            one("add", "members[value eq \"a\"]", json!({"display": "A"})),
            mutability,
        ),
        (
            one("add", "members[value eq \"a\"]", json!(null)),
            Ok(vec![]),
        ),
    ] {
        assert_eq!(members(operations.clone()), expected, "{operations}");
    }
    // The same member again changes nothing, but has to be one.
    let again = one("replace", "members[value eq \"a\"]", json!({"value": "a"}));
    let edits = members(again).unwrap();
    assert!(
        matches!(edits.as_slice(), [MemberEdit::Demand(_)]),
        "{edits:?}"
    );
    let gone = one("replace", "members[value eq \"a\"]", json!(null));
    let edits = members(gone).unwrap();
    assert!(
        matches!(
            edits.as_slice(),
            [MemberEdit::Demand(_), MemberEdit::RemoveWhere(_)]
        ),
        "{edits:?}"
    );
}
