use super::*;

fn add(path: &str, value: Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

// R7644-3.5.2.1-03, R7644-3.5.2.1-06, R7644-3.5.2.1-10
#[test]
fn singular() {
    check(json!({}), add("title", json!("Dr")), json!({"title": "Dr"}));
    check(
        json!({"title": "Ms"}),
        add("title", json!("Dr")),
        json!({"title": "Dr"}),
    );
    check(json!({}), add("title", json!(7)), json!({"title": "7"}));
    check(
        json!({}),
        add("title", json!([{"value": "Dr"}])),
        json!({"title": "Dr"}),
    );
    // Nothing to add is no change; an empty text clears.
    check(
        json!({"title": "Ms"}),
        add("title", json!(null)),
        json!({"title": "Ms"}),
    );
    check(
        json!({"title": "Ms"}),
        add("title", json!([])),
        json!({"title": "Ms"}),
    );
    check(json!({"title": "Ms"}), add("title", json!("")), json!({}));
    check(
        json!({}),
        add("active", json!("True")),
        json!({"active": true}),
    );
    check(
        json!({}),
        add("externalId", json!("00u1")),
        json!({"externalId": "00u1"}),
    );
}

// R7644-3.5.2.1-03, R7644-3.5.2.1-04
#[test]
fn complex() {
    check(
        json!({}),
        add("name.givenName", json!("Ada")),
        json!({"name": {"givenName": "Ada"}}),
    );
    let before = json!({"name": {"familyName": "Byron", "givenName": "A"}});
    check(
        before.clone(),
        add("name", json!({"givenName": "Ada"})),
        json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
    );
    check(
        before.clone(),
        add("name", json!({"givenName": null})),
        before.clone(),
    );
    check(
        before.clone(),
        add("name", json!({"givenName": ""})),
        json!({"name": {"familyName": "Byron"}}),
    );
    check(before.clone(), add("name", json!({})), before.clone());
    check(before.clone(), add("name", json!(null)), before);
}

// R7644-3.5.2.1-05, R7644-3.5.2.1-07, R7644-3.5.2.1-08, R7643-2.4-05
#[test]
fn multi_valued() {
    let other = json!({"value": "b@w.org", "type": "work"});
    let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
    let expected = json!({"emails": [work, home, other]});
    check(emails(), add("emails", json!([other])), expected.clone());
    check(emails(), add("emails", other.clone()), expected.clone());
    check(
        emails(),
        add("emails", json!([home, other, other])),
        expected,
    );
    check(
        json!({}),
        add("emails", home.clone()),
        json!({"emails": [home]}),
    );
    for same in [
        json!(null),
        json!([]),
        home.clone(),
        json!({"type": "home", "value": "a@h.org", "primary": false}),
        json!([work, home]),
    ] {
        check(emails(), add("emails", same), emails());
    }
    // The same value of the same type is the same value.
    check(
        emails(),
        add(
            "emails",
            json!({"value": "a@h.org", "type": "home", "display": "H"}),
        ),
        json!({"emails": [work, {"value": "a@h.org", "display": "H", "type": "home"}]}),
    );
}

// R7644-3.5.2-11, R7644-3.5.2-12
#[test]
fn primary_moves() {
    check(
        emails(),
        add("emails", json!({"value": "b@w.org", "primary": true})),
        json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": false},
            {"value": "a@h.org", "type": "home"},
            {"value": "b@w.org", "primary": true},
        ]}),
    );
    let moved = json!({"emails": [
        {"value": "a@w.org", "type": "work", "primary": false},
        {"value": "a@h.org", "type": "home", "primary": true},
    ]});
    check(
        emails(),
        add(
            "emails",
            json!({"value": "a@h.org", "type": "home", "primary": true}),
        ),
        moved.clone(),
    );
    check(
        emails(),
        add("emails[type eq \"home\"].primary", json!("true")),
        moved.clone(),
    );
    check(
        emails(),
        add("emails[type eq \"home\"]", json!({"primary": true})),
        moved,
    );
    check_error(
        emails(),
        add(
            "emails",
            json!([{"value": "x", "primary": true}, {"value": "y", "primary": true}]),
        ),
        ErrorKind::InvalidValue,
    );
    check_error(
        emails(),
        add("emails[value pr].primary", json!(true)),
        ErrorKind::InvalidValue,
    );
}

