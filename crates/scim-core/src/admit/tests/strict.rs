//! Bodies that a strict tenant rejects, and the result of the same body for a tolerant one.

use super::*;

/// A user that lacks nothing, with these attributes on top.
fn body(more: &Value) -> Value {
    let mut body = json!({"schemas": [USER], "userName": "ada"});
    let members = body.as_object_mut().unwrap();
    if more.get(EU).is_some() {
        members.insert("schemas".to_owned(), json!([USER, EU]));
    }
    members.extend(more.as_object().unwrap().clone());
    body
}

fn strictly(body: &Value) -> Result<Admitted, ScimError> {
    admit(&user(), body, Compatibility::Strict)
}

/// Refused by the strict, taken by the tolerant.
#[track_caller]
fn check_both(more: Value, expected: ErrorKind, tolerant: Value) {
    let body = body(&more);
    match strictly(&body) {
        Ok(admitted) => panic!("{body} gave {}", admitted.document),
        Err(error) => assert_eq!(error.kind, expected, "{body}: {error}"),
    }
    let admitted = admit(&user(), &body, Compatibility::Tolerant).unwrap();
    let mut found = Value::Object(admitted.document.0);
    for name in ["schemas", "userName"] {
        found.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(found, tolerant, "{body}");
}

/// Refused by both.
#[track_caller]
fn check_neither(more: Value, expected: ErrorKind) {
    let body = body(&more);
    for compatibility in [Compatibility::Strict, Compatibility::Tolerant] {
        let error = admit(&user(), &body, compatibility).unwrap_err();
        assert_eq!(error.kind, expected, "{compatibility} {body}: {error}");
    }
}

/// Taken by both, and read the same.
#[track_caller]
fn check_same(more: Value) {
    let body = body(&more);
    let strict = strictly(&body).unwrap();
    let tolerant = admit(&user(), &body, Compatibility::Tolerant).unwrap();
    assert_eq!(strict.document.to_string(), tolerant.document.to_string());
    assert_eq!(strict.password, tolerant.password);
}

const INVALID: ErrorKind = ErrorKind::InvalidValue;
const SYNTAX: ErrorKind = ErrorKind::InvalidSyntax;

// R7643-2.3-01, R7643-2.3.4-01, R7643-2.3.5-01, R7643-2.3.6-01, R7644-3.3-08
#[test]
fn types() {
    check_both(json!({"title": 5}), INVALID, json!({"title": "5"}));
    check_both(json!({"active": "True"}), INVALID, json!({"active": true}));
    check_both(json!({"active": ""}), INVALID, json!({}));
    check_both(json!({"active": []}), INVALID, json!({}));
    check_both(json!({"title": []}), INVALID, json!({}));
    check_both(
        json!({"title": [{"value": "Dr"}]}),
        INVALID,
        json!({"title": "Dr"}),
    );
    check_both(
        json!({"emails": {"value": "a@b.org"}}),
        INVALID,
        json!({"emails": [{"value": "a@b.org"}]}),
    );
    check_both(
        json!({"emails": [{"value": "a@b.org", "primary": "true"}]}),
        INVALID,
        json!({"emails": [{"value": "a@b.org", "primary": true}]}),
    );
    check_both(json!({"emails": [null]}), INVALID, json!({}));
    check_both(json!({"emails": ""}), INVALID, json!({}));
    check_both(
        json!({"name": [{"givenName": "Ada"}]}),
        INVALID,
        json!({"name": {"givenName": "Ada"}}),
    );
    check_both(
        json!({EU: {"manager": "m1"}}),
        INVALID,
        json!({EU: {"manager": {"value": "m1"}}}),
    );
    check_both(
        json!({EU: {"manager": [{"value": "m1"}]}}),
        INVALID,
        json!({EU: {"manager": {"value": "m1"}}}),
    );
    check_both(json!({EU: []}), INVALID, json!({}));
    check_both(
        json!({EU: [{"department": "D"}]}),
        INVALID,
        json!({EU: {"department": "D"}}),
    );
    check_both(json!({"active": 1}), INVALID, json!({"active": true}));
    check_both(json!({"title": ["a"]}), INVALID, json!({"title": "a"}));
    for one in [json!("a@b.org"), json!(["a@b.org"])] {
        check_both(
            json!({"emails": one}),
            INVALID,
            json!({"emails": [{"value": "a@b.org"}]}),
        );
    }
    check_both(json!({EU: ""}), INVALID, json!({}));
    for wrong in [
        json!({"active": "yes"}),
        json!({"active": 2}),
        json!({"name": "Ada"}),
        json!({"title": true}),
        json!({"title": ["a", "b"]}),
        json!({"title": {"value": "a"}}),
        json!({"emails": [["a@b.org"]]}),
        json!({"emails": [{"value": {"a": 1}}]}),
        json!({"x509Certificates": [{"value": "%%%"}]}),
        json!({EU: {"manager": {"value": {}}}}),
        json!({EU: 5}),
    ] {
        check_neither(wrong, INVALID);
    }
}

// R7643-2.1-01, R7643-2.3.8-02, R7643-2.5-01, R7643-3-03, R7643-3-06, R7644-3.3-02, R7643-3.3-02,
// R7643-4.3-02
#[test]
fn what_is_no_fault() {
    check_same(json!({}));
    check_same(json!({"NICKNAME": "A", "Name": {"GIVENNAME": "Ada"}}));
    check_same(json!({"nickName": null, "roles": [], "name": null, "emails": null}));
    check_same(json!({"title": "", "name": {"familyName": null}}));
    check_same(json!({"schemas": [EU, USER]}));
    check_same(json!({"schemas": [USER.to_uppercase()]}));
    check_same(json!({(EU.to_uppercase()): {"Department": "D"}, "schemas": [USER, EU]}));
    check_same(json!({EU: null}));
    // readOnly ones are ignored, whatever they are.
    check_same(json!({"id": 7, "meta": "x", "groups": {"value": 1}}));
    check_same(json!({EU: {"manager": {"value": "m1", "displayName": 7}}}));
    check_same(json!({
        "externalId": "00u", "password": "Correct horse", "active": false,
        "emails": [{"value": "a@b.org", "type": "work", "primary": true}, {"value": "b@b.org"}],
        "profileUrl": "https://example.com/ada", "addresses": [{"country": "GB"}],
        "photos": [{"value": "Photos/1"}],
    }));
}

// R7644-3.3-07, RINTEROP-5.3-01
#[test]
fn unknown_names() {
    check_both(json!({"nope": 1}), SYNTAX, json!({}));
    check_both(json!({"department": "D"}), SYNTAX, json!({}));
    check_both(
        json!({"name": {"givenName": "Ada", "nope": 1}}),
        SYNTAX,
        json!({"name": {"givenName": "Ada"}}),
    );
    check_both(
        json!({"emails": [{"value": "a@b.org", "nope": null}]}),
        SYNTAX,
        json!({"emails": [{"value": "a@b.org"}]}),
    );
    check_both(
        json!({EU: {"department": "D", "nope": 1}}),
        SYNTAX,
        json!({EU: {"department": "D"}}),
    );
    check_both(json!({ACME: {"a": 1}}), SYNTAX, json!({ACME: {"a": 1}}));
    check_both(
        json!({USER: {"title": "Dr"}}),
        SYNTAX,
        json!({"title": "Dr"}),
    );
    check_both(
        json!({format!("{EU}:department"): "D"}),
        SYNTAX,
        json!({EU: {"department": "D"}}),
    );
    check_both(
        json!({"name.givenName": "Ada"}),
        SYNTAX,
        json!({"name": {"givenName": "Ada"}}),
    );
    check_both(
        json!({"emails[type eq \"work\"].value": "a@b.org"}),
        SYNTAX,
        json!({"emails": [{"value": "a@b.org", "type": "work"}]}),
    );
    let error = strictly(&body(&json!({"emails": [{"nope": 1}]}))).unwrap_err();
    assert!(
        error
            .detail
            .contains("emails[0] has no sub-attribute `nope`")
    );
}

// R7643-3-01, R7643-3-02, R7643-3-05
#[test]
fn schemas() {
    for missing in [json!(null), json!([])] {
        check_both(json!({"schemas": missing}), SYNTAX, json!({}));
    }
    check_both(json!({"schemas": USER}), SYNTAX, json!({}));
    check_both(json!({"schemas": [USER, USER]}), SYNTAX, json!({}));
    check_both(json!({"schemas": [USER, EU, EU]}), SYNTAX, json!({}));
    check_both(json!({"schemas": [USER, ACME]}), SYNTAX, json!({}));
    let department = json!({EU: {"department": "D"}});
    let mut unlisted = department.clone();
    unlisted["schemas"] = json!([USER]);
    check_both(unlisted, SYNTAX, department);
    for wrong in [
        json!([GROUP]),
        json!([USER, GROUP]),
        json!([ACME]),
        json!([5]),
        json!({}),
        json!(7),
    ] {
        check_both(json!({"schemas": wrong}), SYNTAX, json!({}));
    }
    let error = strictly(&json!({"userName": "ada"})).unwrap_err();
    assert_eq!(error.kind, SYNTAX);
    assert!(error.detail.contains("which is missing"), "{error}");
}

// R7643-2.3.7-01, R7643-4.1.1-04, R7643-4.1.2-04, R7643-4.1.2-07
#[test]
fn forms_of_text() {
    let address = |country: &str| json!({"addresses": [{"country": country}]});
    check_both(address("USA"), INVALID, address("USA"));
    check_both(address("1a"), INVALID, address("1a"));
    check_same(address("us"));
    let profile = |url: &str| json!({"profileUrl": url});
    check_both(profile("not a uri"), INVALID, profile("not a uri"));
    check_same(profile("https://example.com/a%20b?c#d"));
    let certificate = |text: &str| json!({"x509Certificates": [{"value": text}]});
    check_both(certificate("AQ=="), INVALID, certificate("AQ=="));
    check_both(certificate("AQ"), INVALID, certificate("AQ"));
    check_same(certificate("MAgwADAAAwIAAQ=="));
}

// R7644-5-01, R7644-5-02, R7644-5-03
#[test]
fn prepared_texts() {
    let named = |name: &str| json!({"schemas": [USER], "userName": name});
    let kind = |name: &str, compatibility| {
        let admitted = admit(&user(), &named(name), compatibility);
        admitted.err().map(|error| error.kind)
    };
    for (name, tolerant, strict) in [
        ("ada+x@example.com", None, None),
        ("Ada Byron", None, None),
        ("ｂjensen", None, None),
        ("♥", None, Some(INVALID)),
        ("a\u{200b}da", Some(INVALID), Some(INVALID)),
        ("a\u{7}", Some(INVALID), Some(INVALID)),
        ("  ", Some(INVALID), Some(INVALID)),
        ("", Some(INVALID), Some(INVALID)),
    ] {
        assert_eq!(kind(name, Compatibility::Tolerant), tolerant, "{name:?}");
        assert_eq!(kind(name, Compatibility::Strict), strict, "{name:?}");
    }
    let password = |text: &str, compatibility| {
        let body = body(&json!({"password": text}));
        admit(&user(), &body, compatibility).map(|admitted| admitted.password)
    };
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let prepared = password("A\u{30a}\u{3000}b", compatibility).unwrap();
        assert_eq!(prepared.as_deref(), Some("Å b"));
    }
    assert_eq!(password("", Compatibility::Tolerant).unwrap(), None);
    let raw = password("a\tb", Compatibility::Tolerant).unwrap();
    assert_eq!(raw.as_deref(), Some("a\tb"));
    for refused in ["", "a\tb"] {
        let error = password(refused, Compatibility::Strict).unwrap_err();
        assert_eq!(error.kind, INVALID);
    }
}

