//! Users over HTTP: create, read, replace, delete (RFC 7644 sections 3.3 to 3.6 and 3.9).

use serde_json::{Value, json};

use crate::harness::{both, id, sample, texts, together, with_query};

// R7643-3.1-01, R7643-3.1-07, R7644-3.3-01, R7644-3.3-05, R7644-3.4.1-01
both!(a_created_user_can_be_read, |app| async move {
    let reply = app
        .post("/Users", &sample::user("Ada.Byron@Example.com"))
        .await;
    let location = reply.header("location").to_owned();
    let created = reply.expect(201);
    let id = id(&created);
    assert_eq!(created["userName"], "Ada.Byron@Example.com");
    assert_eq!(created["schemas"], json!([sample::USER]));
    assert_eq!(created["active"], true);
    assert_eq!(created["emails"][0]["primary"], true);
    let meta = &created["meta"];
    assert_eq!(meta["resourceType"], "User");
    assert_eq!(meta["created"], meta["lastModified"]);
    assert_eq!(meta["location"], format!("{}/Users/{id}", app.base_url()));
    assert_eq!(meta["location"], location);
    assert_eq!(app.user(id).await, created);
});

// R7643-3-04, R7643-3.3-01, R7643-4.1.1-03, R7643-4.1.1-05, R7643-4.1.1-06, R7643-4.1.2-02,
// R7643-4.1.2-08, R7643-4.3-01, R7643-7-03
both!(every_attribute_is_returned_as_sent, |app| async move {
    let sent = sample::full_user("ada@example.com");
    let created = app.post("/Users", &sent).await.expect(201);
    let mut stored = app.user(id(&created)).await;
    let stored = stored.as_object_mut().unwrap();
    for added in ["id", "meta", "groups"] {
        stored.remove(added);
    }
    let mut sent = sent;
    let schemas = |user: &mut Value| {
        let mut urns: Vec<String> = serde_json::from_value(user["schemas"].take()).unwrap();
        urns.sort();
        urns
    };
    let mut stored = Value::Object(stored.clone());
    assert_eq!(schemas(&mut stored), schemas(&mut sent));
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&stored[name], value, "{name}");
    }
    assert_eq!(
        stored.as_object().unwrap().len(),
        sent.as_object().unwrap().len()
    );
});

// R7643-3.1-01, R7643-3.1-06, R7643-4.1.2-05, R7644-3.3-02
both!(
    read_only_attributes_are_ignored_in_a_create,
    |app| async move {
        let mut body = sample::user("ada@example.com");
        body["id"] = json!("mine");
        body["meta"] = json!({ "created": "1999-01-01T00:00:00Z", "location": "http://elsewhere" });
        body["groups"] = json!([{ "value": "some-group" }]);
        let created = app.post("/Users", &body).await.expect(201);
        assert_ne!(created["id"], "mine");
        assert_ne!(created["meta"]["created"], "1999-01-01T00:00:00Z");
        assert_eq!(created["groups"], json!([]));
    }
);

// R7643-2.1-01, R7643-2.1-02
both!(attribute_names_ignore_case, |app| async move {
    let body = json!({ "USERNAME": "ada@example.com", "Name": { "GIVENNAME": "Ada" } });
    let created = app.post("/Users", &body).await.expect(201);
    assert_eq!(created["userName"], "ada@example.com");
    assert_eq!(created["name"], json!({ "givenName": "Ada" }));

    let twice = json!({ "userName": "a@example.com", "USERNAME": "b@example.com" });
    let refused = app.post("/Users", &twice).await;
    refused.expect_error(400, "invalidSyntax");
    let inside =
        json!({ "userName": "a@example.com", "name": { "givenName": "A", "GivenName": "B" } });
    let refused = app.post("/Users", &inside).await;
    refused.expect_error(400, "invalidSyntax");
});

