//! Filters and pages over HTTP (RFC 7644 section 3.4.2). Property tests elsewhere check that SQL
//! and the core agree on every filter; these tests are filters as clients write them.

mod lists;
mod undeclared;

use serde_json::{Value, json};

use crate::harness::{
    Client, Database, Server, both, both_alone, id, percent_encode, sample, texts, with_query,
};

/// Creates five users who differ in what filters ask for.
async fn staff(client: &Client) {
    let people = [
        json!({ "userName": "Ada", "displayName": "Ada Byron", "title": "Countess", "active": true, "externalId": "00uA",
            "name": { "familyName": "Byron", "givenName": "Ada" },
            "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }, { "value": "ada@home.example", "type": "home" }],
            sample::ENTERPRISE: { "department": "Looms", "employeeNumber": "10" } }),
        json!({ "userName": "bob", "displayName": "Bob O'Hara", "active": false,
            "name": { "familyName": "O'Hara", "givenName": "Bob" },
            "emails": [{ "value": "bob@example.com", "type": "home" }] }),
        json!({ "userName": "Çelik", "displayName": "Zoë Çelik", "active": true,
            "emails": [{ "value": "zoe@example.com", "type": "work" }, { "value": "ada@example.com", "type": "other" }] }),
        json!({ "userName": "dot.com+tag@example.com", "displayName": "quo\"te \\ slash", "title": "a (b) [c] and d", "active": true }),
        json!({ "userName": "eve" }),
    ];
    for person in people {
        client.post("/Users", &person).await.expect(201);
    }
}

const ALL: [&str; 5] = ["Ada", "bob", "Çelik", "dot.com+tag@example.com", "eve"];

