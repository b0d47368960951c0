//! The effects of leniency for real clients, followed through filters, attribute selection, the
//! change feed, history and the log. `compatibility_table` has the individual requests.

use std::time::Instant;

use jiff::Timestamp;
use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{
    TIMEOUT, TestApp, both, both_typed, id, member_ids, sample, texts, with_query,
};
use crate::types::{DESK, PURPOSE, device};

const ACME: &str = "urn:acme:directory:2.0:Staff";
const PREMISES: &str = "urn:example:scim:schemas:extension:premises:2.0:User";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/// Returns the tenant's changes after a number, and the last number.
async fn changes(app: &TestApp, after: i64) -> (Vec<Value>, i64) {
    let reader = app.client_with_scopes(&["read"]).await;
    let path = format!("/directory/v1/changes?after={after}");
    let page = reader.site().get(&path).await.plain(200);
    let last = page["last"].as_i64().unwrap();
    (page["changes"].as_array().unwrap().clone(), last)
}

/// Sends the operations as one operation of a bulk request; returns the resource afterwards.
async fn edit_in_bulk(app: &TestApp, path: &str, operations: &Value) -> Value {
    let patch = json!({ "Operations": operations });
    let operation = json!({ "method": "PATCH", "path": path, "data": patch });
    let body = json!({ "schemas": [BULK], "Operations": [operation] });
    let results = app.post("/Bulk", &body).await.expect(200);
    let result = &results["Operations"][0];
    assert_eq!(result["status"], "200", "{operations}: {result}");
    app.get(path).await.expect(200)
}

fn resident(user_name: &str) -> Value {
    let mut user = sample::user(user_name);
    user["phoneNumbers"] =
        json!([{ "value": "1", "type": "work" }, { "value": "2", "type": "home" }]);
    user[DESK] = json!({ "tags": ["quiet", "warm", "north"], "seat": 4 });
    user[PREMISES] = json!({
        "home": { "rooms": ["hall", "attic", "loft"] },
        "places": [
            { "value": "p", "type": "gym", "tags": ["x", "y", "z"] },
            { "value": "q", "type": "work", "tags": ["x"] },
        ],
    });
    user[ACME] = json!({
        "projects": ["loom", "engine", "mill"],
        "posts": [{ "value": "main", "tags": ["a", "b", "c"] }, { "value": "side" }],
        "grade": "B7",
    });
    user
}

/// A list: its path, the value to remove, a filter that finds the value, and the list's location in
/// the resource.
struct Listed {
    path: String,
    value: Value,
    filter: String,
    pointer: String,
}

fn lists_of_a_user() -> Vec<Listed> {
    let row = |urn: &str, path: &str, value: Value, filter: &str, pointer: &str| Listed {
        path: format!("{urn}:{path}"),
        value,
        filter: format!("{urn}:{filter}"),
        pointer: format!("/{urn}/{pointer}"),
    };
    vec![
        row(DESK, "tags", json!(["WARM"]), "tags eq \"warm\"", "tags"),
        row(
            PREMISES,
            "home.rooms",
            json!(["attic"]),
            "home.rooms eq \"attic\"",
            "home/rooms",
        ),
        row(
            PREMISES,
            "places[type eq \"gym\"].tags",
            json!("y"),
            "places[type eq \"gym\" and tags eq \"y\"]",
            "places/0/tags",
        ),
        row(
            ACME,
            "projects",
            json!(["engine"]),
            "projects eq \"engine\"",
            "projects",
        ),
        row(
            ACME,
            "posts[value eq \"main\"].tags",
            json!([{ "value": "b" }]),
            "posts[tags eq \"b\"]",
            "posts/0/tags",
        ),
    ]
}

