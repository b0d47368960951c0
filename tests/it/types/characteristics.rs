//! The characteristics of attributes in a schema file are enforced.

use serde_json::{Value, json};

use super::{DESK, DEVICE, WARRANTY, device, seated};
use crate::harness::{TestApp, both_typed, id, sample, together, with_query};

/// Creates a user with this desk: returns its path and the response.
async fn create_with_desk(app: &TestApp, user_name: &str, desk: Value) -> (String, Value) {
    let body = seated(user_name, desk);
    let created = app.post("/Users", &body).await.expect(201);
    (format!("/Users/{}", id(&created)), created)
}

async fn set(app: &TestApp, path: &str, attribute: &str, value: Value) -> crate::harness::Reply {
    let edit = json!([{ "op": "replace", "path": format!("{DESK}:{attribute}"), "value": value }]);
    app.edit(path, edit).await
}

// R7643-2.3-01, R7643-2.3.4-01, R7643-2.3.5-01, R7643-2.3.6-01
both_typed!(a_value_has_the_type_of_its_attribute, |app| async move {
    for (attribute, wrong) in [
        ("seat", json!(1.5)),
        ("seat", json!(1.0)),
        ("seat", json!("x")),
        ("seat", json!([1, 2])),
        ("height", json!("tall")),
        ("joined", json!("2011-05-13")),
        ("photo", json!("%%%")),
        ("shared", json!("yes")),
        ("room", json!("x")),
        ("building", json!({ "a": 1 })),
        ("building", json!(["a", "b"])),
    ] {
        let body = seated("ada@x.example", json!({ attribute: wrong }));
        let refused = app.post("/Users", &body).await;
        let refused = refused.expect_error(400, "invalidValue");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(attribute), "{detail}");
    }
    let right = json!({
        "seat": 1, "height": 0.72, "joined": "2011-05-13T04:42:34.5+02:00", "photo": "AQ",
        "shared": true, "plan": "https://x.example/plan", "room": { "level": 3, "wing": "East" },
    });
    let (_, created) = create_with_desk(&app, "ada@x.example", right.clone()).await;
    assert_eq!(created[DESK], right);
});

// R7643-2.3.1-01
both_typed!(canonical_values_are_suggestions, |app| async move {
    let (_, created) = create_with_desk(&app, "ada@x.example", json!({ "building": "Shed" })).await;
    assert_eq!(created[DESK]["building"], "Shed");
});

both_typed!(a_required_sub_attribute_is_enforced, |app| async move {
    let body = seated("ada@x.example", json!({ "room": { "level": 3 } }));
    let refused = app.post("/Users", &body).await;
    let refused = refused.expect_error(400, "invalidValue");
    assert!(refused["detail"].as_str().unwrap().contains("room.wing"));
    let mut body = device("S1");
    body[WARRANTY] = json!({ "seller": "Shop" });
    let refused = app.post("/Devices", &body).await;
    let refused = refused.expect_error(400, "invalidValue");
    assert!(refused["detail"].as_str().unwrap().contains("until"));
});

// R7643-7-04, R7644-3.3-09
both_typed!(mutability_is_enforced, |app| async move {
    let room = json!({ "wing": "East", "phone": "1234" });
    let (path, created) = create_with_desk(
        &app,
        "ada@x.example",
        json!({ "room": room, "pin": "9876" }),
    )
    .await;
    // Attributes that the client cannot set are ignored.
    assert_eq!(created[DESK], json!({ "room": { "wing": "East" } }));
    let refused = set(&app, &path, "room.phone", json!("1")).await;
    refused.expect_error(400, "mutability");

    // Immutable: the first assignment sets it, later ones do not change it.
    let first = "2024-01-01T00:00:00Z";
    let joined = set(&app, &path, "joined", json!(first)).await.expect(200);
    assert_eq!(joined[DESK]["joined"], first);
    set(&app, &path, "joined", json!(first)).await.expect(200);
    let refused = set(&app, &path, "joined", json!("2025-01-01T00:00:00Z")).await;
    refused.expect_error(400, "mutability");
    let mut body = seated("ada@x.example", json!({ "joined": "2025-01-01T00:00:00Z" }));
    let refused = app.put(&path, &body).await;
    refused.expect_error(400, "mutability");
    body[DESK] = json!({ "seat": 4 });
    let replaced = app.put(&path, &body).await.expect(200);
    assert_eq!(replaced[DESK], json!({ "seat": 4, "joined": first }));

    // A device's serial number is required and immutable.
    let made = app.post("/Devices", &device("S1")).await.expect(201);
    let path = format!("/Devices/{}", id(&made));
    let refused = app.put(&path, &device("S2")).await;
    refused.expect_error(400, "mutability");
});

