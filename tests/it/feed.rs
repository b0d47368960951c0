//! The change feed: its content, how clients follow it, and that no follower misses a change.

mod consumer;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Database, Reply, Server, TestApp, both, both_alone, id, sample};

/// Returns the body of a plain JSON response.
#[track_caller]
fn plain(reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
    reply.body
}

async fn ask(client: &Client, query: &str) -> Value {
    plain(
        client
            .site()
            .get(&format!("/directory/v1/changes{query}"))
            .await,
    )
}

async fn expect_refused(client: &Client, query: &str, status: u16) -> String {
    let reply = client
        .site()
        .get(&format!("/directory/v1/changes{query}"))
        .await;
    let error = reply.expect_error(status, "");
    error["detail"].as_str().unwrap().to_owned()
}

/// Returns number, kind and resource of each change.
fn kinds(page: &Value) -> Vec<(i64, String, String)> {
    let text = |change: &Value, name: &str| change[name].as_str().unwrap().to_owned();
    let changes = page["changes"].as_array().unwrap().iter();
    changes
        .map(|change| {
            (
                change["seq"].as_i64().unwrap(),
                text(change, "kind"),
                text(change, "id"),
            )
        })
        .collect()
}

/// Creates, changes and deletes a user and a group, in eight changes. Returns their ids.
async fn write_eight_changes(app: &TestApp) -> (String, String) {
    let user = app.create_user("ada@example.com").await;
    let (user, path) = (id(&user).to_owned(), format!("/Users/{}", id(&user)));
    let group = app.create_group("Surveyors", &[&user]).await;
    let operations = json!([
        { "op": "replace", "path": "title", "value": "Countess" },
        { "op": "replace", "path": "name.givenName", "value": "Augusta" },
        { "op": "replace", "path": "active", "value": false }
    ]);
    app.edit(&path, operations).await.expect(200);
    let operations = json!([{ "op": "replace", "path": "active", "value": true }]);
    app.edit(&path, operations).await.expect(200);
    app.delete(&path).await.expect(204);
    (user, id(&group).to_owned())
}

both!(
    a_user_without_active_is_published_as_inactive,
    |app| async move {
        let user = app.create_user("ada@example.com").await;
        let path = format!("/Users/{}", id(&user));
        for operation in [
            json!({ "op": "remove", "path": "active" }),
            json!({ "op": "replace", "path": "active", "value": false }),
            json!({ "op": "remove", "path": "active" }),
            json!({ "op": "replace", "path": "active", "value": true }),
        ] {
            app.edit(&path, json!([operation])).await.expect(200);
        }
        let reader = app.client_with_scopes(&["read"]).await;
        let published: Vec<String> = kinds(&ask(&reader, "").await)
            .into_iter()
            .map(|(_, kind, _)| kind)
            .collect();
        let expected = ["created", "deactivated", "updated", "updated", "activated"];
        assert_eq!(published, expected);
    }
);

both!(every_change_is_published_in_order, |app| async move {
    let (user, group) = write_eight_changes(&app).await;
    let reader = app.client_with_scopes(&["read"]).await;
    let page = ask(&reader, "").await;
    let expected = [
        ("created", &user),
        ("created", &group),
        ("member_added", &group),
        ("deactivated", &user),
        ("updated", &user),
        ("activated", &user),
        ("member_removed", &group),
        ("deleted", &user),
    ];
    let expected: Vec<_> = (1..)
        .zip(expected)
        .map(|(seq, (kind, id))| (seq, kind.to_owned(), id.clone()))
        .collect();
    assert_eq!(kinds(&page), expected);
    assert_eq!((&page["next"], &page["last"]), (&json!(8), &json!(8)));
    let changes = page["changes"].as_array().unwrap();
    assert_eq!(changes[0]["resource"]["userName"], "ada@example.com");
    assert_eq!(changes[0]["type"], "User");
    assert!(changes[0]["actor"].as_str().unwrap().starts_with("token:"));
    assert_eq!(changes[2]["members"], json!([user]));
    assert_eq!(
        changes[3]["attributes"],
        json!([{ "path": "active", "before": true, "after": false }])
    );
    assert_eq!(
        changes[4]["attributes"],
        json!([
            { "path": "name.givenName", "before": "ada", "after": "Augusta" },
            { "path": "title", "before": null, "after": "Countess" }
        ])
    );
    assert_eq!(changes[7]["resource"]["title"], "Countess");
    // No change contains a password, and other tenants see nothing.
    assert!(!page.to_string().contains("q7#Lm2xz"));
    let neighbour = app.neighbour().await;
    assert_eq!(
        ask(&neighbour, "").await,
        json!({ "changes": [], "next": 0, "last": 0 })
    );
    expect_refused(&app.client_with_scopes(&["admin"]).await, "", 403).await;
    expect_refused(&app.anonymous(), "", 401).await;
});

