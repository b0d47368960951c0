//! What tenants store: a small change of a large resource takes little, bulk requests and tenants
//! have budgets, and administrators see what takes most.

use serde_json::{Value, json};

use crate::harness::{Client, Database, Server, TestApp, both, both_alone, id, sample, with_query};

const EMAILS: usize = 4000;

async fn create_large_user(client: &Client, name: &str) -> Value {
    create_user_with(client, name, EMAILS).await
}

async fn create_user_with(client: &Client, name: &str, emails: usize) -> Value {
    let mut body = sample::user(name);
    let email = |n: usize| json!({ "value": format!("{n}-{name}"), "type": "work" });
    body["emails"] = (0..emails).map(email).collect();
    client.post("/Users", &body).await.expect(201)
}

async fn patch(client: &Client, user: &str, operation: Value) {
    let body = sample::patch(json!([operation]));
    client
        .patch(&format!("/Users/{user}?attributes=userName"), &body)
        .await
        .expect(200);
}

/// Returns the user without its times and its version.
async fn directory_user(client: &Client, user: &str, at: Option<&str>) -> Value {
    let path = format!("/directory/v1/users/{user}");
    let path = at.map_or(path.clone(), |at| with_query(&path, &[("at", at)]));
    let mut body = client.site().get(&path).await.plain(200);
    body["emails"].take()
}

async fn last_change(client: &Client) -> Value {
    let page = client
        .site()
        .get("/directory/v1/changes?after=0&limit=1000")
        .await;
    let changes = page.plain(200)["changes"].as_array().unwrap().clone();
    changes.last().unwrap().clone()
}

/// Small edits of a long list, and the difference that the change shows.
fn small_changes() -> Vec<(Value, Value)> {
    let email = |n: usize| json!({ "value": format!("{n}-large@example.com"), "type": "work" });
    let new = json!({ "value": "new@example.com", "type": "home" });
    let at = |n: usize| format!("emails[value eq \"{n}-large@example.com\"]");
    vec![
        (
            json!({ "op": "add", "path": "emails", "value": [new] }),
            json!({ "path": "emails", "added": [new] }),
        ),
        (
            json!({ "op": "remove", "path": at(7) }),
            json!({ "path": "emails", "removed": [email(7)] }),
        ),
        (
            json!({ "op": "replace", "path": format!("{}.type", at(100)), "value": "home" }),
            json!({ "path": "emails", "removed": [email(100)], "added": [{
                "value": "100-large@example.com", "type": "home",
            }] }),
        ),
        (
            json!({ "op": "add", "path": format!("{}.display", at(200)), "value": "Two" }),
            json!({ "path": "emails", "removed": [email(200)], "added": [{
                "value": "200-large@example.com", "display": "Two", "type": "work",
            }] }),
        ),
    ]
}

both_alone!(
    a_small_change_of_a_long_list_is_stored_as_such,
    |database: Database| async move {
        let server = Server::start(&database);
        let client = server.admin();
        let user = create_large_user(&client, "large@example.com").await;
        let mut past = Vec::new();
        for (operation, difference) in small_changes() {
            past.push((
                last_change(&client).await["at"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                directory_user(&client, id(&user), None).await,
            ));
            patch(&client, id(&user), operation).await;
            let change = last_change(&client).await;
            assert_eq!(change["lists"], json!([difference]), "{change}");
            assert_eq!(change["attributes"], Value::Null, "{change}");
        }
        let longest = database
            .count("SELECT CAST(max(octet_length(payload)) AS BIGINT) AS n FROM changes WHERE kind = 'updated'");
        assert!(longest < 400, "{longest} bytes");
        for (at, emails) in &past {
            assert_eq!(directory_user(&client, id(&user), Some(at)).await, *emails);
        }
        survives_export(&database, id(&user)).await;
        database.assert_whole();
    }
);

/// Moves the tenant and reads the past there.
async fn survives_export(database: &Database, user: &str) {
    let exported = database.cli_ok(&["export", "--tenant", "default"]);
    let other = Database::fresh(database.backend).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), exported).unwrap();
    other.cli_ok(&["import", file.path().to_str().unwrap(), "--tenant", "moved"]);
    other.assert_whole();
    let token = other.cli_ok(&[
        "token", "create", "reader", "--tenant", "moved", "--scope", "read",
    ]);
    let server = Server::start(&other);
    let client = Client::new(&server.address, token.trim());
    let change = last_change(&client).await;
    assert_eq!(change["lists"][0]["added"][0]["display"], "Two");
    let page = client
        .site()
        .get("/directory/v1/changes?after=0")
        .await
        .plain(200);
    let at = page["changes"][1]["at"].as_str().unwrap();
    let emails = directory_user(&client, user, Some(at)).await;
    assert_eq!(emails.as_array().unwrap().len(), EMAILS + 1);
}

