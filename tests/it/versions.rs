//! Versions: `ETag`, conditional requests, HEAD and `Prefer` (RFC 7644 section 3.14, RFC 9110
//! section 13, RFC 7240).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, SCIM, both, id, member_ids, sample, together};

/// Sends a body with additional headers.
async fn send_with(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Reply {
    let mut all = vec![("content-type", SCIM)];
    all.extend(headers);
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    client.send(method, path, &all, body).await
}

async fn get_if_none_match(client: &Client, path: &str, tags: &str) -> Reply {
    let headers = [("if-none-match", tags)];
    client.send(Method::GET, path, &headers, Vec::new()).await
}

#[track_caller]
fn expect_not_modified(reply: &Reply, tag: &str) {
    assert_eq!(reply.status, 304, "{reply:?}");
    assert_eq!(reply.header("etag"), tag, "{reply:?}");
    assert!(reply.bytes.is_empty(), "{reply:?}");
}

fn rename(to: &str) -> Value {
    sample::patch(json!([{ "op": "replace", "path": "displayName", "value": to }]))
}

// R7644-3.14-01, R7643-3.1-09, R7643-3.1-10, R7644-3.3-01, R7644-3.4.1-01
both!(the_etag_is_the_version_of_the_body, |app| async move {
    let bodies = [
        ("/Users", sample::user("ada@example.com")),
        ("/Groups", sample::group("Crew", &[])),
    ];
    for (endpoint, body) in bodies {
        let created = app.post(endpoint, &body).await;
        let path = format!("{endpoint}/{}", id(&created.body));
        let mut tags = Vec::new();
        for reply in [
            created,
            app.get(&path).await,
            app.patch(&path, &rename("Ada")).await,
            app.get(&path).await,
            app.put(&path, &body).await,
            app.get(&path).await,
        ] {
            let tag = reply.header("etag").to_owned();
            assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
            assert_eq!(reply.body["meta"]["version"], json!(tag), "{reply:?}");
            assert_eq!(
                reply.body["meta"]["location"],
                json!(reply.header("location"))
            );
            tags.push(tag);
        }
        assert_eq!(tags[0], tags[1]);
        assert_ne!(tags[1], tags[2]);
        assert_eq!(tags[2], tags[3]);
        assert_ne!(tags[3], tags[4]);
        assert_eq!(tags[4], tags[5]);
    }
});

// R7644-3.5.2-16, R7644-3.5.1-09
both!(a_write_without_effect_keeps_the_tag, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let tag = user["meta"]["version"].as_str().unwrap();
    let again = rename(user["displayName"].as_str().unwrap());
    assert_eq!(app.patch(&path, &again).await.header("etag"), tag);
    assert_eq!(app.put(&path, &user).await.header("etag"), tag);
    expect_not_modified(&get_if_none_match(&app, &path, tag).await, tag);
});

// R7644-3.14-02
both!(a_matching_tag_gets_not_modified, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Crew", &[id(&user)]).await;
    for path in [
        format!("/Users/{}", id(&user)),
        format!("/Groups/{}", id(&group)),
        format!("/Groups/{}?excludedAttributes=members", id(&group)),
    ] {
        let tag = app.get(&path).await.header("etag").to_owned();
        let strong = tag.trim_start_matches("W/");
        for tags in [
            tag.clone(),
            strong.to_owned(),
            strong.trim_matches('"').to_owned(),
            format!("\"x\", W/\"y\",{tag}"),
            "*".to_owned(),
        ] {
            expect_not_modified(&get_if_none_match(&app, &path, &tags).await, &tag);
        }
        for tags in ["W/\"x\"", "\"a\", \"b\"", "W/\"\"", "w"] {
            let reply = get_if_none_match(&app, &path, tags).await;
            assert_eq!(reply.header("etag"), tag);
            reply.expect(200);
        }
        let headers = [("if-none-match", tag.as_str())];
        let head = app.send(Method::HEAD, &path, &headers, Vec::new()).await;
        expect_not_modified(&head, &tag);
    }
    let missing = get_if_none_match(&app, "/Users/nobody", "*").await;
    missing.expect_error(404, "");
    // An `If-Match` on a read.
    let path = format!("/Users/{}", id(&user));
    let stale = [("if-match", "W/\"99\"")];
    let refused = app.send(Method::GET, &path, &stale, Vec::new()).await;
    refused.expect_error(412, "");
});

