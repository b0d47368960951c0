//! The directory API for applications that do not speak SCIM: users, their groups, and members.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, both, id, sample, texts, with_query};

/// Returns the body of a plain JSON response with an `ETag`.
#[track_caller]
fn plain(reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "private, no-cache");
    reply.body
}

async fn ask(client: &Client, path: &str) -> Value {
    plain(client.site().get(&format!("/directory/v1{path}")).await)
}

async fn expect_refused(client: &Client, path: &str, status: u16) {
    let reply = client.site().get(&format!("/directory/v1{path}")).await;
    reply.expect_error(status, "");
}

/// Returns the user names that a query finds.
async fn users(client: &Client, name: &str, value: &str) -> Vec<String> {
    let found = ask(client, &with_query("/users", &[(name, value)])).await;
    texts(found["users"].as_array().unwrap(), "userName")
}

both!(a_user_is_plain_json, |app| async move {
    let made = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let reader = app.client_with_scopes(&["read"]).await;
    let user = ask(&reader, &format!("/users/{}", id(&made))).await;
    assert_eq!(
        user,
        json!({
            "id": made["id"], "userName": "ada@example.com", "externalId": "00u1a2b3c4D5e6F7g8h9",
            "active": true, "displayName": "Ada King", "givenName": "Ada", "familyName": "King",
            "title": "Countess", "department": "Looms", "employeeNumber": "701984", "managerId": "26118915",
            "emails": [
                { "value": "ada@example.com", "type": "work", "primary": true },
                { "value": "ada@home.example", "type": "home", "primary": false }
            ],
            "phoneNumbers": [
                { "value": "tel:+44-20-1234", "type": "work", "primary": true },
                { "value": "tel:+44-20-5678", "type": "work", "primary": false }
            ],
            "created": made["meta"]["created"], "lastModified": made["meta"]["lastModified"]
        })
    );
    expect_refused(&reader, "/users/nobody", 404).await;
    let group = app.create_group("Surveyors", &[]).await;
    expect_refused(&reader, &format!("/users/{}", id(&group)), 404).await;
    let neighbour = app.neighbour().await;
    expect_refused(&neighbour, &format!("/users/{}", id(&made)), 404).await;
    expect_refused(&app.anonymous(), &format!("/users/{}", id(&made)), 401).await;
    let admin = app.client_with_scopes(&["admin"]).await;
    expect_refused(&admin, &format!("/users/{}", id(&made)), 403).await;
});

both!(each_identifier_finds_the_user, |app| async move {
    for name in ["ada@example.com", "adam@example.com", "bob@example.com"] {
        app.create_user(name).await;
    }
    app.post("/Users", &sample::full_user("countess@example.com"))
        .await
        .expect(201);
    let ada = vec!["ada@example.com".to_owned()];
    assert_eq!(users(&app, "userName", "ADA@example.com").await, ada);
    assert_eq!(users(&app, "externalId", "00u-ada@example.com").await, ada);
    // The comparison of externalId is case-sensitive.
    assert!(
        users(&app, "externalId", "00U-ada@example.com")
            .await
            .is_empty()
    );
    let both = ["ada@example.com", "countess@example.com"];
    assert_eq!(users(&app, "email", "Ada@Example.com").await, both);
    assert!(users(&app, "email", "nobody@example.com").await.is_empty());
    assert!(users(&app, "userName", &"x".repeat(3000)).await.is_empty());
    for query in [
        "",
        "?limit=5",
        "?email=a&userName=b",
        "?email=",
        "?email=a&limit=0",
        "?email=a&limit=201",
        "?email=a&limit=x",
    ] {
        expect_refused(&app, &format!("/users{query}"), 400).await;
    }
    let neighbour = app.neighbour().await;
    assert!(
        users(&neighbour, "userName", "ada@example.com")
            .await
            .is_empty()
    );
});