// L-12, R7643-2.4-02, R7644-3.10-01, R7644-3.4.2-02, R7644-3.4.2.2-01, R7644-3.4.2.2-02,
// R7644-3.4.2.2-04, R7644-3.4.2.2-06, R7644-3.4.2.2-07, R7644-3.4.2.2-08, R7644-3.4.2.2-11,
// R7644-3.4.2.2-12, R7644-3.4.2.2-13, R7644-3.4.2.2-20, R7644-3.4.2.2-21, R7644-3.4.2.2-22,
// R7644-3.4.2.2-23, R7644-3.4.2.2-24, R7644-3.4.2.2-26, R7644-3.4.2.2-27, R7644-3.4.2.2-28,
// R7644-3.4.2.2-29, R7644-3.4.2.2-32, R7644-3.4.2.2-33, R7644-3.4.2.2-34, R7644-7.7-01,
// RINTEROP-5.2-01, RINTEROP-6.3-01, RIPSIE-5.4-01
both!(filters_match_the_expected_users, |app| async move {
    staff(&app).await;
    let [ada, bob, celik, dot, eve] = ALL;
    let rows: Vec<(&str, Vec<&str>)> = vec![
        (r#"userName eq "ADA""#, vec![ada]),
        (r#"USERNAME Eq "ada""#, vec![ada]),
        (
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "a""#,
            vec![ada],
        ),
        (r#"userName eq "çELIK""#, vec![celik]),
        (r#"userName ne "ada""#, vec![bob, celik, dot, eve]),
        (r#"userName co "O""#, vec![bob, dot]),
        (r#"userName ew ".COM""#, vec![dot]),
        (r#"userName ge "bob" and userName lt "e""#, vec![bob, dot]),
        (r#"userName eq "dot.com+tag@example.com""#, vec![dot]),
        (r#"displayName eq "quo\"te \\ slash""#, vec![dot]),
        (r#"displayName eq "Bob O'Hara""#, vec![bob]),
        (r#"displayName eq "Zo\u00eb \u00c7elik""#, vec![celik]),
        (r#"title eq "a (b) [c] and d""#, vec![dot]),
        (r#"externalId eq "00uA""#, vec![ada]),
        (r#"externalId eq "00ua""#, vec![]),
        ("externalId pr", vec![ada]),
        ("not (externalId pr)", vec![bob, celik, dot, eve]),
        ("title eq null", vec![bob, celik, eve]),
        ("title ne null", vec![ada, dot]),
        ("active eq true", vec![ada, celik, dot, eve]),
        ("active eq false", vec![bob]),
        ("active ne true", vec![bob]),
        ("active pr", vec![ada, bob, celik, dot, eve]),
        (r#"emails eq "ada@example.com""#, vec![ada, celik]),
        (r#"emails.value eq "ADA@example.com""#, vec![ada, celik]),
        (
            r#"emails.type eq "work" and emails.value co "home""#,
            vec![ada],
        ),
        (r#"emails[type eq "work" and value co "home"]"#, vec![]),
        (r#"emails[type eq "work" and value co "ada"]"#, vec![ada]),
        (
            r#"emails[type eq "work"].value eq "ada@example.com""#,
            vec![ada],
        ),
        ("emails[primary eq true]", vec![ada]),
        ("emails[primary eq false]", vec![ada, bob, celik]),
        ("emails pr", vec![ada, bob, celik]),
        (r#"name.familyName eq "o'hara""#, vec![bob]),
        ("name pr", vec![ada, bob]),
        (
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "looms""#,
            vec![ada],
        ),
        (
            r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
            vec![ada],
        ),
        (
            r#"userName eq "ada" or userName eq "bob" and active eq true"#,
            vec![ada],
        ),
        (
            r#"(userName eq "ada" or userName eq "bob") and active eq false"#,
            vec![bob],
        ),
        (
            r#"userName eq "eve" or emails.value eq "bob@example.com""#,
            vec![bob, eve],
        ),
        (
            r#"not(userName sw "a") and not (active eq false)"#,
            vec![celik, dot, eve],
        ),
        (r#"meta.created gt "2020-01-01T00:00:00Z""#, ALL.to_vec()),
        (
            r#"meta.lastModified lt "2020-01-01T01:00:00+01:00""#,
            vec![],
        ),
        (r#"meta.resourceType eq "User""#, ALL.to_vec()),
        (r#"userName   eq    "eve""#, vec![eve]),
        (r#"userName eq "%' OR 1=1 --""#, vec![]),
        (r#"userName co "%""#, vec![]),
        (r#"userName co "_""#, vec![]),
    ];
    for (filter, mut expected) in rows {
        let mut found = app.find_users(filter).await;
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter}");
    }
});

// R7643-3.1-03, R7644-3.4.2.2-33
both!(filters_match_on_id, |app| async move {
    let user = app.create_user("ada@example.com").await;
    app.create_user("bob@example.com").await;
    let found = app.find_users(&format!("id eq \"{}\"", id(&user))).await;
    assert_eq!(found, ["ada@example.com"]);
    let upper = id(&user).to_uppercase();
    assert!(
        app.find_users(&format!("id eq \"{upper}\""))
            .await
            .is_empty()
    );
});

// L-10, L-16, R7644-3.4.2.2-12
both!(a_space_may_be_plus_or_percent_20, |app| async move {
    staff(&app).await;
    for query in [
        "filter=userName%20eq%20%22Ada%22",
        "filter=userName+eq+%22ada%22",
        "filter=userName+eq%20\"ada\"",
        "startIndex=1&filter=userName%20eq%20%22ada%22&count=100",
        "unknown&filter=userName+eq+%22ada%22",
    ] {
        let page = app.get(&format!("/Users?{query}")).await.page();
        assert_eq!(texts(&page.resources, "userName"), ["Ada"], "{query}");
    }
    let plus = "filter=userName+eq+%22dot.com%2Btag%40example.com%22";
    let page = app.get(&format!("/Users?{plus}")).await.page();
    assert_eq!(page.total, 1);
});

// R7643-4.1.1-11, R7644-3.10-02, R7644-3.4.2.2-03, R7644-3.4.2.2-05, R7644-3.4.2.2-06,
// R7644-3.4.2.2-07, R7644-3.4.2.2-11, R7644-3.4.2.2-14, R7644-3.4.2.2-15, R7644-3.4.2.2-24,
// R7644-3.4.2.2-25, R7644-3.4.2.2-28, R7644-3.4.2.2-31, R7644-3.4.2.2-36, RINTEROP-6.3-01
both!(malformed_filters_are_rejected, |app| async move {
    staff(&app).await;
    let deep = format!("{}userName pr{}", "(".repeat(60), ")".repeat(60));
    let long = format!("userName eq \"{}\"", "x".repeat(20_000));
    for filter in [
        "",
        " ",
        "userName",
        "userName eq",
        r#"userName eq "ada"#,
        r#"userName regex "a""#,
        r#"not userName eq "a""#,
        r#"userName eq "a" and"#,
        r#"(userName eq "a""#,
        r#"userName eq "a")"#,
        r#"userName pr "a""#,
        r#"emails[type eq "work""#,
        r#"emails[emails[type eq "work"]]"#,
        r#"shoeSize eq "43""#,
        r#"department eq "Looms""#,
        r#"password eq "secret""#,
        r#"password pr"#,
        "active gt true",
        r#"active eq "x y""#,
        r#"userName eq "\ud800""#,
        r#"userName eq "\q""#,
        "userName eq \"\u{0}\"",
        r#"userName eq "\u0000""#,
        r#"name eq "x""#,
        r#"userName eq {"a":1}"#,
        &deep,
        &long,
    ] {
        let path = with_query("/Users", &[("filter", filter)]);
        let refused = app.get(&path).await;
        refused.expect_error(400, "invalidFilter");
    }
});

// R7644-3.4.2.2-05
both!(
    a_filter_error_includes_the_position_of_the_fault,
    |app| async move {
        let path = with_query("/Users", &[("filter", r#"userName eq "a" nor active pr"#)]);
        let error = app.get(&path).await.expect_error(400, "invalidFilter");
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.chars().any(|letter| letter.is_ascii_digit()),
            "{detail}"
        );
    }
);

// R7644-3.4.2-02, R7644-3.4.2.4-05
both!(
    malformed_queries_are_rejected_or_ignored,
    |app| async move {
        app.get("/Users?filter=%FF")
            .await
            .expect_error(400, "invalidFilter");
        let bad_utf8 = "filter=userName%20eq%20%22%C3%28%22";
        let no_match = app.get(&format!("/Users?{bad_utf8}")).await;
        assert_eq!(no_match.page().total, 0);
        for query in ["", "&", "foo=", "foo", "=", "count=", "startIndex="] {
            app.get(&format!("/Users?{query}")).await.page();
        }
    }
);

// R7644-3.4.2.4-01, R7644-3.4.2.4-02, R7644-3.4.2.4-03, R7644-3.4.2.4-04, R7644-3.4.2.4-05,
// R7644-3.4.2.4-06, RINTEROP-6.4-01
both!(page_parameters_are_clamped_or_rejected, |app| async move {
    staff(&app).await;
    let page = async |start: &str, count: &str| {
        let parameters = [("startIndex", start), ("count", count)];
        let page = app.list("/Users", &parameters).await;
        (page.total, page.start, page.resources.len())
    };
    assert_eq!(page("1", "2").await, (5, 1, 2));
    assert_eq!(page("5", "2").await, (5, 5, 1));
    assert_eq!(page("6", "2").await, (5, 6, 0));
    assert_eq!(page("1000000", "2").await, (5, 1_000_000, 0));
    assert_eq!(page("0", "2").await, (5, 1, 2));
    assert_eq!(page("-3", "2").await, (5, 1, 2));
    assert_eq!(page("1", "0").await, (5, 1, 0));
    assert_eq!(page("1", "-1").await, (5, 1, 0));
    assert_eq!(page("1", "100000").await, (5, 1, 5));
    for (start, count) in [("1", "abc"), ("1.5", "2"), ("1", "1e3"), ("x", "2")] {
        let path = with_query("/Users", &[("startIndex", start), ("count", count)]);
        app.get(&path).await.expect_error(400, "invalidValue");
    }
    let huge = "9".repeat(40);
    for parameters in [
        [("startIndex", huge.as_str()), ("count", "1")],
        [("startIndex", "1"), ("count", &huge)],
    ] {
        let reply = app.get(&with_query("/Users", &parameters)).await;
        assert!(reply.status == 200 || reply.status == 400, "{reply:?}");
    }
});

// R7644-3.4.2.3-06, R7644-3.4.2.4-02
both!(
    pages_return_everything_once_in_a_stable_order,
    |app| async move {
        for number in 0..23 {
            app.create_user(&format!("p{number:02}@example.com")).await;
        }
        let whole = app.list("/Users", &[]).await;
        assert_eq!((whole.total, whole.resources.len()), (23, 23));
        for count in [1, 7, 23, 50] {
            let mut ids = Vec::new();
            while ids.len() < 23 {
                let start = ids.len() + 1;
                let parameters = [
                    ("startIndex", &*start.to_string()),
                    ("count", &*count.to_string()),
                ];
                let page = app.list("/Users", &parameters).await;
                assert_eq!(page.total, 23);
                ids.extend(page.ids());
            }
            assert_eq!(ids, whole.ids(), "pages of {count}");
        }
        // A client may start at any index, and go back.
        for start in [20, 3, 11, 3] {
            let parameters = [("startIndex", &*start.to_string()), ("count", "4")];
            let page = app.list("/Users", &parameters).await;
            assert_eq!(page.ids(), whole.ids()[start - 1..start + 3]);
        }
    }
);

both!(filtered_pages_return_everything_once, |app| async move {
    for number in 0..12 {
        let mut user = sample::user(&format!("p{number:02}@example.com"));
        user["title"] = json!(if number % 2 == 0 { "even" } else { "odd" });
        user["active"] = json!(number % 3 == 0);
        app.post("/Users", &user).await.expect(201);
    }
    // A filter on columns, one that only the documents can answer, and a mixed one.
    for (filter, total) in [
        ("active eq true", 4),
        (r#"title eq "even""#, 6),
        (r#"title eq "even" and active eq true"#, 2),
    ] {
        let mut names = Vec::new();
        loop {
            let start = (names.len() + 1).to_string();
            let parameters = [
                ("filter", filter),
                ("startIndex", start.as_str()),
                ("count", "2"),
            ];
            let page = app.list("/Users", &parameters).await;
            assert_eq!(page.total, total, "{filter}");
            if page.resources.is_empty() {
                break;
            }
            names.extend(texts(&page.resources, "userName"));
        }
        let mut whole = app.find_users(filter).await;
        assert_eq!(names, whole, "{filter}");
        whole.dedup();
        assert_eq!(u64::try_from(whole.len()).unwrap(), total, "{filter}");
    }
});

// L-10, RINTEROP-6.4-01, RIPSIE-6.1.5-01
both!(a_page_can_contain_a_hundred_resources, |app| async move {
    for number in 0..120 {
        let group = json!({ "displayName": format!("g{number:03}") });
        app.post("/Groups", &group).await.expect(201);
    }
    let parameters = [("startIndex", "1"), ("count", "100")];
    let page = app.list("/Groups", &parameters).await;
    assert_eq!((page.total, page.resources.len()), (120, 100));
    let asked = percent_encode(r#"displayName eq "G007""#);
    let page = app
        .get(&format!("/Groups?filter={asked}&startIndex=1&count=100"))
        .await
        .page();
    let names: Vec<&Value> = page
        .resources
        .iter()
        .map(|group| &group["displayName"])
        .collect();
    assert_eq!(names, ["g007"]);
});

// R7644-3.4.2.1-01
both_alone!(
    an_unindexed_filter_stops_at_the_scan_limit,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--scan-limit", "10"], &[]);
        let client = server.admin();
        for number in 0..15 {
            let mut user = sample::user(&format!("p{number}@example.com"));
            user["title"] = json!("Dr.");
            client.post("/Users", &user).await.expect(201);
        }
        let scan = with_query("/Users", &[("filter", r#"title eq "dr.""#)]);
        client.get(&scan).await.expect_error(400, "tooMany");
        // An indexed attribute narrows the scan.
        let both = r#"title eq "dr." and userName eq "p3@example.com""#;
        assert_eq!(client.find_users(both).await, ["p3@example.com"]);
        assert_eq!(client.find_users(r#"userName sw "p1""#).await.len(), 6);
    }
);
