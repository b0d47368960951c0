use super::*;

fn replace(path: &str, value: Value) -> Value {
    json!([{"op": "replace", "path": path, "value": value}])
}

// R7644-3.5.2.3-02, R7644-3.5.2.3-03, R7644-3.5.2.3-09, R7643-2.5-02
#[test]
fn singular() {
    check(
        json!({"title": "Ms"}),
        replace("title", json!("Dr")),
        json!({"title": "Dr"}),
    );
    check(
        json!({}),
        replace("title", json!("Dr")),
        json!({"title": "Dr"}),
    );
    for nothing in [json!(null), json!(""), json!([])] {
        check(json!({"title": "Ms"}), replace("title", nothing), json!({}));
    }
    check(
        json!({}),
        replace("active", json!("False")),
        json!({"active": false}),
    );
    check(
        json!({}),
        replace("userName", json!("b")),
        json!({"userName": "b"}),
    );
}

// R7644-3.5.2.3-04, R7644-3.5.2.3-09
#[test]
fn complex_merges() {
    let before = json!({"name": {"familyName": "Byron", "givenName": "A"}});
    check(
        before.clone(),
        replace("name", json!({"GIVENNAME": "Ada", "unknown": 1})),
        json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
    );
    check(
        before.clone(),
        replace("name", json!({"givenName": null})),
        json!({"name": {"familyName": "Byron"}}),
    );
    check(before.clone(), replace("name", json!(null)), json!({}));
    check(before.clone(), replace("name", json!("")), json!({}));
    check(
        before.clone(),
        replace("name", json!([{"givenName": "Ada"}])),
        json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
    );
    check(
        before.clone(),
        replace("name", json!({"givenName": "", "familyName": ""})),
        json!({}),
    );
    check(
        before,
        replace("name.formatted", json!("Ada")),
        json!({"name": {"formatted": "Ada", "familyName": "Byron", "givenName": "A"}}),
    );
}

// R7644-3.5.2.3-02, R7644-3.5.2.3-03, R7644-3.5.2-24
#[test]
fn multi_valued() {
    let new = json!([{"value": "b@w.org"}]);
    check(
        emails(),
        replace("emails", new.clone()),
        json!({"emails": new}),
    );
    check(
        emails(),
        replace("emails", new[0].clone()),
        json!({"emails": new}),
    );
    check(
        json!({}),
        replace("emails", new.clone()),
        json!({"emails": new}),
    );
    check(
        emails(),
        replace("emails", json!([new[0], null, new[0], {}])),
        json!({"emails": new}),
    );
    check(emails(), replace("emails", json!([])), json!({}));
    check(emails(), replace("emails", json!(null)), json!({}));
    check(
        emails(),
        replace("emails.type", json!("other")),
        json!({"emails": [
            {"value": "a@w.org", "type": "other", "primary": true},
            {"value": "a@h.org", "type": "other"},
        ]}),
    );
    check_error(
        json!({}),
        replace("emails.type", json!("x")),
        ErrorKind::NoTarget,
    );
    check_error(
        emails(),
        replace("emails.primary", json!(true)),
        ErrorKind::InvalidValue,
    );
}

// R7644-3.5.2.3-05, R7644-3.5.2.3-06, R7644-3.5.2-11
#[test]
fn filtered() {
    let home = emails()["emails"][1].clone();
    check(
        emails(),
        replace("emails[type eq \"work\"].value", json!("b@w.org")),
        json!({"emails": [{"value": "b@w.org", "type": "work", "primary": true}, home]}),
    );
    check(
        emails(),
        replace("emails[type eq \"work\"].display", json!("W")),
        json!({"emails": [
            {"value": "a@w.org", "display": "W", "type": "work", "primary": true},
            home,
        ]}),
    );
    check(
        emails(),
        replace("emails[type eq \"work\"].primary", json!(null)),
        json!({"emails": [{"value": "a@w.org", "type": "work"}, home]}),
    );
    // The whole element is replaced.
    check(
        emails(),
        replace(
            "emails[type eq \"work\"]",
            json!({"value": "b@w.org", "type": "work"}),
        ),
        json!({"emails": [{"value": "b@w.org", "type": "work"}, home]}),
    );
    check(
        emails(),
        replace("emails[type eq \"work\"]", json!([{"value": "b@w.org"}])),
        json!({"emails": [{"value": "b@w.org"}, home]}),
    );
    check(
        emails(),
        replace("emails[type eq \"work\"]", json!(null)),
        json!({"emails": [home]}),
    );
    check(
        emails(),
        replace("emails[value pr]", json!({"value": "b", "primary": true})),
        json!({"emails": [{"value": "b", "primary": true}]}),
    );
    check(
        emails(),
        replace(
            "emails[type eq \"home\"]",
            json!({"value": "b", "primary": true}),
        ),
        json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": false},
            {"value": "b", "primary": true},
        ]}),
    );
}

// R7644-3.5.2.3-07, L-06
#[test]
fn filters_that_find_nothing() {
    let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
    check(
        emails(),
        replace("emails[type eq \"other\"].value", json!("o")),
        json!({"emails": [work, home, {"value": "o", "type": "other"}]}),
    );
    check(
        json!({}),
        replace("addresses[type eq \"work\"]", json!({"locality": "London"})),
        json!({"addresses": [{"locality": "London", "type": "work"}]}),
    );
    check(
        json!({}),
        replace(
            "emails[type eq \"Work\"]",
            json!({"value": "a", "type": "work"}),
        ),
        json!({"emails": [{"value": "a", "type": "work"}]}),
    );
    check(
        json!({}),
        replace("phoneNumbers[type eq \"fax\"].value", json!("")),
        json!({}),
    );
    check(
        emails(),
        replace(
            "emails[type eq \"other\" and primary eq true].value",
            json!("o"),
        ),
        json!({"emails": [
            {"value": "a@w.org", "type": "work", "primary": false},
            home,
            {"value": "o", "type": "other", "primary": true},
        ]}),
    );
    let no_target = ErrorKind::NoTarget;
    check_error(
        emails(),
        replace("emails[type sw \"o\"].value", json!("o")),
        no_target,
    );
    check_error(
        emails(),
        replace("emails[value eq \"x\"].value", json!("o")),
        no_target,
    );
    check_error(
        json!({}),
        replace("emails[type eq \"a\" and type eq \"b\"].value", json!("o")),
        no_target,
    );
}

// R7644-3.5.2.3-08, R7644-3.5.2.3-09, R7644-3.5.2.3-10, R7644-3.5.2-09
#[test]
fn refused() {
    let invalid = ErrorKind::InvalidValue;
    for nothing in [json!(null), json!(""), json!("  "), json!([])] {
        check_error(json!({}), replace("userName", nothing), invalid);
    }
    check_error(
        json!({}),
        json!([{"op": "replace", "path": "title"}]),
        invalid,
    );
    check_error(json!({}), replace("active", json!("maybe")), invalid);
    check_error(json!({}), replace("userName", json!("a\u{7}b")), invalid);
    let mutability = ErrorKind::Mutability;
    check_error(json!({}), replace("id", json!("x")), mutability);
    check_error(json!({}), replace("meta", json!({})), mutability);
    check_error(json!({}), replace("meta.version", json!("x")), mutability);
    check_error(json!({}), replace("groups", json!([])), mutability);
    check_error(
        json!({}),
        replace("groups[value eq \"x\"].display", json!("y")),
        mutability,
    );
    check_error(json!({}), replace("schemas", json!(["urn:x"])), mutability);
    check_error(
        json!({}),
        replace(&format!("{EU}:manager.displayName"), json!("x")),
        mutability,
    );
}