both_typed!(
    a_removed_value_disappears_and_the_others_remain,
    |app| async move {
        for (number, list) in lists_of_a_user().iter().enumerate() {
            let ada = app
                .post("/Users", &resident(&format!("ada{number}")))
                .await
                .expect(201);
            let path = format!("/Users/{}", id(&ada));
            let (_, before) = changes(&app, 0).await;
            let operations = json!([{ "op": "Remove", "path": list.path, "value": list.value }]);
            let after = match number % 2 {
                0 => app.edit(&path, operations).await.expect(200),
                _ => edit_in_bulk(&app, &path, &operations).await,
            };
            let mut expected = ada.clone();
            expected["meta"] = after["meta"].clone();
            let left = expected
                .pointer_mut(&list.pointer)
                .unwrap()
                .as_array_mut()
                .unwrap();
            left.remove(1);
            assert_eq!(left.len(), 2, "{}", list.path);
            assert_eq!(after, expected, "{}", list.path);
            assert!(
                app.find_users(&list.filter).await.is_empty(),
                "{}",
                list.filter
            );

            // The feed contains the list before and after.
            let (published, last) = changes(&app, before).await;
            assert_eq!(published.len(), 1, "{published:?}");
            assert_eq!(published[0]["kind"], "updated");
            let differences = published[0]["attributes"].as_array().unwrap();
            let text = Value::from(differences.clone()).to_string();
            let removed = list
                .filter
                .rsplit(' ')
                .next()
                .unwrap()
                .trim_end_matches(']');
            assert!(text.contains(removed), "{removed}: {text}");

            // Added again, the value is found again.
            let value = removed.trim_matches('"');
            let operations = json!([{ "op": "Add", "path": list.path, "value": value }]);
            let back = app.edit(&path, operations).await.expect(200);
            let values = back.pointer(&list.pointer).unwrap().as_array().unwrap();
            assert_eq!(values.len(), 3, "{}", list.path);
            assert_eq!(values[2], value);
            assert_eq!(
                app.find_users(&list.filter).await.len(),
                1,
                "{}",
                list.filter
            );
            assert_eq!(changes(&app, last).await.0.len(), 1);
            app.delete(&path).await.expect(204);
        }
    }
);