// R7643-7-06
both_typed!(a_secret_is_never_returned, |app| async move {
    let secrets = json!({ "seat": 1, "pin": "leak-pin", "note": "leak-note" });
    let (path, created) = create_with_desk(&app, "ada@x.example", secrets).await;
    let named = with_query(
        &path,
        &[("attributes", &format!("{DESK}:note,{DESK}:pin,{DESK}:seat"))],
    );
    let whole = with_query(&path, &[("attributes", DESK)]);
    let patched = set(&app, &path, "note", json!("leak-again"))
        .await
        .expect(200);
    let replaced = app
        .put(
            &path,
            &seated("ada@x.example", json!({ "seat": 2, "note": "leak-new" })),
        )
        .await
        .expect(200);
    let mut seen = vec![created, patched, replaced];
    for path in [&path, &named, &whole, &"/Users".to_owned()] {
        seen.push(app.get(path).await.expect(200));
    }
    for answer in seen {
        let text = answer.to_string();
        assert!(
            !text.contains("leak") && !text.contains("\"note\""),
            "{text}"
        );
        assert!(text.contains("seat"), "{text}");
    }
    for attribute in ["note", "pin"] {
        for filter in [
            format!("{DESK}:{attribute} pr"),
            format!("{DESK}:{attribute} sw \"l\""),
        ] {
            let query = with_query("/Users", &[("filter", &filter)]);
            app.get(&query).await.expect_error(400, "invalidFilter");
        }
    }
    // The change feed and the log do not contain it either, and a write-only value is not even
    // stored.
    app.delete(&path).await.expect(204);
    let returned = app
        .database
        .count("SELECT count(*) AS n FROM changes WHERE payload LIKE '%leak%'");
    assert_eq!(returned, 0);
    assert!(!app.server.log().contains("leak"));
    let (_, bob) = create_with_desk(
        &app,
        "bob@x.example",
        json!({ "pin": "leak-pin", "note": "kept" }),
    )
    .await;
    let bob = id(&bob);
    let count = |like: &str| {
        app.database.count(&format!(
            "SELECT count(*) AS n FROM resources WHERE id = '{bob}' AND doc LIKE '%{like}%'"
        ))
    };
    assert_eq!((count("leak-pin"), count("kept")), (0, 1));
});

both_typed!(changing_a_secret_is_a_change, |app| async move {
    let (path, created) = create_with_desk(&app, "ada@x.example", json!({ "note": "one" })).await;
    let same = set(&app, &path, "note", json!("one")).await.expect(200);
    assert_eq!(same["meta"]["version"], created["meta"]["version"]);
    let other = set(&app, &path, "note", json!("two")).await.expect(200);
    assert_ne!(other["meta"]["version"], created["meta"]["version"]);
});

// R7643-7-05
both_typed!(some_attributes_are_returned_on_request, |app| async move {
    let (path, created) = create_with_desk(
        &app,
        "ada@x.example",
        json!({ "remarks": "tall", "seat": 1 }),
    )
    .await;
    // Returned to the write that names it, and to the query that asks for it.
    assert_eq!(created[DESK]["remarks"], "tall");
    let silent = set(&app, &path, "seat", json!(2)).await.expect(200);
    assert_eq!(silent[DESK], json!({ "seat": 2 }));
    let returned = set(&app, &path, "remarks", json!("small"))
        .await
        .expect(200);
    assert_eq!(returned[DESK], json!({ "seat": 2, "remarks": "small" }));
    let edit = json!([{ "op": "add", "value": { DESK: { "remarks": "blue" } } }]);
    let returned = app.edit(&path, edit).await.expect(200);
    assert_eq!(returned[DESK]["remarks"], "blue");
    let body = seated("ada@x.example", json!({ "remarks": "red" }));
    let returned = app.put(&path, &body).await.expect(200);
    assert_eq!(returned[DESK], json!({ "remarks": "red" }));

    assert!(app.get(&path).await.expect(200).get(DESK).is_none());
    let listed = app.list("/Users", &[]).await;
    assert!(listed.resources[0].get(DESK).is_none());
    let asked = with_query(&path, &[("attributes", &format!("{DESK}:remarks"))]);
    assert_eq!(app.get(&asked).await.expect(200)[DESK]["remarks"], "red");
    let excluded = with_query(&path, &[("excludedAttributes", &format!("{DESK}:remarks"))]);
    let returned = app.put(&excluded, &body).await.expect(200);
    assert!(returned.get(DESK).is_none(), "{returned}");
});

