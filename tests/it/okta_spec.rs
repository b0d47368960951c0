//! The rows of Okta's SPEC test suites: the current one, the one of 2019 and the draft of 2023. The
//! suites' time limits are left to the benchmarks, which run on a quiet machine.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, both, id, sample, with_query};

/// The headers that the suite sends with everything except its POSTs; even its GETs have a content
/// type.
const HEADERS: [(&str, &str); 4] = [
    ("accept", "application/scim+json"),
    ("accept-charset", "utf-8"),
    ("content-type", "application/scim+json; charset=utf-8"),
    ("user-agent", "OKTA SCIM Integration"),
];
const NAME: &str = "Runscope417Qabcdefgh902@atko.com";

async fn ask(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
    client.send(method, path, &HEADERS, bytes).await
}

async fn get(client: &Client, path: &str) -> Reply {
    ask(client, Method::GET, path, None).await
}

fn lookup(user_name: &str) -> String {
    with_query(
        "/Users",
        &[("filter", &format!("userName eq \"{user_name}\""))],
    )
}

fn body() -> Value {
    json!({
        "schemas": [sample::USER],
        "userName": NAME,
        "name": { "givenName": "Runscope417", "familyName": "Qabcdefgh902" },
        "emails": [{ "primary": true, "value": NAME, "type": "work" }],
        "displayName": "Runscope417 Qabcdefgh902",
        "active": true
    })
}

fn has_essentials(user: &Value) {
    for path in [
        "/id",
        "/name/familyName",
        "/name/givenName",
        "/userName",
        "/emails/0/value",
    ] {
        let text = user.pointer(path).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{path}: {user}");
    }
    assert!(user["active"].is_boolean());
}

/// Runs rows 6 to 9; returns the user.
async fn create_and_look_up(app: &Client, content_type: &str) -> Value {
    let headers = [
        ("content-type", content_type),
        ("accept", "application/scim+json; charset=utf-8"),
    ];
    let post = || {
        let bytes = body().to_string().into_bytes();
        app.send(Method::POST, "/Users", &headers, bytes)
    };
    let created = post().await.expect(201);
    has_essentials(&created);
    assert_eq!(created["active"], true);
    assert_eq!(created["name"], body()["name"]);
    assert_eq!(created["userName"], NAME);
    assert!(
        created["schemas"]
            .as_array()
            .unwrap()
            .contains(&json!(sample::USER))
    );

    let read = get(app, &format!("/Users/{}", id(&created))).await;
    let read = read.expect(200);
    assert_eq!(
        (&read["userName"], &read["name"]),
        (&created["userName"], &created["name"])
    );
    post().await.expect_error(409, "uniqueness");
    let found = get(app, &lookup(&NAME.to_uppercase())).await.page();
    assert_eq!(found.ids(), [id(&created)]);
    created
}

both!(the_current_suite_passes, |app| async move {
    app.create_user("seed@example.com").await;
    let page = get(&app, "/Users?count=1&startIndex=1").await.page();
    assert_eq!(page.resources.len(), 1);
    has_essentials(&page.resources[0]);
    let first = page.ids().remove(0);
    let read = get(&app, &format!("/Users/{first}")).await.expect(200);
    has_essentials(&read);
    assert_eq!(read["id"], first.as_str());

    assert_eq!(
        get(&app, &lookup("abcdefgh@atko.com")).await.page().total,
        0
    );
    let unknown = get(&app, "/Users/010101001010101011001010101011").await;
    unknown.expect_error(404, "");
    assert_eq!(get(&app, &lookup(NAME)).await.page().total, 0);

    create_and_look_up(&app, "application/json").await;

    let groups = get(&app, "/Groups").await.expect(200);
    assert!(groups["totalResults"] == 0 || groups["Resources"].is_array());
    let stranger = app.authorization("non-token");
    let refused = get(&stranger, &lookup(&NAME.to_uppercase())).await;
    refused.expect_error(401, "");
    let unknown = get(&app, "/Users/00919288221112222").await;
    unknown.expect_error(404, "");
});

