//! Groups that cannot be distinguished: the same group created twice, and tenants with unique group
//! names.

use serde_json::{Value, json};

use crate::harness::{
    Client, Database, Reply, Server, TestApp, both, both_alone, id, member_ids, sample, together,
};

fn group(display_name: &str, external_id: &str) -> Value {
    json!({ "schemas": [sample::GROUP], "displayName": display_name, "externalId": external_id })
}

fn replace(attribute: &str, value: &str) -> Value {
    json!([{ "op": "replace", "path": attribute, "value": value }])
}

/// Creates the group and returns its id and path.
async fn create(client: &Client, group: &Value) -> (String, String) {
    let made = client.post("/Groups", group).await.expect(201);
    (id(&made).to_owned(), format!("/Groups/{}", id(&made)))
}

/// Expects the conflict with that group.
#[track_caller]
fn expect_conflict(reply: Reply, with: &str) {
    let error = reply.expect_error(409, "uniqueness");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains(with), "{with} is missing in {detail}");
}

both!(a_duplicate_group_is_a_conflict, |app| async move {
    let strict = app.strict().await;
    for client in [&app.client, &strict.client] {
        let (first, path) = create(client, &group("Équipe", "c420")).await;
        for again in ["Équipe", "ÉQUIPE", "équipe"] {
            let reply = client.post("/Groups", &group(again, "c420")).await;
            expect_conflict(reply, &first);
        }
        let unchanged = client.get(&path).await.expect(200);
        assert_eq!(unchanged["meta"]["version"], "W/\"1\"", "a refusal wrote");
        assert_eq!(client.list("/Groups", &[]).await.total, 1);

        // An identifier is compared exactly, and groups without one may share a name.
        create(client, &group("Équipe", "C420")).await;
        create(client, &group("Legal", "c420")).await;
        client.create_group("Équipe", &[]).await;
        client.create_group("Équipe", &[]).await;
        client.delete(&path).await.expect(204);
        create(client, &group("Équipe", "c420")).await;
    }
    // An identifier of a user does not conflict with a group.
    let mut user = sample::user("ada@example.com");
    user["displayName"] = json!("Équipe");
    user["externalId"] = json!("c420");
    app.post("/Users", &user).await.expect(201);
});

// RINTEROP-6.9-01
both!(a_change_into_a_duplicate_is_a_conflict, |app| async move {
    let (first, _) = create(&app, &group("Sales", "x1")).await;
    let (_, renamed) = create(&app, &group("Legal", "x1")).await;
    let (_, relinked) = create(&app, &group("Sales", "x2")).await;
    let whole = group("sales", "x1");
    for (path, operations) in [
        (&renamed, replace("displayName", "SALES")),
        (
            &renamed,
            json!([{ "op": "add", "value": { "displayName": "Sales" } }]),
        ),
        (&relinked, replace("externalId", "x1")),
        (
            &relinked,
            json!([{ "op": "Replace", "value": { "externalId": "x1" } }]),
        ),
    ] {
        let before = app.get(path).await.expect(200);
        expect_conflict(app.edit(path, operations).await, &first);
        expect_conflict(app.put(path, &whole).await, &first);
        assert_eq!(app.get(path).await.expect(200), before);
    }
    // A group does not conflict with itself, and the values of two groups may be equal temporarily
    // within one PATCH.
    let (_, own) = create(&app, &group("Pilots", "x3")).await;
    app.put(&own, &group("PILOTS", "x3")).await.expect(200);
    let detour = json!([
        { "op": "replace", "path": "displayName", "value": "Sales" },
        { "op": "replace", "path": "externalId", "value": "x1" },
        { "op": "replace", "path": "displayName", "value": "Pilots" }
    ]);
    app.edit(&own, detour).await.expect(200);
});

