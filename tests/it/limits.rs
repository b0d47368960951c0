//! A token limited to some attributes: it sees only those, and cannot query the others.

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