both_typed!(
    an_operation_without_a_match_changes_nothing,
    |app| async move {
        let ada = app.post("/Users", &resident("ada")).await.expect(201);
        let mut crew = sample::group("Crew", &[id(&ada)]);
        crew[ACME] = json!({ "projects": ["loom"] });
        crew[PURPOSE] = json!({ "purpose": "P", "cost": 2 });
        let crew = app.post("/Groups", &crew).await.expect(201);
        // With its current group.
        let ada = app.user(id(&ada)).await;
        let mut laptop = device("S1");
        laptop["macs"] = json!([{ "value": "aa", "type": "wifi" }]);
        laptop[ACME] = json!({ "os": { "parts": ["kernel"] } });
        let laptop = app.post("/Devices", &laptop).await.expect(201);
        let (_, last) = changes(&app, 0).await;
        let user = |op: &str, path: String, value: Value| {
            (
                &ada,
                "/Users",
                json!({ "op": op, "path": path, "value": value }),
            )
        };
        let group = |op: &str, path: String, value: Value| {
            (
                &crew,
                "/Groups",
                json!({ "op": op, "path": path, "value": value }),
            )
        };
        let machine = |op: &str, path: String, value: Value| {
            (
                &laptop,
                "/Devices",
                json!({ "op": op, "path": path, "value": value }),
            )
        };
        for (before, endpoint, operation) in [
            user("remove", format!("{DESK}:tags"), json!([])),
            user("remove", format!("{DESK}:tags"), json!(["loud"])),
            user(
                "remove",
                format!("{PREMISES}:home.rooms"),
                json!(["cellar"]),
            ),
            user(
                "remove",
                format!("{PREMISES}:places[type eq \"gym\"].tags"),
                json!([]),
            ),
            user(
                "remove",
                format!("{PREMISES}:places[type eq \"shop\"].tags"),
                json!(["x"]),
            ),
            user("remove", format!("{ACME}:projects"), json!(["LOOM"])),
            user(
                "remove",
                format!("{ACME}:projects[value eq \"x\"]"),
                Value::Null,
            ),
            user("remove", ACME.to_owned(), json!({ "grade": "C1" })),
            user("remove", DESK.to_owned(), json!({})),
            user(
                "remove",
                "phoneNumbers".to_owned(),
                json!([{ "value": "1", "type": "home" }]),
            ),
            user("add", format!("{PREMISES}:home.rooms"), json!([""])),
            user("add", format!("{DESK}:tags"), json!(["QUIET", "Warm"])),
            user("add", format!("{ACME}:projects"), json!(["loom"])),
            user(
                "add",
                "phoneNumbers".to_owned(),
                json!([{ "type": "WORK", "value": "1" }]),
            ),
            user("replace", "shoeSize".to_owned(), json!(40)),
            user("replace", format!("{DESK}:lamp"), json!("x")),
            user("replace", "active".to_owned(), json!("")),
            group("remove", "members".to_owned(), json!([])),
            group(
                "remove",
                "members".to_owned(),
                json!({ "members": [{ "value": "nobody" }] }),
            ),
            group("remove", format!("{PURPOSE}:cost.x"), json!(2)),
            group(
                "remove",
                format!("{ACME}:projects"),
                json!([{ "value": "mill" }]),
            ),
            group("add", "members".to_owned(), json!([id(&ada)])),
            machine(
                "remove",
                "macs".to_owned(),
                json!([{ "value": "aa", "type": "cable" }]),
            ),
            machine("remove", format!("{ACME}:os.parts"), json!(["shell"])),
        ] {
            let path = format!("{endpoint}/{}", id(before));
            let operations = json!([operation]);
            let same = app.edit(&path, operations.clone()).await.expect(200);
            assert_eq!(&same, before, "{operations}");
            let same = edit_in_bulk(&app, &path, &operations).await;
            assert_eq!(&same, before, "{operations}");
        }
        let (published, _) = changes(&app, last).await;
        assert!(published.is_empty(), "{published:?}");
    }
);

both_typed!(
    undeclared_extensions_can_be_selected_like_declared_ones,
    |app| async move {
        let ada = app.post("/Users", &resident("ada")).await.expect(201);
        let mut crew = sample::group("Crew", &[]);
        crew[ACME] = ada[ACME].clone();
        let crew = app.post("/Groups", &crew).await.expect(201);
        let mut laptop = device("S1");
        laptop[ACME] = ada[ACME].clone();
        let laptop = app.post("/Devices", &laptop).await.expect(201);
        for (endpoint, resource) in [("/Users", &ada), ("/Groups", &crew), ("/Devices", &laptop)] {
            let one = format!("{endpoint}/{}", id(resource));
            for (name, chosen) in [
                (format!("{ACME}:grade"), json!({ "grade": "B7" })),
                (
                    format!("{}:GRADE", ACME.to_uppercase()),
                    json!({ "grade": "B7" }),
                ),
                (
                    format!("{ACME}:projects,{ACME}:grade"),
                    json!({ "projects": ["loom", "engine", "mill"], "grade": "B7" }),
                ),
                (ACME.to_owned(), resource[ACME].clone()),
            ] {
                let parameters = [("attributes", name.as_str())];
                let read = app.get(&with_query(&one, &parameters)).await.expect(200);
                assert_eq!(read[ACME], chosen, "{name}");
                assert!(read.get("displayName").is_none(), "{name}: {read}");
                let page = app.list(endpoint, &parameters).await;
                assert_eq!(page.resources[0][ACME], chosen, "{name}");
                let search = json!({ "attributes": [name] });
                let page = app
                    .post(&format!("{endpoint}/.search"), &search)
                    .await
                    .page();
                if !name.contains(',') {
                    assert_eq!(page.resources[0][ACME], chosen, "{name}");
                }
            }
            let without = [(
                "excludedAttributes",
                format!("{ACME}:projects,{ACME}:posts"),
            )];
            let without = without
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let read = app.get(&with_query(&one, &without)).await.expect(200);
            assert_eq!(read[ACME], json!({ "grade": "B7" }));
            assert_eq!(read["displayName"], resource["displayName"]);
            let read = app
                .get(&with_query(&one, &[("excludedAttributes", ACME)]))
                .await
                .expect(200);
            assert!(read.get(ACME).is_none(), "{read}");
            let nothing = [("attributes", format!("{ACME}:nope"))];
            let nothing = nothing
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let read = app.get(&with_query(&one, &nothing)).await.expect(200);
            assert!(read.get(ACME).is_none(), "{read}");
        }
    }
);

