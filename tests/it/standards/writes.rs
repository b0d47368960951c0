//! Endpoints, create and replace (RFC 7644 sections 3.1 to 3.3, 3.5.1, 3.8 and 3.13).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::sample::{ENTERPRISE, USER};
use crate::harness::{SCIM, both, id, member_ids, sample, texts, together};

// R7644-3.1-01, R7644-3.2-01, R7644-3.2-02, R7644-3.2-03, R7644-3.2-04, R7644-3.2-05, R7644-3.3-06,
// R7644-3.8-06, R7644-3.13-01, R7644-3.13-02
both!(endpoints_support_only_their_methods, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&ada));
    for (method, path) in [
        (Method::DELETE, "/Users"),
        (Method::PUT, "/Users"),
        (Method::PATCH, "/Groups"),
        (Method::POST, path.as_str()),
        (Method::POST, "/Schemas"),
    ] {
        let body = sample::user("x").to_string().into_bytes();
        let reply = app
            .send(method, path, &[("content-type", SCIM)], body)
            .await;
        assert!(reply.header("allow").contains("GET"), "{reply:?}");
        reply.expect_error(405, "");
    }
    for nowhere in ["/Foo", "/Users/x/y", &format!("{path}.scim"), "/users"] {
        app.get(nowhere).await.expect_error(404, "");
    }
    let site = app.site();
    for other in ["/scim/v1/Users", "/scim/v3/Users", "/v2/Users", "/Users"] {
        site.get(other).await.expect_error(404, "");
    }
    // PUT never creates a resource.
    let body = sample::user("eve@example.com");
    let unknown = "/Users/01890000-0000-7000-8000-000000000000";
    app.put(unknown, &body).await.expect_error(404, "");
    assert_eq!(app.list("/Users", &[]).await.total, 1);
    let schemas = app.get("/Schemas").await.expect(200);
    for schema in texts(schemas["Resources"].as_array().unwrap(), "id") {
        assert!(!schema.contains(":api:messages:"), "{schema}");
    }
});

// R7644-3.4.2.2-37
both!(
    list_parameters_are_ignored_on_other_requests,
    |app| async move {
        let ada = app.create_user("ada@example.com").await;
        assert_eq!(app.get("/Users?foo&bar").await.page().total, 1);
        let path = format!("/Users/{}", id(&ada));
        for query in ["foo", "filter=userName+eq+%22nobody%22"] {
            let shown = app.get(&format!("{path}?{query}")).await.expect(200);
            assert_eq!(shown, ada, "a filter is for lists: {query}");
        }
    }
);

// R7644-3.3-04, R7644-3.3-05, R7644-3.3-07, R7644-3.3-09, R7644-3.3-12
both!(competing_creates_conflict, |app| async move {
    let body = sample::user("ada@example.com");
    let creates = (0..8).map(|_| {
        let (client, body) = (app.client.clone(), body.clone());
        async move { client.post("/Users", &body).await }
    });
    let replies = together(creates).await;
    let (made, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|one| one.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for reply in refused {
        reply.expect_error(409, "uniqueness");
    }
    let missing = json!({ "schemas": [USER], "nickName": "x" });
    app.post("/Users", &missing)
        .await
        .expect_error(400, "invalidValue");
    // Members are immutable, but a create can set them.
    let group = app.create_group("Surveyors", &[id(&made[0].body)]).await;
    assert_eq!(member_ids(&group), [id(&made[0].body)]);
});

// R7644-3.1-02, R7644-3.5.1-01, R7644-3.5.1-02, R7644-3.5.1-03, R7644-3.5.1-04, R7644-3.5.1-07,
// R7644-3.5.1-10, L-09, L-17
both!(a_put_replaces_the_whole_resource, |app| async move {
    let strict = app.strict().await;
    for client in [&app, &strict] {
        let full = json!({
            "schemas": [USER, ENTERPRISE], "userName": "ada", "nickName": "Addie", "title": "Dr", "password": "q7#Lm2xz",
            "emails": [{ "value": "a@example.com" }, { "value": "b@example.com" }],
            ENTERPRISE: { "department": "Looms" }
        });
        let made = client.post("/Users", &full).await.expect(201);
        let path = format!("/Users/{}", id(&made));
        // As Okta sends it: the whole resource, including read-only attributes.
        let put = json!({
            "schemas": [USER], "id": "other", "meta": { "created": "2001-01-01T00:00:00Z" }, "groups": [{ "value": "x" }],
            "userName": "ada.k", "nickName": null, "emails": [{ "value": "c@example.com" }], "password": "other"
        });
        let after = client.put(&path, &put).await.expect(200);
        assert_eq!(after["id"], made["id"]);
        assert_eq!(after["meta"]["created"], made["meta"]["created"]);
        assert_ne!(after["meta"]["version"], made["meta"]["version"]);
        assert_eq!(after["userName"], "ada.k");
        assert_eq!(after["emails"], json!([{ "value": "c@example.com" }]));
        assert_eq!(after["schemas"], json!([USER]));
        for gone in ["nickName", "title", ENTERPRISE] {
            assert!(after.get(gone).is_none(), "{gone}: {after}");
        }
        // The response is a valid body for the next PUT, which changes nothing.
        assert_eq!(client.put(&path, &after).await.expect(200), after);
    }
});

// R7644-3.5.1-06, R7644-3.5.1-08, R7644-3.2-01
both!(invalid_puts_are_rejected, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    app.create_user("eve@example.com").await;
    let path = format!("/Users/{}", id(&ada));
    let put = |body: Value| {
        let (client, path) = (app.client.clone(), path.clone());
        async move { client.put(&path, &body).await }
    };
    put(json!({ "schemas": [USER], "title": "Dr" }))
        .await
        .expect_error(400, "invalidValue");
    put(sample::user("EVE@example.com"))
        .await
        .expect_error(409, "uniqueness");
    put(json!({ "schemas": [USER], "userName": "ada", "active": "maybe" }))
        .await
        .expect_error(400, "invalidValue");
    assert_eq!(app.user(id(&ada)).await, ada);
});

// R7644-3.8-01, R7644-3.8-07, R7644-3.3-08
both!(a_body_must_be_one_json_object_in_utf_8, |app| async move {
    let strict = app.strict().await;
    for client in [&app, &strict] {
        let send = |bytes: &[u8]| {
            let (client, bytes) = (client.client.clone(), bytes.to_vec());
            let headers = [("content-type", "application/scim+json; charset=utf-8")];
            async move { client.send(Method::POST, "/Users", &headers, bytes).await }
        };
        let body = json!({ "schemas": [USER], "userName": "Zoë" }).to_string();
        let marked = [b"\xef\xbb\xbf", body.as_bytes()].concat();
        let made = send(&marked).await.expect(201);
        assert_eq!(made["userName"], "Zoë");
        for wrong in [
            &br#"{"schemas":["x"],"userName":"a"} x"#[..],
            br#"{"userName":"a","userName":"b"}"#,
            b"{\"userName\":\"Zo\xeb\"}",
            b"{\"userName\":\"a\"",
            b"[{}]",
            b"\"x\"",
            b"5",
            b"null",
        ] {
            send(wrong).await.expect_error(400, "invalidSyntax");
        }
        assert_eq!(client.list("/Users", &[]).await.total, 1);
    }
});