// R7644-3.14-07
both!(the_tag_changes_with_a_users_groups, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let other = app.create_user("bob@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let lean = format!("{path}?excludedAttributes=groups");
    let lean_tag = app.get(&lean).await.header("etag").to_owned();
    let mut seen = vec![app.get(&path).await.header("etag").to_owned()];
    let inner = app.create_group("Inner", &[id(&user)]).await;
    let outer = app.create_group("Outer", &[id(&inner)]).await;
    let outer = format!("/Groups/{}", id(&outer));
    let steps = [
        rename("Outermost"),
        sample::patch(json!([{ "op": "remove", "path": "members" }])),
        sample::patch(
            json!([{ "op": "add", "path": "members", "value": [{ "value": id(&user) }] }]),
        ),
    ];
    seen.push(app.get(&path).await.header("etag").to_owned());
    assert_ne!(seen[0], seen[1]);
    for step in steps {
        app.patch(&outer, &step).await.expect(200);
        for tag in &seen {
            get_if_none_match(&app, &path, tag).await.expect(200);
        }
        let reply = app.get(&path).await;
        let tag = reply.header("etag").to_owned();
        assert!(!seen.contains(&tag), "{tag} was seen before");
        assert_eq!(reply.body["meta"]["version"], json!(tag));
        // The same text in a list, without a write of the user.
        let listed = app
            .list("/Users", &[("filter", "userName eq \"ada@example.com\"")])
            .await;
        assert_eq!(listed.resources[0]["meta"]["version"], json!(tag));
        assert_eq!(
            reply.body["meta"]["lastModified"],
            user["meta"]["lastModified"]
        );
        // A response without groups does not depend on them.
        expect_not_modified(&get_if_none_match(&app, &lean, &lean_tag).await, &lean_tag);
        // The returned version can be used in a filter.
        let escaped = tag.replace('"', "\\\"");
        let filter = format!("meta.version eq \"{escaped}\" and userName eq \"ada@example.com\"");
        assert_eq!(app.find_users(&filter).await, ["ada@example.com"]);
        seen.push(tag);
    }
    // A group push in between does not make a write to the user fail.
    for tag in &seen {
        let headers = [("if-match", tag.as_str())];
        let body = rename(user["displayName"].as_str().unwrap());
        send_with(&app, Method::PATCH, &path, &headers, &body)
            .await
            .expect(200);
    }
    assert_eq!(
        app.get(&format!("/Users/{}", id(&other)))
            .await
            .header("etag"),
        "W/\"1\""
    );
});

// R7644-3.14-03, R7644-3.14-04, R7644-3.14-05, R7644-3.14-06, R7644-3.14-08, R7644-3.6-03,
// R7644-3.5.2-15
both!(a_write_with_a_stale_tag_changes_nothing, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let put = sample::user("eve@example.com");
    let writes = [
        (Method::PUT, put),
        (Method::PATCH, rename("Eve")),
        (Method::DELETE, Value::Null),
    ];
    for tags in ["W/\"99\"", "\"x\", \"y\"", "99", "", "W/\"11\""] {
        for (method, body) in &writes {
            let headers = [("if-match", tags)];
            let refused = send_with(&app, method.clone(), &path, &headers, body).await;
            refused.expect_error(412, "");
            let missing = send_with(&app, method.clone(), "/Users/nobody", &headers, body).await;
            missing.expect_error(404, "");
        }
    }
    assert_eq!(app.user(id(&user)).await, user);
    // A current version succeeds, in every spelling of the tag.
    let mut tag = user["meta"]["version"].as_str().unwrap().to_owned();
    for round in 0..5 {
        let strong = tag.trim_start_matches("W/").to_owned();
        let bare = strong.trim_matches('"').to_owned();
        let spelled = [tag, strong, bare, "*".to_owned()];
        let spelled = match round {
            4 => spelled.join(", "),
            round => spelled[round].clone(),
        };
        let headers = [("if-match", spelled.as_str())];
        let body = rename(&format!("Ada {round}"));
        let reply = send_with(&app, Method::PATCH, &path, &headers, &body).await;
        tag = reply.header("etag").to_owned();
        reply.expect(200);
    }
    let headers = [("if-match", tag.as_str())];
    send_with(&app, Method::DELETE, &path, &headers, &Value::Null)
        .await
        .expect(204);
});

