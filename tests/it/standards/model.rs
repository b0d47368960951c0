//! The structure of a resource (RFC 7643 sections 2 to 4).

use serde_json::{Value, json};

use crate::harness::sample::{ENTERPRISE, GROUP, USER};
use crate::harness::{both, id, texts, with_query};

/// Returns a user with these attributes in addition to the required ones.
fn user(name: &str, more: &Value) -> Value {
    let mut body = json!({ "schemas": [USER], "userName": name });
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    body
}

// R7643-2.1-01, R7643-2.1-02, R7643-2.3.8-02
both!(names_ignore_case_and_order, |app| async move {
    let strict = app.strict().await;
    for client in [&app, &strict] {
        let body = json!({ "NickName": "Addie", "USERNAME": "ada", "Schemas": [USER] });
        let made = client.post("/Users", &body).await.expect(201);
        assert_eq!(
            (&made["userName"], &made["nickName"]),
            (&json!("ada"), &json!("Addie"))
        );
        for twice in [
            json!({ "schemas": [USER], "userName": "eve", "USERNAME": "eve" }),
            json!({ "schemas": [USER], "userName": "eve", "name": { "givenName": "A", "GIVENNAME": "A" } }),
            json!({ "schemas": [USER], "userName": "eve", "emails": [{ "value": "a", "Value": "a" }] }),
        ] {
            let refused = client.post("/Users", &twice).await;
            refused.expect_error(400, "invalidSyntax");
        }
    }
});

// R7643-3.1-01, R7643-3.1-02, R7643-3.1-03, R7643-3.1-06, R7643-3.1-07, R7643-3.1-08, R7643-3.1-11,
// R7644-3.3-01, R7644-3.3-05
both!(every_resource_has_the_common_attributes, |app| async move {
    let echo = json!({ "id": "mine", "meta": { "resourceType": "Group", "created": "2001-01-01T00:00:00Z", "version": "W/\"99\"" } });
    let reply = app.post("/Users", &user("ada", &echo)).await;
    let location = reply.header("location").to_owned();
    assert_eq!(reply.header("content-location"), "");
    let made = reply.expect(201);
    let own = id(&made).to_owned();
    assert!(
        !own.is_empty() && own != "mine" && !own.contains("bulkId"),
        "{own}"
    );
    let meta = &made["meta"];
    assert_eq!(meta["resourceType"], "User");
    assert_eq!(meta["created"], meta["lastModified"]);
    assert_ne!(meta["created"], "2001-01-01T00:00:00Z");
    assert_ne!(meta["version"], "W/\"99\"");
    assert_eq!(meta["location"], location);
    assert!(
        location.starts_with("http") && location.ends_with(&own),
        "{location}"
    );

    // The id is case-exact, belongs to one resource across all types, and is always returned.
    let path = format!("/Users/{own}");
    app.get(&path.to_uppercase().replace("/USERS", "/Users"))
        .await
        .expect_error(404, "");
    app.get(&format!("/Groups/{own}"))
        .await
        .expect_error(404, "");
    for parameter in [("attributes", "userName"), ("excludedAttributes", "id")] {
        let shown = app.get(&with_query(&path, &[parameter])).await.expect(200);
        assert_eq!(shown["id"], *own, "{parameter:?}");
    }
    let group = json!({ "schemas": [GROUP], "displayName": "Surveyors", "id": own });
    let group = app.post("/Groups", &group).await.expect(201);
    assert_ne!(id(&group), own);
    assert_eq!(
        app.put(&path, &user("ada", &echo)).await.expect(200)["id"],
        *own
    );
});

