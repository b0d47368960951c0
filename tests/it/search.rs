//! Queries by POST and of all resource types (RFC 7644 sections 3.4.2.1 and 3.4.3).

use serde_json::{Value, json};

use crate::harness::{Client, both, sample, texts, with_query};

const URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

fn request(mut members: Value) -> Value {
    members["schemas"] = json!([URN]);
    members
}

async fn search(client: &Client, endpoint: &str, members: Value) -> Value {
    let path = format!("{endpoint}/.search");
    client.post(&path, &request(members)).await.expect(200)
}

async fn some(client: &Client) {
    for (name, title) in [("ada", "Countess"), ("bob", "Baker"), ("eve", "Baker")] {
        let mut user = sample::user(name);
        (user["title"], user["displayName"]) = (json!(title), json!(name.to_uppercase()));
        client.post("/Users", &user).await.expect(201);
    }
    for name in ["Bakers", "Dancers"] {
        client.create_group(name, &[]).await;
    }
}

fn names(list: &Value) -> Vec<String> {
    texts(list["Resources"].as_array().expect("a page"), "displayName")
}

// R7644-3.4.3-01, R7644-3.4.3-02, R7644-3.4.3-03, R7644-3.4.3-04, R9865-3-01
both!(a_search_equals_the_same_query, |app| async move {
    some(&app).await;
    for (members, query) in [
        (json!({}), vec![]),
        (
            json!({ "filter": r#"title eq "baker""#, "attributes": ["userName", "title"] }),
            vec![
                ("filter", r#"title eq "baker""#),
                ("attributes", "userName,title"),
            ],
        ),
        (
            json!({ "excludedAttributes": "emails,name", "sortBy": "title", "sortOrder": "descending" }),
            vec![
                ("excludedAttributes", "emails,name"),
                ("sortBy", "title"),
                ("sortOrder", "descending"),
            ],
        ),
        (
            json!({ "startIndex": 2, "count": 1, "filter": null, "attributes": [] }),
            vec![("startIndex", "2"), ("count", "1")],
        ),
        (json!({ "COUNT": 0 }), vec![("count", "0")]),
    ] {
        let found = search(&app, "/Users", members).await;
        let same = app.get(&with_query("/Users", &query)).await.expect(200);
        assert_eq!(found, same, "{query:?}");
    }
    let first = search(&app, "/Users", json!({ "cursor": "", "count": 2 })).await;
    assert_eq!(names(&first), ["ADA", "BOB"]);
    let next = json!({ "cursor": first["nextCursor"], "count": 2 });
    assert_eq!(names(&search(&app, "/Users", next).await), ["EVE"]);
});

// R7644-3.4.3-02, R7644-3.4.3-03, R9865-3-01
both!(an_invalid_search_is_rejected, |app| async move {
    let strict = app.strict().await;
    for (body, scim_type) in [
        (json!({}), "invalidSyntax"),
        (json!({ "schemas": [] }), "invalidSyntax"),
        (json!({ "schemas": URN }), "invalidSyntax"),
        (
            json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"] }),
            "invalidSyntax",
        ),
        (request(json!({ "startIndex": "1" })), "invalidValue"),
        (
            request(json!({ "cursor": "", "count": "2" })),
            "invalidCount",
        ),
    ] {
        for path in ["/Users/.search", "/Groups/.search", "/.search"] {
            strict.post(path, &body).await.expect_error(400, scim_type);
        }
    }
    for (body, scim_type) in [
        (json!([]), "invalidSyntax"),
        (request(json!({ "filter": 5 })), "invalidSyntax"),
        (request(json!({ "filter": " " })), "invalidFilter"),
        (request(json!({ "filter": "userName" })), "invalidFilter"),
        (request(json!({ "attributes": [5] })), "invalidSyntax"),
        (
            request(json!({ "attributes": { "a": 1 } })),
            "invalidSyntax",
        ),
        (
            request(json!({ "attributes": ["a"], "excludedAttributes": ["b"] })),
            "invalidValue",
        ),
        (request(json!({ "startIndex": "one" })), "invalidValue"),
        (request(json!({ "startIndex": 1.5 })), "invalidValue"),
        (request(json!({ "count": "1.5" })), "invalidValue"),
        (request(json!({ "filters": "userName pr" })), "invalidValue"),
        (request(json!({ "$filter": "userName pr" })), "invalidValue"),
        (
            request(json!({ "filter": "userName pr", "Filter": "title pr" })),
            "invalidValue",
        ),
        (request(json!({ "count": true })), "invalidValue"),
        (request(json!({ "sortBy": ["userName"] })), "invalidSyntax"),
        (
            request(json!({ "sortBy": "userName", "sortOrder": "up" })),
            "invalidValue",
        ),
        (request(json!({ "cursor": 5 })), "invalidSyntax"),
        (
            request(json!({ "cursor": "", "count": "two" })),
            "invalidCount",
        ),
        (request(json!({ "cursor": "garbage" })), "invalidCursor"),
        (
            request(json!({ "cursor": "", "startIndex": 1 })),
            "invalidCursor",
        ),
    ] {
        for path in ["/Users/.search", "/Groups/.search", "/.search"] {
            app.post(path, &body).await.expect_error(400, scim_type);
            strict.post(path, &body).await.expect_error(400, scim_type);
        }
    }
    // Parameters in the URL would be ignored.
    for query in ["filter=userName%20eq%20%22ada%22", "count=1", "foo=x"] {
        for path in ["/Users/.search", "/.search"] {
            let path = format!("{path}?{query}");
            let reply = app.post(&path, &request(json!({}))).await;
            reply.expect_error(400, "invalidValue");
        }
    }
    for path in ["/Users/.search", "/.search"] {
        let wrong = app.get(path).await;
        assert_eq!(wrong.header("allow"), "POST");
        wrong.expect_error(405, "");
    }
});

both!(a_lenient_search_is_accepted, |app| async move {
    some(&app).await;
    let full = json!({ "filter": r#"title eq "baker""#, "startIndex": 2, "count": 1, "attributes": ["userName", "title"] });
    let expected = search(&app, "/Users", full).await;
    assert_eq!(expected["itemsPerPage"], 1);
    for schemas in [
        Value::Null,
        json!([]),
        json!(URN),
        json!([sample::USER]),
        json!(7),
        json!({}),
    ] {
        let body = json!({
            "schemas": schemas, "FILTER": r#"title eq "baker""#, "startindex": "2", "Count": " 1 ",
            "attributes": ["userName,title"], "sortBy": null, "filter": null,
        });
        let found = app.post("/Users/.search", &body).await.expect(200);
        assert_eq!(found, expected, "{body}");
    }
    let without = json!({ "filter": r#"title eq "baker""#, "count": "", "startIndex": "" });
    for path in [
        "/Users/.search",
        "/.search",
        "/Users/.search?aadOptscim062020",
    ] {
        let found = app.post(path, &without).await.expect(200);
        assert_eq!(found["totalResults"], 2, "{path}");
    }
});

// R7644-3.4.2.1-02, R7644-3.4.2.2-30, R7644-3.4.3-05
both!(the_root_endpoint_searches_every_type, |app| async move {
    some(&app).await;
    let all = search(&app, "", json!({ "sortBy": "displayName" })).await;
    assert_eq!(names(&all), ["ADA", "Bakers", "BOB", "Dancers", "EVE"]);
    assert_eq!(all["totalResults"], 5);
    let mut kinds = Vec::new();
    for resource in all["Resources"].as_array().unwrap() {
        let kind = resource["meta"]["resourceType"].as_str().unwrap();
        let urn = format!("urn:ietf:params:scim:schemas:core:2.0:{kind}");
        assert!(
            resource["schemas"]
                .as_array()
                .unwrap()
                .contains(&json!(urn))
        );
        kinds.push(kind);
    }
    assert_eq!(kinds, ["User", "Group", "User", "Group", "User"]);
    // An attribute that a type does not have has no value there.
    for (filter, expected) in [
        (r#"displayName sw "b""#, vec!["BOB", "Bakers"]),
        (r#"userName eq "ada""#, vec!["ADA"]),
        ("userName pr", vec!["ADA", "BOB", "EVE"]),
        ("not (userName pr)", vec!["Bakers", "Dancers"]),
        (r#"title ne "baker""#, vec!["ADA", "Bakers", "Dancers"]),
        ("title eq null", vec![]),
        (r#"meta.resourceType eq "Group""#, vec!["Bakers", "Dancers"]),
        (r#"emails[type eq "work"]"#, vec!["ADA", "BOB", "EVE"]),
        ("shoeSize pr", vec![]),
    ] {
        let found = search(&app, "", json!({ "filter": filter })).await;
        assert_eq!(names(&found), expected, "{filter}");
        for root in ["", "/"] {
            let same = app
                .get(&with_query(root, &[("filter", filter)]))
                .await
                .expect(200);
            assert_eq!(same, found, "{filter}");
        }
    }
    for bad in ["userName", "active gt true", "password pr"] {
        let refused = app
            .post("/.search", &request(json!({ "filter": bad })))
            .await;
        refused.expect_error(400, "invalidFilter");
    }
    for by in [
        None,
        Some("displayName"),
        Some("userName"),
        Some("meta.resourceType"),
    ] {
        let whole = search(&app, "", json!({ "sortBy": by })).await;
        let (mut by_index, mut by_cursor, mut cursor) = (Vec::new(), Vec::new(), json!(""));
        for start in [1, 3, 5] {
            let members = json!({ "sortBy": by, "startIndex": start, "count": 2 });
            by_index.extend(names(&search(&app, "", members).await));
        }
        while !cursor.is_null() {
            let members = json!({ "sortBy": by, "cursor": cursor, "count": 2 });
            let page = search(&app, "", members).await;
            by_cursor.extend(names(&page));
            cursor = page["nextCursor"].clone();
        }
        assert_eq!(
            (&by_index, &by_cursor),
            (&names(&whole), &names(&whole)),
            "{by:?}"
        );
    }
});
