//! Filters on extensions without a schema, and on misspelled URNs.

use serde_json::json;

use crate::harness::{TestApp, both, both_typed, id, sample, texts, with_query};

const ACME: &str = "urn:acme:directory:2.0:Staff";

async fn staff(app: &TestApp) {
    let people = [
        (
            "ada",
            json!({ ACME: {
                "grade": "B7", "level": 7, "remote": true, "projects": ["loom", "Engine"],
                "posts": [
                    { "type": "main", "value": "London", "tags": ["a", "b"] },
                    { "type": "side", "value": "Turin" },
                ],
                "office": { "floor": 2, "doors": ["north", "south"] },
            } }),
        ),
        (
            "bob",
            // Another client spells the names differently.
            json!({ ACME.to_uppercase(): { "Grade": "b7", "LEVEL": 3, "projects": "loom", "posts": [{ "Type": "main" }] } }),
        ),
        ("cyd", json!({ "urn:acme:other": { "grade": "B7" } })),
        ("dot", json!({})),
    ];
    for (name, extensions) in people {
        let mut user = sample::user(name);
        for (urn, extension) in extensions.as_object().unwrap() {
            user[urn] = extension.clone();
        }
        app.post("/Users", &user).await.expect(201);
    }
}

/// Filters, in which `%` stands for the URN and its colon, and the users that they match.
const ROWS: &[(&str, &[&str])] = &[
    (r#"%grade eq "B7""#, &["ada"]),
    (r#"%GRADE eq "b7""#, &["bob"]),
    (r#"%grade ne "B7""#, &["bob", "cyd", "dot"]),
    (r#"%grade sw "B""#, &["ada"]),
    (r#"%grade co "7""#, &["ada", "bob"]),
    (r#"%grade gt "B7""#, &["bob"]),
    ("%grade pr", &["ada", "bob"]),
    ("not (%grade pr)", &["cyd", "dot"]),
    ("%grade eq null", &["cyd", "dot"]),
    ("%level eq 7", &["ada"]),
    ("%level lt 7", &["bob"]),
    (r#"%level eq "7""#, &[]),
    ("%remote eq true", &["ada"]),
    ("%remote eq false", &[]),
    (r#"%projects eq "loom""#, &["ada", "bob"]),
    (r#"%projects ne "loom""#, &["ada", "cyd", "dot"]),
    (r#"%projects[value eq "Engine"]"#, &["ada"]),
    (r#"%projects[value eq "engine"]"#, &[]),
    (r#"%posts[type eq "main"]"#, &["ada", "bob"]),
    (r#"%posts[type eq "main" and value sw "L"]"#, &["ada"]),
    (r#"%posts[type eq "main" and value sw "T"]"#, &[]),
    (r#"%posts[tags eq "a" and tags eq "b"]"#, &["ada"]),
    (r#"%posts[type eq "main"].value eq "London""#, &["ada"]),
    (r#"%posts.value eq "Turin""#, &["ada"]),
    (r#"%posts eq "Turin""#, &["ada"]),
    ("%office.floor ge 2", &["ada"]),
    (r#"%office.doors eq "south""#, &["ada"]),
    (r#"%office.doors[value eq "south"]"#, &["ada"]),
    (r#"userName eq "bob" or %level eq 7"#, &["ada", "bob"]),
    (r#"userName eq "bob" and %level eq 7"#, &[]),
    ("urn:acme:unused:any pr", &[]),
];

both!(
    filters_match_extensions_without_a_schema,
    |app| async move {
        staff(&app).await;
        for (filter, expected) in ROWS {
            let filter = filter.replace('%', &format!("{ACME}:"));
            let mut found = app.find_users(&filter).await;
            found.sort();
            assert_eq!(&found, expected, "{filter}");
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                "filter": filter,
            });
            let reply = app.post("/Users/.search", &body).await;
            let page = reply.page();
            assert_eq!(page.resources.len(), expected.len(), "{filter}");
        }
        for (filter, _) in ROWS.iter().filter(|(filter, _)| filter.starts_with('%')) {
            let filter = filter.replace('%', &format!("{ACME}:"));
            app.set(&json!({ "compatibility": "strict" })).await;
            let path = with_query("/Users", &[("filter", &filter)]);
            app.get(&path).await.expect_error(400, "invalidFilter");
            app.set(&json!({ "compatibility": "tolerant" })).await;
        }
        // The value has no declared type to order it by.
        let path = with_query("/Users", &[("sortBy", &format!("{ACME}:grade"))]);
        app.get(&path).await.expect_error(400, "invalidValue");
    }
);

both_typed!(
    every_type_can_be_filtered_by_undeclared_extensions,
    |app| async move {
        let mut group = sample::group("Team", &[]);
        group[ACME] = json!({ "grade": "B7" });
        app.post("/Groups", &group).await.expect(201);
        app.create_group("Others", &[]).await;
        let filter = format!(r#"{ACME}:grade eq "B7""#);
        assert_eq!(app.find_groups(&filter).await, ["Team"]);

        let mut device = crate::types::device("S1");
        device[ACME] = json!({ "grade": ["A1", "B7"] });
        app.post("/Devices", &device).await.expect(201);
        app.post("/Devices", &crate::types::device("S2"))
            .await
            .expect(201);
        let found = app.list("/Devices", &[("filter", &filter)]).await;
        assert_eq!(texts(&found.resources, "serial"), ["S1"]);

        // A query over all resource types at once.
        staff(&app).await;
        let search = async |filter: &str| {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
                "filter": filter,
            });
            app.post("/.search", &body).await.page().resources.len()
        };
        assert_eq!(search(&filter).await, 3);
        let purpose = format!(r#"{}:purpose eq "Work""#, crate::types::PURPOSE);
        assert_eq!(search(&purpose).await, 0);
    }
);

both!(
    a_limited_token_filters_by_a_readable_extension,
    |app| async move {
        staff(&app).await;
        let filter = format!(r#"{ACME}:posts[type eq "main"] and {ACME}:grade eq "B7""#);
        let all = app.limited(&["userName", ACME]).await;
        assert_eq!(all.find_users(&filter).await, ["ada"]);
        for fields in [["userName", "name"], ["userName", "urn:acme:other"]] {
            let some = app.limited(&fields).await;
            let path = with_query("/Users", &[("filter", &filter)]);
            some.get(&path).await.expect_error(403, "");
        }
    }
);

both!(a_misspelled_urn_is_reported, |app| async move {
    let mut ada = sample::user("ada");
    ada[sample::ENTERPRISE] = json!({ "department": "Looms", "manager": { "value": "m1" } });
    let ada = app.post("/Users", &ada).await.expect(201);
    let refused = async |filter: &str, detail: &str| {
        let path = with_query("/Users", &[("filter", filter)]);
        let error = app.get(&path).await.expect_error(400, "invalidFilter");
        let found = error["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{filter}: {found}");
    };
    for near in [
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:Users:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:manager.value",
        sample::ENTERPRISE,
    ] {
        refused(&format!("{near} pr"), sample::ENTERPRISE).await;
        refused(&format!("not ({near} pr)"), sample::ENTERPRISE).await;
    }
    let core = "urn:ietf:params:scim:schemas:core:2.0";
    refused(&format!("{core}:userName pr"), sample::USER).await;
    refused(&format!("{core}:Users:userName pr"), sample::USER).await;

    let dotted = [
        format!(r#"{}.department eq "looms""#, sample::ENTERPRISE),
        format!(r#"{}.userName eq "ADA""#, sample::USER),
        format!(r#"{}.manager eq "m1""#, sample::ENTERPRISE),
        format!("{}.id eq \"{}\"", sample::USER, id(&ada)),
    ];
    for filter in &dotted {
        assert_eq!(app.find_users(filter).await, ["ada"], "{filter}");
    }
    app.set(&json!({ "compatibility": "strict" })).await;
    for filter in &dotted {
        refused(filter, "").await;
    }
});

both!(booleans_compare_with_one_and_zero, |app| async move {
    app.create_user("ada").await;
    let mut bob = sample::user("bob");
    bob["active"] = json!(false);
    bob["emails"] = json!([{ "value": "bob@x.example" }]);
    app.post("/Users", &bob).await.expect(201);
    let rows = [
        ("active eq 1", "ada"),
        ("active eq 0", "bob"),
        (r#"active eq "1""#, "ada"),
        (r#"active ne "1""#, "bob"),
        ("emails[primary eq 0]", "bob"),
    ];
    for (filter, expected) in rows {
        assert_eq!(app.find_users(filter).await, [expected], "{filter}");
    }
    app.set(&json!({ "compatibility": "strict" })).await;
    for (filter, _) in rows {
        let path = with_query("/Users", &[("filter", filter)]);
        app.get(&path).await.expect_error(400, "invalidFilter");
    }
});