// R7644-3.5.2.1-09, R7644-3.5.2-24, L-06
#[test]
fn filtered() {
    let display = json!({"emails": [
        {"value": "a@w.org", "display": "W", "type": "work", "primary": true},
        {"value": "a@h.org", "type": "home"},
    ]});
    check(
        emails(),
        add("emails[type eq \"work\"].display", json!("W")),
        display.clone(),
    );
    check(
        emails(),
        add(
            "emails[type eq \"work\"]",
            json!({"display": "W", "type": null}),
        ),
        display,
    );
    check(
        json!({}),
        add("emails[type eq \"work\"].value", json!("a@w.org")),
        json!({"emails": [{"value": "a@w.org", "type": "work"}]}),
    );
    check(
        json!({}),
        add(
            "emails[type eq \"work\" and primary eq true]",
            json!({"value": "a@w.org"}),
        ),
        json!({"emails": [{"value": "a@w.org", "type": "work", "primary": true}]}),
    );
    check(
        emails(),
        add("emails[type eq \"work\"].value", json!(null)),
        emails(),
    );
    let no_target = ErrorKind::NoTarget;
    check_error(
        json!({}),
        add("emails[type ne \"work\"].value", json!("x")),
        ErrorKind::NoTarget,
    );
    check_error(
        json!({}),
        add("emails[type co \"w\"].value", json!("x")),
        no_target,
    );
    check_error(
        json!({}),
        add("emails[type eq \"a\" or type eq \"b\"].value", json!("x")),
        no_target,
    );
    check_error(
        json!({}),
        add("emails[value eq \"a\"].value", json!("b")),
        no_target,
    );
    check_error(
        json!({}),
        add(
            "emails[type eq \"work\"]",
            json!({"type": "home", "value": "x"}),
        ),
        no_target,
    );
    check_error(
        emails(),
        add("emails.value", json!("x")),
        ErrorKind::InvalidPath,
    );
}

// R7644-3.5.2.1-01, R7644-3.5.2.1-02, R7644-3.5.2.3-10
#[test]
fn wrong_values() {
    let invalid = ErrorKind::InvalidValue;
    check_error(json!({}), json!([{"op": "add", "path": "title"}]), invalid);
    check_error(json!({}), json!([{"op": "add"}]), invalid);
    check_error(json!({}), json!([{"op": "add", "value": "x"}]), invalid);
    check_error(json!({}), json!([{"op": "add", "value": null}]), invalid);
    check_error(
        json!({}),
        json!([{"op": "add", "value": [{"title": "x"}]}]),
        invalid,
    );
    check_error(json!({}), add("title", json!({"x": 1})), invalid);
    check_error(json!({}), add("title", json!(["x", "y"])), invalid);
    check_error(json!({}), add("title", json!(true)), invalid);
    check_error(json!({}), add("title", json!("a\u{0}b")), invalid);
    check_error(json!({}), add("active", json!("yes")), invalid);
    check_error(json!({}), add("active", json!(2)), invalid);
    check_error(json!({}), add("name", json!("Ada")), invalid);
    check_error(json!({}), add("name.givenName", json!({})), invalid);
    check_error(json!({}), add("emails", json!(true)), invalid);
    check_error(json!({}), add("addresses", json!("Bern")), invalid);
    check_error(json!({}), add("emails", json!([{"value": {}}])), invalid);
    check_error(
        emails(),
        add("emails[type eq \"work\"].primary", json!("x")),
        invalid,
    );
    check_error(
        emails(),
        add("emails[type eq \"work\"]", json!(true)),
        invalid,
    );
    check_error(
        json!({}),
        add("x509Certificates", json!([{"value": "%%%"}])),
        invalid,
    );
    check_error(json!({}), add("title", json!(1e300)), invalid);
    check_error(
        json!({}),
        add("userName", json!("a".repeat(2_001))),
        invalid,
    );
    check_error(
        json!({}),
        add("emails", json!([{"value": "a".repeat(2_001)}])),
        invalid,
    );
}
