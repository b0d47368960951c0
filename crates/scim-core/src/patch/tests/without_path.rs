use super::*;

fn replace(value: Value) -> Value {
    json!([{"op": "replace", "value": value}])
}

// R7644-3.5.2.3-01, R7644-3.5.2.1-02, R7644-3.5.2-26, L-08
#[test]
fn merges_what_is_named() {
    check(
        json!({"active": true, "title": "Dr"}),
        replace(json!({"active": false})),
        json!({"active": false, "title": "Dr"}),
    );
    check(
        json!({"title": "Dr", "nickName": "A"}),
        replace(json!({"TITLE": null, "nickName": "B", "unknown": {"a": 1}})),
        json!({"nickName": "B"}),
    );
    check(
        json!({"title": "Dr"}),
        json!([{"op": "add", "value": {"title": null, "nickName": "B"}}]),
        json!({"title": "Dr", "nickName": "B"}),
    );
    check(
        json!({"name": {"familyName": "Byron"}}),
        json!([{"op": "add", "path": null, "value": {"name": {"givenName": "Ada"}}}]),
        json!({"name": {"familyName": "Byron", "givenName": "Ada"}}),
    );
    let new = json!({"emails": [{"value": "b@w.org"}]});
    check(emails(), replace(new.clone()), new.clone());
    let [work, home] = [&emails()["emails"][0], &emails()["emails"][1]].map(Clone::clone);
    check(
        emails(),
        json!([{"op": "add", "value": new}]),
        json!({"emails": [work, home, {"value": "b@w.org"}]}),
    );
    check(json!({}), replace(json!({})), json!({}));
    check_error(
        json!({}),
        replace(json!({"title": "a", "TITLE": "b"})),
        ErrorKind::InvalidSyntax,
    );
}

// R7644-3.5.2.3-11, R7644-3.5.2-14, L-08
#[test]
fn echoes_are_ignored() {
    check(
        json!({}),
        replace(json!({
            "schemas": ["urn:x"], "id": ID, "meta": {"version": "W/\"1\""},
            "groups": [{"value": "g"}], "nickName": "A",
        })),
        json!({"nickName": "A"}),
    );
    check(json!({}), replace(json!({"id": null})), json!({}));
    // However they are written.
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    for name in [
        "id",
        "meta",
        "groups",
        "meta.version",
        "groups.value",
        "groups[type eq \"direct\"].value",
        &format!("{core}:id"),
        &format!("{core}:groups"),
        &format!("{core}.meta.created"),
        &format!("{EU}:manager.displayName"),
    ] {
        for value in [json!("other"), json!(7), json!(""), json!(null), json!([])] {
            let sent = json!({(name): value, "nickName": "A"});
            check(json!({}), replace(sent.clone()), json!({"nickName": "A"}));
            let nested = json!({(core): sent});
            check(json!({}), replace(nested), json!({"nickName": "A"}));
        }
    }
    check(
        json!({}),
        replace(json!({EU: {"manager": {"displayName": ""}, "manager.displayName": "B"}})),
        json!({}),
    );
    check(
        json!({}),
        json!([{"op": "add", "path": "schemas", "value": [EU]}]),
        json!({}),
    );
    check(
        json!({}),
        json!([{"op": "replace", "path": "schemas", "value": [core, EU]}]),
        json!({}),
    );
}

// L-03
#[test]
fn paths_as_names() {
    check(
        emails(),
        replace(json!({
            "name.givenName": "Ada",
            "emails[type eq \"work\"].value": "b@w.org",
            (format!("{EU}:department")): "Math",
            (format!("{EU}:manager.value")): "m1",
            "foo.bar": 1,
            "foo bar": 2,
        })),
        json!({
            "name": {"givenName": "Ada"},
            "emails": [
                {"value": "b@w.org", "type": "work", "primary": true},
                {"value": "a@h.org", "type": "home"},
            ],
            EU: {"department": "Math", "manager": {"value": "m1"}},
        }),
    );
    check_error(
        json!({}),
        replace(json!({"emails[": "x"})),
        ErrorKind::InvalidPath,
    );
    check(
        json!({}),
        replace(json!({"urn:ietf:params:scim:schemas:core:2.0:User": {"title": "Dr"}})),
        json!({"title": "Dr"}),
    );
}