both!(existing_duplicates_can_be_edited, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    let (_, first) = create(&app, &group("Sales", "x1")).await;
    let (second_id, second) = create(&app, &group("Sales", "x2")).await;
    // A version without this rule could create them.
    app.database.execute(&format!(
        "UPDATE resources SET external_id = 'x1', doc = replace(doc, '\"x2\"', '\"x1\"') WHERE id = '{second_id}'"
    ));
    let shown = app.get(&second).await.expect(200);
    assert_eq!(shown["externalId"], "x1");

    app.put(&second, &group("Sales", "x1")).await.expect(200);
    app.put(&second, &group("SALES", "x1")).await.expect(200);
    let note = json!([{ "op": "add", "value": { "urn:example:notes": { "note": "a twin" } } }]);
    app.edit(&second, note).await.expect(200);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": id(&ada) }] }]);
    let full = app.edit(&second, add).await.expect(200);
    assert_eq!(member_ids(&full), [id(&ada)]);
    app.edit(&second, replace("displayName", "Legal"))
        .await
        .expect(200);
    let back = app.edit(&second, replace("displayName", "Sales")).await;
    expect_conflict(back, first.trim_start_matches("/Groups/"));
});

both!(bulk_rejects_duplicates_too, |app| async move {
    let post = |bulk_id: &str, data: Value| -> Value {
        json!({ "method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data })
    };
    let circle = |name: &str, other: &str| -> Value {
        let mut data = group("Circle", "round");
        data["members"] = json!([{ "value": format!("bulkId:{other}") }]);
        post(name, data)
    };
    let (first, path) = create(&app, &group("Sales", "x1")).await;
    let (_, other) = create(&app, &group("Sales", "x2")).await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            post("a", group("sales", "x1")),
            post("b", group("Legal", "x1")),
            post("c", group("LEGAL", "x1")),
            { "method": "PUT", "path": other, "data": group("Sales", "x1") },
            { "method": "PATCH", "path": other, "data": sample::patch(replace("externalId", "x1")) },
            { "method": "DELETE", "path": path },
            { "method": "PATCH", "path": other, "data": sample::patch(replace("externalId", "x1")) },
            circle("d", "e"),
            circle("e", "d"),
        ]
    });
    let answer = app.post("/Bulk", &body).await.expect(200);
    let results = answer["Operations"].as_array().unwrap();
    let statuses: Vec<&str> = results
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    let expected = [
        "409", "201", "409", "409", "409", "204", "200", "409", "409",
    ];
    assert_eq!(statuses, expected, "{answer}");
    let legal = results[1]["location"].as_str().unwrap();
    let legal = legal.rsplit('/').next().unwrap();
    for (index, twin) in [(0, first.as_str()), (2, legal), (3, &first), (4, &first)] {
        let error = &results[index]["response"];
        assert_eq!(error["scimType"], "uniqueness", "{error}");
        assert!(error["detail"].as_str().unwrap().contains(twin), "{error}");
    }
    assert!(
        app.find_groups("displayName eq \"circle\"")
            .await
            .is_empty()
    );
});

both!(concurrent_equal_creates_make_one_group, |app| async move {
    let creates = |app: &TestApp, body: Value| {
        let requests: Vec<_> = (0..10)
            .map(|_| {
                let (client, body) = (app.client.clone(), body.clone());
                async move { client.post("/Groups", &body).await.status }
            })
            .collect();
        together(requests)
    };
    let mut expected = vec![201];
    expected.extend([409; 9]);
    let mut statuses = creates(&app, group("Sales", "x1")).await;
    statuses.sort_unstable();
    assert_eq!(statuses, expected);
    let unique = app.neighbour().await;
    unique.set(&json!({ "group_names": "unique" })).await;
    let mut statuses = creates(&unique, sample::group("Sales", &[])).await;
    statuses.sort_unstable();
    assert_eq!(statuses, expected);
});

