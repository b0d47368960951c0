//! Isolation of tenants: each endpoint is tried with a token of the wrong tenant.

use serde_json::json;

use crate::harness::{both, id, member_ids, sample, texts};

// R7644-6.2-01
both!(another_tenants_resources_are_hidden, |app| async move {
    let neighbour = app.neighbour().await;
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    for (path, body) in [
        (
            format!("/Users/{}", id(&user)),
            sample::user("mine@example.com"),
        ),
        (
            format!("/Groups/{}", id(&group)),
            sample::group("Mine", &[]),
        ),
    ] {
        neighbour.get(&path).await.expect_error(404, "");
        neighbour.put(&path, &body).await.expect_error(404, "");
        let operations = json!([{ "op": "replace", "value": { "displayName": "Mine" } }]);
        neighbour
            .edit(&path, operations)
            .await
            .expect_error(404, "");
        neighbour.delete(&path).await.expect_error(404, "");
    }
    assert_eq!(app.user(id(&user)).await["displayName"], "ada Byron");
    assert_eq!(app.group(id(&group)).await, group);
});

// R7643-3.1-05, R7644-6-01, R7644-6.2-03
both!(lists_exclude_other_tenants, |app| async move {
    let neighbour = app.neighbour().await;
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let (user, group) = (id(&user), id(&group));
    for filter in [
        r#"userName eq "ada@example.com""#,
        r#"externalId eq "00u-ada@example.com""#,
        r#"emails.value eq "ada@example.com""#,
        r#"emails[type eq "work"]"#,
        r#"displayName sw "ada""#,
        r#"locale eq "en-US""#,
        r#"not (userName eq "x")"#,
        "active eq true",
        "userName pr",
        "not (title pr)",
        &format!("id eq \"{user}\""),
        &format!("groups.value eq \"{group}\""),
    ] {
        assert!(neighbour.find_users(filter).await.is_empty(), "{filter}");
        assert_eq!(app.find_users(filter).await.len(), 1, "{filter}");
    }
    for filter in [
        r#"displayName eq "surveyors""#,
        "members pr",
        &format!("members.value eq \"{user}\""),
        &format!("id eq \"{group}\""),
    ] {
        assert!(neighbour.find_groups(filter).await.is_empty(), "{filter}");
        assert_eq!(app.find_groups(filter).await.len(), 1, "{filter}");
    }
    for endpoint in ["/Users", "/Groups"] {
        assert_eq!(neighbour.list(endpoint, &[]).await.total, 0);
        let parameters = [("startIndex", "2"), ("count", "1")];
        assert_eq!(neighbour.list(endpoint, &parameters).await.total, 0);
    }
});

// R7643-9-02, R7644-6.2-03
both!(a_name_is_unique_per_tenant, |app| async move {
    let neighbour = app.neighbour().await;
    let here = app.create_user("ada@example.com").await;
    let there = neighbour.create_user("ada@example.com").await;
    assert_ne!(here["id"], there["id"]);
    let path = format!("/Users/{}", id(&here));
    app.delete(&path).await.expect(204);
    assert_eq!(neighbour.user(id(&there)).await, there);
});