both_typed!(history_returns_the_original_values, |app| async move {
    let mut ada = resident("ada");
    ada[sample::ENTERPRISE] = json!({ "department": "Looms", "manager": "m1" });
    let ada = app.post("/Users", &ada).await.expect(201);
    let then: Timestamp = SystemClock::default().now();
    let operations = json!([
        { "op": "remove", "path": "phoneNumbers", "value": ["2"] },
        { "op": "remove", "path": sample::ENTERPRISE, "value": { "department": "Looms" } },
        { "op": "replace", "path": format!("{}.manager", sample::ENTERPRISE), "value": [{ "value": "m2" }] },
    ]);
    let path = format!("/Users/{}", id(&ada));
    app.edit(&path, operations).await.expect(200);
    let reader = app.client_with_scopes(&["read"]).await.site();
    let address = format!("/directory/v1/users/{}", id(&ada));
    let was = reader.get(&format!("{address}?at={then}")).await.plain(200);
    let is = reader.get(&address).await.plain(200);
    let numbers = |user: &Value| texts(user["phoneNumbers"].as_array().unwrap(), "value");
    assert_eq!(numbers(&was), ["1", "2"]);
    assert_eq!(
        (&was["department"], &was["managerId"]),
        (&json!("Looms"), &json!("m1"))
    );
    assert_eq!(numbers(&is), ["1"]);
    assert!(is.get("department").is_none_or(Value::is_null), "{is}");
    assert_eq!(is["managerId"], "m2");
});

/// Returns the names in the log lines about omitted members of requests for this resource, once
/// there are this many. The log is written asynchronously.
async fn logged_names(app: &TestApp, resource: &str, count: usize) -> Vec<String> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let log = app.server.log();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains("ignored attributes that no schema defines"))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["resource.id"] == resource)
            .map(|line| line["attributes"].as_str().unwrap().to_owned())
            .collect();
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < deadline, "only {lines:?}");
        app.list("/Users", &[("count", "0")]).await;
    }
}

both_typed!(
    the_log_names_omitted_members_without_values,
    |app| async move {
        let mut body = sample::user("ada");
        body["shoeSize"] = json!("kept-out-1");
        body["name"]["petName"] = json!("kept-out-2");
        body["nickNames[value eq \"kept-out-3\"].value"] = json!("x");
        let ada = app.post("/Users", &body).await.expect(201);
        let path = format!("/Users/{}", id(&ada));
        let operations = json!([
            { "op": "add", "path": "teams[lead eq \"kept-out-4\"].role", "value": "kept-out-5" },
            { "op": "add", "path": "emails[value eq \"kept-out-6\"].colour", "value": "red" },
            { "op": "replace", "value": { format!("{DESK}:lamp"): "kept-out-7", "title": "T" } },
        ]);
        let after = app.edit(&path, operations).await.expect(200);
        assert_eq!(after["title"], "T");
        body["title"] = json!("T");
        let replaced = app.put(&path, &body).await.expect(200);
        assert_eq!(replaced, after, "nothing was to be changed");
        let lines = logged_names(&app, id(&ada), 3).await;
        let named = |line: &str, names: &[&str]| names.iter().all(|name| line.contains(name));
        assert_eq!(lines.len(), 3, "{lines:?}");
        for line in [&lines[0], &lines[2]] {
            assert!(
                named(line, &["shoeSize", "name.petName", "nickNames"]),
                "{line}"
            );
        }
        assert!(
            named(&lines[1], &["teams", "emails", "lamp"]),
            "{}",
            lines[1]
        );
        let log = app.server.log();
        assert!(!log.contains("kept-out"), "a value in the log");
    }
);