// R7643-7-03
both_typed!(case_exact_is_respected, |app| async move {
    create_with_desk(
        &app,
        "ada@x.example",
        json!({ "badge": "b1", "building": "hq" }),
    )
    .await;
    create_with_desk(&app, "bob@x.example", json!({ "badge": "B1" })).await;
    let found = app.find_users(&format!("{DESK}:badge eq \"B1\"")).await;
    assert_eq!(found, ["bob@x.example"]);
    let found = app.find_users(&format!("{DESK}:building eq \"HQ\"")).await;
    assert_eq!(found.len(), 1);
});

// R7643-7-08
both_typed!(a_unique_value_has_one_owner, |app| async move {
    let (ada, created) = create_with_desk(&app, "ada@x.example", json!({ "badge": "B1" })).await;
    let body = seated("bob@x.example", json!({ "badge": "B1" }));
    let refused = app.post("/Users", &body).await;
    let refused = refused.expect_error(409, "uniqueness");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("badge") && detail.contains(id(&created)),
        "{detail}"
    );
    assert!(
        app.find_users("userName eq \"bob@x.example\"")
            .await
            .is_empty()
    );

    let (bob, _) = create_with_desk(&app, "bob@x.example", json!({ "badge": "B2" })).await;
    set(&app, &bob, "badge", json!("B1"))
        .await
        .expect_error(409, "uniqueness");
    let refused = app.put(&bob, &body).await;
    refused.expect_error(409, "uniqueness");
    // Its own value does not conflict with itself.
    set(&app, &bob, "seat", json!(3)).await.expect(200);
    set(&app, &ada, "badge", json!("B3")).await.expect(200);
    set(&app, &bob, "badge", json!("B1")).await.expect(200);
    app.delete(&bob).await.expect(204);
    set(&app, &ada, "badge", json!("B1")).await.expect(200);
    // Another tenant is independent.
    let neighbour = app.neighbour().await;
    create_with_desk(&neighbour, "ada@x.example", json!({ "badge": "B1" })).await;
});

both_typed!(one_of_many_concurrent_creates_succeeds, |app| async move {
    let posts = (0..12).map(|number| {
        let client = app.client.clone();
        let body = seated(&format!("u{number}@x.example"), json!({ "badge": "B1" }));
        async move { client.post("/Users", &body).await.status }
    });
    let mut statuses = together(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409; 11]].concat());
});

both_typed!(each_value_of_a_list_is_unique, |app| async move {
    let with_macs = |serial: &str, macs: &[&str]| {
        let mut body = device(serial);
        body["macs"] = macs
            .iter()
            .map(|mac| json!({ "value": mac, "type": mac }))
            .collect();
        body
    };
    let first = with_macs("S1", &["aa:bb", "cc:dd"]);
    app.post("/Devices", &first).await.expect(201);
    let second = with_macs("S2", &["ee:ff", "CC:DD"]);
    let refused = app.post("/Devices", &second).await;
    let refused = refused.expect_error(409, "uniqueness");
    assert!(refused["detail"].as_str().unwrap().contains("macs.value"));
    app.post("/Devices", &with_macs("S2", &["ee:ff"]))
        .await
        .expect(201);
    // The same value twice in one resource counts once.
    let mut twice = with_macs("S3", &["11:22"]);
    twice["macs"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "value": "11:22", "type": "other" }));
    app.post("/Devices", &twice).await.expect(201);
    app.post("/Devices", &device("S1"))
        .await
        .expect_error(409, "uniqueness");
    let listed = app
        .list("/Devices", &[("filter", "macs.value eq \"cc:dd\"")])
        .await;
    assert_eq!(listed.resources[0]["serial"], "S1");
    assert_eq!(listed.resources[0]["schemas"], json!([DEVICE, WARRANTY]));
});

// R7643-2.5-01, R7643-2.5-02
both_typed!(null_and_empty_values_are_absent, |app| async move {
    let desk = json!({ "building": null, "tags": [], "room": {}, "seat": 1 });
    let (path, created) = create_with_desk(&app, "ada@x.example", desk).await;
    assert_eq!(created[DESK], json!({ "seat": 1 }));
    assert!(app.find_users(&format!("{DESK}:tags pr")).await.is_empty());
    let left = set(&app, &path, "seat", Value::Null).await.expect(200);
    assert_eq!(left["schemas"], json!([sample::USER]));
});