// RIPSIE-6.2-01, RINTEROP-6.9-01
both!(group_names_can_be_unique, |app| async move {
    let strict = app.strict().await;
    for app in [&app, &strict] {
        app.set(&json!({ "group_names": "unique" })).await;
        let sales = app.create_group("Sales", &[]).await;
        let (_, legal) = create(app, &group("Legal", "x2")).await;
        let sales_path = format!("/Groups/{}", id(&sales));
        for taken in [sample::group("SALES", &[]), group("sales", "x9")] {
            expect_conflict(app.post("/Groups", &taken).await, id(&sales));
            expect_conflict(app.put(&legal, &taken).await, id(&sales));
        }
        for operations in [
            replace("displayName", "saleS"),
            json!([{ "op": "replace", "value": { "displayName": "Sales" } }]),
        ] {
            expect_conflict(app.edit(&legal, operations).await, id(&sales));
        }
        let bulk = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                { "method": "POST", "path": "/Groups", "bulkId": "a", "data": group("Sales", "x3") },
                { "method": "POST", "path": "/Groups", "bulkId": "b", "data": group("Pilots", "x3") },
                { "method": "POST", "path": "/Groups", "bulkId": "c", "data": group("pilots", "x4") }
            ]
        });
        let answer = app.post("/Bulk", &bulk).await.expect(200);
        let statuses = ["409", "201", "409"];
        for (result, status) in answer["Operations"]
            .as_array()
            .unwrap()
            .iter()
            .zip(statuses)
        {
            assert_eq!(result["status"], status, "{answer}");
        }
        // A group may change the case of its own name, and names of users are not affected.
        app.edit(&sales_path, replace("displayName", "SALES"))
            .await
            .expect(200);
        app.put(&sales_path, &sample::group("sales", &[]))
            .await
            .expect(200);
        for user_name in ["ada@example.com", "eve@example.com"] {
            let mut user = sample::user(user_name);
            user["displayName"] = json!("Sales");
            app.post("/Users", &user).await.expect(201);
        }
        app.delete(&sales_path).await.expect(204);
        app.edit(&legal, replace("displayName", "Sales"))
            .await
            .expect(200);
    }
});

both!(
    unique_names_can_be_enabled_with_duplicates,
    |app| async move {
        let admin = app.server.admin().site();
        let settings = format!("/admin/v1/tenants/{}", app.tenant);
        let first = app.create_group("Sales", &[]).await;
        let second = app.create_group("SALES", &[]).await;
        app.create_group("Legal", &[]).await;
        let unique = json!({ "group_names": "unique" });
        let set = admin.patch(&settings, &unique).await.plain(200);
        assert_eq!(set["group_names"], "unique");
        assert_eq!(set["shared_group_names"], 1);
        let listed = admin.get("/admin/v1/tenants").await.plain(200);
        let listed = listed.as_array().unwrap();
        let own = listed.iter().find(|row| row["name"] == app.tenant).unwrap();
        assert_eq!(own["group_names"], "unique");
        assert!(own.get("shared_group_names").is_none());

        // A group that already shares a name may keep it.
        let second_path = format!("/Groups/{}", id(&second));
        app.put(&second_path, &group("sales", "x1"))
            .await
            .expect(200);
        app.edit(&second_path, replace("externalId", "x2"))
            .await
            .expect(200);
        let clash = app
            .edit(&second_path, replace("displayName", "legal"))
            .await;
        clash.expect_error(409, "uniqueness");
        app.edit(&second_path, replace("displayName", "Pilots"))
            .await
            .expect(200);
        let back = app
            .edit(&second_path, replace("displayName", "Sales"))
            .await;
        expect_conflict(back, id(&first));
        let set = admin.patch(&settings, &unique).await.plain(200);
        assert_eq!(set["shared_group_names"], 0);

        let any = admin
            .patch(&settings, &json!({ "group_names": "any" }))
            .await;
        let any = any.plain(200);
        assert!(any.get("shared_group_names").is_none(), "{any}");
        app.create_group("sales", &[]).await;
        for wrong in [json!("Unique"), json!(true), json!("")] {
            let refused = admin
                .patch(&settings, &json!({ "group_names": wrong }))
                .await;
            assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
        }
    }
);

both_alone!(
    the_command_line_sets_group_names,
    |database: Database| async move {
        let server = Server::start(&database);
        let app = server.admin();
        app.create_group("Sales", &[]).await;
        app.create_group("sales", &[]).await;
        let said = database.cli_ok(&["tenant", "set", "default", "--group-names", "unique"]);
        assert!(said.contains("GROUP NAMES"), "{said}");
        assert!(said.contains("unique"), "{said}");
        assert!(said.contains("1 displayName"), "{said}");
        let taken = app.post("/Groups", &sample::group("SALES", &[])).await;
        taken.expect_error(409, "uniqueness");
        let listed = database.cli_ok(&["tenant", "list"]);
        assert!(listed.contains("unique"), "{listed}");
        let wrong = database.cli(&["tenant", "set", "default", "--group-names", "some"]);
        assert!(!wrong.status.success());
        let said = database.cli_ok(&["tenant", "set", "default", "--group-names", "any"]);
        assert!(!said.contains("1 displayName"), "{said}");
        app.create_group("SALES", &[]).await;
    }
);