// L-02, L-04, R7643-2.5-01, R7643-2.5-03, R7643-3-05, R7644-3.3-07
both!(
    lenient_forms_of_attribute_values_are_accepted,
    |app| async move {
        let body = json!({
            "userName": "ada@example.com",
            "active": "False",
            "nickName": null,
            "title": "",
            "roles": [],
            "emails": { "value": "ada@example.com", "primary": "True" },
            "shoeSize": 43,
            sample::ENTERPRISE: { "employeeNumber": 701_984, "manager": "26118915" }
        });
        let created = app.post("/Users", &body).await.expect(201);
        assert_eq!(created["active"], false);
        for unassigned in ["nickName", "title", "roles", "shoeSize"] {
            assert!(created.get(unassigned).is_none(), "{unassigned}: {created}");
        }
        assert_eq!(
            created["emails"],
            json!([{ "value": "ada@example.com", "primary": true }])
        );
        let enterprise = &created[sample::ENTERPRISE];
        assert_eq!(enterprise["employeeNumber"], "701984");
        assert_eq!(enterprise["manager"]["value"], "26118915");
        let schemas = created["schemas"].as_array().unwrap();
        assert!(schemas.contains(&json!(sample::USER)));
        assert!(schemas.contains(&json!(sample::ENTERPRISE)));
    }
);

both!(an_unknown_extension_is_stored, |app| async move {
    let urn = "urn:ietf:params:scim:schemas:extension:custom:2.0:User";
    let mut body = sample::user("ada@example.com");
    body[urn] = json!({ "costBand": "B2", "Nested": { "Deep": [1, 2.5, true] } });
    let created = app.post("/Users", &body).await.expect(201);
    let stored = app.user(id(&created)).await;
    assert_eq!(stored[urn], body[urn]);
    assert!(stored["schemas"].as_array().unwrap().contains(&json!(urn)));

    body.as_object_mut().unwrap().remove(urn);
    let replaced = app
        .put(&format!("/Users/{}", id(&created)), &body)
        .await
        .expect(200);
    assert!(replaced.get(urn).is_none());
    assert_eq!(replaced["schemas"], json!([sample::USER]));
});

// R7643-2.3-01, R7643-2.3.6-01, R7643-2.4-01, R7643-3-02, R7643-4.1.1-01, R7644-3.3-07,
// R7644-3.3-08
both!(an_invalid_user_is_rejected, |app| async move {
    let with = |name: &str, value: Value| {
        let mut body = sample::user("ada@example.com");
        body[name] = value;
        body
    };
    let mut nameless = sample::user("ada@example.com");
    nameless.as_object_mut().unwrap().remove("userName");
    let two_primaries = json!([
        { "value": "a@example.com", "primary": true },
        { "value": "b@example.com", "primary": true }
    ]);
    let rows = [
        (nameless, "invalidValue"),
        (with("userName", json!("")), "invalidValue"),
        (with("userName", json!("   ")), "invalidValue"),
        (with("userName", json!(null)), "invalidValue"),
        (with("userName", json!({ "value": "x" })), "invalidValue"),
        (with("userName", json!("nul\u{0}")), "invalidValue"),
        (with("title", json!("nul\u{0}")), "invalidValue"),
        (with("active", json!("perhaps")), "invalidValue"),
        (with("name", json!("Ada")), "invalidValue"),
        (with("emails", two_primaries), "invalidValue"),
        (
            with("x509Certificates", json!([{ "value": "%%%" }])),
            "invalidValue",
        ),
        (with("userName", json!("x".repeat(5_000))), "invalidValue"),
        (with("emails", json!([["a@example.com"]])), "invalidValue"),
        (with("urn:acme:x", json!({ "a b": 1 })), "invalidSyntax"),
    ];
    for (body, scim_type) in rows {
        let refused = app.post("/Users", &body).await;
        refused.expect_error(400, scim_type);
    }
    assert_eq!(app.list("/Users", &[]).await.total, 0);
});