// R7644-3.14-09
both!(
    if_none_match_protects_an_existing_resource,
    |app| async move {
        let group = app.create_group("Crew", &[]).await;
        let path = format!("/Groups/{}", id(&group));
        let put = sample::group("Other", &[]);
        let tag = group["meta"]["version"].as_str().unwrap();
        for (method, body) in [
            (Method::PUT, &put),
            (Method::PATCH, &rename("Other")),
            (Method::DELETE, &Value::Null),
        ] {
            for tags in ["*", tag] {
                let headers = [("if-none-match", tags)];
                let refused = send_with(&app, method.clone(), &path, &headers, body).await;
                refused.expect_error(412, "");
            }
        }
        assert_eq!(app.group(id(&group)).await, group);
        let headers = [("if-none-match", "W/\"99\"")];
        send_with(&app, Method::PUT, &path, &headers, &put)
            .await
            .expect(200);
    }
);

// R7644-3.14-10
both!(one_of_many_writers_with_a_tag_succeeds, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let tag = user["meta"]["version"].as_str().unwrap().to_owned();
    let tasks = (0..16).map(|number| {
        let (client, path, tag) = (app.client.clone(), path.clone(), tag.clone());
        async move {
            let headers = [("if-match", tag.as_str())];
            let body = rename(&format!("Ada {number}"));
            let reply = send_with(&client, Method::PATCH, &path, &headers, &body).await;
            (reply.status, reply.body["displayName"].clone())
        }
    });
    let answers = together(tasks).await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .collect();
    let losers = answers.iter().filter(|(status, _)| *status == 412).count();
    assert_eq!((winners.len(), losers), (1, 15), "{answers:?}");
    assert_eq!(app.user(id(&user)).await["displayName"], winners[0].1);
});

// R7644-3.12-06
both!(head_is_get_without_a_body, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Crew", &[id(&user)]).await;
    for path in [
        format!("/Users/{}", id(&user)),
        format!("/Users/{}?attributes=userName", id(&user)),
        format!("/Groups/{}", id(&group)),
        "/Users".to_owned(),
        "/Groups?count=1".to_owned(),
        "/ServiceProviderConfig".to_owned(),
        "/ResourceTypes".to_owned(),
        "/ResourceTypes/User".to_owned(),
        "/Schemas".to_owned(),
        format!("/Schemas/{}", sample::USER),
        "/Users/nobody".to_owned(),
        "/Users?filter=nonsense".to_owned(),
        "/Schemas?filter=id".to_owned(),
    ] {
        let get = app.get(&path).await;
        let head = app.send(Method::HEAD, &path, &[], Vec::new()).await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.bytes.is_empty(), "{path}");
        for name in [
            "content-type",
            "etag",
            "location",
            "cache-control",
            "content-length",
        ] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    let anonymous = app.anonymous();
    let refused = anonymous
        .send(Method::HEAD, "/Users", &[], Vec::new())
        .await;
    assert_eq!(refused.status, 401);
});

