//! Memory: whatever clients send and ask for, the process stays below 512 MB, answers, and answers
//! afterwards.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Client, Database, SCIM, Server, both, both_alone, id, member_ids, sample};

/// The memory that the process may have at most, in KiB.
const MOST_KIB: u64 = 512 * 1024;

/// One request of an attack. `None` is a connection that was closed before the answer was read.
struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

impl Request {
    fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn with_body(method: Method, path: &str, body: Vec<u8>) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: vec![("content-type", SCIM)],
            body,
        }
    }

    fn coded(mut self, coding: &'static str) -> Self {
        self.headers.push(("content-encoding", coding));
        self
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Sends the requests at once and returns the statuses. A client that is answered early may lose
/// the answer, because it is still sending.
async fn statuses(client: &Client, requests: Vec<Request>) -> BTreeSet<u16> {
    let mut all = JoinSet::new();
    for request in requests {
        let client = client.clone();
        all.spawn(async move {
            let sent = client
                .try_send(
                    request.method,
                    &request.path,
                    &request.headers,
                    request.body,
                )
                .await;
            sent.ok().map(|reply| reply.status)
        });
    }
    let statuses = all.join_all().await;
    statuses.into_iter().flatten().collect()
}

/// Returns the most memory that the process has had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.process());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn check(server: &Server, what: &str, statuses: &BTreeSet<u16>, expected: &[u16]) {
    let peak = peak_kib(server);
    assert!(peak < MOST_KIB, "{what}: {peak} KiB\n{}", server.log_tail());
    let others: Vec<&u16> = statuses
        .iter()
        .filter(|one| !expected.contains(one))
        .collect();
    assert!(
        others.is_empty(),
        "{what}: {others:?}\n{}",
        server.log_tail()
    );
}

/// A body of nearly this length that repeats an item in a list.
fn list_of(item: &str, length: usize) -> Vec<u8> {
    let count = length / (item.len() + 1);
    let items = format!("{item},").repeat(count);
    format!(
        r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x","emails":[{items}{item}]}}"#
    )
    .into_bytes()
}

/// Bodies whose values take far more memory than their text.
fn dense_bodies(length: usize) -> Vec<Vec<u8>> {
    let nested = format!("{}0{}", "[".repeat(50), "]".repeat(50));
    let names: Vec<String> = (0..length / 11).map(|n| format!("\"{n:06x}\":0")).collect();
    let items = ["0", "{}", "[]", r#"{"a":{}}"#, r#""x""#, "1.7e308", &nested];
    let mut bodies: Vec<Vec<u8>> = items.iter().map(|item| list_of(item, length)).collect();
    bodies.push(format!("{{{}}}", names.join(",")).into_bytes());
    bodies
}

both_alone!(no_body_fills_the_memory, |database: Database| async move {
    let server = Server::start(&database);
    let client = server.admin();
    let bodies = dense_bodies(8 << 20);
    let bombs: Vec<Vec<u8>> = bodies.iter().take(3).map(|body| gzip(body)).collect();
    let user = client.create_user("ada@example.com").await;
    let one = format!("/Users/{}", id(&user));
    let refused = [400, 413, 503];
    for (method, path) in [
        (Method::POST, "/Users"),
        (Method::POST, "/Bulk"),
        (Method::PATCH, one.as_str()),
    ] {
        let send = |body: &Vec<u8>| Request::with_body(method.clone(), path, body.clone());
        let plain = bodies.iter().map(send).collect();
        check(&server, path, &statuses(&client, plain).await, &refused);
        let coded = bombs.iter().map(|bomb| send(bomb).coded("gzip")).collect();
        check(&server, path, &statuses(&client, coded).await, &refused);
    }
    // One at a time it is not that others have the memory.
    let alone = Request::with_body(Method::POST, "/Users", bodies[0].clone());
    assert_eq!(statuses(&client, vec![alone]).await, BTreeSet::from([413]));
    assert_eq!(client.find_users("userName pr").await.len(), 1);
});

/// A user whose document is nearly as large as one may be.
fn large_user(number: usize) -> Value {
    let mut user = sample::user(&format!("large{number}@example.com"));
    user["nickName"] = json!("n".repeat(5 << 19));
    user
}

both_alone!(
    no_response_fills_the_memory,
    |database: Database| async move {
        const USERS: usize = 8;
        let server = Server::start(&database);
        let client = server.admin();
        let mut ids = Vec::new();
        for number in 0..USERS {
            let created = client.post("/Users", &large_user(number)).await.expect(201);
            ids.push(id(&created).to_owned());
        }
        let fine = [200, 400, 503];
        let search = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": "nickName co \"n\"", "count": 1000,
        });
        let search = search.to_string().into_bytes();
        for (path, count) in [
            ("/Users?count=1000", 24),
            ("/Users?count=1000&attributes=nickName", 24),
            ("/Users?count=1000&cursor", 24),
            ("/Users?count=1000&filter=nickName%20pr", 2),
            ("/?count=1000", 24),
        ] {
            let lists = (0..count).map(|_| Request::get(path)).collect();
            check(&server, path, &statuses(&client, lists).await, &fine);
        }
        let searches = (0..2)
            .map(|_| Request::with_body(Method::POST, "/.search", search.clone()))
            .collect();
        check(&server, "search", &statuses(&client, searches).await, &fine);
        let site = client.site();
        for path in [
            "/directory/v1/snapshot?limit=1000",
            "/directory/v1/changes?limit=1000",
            "/directory/v1/changes?limit=1000&wait=1",
            "/directory/v1/users?prefix=large&limit=200",
        ] {
            let reads = (0..8).map(|_| Request::get(path)).collect();
            check(&server, path, &statuses(&site, reads).await, &fine);
        }
        let one = |prefix: &str| -> Vec<Request> {
            let paths = ids.iter().map(|id| format!("{prefix}{id}"));
            paths.map(|path| Request::get(&path)).collect()
        };
        let reads = one("/Users/").into_iter().chain(one("/Users/")).collect();
        check(&server, "reads", &statuses(&client, reads).await, &fine);
        let edits = json!([{ "op": "replace", "path": "title", "value": "T" }]);
        let edits = sample::patch(edits).to_string().into_bytes();
        let patches = one("/Users/")
            .into_iter()
            .map(|get| Request::with_body(Method::PATCH, &get.path, edits.clone()))
            .collect();
        check(
            &server,
            "patches",
            &statuses(&client, patches).await,
            &[200, 204, 503],
        );
        let deletes = one("/Users/")
            .into_iter()
            .map(|get| Request {
                method: Method::DELETE,
                ..get
            })
            .collect();
        check(
            &server,
            "deletes",
            &statuses(&client, deletes).await,
            &[204, 503],
        );
        client.create_user("ada@example.com").await;
    }
);

