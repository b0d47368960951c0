//! PATCH as a client sees it (RFC 7644 section 3.5.2). The core's own tests cover the individual
//! operations; these cover the envelope, the transaction, and the index afterwards.

use serde_json::{Value, json};

use crate::harness::{Client, both, id, sample};

/// Creates a user with values in many attributes, and returns it with its path.
async fn create_full_user(client: &Client) -> (Value, String) {
    let body = sample::full_user("ada@example.com");
    let user = client.post("/Users", &body).await.expect(201);
    let path = format!("/Users/{}", id(&user));
    (user, path)
}

// L-01, L-02, L-03, L-08, R7644-3.5.2-01, R7644-3.5.2-05, R7644-3.5.2-11, R7644-3.5.2-20,
// R7644-3.5.2.1-06, R7644-3.5.2.2-02, R7644-3.5.2.2-04, R7644-3.5.2.3-01, R7644-3.5.2.3-02,
// R7644-3.5.2.3-04, R7644-3.5.2.3-06
both!(each_operation_is_applied, |app| async move {
    let (_, path) = create_full_user(&app).await;
    let department = format!("{}:department", sample::ENTERPRISE);
    let work = "/emails/0/value";
    let rows = [
        (
            json!({ "op": "replace", "path": "title", "value": "Dr." }),
            "/title",
            json!("Dr."),
        ),
        (
            json!({ "op": "add", "path": "NICKNAME", "value": "A" }),
            "/nickName",
            json!("A"),
        ),
        (
            json!({ "op": "remove", "path": "nickName" }),
            "/nickName",
            Value::Null,
        ),
        (
            json!({ "op": "replace", "path": "name.familyName", "value": "Byron" }),
            "/name/familyName",
            json!("Byron"),
        ),
        (
            json!({ "op": "replace", "value": { "name": { "givenName": "Augusta" } } }),
            "/name/familyName",
            json!("Byron"),
        ),
        (
            json!({ "op": "replace", "value": { "name.middleName": "K" } }),
            "/name/middleName",
            json!("K"),
        ),
        (
            json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@example.com" }),
            work,
            json!("new@example.com"),
        ),
        (
            json!({ "op": "add", "path": "emails", "value": [{ "value": "third@example.com", "type": "other", "primary": true }] }),
            "/emails/0/primary",
            json!(false),
        ),
        (
            json!({ "op": "remove", "path": "emails[type eq \"other\"]" }),
            "/emails/2",
            Value::Null,
        ),
        (
            json!({ "op": "remove", "path": "emails[type eq \"nowhere\"]" }),
            work,
            json!("new@example.com"),
        ),
        (
            json!({ "op": "add", "path": department, "value": "Cards" }),
            "/title",
            json!("Dr."),
        ),
        (
            json!({ "op": "replace", "value": { "active": "False" } }),
            "/active",
            json!(false),
        ),
        (
            json!({ "op": "Replace", "path": "active", "value": true }),
            "/active",
            json!(true),
        ),
    ];
    for (operation, pointer, expected) in rows {
        let patched = app.edit(&path, json!([operation])).await.expect(200);
        let mut actual = patched.pointer(pointer).cloned().unwrap_or_default();
        // A `primary` that was removed may be false or absent: both mean the same.
        if expected == json!(false) && actual.is_null() {
            actual = json!(false);
        }
        assert_eq!(actual, expected, "{operation}");
        assert_eq!(app.get(&path).await.expect(200), patched, "{operation}");
    }
    let user = app.get(&path).await.expect(200);
    assert_eq!(user[sample::ENTERPRISE]["department"], "Cards");
    assert_eq!(user["name"]["givenName"], "Augusta");
});

// R7644-3.5.2-08
both!(operations_build_on_one_another, |app| async move {
    let (_, path) = create_full_user(&app).await;
    let operations = json!([
        { "op": "add", "path": "nickName", "value": "first" },
        { "op": "replace", "path": "nickName", "value": "second" },
        { "op": "remove", "path": "emails" },
        { "op": "add", "path": "emails", "value": { "value": "only@example.com" } },
        { "op": "replace", "path": "emails[value eq \"only@example.com\"].type", "value": "work" }
    ]);
    let patched = app.edit(&path, operations).await.expect(200);
    assert_eq!(patched["nickName"], "second");
    let only = json!([{ "value": "only@example.com", "type": "work" }]);
    assert_eq!(patched["emails"], only);
});

