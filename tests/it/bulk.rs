//! Bulk requests (RFC 7644 section 3.7): references, failures, limits, and many operations in one
//! transaction.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Client, Database, SCIM, Server, both, both_alone, both_typed, id, member_ids, sample, together,
};

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

fn bulk(operations: Value) -> Value {
    json!({ "schemas": [BULK], "Operations": operations })
}

fn post(path: &str, bulk_id: &str, data: Value) -> Value {
    json!({ "method": "POST", "path": path, "bulkId": bulk_id, "data": data })
}

fn user(name: &str) -> Value {
    post("/Users", name, sample::user(&format!("{name}@example.com")))
}

fn group(name: &str, members: &[&str]) -> Value {
    let members: Value = members
        .iter()
        .map(|value| json!({ "value": value }))
        .collect();
    post(
        "/Groups",
        name,
        json!({ "schemas": [sample::GROUP], "displayName": name, "members": members }),
    )
}

fn patch(path: &str, operations: Value) -> Value {
    json!({ "method": "PATCH", "path": path, "data": sample::patch(operations) })
}

/// Runs a bulk request and checks the form of each result.
async fn run(client: &Client, operations: Value) -> Vec<Value> {
    run_body(client, &bulk(operations)).await
}

async fn run_body(client: &Client, body: &Value) -> Vec<Value> {
    let body = client.post("/Bulk", body).await.expect(200);
    assert_eq!(body["schemas"], json!([BULK_RESPONSE]));
    let results = body["Operations"].as_array().unwrap().clone();
    for result in &results {
        let status: u16 = result["status"].as_str().unwrap().parse().unwrap();
        assert!(result["method"].is_string(), "{result}");
        if status < 300 {
            assert!(result.get("response").is_none(), "{result}");
            let location = result["location"].as_str().unwrap();
            assert!(location.starts_with("http"), "{result}");
            assert_eq!(result["version"].is_string(), status != 204, "{result}");
        } else {
            assert_eq!(result["response"]["status"], result["status"], "{result}");
            let detail = result["response"]["detail"].as_str().unwrap();
            assert!(!detail.is_empty(), "{result}");
            assert!(result.get("version").is_none(), "{result}");
            if result["method"] == "POST" {
                assert!(result.get("location").is_none(), "{result}");
            }
        }
    }
    results
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect()
}

/// Returns the path of the resource that a result names.
fn path(result: &Value) -> &str {
    let location = result["location"].as_str().unwrap();
    location.split_once("/scim/v2").unwrap().1
}

fn id_of(result: &Value) -> &str {
    path(result).rsplit_once('/').unwrap().1
}

