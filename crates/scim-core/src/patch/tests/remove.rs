use super::*;

fn remove(path: &str) -> Value {
    json!([{"op": "remove", "path": path}])
}

// R7644-3.5.2.2-02, R7644-3.5.2.2-05
#[test]
fn whole_attributes() {
    check(json!({"title": "Dr"}), remove("title"), json!({}));
    check(json!({}), remove("title"), json!({}));
    check(json!({"active": true}), remove("active"), json!({}));
    check(
        json!({"name": {"givenName": "A"}}),
        remove("name"),
        json!({}),
    );
    check(emails(), remove("emails"), json!({}));
    // A singular attribute is removed whatever the value says.
    check(
        json!({"title": "Dr"}),
        json!([{"op": "remove", "path": "title", "value": "x"}]),
        json!({}),
    );
    check(
        emails(),
        json!([{"op": "remove", "path": "emails", "value": null}]),
        json!({}),
    );
}

// R7644-3.5.2.2-02, R7644-3.5.2-24
#[test]
fn sub_attributes() {
    let name = json!({"name": {"familyName": "Byron", "givenName": "Ada"}});
    check(
        name,
        remove("name.givenName"),
        json!({"name": {"familyName": "Byron"}}),
    );
    check(
        json!({"name": {"givenName": "Ada"}}),
        remove("name.givenName"),
        json!({}),
    );
    check(json!({}), remove("name.givenName"), json!({}));
    check(
        emails(),
        remove("emails.type"),
        json!({"emails": [{"value": "a@w.org", "primary": true}, {"value": "a@h.org"}]}),
    );
    check(json!({}), remove("emails.type"), json!({}));
}

// R7644-3.5.2.2-02, R7644-3.5.2.2-04, R7644-3.5.2.2-08
#[test]
fn filtered() {
    let work = json!({"emails": [emails()["emails"][0]]});
    check(emails(), remove("emails[type eq \"home\"]"), work.clone());
    check(
        emails(),
        remove("emails[value eq \"A@H.ORG\"]"),
        work.clone(),
    );
    check(
        emails(),
        remove("emails[not (primary eq true)]"),
        work.clone(),
    );
    check(emails(), remove("emails[primary eq false]"), work);
    check(emails(), remove("emails[value pr]"), json!({}));
    check(emails(), remove("emails[type eq \"other\"]"), emails());
    check(json!({}), remove("emails[type eq \"other\"]"), json!({}));
    check(
        json!({}),
        remove("emails[type eq \"other\"].value"),
        json!({}),
    );
    check(
        json!({"emails": [{"value": "a", "type": "work"}]}),
        remove("emails[type eq \"work\"].type"),
        json!({"emails": [{"value": "a"}]}),
    );
    check(
        json!({"emails": [{"value": "a"}, {"value": "b"}]}),
        remove("emails[value eq \"a\"].value"),
        json!({"emails": [{"value": "b"}]}),
    );
    // Another element does not become primary.
    check(
        emails(),
        remove("emails[primary eq true]"),
        json!({"emails": [{"value": "a@h.org", "type": "home"}]}),
    );
}

// R7644-3.5.2.2-06, L-05
#[test]
fn listed() {
    let remove = |value: Value| json!([{"op": "remove", "path": "emails", "value": value}]);
    let work = json!({"emails": [emails()["emails"][0]]});
    check(
        emails(),
        remove(json!([{"value": "a@h.org"}])),
        work.clone(),
    );
    check(emails(), remove(json!({"value": "a@h.org"})), work.clone());
    check(emails(), remove(json!(["a@h.org"])), work.clone());
    check(emails(), remove(json!([{"type": "home"}])), work.clone());
    check(
        emails(),
        remove(json!([{"value": "a@h.org", "type": "home", "primary": false}])),
        work,
    );
    check(
        emails(),
        remove(json!([{"value": "a@h.org", "type": "work"}])),
        emails(),
    );
    check(emails(), remove(json!([{"value": "x"}])), emails());
    check(emails(), remove(json!([])), emails());
    check(emails(), remove(emails()["emails"].clone()), json!({}));
}

// R7644-3.5.2.2-01, R7644-3.5.2.2-03, R7644-3.5.2-18, R7643-4.3-02
#[test]
fn refused() {
    check_error(json!({}), json!([{"op": "remove"}]), ErrorKind::NoTarget);
    check_error(
        json!({}),
        json!([{"op": "remove", "value": {"title": "x"}}]),
        ErrorKind::NoTarget,
    );
    for path in [
        "userName",
        "id",
        "meta",
        "meta.created",
        "groups",
        "schemas",
        "groups[value eq \"x\"]",
        "groups.value",
        "schemas[value eq \"urn:x\"]",
    ] {
        check_error(json!({}), remove(path), ErrorKind::Mutability);
    }
    check_error(
        json!({}),
        remove(&format!("{EU}:manager.displayName")),
        ErrorKind::Mutability,
    );
    // Required even where an add follows.
    check_error(
        json!({}),
        json!([
            {"op": "remove", "path": "userName"},
            {"op": "add", "path": "userName", "value": "b"},
        ]),
        ErrorKind::Mutability,
    );
}