// R7643-4.1.2-05, R7644-3.5.2-04, R7644-3.5.2-07, R7644-3.5.2-09, R7644-3.5.2-17, R7644-3.5.2-18,
// R7644-3.5.2-21, R7644-3.5.2-22, R7644-3.5.2-23, R7644-3.5.2.1-01, R7644-3.5.2.2-01,
// R7644-3.5.2.2-03, R7644-3.5.2.3-09, R7644-3.5.2.3-10, RINTEROP-6.9-01
both!(a_patch_is_atomic, |app| async move {
    let (before, path) = create_full_user(&app).await;
    app.create_user("taken@example.com").await;
    let faults = [
        (
            json!({ "op": "replace", "path": "id", "value": "x" }),
            400,
            "mutability",
        ),
        (
            json!({ "op": "replace", "path": "groups", "value": [] }),
            400,
            "mutability",
        ),
        (
            json!({ "op": "remove", "path": "userName" }),
            400,
            "mutability",
        ),
        (json!({ "op": "remove" }), 400, "noTarget"),
        (
            json!({ "op": "replace", "path": "emails[", "value": "x" }),
            400,
            "invalidPath",
        ),
        (
            json!({ "op": "replace", "path": "name.", "value": "x" }),
            400,
            "invalidPath",
        ),
        (
            json!({ "op": "replace", "path": "emails[0]", "value": "x" }),
            400,
            "invalidPath",
        ),
        (
            json!({ "op": "replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department", "value": "D" }),
            400,
            "invalidPath",
        ),
        (
            json!({ "op": "replace", "path": "userName[value eq \"x\"]", "value": "x" }),
            400,
            "invalidPath",
        ),
        (json!({ "op": "add", "path": "title" }), 400, "invalidValue"),
        (
            json!({ "op": "replace", "path": "name", "value": "x" }),
            400,
            "invalidValue",
        ),
        (
            json!({ "op": "replace", "value": "x" }),
            400,
            "invalidValue",
        ),
        (
            json!({ "op": "replace", "path": "title", "value": "nul\u{0}" }),
            400,
            "invalidValue",
        ),
        (
            json!({ "op": "replace", "path": "userName", "value": "" }),
            400,
            "invalidValue",
        ),
        (
            json!({ "op": "move", "path": "title" }),
            400,
            "invalidSyntax",
        ),
        (
            json!({ "path": "title", "value": "x" }),
            400,
            "invalidSyntax",
        ),
        (json!("replace"), 400, "invalidSyntax"),
        (
            json!({ "op": "replace", "path": "userName", "value": "TAKEN@example.com" }),
            409,
            "uniqueness",
        ),
    ];
    for (fault, status, scim_type) in faults {
        let good = json!({ "op": "replace", "path": "title", "value": "changed" });
        let refused = app.edit(&path, json!([good, fault])).await;
        refused.expect_error(status, scim_type);
        assert_eq!(app.get(&path).await.expect(200), before, "{fault}");
    }
    assert!(app.find_users(r#"title eq "changed""#).await.is_empty());
});

// R7644-3.5.2-02, R7644-3.5.2-03, L-13
both!(an_invalid_envelope_is_rejected, |app| async move {
    let (before, path) = create_full_user(&app).await;
    let operations = json!([{ "op": "replace", "path": "title", "value": "changed" }]);
    for body in [
        json!({ "schemas": [sample::PATCH_OP] }),
        json!({ "schemas": [sample::PATCH_OP], "Operations": "replace" }),
        json!({ "schemas": [sample::PATCH_OP], "Operations": null }),
        json!([]),
    ] {
        let refused = app.patch(&path, &body).await;
        refused.expect_error(400, "invalidSyntax");
    }
    assert_eq!(app.get(&path).await.expect(200), before);
    let lower_case = json!({ "schemas": [sample::PATCH_OP], "operations": operations });
    let patched = app.patch(&path, &lower_case).await.expect(200);
    assert_eq!(patched["title"], "changed");
    // Bodies that only a strict tenant rejects.
    let lenient = [
        sample::patch(json!([])),
        json!({ "Operations": operations }),
        json!({ "schemas": [], "Operations": operations }),
        json!({ "schemas": [sample::USER], "Operations": operations }),
    ];
    for body in &lenient {
        assert_eq!(app.patch(&path, body).await.expect(200), patched, "{body}");
    }
    app.set(&json!({ "compatibility": "strict" })).await;
    for body in &lenient {
        let refused = app.patch(&path, body).await;
        refused.expect_error(400, "invalidSyntax");
    }
});

// L-08, R7643-3.1-07, R7644-3.5.2-16, R7644-3.5.2.1-07, R7644-3.5.2.1-10, R7644-3.5.2.2-04,
// R7644-3.5.2.3-11
both!(
    a_patch_without_effect_changes_no_version_or_feed,
    |app| async move {
        let (before, path) = create_full_user(&app).await;
        for operation in [
            json!({ "op": "replace", "path": "title", "value": "Countess" }),
            json!({ "op": "add", "path": "emails", "value": before["emails"] }),
            json!({ "op": "replace", "path": "emails", "value": before["emails"] }),
            json!({ "op": "replace", "value": { "active": true } }),
            json!({ "op": "replace", "value": { "id": before["id"], "meta": before["meta"], "groups": [] } }),
            json!({ "op": "replace", "value": before }),
            json!({ "op": "remove", "path": "roles[value eq \"nobody\"]" }),
            json!({ "op": "add", "path": "nickName", "value": null }),
        ] {
            let patched = app.edit(&path, json!([operation])).await.expect(200);
            assert_eq!(patched, before, "{operation}");
        }
    }
);

// R7644-3.5.2-13
both!(filters_match_the_patched_values, |app| async move {
    let (_, path) = create_full_user(&app).await;
    let department = format!("{}:department", sample::ENTERPRISE);
    let operations = json!([
        { "op": "replace", "path": "userName", "value": "augusta@example.com" },
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "Augusta@example.com" },
        { "op": "replace", "path": "displayName", "value": "Augusta King" },
        { "op": "replace", "path": "externalId", "value": "00uOther" },
        { "op": "replace", "path": department, "value": "Cards" },
        { "op": "replace", "path": "active", "value": false }
    ]);
    app.edit(&path, operations).await.expect(200);
    for (filter, found) in [
        (r#"userName eq "AUGUSTA@example.com""#, true),
        (r#"userName eq "ada@example.com""#, false),
        (r#"emails.value eq "augusta@example.com""#, true),
        (r#"emails.value eq "ada@example.com""#, false),
        (r#"displayName eq "augusta king""#, true),
        (r#"externalId eq "00uOther""#, true),
        (r#"externalId eq "00u1a2b3c4D5e6F7g8h9""#, false),
        (&format!("{department} eq \"cards\""), true),
        (&format!("{department} eq \"looms\""), false),
        ("active eq false", true),
    ] {
        assert_eq!(!app.find_users(filter).await.is_empty(), found, "{filter}");
    }
    app.create_user("ada@example.com").await;
});

// L-01, L-02, L-03, L-04, L-06, R7644-3.5.2-13, R7644-3.5.2.1-09
both!(entra_operations_are_accepted, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let operations = json!([
        { "op": "Replace", "path": "active", "value": "False" },
        { "op": "Add", "path": "emails[type eq \"home\"].value", "value": "ada@home.example" },
        { "op": "Add", "path": format!("{}:manager", sample::ENTERPRISE), "value": "26118915" },
        { "op": "Replace", "value": { format!("{}:department", sample::ENTERPRISE): "Looms" } }
    ]);
    let patched = app.edit(&path, operations).await.expect(200);
    assert_eq!(patched["active"], false);
    let home = json!({ "type": "home", "value": "ada@home.example" });
    assert!(
        patched["emails"].as_array().unwrap().contains(&home),
        "{patched}"
    );
    let enterprise = &patched[sample::ENTERPRISE];
    assert_eq!(enterprise["manager"]["value"], "26118915");
    assert_eq!(enterprise["department"], "Looms");
    assert!(
        patched["schemas"]
            .as_array()
            .unwrap()
            .contains(&json!(sample::ENTERPRISE))
    );
});

// R7644-3.5.2-19
both!(one_patch_accepts_a_thousand_operations, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let operations: Vec<Value> = (0..1_000)
        .map(|number| json!({ "op": "replace", "path": "title", "value": number.to_string() }))
        .collect();
    let patched = app.edit(&path, json!(operations)).await.expect(200);
    assert_eq!(patched["title"], "999");
});

// Whatever the spelling, an operation removes only what the request names.
both!(no_spelling_removes_more_than_it_names, |app| async move {
    const X: &str = "urn:acme:x";
    let emails = json!([
        { "value": "a@example.com", "type": "work" }, { "value": "b@example.com", "type": "home" },
    ]);
    let body = json!({
        "userName": "grace@example.com",
        (sample::ENTERPRISE): [{ "department": "D" }],
        "name": { "givenName": "Grace", "familyName": "Hopper" },
        "emails": emails,
        (X): { "list": emails, "texts": ["a", "b"], "one": "o", "obj": { "a": 1, "b": 2 } },
    });
    let user = app.post("/Users", &body).await.expect(201);
    let path = format!("/Users/{}", id(&user));
    let named = |name: &str| format!("{X}:{name}");
    let refused = [
        json!({ "op": "add", "path": named("list.type"), "value": "z" }),
        json!({ "op": "replace", "path": named("texts.type"), "value": "z" }),
        json!({ "op": "replace", "path": named("one.type"), "value": "z" }),
        json!({ "op": "add", "value": { (X): { "list.type": "z" } } }),
        json!({ "op": "add", "value": { (X): { "n": 1, "N": 2 } } }),
        json!({ "op": "add", "path": named("one.type"), "value": "z" }),
    ];
    for operation in refused {
        let answer = app.patch(&path, &sample::patch(json!([operation]))).await;
        assert_eq!(answer.status, 400, "{operation} {answer:?}");
    }
    let harmless = [
        json!({ "op": "remove", "path": "emails.type", "value": "other" }),
        json!({ "op": "remove", "path": "emails", "value": [{ "type": "work", "nope": 1 }] }),
        json!({ "op": "remove", "path": "emails", "value": [{ "type": "work", "value": null }] }),
        json!({ "op": "remove", "path": "name", "value": [] }),
        json!({ "op": "add", "path": sample::ENTERPRISE, "value": [{ "department": "D" }] }),
        json!({ "op": "remove", "path": named("one.type"), "value": "o" }),
        json!({ "op": "add", "path": "urn:acme:new", "value": "" }),
        json!({ "op": "replace", "value": { "urn:acme:y:z": "" } }),
    ];
    for operation in harmless {
        let after = app.patch(&path, &sample::patch(json!([operation]))).await;
        let after = after.expect(200);
        for member in ["schemas", "name", "emails", sample::ENTERPRISE, X] {
            assert_eq!(after[member], user[member], "{operation}");
        }
    }
    let operations = json!([
        { "op": "remove", "path": "emails.type", "value": "WORK" },
        { "op": "remove", "path": "name", "value": [{ "givenName": "Grace" }] },
        { "op": "remove", "path": named("list.type"), "value": "work" },
        { "op": "remove", "path": named("obj"), "value": [{ "a": 1 }] },
        { "op": "add", "path": named("obj"), "value": [{ "c": 3 }] },
    ]);
    let after = app
        .patch(&path, &sample::patch(operations))
        .await
        .expect(200);
    assert_eq!(after["name"], json!({ "familyName": "Hopper" }));
    let left = json!([
        { "value": "a@example.com" }, { "value": "b@example.com", "type": "home" },
    ]);
    assert_eq!(after["emails"], left);
    assert_eq!(after[X]["list"], left);
    assert_eq!(after[X]["obj"], json!([{ "b": 2 }, { "c": 3 }]));
});