both!(roles_and_entitlements_may_be_strings, |app| async move {
    let mut body = sample::user("ada");
    body["roles"] = json!(["Admin", "auditor", "ADMIN"]);
    body["entitlements"] = json!("vpn");
    let ada = app.post("/Users", &body).await.expect(201);
    assert_eq!(
        ada["roles"],
        json!([{ "value": "Admin" }, { "value": "auditor" }])
    );
    assert_eq!(ada["entitlements"], json!([{ "value": "vpn" }]));
    assert_eq!(app.find_users("roles[value eq \"AUDITOR\"]").await, ["ada"]);
    let path = format!("/Users/{}", id(&ada));
    let operations = json!([
        { "op": "Add", "path": "roles", "value": ["clerk", "admin"] },
        { "op": "Remove", "path": "roles", "value": ["Auditor"] },
        { "op": "Add", "value": { "entitlements": ["mail"] } },
    ]);
    let after = edit_in_bulk(&app, &path, &operations).await;
    assert_eq!(
        after["roles"],
        json!([{ "value": "Admin" }, { "value": "clerk" }])
    );
    assert_eq!(
        after["entitlements"],
        json!([{ "value": "vpn" }, { "value": "mail" }])
    );
    assert!(app.find_users("roles eq \"auditor\"").await.is_empty());
    body["roles"] = json!("only");
    let replaced = app.put(&path, &body).await.expect(200);
    assert_eq!(replaced["roles"], json!([{ "value": "only" }]));
    app.set(&json!({ "compatibility": "strict" })).await;
    let refused = app.edit(
        &path,
        json!([{ "op": "add", "path": "roles", "value": ["x"] }]),
    );
    refused.await.expect_error(400, "invalidValue");
});

both!(
    members_are_removed_in_every_accepted_form,
    |app| async move {
        let mut ids = Vec::new();
        for name in ["ada", "bob", "cyd"] {
            ids.push(id(&app.create_user(name).await).to_owned());
        }
        let (ada, others) = (ids[0].as_str(), &ids[1..]);
        let all: Vec<&str> = ids.iter().map(String::as_str).collect();
        let core = sample::GROUP;
        for (number, operation) in [
        json!({ "op": "remove", "path": "members", "value": { "members": [{ "value": ada }] } }),
        json!({ "op": "remove", "path": "members", "value": { "Members": ada } }),
        json!({ "op": "remove", "path": "members", "value": ada }),
        json!({ "op": "remove", "path": "members", "value": [ada, "nobody"] }),
        json!({ "op": "remove", "path": format!("{core}:members"), "value": [{ "value": ada }] }),
        json!({ "op": "remove", "path": format!("{core}.members"), "value": [{ "value": ada }] }),
        json!({ "op": "remove", "path": core, "value": { "members": [{ "value": ada }] } }),
        json!({ "op": "remove", "path": "", "value": { "members": [ada] } }),
        json!({ "op": "remove", "value": { "members": { "value": ada } } }),
        json!({ "op": "remove", "path": format!("members[value eq '{ada}']"), "value": "" }),
    ]
    .into_iter()
    .enumerate()
    {
        let group = app.create_group(&format!("Crew {number}"), &all).await;
        let path = format!("/Groups/{}", id(&group));
        let (_, last) = changes(&app, 0).await;
        let left = match number % 2 {
            0 => app.edit(&path, json!([operation])).await.expect(200),
            _ => edit_in_bulk(&app, &path, &json!([operation])).await,
        };
        assert_eq!(member_ids(&left), others, "{operation}");
        let (published, _) = changes(&app, last).await;
        assert_eq!(published.len(), 1, "{operation}: {published:?}");
        assert_eq!(published[0]["kind"], "member_removed");
        assert_eq!(published[0]["members"], json!([ada]));
    }
        // A null in the value removes no member.
        let group = app.create_group("Last", &all).await;
        let path = format!("/Groups/{}", id(&group));
        let operation = json!({ "op": "remove", "path": "members", "value": { "members": null } });
        app.edit(&path, json!([operation]))
            .await
            .expect_error(400, "invalidValue");
        assert_eq!(member_ids(&app.group(id(&group)).await).len(), 3);
    }
);

