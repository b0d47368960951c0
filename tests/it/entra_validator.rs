//! Microsoft's tests for listing an app: the requests of its SCIM Validator, of its Logic App
//! validation and of its Postman collection. Two of the Logic App's tests require an OAuth token
//! endpoint and are left out.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::harness::sample::{ENTERPRISE, GROUP, USER, patch};
use crate::harness::{Client, both, id, member_ids, with_query};

fn user(user_name: &str) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE],
        "userName": user_name,
        "externalId": format!("ext-{user_name}"),
        "active": true,
        "displayName": "XKWLCONOGMVT",
        "title": "DPSRCFMJBQVL",
        "name": { "formatted": "Aric", "familyName": "Nia", "givenName": "Sandy" },
        "emails": [{ "type": "work", "value": "sandy@prohaska.example", "primary": true }],
        "phoneNumbers": [{ "type": "work", "value": "07-272-0828", "primary": true }],
        "addresses": [{ "type": "work", "streetAddress": "2809 Johns Walk", "locality": "KMYVNUJVVZWC", "primary": true }],
        ENTERPRISE: { "department": "OLQHBVJXWSGF", "employeeNumber": "VTNXMVHLRYYD" }
    })
}

fn group(display_name: &str, external_id: &str) -> Value {
    json!({ "schemas": [GROUP], "displayName": display_name, "externalId": external_id })
}

/// Creates a user and returns its id and path.
async fn fresh_user(app: &Client, user_name: &str) -> (String, String) {
    let made = app.post("/Users", &user(user_name)).await.expect(201);
    (id(&made).to_owned(), format!("/Users/{}", id(&made)))
}

/// Applies the operations and returns the result of a GET.
async fn edited(app: &Client, path: &str, operations: Value) -> Value {
    let reply = app.patch(path, &patch(operations)).await;
    assert!([200, 204].contains(&reply.status), "{reply:?}");
    app.get(path).await.expect(200)
}

async fn total(app: &Client, endpoint: &str, filter: &str) -> u64 {
    app.list(endpoint, &[("filter", filter)]).await.total
}

// R7644-3.3-04, R7643-4.1.1-02
both!(validator_creates_and_finds_a_user, |app| async move {
    let sent = user("sandy@romaguera.example");
    let made = app.post("/Users", &sent).await.expect(201);
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let path = format!("/Users/{}", id(&made));
    assert_eq!(app.get(&path).await.expect(200), made);
    app.post("/Users", &sent)
        .await
        .expect_error(409, "uniqueness");

    for name in ["sandy@romaguera.example", "SANDY@ROMAGUERA.EXAMPLE"] {
        let filter = format!("userName eq \"{name}\"");
        let found = app.list("/Users", &[("filter", &filter)]).await;
        assert_eq!(found.ids(), [id(&made)], "{filter}");
    }
    let absent = app
        .get("/Users?filter=userName+eq+%22absent%40romaguera.example%22")
        .await;
    assert_eq!(absent.page().total, 0);
    let flagged = app
        .get("/Users?aadOptscim062020&filter=userName+eq+%22absent%22")
        .await;
    assert_eq!(flagged.page().total, 0);
});