// R7643-3.1-04, R7643-3.1-05
both!(an_external_id_is_scoped_to_its_tenant, |app| async move {
    let neighbour = app.neighbour().await;
    let external = json!({ "externalId": "701984" });
    for name in ["ada", "eve"] {
        let made = app.post("/Users", &user(name, &external)).await.expect(201);
        assert_eq!(made["externalId"], "701984");
    }
    let theirs = neighbour.post("/Users", &user("bob", &external)).await;
    theirs.expect(201);
    let filter = r#"externalId eq "701984""#;
    let mut found = app.find_users(filter).await;
    found.sort();
    assert_eq!(found, ["ada", "eve"]);
    assert_eq!(neighbour.find_users(filter).await, ["bob"]);
    assert!(app.find_users(r#"externalId eq "70198""#).await.is_empty());
    let none = app
        .post("/Users", &user("joe", &json!({})))
        .await
        .expect(201);
    assert!(none.get("externalId").is_none(), "never set by the service");
});

// R7643-2.5-01, R7643-2.5-02, R7643-2.5-03
both!(null_empty_and_absent_are_equivalent, |app| async move {
    let empty = json!({ "nickName": null, "roles": [], "name": { "givenName": null } });
    let made = app.post("/Users", &user("ada", &empty)).await.expect(201);
    for name in ["nickName", "roles", "name", "title"] {
        assert!(made.get(name).is_none(), "{name} is left out: {made}");
        assert!(
            app.find_users(&format!("{name} pr")).await.is_empty(),
            "{name}"
        );
    }
    let path = format!("/Users/{}", id(&made));
    let full = json!({ "nickName": "A", "roles": [{ "value": "admin" }] });
    app.put(&path, &user("ada", &full)).await.expect(200);
    let cleared = app.put(&path, &user("ada", &empty)).await.expect(200);
    assert!(cleared.get("nickName").is_none() && cleared.get("roles").is_none());
    app.put(&path, &user("ada", &full)).await.expect(200);
    let clear = json!([
        { "op": "replace", "path": "nickName", "value": null },
        { "op": "replace", "path": "roles", "value": [] }
    ]);
    let cleared = app.edit(&path, clear).await.expect(200);
    assert!(cleared.get("nickName").is_none() && cleared.get("roles").is_none());
});

// R7643-2.4-01, R7643-2.4-02, R7643-2.4-03, R7643-2.4-05, R7643-2.4-06
both!(multi_valued_attributes_follow_the_rules, |app| async move {
    let mails = json!({ "emails": [
        { "value": "ada@example.com", "type": "work", "primary": true },
        { "value": "ada@example.com", "type": "work" },
        { "value": "ada@example.com", "type": "work", "display": "Ada" },
        { "value": "ada@example.com", "type": "home" }
    ] });
    let made = app.post("/Users", &user("ada", &mails)).await.expect(201);
    let expected = json!([
        { "value": "ada@example.com", "display": "Ada", "type": "work", "primary": true },
        { "value": "ada@example.com", "type": "home" }
    ]);
    assert_eq!(made["emails"], expected);
    for filter in [
        "emails[primary eq false]",
        r#"emails[type eq "home" and primary eq false]"#,
    ] {
        assert_eq!(app.find_users(filter).await, ["ada"], "{filter}");
    }
    // `display` carries no information that the service needs, so a client may change it.
    let path = format!("/Users/{}", id(&made));
    let rename = json!([{ "op": "replace", "path": "emails[type eq \"home\"].display", "value": "At home" }]);
    let renamed = app.edit(&path, rename).await.expect(200);
    assert_eq!(renamed["emails"][1]["display"], "At home");
    for two in [
        json!([{ "value": "a", "primary": true }, { "value": "b", "primary": true }]),
        json!([{ "type": "a", "primary": true }, { "type": "b", "primary": true }]),
    ] {
        let refused = app
            .post("/Users", &user("eve", &json!({ "emails": two })))
            .await;
        refused.expect_error(400, "invalidValue");
    }
});

// R7643-2.4-04, R7643-4.1.2-01, R7643-4.1.2-02, R7643-4.1.2-03, R7643-4.1.2-08, R7643-4.1.1-03,
// R7643-4.1.1-05, R7643-4.1.1-06
both!(values_are_stored_in_canonical_form, |app| async move {
    let values = json!({
        "emails": [{ "value": "Ada.Byron+x@EXAMPLE.Com" }],
        "phoneNumbers": [{ "value": "tel:+44-20-1234" }, { "value": "extension 7, ask for Ada" }],
        "ims": [{ "value": " Ada Byron\t", "type": "xmpp" }],
        "roles": [{ "value": "Any Role" }], "entitlements": [{ "value": "Any Right", "type": "own" }],
        "name": { "formatted": "Ada Byron", "givenName": "Ada" },
        "preferredLanguage": "en-US, fr;q=0.5", "locale": "en_US", "timezone": "Europe/London"
    });
    let made = app.post("/Users", &user("ada", &values)).await.expect(201);
    assert_eq!(made["emails"][0]["value"], "Ada.Byron+x@example.com");
    assert_eq!(made["ims"][0]["value"], "adabyron");
    for stored in [
        "phoneNumbers",
        "roles",
        "entitlements",
        "name",
        "preferredLanguage",
        "locale",
        "timezone",
    ] {
        assert_eq!(made[stored], values[stored], "{stored}");
    }
    for filter in [
        r#"emails.value eq "ada.byron+x@example.com""#,
        r#"emails[value eq "Ada.Byron+x@EXAMPLE.COM"]"#,
    ] {
        assert_eq!(app.find_users(filter).await, ["ada"], "{filter}");
    }
    // By PATCH too, and a canonical value is no change.
    let path = format!("/Users/{}", id(&made));
    let same = json!([{ "op": "add", "path": "emails", "value": [{ "value": "Ada.Byron+x@Example.COM" }] }]);
    assert_eq!(app.edit(&path, same).await.expect(200), made);
    let other = json!([{ "op": "replace", "path": "emails[value ew \"example.com\"].value", "value": "ada@HOME.Example" }]);
    let after = app.edit(&path, other).await.expect(200);
    assert_eq!(after["emails"], json!([{ "value": "ada@home.example" }]));
});

// R7643-4.1.1-01, R7643-4.1.1-02, R7644-5-01, R7644-7.8-01, R7644-3.4.2.2-35
both!(user_names_are_prepared_for_comparison, |app| async move {
    for missing in [
        json!({ "schemas": [USER] }),
        user("", &json!({})),
        user("  ", &json!({})),
    ] {
        app.post("/Users", &missing)
            .await
            .expect_error(400, "invalidValue");
    }
    let made = app
        .post("/Users", &user("Bjensen", &json!({})))
        .await
        .expect(201);
    assert_eq!(made["userName"], "Bjensen", "kept as it is given");
    app.post("/Users", &user("Jürgen", &json!({})))
        .await
        .expect(201);
    for taken in [
        "bJENSEN",
        "ｂjensen",
        "ＢＪＥＮＳＥＮ",
        "ju\u{308}rgen",
        "JÜRGEN",
    ] {
        let refused = app.post("/Users", &user(taken, &json!({}))).await;
        refused.expect_error(409, "uniqueness");
        let found = app.find_users(&format!("userName eq \"{taken}\"")).await;
        assert_eq!(found.len(), 1, "{taken}");
    }
    for disallowed in ["a\u{200b}da", "a\u{202e}da", "a\u{1b}da", "a\u{e000}"] {
        let refused = app.post("/Users", &user(disallowed, &json!({}))).await;
        refused.expect_error(400, "invalidValue");
    }
    app.post("/Users", &user("Jane Doe", &json!({})))
        .await
        .expect(201);
    assert_eq!(
        app.find_users(r#"userName sw "jane d""#).await,
        ["Jane Doe"]
    );
});

// R7643-4.1.1-08, R7643-4.1.1-11, R7644-3.3-11, R7643-7-06, R7644-3.4.2.2-36
both!(a_password_is_never_returned, |app| async move {
    let secret = "q7#Lm2xz secret";
    let body = user("ada", &json!({ "password": secret }));
    let select = |path: &str| with_query(path, &[("attributes", "password,userName")]);
    let mut replies = vec![app.post(&select("/Users"), &body).await];
    let path = format!("/Users/{}", id(&replies[0].body));
    let set = || json!([{ "op": "replace", "path": "password", "value": secret }]);
    replies.push(app.get(&select(&path)).await);
    replies.push(app.put(&path, &body).await);
    replies.push(app.edit(&select(&path), set()).await);
    replies.push(app.get(&select("/Users")).await);
    for reply in replies {
        assert!(reply.status < 300, "{reply:?}");
        let text = String::from_utf8(reply.bytes).unwrap();
        assert!(
            !text.contains("password") && !text.contains("q7#L"),
            "{text}"
        );
    }
    for filter in [
        r#"password eq "q7#Lm2xz secret""#,
        "password pr",
        r#"userName eq "ada" and password sw "q""#,
    ] {
        let reply = app.get(&with_query("/Users", &[("filter", filter)])).await;
        reply.expect_error(400, "invalidFilter");
    }
});

// R7643-4.1.2-05, R7643-4.1.2-06, R7643-4.2-04, R7643-4.2-05, R7643-2.3.7-02, R7643-2.4-07,
// R7644-3.3-02
both!(memberships_appear_on_both_sides, |app| async move {
    let ignored = json!({ "groups": [{ "value": "nowhere" }] });
    let ada = app.post("/Users", &user("ada", &ignored)).await.expect(201);
    let inner = app.create_group("Inner", &[id(&ada)]).await;
    let outer = app.create_group("Outer", &[id(&inner)]).await;
    let path = format!("/Users/{}", id(&ada));
    let refused = app
        .edit(
            &path,
            json!([{ "op": "add", "path": "groups", "value": [{ "value": id(&outer) }] }]),
        )
        .await;
    refused.expect_error(400, "mutability");
    let ada = app.put(&path, &user("ada", &ignored)).await.expect(200);
    let mut groups = ada["groups"].as_array().unwrap().clone();
    groups.sort_by_key(|group| group["type"].to_string());
    assert_eq!(texts(&groups, "type"), ["direct", "indirect"]);
    assert_eq!(texts(&groups, "value"), [id(&inner), id(&outer)]);

    let members = [&app.group(id(&inner)).await, &app.group(id(&outer)).await]
        .map(|group| group["members"][0].clone());
    assert_eq!(texts(&members, "type"), ["User", "Group"]);
    for reference in groups.iter().chain(&members) {
        let url = reference["$ref"].as_str().unwrap();
        let path = url.strip_prefix(app.base_url().as_str()).unwrap();
        let found = app.get(path).await.expect(200);
        assert_eq!(found["id"], reference["value"], "{url}");
        // The version in a URI does not affect the resource that it names.
        let other = url.replace("/scim/v2/", "/scim/");
        assert_ne!(&other, url);
        for url in [url, &other] {
            let filter = |name: &str| format!("{name}.$ref eq \"{url}\"");
            let found = match url.contains("/Groups/") {
                true => {
                    app.find_users(&filter("groups")).await.len()
                        + app.find_groups(&filter("members")).await.len()
                }
                false => app.find_groups(&filter("members")).await.len(),
            };
            assert!(found > 0, "{url}");
        }
    }
    // Such a URI can also remove a member.
    let path = format!("/Groups/{}", id(&outer));
    let url = members[1]["$ref"].as_str().unwrap();
    let remove = json!([{ "op": "remove", "path": format!("members[$ref eq \"{url}\"]") }]);
    let left = app.edit(&path, remove).await.expect(200);
    assert_eq!(left["members"], json!([]));
});

// R7643-4.2-01, R7643-4.2-02, R7643-4.2-06, R7643-4.3-01, R7643-4.3-02, R7643-3.3-01, R7643-3-04
both!(group_and_enterprise_attributes_work, |app| async move {
    for nameless in [
        json!({ "schemas": [GROUP] }),
        json!({ "schemas": [GROUP], "displayName": " " }),
    ] {
        let refused = app.post("/Groups", &nameless).await;
        refused.expect_error(400, "invalidValue");
    }
    let enterprise = json!({
        "employeeNumber": "701984", "costCenter": "4130", "organization": "Engines", "division": "Analytical",
        "department": "Looms", "manager": { "value": "26118915", "$ref": "Users/26118915", "displayName": "forged" }
    });
    let body = json!({ "schemas": [USER, ENTERPRISE], "userName": "ada", ENTERPRISE: enterprise });
    let ada = app.post("/Users", &body).await.expect(201);
    let mut expected = enterprise.clone();
    expected["manager"]
        .as_object_mut()
        .unwrap()
        .remove("displayName");
    assert_eq!(ada[ENTERPRISE], expected);
    assert_eq!(ada["schemas"], json!([USER, ENTERPRISE]));
    let manager = format!("{ENTERPRISE}:manager.displayName");
    let path = format!("/Users/{}", id(&ada));
    let refused = app
        .edit(
            &path,
            json!([{ "op": "replace", "path": manager, "value": "x" }]),
        )
        .await;
    let error = refused.expect_error(400, "mutability");
    assert!(
        error["detail"].as_str().unwrap().contains(&manager),
        "{error}"
    );

    let groups = [
        app.create_group("Surveyors", &[id(&ada)]).await,
        app.create_group("Surveyors", &[id(&ada)]).await,
    ];
    app.delete(&path).await.expect(204);
    for group in &groups {
        assert_eq!(app.group(id(group)).await["members"], json!([]));
    }
});

// R7643-2.3-01, R7643-2.3.4-01, R7643-2.3.6-01, R7643-2.3.6-02
both!(attribute_types_are_enforced_over_http, |app| async move {
    for (name, wrong) in [
        ("active", json!("yes")),
        ("active", json!(2)),
        ("name", json!("Ada")),
        ("title", json!({ "value": "x" })),
        ("title", json!(["x", "y"])),
        ("emails", json!([["ada@example.com"]])),
        ("x509Certificates", json!([{ "value": "%%%" }])),
    ] {
        let refused = app
            .post("/Users", &user("ada", &json!({ name: wrong })))
            .await;
        refused.expect_error(400, "invalidValue");
    }
    let certificates = json!({ "x509Certificates": [{ "value": "AQ" }, { "value": "Ag==" }] });
    let made = app
        .post("/Users", &user("ada", &certificates))
        .await
        .expect(201);
    assert_eq!(made["x509Certificates"], certificates["x509Certificates"]);
    let exact = |value: &str| format!("x509Certificates.value eq \"{value}\"");
    assert_eq!(app.find_users(&exact("Ag==")).await, ["ada"]);
    assert!(app.find_users(&exact("ag==")).await.is_empty());
});

// R7643-3.3-02, R7643-3-01, R7643-3-02, R7643-3-03, R7643-3-05, R7643-3-06
both!(schemas_lists_the_extensions_present, |app| async move {
    let strict = app.strict().await;
    let department = json!({ "department": "Looms" });
    for (number, (schemas, container, strictly)) in [
        (json!([USER, ENTERPRISE]), Some(ENTERPRISE.to_owned()), 201),
        (
            json!([ENTERPRISE, USER]),
            Some(ENTERPRISE.to_uppercase()),
            201,
        ),
        (json!([USER, ENTERPRISE]), None, 201),
        (json!([USER]), Some(ENTERPRISE.to_owned()), 400),
        (json!([]), None, 400),
        (json!([USER, USER]), None, 400),
        (json!([USER, "urn:example:unknown:2.0:User"]), None, 400),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = user(&format!("u{number}"), &json!({ "schemas": schemas }));
        if let Some(container) = &container {
            body[container.as_str()] = department.clone();
        }
        let made = app.post("/Users", &body).await.expect(201);
        let shown = match container {
            Some(_) => json!([USER, ENTERPRISE]),
            None => json!([USER]),
        };
        assert_eq!(made["schemas"], shown, "{body}");
        let reply = strict.post("/Users", &body).await;
        match strictly {
            201 => assert_eq!(reply.expect(201)["schemas"], shown, "{body}"),
            _ => drop(reply.expect_error(400, "invalidSyntax")),
        }
    }
    // The endpoint determines the type, whatever the list of schemas says.
    let group = json!({ "schemas": [GROUP], "userName": "x" });
    let made = app.post("/Users", &group).await.expect(201);
    assert_eq!(made["schemas"], json!([USER]));
    strict
        .post("/Users", &group)
        .await
        .expect_error(400, "invalidSyntax");
    let bare = json!({ "userName": "bare" });
    app.post("/Users", &bare).await.expect(201);
    strict
        .post("/Users", &bare)
        .await
        .expect_error(400, "invalidSyntax");
});