// R7644-6.2-03
both!(a_group_rejects_foreign_members, |app| async move {
    let neighbour = app.neighbour().await;
    let here = app.create_user("ada@example.com").await;
    let there = neighbour.create_user("eve@example.com").await;
    let foreign_group = neighbour.create_group("Theirs", &[id(&there)]).await;
    let members = [id(&here), id(&there), id(&foreign_group)];

    let created = app.create_group("Ours", &members).await;
    assert_eq!(member_ids(&created), [id(&here)]);
    let path = format!("/Groups/{}", id(&created));
    let operations =
        json!([{ "op": "add", "path": "members", "value": sample::members(&members) }]);
    let patched = app.edit(&path, operations).await.expect(200);
    assert_eq!(member_ids(&patched), [id(&here)]);
    let replaced = app.put(&path, &sample::group("Ours", &members)).await;
    assert_eq!(member_ids(&replaced.expect(200)), [id(&here)]);
    assert_eq!(
        neighbour.user(id(&there)).await["groups"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // Nor can a member be removed from outside.
    let remove = format!("members[value eq \"{}\"]", id(&there));
    let operations = json!([{ "op": "remove", "path": remove }]);
    app.edit(&path, operations).await.expect(200);
    let theirs = neighbour.group(id(&foreign_group)).await;
    assert_eq!(theirs, foreign_group);
});

// R7644-6.2-03
both!(walks_of_two_tenants_do_not_mix, |app| async move {
    let neighbour = app.neighbour().await;
    for number in 0..6 {
        app.create_user(&format!("a{number}@example.com")).await;
        neighbour
            .create_user(&format!("b{number}@example.com"))
            .await;
    }
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for start in ["1", "3", "5"] {
        let parameters = [("startIndex", start), ("count", "2")];
        here.extend(app.list("/Users", &parameters).await.ids());
        there.extend(neighbour.list("/Users", &parameters).await.ids());
    }
    assert_eq!(here, app.list("/Users", &[]).await.ids());
    assert_eq!(there, neighbour.list("/Users", &[]).await.ids());
});

both!(a_tenant_can_be_created_once, |app| async move {
    let admin = app.server.admin().site();
    let again = json!({ "name": app.tenant });
    let refused = admin.post("/admin/v1/tenants", &again).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    for body in [
        json!({}),
        json!({ "name": "" }),
        json!({ "name": 5 }),
        json!([]),
    ] {
        let refused = admin.post("/admin/v1/tenants", &body).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
    }
    let nowhere = json!({ "tenant": "nowhere-at-all", "name": "x", "scopes": ["scim"] });
    let refused = admin.post("/admin/v1/tokens", &nowhere).await;
    assert!([400, 404].contains(&refused.status), "{refused:?}");
    let rootly = json!({ "tenant": app.tenant, "name": "x", "scopes": ["root"] });
    let refused = admin.post("/admin/v1/tokens", &rootly).await;
    assert_eq!(refused.status, 400, "{refused:?}");
});

// R7644-6-01
both!(a_tenant_admin_manages_only_its_tenant, |app| async move {
    let neighbour = app.neighbour().await;
    let admin = app.client_with_scopes(&["admin"]).await.site();
    let own = json!({ "tenant": app.tenant, "name": "own", "scopes": ["read"] });
    let made = admin.post("/admin/v1/tokens", &own).await;
    assert_eq!(made.status, 201, "{made:?}");
    let twice = admin.post("/admin/v1/tokens", &own).await;
    assert_eq!(twice.status, 409, "{twice:?}");

    let foreign = json!({ "tenant": neighbour.tenant, "name": "spy", "scopes": ["read"] });
    let refused = admin.post("/admin/v1/tokens", &foreign).await;
    assert!([403, 404].contains(&refused.status), "{refused:?}");
    let listed = admin
        .get(&format!("/admin/v1/tokens?tenant={}", neighbour.tenant))
        .await;
    assert!([403, 404].contains(&listed.status), "{listed:?}");
    neighbour.token("theirs", &["scim"]).await;
    let path = format!("/admin/v1/tokens/theirs?tenant={}", neighbour.tenant);
    let revoked = admin.delete(&path).await;
    assert!([403, 404].contains(&revoked.status), "{revoked:?}");
    let tenant = json!({ "name": "one-more" });
    let refused = admin.post("/admin/v1/tenants", &tenant).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let tenants = admin.get("/admin/v1/tenants").await;
    let listed = tenants
        .body
        .as_array()
        .map(|tenants| texts(tenants, "name"));
    assert_eq!(listed, Some(vec![app.tenant.clone()]), "{tenants:?}");

    let tokens = admin.get("/admin/v1/tokens").await;
    let names = texts(tokens.body.as_array().unwrap(), "name");
    assert!(names.contains(&"own".to_owned()) && !names.contains(&"theirs".to_owned()));
    assert!(!tokens.body.to_string().contains("hash"));
    let revoked = admin.delete("/admin/v1/tokens/own").await;
    assert_eq!(revoked.status, 204);
    let client = app.authorization(&format!("Bearer {}", made.body["token"].as_str().unwrap()));
    client.get("/Users").await.expect_error(401, "");
});

both!(tenant_settings_apply_immediately, |app| async move {
    let neighbour = app.neighbour().await;
    let admin = app.client_with_scopes(&["admin"]).await.site();
    let path = format!("/admin/v1/tenants/{}", app.tenant);
    let unchanged = admin.patch(&path, &json!({})).await;
    assert_eq!(unchanged.status, 200, "{unchanged:?}");
    assert_eq!(unchanged.body["compatibility"], "tolerant");
    assert_eq!(unchanged.body["patch_answer"], "resource");
    assert_eq!(unchanged.body["group_names"], "any");
    for (change, compatibility, patch_answer) in [
        (json!({ "compatibility": "strict" }), "strict", "resource"),
        (
            json!({ "patch_answer": "no-content", "compatibility": null }),
            "strict",
            "no-content",
        ),
        (
            json!({ "compatibility": "tolerant", "patch_answer": "resource" }),
            "tolerant",
            "resource",
        ),
        (json!({ "compatibility": "strict" }), "strict", "resource"),
    ] {
        let set = admin.patch(&path, &change).await;
        assert_eq!(set.status, 200, "{set:?}");
        let listed = admin.get("/admin/v1/tenants").await;
        for tenant in [&set.body, &listed.body[0]] {
            assert_eq!(tenant["name"], app.tenant);
            assert_eq!(tenant["compatibility"], compatibility, "{change}");
            assert_eq!(tenant["patch_answer"], patch_answer, "{change}");
        }
    }
    for wrong in [
        json!({ "compatibility": "Strict" }),
        json!({ "patch_answer": 204 }),
        json!({ "group_names": "some" }),
        json!({ "name": "x" }),
        json!([]),
    ] {
        let refused = admin.patch(&path, &wrong).await;
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }

    // Another tenant's settings are inaccessible, and a provisioning token cannot set any.
    let theirs = format!("/admin/v1/tenants/{}", neighbour.tenant);
    let strict = json!({ "compatibility": "strict" });
    let refused = admin.patch(&theirs, &strict).await;
    assert_eq!(refused.status, 404, "{refused:?}");
    let refused = app.client.site().patch(&path, &strict).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let operators = app.server.admin().site();
    let nowhere = operators.patch("/admin/v1/tenants/nowhere", &strict).await;
    assert_eq!(nowhere.status, 404, "{nowhere:?}");
    let all = operators.get("/admin/v1/tenants").await;
    let rows = all.body.as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == neighbour.tenant);
    assert_eq!(row.unwrap()["compatibility"], "tolerant");
});