both!(
    a_search_matches_prefixes_of_names_and_emails,
    |app| async move {
        for name in ["ada@example.com", "adam@example.com", "bob@example.com"] {
            app.create_user(name).await;
        }
        app.post("/Users", &sample::full_user("countess@example.com"))
            .await
            .expect(201);
        let found = users(&app, "prefix", "AD").await;
        assert_eq!(
            found,
            [
                "ada@example.com",
                "countess@example.com",
                "adam@example.com"
            ]
        );
        // The family name that all others share.
        let found = users(&app, "prefix", "byr").await;
        assert_eq!(
            found,
            ["ada@example.com", "adam@example.com", "bob@example.com"]
        );
        assert_eq!(
            users(&app, "prefix", "ada@home").await,
            ["countess@example.com"]
        );
        assert_eq!(users(&app, "prefix", "bob b").await, ["bob@example.com"]);
        assert!(users(&app, "prefix", "example").await.is_empty());
        assert!(users(&app, "prefix", "a%").await.is_empty());
        let two = ask(&app, "/users?prefix=b&limit=2").await;
        assert_eq!(
            texts(two["users"].as_array().unwrap(), "userName"),
            ["bob@example.com", "ada@example.com"]
        );
    }
);

both!(
    a_users_groups_include_those_that_contain_them,
    |app| async move {
        let user = app.create_user("ada@example.com").await;
        let inner = app.create_group("Inner", &[id(&user)]).await;
        let outer = app.create_group("Outer", &[id(&inner)]).await;
        let path = format!("/users/{}/groups", id(&user));
        let found = ask(&app, &path).await;
        assert_eq!(
            found["groups"],
            json!([
                { "id": inner["id"], "displayName": "Inner", "direct": true },
                { "id": outer["id"], "displayName": "Outer", "direct": false }
            ])
        );
        let found = ask(&app, &format!("{path}?nested=false")).await;
        assert_eq!(
            texts(found["groups"].as_array().unwrap(), "displayName"),
            ["Inner"]
        );
        expect_refused(&app, &format!("{path}?nested=perhaps"), 400).await;
        expect_refused(&app, "/users/nobody/groups", 404).await;
        let group = ask(&app, &format!("/groups/{}", id(&inner))).await;
        assert_eq!(group, json!({ "id": inner["id"], "displayName": "Inner" }));
        let named = ask(&app, "/groups?displayName=outer").await;
        assert_eq!(
            named["groups"],
            json!([{ "id": outer["id"], "displayName": "Outer" }])
        );
        expect_refused(&app, "/groups", 400).await;
        expect_refused(&app, &format!("/groups/{}", id(&user)), 404).await;
    }
);

both!(membership_is_checked_singly_or_batched, |app| async move {
    let (ada, bob) = (
        app.create_user("ada@example.com").await,
        app.create_user("bob@example.com").await,
    );
    let inner = app.create_group("Inner", &[id(&ada)]).await;
    let outer = app.create_group("Outer", &[id(&inner), id(&bob)]).await;
    let site = app.client_with_scopes(&["read"]).await.site();
    let pairs = [
        (id(&ada), id(&inner), true, true),
        (id(&ada), id(&outer), true, false),
        (id(&bob), id(&outer), true, true),
        (id(&bob), id(&inner), false, false),
        (id(&bob), "nowhere", false, false),
        ("", id(&outer), false, false),
    ];
    let checks: Vec<Value> = pairs
        .iter()
        .map(|(user, group, ..)| json!({ "user": user, "group": group }))
        .collect();
    let answered = site
        .post("/directory/v1/memberships", &json!({ "checks": checks }))
        .await;
    let expected: Vec<Value> = pairs
        .iter()
        .map(|(user, group, member, direct)| json!({ "user": user, "group": group, "member": member, "direct": direct }))
        .collect();
    assert_eq!(plain(answered)["memberships"], json!(expected));
    for ((user, group, ..), expected) in pairs
        .iter()
        .zip(&expected)
        .filter(|((user, ..), _)| !user.is_empty())
    {
        let path = format!("/groups/{group}/members/{user}");
        assert_eq!(&ask(&app, &path).await, expected);
    }
    let neighbour = app.neighbour().await;
    let path = format!("/groups/{}/members/{}", id(&inner), id(&ada));
    assert_eq!(ask(&neighbour, &path).await["member"], false);
    for body in [
        json!({}),
        json!({ "checks": [{ "user": "a" }] }),
        json!({ "checks": vec![json!({ "user": "a", "group": "b" }); 201] }),
    ] {
        let reply = site.post("/directory/v1/memberships", &body).await;
        reply.expect_error(400, "");
    }
    assert_eq!(
        plain(
            site.post("/directory/v1/memberships", &json!({ "checks": [] }))
                .await
        )["memberships"],
        json!([])
    );
});