// R7643-4.1.1-02, R7643-7-08, R7644-3.3-04, R7644-3.4.2.2-35, R7644-5-01, R7644-7.8-01,
// RINTEROP-5.2-01, RINTEROP-6.9-01
both!(
    user_names_are_unique_regardless_of_their_case,
    |app| async move {
        app.create_user("Ada@Example.com").await;
        for same in [
            "Ada@Example.com",
            "ada@example.com",
            "ADA@EXAMPLE.COM",
            "ａda@example.com",
        ] {
            let refused = app.post("/Users", &sample::user(same)).await;
            let error = refused.expect_error(409, "uniqueness");
            assert!(!error["detail"].as_str().unwrap().contains("UNIQUE"));
        }
        assert_eq!(app.list("/Users", &[]).await.total, 1);
        app.create_user("ada2@example.com").await;

        // A single letter, and a letter with a combining mark.
        app.create_user("Zo\u{eb}@example.com").await;
        let twin = sample::user("zoe\u{308}@example.com");
        let refused = app.post("/Users", &twin).await;
        refused.expect_error(409, "uniqueness");
        let found = app
            .find_users("userName eq \"ZOE\u{308}@example.com\"")
            .await;
        assert_eq!(found, ["Zo\u{eb}@example.com"]);
    }
);

// R7644-3.3-04, R7644-3.3-12
both!(one_of_many_equal_creates_succeeds, |app| async move {
    let race = (0..20).map(|_| {
        let client = app.client.clone();
        async move {
            client
                .post("/Users", &sample::user("race@example.com"))
                .await
                .status
        }
    });
    let statuses = together(race).await;
    let count = |status| statuses.iter().filter(|given| **given == status).count();
    assert_eq!((count(201), count(409)), (1, 19), "{statuses:?}");
    assert_eq!(app.list("/Users", &[]).await.total, 1);
});