both!(an_erasure_finds_the_addresses_in_a_list, |app| async move {
    let user = create_user_with(&app, "erased@example.com", 300).await;
    let add = json!({ "op": "add", "path": "emails", "value": [{ "value": "ada@home.example" }] });
    patch(&app, id(&user), add).await;
    let remove = json!({ "op": "remove", "path": "emails[value eq \"ada@home.example\"]" });
    patch(&app, id(&user), remove).await;
    // Another user's manager is named by that address.
    let mut other = sample::user("other@example.com");
    other[sample::ENTERPRISE] = json!({ "manager": { "value": "ada@home.example" } });
    let other = app.post("/Users", &other).await.expect(201);
    let body = json!({ "tenant": app.tenant, "type": "User", "id": id(&user) });
    let erased = app
        .server
        .admin()
        .site()
        .post("/admin/v1/erasures", &body)
        .await;
    assert!(erased.status < 300, "{erased:?}");
    let other = app.user(id(&other)).await;
    assert_eq!(other[sample::ENTERPRISE]["manager"], Value::Null, "{other}");
});

async fn fill(app: &Client, prefix: &str) -> Vec<Value> {
    let mut users = Vec::new();
    loop {
        let body = sample::user(&format!("{prefix}{}@example.com", users.len()));
        let reply = app.post("/Users", &body).await;
        if reply.status != 201 {
            let error = reply.expect_error(400, "tooMany");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("tenant_quota_bytes"), "{detail}");
            return users;
        }
        users.push(reply.expect(201));
        assert!(users.len() < 1000, "there is no quota");
    }
}

async fn set_quota(app: &TestApp, quota: Value) {
    app.set(&json!({ "quota_bytes": quota })).await;
}

both!(beyond_its_quota_a_tenant_only_shrinks, |app| async move {
    set_quota(&app, json!(20_000)).await;
    let users = fill(&app, "first").await;
    assert!(users.len() > 5, "{}", users.len());
    let path = |index: usize| format!("/Users/{}", id(&users[index]));
    let title = sample::patch(json!([{ "op": "add", "path": "title", "value": "x".repeat(2000) }]));
    app.patch(&path(0), &title)
        .await
        .expect_error(400, "tooMany");
    // A user who leaves is deactivated in any case, and not activated again.
    let active =
        |value: bool| sample::patch(json!([{ "op": "replace", "path": "active", "value": value }]));
    app.patch(&path(1), &active(false)).await.expect(200);
    app.patch(&path(2), &active(false)).await.expect(200);
    // What is left of the quota could be enough for it.
    set_quota(&app, json!(5_000)).await;
    app.patch(&path(1), &active(true))
        .await
        .expect_error(400, "tooMany");
    set_quota(&app, json!(20_000)).await;
    let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
    let bulk = json!({ "schemas": [schema], "Operations": [
        { "method": "POST", "path": "/Users", "bulkId": "a", "data": sample::user("bulk@example.com") },
        { "method": "DELETE", "path": path(3) },
    ]});
    let operations = app.post("/Bulk", &bulk).await.expect(200)["Operations"].take();
    assert_eq!(
        [&operations[0]["status"], &operations[1]["status"]],
        ["400", "204"]
    );
    assert_eq!(operations[0]["response"]["scimType"], "tooMany");
    app.delete(&path(4)).await.expect(204);
    // A neighbour has a quota of its own.
    let neighbour = app.neighbour().await;
    neighbour.create_user("neighbour@example.com").await;
    set_quota(&app, json!(40_000)).await;
    assert!(!fill(&app, "second").await.is_empty());
    set_quota(&app, Value::Null).await;
    app.create_user("unlimited@example.com").await;
});

