//! One tolerant and one strict tenant: how each handles the same request.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, SCIM, both, id, member_ids, sample, with_query};

// R7644-3.3-07, RINTEROP-5.3-01
both!(
    a_changed_setting_applies_to_the_next_request,
    |app| async move {
        let mut body = sample::user("ada@example.com");
        body["nope"] = json!("x");
        app.set(&json!({ "compatibility": "strict" })).await;
        app.post("/Users", &body)
            .await
            .expect_error(400, "invalidSyntax");
        app.set(&json!({ "compatibility": "tolerant" })).await;
        let user = app.post("/Users", &body).await.expect(201);
        assert!(user.get("nope").is_none(), "{user}");
        app.set(&json!({ "compatibility": "strict" })).await;
        let path = format!("/Users/{}", id(&user));
        let operations = json!([{ "op": "Replace", "path": "title", "value": "Countess" }]);
        app.edit(&path, operations.clone())
            .await
            .expect_error(400, "invalidSyntax");
        let search = with_query("/Users", &[("filter", "userName eq 'ada@example.com'")]);
        app.get(&search).await.expect_error(400, "invalidFilter");
        app.set(&json!({ "compatibility": "tolerant" })).await;
        app.edit(&path, operations).await.expect(200);
        assert_eq!(app.get(&search).await.page().total, 1);
    }
);

// The core cannot filter on members: only the store has them.
// R7643-4.2-03, R7644-3.5.2.3-07
both!(
    a_strict_patch_of_members_requires_a_target,
    |app| async move {
        let app = app.strict().await;
        let body = json!({ "schemas": [sample::USER], "userName": "ada" });
        let ada = app.post("/Users", &body).await.expect(201);
        let ada = id(&ada);
        let group = app.create_group("Surveyors", &[]).await;
        let path = format!("/Groups/{}", id(&group));
        let named = format!("members[value eq \"{ada}\"]");
        let again = || json!([{ "op": "replace", "path": named, "value": { "value": ada } }]);
        let gone = || json!([{ "op": "replace", "path": named, "value": null }]);
        app.edit(&path, again()).await.expect_error(400, "noTarget");
        app.edit(&path, gone()).await.expect_error(400, "noTarget");
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ada }] }]);
        let with_ada = app.edit(&path, add).await.expect(200);
        assert_eq!(member_ids(&with_ada), [ada]);
        let same = app.edit(&path, again()).await.expect(200);
        assert_eq!(same, with_ada, "no change, no trace");
        let sub = json!([{ "op": "replace", "path": format!("{named}.display"), "value": "x" }]);
        app.edit(&path, sub).await.expect_error(400, "mutability");
        let listed = json!([{ "op": "remove", "path": "members", "value": [{ "value": ada }] }]);
        app.edit(&path, listed)
            .await
            .expect_error(400, "invalidValue");
        assert_eq!(app.group(id(&group)).await, with_ada);
        let without = app.edit(&path, gone()).await.expect(200);
        assert!(member_ids(&without).is_empty(), "{without}");
    }
);

// R7644-3.3-03, R7643-4.1.1-07, R7643-2.5-01
both!(a_user_may_be_without_active, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&ada));
    let remove = json!([{ "op": "remove", "path": "active" }]);
    let without = app.edit(&path, remove).await.expect(200);
    assert!(without.get("active").is_none(), "{without}");
    for (filter, found) in [
        ("active eq true", false),
        ("active eq false", false),
        ("active pr", false),
        ("active eq null", true),
        ("not (active eq true)", true),
    ] {
        let names = app.find_users(filter).await;
        assert_eq!(!names.is_empty(), found, "{filter}");
    }
    // A user without `active` must not get access, so the admin sees it as inactive.
    let error = app.post("/Users", &sample::user("ADA@example.com")).await;
    let error = error.expect_error(409, "uniqueness");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("inactive"), "{detail}");
    // A PUT without `active` reactivates no user.
    let replaced = app
        .put(&path, &json!({ "userName": "ada@example.com" }))
        .await;
    assert!(replaced.expect(200).get("active").is_none());

    // A null in a create means the default in a tolerant tenant, and no value in a strict one.
    let body = json!({ "schemas": [sample::USER], "userName": "eve", "active": null });
    let tolerant = app.post("/Users", &body).await.expect(201);
    assert_eq!(tolerant["active"], true);
    let strict = app.strict().await.post("/Users", &body).await.expect(201);
    assert!(strict.get("active").is_none(), "{strict}");
});

// R7644-3.8-02, R7644-3.8-03, R7644-3.8-04
both!(the_accept_header_is_honored, |app| async move {
    let strict = app.strict().await;
    for client in [&app, &strict] {
        for accept in [
            "application/scim+json",
            "application/json",
            "*/*",
            "text/html, */*;q=0.1",
        ] {
            let headers = [("accept", accept)];
            let reply = client.send(Method::GET, "/Users", &headers, Vec::new());
            reply.await.page();
        }
        let bare = client.send(Method::GET, "/Users", &[], Vec::new()).await;
        bare.page();
    }
    let headers = [("accept", "application/xml"), ("content-type", SCIM)];
    let body = json!({ "schemas": [sample::USER], "userName": "ada" }).to_string();
    let post = |client: &Client| {
        let client = client.clone();
        let body = body.clone().into_bytes();
        async move { client.send(Method::POST, "/Users", &headers, body).await }
    };
    post(&strict).await.expect_error(406, "");
    assert_eq!(
        strict.list("/Users", &[]).await.total,
        0,
        "nothing was done"
    );
    post(&app).await.expect(201);
});

// R7644-3.5.2-19, RIPSIE-6.2-01
both!(one_patch_has_many_member_operations, |app| async move {
    for client in [&app, &app.strict().await] {
        let mut ids = Vec::new();
        for number in 0..60 {
            let body = json!({ "schemas": [sample::USER], "userName": format!("u{number}") });
            let user = client.post("/Users", &body).await.expect(201);
            ids.push(id(&user).to_owned());
        }
        ids.sort();
        let group = client.create_group("Surveyors", &[]).await;
        let path = format!("/Groups/{}", id(&group));
        let add =
            |id: &String| json!({ "op": "add", "path": "members", "value": [{ "value": id }] });
        let operations: Value = ids.iter().map(add).collect();
        let full = client.edit(&path, operations).await.expect(200);
        assert_eq!(member_ids(&full), ids);
        let remove =
            |id: &String| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") });
        let operations: Value = ids.iter().skip(5).map(remove).collect();
        let rest = client.edit(&path, operations).await.expect(200);
        assert_eq!(member_ids(&rest), ids[..5]);
    }
});