// The same attributes in every accepted form of a body.
both_typed!(every_method_accepts_every_spelling, |app| async move {
    let plain = json!({
        "title": "T", "nickName": "N", "active": false,
        "name": { "givenName": "A" },
        "emails": [{ "type": "work", "value": "a@x.org" }],
        DESK: { "seat": 3, "tags": ["quiet"] },
        ACME: { "grade": "B7", "projects": ["loom"] },
    });
    let spelt = json!({
        format!("{}:title", sample::USER): "T",
        sample::USER: { "nickName": ["N"], "active": "0" },
        "name.givenName": "A",
        "emails[type eq \"work\"].value": "a@x.org",
        format!("{DESK}.seat"): "3",
        format!("{DESK}:tags"): [{ "value": "quiet" }],
        format!("{ACME}:grade"): "B7",
        ACME: { "projects": ["loom"] },
        "urn:example:scim:schemas:extension:desk:2.0:seat": 9,
    });
    let with_name = |attributes: &Value, name: &str| {
        let mut body = attributes.clone();
        body["userName"] = json!(name);
        body
    };
    let compared = |user: &Value| {
        let mut user = user.clone();
        for name in ["id", "meta", "userName"] {
            user.as_object_mut().unwrap().shift_remove(name);
        }
        user
    };
    let expected = app
        .post("/Users", &with_name(&plain, "plain"))
        .await
        .expect(201);
    let expected = compared(&expected);
    let created = app
        .post("/Users", &with_name(&spelt, "created"))
        .await
        .expect(201);
    assert_eq!(compared(&created), expected);
    for op in ["add", "replace", "Add", "Replace"] {
        let name = format!("patched-{op}");
        let bare = app
            .post("/Users", &json!({ "userName": name }))
            .await
            .expect(201);
        let path = format!("/Users/{}", id(&bare));
        let operations = json!([{ "op": op, "value": spelt }]);
        let patched = app.edit(&path, operations.clone()).await.expect(200);
        assert_eq!(compared(&patched), expected, "{op}");
        assert_eq!(
            edit_in_bulk(&app, &path, &operations).await,
            patched,
            "{op}"
        );
        app.delete(&path).await.expect(204);
    }
    let bare = app
        .post("/Users", &json!({ "userName": "replaced" }))
        .await
        .expect(201);
    let path = format!("/Users/{}", id(&bare));
    let replaced = app
        .put(&path, &with_name(&spelt, "replaced"))
        .await
        .expect(200);
    assert_eq!(compared(&replaced), expected);
    let again = app
        .put(&path, &with_name(&spelt, "replaced"))
        .await
        .expect(200);
    assert_eq!(again, replaced, "the same again is no change");
    let filter = format!("{ACME}:projects eq \"loom\" and {DESK}:seat eq 3");
    let mut names = app.find_users(&filter).await;
    names.sort();
    assert_eq!(names, ["created", "plain", "replaced"]);
});