both!(the_feed_can_be_paged_and_filtered, |app| async move {
    let (user, group) = write_eight_changes(&app).await;
    let part = ask(&app, "?after=2&limit=3").await;
    assert_eq!(
        kinds(&part).iter().map(|one| one.0).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert_eq!((&part["next"], &part["last"]), (&json!(5), &json!(8)));
    let of = async |query: &str| {
        kinds(&ask(&app, query).await)
            .into_iter()
            .map(|one| one.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("?kind=created,deleted").await, [1, 2, 8]);
    assert_eq!(of("?type=Group").await, [2, 3, 7]);
    assert_eq!(of("?type=User&kind=updated&after=4").await, [5]);
    // Changes that the filter skips count as read too.
    let none = ask(&app, "?kind=member_skipped&after=1").await;
    assert_eq!(none, json!({ "changes": [], "next": 8, "last": 8 }));
    assert_eq!(of("?after=8").await, [0; 0]);
    for query in [
        "?after=-1",
        "?after=x",
        "?limit=0",
        "?limit=1001",
        "?wait=61",
        "?kind=renamed",
        "?type=Robot",
    ] {
        expect_refused(&app, query, 400).await;
    }
    let detail = expect_refused(&app, "?after=9", 410).await;
    assert!(detail.contains("/directory/v1/snapshot"), "{detail}");
    let _ = (user, group);
});

both!(
    a_limited_reader_receives_only_its_fields,
    |app| async move {
        let reader = app.limited(&["userName", "name.familyName"]).await;
        let (user, group) = write_eight_changes(&app).await;
        let operations = json!([
            { "op": "replace", "path": "displayName", "value": "Land" },
        ]);
        app.edit(&format!("/Groups/{group}"), operations)
            .await
            .expect(200);
        let page = ask(&reader, "").await;
        let seen = kinds(&page);
        assert_eq!(
            seen.iter()
                .map(|one| (one.0, one.1.as_str()))
                .collect::<Vec<_>>(),
            [(1, "created"), (2, "created"), (8, "deleted")]
        );
        assert_eq!(page["next"], 9);
        let text = page.to_string();
        for hidden in ["Surveyors", "Countess", "00u-ada", "\"emails\"", "Augusta"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
        assert_eq!(
            page["changes"][0]["resource"]["name"],
            json!({ "familyName": "Byron" })
        );
        let snapshot = plain(reader.site().get("/directory/v1/snapshot").await);
        assert_eq!(snapshot["next"], Value::Null);
        assert!(!snapshot.to_string().contains("Land"));
        let _ = user;
    }
);

both!(a_waiting_reader_is_notified, |app| async move {
    app.create_user("ada@example.com").await;
    let since = Instant::now();
    let reader = app.client.clone();
    let waiting = tokio::spawn(async move { ask(&reader, "?after=1&kind=deleted&wait=60").await });
    let user = app.create_user("bob@example.com").await;
    app.delete(&format!("/Users/{}", id(&user)))
        .await
        .expect(204);
    let page = waiting.await.unwrap();
    assert_eq!(
        kinds(&page),
        [(3, "deleted".to_owned(), id(&user).to_owned())]
    );
    assert!(since.elapsed() < Duration::from_secs(50));
    // A client that waits in vain learns the last number.
    let page = ask(&app, "?after=1&kind=member_added&wait=1").await;
    assert_eq!(page, json!({ "changes": [], "next": 3, "last": 3 }));
});

/// Reads the stream up to the text, in whole events.
async fn read_until(response: &mut reqwest::Response, end: &str) -> String {
    let mut text = String::new();
    while !(text.contains(end) && text.ends_with("\n\n")) {
        let chunk = tokio::time::timeout(Duration::from_secs(60), response.chunk()).await;
        let chunk = chunk.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("no end")).unwrap());
    }
    text
}

both!(a_stream_delivers_changes_as_they_happen, |app| async move {
    app.create_user("ada@example.com").await;
    let site = app.client_with_scopes(&["read"]).await.site();
    let path = "/directory/v1/changes/stream";
    let mut live = site.open(path, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(live.status(), 200);
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    assert_eq!(
        read_until(&mut live, "\n\n").await,
        "retry: 1000\nid: 1\n\n"
    );
    let user = app.create_user("bob@example.com").await;
    let text = read_until(&mut live, "\n\n").await;
    assert!(
        text.starts_with("id: 2\nevent: created\ndata: {\"seq\":2,"),
        "{text}"
    );
    let mut again = site.open(path, &[("last-event-id", "1")]).await;
    assert!(
        read_until(&mut again, "event: created")
            .await
            .contains("\nid: 2\n")
    );
    let mut filtered = site
        .open(&format!("{path}?after=0&kind=deleted"), &[])
        .await;
    app.delete(&format!("/Users/{}", id(&user)))
        .await
        .expect(204);
    let text = read_until(&mut filtered, "event: deleted").await;
    assert!(
        !text.contains("created") && text.contains("id: 2\n\n"),
        "{text}"
    );
    for (query, header, status) in [
        ("?after=99", "", 410),
        ("", "99", 410),
        ("?kind=x", "", 400),
    ] {
        let headers: &[_] = if header.is_empty() {
            &[]
        } else {
            &[("last-event-id", header)]
        };
        let expect_refused = site.open(&format!("{path}{query}"), headers).await;
        assert_eq!(expect_refused.status(), status, "{query} {header}");
    }
    let unauthenticated = site.anonymous().open(path, &[]).await;
    assert_eq!(unauthenticated.status(), 401);
});

both!(
    streams_at_one_position_apply_each_readers_filter,
    |app| async move {
        let whole = app.client_with_scopes(&["read"]).await;
        let limited = app.limited(&["userName"]).await;
        let path = "/directory/v1/changes/stream?after=0";
        let ways = [
            (&whole, ""),
            (&whole, "&kind=deleted,created"),
            (&limited, ""),
            (&whole, "&type=Group"),
        ];
        let mut streams = Vec::new();
        for (client, filter) in ways.iter().cycle().take(12) {
            let stream = client.site().open(&format!("{path}{filter}"), &[]).await;
            streams.push(stream);
        }
        let (ada, group) = (
            app.create_user("ada@example.com").await,
            app.create_group("all", &[]).await,
        );
        let adas = format!("/Users/{}", id(&ada));
        let title = json!([{ "op": "replace", "value": { "title": "Dr" } }]);
        app.edit(&adas, title).await.expect(200);
        app.delete(&adas).await.expect(204);
        let groups = format!("/Groups/{}", id(&group));
        app.delete(&groups).await.expect(204);
        for (number, stream) in streams.iter_mut().enumerate() {
            // Each stream either receives the last change or moves past it.
            let text = read_until(stream, "id: 5\n").await;
            let published: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("event: "))
                .collect();
            let expected: &[&str] = match number % 4 {
                0 => &["created", "created", "updated", "deleted", "deleted"],
                1 | 2 => &["created", "created", "deleted", "deleted"],
                _ => &["created", "deleted"],
            };
            assert_eq!(published, expected, "{number}: {text}");
            assert_eq!(text.contains("Byron"), number % 4 < 2, "{number}: {text}");
        }
    }
);

both_alone!(
    a_consumer_past_the_retention_gets_gone,
    |database: Database| async move {
        let server = Server::start(&database);
        for name in ["a", "b", "c", "d"] {
            server.admin().create_user(name).await;
        }
        drop(server);
        database.execute("UPDATE changes SET at = 1 WHERE seq < 4");
        let server = Server::start_with(&database, &["--change-retention-days", "1"], &[]);
        let client = server.admin();
        let site = client.site();
        // Retention runs in parallel with the requests.
        let since = Instant::now();
        let gone = loop {
            let reply = site.get("/directory/v1/changes?after=2").await;
            if reply.status != 200 {
                break reply;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "nothing was removed"
            );
        };
        let error = gone.expect_error(410, "");
        let detail = error["detail"].as_str().unwrap();
        assert!(
            detail.contains("up to number 3") && detail.contains("/directory/v1/snapshot"),
            "{detail}"
        );
        assert_eq!(kinds(&ask(&client, "?after=3").await).len(), 1);
        assert_eq!(database.count("SELECT count(*) AS n FROM changes"), 1);
        let snapshot = plain(site.get("/directory/v1/snapshot").await);
        assert_eq!(
            (
                &snapshot["seq"],
                snapshot["resources"].as_array().unwrap().len()
            ),
            (&json!(4), 4)
        );
        let bad = site.get("/directory/v1/snapshot?cursor=x").await;
        bad.expect_error(400, "");
        client.post("/Users", &sample::user("e")).await.expect(201);
        assert_eq!(kinds(&ask(&client, "?after=4").await)[0].0, 5);
        // When all changes are removed, a client that has read them all missed nothing.
        drop(server);
        database.execute("DELETE FROM changes");
        let server = Server::start(&database);
        assert_eq!(ask(&server.admin(), "?after=5").await["last"], 5);
        expect_refused(&server.admin(), "?after=4", 410).await;
    }
);

both_alone!(
    open_streams_do_not_delay_shutdown,
    |database: Database| async move {
        let mut server = Server::start(&database);
        let site = server.admin().site();
        let mut live = site.open("/directory/v1/changes/stream", &[]).await;
        read_until(&mut live, "\n\n").await;
        let since = Instant::now();
        server.terminate();
        while live.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
        assert!(server.wait().success());
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "{:?}",
            since.elapsed()
        );
    }
);