both!(a_page_ends_when_it_is_long, |app| async move {
    const USERS: usize = 7;
    let mut expected = Vec::new();
    for number in 0..USERS {
        let mut user = sample::user(&format!("u{number}@example.com"));
        user["nickName"] = json!("n".repeat(1_100_000));
        let created = app.post("/Users", &user).await.expect(201);
        expected.push(id(&created).to_owned());
    }
    // Pages of RFC 7644 section 3.4.2.4 may be shorter. A client may go on from what it got, or,
    // as Okta does, from what it asked for.
    for advance in [None, Some(100)] {
        let mut found = Vec::new();
        let mut start = 1;
        loop {
            let page = app
                .list(
                    "/Users",
                    &[("startIndex", &start.to_string()), ("count", "100")],
                )
                .await;
            let ids = page.ids();
            if ids.is_empty() {
                break;
            }
            assert!(ids.len() < USERS);
            start += advance.unwrap_or(ids.len());
            found.extend(ids);
        }
        assert_eq!(found, expected, "{advance:?}");
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app
            .get(&crate::harness::with_query(
                "/Users",
                &[("cursor", &cursor), ("count", "100")],
            ))
            .await
            .expect(200);
        let resources = page["Resources"].as_array().unwrap();
        found.extend(resources.iter().map(|one| id(one).to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(found, expected);
    for path in ["snapshot", "changes"] {
        let reader = app.client_with_scopes(&["read"]).await.site();
        let mut found = BTreeSet::new();
        let mut next = String::new();
        for _ in 0..20 {
            let page = reader
                .get(&format!("/directory/v1/{path}?limit=100{next}"))
                .await
                .plain(200);
            let list = if path == "snapshot" {
                "resources"
            } else {
                "changes"
            };
            let items = page[list].as_array().unwrap();
            assert!(items.len() < USERS);
            found.extend(items.iter().map(|one| id(one).to_owned()));
            next = match (&page["next"], path) {
                (Value::String(cursor), _) => format!("&cursor={cursor}"),
                (Value::Number(seq), "changes") if page["next"] != page["last"] => {
                    format!("&after={seq}")
                }
                _ => break,
            };
        }
        assert_eq!(found, expected.iter().cloned().collect(), "{path}");
    }
});

both!(each_route_has_its_own_limit, |app| async move {
    let admin = app.client_with_scopes(&["read", "admin"]).await.site();
    let long = |name: &str, length: usize| json!({ name: "x".repeat(length) }).to_string();
    let group = app.create_group("Surveyors", &[]).await;
    for (path, length) in [
        ("/scim/v2/.search", 65 << 10),
        ("/scim/v2/Users/.search", 65 << 10),
        ("/admin/v1/tenants", 65 << 10),
        ("/admin/v1/tokens", 65 << 10),
        ("/admin/v1/webhooks", 65 << 10),
        ("/admin/v1/erasures", 65 << 10),
        ("/directory/v1/memberships", 257 << 10),
    ] {
        let body = long("filter", length).into_bytes();
        let post = |kind: &'static str| {
            let headers = [("content-type", kind)];
            let body = body.clone();
            let admin = admin.clone();
            async move { admin.send(Method::POST, path, &headers, body).await }
        };
        let error = post(SCIM).await.expect_error(413, "");
        assert!(
            error["detail"].as_str().unwrap().contains("up to"),
            "{error}"
        );
        post("text/plain").await.expect_error(415, "");
    }
    // The scope is checked before the rest.
    let reader = app.client_with_scopes(&["read"]).await;
    let one = format!("/Groups/{}", id(&group));
    for (method, path) in [
        (Method::POST, "/Users"),
        (Method::POST, "/Bulk"),
        (Method::PUT, one.as_str()),
        (Method::PATCH, one.as_str()),
    ] {
        let headers = [("content-type", "text/plain")];
        let body = vec![b'['; 100_000];
        let refused = reader.send(method, path, &headers, body).await;
        refused.expect_error(403, "");
    }
});

both!(a_document_has_a_limit, |app| async move {
    let emails = |count: usize| -> Value {
        let email = |n| json!({ "value": format!("e{n}@example.com") });
        (0..count).map(email).collect()
    };
    let site = app.server.admin().site();
    let path = format!("/admin/v1/tenants/{}", app.tenant);
    let limits = |bytes: u64, values: u64| json!({ "document_limit_bytes": bytes, "attribute_values_limit": values });
    let mut user = sample::user("ada@example.com");
    user["emails"] = emails(20);
    user["nickName"] = json!("n".repeat(5_000));
    let created = app.post("/Users", &user).await.expect(201);
    let one = format!("/Users/{}", id(&created));
    let set = site.patch(&path, &limits(4_000, 10)).await.plain(200);
    assert_eq!(set["document_limit_bytes"], 4_000);
    // What is larger already can be read and reduced, and not extended.
    app.get(&one).await.expect(200);
    let edit =
        |op: &str, path: &str, value: Value| json!([{ "op": op, "path": path, "value": value }]);
    app.edit(&one, edit("replace", "active", json!(false)))
        .await
        .expect(200);
    app.edit(
        &one,
        edit("add", "emails", json!([{ "value": "more@example.com" }])),
    )
    .await
    .expect_error(400, "invalidValue");
    let longer = json!("n".repeat(6_000));
    app.edit(&one, edit("replace", "nickName", longer.clone()))
        .await
        .expect_error(413, "");
    user["nickName"] = longer;
    app.put(&one, &user).await.expect_error(413, "");
    user["nickName"] = json!("short");
    app.put(&one, &user).await.expect(200);
    user["emails"] = emails(11);
    app.put(&one, &user).await.expect(200);
    user["userName"] = json!("eve@example.com");
    app.post("/Users", &user)
        .await
        .expect_error(400, "invalidValue");
    user["emails"] = emails(10);
    app.post("/Users", &user).await.expect(201);
    let bulk = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            { "method": "PATCH", "path": one, "data": sample::patch(edit("replace", "nickName", json!("n".repeat(6_000)))) },
        ],
    });
    let results = app.post("/Bulk", &bulk).await.expect(200);
    assert_eq!(results["Operations"][0]["status"], "413");
    // Only the operator raises a limit.
    let own = app.client_with_scopes(&["admin"]).await.site();
    own.patch(&path, &limits(0, 0)).await.expect_error(403, "");
    site.patch(&path, &limits(0, 0)).await.plain(200);
    app.edit(&one, edit("replace", "nickName", json!("n".repeat(6_000))))
        .await
        .expect(200);
});

both_alone!(
    a_group_of_many_members_is_replaced,
    |database: Database| async move {
        const MEMBERS: usize = 20_000;
        database_with_users(&database, MEMBERS);
        let server = Server::start(&database);
        let client = server.admin();
        let group = client.create_group("Everyone", &[]).await;
        let members: Vec<Value> = (0..MEMBERS)
            .map(|n| json!({ "value": Database::planted_id(n), "display": format!("user{n}@example.com") }))
            .collect();
        let mut body = sample::group("Everyone", &[]);
        body["members"] = members.into();
        let path = format!("/Groups/{}", id(&group));
        let reply = client.put(&path, &body).await;
        assert!(matches!(reply.status, 200 | 204), "{}", reply.status);
        let peak = peak_kib(&server);
        assert!(peak < MOST_KIB, "{peak} KiB");
        assert_eq!(member_ids(&client.group(id(&group)).await).len(), MEMBERS);
        let reads = (0..8).map(|_| Request::get(&path)).collect();
        check(
            &server,
            "reads",
            &statuses(&client, reads).await,
            &[200, 503],
        );
    }
);

/// Starts once, so that the tables exist, and plants users.
fn database_with_users(database: &Database, count: usize) {
    drop(Server::start(database));
    database.plant_users(count);
}
