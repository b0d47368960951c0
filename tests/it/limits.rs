//! A token limited to some attributes: it sees only those, and cannot query the others.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, both, id, member_ids, sample, with_query};

fn names(resource: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = resource
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

// R7644-2-02, R7644-2.1-01
both!(a_limited_token_sees_only_its_fields, |app| async move {
    let user = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let reader = app
        .limited(&["userName", "emails.value", "groups", "displayName"])
        .await;
    let path = format!("/Users/{}", id(&user));
    let seen = reader.get(&path).await.expect(200);
    let expected = [
        "displayName",
        "emails",
        "groups",
        "id",
        "meta",
        "schemas",
        "userName",
    ];
    assert_eq!(names(&seen), expected);
    assert_eq!(
        seen["emails"],
        json!([{ "value": "ada@example.com" }, { "value": "ada@home.example" }])
    );
    assert_eq!(seen["groups"][0]["display"], "Surveyors");
    // Nor if the request names the attribute.
    for attributes in [
        "phoneNumbers",
        "phoneNumbers.value,userName",
        sample::ENTERPRISE,
        "emails",
    ] {
        let seen = reader
            .get(&with_query(&path, &[("attributes", attributes)]))
            .await
            .expect(200);
        let text = seen.to_string();
        assert!(
            !text.contains("tel:") && !text.contains("Looms") && !text.contains("\"work\""),
            "{text}"
        );
    }
    let seen = reader
        .get(&with_query(&path, &[("excludedAttributes", "userName")]))
        .await
        .expect(200);
    assert_eq!(
        names(&seen),
        ["displayName", "emails", "groups", "id", "meta", "schemas"]
    );
    for one in reader.list("/Users", &[]).await.resources {
        assert_eq!(names(&one), expected);
    }
    // The members of a group are not a field of this token.
    let seen = reader.group(id(&group)).await;
    assert_eq!(names(&seen), ["displayName", "id", "meta", "schemas"]);
    let whole = app.limited(&["members"]).await;
    assert_eq!(member_ids(&whole.group(id(&group)).await), [id(&user)]);
});

both!(
    an_unreadable_attribute_cannot_be_filtered_on,
    |app| async move {
        app.post("/Users", &sample::full_user("ada@example.com"))
            .await
            .expect(201);
        let reader = app.limited(&["userName", "emails.value", "name"]).await;
        for filter in [
            r#"userName eq "ada@example.com""#,
            r#"emails co "home""#,
            r#"emails[value eq "ada@example.com"]"#,
            r#"name.givenName eq "Ada" and meta.created pr"#,
        ] {
            assert_eq!(reader.find_users(filter).await.len(), 1, "{filter}");
        }
        for filter in [
            r#"phoneNumbers.value eq "tel:+44-20-1234""#,
            r#"userName pr and not (phoneNumbers pr)"#,
            r#"userName eq "x" or title sw "C""#,
            r#"emails[type eq "work" and value co "ada"]"#,
            "emails pr",
            "active eq true",
            &format!("{}:department eq \"Looms\"", sample::ENTERPRISE),
        ] {
            let refused = reader
                .get(&with_query("/Users", &[("filter", filter)]))
                .await;
            let error = refused.expect_error(403, "");
            assert!(
                error["detail"].as_str().unwrap().contains("may not read"),
                "{filter}"
            );
        }
    }
);

both!(nothing_tells_of_hidden_attributes, |app| async move {
    let user = app
        .post("/Users", &sample::full_user("ada@example.com"))
        .await
        .expect(201);
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let path = format!("/Users/{}", id(&user));
    let person = format!("/directory/v1/users/{}", id(&user));
    let members = format!("/directory/v1/groups/{}/members", id(&group));
    let reader = app.limited(&["userName", "members"]).await;
    let site = reader.site();
    let look = async || {
        let one = reader.get(&path).await;
        assert_eq!(one.header("etag"), "");
        let listed = reader.list("/Users", &[]).await.resources;
        let directory = site.get(&person).await;
        let tag = directory.header("etag").to_owned();
        (one.expect(200), listed, directory.plain(200), tag)
    };
    let before = look().await;
    assert_eq!(
        before.0["schemas"],
        json!(["urn:ietf:params:scim:schemas:core:2.0:User"])
    );
    assert_eq!(
        names(&before.0["meta"]),
        ["created", "location", "resourceType"]
    );
    for operations in [
        json!([{ "op": "replace", "path": "title", "value": "Countess" }]),
        json!([{ "op": "replace", "path": "active", "value": false }]),
        json!([{ "op": "remove", "path": sample::ENTERPRISE }]),
    ] {
        app.edit(&path, operations).await.expect(200);
        assert_eq!(look().await, before);
    }
    // A condition on the version would be a question about it.
    let headers = [("if-none-match", "W/\"4\", W/\"3\", W/\"2\", W/\"1\"")];
    let answered = reader.send(Method::GET, &path, &headers, Vec::new()).await;
    assert_eq!(answered.status, 200);
    let headers = [("if-match", "W/\"1\"")];
    let answered = reader.send(Method::GET, &path, &headers, Vec::new()).await;
    assert_eq!(answered.status, 200);
    for query in [
        [("filter", "meta.version pr")],
        [("filter", "meta.lastModified gt \"2020-01-01T00:00:00Z\"")],
        [("filter", &format!("schemas eq \"{}\"", sample::ENTERPRISE))],
        [("sortBy", "meta.lastModified")],
    ] {
        reader
            .get(&with_query("/Users", &query))
            .await
            .expect_error(403, "");
    }
    // The list has the active members only.
    site.get(&members).await.expect_error(403, "");
    let moment = app.user(id(&user)).await["meta"]["lastModified"]
        .as_str()
        .unwrap()
        .to_owned();
    let past = with_query(&members, &[("at", &moment)]);
    site.get(&past).await.expect_error(403, "");
    let reader = app
        .limited(&["userName", "members", "active", "meta"])
        .await;
    assert_eq!(reader.site().get(&members).await.status, 200);
    let whole = reader.get(&path).await;
    assert!(whole.header("etag").starts_with("W/"), "{whole:?}");
    assert!(whole.expect(200)["meta"]["lastModified"].is_string());
});

both!(only_a_read_token_can_be_limited, |app| async move {
    let admin = app.server.admin().site();
    for (scopes, fields) in [
        (json!(["scim"]), json!(["userName"])),
        (json!(["read", "admin"]), json!(["userName"])),
        (json!(["read"]), json!([])),
        (json!(["read"]), json!(["user name"])),
        (json!(["read"]), json!("userName")),
    ] {
        let body = json!({ "tenant": app.tenant, "name": "x", "scopes": scopes, "fields": fields });
        let refused = admin.post("/admin/v1/tokens", &body).await;
        refused.expect_error(400, "");
    }
    let made = app.database.cli_ok(&[
        "token",
        "create",
        "--tenant",
        &app.tenant,
        "cli",
        "--scope",
        "read",
        "--fields",
        "userName,name",
    ]);
    let user = app.create_user("ada@example.com").await;
    let reader = Client::new(&app.server.address, made.trim());
    let seen = reader.user(id(&user)).await;
    assert_eq!(names(&seen), ["id", "meta", "name", "schemas", "userName"]);
    let listed = app
        .database
        .cli_ok(&["token", "list", "--tenant", &app.tenant]);
    assert!(listed.contains("userName name"), "{listed}");
});