both!(a_tenant_cannot_change_its_own_quota, |app| async move {
    let own = app.client_with_scopes(&["admin"]).await.site();
    let path = format!("/admin/v1/tenants/{}", app.tenant);
    own.patch(&path, &json!({ "quota_bytes": 0 }))
        .await
        .expect_error(403, "");
    let answer = own
        .patch(&path, &json!({ "patch_answer": "resource" }))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let site = app.server.admin().site();
    for wrong in [json!(-1), json!(1_u64 << 60)] {
        let reply = site.patch(&path, &json!({ "quota_bytes": wrong })).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
});

both!(administrators_see_what_a_tenant_stores, |app| async move {
    let small = app.create_user("small@example.com").await;
    let large = create_large_user(&app, "large@example.com").await;
    app.delete(&format!("/Users/{}", id(&small)))
        .await
        .expect(204);
    set_quota(&app, json!(10_000_000)).await;
    let site = app.server.admin().site();
    let path = format!("/admin/v1/tenants/{}/storage", app.tenant);
    let report = site.get(&path).await.plain(200);
    assert_eq!(report["quota_bytes"], 10_000_000);
    let largest = report["largest"].as_array().unwrap();
    assert_eq!(largest.len(), 2);
    assert_eq!(largest[0]["id"], id(&large));
    assert_eq!(largest[0]["name"], "large@example.com");
    assert_eq!(
        (&largest[1]["name"], &largest[1]["document_bytes"]),
        (&Value::Null, &json!(0))
    );
    let metrics = String::from_utf8(site.get("/metrics").await.bytes).unwrap();
    let tenant = format!("SELECT id AS n FROM tenants WHERE name = '{}'", app.tenant);
    let tenant = app.database.count(&tenant);
    for (part, bytes) in [
        ("documents", "document_bytes"),
        ("history", "history_bytes"),
    ] {
        let line = format!(
            "rollcall_tenant_storage_bytes{{tenant=\"{}\",part=\"{part}\"}} {}",
            tenant, report[bytes]
        );
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    let none = site.get(&format!("{path}?limit=0")).await.plain(200);
    assert_eq!(none["largest"], json!([]));
    assert_eq!(site.get(&format!("{path}?limit=x")).await.status, 400);
    let neighbour = app.neighbour().await;
    let foreign = neighbour.client_with_scopes(&["admin"]).await.site();
    assert_eq!(foreign.get(&path).await.status, 404);
    let shown = app.database.cli_ok(&["tenant", "storage", &app.tenant]);
    assert!(
        shown.contains("large@example.com") && shown.contains("10000000"),
        "{shown}"
    );
});

both_alone!(
    a_bulk_request_stops_writing_at_its_limit,
    |database: Database| async move {
        let limits = [
            "--bulk-write-bytes",
            "1048576",
            "--tenant-quota-bytes",
            "1000000000",
        ];
        let server = Server::start_with(&database, &limits, &[]);
        let client = server.admin();
        let user = create_large_user(&client, "large@example.com").await;
        let bytes =
            database.count("SELECT CAST(max(octet_length(doc)) AS BIGINT) AS n FROM resources");
        let operation = |n: usize| {
            let change = json!([{ "op": "replace", "path": "title", "value": format!("T{n}") }]);
            let path = format!("/Users/{}", id(&user));
            json!({ "method": "PATCH", "path": path, "data": sample::patch(change) })
        };
        let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
        let operations: Value = (0..20).map(operation).collect();
        let body = json!({ "schemas": [schema], "Operations": operations });
        let reply = client.post("/Bulk", &body).await.expect(200);
        let results = reply["Operations"].as_array().unwrap();
        let done = results
            .iter()
            .take_while(|result| result["status"] == "200")
            .count();
        assert_eq!(results.len(), 20);
        let expected = usize::try_from((1 << 20) / bytes + 1).unwrap();
        assert_eq!(done, expected, "of {bytes} bytes each");
        for result in results.iter().skip(done) {
            assert_eq!(result["status"], "413", "{result}");
            let detail = result["response"]["detail"].as_str().unwrap();
            assert!(detail.contains("bulk_write_bytes"), "{detail}");
        }
        let user = client.user(id(&user)).await;
        assert_eq!(user["title"], format!("T{}", done - 1));
        database.assert_whole();
        let quota = database.cli_ok(&["tenant", "set", "default", "--quota-bytes", "5"]);
        assert!(quota.contains("default"), "{quota}");
        let body = sample::user("late@example.com");
        client
            .post("/Users", &body)
            .await
            .expect_error(400, "tooMany");
        database.cli_ok(&["tenant", "set", "default", "--quota-bytes", "default"]);
        client.create_user("late@example.com").await;
    }
);