// R7644-3.3-03, R7644-3.5.1-07, R7643-2.5-02
#[test]
fn null_and_the_default_of_active() {
    let created = |compatibility| {
        let mut admitted = admit(&user(), &body(&json!({"active": null})), compatibility).unwrap();
        defaults(&user(), &mut admitted);
        admitted.document.0.get("active").cloned()
    };
    assert_eq!(created(Compatibility::Tolerant), Some(json!(true)));
    assert_eq!(created(Compatibility::Strict), None);
    let current = strictly(&body(&json!({"active": false}))).unwrap().document;
    let replaced = |more: Value, compatibility| {
        let incoming = admit(&user(), &body(&more), compatibility).unwrap();
        let document = replace(&user(), &current, &incoming).unwrap();
        document.0.get("active").cloned()
    };
    for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
        let kept = replaced(json!({"title": "Dr"}), compatibility);
        assert_eq!(kept, Some(json!(false)));
    }
    let null = || json!({"active": null});
    assert_eq!(
        replaced(null(), Compatibility::Tolerant),
        Some(json!(false))
    );
    assert_eq!(replaced(null(), Compatibility::Strict), None);
}

// R7643-4.2-04, L-15
#[test]
fn members_of_a_group() {
    let check = |members: Value, expected: Option<ErrorKind>| {
        let body = json!({"schemas": [GROUP], "displayName": "x", "members": members});
        let found = admit(&group(), &body, Compatibility::Strict);
        assert_eq!(found.err().map(|error| error.kind), expected, "{body}");
    };
    check(
        json!([{"value": "a"}, {"value": "b", "type": "User"}]),
        None,
    );
    check(
        json!([{"value": "a", "$ref": "Users/a", "display": "A"}]),
        None,
    );
    check(json!([]), None);
    check(json!([{"value": 7}]), Some(INVALID));
    check(json!([{"value": "a", "display": 7}]), Some(INVALID));
    check(json!([{"value": "a", "$ref": "a b"}]), Some(INVALID));
    check(json!([{"display": "A"}]), Some(INVALID));
    check(json!({"value": "a"}), Some(INVALID));
    check(json!(["a"]), Some(INVALID));
    check(json!([{"value": "a", "nope": 1}]), Some(SYNTAX));
}
