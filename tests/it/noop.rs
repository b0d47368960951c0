//! A write that changes nothing leaves version, lastModified and the feed unchanged; any other
//! write adds exactly one change, and the numbers of changes have no gap.

use serde_json::{Value, json};

use crate::harness::{TestApp, both, id, sample, together};

/// Returns the number of the tenant's changes, after checking that their numbers have no gap.
fn changes(app: &TestApp) -> i64 {
    let of_tenant = format!(
        "FROM changes WHERE tenant_id = (SELECT id FROM tenants WHERE name = '{}')",
        app.tenant
    );
    let count = app
        .database
        .count(&format!("SELECT count(*) AS n {of_tenant}"));
    if count > 0 {
        let last = format!("SELECT max(seq) - min(seq) + 1 AS n {of_tenant}");
        assert_eq!(app.database.count(&last), count, "a gap in the numbers");
    }
    count
}

// L-09, R7644-3.1-02, R7644-3.5.1-09
both!(a_put_of_a_response_changes_nothing, |app| async move {
    let plain = json!({ "userName": "bare@example.com" });
    let inactive = json!({ "userName": "off@example.com", "active": false });
    let mut users = Vec::new();
    for body in [
        sample::user("ada@example.com"),
        sample::full_user("full@example.com"),
        plain,
        inactive,
    ] {
        users.push(app.post("/Users", &body).await.expect(201));
    }
    let ids: Vec<&str> = users.iter().map(id).collect();
    let inner = app.create_group("Inner", &ids).await;
    let outer = app.create_group("Outer", &[id(&inner), ids[0]]).await;
    let empty = app.create_group("Empty", &[]).await;
    // The representation of a member without a `display` is sent back.
    let members = json!([{ "value": ids[1] }, { "value": ids[2] }]);
    let bare = json!({ "displayName": "Bare", "members": members });
    let bare = app.post("/Groups", &bare).await.expect(201);
    let before = changes(&app);
    let paths = ids.iter().map(|id| format!("/Users/{id}"));
    let paths =
        paths.chain([&inner, &outer, &empty, &bare].map(|group| format!("/Groups/{}", id(group))));
    for path in paths {
        let read = app.get(&path).await.expect(200);
        for _ in 0..2 {
            let echoed = app.put(&path, &read).await.expect(200);
            assert_eq!(echoed, read, "{path}");
        }
        assert_eq!(app.get(&path).await.expect(200), read);
    }
    assert_eq!(changes(&app), before);
});

// R7643-2.3.8-02, R7643-3-03
both!(member_order_is_not_a_change, |app| async move {
    let created = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let path = format!("/Users/{}", id(&created));
    let reversed: Value = created
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(name, value)| (name.to_uppercase(), value.clone()))
        .filter(|(name, _)| !name.starts_with("URN:EXAMPLE"))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut reversed = reversed;
    let custom = "urn:example:params:scim:schemas:extension:acme:2.0:User";
    reversed[custom] = created[custom].clone();
    let echoed = app.put(&path, &reversed).await.expect(200);
    assert_eq!(echoed["meta"], created["meta"]);
    assert_eq!(echoed, created);
});

both!(each_write_records_one_change, |app| async move {
    assert_eq!(changes(&app), 0);
    let user = app.create_user("ada@example.com").await;
    assert_eq!(changes(&app), 1);
    let path = format!("/Users/{}", id(&user));
    let title = json!([{ "op": "replace", "path": "title", "value": "Dr." }]);
    app.edit(&path, title.clone()).await.expect(200);
    assert_eq!(changes(&app), 2);
    app.edit(&path, title).await.expect(200);
    assert_eq!(changes(&app), 2);
    app.post("/Users", &sample::user("ADA@example.com"))
        .await
        .expect_error(409, "uniqueness");
    app.put(&path, &json!({}))
        .await
        .expect_error(400, "invalidValue");
    assert_eq!(changes(&app), 2);
    let mut body = sample::user("ada@example.com");
    body["title"] = json!("Countess");
    app.put(&path, &body).await.expect(200);
    assert_eq!(changes(&app), 3);
    app.delete(&path).await.expect(204);
    assert!(changes(&app) > 3);
});

both!(
    change_numbers_have_no_gap_under_concurrent_load,
    |app| async move {
        let writers = (0..40).map(|number| {
            let client = app.client.clone();
            async move {
                // Every second create fails, and uses no number.
                let name = format!("user{}@example.com", number / 2);
                let created = client.post("/Users", &sample::user(&name)).await;
                created.status
            }
        });
        let statuses = together(writers).await;
        let created = statuses.iter().filter(|status| **status == 201).count();
        assert_eq!(created, 20, "{statuses:?}");
        assert_eq!(changes(&app), 20);
    }
);