// R7644-3.7-03, R7644-3.7-04, R7644-3.7-05, R7644-3.7-06, R7644-3.7-07, R7644-3.14-01
both!(each_method_behaves_as_outside_a_bulk, |app| async move {
    let old = app.create_user("old@example.com").await;
    let gone = app.create_user("gone@example.com").await;
    let old_path = format!("/Users/{}", id(&old));
    let mut replaced = sample::user("old@example.com");
    replaced["displayName"] = json!("New");
    let results = run(
        &app,
        json!([
            user("ada"),
            { "method": "put", "path": old_path, "bulkId": "echo", "data": replaced },
            patch("/Users/bulkId:ada", json!([{ "op": "replace", "path": "title", "value": "Countess" }])),
            { "method": "DELETE", "path": format!("{}{}", app.base_url(), format_args!("/Users/{}", id(&gone))) },
            group("Crew", &["bulkId:ada", id(&old)]),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "200", "200", "204", "201"]);
    let methods: Vec<&str> = results
        .iter()
        .map(|one| one["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["POST", "PUT", "PATCH", "DELETE", "POST"]);
    let ids: Vec<&Value> = results.iter().map(|one| &one["bulkId"]).collect();
    assert_eq!(
        ids,
        [
            &json!("ada"),
            &json!("echo"),
            &Value::Null,
            &Value::Null,
            &json!("Crew")
        ]
    );
    let ada = app.get(path(&results[0])).await.expect(200);
    assert_eq!(ada["title"], "Countess");
    assert_eq!(ada["groups"][0]["value"], id_of(&results[4]));
    assert_eq!(path(&results[2]), path(&results[0]));
    assert_eq!(results[0]["version"], "W/\"1\"");
    assert_eq!(results[2]["version"], "W/\"2\"");
    assert_eq!(app.user(id(&old)).await["displayName"], "New");
    app.get(&format!("/Users/{}", id(&gone)))
        .await
        .expect_error(404, "");
    let mut members = vec![id(&old).to_owned(), id(&ada).to_owned()];
    members.sort();
    assert_eq!(member_ids(&app.group(id_of(&results[4])).await), members);
    app.database.assert_whole();
});

// R7644-3.7-02
both!(an_invalid_bulk_request_is_rejected, |app| async move {
    let operations = json!([user("ada")]);
    for (body, kind) in [
        (json!({ "schemas": [BULK] }), "invalidSyntax"),
        (
            json!({ "schemas": [BULK], "Operations": operations[0] }),
            "invalidSyntax",
        ),
        (
            json!({ "schemas": [BULK], "Operations": operations, "failOnErrors": -1 }),
            "invalidValue",
        ),
        (
            json!({ "schemas": [BULK], "Operations": operations, "failOnErrors": "one" }),
            "invalidValue",
        ),
    ] {
        app.post("/Bulk", &body).await.expect_error(400, kind);
    }
    let strict = app.strict().await;
    for (body, kind) in [
        (json!({ "Operations": operations }), "invalidSyntax"),
        (
            json!({ "schemas": [sample::PATCH_OP], "Operations": operations }),
            "invalidSyntax",
        ),
        (
            json!({ "schemas": [BULK], "Operations": operations, "failOnErrors": "1" }),
            "invalidValue",
        ),
    ] {
        strict.post("/Bulk", &body).await.expect_error(400, kind);
    }
    for app in [&app, &strict] {
        assert!(app.find_users("userName pr").await.is_empty());
        assert!(run(app, json!([])).await.is_empty());
    }
});

both!(a_lenient_envelope_is_accepted, |app| async move {
    for (number, more) in [
        json!({}),
        json!({ "schemas": null }),
        json!({ "schemas": [] }),
        json!({ "schemas": BULK }),
        json!({ "schemas": [sample::PATCH_OP, 7] }),
        json!({ "schemas": { "urn": BULK }, "failOnErrors": "2" }),
        json!({ "failOnErrors": "0" }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = more;
        body["Operations"] = json!([user(&format!("u{number}"))]);
        assert_eq!(statuses(&run_body(&app, &body).await), ["201"], "{body}");
    }
    let taken = json!([user("u0"), user("u1"), user("u2"), user("new")]);
    let mut body = bulk(taken);
    body["failOnErrors"] = json!("2");
    assert_eq!(statuses(&run_body(&app, &body).await), ["409", "409"]);
});

both!(
    redundant_slashes_in_operation_paths_are_ignored,
    |app| async move {
        let mut create = user("ada");
        create["path"] = json!("//Users/");
        let created = run(&app, json!([create])).await;
        let location = created[0]["location"].as_str().unwrap().to_owned();
        let id = location.rsplit('/').next().unwrap();
        assert_eq!(location, format!("{}/Users/{id}", app.base_url()));
        let data = json!({ "schemas": [sample::PATCH_OP], "Operations": [{ "op": "add", "path": "title", "value": "Dr." }] });
        for path in [
            format!("//Users//{id}"),
            format!("/Users/{id}/"),
            format!("/scim/v2//Users/{id}//"),
            format!("{}//Users/{id}/", app.base_url()),
        ] {
            let patch = json!({ "method": "PATCH", "path": path, "data": data });
            let results = run(&app, json!([patch])).await;
            assert_eq!(results[0]["status"], "200", "{path}: {results:?}");
            assert_eq!(results[0]["location"], location, "{path}");
        }
        let delete = json!({ "method": "DELETE", "path": format!("/Users//{id}/") });
        assert_eq!(run(&app, json!([delete])).await[0]["status"], "204");
    }
);

// R7644-3.7-04, R7644-3.7-05, R7644-3.7-06, R7644-3.7-08
both!(a_failed_operation_affects_no_other, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    let one = format!("/Users/{}", id(&ada));
    let mut no_id = user("a");
    no_id.as_object_mut().unwrap().remove("bulkId");
    let mut no_data = user("b");
    no_data.as_object_mut().unwrap().remove("data");
    let results = run(
        &app,
        json!([
            no_id,
            no_data,
            { "method": "GET", "path": one },
            { "method": "PUT", "path": "/Users", "data": {} },
            post(&one, "c", json!({})),
            post("/Bulk", "d", bulk(json!([user("nested")]))),
            post("/Users/.search", "e", json!({})),
            post("/Schemas", "f", json!({})),
            post("/Nothing", "g", json!({})),
            { "method": "DELETE", "path": "/Users/nobody" },
            post("/Users", "h", json!({ "userName": 5.5, "active": {} })),
            user("ada"),
            user("good"),
            user("good"),
            7,
            { "method": "PATCH", "path": one, "data": { "schemas": [sample::PATCH_OP], "Operations": 1 } },
            user("better"),
        ]),
    )
    .await;
    let expected = [
        "400", "400", "400", "400", "400", "400", "400", "400", "400", "404", "400", "409", "201",
        "400", "400", "400", "201",
    ];
    assert_eq!(statuses(&results), expected, "{results:?}");
    assert_eq!(results[11]["response"]["scimType"], "uniqueness");
    assert!(
        results[11]["response"]["detail"]
            .as_str()
            .unwrap()
            .contains(id(&ada))
    );
    assert_eq!(
        results[9]["location"],
        json!(format!("{}/Users/nobody", app.base_url()))
    );
    let mut names = app.find_users("userName pr").await;
    names.sort();
    assert_eq!(
        names,
        ["ada@example.com", "better@example.com", "good@example.com"]
    );
    app.database.assert_whole();
});

// R7644-3.7.2-01, R7644-3.7.2-02, R7644-3.7-09
both!(references_resolve_forwards_everywhere, |app| async move {
    let manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut ada = user("ada");
    ada["data"][manager] = json!({ "manager": { "value": "bulkId:boss" } });
    let results = run(
        &app,
        json!([
            group("Crew", &["bulkId:ada", "bulkId:boss"]),
            ada,
            patch("/Groups/bulkId:Crew", json!([{ "op": "remove", "path": "members[value eq \"bulkId:ada\"]" }])),
            patch("/Groups/bulkId:Other", json!([{ "op": "add", "path": "members", "value": [{ "value": "bulkId:boss" }] }])),
            user("boss"),
            group("Other", &[]),
            patch("/Users/bulkId:boss", json!([{ "op": "replace", "path": format!("{manager}:manager.value"), "value": "bulkId:ada" }])),
            { "method": "PUT", "path": "/Groups/bulkId:Last", "data": { "displayName": "Last", "members": [{ "value": "bulkId:Crew" }] } },
            group("Last", &["bulkId:boss"]),
        ]),
    )
    .await;
    let good = [
        "201", "201", "200", "200", "201", "201", "200", "200", "201",
    ];
    assert_eq!(statuses(&results), good, "{results:?}");
    let (crew, ada, boss) = (&results[0], &results[1], &results[4]);
    assert_eq!(member_ids(&app.group(id_of(crew)).await), [id_of(boss)]);
    assert_eq!(
        member_ids(&app.group(id_of(&results[5])).await),
        [id_of(boss)]
    );
    assert_eq!(
        app.user(id_of(ada)).await[manager]["manager"]["value"],
        id_of(boss)
    );
    assert_eq!(
        app.user(id_of(boss)).await[manager]["manager"]["value"],
        id_of(ada)
    );
    // The PUT references a later POST by its bulkId, so it runs after it.
    assert_eq!(
        member_ids(&app.group(id_of(&results[8])).await),
        [id_of(crew)]
    );
    app.database.assert_whole();
});

// R7644-3.7.2-01
both_typed!(
    references_resolve_to_resources_of_declared_types,
    |app| async move {
        let mut ada = user("ada");
        ada["data"]["entitlements"] = json!([{ "value": "bulkId:seat" }]);
        ada["data"]["roles"] = json!([{ "value": "bulkId:editor" }]);
        let results = run(
            &app,
            json!([
                ada,
                post("/Licenses", "seat", json!({ "displayName": "Seat" })),
                post("/Roles", "editor", json!({ "displayName": "Editor" })),
            ]),
        )
        .await;
        assert_eq!(statuses(&results), ["201"; 3], "{results:?}");
        let ada = app.get(path(&results[0])).await.expect(200);
        assert_eq!(ada["entitlements"][0]["value"], id_of(&results[1]));
        assert_eq!(ada["roles"][0]["value"], id_of(&results[2]));
    }
);

// R7644-3.7.1-01
both!(circular_references_are_resolved, |app| async move {
    let results = run(
        &app,
        json!([
            group("A", &["bulkId:B"]),
            user("ada"),
            group("B", &["bulkId:A", "bulkId:ada"]),
            group("C", &["bulkId:D"]),
            group("D", &["bulkId:E"]),
            group("E", &["bulkId:C", "bulkId:A"]),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201"; 6], "{results:?}");
    let ids: Vec<&str> = results.iter().map(id_of).collect();
    let members = async |of: usize| member_ids(&app.group(ids[of]).await);
    let sorted = |wanted: &[usize]| {
        let mut wanted: Vec<&str> = wanted.iter().map(|n| ids[*n]).collect();
        wanted.sort_unstable();
        wanted
    };
    assert_eq!(members(0).await, sorted(&[2]));
    assert_eq!(members(2).await, sorted(&[0, 1]));
    assert_eq!(members(3).await, sorted(&[4]));
    assert_eq!(members(4).await, sorted(&[5]));
    assert_eq!(members(5).await, sorted(&[3, 0]));
    for (index, result) in results.iter().enumerate() {
        let read = app.get(path(result)).await;
        if index != 1 {
            assert_eq!(read.header("etag"), result["version"].as_str().unwrap());
        }
    }
    app.database.assert_whole();
});

// R7644-3.7.1-01, R7644-3.7.2-01
both!(a_reference_to_a_failed_operation_fails, |app| async move {
    let taken = app.create_user("taken@example.com").await;
    let mut wrong = group("Wrong", &["bulkId:Other"]);
    wrong["data"].as_object_mut().unwrap().remove("displayName");
    let results = run(
        &app,
        json!([
            group("Crew", &["bulkId:taken"]),
            user("taken"),
            patch("/Groups/bulkId:Crew", json!([{ "op": "replace", "path": "displayName", "value": "x" }])),
            group("Fine", &[id(&taken)]),
            group("Lost", &["bulkId:nobody"]),
            { "method": "DELETE", "path": "/Users/bulkId:nobody" },
            wrong,
            group("Other", &["bulkId:Wrong"]),
        ]),
    )
    .await;
    let expected = ["400", "409", "400", "201", "400", "400", "400", "400"];
    assert_eq!(statuses(&results), expected, "{results:?}");
    for index in [0, 2, 4, 5] {
        let response = &results[index]["response"];
        assert_eq!(response["scimType"], "invalidValue");
        assert!(
            response["detail"]
                .as_str()
                .unwrap()
                .contains("did not resolve"),
            "{response}"
        );
    }
    assert_eq!(app.find_groups("displayName pr").await, ["Fine"]);
    app.database.assert_whole();
});

// R7644-3.7.1-01
both!(circular_references_apply_atomically, |app| async move {
    app.create_user("taken@example.com").await;
    let manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let under = |name: &str, boss: &str| {
        let mut operation = user(name);
        operation["data"][manager] = json!({ "manager": { "value": format!("bulkId:{boss}") } });
        operation
    };
    let operations = json!([
        under("a", "b"),
        under("b", "taken"),
        under("taken", "a"),
        user("c")
    ]);
    let results = run(&app, operations).await;
    assert_eq!(statuses(&results), ["409", "409", "409", "201"]);
    assert_eq!(results[2]["response"]["scimType"], "uniqueness");
    for result in &results[..2] {
        assert!(result["response"].get("scimType").is_none(), "{result}");
        let detail = result["response"]["detail"].as_str().unwrap();
        assert!(detail.contains("circle"), "{result}");
    }
    let mut names = app.find_users("userName pr").await;
    names.sort();
    assert_eq!(names, ["c@example.com", "taken@example.com"]);
    app.database.assert_whole();
});

// R7644-3.7.2-03
both!(a_literal_value_is_not_a_reference, |app| async move {
    let mut odd = user("odd");
    odd["data"]["userName"] = json!("bulkId:odd");
    odd["data"]["displayName"] = json!("bulkId:nobody");
    let results = run(&app, json!([odd])).await;
    let read = app.get(path(&results[0])).await.expect(200);
    assert_eq!(read["userName"], "bulkId:odd");
    assert_eq!(read["displayName"], "bulkId:nobody");
});

// R7644-3.7-08
both!(a_bulk_stops_after_fail_on_errors, |app| async move {
    let bad = |n: usize| post("/Users", &format!("bad{n}"), json!({ "active": n }));
    let operations = json!([
        user("a"),
        bad(1),
        user("b"),
        bad(2),
        user("c"),
        bad(3),
        user("d")
    ]);
    for (limit, expected, names) in [
        (1, &["201", "400"][..], &["a"][..]),
        (2, &["409", "400"], &["a"]),
        (
            4,
            &["409", "400", "201", "400", "201", "400"],
            &["a", "b", "c"],
        ),
    ] {
        let mut body = bulk(operations.clone());
        body["failOnErrors"] = json!(limit);
        assert_eq!(statuses(&run_body(&app, &body).await), expected, "{limit}");
        let mut found = app.find_users("userName pr").await;
        found.sort();
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("{name}@example.com"))
            .collect();
        assert_eq!(found, names, "{limit}");
    }
    // Without `failOnErrors`, every operation runs.
    assert_eq!(run(&app, operations).await.len(), 7);
});

// R7644-3.7-10
both!(an_operation_version_is_a_precondition, |app| async move {
    let group = app.create_group("Crew", &[]).await;
    let one = format!("/Groups/{}", id(&group));
    let rename = |to: &str, version: &str| {
        let mut operation = patch(
            &one,
            json!([{ "op": "replace", "path": "displayName", "value": to }]),
        );
        operation["version"] = json!(version);
        operation
    };
    let results = run(
        &app,
        json!([
            rename("A", "W/\"9\""),
            rename("B", "W/\"1\""),
            rename("C", "W/\"1\""),
            { "method": "PUT", "path": one, "version": "1", "data": sample::group("D", &[]) },
            { "method": "DELETE", "path": one, "version": "W/\"1\"" },
            rename("E", "W/\"2\""),
        ]),
    )
    .await;
    assert_eq!(
        statuses(&results),
        ["412", "200", "412", "412", "412", "200"]
    );
    assert_eq!(results[5]["version"], "W/\"3\"");
    assert_eq!(app.group(id(&group)).await["displayName"], "E");
});

// R7644-3.7-11
both!(a_bulk_request_requires_the_scope, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    let reader = app.client_with_scopes(&["read"]).await;
    let one = format!("/Users/{}", id(&ada));
    // Every operation is a write, so the request is rejected before its body is read.
    let operations = json!([user("eve"), { "method": "DELETE", "path": one }]);
    let refused = reader.post("/Bulk", &bulk(operations)).await;
    refused.expect_error(403, "");
    assert_eq!(app.user(id(&ada)).await, ada);
    app.anonymous()
        .post("/Bulk", &bulk(json!([user("eve")])))
        .await
        .expect_error(401, "");
    // Resources of another tenant are not found.
    let other = app.neighbour().await;
    let results = run(
        &other,
        json!([{ "method": "DELETE", "path": one }, group("Theft", &[id(&ada)])]),
    )
    .await;
    assert_eq!(statuses(&results), ["404", "201"]);
    assert!(member_ids(&other.group(id_of(&results[1])).await).is_empty());
    assert_eq!(app.user(id(&ada)).await["groups"], json!([]));
});

// R7644-3.7.4-01, R7644-3.7-01
both_alone!(bulk_limits_are_enforced, |database: Database| async move {
    let limits = [
        "--bulk-max-operations",
        "3",
        "--bulk-max-payload-bytes",
        "4096",
    ];
    let server = Server::start_with(&database, &limits, &[]);
    let client = server.admin();
    let config = client.get("/ServiceProviderConfig").await.expect(200);
    let expected = json!({ "supported": true, "maxOperations": 3, "maxPayloadSize": 4096 });
    assert_eq!(config["bulk"], expected);
    let users: Value = (0..4).map(|n| user(&format!("u{n}"))).collect();
    let refused = client.post("/Bulk", &bulk(users)).await;
    let error = refused.expect_error(413, "");
    assert!(
        error["detail"]
            .as_str()
            .unwrap()
            .contains("maxOperations (3)"),
        "{error}"
    );
    let mut large = user("large");
    large["data"]["title"] = json!("x".repeat(5_000));
    let refused = client.post("/Bulk", &bulk(json!([large]))).await;
    let error = refused.expect_error(413, "");
    assert!(
        error["detail"]
            .as_str()
            .unwrap()
            .contains("maxPayloadSize (4096)"),
        "{error}"
    );
    assert!(client.find_users("userName pr").await.is_empty());
    assert_eq!(
        run(&client, json!([user("a"), user("b"), user("c")]))
            .await
            .len(),
        3
    );
    let refused = client.send(Method::GET, "/Bulk", &[], Vec::new()).await;
    assert_eq!(refused.header("allow"), "POST");
    refused.expect_error(405, "");
});

// R7644-3.7-01
both_alone!(disabled_bulk_returns_501, |database: Database| async move {
    let server = Server::start_with(&database, &["--bulk", "off"], &[]);
    let client = server.admin();
    client
        .post("/Bulk", &bulk(json!([user("a")])))
        .await
        .expect_error(501, "");
    let config = client.get("/ServiceProviderConfig").await.expect(200);
    let expected =
        json!({ "supported": false, "maxOperations": 1000, "maxPayloadSize": 10_485_760 });
    assert_eq!(config["bulk"], expected);
});

// R7644-3.7-03
both!(a_thousand_operations_run_in_one_request, |app| async move {
    let mut operations: Vec<Value> = (0..998).map(|n| user(&format!("user{n}"))).collect();
    let references: Vec<String> = (0..998).map(|n| format!("bulkId:user{n}")).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    operations.insert(0, group("All", &references));
    operations.push(patch(
        "/Groups/bulkId:All",
        json!([{ "op": "replace", "path": "displayName", "value": "Everybody" }]),
    ));
    // Other clients write meanwhile, and all of them succeed.
    let others = (0..20).map(|n| {
        let client = app.client.clone();
        async move { client.create_user(&format!("other{n}@example.com")).await }
    });
    let bulk_client = app.client.clone();
    let (results, _) = tokio::join!(run(&bulk_client, json!(operations)), together(others));
    assert_eq!(results.len(), 1000);
    assert!(
        results
            .iter()
            .all(|one| one["status"] == "201" || one["method"] == "PATCH")
    );
    let group = app.group(id_of(&results[0])).await;
    assert_eq!(group["displayName"], "Everybody");
    assert_eq!(member_ids(&group).len(), 998);
    assert_eq!(app.list("/Users", &[("count", "1")]).await.total, 1018);
    app.database.assert_whole();
});

// R7644-3.7-06
both_alone!(
    bulk_passwords_are_stored_as_hashes,
    |database: Database| async move {
        let server = Server::start_with(&database, &[], &[("ROLLCALL_PASSWORD_SYNC", "on")]);
        let client = server.admin();
        let secret = "S3cret-bulk-q7";
        let with = |mut operation: Value| {
            operation["data"]["password"] = json!(secret);
            operation
        };
        let set = |path: &str| {
            patch(
                path,
                json!([{ "op": "replace", "path": "password", "value": secret }]),
            )
        };
        let mut plain = user("c");
        plain["data"].as_object_mut().unwrap().remove("password");
        let results = run(
            &client,
            json!([
                with(user("a")),
                with(user("b")),
                set("/Users/bulkId:a"),
                plain,
                set("/Users/bulkId:c"),
                set("/Users/nobody")
            ]),
        )
        .await;
        assert_eq!(
            statuses(&results),
            ["201", "201", "200", "201", "200", "404"]
        );
        // Setting the same password again is no change; a different one is.
        let versions: Vec<&str> = [2, 4]
            .map(|n: usize| results[n]["version"].as_str().unwrap())
            .to_vec();
        assert_eq!(versions, ["W/\"1\"", "W/\"2\""]);
        let mut put = with(user("b"));
        put["method"] = json!("PUT");
        put["path"] = json!(path(&results[1]));
        let again = run(&client, json!([put])).await;
        assert_eq!(again[0]["version"], "W/\"1\"");
        let hashed = "SELECT count(*) AS n FROM resources WHERE password_hash LIKE '$argon2id$%'";
        assert_eq!(database.count(hashed), 3);
        let clear = format!(
            "SELECT (SELECT count(*) FROM resources WHERE doc LIKE '%{secret}%') + \
         (SELECT count(*) FROM changes WHERE payload LIKE '%{secret}%') AS n"
        );
        assert_eq!(database.count(&clear), 0);
        assert!(!server.log().contains(secret));
    }
);

// R7644-3.8-05, R7644-3.12-01
both!(an_invalid_bulk_body_is_rejected, |app| async move {
    let headers = [("content-type", "text/plain")];
    let refused = app
        .send(Method::POST, "/Bulk", &headers, b"{}".to_vec())
        .await;
    refused.expect_error(415, "");
    for bytes in [&b""[..], b"[]", b"{", b"null"] {
        let headers = [("content-type", SCIM)];
        let refused = app
            .send(Method::POST, "/Bulk", &headers, bytes.to_vec())
            .await;
        refused.expect_error(400, "invalidSyntax");
    }
});