both!(validator_replaces_attributes_of_a_user, |app| async move {
    let (_, path) = fresh_user(&app, "sandy@romaguera.example").await;
    let work = json!([
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "lilian@mills.example" },
        { "op": "replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "07-111-0000" },
        { "op": "replace", "path": "addresses[type eq \"work\"].streetAddress", "value": "1 Engine Row" },
        { "op": "replace", "path": "addresses[type eq \"work\"].locality", "value": "London" }
    ]);
    let updated = edited(&app, &path, work).await;
    assert_eq!(
        updated["emails"],
        json!([{ "type": "work", "value": "lilian@mills.example", "primary": true }])
    );
    assert_eq!(
        updated["phoneNumbers"],
        json!([{ "type": "work", "value": "07-111-0000", "primary": true }])
    );
    let address = json!({ "type": "work", "streetAddress": "1 Engine Row", "locality": "London", "primary": true });
    assert_eq!(updated["addresses"], json!([address]));

    // The validator sends the value of `primary` both as a boolean and as a string.
    for (primary, number) in [
        ("true", "07-222"),
        ("\"true\"", "07-333"),
        ("\"True\"", "07-444"),
    ] {
        let updated = edited(&app, &path, json!([
            { "op": "replace", "path": format!("emails[primary eq {primary}].value"), "value": format!("{number}@mills.example") },
            { "op": "replace", "path": format!("phoneNumbers[primary eq {primary}].value"), "value": number }
        ]))
        .await;
        assert_eq!(
            updated["emails"],
            json!([{ "type": "work", "value": format!("{number}@mills.example"), "primary": true }])
        );
        assert_eq!(
            updated["phoneNumbers"],
            json!([{ "type": "work", "value": number, "primary": true }])
        );
    }

    let simple = json!([
        { "op": "replace", "path": "displayName", "value": "HNNCQLVVWAJM" },
        { "op": "replace", "path": "name.givenName", "value": "Ford" },
        { "op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "WUJQCZPQ" }
    ]);
    let updated = edited(&app, &path, simple).await;
    assert_eq!(updated["displayName"], "HNNCQLVVWAJM");
    assert_eq!(updated["name"]["givenName"], "Ford");
    assert_eq!(updated[ENTERPRISE]["department"], "WUJQCZPQ");

    let rename = json!([{ "op": "replace", "value": { "userName": "emilio@hermann.example" } }]);
    assert_eq!(
        edited(&app, &path, rename).await["userName"],
        "emilio@hermann.example"
    );
    assert_eq!(
        total(&app, "/Users", r#"userName eq "emilio@hermann.example""#).await,
        1
    );
    assert_eq!(
        total(&app, "/Users", r#"userName eq "sandy@romaguera.example""#).await,
        0
    );
});

// RIPSIE-4.3-01
both!(validator_adds_and_removes_attributes, |app| async move {
    let bare = json!({ "schemas": [USER], "userName": "sandy@romaguera.example" });
    let made = app.post("/Users", &bare).await.expect(201);
    let path = format!("/Users/{}", id(&made));
    let add = json!([
        { "op": "add", "path": "emails[type eq \"work\"].value", "value": "sandy@prohaska.example" },
        { "op": "add", "path": "addresses[type eq \"work\"].formatted", "value": "1 Engine Row" },
        { "op": "add", "path": "addresses[type eq \"work\"].postalCode", "value": "W1" },
        { "op": "add", "path": "roles[primary eq \"True\"].value", "value": "OSLOTIVZNOHB" },
        { "op": "add", "value": {
            "name.givenName": "Sandy", "displayName": "XKWLCONOGMVT", "active": true,
            format!("{ENTERPRISE}:employeeNumber"): "701984"
        } }
    ]);
    let updated = edited(&app, &path, add).await;
    assert_eq!(
        updated["emails"],
        json!([{ "type": "work", "value": "sandy@prohaska.example" }])
    );
    let address = json!({ "type": "work", "formatted": "1 Engine Row", "postalCode": "W1" });
    assert_eq!(updated["addresses"], json!([address]));
    assert_eq!(
        updated["roles"],
        json!([{ "value": "OSLOTIVZNOHB", "primary": true }])
    );
    assert_eq!(updated["name"]["givenName"], "Sandy");
    assert_eq!(updated[ENTERPRISE]["employeeNumber"], "701984");

    // One request with all three kinds of operations.
    let mixed = json!([
        { "op": "Remove", "path": "emails[type eq \"work\"]" },
        { "op": "Add", "path": "title", "value": "CAIBBRQFZWMF" },
        { "op": "Replace", "path": "displayName", "value": "UHYYWKURUTZS" },
        { "op": "Remove", "path": format!("{ENTERPRISE}:employeeNumber") }
    ]);
    let updated = edited(&app, &path, mixed).await;
    assert!(updated.get("emails").is_none(), "{updated}");
    assert!(updated.get(ENTERPRISE).is_none(), "{updated}");
    assert_eq!(updated["title"], "CAIBBRQFZWMF");
    assert_eq!(updated["displayName"], "UHYYWKURUTZS");
});

both!(validator_changes_a_manager, |app| async move {
    let (boss, _) = fresh_user(&app, "boss@romaguera.example").await;
    let (_, path) = fresh_user(&app, "sandy@romaguera.example").await;
    let manager = format!("{ENTERPRISE}:manager");
    let other = "CBEQXYNPNAZS";
    for (operation, expected) in [
        (
            json!({ "op": "add", "path": manager, "value": boss }),
            Some(boss.as_str()),
        ),
        (
            json!({ "op": "replace", "path": manager, "value": { "value": other } }),
            Some(other),
        ),
        (json!({ "op": "remove", "path": manager }), None),
        (
            json!({ "op": "Add", "path": manager, "value": { "value": boss } }),
            Some(&boss),
        ),
        (
            json!({ "op": "Replace", "path": manager, "value": other }),
            Some(other),
        ),
        (
            json!({ "op": "Replace", "path": manager, "value": "" }),
            None,
        ),
    ] {
        let updated = edited(&app, &path, json!([operation])).await;
        let found = updated[ENTERPRISE]["manager"]["value"].as_str();
        assert_eq!(found, expected, "{operation}");
        assert_eq!(
            updated[ENTERPRISE]["department"], "OLQHBVJXWSGF",
            "{operation}"
        );
    }
});

// R7644-3.6-01, R7644-3.6-02
both!(
    validator_disables_restores_and_deletes_a_user,
    |app| async move {
        let (_, path) = fresh_user(&app, "sandy@romaguera.example").await;
        let by_name = [("filter", r#"userName eq "sandy@romaguera.example""#)];
        for (sent, expected) in [
            (json!(false), false),
            (json!("True"), true),
            (json!("False"), false),
        ] {
            let change = json!([{ "op": "replace", "path": "active", "value": sent }]);
            assert_eq!(edited(&app, &path, change).await["active"], expected);
            let found = app.list("/Users", &by_name).await;
            assert_eq!(found.resources[0]["active"], expected, "{sent}");
        }
        app.delete(&path).await.expect(204);
        app.get(&path).await.expect_error(404, "");
        app.delete(&path).await.expect_error(404, "");
        let unknown = "/Users/00000000-0000-0000-0000-000000000000";
        app.delete(unknown).await.expect_error(404, "");
        app.get(unknown).await.expect_error(404, "");
        assert_eq!(app.list("/Users", &by_name).await.total, 0);
        let (_, path) = fresh_user(&app, "sandy@romaguera.example").await;
        assert_eq!(app.get(&path).await.expect(200)["active"], true);
    }
);

both!(validator_creates_and_finds_a_group, |app| async move {
    let made = app
        .post("/Groups", &group("HNNCQLVVWAJM", "c420a4bf"))
        .await
        .expect(201);
    assert_eq!(made["externalId"], "c420a4bf");
    let again = app
        .post("/Groups", &group("HNNCQLVVWAJM", "c420a4bf"))
        .await;
    let error = again.expect_error(409, "uniqueness");
    assert!(
        error["detail"].as_str().unwrap().contains(id(&made)),
        "{error}"
    );

    let (sandy, _) = fresh_user(&app, "sandy@romaguera.example").await;
    let path = format!("/Groups/{}", id(&made));
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": sandy }] }]);
    assert_eq!(member_ids(&edited(&app, &path, add).await), [sandy]);
    let without = [("excludedAttributes", "members")];
    let updated = app.get(&with_query(&path, &without)).await.expect(200);
    assert!(updated.get("members").is_none(), "{updated}");
    assert_eq!(updated["displayName"], "HNNCQLVVWAJM");
    for name in ["HNNCQLVVWAJM", "hnncqlvvwajm"] {
        let filter = format!("displayName eq \"{name}\"");
        let found = app
            .list(
                "/Groups",
                &[("excludedAttributes", "members"), ("filter", &filter)],
            )
            .await;
        assert_eq!(found.ids(), [id(&made)], "{filter}");
        assert!(found.resources[0].get("members").is_none());
    }
    assert_eq!(
        total(&app, "/Groups", r#"displayName eq "absent""#).await,
        0
    );
});

both!(validator_changes_and_deletes_a_group, |app| async move {
    let (sandy, _) = fresh_user(&app, "sandy@romaguera.example").await;
    let (ford, _) = fresh_user(&app, "ford@romaguera.example").await;
    let made = app
        .post("/Groups", &group("UHYYWKURUTZS", "c3b97a69"))
        .await
        .expect(201);
    let path = format!("/Groups/{}", id(&made));
    let replace = json!([{ "op": "replace", "value": { "externalId": "c3b97a70" } }]);
    let updated = edited(&app, &path, replace).await;
    assert_eq!(updated["externalId"], "c3b97a70");
    assert_eq!(updated["displayName"], "UHYYWKURUTZS");
    let rename = json!([{ "op": "replace", "value": { "displayName": "QZXVBTRK" } }]);
    assert_eq!(edited(&app, &path, rename).await["displayName"], "QZXVBTRK");

    let add =
        |member: &str| json!([{ "op": "Add", "path": "members", "value": [{ "value": member }] }]);
    edited(&app, &path, add(&sandy)).await;
    let updated = edited(&app, &path, add(&ford)).await;
    assert_eq!(member_ids(&updated).len(), 2);
    let remove = json!([{ "op": "Remove", "path": "members", "value": [{ "value": sandy }] }]);
    assert_eq!(
        member_ids(&edited(&app, &path, remove).await),
        [ford.as_str()]
    );
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{ford}\"]") }]);
    assert!(member_ids(&edited(&app, &path, remove).await).is_empty());
    let mixed = json!([
        { "op": "Add", "path": "members", "value": [{ "value": sandy }, { "value": ford }] },
        { "op": "Replace", "path": "displayName", "value": "UHYYWKURUTZS" },
        { "op": "Remove", "path": "members", "value": [{ "value": ford }] }
    ]);
    let updated = edited(&app, &path, mixed).await;
    assert_eq!(member_ids(&updated), [sandy.as_str()]);
    assert_eq!(updated["displayName"], "UHYYWKURUTZS");

    app.delete(&path).await.expect(204);
    app.get(&path).await.expect_error(404, "");
    app.delete(&path).await.expect_error(404, "");
    app.post("/Groups", &group("UHYYWKURUTZS", "c3b97a70"))
        .await
        .expect(201);
});

/// Returns the names by which Microsoft's workflow finds the attributes of a schema, in lower case
/// and without references.
fn discoverable(schema: &Value) -> BTreeSet<String> {
    let urn = schema["id"].as_str().unwrap();
    let is_core = urn.contains(":schemas:core:");
    let mut names = BTreeSet::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        let subs = attribute["subAttributes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let sub_name = |sub: &Value| sub["name"].as_str().unwrap().to_owned();
        let found: Vec<String> = if attribute["type"] == "reference" {
            Vec::new()
        } else if ["manager", "members"].contains(&name) || attribute["type"] != "complex" {
            vec![name.to_owned()]
        } else if attribute["multiValued"] == false {
            subs.iter()
                .filter(|sub| sub["type"] != "complex" && sub["type"] != "reference")
                .map(|sub| format!("{name}.{}", sub_name(sub)))
                .collect()
        } else {
            let kinds = subs.iter().find(|sub| sub["name"] == "type");
            let kinds = kinds.and_then(|sub| sub["canonicalValues"].as_array().cloned());
            let filters: Vec<String> = match kinds {
                Some(kinds) => kinds.iter().map(|kind| format!("type eq {kind}")).collect(),
                None => vec!["primary eq \"True\"".to_owned()],
            };
            let subs = subs.iter().map(sub_name);
            let subs: Vec<String> = subs
                .filter(|sub| sub != "type" && sub != "primary")
                .collect();
            let filtered = |filter: &String| {
                let start = format!("{name}[{filter}]");
                subs.iter()
                    .map(move |sub| format!("{start}.{sub}"))
                    .collect::<Vec<_>>()
            };
            filters.iter().flat_map(filtered).collect()
        };
        for name in found {
            let name = if is_core {
                name
            } else {
                format!("{urn}:{name}")
            };
            names.insert(name.to_lowercase());
        }
    }
    names
}

// R7644-4-02
both!(
    every_attribute_that_entra_maps_is_discoverable,
    |app| async move {
        let page = app.get("/Schemas").await.page();
        let of = |urns: &[&str]| -> BTreeSet<String> {
            let wanted = |schema: &&Value| urns.iter().any(|urn| schema["id"] == *urn);
            page.resources
                .iter()
                .filter(wanted)
                .flat_map(discoverable)
                .collect()
        };
        let users = of(&[USER, ENTERPRISE]);
        let mut mapped: Vec<String> = [
            "userName",
            "active",
            "displayName",
            "title",
            "emails[type eq \"work\"].value",
            "preferredLanguage",
            "name.givenName",
            "name.familyName",
            "name.formatted",
            "addresses[type eq \"work\"].formatted",
            "addresses[type eq \"work\"].streetAddress",
            "addresses[type eq \"work\"].locality",
            "addresses[type eq \"work\"].region",
            "addresses[type eq \"work\"].postalCode",
            "addresses[type eq \"work\"].country",
            "phoneNumbers[type eq \"work\"].value",
            "phoneNumbers[type eq \"mobile\"].value",
            "phoneNumbers[type eq \"fax\"].value",
            "externalId",
        ]
        .map(str::to_owned)
        .to_vec();
        for name in ["employeeNumber", "department", "manager"] {
            mapped.push(format!("{ENTERPRISE}:{name}"));
        }
        for name in mapped {
            assert!(
                users.contains(&name.to_lowercase()),
                "{name} is in no schema of users"
            );
        }
        let groups = of(&[GROUP]);
        for name in ["displayName", "externalId", "members"] {
            assert!(
                groups.contains(&name.to_lowercase()),
                "{name} is in no schema of groups"
            );
        }
    }
);

both!(empty_and_null_clear_optional_attributes, |app| async move {
    let (_, path) = fresh_user(&app, "sandy@romaguera.example").await;
    let paths = [
        "title".to_owned(),
        "displayName".to_owned(),
        "name.formatted".to_owned(),
        "addresses[type eq \"work\"].locality".to_owned(),
        format!("{ENTERPRISE}:department"),
    ];
    for empty in [json!(""), json!(null)] {
        let operation = |path: &String| json!({ "op": "Replace", "path": path, "value": empty });
        let clear = paths.iter().map(operation).collect();
        let updated = edited(&app, &path, clear).await;
        for place in [
            "/title",
            "/displayName",
            "/name/formatted",
            "/addresses/0/locality",
            "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
        ] {
            assert_eq!(
                updated.pointer(place),
                None,
                "{empty}: {place} in {updated}"
            );
        }
        assert_eq!(updated["addresses"][0]["streetAddress"], "2809 Johns Walk");
        assert_eq!(updated["name"]["givenName"], "Sandy");
    }
});

/// Generates values for the simple attributes that a client may write, according to the schema at
/// `urn`.
async fn generated_values(app: &Client, urn: &str) -> Map<String, Value> {
    let schema = app.get(&format!("/Schemas/{urn}")).await.expect(200);
    let mut values = Map::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        if attribute["multiValued"] == true || attribute["mutability"] != "readWrite" {
            continue;
        }
        let name = attribute["name"].as_str().unwrap();
        let value = match (attribute["type"].as_str().unwrap(), name) {
            // Vocabularies that an admin has to enter into the workflow.
            (_, "preferredLanguage" | "locale") => json!("en-GB"),
            (_, "timezone") => json!("Europe/London"),
            ("string", _) => json!(format!("made-up-{name}")),
            ("boolean", _) => json!(true),
            ("integer", _) => json!(7),
            ("dateTime", _) => json!("2026-03-01T08:00:00Z"),
            _ => continue,
        };
        values.insert(name.to_owned(), value);
    }
    values
}

both!(every_simple_attribute_can_be_patched, |app| async move {
    let (_, user_path) = fresh_user(&app, "sandy@romaguera.example").await;
    let made = app
        .post("/Groups", &group("UHYYWKURUTZS", "c3b97a69"))
        .await
        .expect(201);
    let group_path = format!("/Groups/{}", id(&made));
    for (urn, path) in [(USER, user_path), (GROUP, group_path)] {
        let values = generated_values(&app, urn).await;
        assert!(values.contains_key("externalId"), "{values:?}");
        let operation =
            |(name, value): (&String, &Value)| json!({ "op": "Add", "path": name, "value": value });
        let updated = edited(&app, &path, values.iter().map(operation).collect()).await;
        for (name, value) in &values {
            assert_eq!(&updated[name], value, "{name}");
        }
    }
});

both!(users_and_groups_are_paged, |app| async move {
    for number in 0..11 {
        fresh_user(&app, &format!("user{number}@romaguera.example")).await;
        let made = group(&format!("Group {number}"), &format!("g{number}"));
        app.post("/Groups", &made).await.expect(201);
    }
    for endpoint in ["/Users", "/Groups"] {
        let mut met = BTreeSet::new();
        for page in 0..3 {
            let start: u64 = page * 5 + 1;
            let text = start.to_string();
            let updated = app
                .list(endpoint, &[("startIndex", &text), ("count", "5")])
                .await;
            assert_eq!(updated.total, 11, "{endpoint}");
            assert_eq!(updated.start, start, "{endpoint}");
            met.extend(updated.ids());
        }
        assert_eq!(met.len(), 11, "{endpoint}");
    }
});

both!(postman_walks_through_users, |app| async move {
    let sent = json!({
        "UserName": "UserName123",
        "Active": true,
        "DisplayName": "BobIsAmazing",
        "schemas": [ENTERPRISE, USER],
        "externalId": "22fbc523",
        "name": { "formatted": "Ryan Leenay", "familyName": "Leenay", "givenName": "Ryan", "honorificPrefix": null },
        "emails": [
            { "Primary": true, "type": "work", "value": "testing@bob.example" },
            { "Primary": false, "type": "home", "value": "testinghome@bob.example" }
        ],
        "addresses": [
            { "country": "Bermuda", "locality": null, "type": "work", "primary": false },
            { "country": null, "formatted": "18522 Lisa Unions\nEast Gregory", "type": "other", "primary": false }
        ],
        "phoneNumbers": [{ "type": "mobile", "primary": null, "value": "312-320-1707" }],
        "roles": [],
        "meta": { "created": "2019-09-18T18:15:26.5788954+00:00", "resourceType": "User" },
        ENTERPRISE: { "Department": "bob", "Manager": { "Value": "SuzzyQ" } }
    });
    let made = app.post("/Users", &sent).await.expect(201);
    assert_eq!(made["userName"], "UserName123");
    assert_eq!(made["emails"][0]["primary"], true);
    assert_eq!(
        made["addresses"][0],
        json!({ "country": "Bermuda", "type": "work", "primary": false })
    );
    assert_eq!(
        made[ENTERPRISE],
        json!({ "department": "bob", "manager": { "value": "SuzzyQ" } })
    );
    let found = app
        .list("/Users", &[("filter", r#"DisplayName eq "BobIsAmazing""#)])
        .await;
    assert_eq!(found.ids(), [id(&made)]);
    let some = app
        .list("/Users", &[("attributes", "userName,emails")])
        .await;
    assert!(some.resources[0].get("displayName").is_none());

    let path = format!("/Users/{}", id(&made));
    let mut whole = sent.clone();
    whole["id"] = json!(id(&made));
    whole["name"]["formatted"] = json!("NewName");
    whole["active"] = json!("True");
    whole.as_object_mut().unwrap().remove("Active");
    let replaced = app.put(&path, &whole).await.expect(200);
    assert_eq!(replaced["name"]["formatted"], "NewName");
    assert_eq!(replaced["active"], true);

    app.post("/Users", &sent)
        .await
        .expect_error(409, "uniqueness");
    let mut nameless = sent;
    nameless.as_object_mut().unwrap().remove("UserName");
    app.post("/Users", &nameless)
        .await
        .expect_error(400, "invalidValue");
    let junk = br#"{ "acve": yes, "addresses": [ { "country": null, les": [] }"#.to_vec();
    let headers = [("content-type", "application/json")];
    let refused = app
        .send(reqwest::Method::POST, "/Users", &headers, junk)
        .await;
    refused.expect_error(400, "invalidSyntax");
});

both!(postman_walks_through_groups, |app| async move {
    let (ryan, _) = fresh_user(&app, "ryan@bob.example").await;
    let (andrew, _) = fresh_user(&app, "andrew@bob.example").await;
    let mut sent = group("GroupDisplayName3", "g3");
    sent["members"] = json!([]);
    let made = app.post("/Groups", &sent).await.expect(201);
    let path = format!("/Groups/{}", id(&made));
    let replaced = json!({
        "schemas": [GROUP],
        "id": id(&made),
        "displayName": "putName",
        "members": [{ "value": ryan, "display": "VP" }, { "value": andrew, "display": "SenorVP" }]
    });
    assert_eq!(
        member_ids(&app.put(&path, &replaced).await.expect(200)).len(),
        2
    );
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{andrew}\"]") }]);
    assert_eq!(
        member_ids(&edited(&app, &path, remove).await),
        [ryan.as_str()]
    );
    let add = json!([
        { "name": "addMember", "op": "add", "path": "members", "value": [{ "displayName": "new User", "value": andrew }] }
    ]);
    assert_eq!(member_ids(&edited(&app, &path, add).await).len(), 2);
    let clear = json!([{ "op": "remove", "path": "members" }]);
    assert!(member_ids(&edited(&app, &path, clear).await).is_empty());
    app.delete(&path).await.expect(204);
});