both!(the_suite_of_2019_passes, |app| async move {
    let config = get(&app, "/ServiceProviderConfig").await.expect(200);
    let urn = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
    assert_eq!(config["schemas"], json!([urn]));
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        assert!(config[feature]["supported"].is_boolean(), "{feature}");
    }
    for number in [
        "/bulk/maxOperations",
        "/bulk/maxPayloadSize",
        "/filter/maxResults",
    ] {
        assert!(
            config.pointer(number).is_some_and(Value::is_u64),
            "{number}"
        );
    }
    for text in [
        "/authenticationSchemes/0/type",
        "/authenticationSchemes/0/description",
    ] {
        assert!(config.pointer(text).is_some_and(Value::is_string), "{text}");
    }
    let types = get(&app, "/ResourceTypes").await.page();
    for attribute in ["name", "endpoint", "schema"] {
        assert!(types.resources[0][attribute].is_string(), "{attribute}");
    }
    let schemas = get(&app, "/Schemas").await.page();
    assert!(schemas.resources[0]["id"].is_string());
    assert!(schemas.resources[0]["attributes"].is_array());
    // A body that is not JSON: the wrong method is reported first.
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        let bytes = b"test".to_vec();
        let refused = app.send(Method::POST, path, &HEADERS, bytes).await;
        refused.expect_error(405, "");
    }
});

both!(the_draft_of_2023_passes, |app| async move {
    let created = create_and_look_up(&app, "application/scim+json").await;
    let user = id(&created);
    let path = format!("/Users/{user}");
    let mut update = body();
    update["id"] = json!(user);
    update["phoneNumbers"] = json!([{ "value": "555-555-5555", "type": "work" }]);
    let updated = ask(&app, Method::PUT, &path, Some(&update))
        .await
        .expect(200);
    has_essentials(&updated);
    assert_eq!(updated["active"], true);
    assert_eq!(updated["name"], body()["name"]);
    assert_eq!(updated["userName"], NAME);
    assert_eq!(updated["phoneNumbers"], update["phoneNumbers"]);

    get(&app, "/Groups").await.page();
    let members = json!([{ "value": user, "display": NAME }]);
    let group = json!({ "schemas": [sample::GROUP], "displayName": "Test", "members": members });
    let shows_the_member = |group: &Value| {
        assert_eq!(group["members"][0]["value"], user);
        assert_eq!(group["members"][0]["display"], NAME);
        assert_eq!(group["members"].as_array().unwrap().len(), 1);
    };
    let group = ask(&app, Method::POST, "/Groups", Some(&group)).await;
    let group = group.expect(201);
    shows_the_member(&group);
    let path_of_group = format!("/Groups/{}", id(&group));
    shows_the_member(&get(&app, &path_of_group).await.expect(200));

    let remove =
        sample::patch(json!([{ "op": "remove", "path": format!("members[value eq \"{user}\"]") }]));
    let emptied = ask(&app, Method::PATCH, &path_of_group, Some(&remove)).await;
    assert_eq!(emptied.expect(200)["members"], json!([]));
    let add = sample::patch(json!([{ "op": "add", "path": "members", "value": members }]));
    let filled = ask(&app, Method::PATCH, &path_of_group, Some(&add)).await;
    shows_the_member(&filled.expect(200));
    // A body without an id.
    let empty = json!({ "schemas": [sample::GROUP], "displayName": "Test", "members": [] });
    let emptied = ask(&app, Method::PUT, &path_of_group, Some(&empty)).await;
    assert_eq!(emptied.expect(200)["members"], json!([]));
    ask(&app, Method::DELETE, &path_of_group, None)
        .await
        .expect(204);

    let deactivate = sample::patch(json!([{ "op": "replace", "value": { "active": false } }]));
    let inactive = ask(&app, Method::PATCH, &path, Some(&deactivate)).await;
    assert_eq!(inactive.expect(200)["active"], false);
});
