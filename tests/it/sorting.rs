//! `sortBy` and `sortOrder` (RFC 7644 section 3.4.2.3). A test of the store checks that SQL and the
//! core order alike.

use serde_json::json;

use crate::harness::{both, sample, texts, with_query};

const NAMES: [&str; 5] = ["Émile", "adam", "Zoë", "ångström", "Bert"];

async fn sorted(client: &crate::harness::Client, parameters: &[(&str, &str)]) -> Vec<String> {
    texts(
        &client.list("/Users", parameters).await.resources,
        "userName",
    )
}

// R7644-3.4.2.3-01, R7644-3.4.2.3-02, R7644-3.4.2.3-05, R7644-3.4.2.3-07
both!(lists_are_sorted_as_requested, |app| async move {
    for name in NAMES {
        let mut user = sample::user(name);
        user["externalId"] = json!(name);
        app.post("/Users", &user).await.expect(201);
    }
    let up = ["adam", "Bert", "Zoë", "ångström", "Émile"];
    let mut down = up;
    down.reverse();
    for by in [
        "userName",
        "USERNAME",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    ] {
        assert_eq!(sorted(&app, &[("sortBy", by)]).await, up, "{by}");
    }
    for (order, expected) in [
        ("ascending", up),
        ("Ascending", up),
        ("descending", down),
        ("DESCENDING", down),
        ("", up),
    ] {
        let query = [("sortBy", "userName"), ("sortOrder", order)];
        assert_eq!(sorted(&app, &query).await, expected, "{order}");
    }
    // In a case-sensitive attribute, capitals come first.
    let exact = ["Bert", "Zoë", "adam", "Émile", "ångström"];
    assert_eq!(sorted(&app, &[("sortBy", "externalId")]).await, exact);
    // The order of creation, as without sorting.
    for query in [
        &[("sortBy", "meta.created")][..],
        &[("sortBy", "")],
        &[("sortOrder", "descending")],
    ] {
        assert_eq!(sorted(&app, query).await, NAMES, "{query:?}");
    }
    let page = |start: &'static str| {
        [
            ("sortBy", "userName"),
            ("count", "2"),
            ("startIndex", start),
        ]
    };
    assert_eq!(sorted(&app, &page("1")).await, up[..2]);
    assert_eq!(sorted(&app, &page("3")).await, up[2..4]);
    assert_eq!(sorted(&app, &page("5")).await, up[4..]);
    let config = app.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(config["sort"], json!({ "supported": true }));
});

// R7644-3.4.2.3-03, R7644-3.4.2.3-04, R7644-3.4.2.3-06
both!(
    sorting_uses_the_primary_value_and_puts_missing_values_last,
    |app| async move {
        for (name, emails) in [
            ("none", json!([])),
            ("third", json!([{ "value": "c@x" }, { "value": "a@x" }])),
            (
                "first",
                json!([{ "value": "z@x" }, { "value": "A@x", "primary": true }]),
            ),
            ("second", json!([{ "type": "work" }, { "value": "b@x" }])),
            ("also none", json!([{ "type": "work" }])),
        ] {
            app.post("/Users", &json!({ "userName": name, "emails": emails }))
                .await
                .expect(201);
        }
        let up = ["first", "second", "third", "none", "also none"];
        let mut down = up;
        down.reverse();
        for by in ["emails", "emails.value"] {
            assert_eq!(sorted(&app, &[("sortBy", by)]).await, up, "{by}");
            let query = [("sortBy", by), ("sortOrder", "descending")];
            assert_eq!(sorted(&app, &query).await, down, "{by}");
        }
        // Equal and missing values are in the order of ids, so that pages do not overlap.
        let mut found = Vec::new();
        for start in ["1", "3", "5"] {
            let query = [("sortBy", "title"), ("startIndex", start), ("count", "2")];
            found.extend(sorted(&app, &query).await);
        }
        assert_eq!(found, ["none", "third", "first", "second", "also none"]);
    }
);

// R7644-3.4.2.3-02, R7644-3.4.2.3-03, R7644-3.4.2.3-06
both!(an_invalid_order_is_rejected, |app| async move {
    for (by, order) in [
        ("userName", "sideways"),
        ("", "sideways"),
        ("shoeSize", ""),
        ("name", ""),
        ("password", ""),
        ("department", ""),
        ("userName,displayName", ""),
    ] {
        let path = with_query("/Users", &[("sortBy", by), ("sortOrder", order)]);
        app.get(&path).await.expect_error(400, "invalidValue");
    }
});