// R7644-3.5.2-05, R7644-3.5.2-06
both!(prefer_minimal_gets_no_body, |app| async move {
    let minimal = [("prefer", "return=minimal")];
    let whole = [("prefer", "return=representation")];
    let body = sample::user("ada@example.com");
    let created = send_with(&app, Method::POST, "/Users", &minimal, &body).await;
    assert_eq!(
        (created.status, created.bytes.len()),
        (201, 0),
        "{created:?}"
    );
    assert_eq!(created.header("preference-applied"), "return=minimal");
    assert_eq!(created.header("etag"), "W/\"1\"");
    let location = created.header("location");
    let (_, id) = location.rsplit_once('/').unwrap();
    let path = format!("/Users/{id}");
    app.create_group("Crew", &[id]).await;
    let mut renamed = body.clone();
    renamed["displayName"] = json!("Ada King");
    for (method, body) in [(Method::PATCH, &rename("Ada")), (Method::PUT, &renamed)] {
        let quiet = send_with(&app, method.clone(), &path, &minimal, body).await;
        assert_eq!(quiet.header("preference-applied"), "return=minimal");
        assert_eq!(quiet.header("location"), location);
        let tag = quiet.header("etag").to_owned();
        quiet.expect(204);
        assert_eq!(app.get(&path).await.header("etag"), tag);
        // A selection asks for content, whatever `Prefer` says.
        for query in ["?attributes=userName", "?excludedAttributes=name"] {
            let path = format!("{path}{query}");
            let reply = send_with(&app, method.clone(), &path, &minimal, body).await;
            assert_eq!(reply.header("preference-applied"), "");
            reply.expect(200);
        }
        let reply = send_with(&app, method.clone(), &path, &whole, body).await;
        assert_eq!(reply.header("preference-applied"), "return=representation");
        reply.expect(200);
        let reply = send_with(&app, method, &path, &[("prefer", "handling=strict")], body).await;
        assert_eq!(reply.header("preference-applied"), "");
        reply.expect(200);
    }
    // An error always has a body.
    let refused = send_with(&app, Method::POST, "/Users", &minimal, &body).await;
    refused.expect_error(409, "uniqueness");
});

// R7644-3.3-10, R7644-3.9-05
both!(
    a_created_group_is_returned_as_it_is_read,
    |app| async move {
        let user = app.create_user("ada@example.com").await;
        let bare = json!({ "displayName": "Bare", "members": [{ "value": id(&user) }] });
        for query in [
            "",
            "?excludedAttributes=members",
            "?attributes=members.display",
        ] {
            let created = app
                .post(&format!("/Groups{query}"), &bare)
                .await
                .expect(201);
            let read = app.get(&format!("/Groups/{}{query}", id(&created))).await;
            assert_eq!(read.expect(200), created);
        }
        let created = app.post("/Groups", &bare).await.expect(201);
        assert_eq!(member_ids(&created), [id(&user)]);
    }
);

// R7644-3.5.2-05, R7644-3.5.2-06
both!(a_tenant_can_disable_patch_bodies, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let admin = app.server.admin().site();
    let setting = json!({ "patch_answer": "no-content" });
    let tenant = format!("/admin/v1/tenants/{}", app.tenant);
    let headers = [("content-type", "application/json")];
    let body = setting.to_string().into_bytes();
    let set = admin.send(Method::PATCH, &tenant, &headers, body).await;
    assert_eq!(set.status, 200, "{set:?}");
    let quiet = app.patch(&path, &rename("Ada")).await;
    assert_eq!(quiet.header("preference-applied"), "");
    let tag = quiet.header("etag").to_owned();
    quiet.expect(204);
    assert_eq!(app.get(&path).await.header("etag"), tag);
    let query = format!("{path}?attributes=displayName");
    app.patch(&query, &rename("Ada K")).await.expect(200);
    let whole = [("prefer", "return=representation")];
    let reply = send_with(&app, Method::PATCH, &path, &whole, &rename("Ada L")).await;
    assert_eq!(reply.expect(200)["displayName"], "Ada L");
    // The setting applies only to PATCH.
    app.put(&path, &sample::user("ada@example.com"))
        .await
        .expect(200);
});