both!(active_members_are_paged, |app| async move {
    let mut names = Vec::new();
    let mut ids = Vec::new();
    for number in 0..12 {
        let name = format!("u{number:02}@example.com");
        let user = app.create_user(&name).await;
        ids.push(id(&user).to_owned());
        names.push(name);
    }
    let inner = app
        .create_group(
            "Inner",
            &ids[6..].iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await;
    let mut members: Vec<&str> = ids[..8].iter().map(String::as_str).collect();
    members.push(id(&inner));
    let outer = app.create_group("Outer", &members).await;
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    app.edit(&format!("/Users/{}", ids[3]), off)
        .await
        .expect(200);
    // A user without `active` counts as inactive.
    let without = json!([{ "op": "remove", "path": "active" }]);
    app.edit(&format!("/Users/{}", ids[9]), without)
        .await
        .expect(200);
    let walk = async |query: &str| {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = ask(
                &app,
                &format!(
                    "/groups/{}/members?limit=5{query}&after={after}",
                    id(&outer)
                ),
            )
            .await;
            found.extend(texts(page["users"].as_array().unwrap(), "userName"));
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return found,
            }
        }
    };
    let active: Vec<&String> = names
        .iter()
        .filter(|name| ![&names[3], &names[9]].contains(name))
        .collect();
    assert_eq!(walk("").await.iter().collect::<Vec<_>>(), active);
    assert_eq!(
        walk("&nested=false").await.iter().collect::<Vec<_>>(),
        active[..7]
    );
    expect_refused(&app, &format!("/groups/{}/members", ids[0]), 404).await;
});

both!(an_unchanged_response_is_not_modified, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let site = app.site();
    for path in [
        format!("/directory/v1/users/{}", id(&user)),
        "/directory/v1/users?email=ada@example.com".to_owned(),
        format!("/directory/v1/groups/{}/members", id(&group)),
    ] {
        let first = site.get(&path).await;
        let tag = first.header("etag").to_owned();
        let again = async |tags: &str| {
            let headers = [("if-none-match", tags)];
            site.send(Method::GET, &path, &headers, Vec::new()).await
        };
        for tags in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let same = again(&tags).await;
            assert_eq!((same.status, same.bytes.len()), (304, 0), "{tags}");
            assert_eq!(same.header("etag"), tag);
        }
        assert_eq!(again("\"x\"").await.status, 200);
        let title = json!([{ "op": "replace", "path": "title", "value": path }]);
        app.edit(&format!("/Users/{}", id(&user)), title)
            .await
            .expect(200);
        let changed = again(&tag).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
    }
});

both!(a_limited_token_queries_its_fields_only, |app| async move {
    let user = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let reader = app.limited(&["userName", "name"]).await;
    let seen = ask(&reader, &format!("/users/{}", id(&user))).await;
    let names: Vec<&str> = seen
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        ["id", "userName", "givenName", "familyName", "created"]
    );
    assert_eq!(users(&reader, "prefix", "king").await, ["ada@example.com"]);
    assert!(users(&reader, "prefix", "ada@home").await.is_empty());
    expect_refused(&reader, "/users?email=ada@example.com", 403).await;
    expect_refused(&reader, "/users?externalId=x", 403).await;
    expect_refused(&reader, "/groups?displayName=Surveyors", 403).await;
    let (user, group) = (id(&user), id(&group));
    expect_refused(&reader, &format!("/users/{user}/groups"), 403).await;
    expect_refused(&reader, &format!("/groups/{group}/members"), 403).await;
    expect_refused(&reader, &format!("/groups/{group}/members/{user}"), 403).await;
    assert_eq!(
        ask(&reader, &format!("/groups/{group}")).await,
        json!({ "id": group })
    );
});