// R7643-3.1-04, R7644-6.2-02
both!(an_external_id_may_be_shared, |app| async move {
    for name in ["a@example.com", "b@example.com"] {
        let mut body = sample::user(name);
        body["externalId"] = json!("00uSame");
        app.post("/Users", &body).await.expect(201);
    }
    let found = app.find_users(r#"externalId eq "00uSame""#).await;
    assert_eq!(found, ["a@example.com", "b@example.com"]);
    let other_case = app.find_users(r#"externalId eq "00USAME""#).await;
    assert!(other_case.is_empty());
});

// L-17, R7643-3.1-06, R7643-4.1.2-05, R7644-3.1-02, R7644-3.5.1-01, R7644-3.5.1-02, R7644-3.5.1-03,
// R7644-3.5.1-04, R7644-3.5.1-09, R7644-3.5.1-10
both!(a_put_replaces_the_writable_attributes, |app| async move {
    let created = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let path = format!("/Users/{}", id(&created));
    let body = json!({
        "schemas": [sample::USER], "id": "another", "userName": "ada.king@example.com",
        "meta": { "created": "1999-01-01T00:00:00Z" }, "groups": [{ "value": "x" }], "title": "Dr."
    });
    let replaced = app.put(&path, &body).await.expect(200);
    assert_eq!(replaced["id"], created["id"]);
    assert_eq!(replaced["meta"]["created"], created["meta"]["created"]);
    assert_ne!(
        replaced["meta"]["lastModified"],
        created["meta"]["lastModified"]
    );
    assert_eq!(replaced["userName"], "ada.king@example.com");
    assert_eq!(replaced["title"], "Dr.");
    assert_eq!(replaced["groups"], json!([]));
    assert_eq!(replaced["schemas"], json!([sample::USER]));
    for cleared in ["emails", "name", "externalId", sample::ENTERPRISE] {
        assert!(replaced.get(cleared).is_none(), "{cleared}");
    }
    assert_eq!(app.user(id(&created)).await, replaced);

    // The old name is free, the new one is in use, and removed values are no longer indexed.
    assert!(
        app.find_users(r#"emails.value eq "ada@example.com""#)
            .await
            .is_empty()
    );
    app.create_user("ada@example.com").await;
    let taken = app
        .post("/Users", &sample::user("ADA.KING@example.com"))
        .await;
    taken.expect_error(409, "uniqueness");
});

// R7644-3.2-01, R7644-3.5.1-06, R7644-3.5.1-08
both!(
    a_put_that_is_rejected_changes_no_attribute,
    |app| async move {
        let created = app.create_user("ada@example.com").await;
        app.create_user("taken@example.com").await;
        let path = format!("/Users/{}", id(&created));
        let taken = app.put(&path, &sample::user("Taken@example.com")).await;
        taken.expect_error(409, "uniqueness");
        let nameless = app.put(&path, &json!({ "title": "Dr." })).await;
        nameless.expect_error(400, "invalidValue");
        assert_eq!(app.user(id(&created)).await, created);

        let unknown = app
            .put("/Users/nobody", &sample::user("new@example.com"))
            .await;
        unknown.expect_error(404, "");
        assert_eq!(app.list("/Users", &[]).await.total, 2);
    }
);

// R7644-3.6-01, R7644-3.6-02, R7644-3.6-03, RINTEROP-6.6-01, RIPSIE-5.2-01
both!(a_deleted_user_is_removed_everywhere, |app| async move {
    let created = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&created));
    app.delete(&path).await.expect(204);
    app.get(&path).await.expect_error(404, "");
    app.delete(&path).await.expect_error(404, "");
    let body = sample::user("ada@example.com");
    app.put(&path, &body).await.expect_error(404, "");
    let operations = json!([{ "op": "replace", "value": { "active": false } }]);
    app.edit(&path, operations).await.expect_error(404, "");
    assert_eq!(app.list("/Users", &[]).await.total, 0);
    for filter in [
        r#"userName eq "ada@example.com""#,
        r#"emails.value eq "ada@example.com""#,
    ] {
        assert!(app.find_users(filter).await.is_empty(), "{filter}");
    }
    let again = app.create_user("ada@example.com").await;
    assert_ne!(again["id"], created["id"]);
});

// R7643-4.1.1-07, R7644-3.6-04, RINTEROP-6.6-01
both!(a_deactivated_user_is_not_deleted, |app| async move {
    let created = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&created));
    let mut body = created.clone();
    body["active"] = json!(false);
    let inactive = app.put(&path, &body).await.expect(200);
    assert_eq!(inactive["active"], false);
    assert_eq!(app.get(&path).await.expect(200), inactive);
    assert_eq!(app.list("/Users", &[]).await.ids(), [id(&created)]);
    for filter in [
        r#"userName eq "ADA@example.com""#,
        "active eq false",
        "not (active eq true)",
    ] {
        assert_eq!(
            app.find_users(filter).await,
            ["ada@example.com"],
            "{filter}"
        );
    }
    assert!(app.find_users("active eq true").await.is_empty());
    let taken = app.post("/Users", &sample::user("ada@example.com")).await;
    taken.expect_error(409, "uniqueness");
    let back = app.put(&path, &created).await.expect(200);
    assert_eq!(
        (&back["id"], &back["active"]),
        (&created["id"], &json!(true))
    );
});

// R7643-3.1-03, R7644-3.4.1-02
both!(an_id_is_case_exact_and_of_one_type, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Surveyors", &[]).await;
    let (user, group) = (id(&user), id(&group));
    for path in [
        format!("/Users/{}", user.to_uppercase()),
        format!("/Users/{user}x"),
        format!("/Users/{user}%20"),
        format!("/Groups/{user}"),
        format!("/Users/{group}"),
    ] {
        app.get(&path).await.expect_error(404, "");
    }
    // Percent-encoding is decoded once.
    let encoded: String = user.bytes().map(|byte| format!("%{byte:02x}")).collect();
    app.get(&format!("/Users/{encoded}")).await.expect(200);
});

// R7643-3.1-03, R7643-7-06, R7643-7-07, R7644-3.10-01, R7644-3.9-02, R7644-3.9-03, R7644-3.9-04,
// R7644-3.9-05, R7644-3.9-06, R7644-3.9-07, R7644-3.9-09, R7644-3.9-10
both!(a_client_can_select_attributes, |app| async move {
    let created = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let see = async |parameters: &[(&str, &str)]| {
        let path = with_query(&format!("/Users/{}", id(&created)), parameters);
        let body = app.get(&path).await.expect(200);
        let names: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        (body, names)
    };
    let (_, names) = see(&[("attributes", "userName")]).await;
    assert_eq!(names, ["schemas", "id", "userName"]);
    let (body, _) = see(&[("attributes", " NAME.givenname , emails.value")]).await;
    assert_eq!(body["name"], json!({ "givenName": "Ada" }));
    assert_eq!(
        body["emails"],
        json!([{ "value": "ada@example.com" }, { "value": "ada@home.example" }])
    );
    let department = format!("{}:department", sample::ENTERPRISE);
    let (body, _) = see(&[("attributes", &department)]).await;
    assert_eq!(body[sample::ENTERPRISE], json!({ "department": "Looms" }));
    let (body, _) = see(&[(
        "excludedAttributes",
        "id,schemas,name.familyName,emails,meta",
    )])
    .await;
    assert_eq!(body["id"], created["id"]);
    assert!(body["name"].get("familyName").is_none());
    assert_eq!(body["name"]["givenName"], "Ada");
    assert!(body.get("emails").is_none() && body.get("meta").is_none());
    let (_, names) = see(&[("attributes", "password,unknown")]).await;
    assert_eq!(names, ["schemas", "id"]);
    let (body, _) = see(&[("attributes", "")]).await;
    assert_eq!(body, created);

    let both = with_query(
        "/Users",
        &[
            ("attributes", "userName"),
            ("excludedAttributes", "userName"),
        ],
    );
    app.get(&both).await.expect_error(400, "invalidValue");
});

// R7643-7-07, R7644-3.3-10, R7644-3.9-05
both!(
    selection_applies_to_lists_and_write_responses,
    |app| async move {
        let path = "/Users?attributes=userName";
        let created = app
            .post(path, &sample::user("ada@example.com"))
            .await
            .expect(201);
        assert!(created.get("emails").is_none() && created.get("meta").is_none());
        let one = format!("/Users/{}?excludedAttributes=emails", id(&created));
        let body = sample::user("ada@example.com");
        let replaced = app.put(&one, &body).await.expect(200);
        assert!(replaced.get("emails").is_none() && replaced.get("meta").is_some());
        let operations = json!([{ "op": "replace", "value": { "title": "Dr." } }]);
        let patched = app.edit(&one, operations).await.expect(200);
        assert!(patched.get("emails").is_none());
        assert_eq!(patched["title"], "Dr.");
        let page = app.list("/Users", &[("attributes", "title")]).await;
        assert_eq!(texts(&page.resources, "title"), ["Dr."]);
        assert!(page.resources[0].get("userName").is_none());
    }
);

// R7644-3.5.1-03
both!(
    a_put_without_active_leaves_active_unchanged,
    |app| async move {
        let user = app.create_user("ada@example.com").await;
        let path = format!("/Users/{}", id(&user));
        let mut body = sample::user("ada@example.com");
        for active in [false, true] {
            body["active"] = json!(active);
            app.put(&path, &body).await.expect(200);
            let mut silent = body.clone();
            silent.as_object_mut().unwrap().remove("active");
            silent["title"] = json!(format!("title {active}"));
            let replaced = app.put(&path, &silent).await.expect(200);
            assert_eq!(replaced["active"], active);
        }
    }
);
