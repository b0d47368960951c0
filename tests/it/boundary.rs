//! Behavior of the HTTP boundary before routing: slashes, parameter names, content codings and
//! U+0000.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::raw::Raw;
use crate::harness::{
    Client, Database, Reply, SCIM, Server, both, both_alone, both_typed, id, member_ids,
    percent_encode, sample, with_query,
};

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// Returns the spellings of a path that clients build from a base URL with a trailing slash, and
/// with a trailing slash of their own.
fn spellings(path: &str) -> Vec<String> {
    let (address, query) = match path.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (path, String::new()),
    };
    let doubled = address.replace('/', "//");
    let inner = format!("/{}", address.trim_start_matches('/').replace('/', "///"));
    [
        format!("{address}/"),
        format!("{address}///"),
        doubled.clone(),
        format!("{doubled}/"),
        inner,
    ]
    .map(|address| format!("{address}{query}"))
    .to_vec()
}

both_typed!(reads_accept_redundant_slashes, |app| async move {
    let strict = app.strict().await;
    for app in [&app, &strict] {
        let ada = app
            .post("/Users", &user("ada@example.com"))
            .await
            .expect(201);
        let group = app.create_group("Surveyors", &[id(&ada)]).await;
        let site = app.client_with_scopes(&["scim", "admin"]).await.site();
        let (ada, group) = (id(&ada), id(&group));
        for path in [
            "/scim/v2".to_owned(),
            "/scim/v2/Users".to_owned(),
            "/scim/v2/Users?filter=userName%20co%20%22//%22%20or%20userName%20pr".to_owned(),
            format!("/scim/v2/Users/{ada}"),
            format!("/scim/v2/Users/{ada}?attributes=userName"),
            format!("/scim/v2/Groups/{group}"),
            "/scim/v2/Devices".to_owned(),
            "/scim/v2/Roles".to_owned(),
            "/scim/v2/ServiceProviderConfig".to_owned(),
            "/scim/v2/ResourceTypes".to_owned(),
            "/scim/v2/ResourceTypes/User".to_owned(),
            "/scim/v2/Schemas".to_owned(),
            format!("/scim/v2/Schemas/{USER_SCHEMA}"),
            "/directory/v1/users?userName=ada@example.com".to_owned(),
            format!("/directory/v1/users/{ada}"),
            format!("/directory/v1/users/{ada}/groups"),
            format!("/directory/v1/groups/{group}/members"),
            format!("/directory/v1/groups/{group}/members/{ada}"),
            "/directory/v1/changes?after=0".to_owned(),
            "/directory/v1/snapshot".to_owned(),
            "/admin/v1/tenants".to_owned(),
            "/admin/v1/webhooks".to_owned(),
            "/healthz".to_owned(),
            "/openapi.json".to_owned(),
        ] {
            let expected = site.get(&path).await;
            assert_eq!(expected.status, 200, "{expected:?}");
            for spelt in spellings(&path) {
                let found = site.get(&spelt).await;
                assert_eq!(found.status, 200, "{found:?}");
                assert_eq!(found.body, expected.body, "{spelt}");
            }
        }
    }
});

both!(writes_accept_redundant_slashes, |app| async move {
    let strict = app.strict().await;
    for app in [&app, &strict] {
        let created = app.post("//Users//", &user("ada@example.com")).await;
        assert_eq!(
            created.header("location"),
            created.body["meta"]["location"].as_str().unwrap()
        );
        let ada = created.expect(201);
        let one = format!("/Users/{}", id(&ada));
        assert_eq!(ada["meta"]["location"], format!("{}{one}", app.base_url()));
        let spelt = format!("//Users///{}/", id(&ada));
        let mut changed = user("ada@example.com");
        changed["title"] = json!("Countess");
        let replaced = app.put(&spelt, &changed).await.expect(200);
        assert_eq!(replaced["meta"]["location"], ada["meta"]["location"]);
        let dr = json!([{ "op": "replace", "path": "title", "value": "Dr." }]);
        app.edit(&spelt, dr).await.expect(200);
        assert_eq!(app.get(&one).await.expect(200)["title"], "Dr.");
        let search = json!({ "schemas": [SEARCH], "filter": "title eq \"Dr.\"" });
        for path in ["/Users/.search/", "//Users//.search", "//.search/"] {
            let found = app.post(path, &search).await.expect(200);
            assert_eq!(found["totalResults"], 1, "{path}");
        }
        let bulk =
            json!({ "schemas": [BULK], "Operations": [{ "method": "DELETE", "path": one }] });
        let done = app.post("//Bulk/", &bulk).await.expect(200);
        assert_eq!(done["Operations"][0]["status"], "204");
        let group = app.create_group("Surveyors", &[]).await;
        app.delete(&format!("/Groups//{}/", id(&group)))
            .await
            .expect(204);
        // A list cannot be deleted, however many slashes the path has.
        for path in ["/Users/", "/Groups//"] {
            let refused = app.delete(path).await;
            assert_eq!(refused.header("allow"), "GET, HEAD, POST");
            refused.expect_error(405, "");
        }
    }
});

both!(an_encoded_slash_is_part_of_an_id, |app| async move {
    let ada = app.create_user("ada@example.com").await;
    for path in [
        format!("/Users/{}%2F", id(&ada)),
        format!("/Users/%2F{}", id(&ada)),
        format!("/Users%2F{}", id(&ada)),
        "/Users/%2F/".to_owned(),
    ] {
        app.get(&path).await.expect_error(404, "");
    }
});

both_alone!(
    metrics_use_the_canonical_routes,
    |database: Database| async move {
        let server = Server::start(&database);
        let client = server.admin();
        client.get("//Users/").await.page();
        client.get("/Users//nobody/").await.expect_error(404, "");
        client
            .site()
            .get("/directory/v1//changes/")
            .await
            .plain(200);
        let metrics = client.site().get("/metrics/").await;
        let metrics = String::from_utf8(metrics.bytes).unwrap();
        for (route, status) in [
            ("/scim/v2/Users", 200),
            ("/scim/v2/Users/{id}", 404),
            ("/directory/v1/changes", 200),
        ] {
            let line = format!(
                r#"rollcall_http_requests_total{{method="GET",route="{route}",status="{status}"}} 1"#
            );
            assert!(metrics.contains(&line), "{line}\n{metrics}");
        }
        // The page for browsers is the only path where a trailing slash matters.
        let page = client.site().get("/docs").await;
        assert_eq!((page.status, page.header("location")), (308, "/docs/"));
        assert_eq!(client.site().get("/docs/").await.status, 200);
    }
);

both_typed!(parameter_names_ignore_case, |app| async move {
    for (name, title) in [("ada", "Countess"), ("bob", "Baker"), ("eve", "Baker")] {
        let mut body = user(name);
        body["title"] = json!(title);
        app.post("/Users", &body).await.expect(201);
    }
    app.create_group("Bakers", &[]).await;
    let strict = app.strict().await;
    strict.post("/Users", &user("ada")).await.expect(201);
    for (spelt, canonical) in [
        (
            "Filter=title%20eq%20%22baker%22",
            "filter=title%20eq%20%22baker%22",
        ),
        (
            "FILTER=userName%20eq%20%22nobody%22",
            "filter=userName%20eq%20%22nobody%22",
        ),
        ("STARTINDEX=2&Count=1", "startIndex=2&count=1"),
        (
            "sortby=userName&SORTORDER=descending",
            "sortBy=userName&sortOrder=descending",
        ),
        ("Attributes=userName", "attributes=userName"),
        (
            "excludedattributes=meta,title",
            "excludedAttributes=meta,title",
        ),
        (
            "attributes=userName&Attributes=title&attributes=",
            "attributes=userName,title",
        ),
        (
            "excludedAttributes=title&excludedAttributes=meta",
            "excludedAttributes=title,meta",
        ),
        ("count=1&COUNT=1&count=", "count=1"),
    ] {
        for path in ["/Users", "/Groups", "/Devices", ""] {
            for app in [&app, &strict] {
                let found = app.get(&format!("{path}?{spelt}")).await;
                let expected = app.get(&format!("{path}?{canonical}")).await;
                assert_eq!(found.status, expected.status, "{path} {spelt}");
                assert_eq!(found.body, expected.body, "{path} {spelt}");
            }
        }
    }
    let first = app
        .get("/Users?Cursor=&COUNT=2&sortBy=userName")
        .await
        .expect(200);
    assert!(first["nextCursor"].is_string(), "{first}");
    let ada = app
        .list("/Users", &[("filter", "userName eq \"ada\"")])
        .await;
    let one = format!("/Users/{}", id(&ada.resources[0]));
    let shown = app
        .get(&format!("{one}?ATTRIBUTES=title"))
        .await
        .expect(200);
    assert_eq!(shown["title"], "Countess");
    assert!(shown.get("userName").is_none(), "{shown}");
    let dr = json!([{ "op": "replace", "path": "title", "value": "Dr." }]);
    let changed = app
        .edit(&format!("{one}?Attributes=title&attributes=id"), dr)
        .await
        .expect(200);
    assert!(changed.get("userName").is_none(), "{changed}");
    let discovery = app.get("/Schemas?Filter=id%20pr").await;
    discovery.expect_error(403, "");

    let site = app.client_with_scopes(&["read", "admin"]).await.site();
    for (spelt, canonical) in [
        (
            "/directory/v1/users?USERNAME=ada",
            "/directory/v1/users?userName=ada",
        ),
        (
            "/directory/v1/users?Prefix=a&LIMIT=1",
            "/directory/v1/users?prefix=a&limit=1",
        ),
        (
            "/directory/v1/groups?displayname=Bakers",
            "/directory/v1/groups?displayName=Bakers",
        ),
        (
            "/directory/v1/changes?After=3&Type=User",
            "/directory/v1/changes?after=3&type=User",
        ),
    ] {
        let expected = site.get(canonical).await.plain(200);
        assert_eq!(site.get(spelt).await.plain(200), expected, "{spelt}");
    }
    let tenant = format!("/admin/v1/tokens?Tenant={}", app.tenant);
    let tokens = app.server.admin().site().get(&tenant).await.plain(200);
    assert!(
        tokens.as_array().is_some_and(|tokens| tokens.len() == 2),
        "{tokens}"
    );
});

both_typed!(no_parameter_widens_a_response, |app| async move {
    let strict = app.strict().await;
    for app in [&app, &strict] {
        let ada = app
            .post("/Users", &user("ada@example.com"))
            .await
            .expect(201);
        let one = format!("/Users/{}", id(&ada));
        for path in [
            "/Users",
            "/Groups",
            "/Devices",
            "",
            one.as_str(),
            "/Schemas",
            "/ResourceTypes/User",
        ] {
            for query in [
                "filters=userName%20eq%20%22nobody%22",
                "$filter=userName%20eq%20%22nobody%22",
                "%24filter=x",
                "filter%20=x",
                "q=nobody",
                "count=1&search=nobody",
                "userName=nobody",
                "attributes=id&count=1&attribute=id",
                "count=1&Count=2",
                "startIndex=1&startIndex=2",
            ] {
                let refused = app.get(&format!("{path}?{query}")).await;
                refused.expect_error(400, "invalidValue");
            }
            for query in [
                "aadOptscim062020",
                "aadoptscim062020=true&count=1",
                "x",
                "x=&y",
            ] {
                let reply = app.get(&format!("{path}?{query}")).await;
                assert_eq!(reply.status, 200, "{reply:?}");
            }
        }
        let twice = "filter=userName%20pr&FILTER=userName%20eq%20%22nobody%22";
        for path in ["/Users", "/Groups", ""] {
            let refused = app.get(&format!("{path}?{twice}")).await;
            refused.expect_error(400, "invalidValue");
        }
        let head = app
            .send(Method::HEAD, "/Users?filters=x", &[], Vec::new())
            .await;
        assert_eq!(head.status, 400);
        let refused = app
            .get("/Users?filtre=x")
            .await
            .expect_error(400, "invalidValue");
        let detail = refused["detail"].as_str().unwrap();
        assert!(
            detail.contains("`filtre`") && detail.contains("filter, sortBy"),
            "{detail}"
        );
        // Without a token the answer is 401, even if the request has other faults.
        app.anonymous()
            .get("/Users?filtre=x")
            .await
            .expect_error(401, "");

        // The write succeeds: unknown parameters and flags cannot widen the answer.
        for query in ["aadOptscim062020", "foo=1", "filter=x&filter=y"] {
            let created = app
                .post(&format!("/Users?{query}"), &user(query))
                .await
                .expect(201);
            let path = format!("/Users/{}?{query}", id(&created));
            let dr = json!([{ "op": "replace", "path": "title", "value": "Dr." }]);
            app.edit(&path, dr).await.expect(200);
            app.put(&path, &user(query)).await.expect(200);
            app.delete(&path).await.expect(204);
        }
    }
    let site = app.client_with_scopes(&["read", "admin"]).await.site();
    for path in [
        "/directory/v1/users?userName=ada@example.com&limits=1",
        "/directory/v1/groups?displayName=x&at=2026-01-01T00:00:00Z",
        "/directory/v1/groups/x?at=2026-01-01T00:00:00Z",
        "/directory/v1/changes?kinds=deleted",
        "/directory/v1/changes?after=1&After=2",
        "/directory/v1/snapshot?after=1",
        "/admin/v1/tokens?tenent=x",
        "/admin/v1/webhooks?tenants=x",
    ] {
        site.get(path).await.expect_error(400, "invalidValue");
    }
    let token = app.token("kept", &["read"]).await;
    let misspelt = site.delete("/admin/v1/tokens/kept?tenent=other").await;
    misspelt.expect_error(400, "invalidValue");
    app.authorization(&format!("Bearer {token}"))
        .get("/Users")
        .await
        .page();
});

/// Returns a user without members that only tolerant tenants accept.
fn user(user_name: &str) -> Value {
    json!({ "schemas": [USER_SCHEMA], "userName": user_name })
}

type Encode = fn(&[u8]) -> Vec<u8>;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn send_coded(
    client: &Client,
    method: Method,
    path: &str,
    coding: &str,
    body: Vec<u8>,
) -> Reply {
    let headers = [("content-type", SCIM), ("content-encoding", coding)];
    client.send(method, path, &headers, body).await
}

both!(
    a_gzip_body_with_too_many_members_is_rejected,
    |app| async move {
        let admin = app.client_with_scopes(&["scim"]).await.site();
        for (count, status) in [(10, 201), (10_000, 400)] {
            let body = user("ada").to_string();
            let body = [gzip(b"").repeat(count), gzip(body.as_bytes())].concat();
            let path = "/scim/v2/Users";
            let reply = send_coded(&admin, Method::POST, path, "gzip", body).await;
            assert_eq!(reply.status, status, "{count}");
        }
    }
);

both!(compressed_bodies_are_accepted, |app| async move {
    let strict = app.strict().await;
    for app in [&app, &strict] {
        let admin = app.client_with_scopes(&["scim", "admin"]).await.site();
        let codings: [(&str, Encode); 6] = [
            ("gzip", gzip),
            ("GZIP", gzip),
            ("x-gzip", gzip),
            ("deflate", zlib),
            ("deflate", bare_deflate),
            ("identity", <[u8]>::to_vec),
        ];
        for (number, (coding, encode)) in codings.into_iter().enumerate() {
            let send = async |method: Method, path: &str, body: Value| {
                let body = encode(body.to_string().as_bytes());
                send_coded(&admin, method, path, coding, body).await
            };
            let mut ada = user(&format!("ada{number}"));
            let created = send(Method::POST, "/scim/v2/Users", ada.clone())
                .await
                .expect(201);
            let one = format!("/scim/v2/Users/{}", id(&created));
            ada["title"] = json!("Countess");
            send(Method::PUT, &one, ada).await.expect(200);
            let operations = json!([{ "op": "add", "path": "nickName", "value": "A" }]);
            let patched = send(Method::PATCH, &one, sample::patch(operations))
                .await
                .expect(200);
            assert_eq!(
                (&patched["title"], &patched["nickName"]),
                (&json!("Countess"), &json!("A"))
            );
            let search =
                json!({ "schemas": [SEARCH], "filter": format!("userName eq \"ada{number}\"") });
            let found = send(Method::POST, "/scim/v2/Users/.search", search)
                .await
                .expect(200);
            assert_eq!(found["totalResults"], 1);
            let delete = json!({ "method": "DELETE", "path": format!("/Users/{}", id(&created)) });
            let bulk = json!({ "schemas": [BULK], "Operations": [delete] });
            let done = send(Method::POST, "/scim/v2/Bulk", bulk).await.expect(200);
            assert_eq!(done["Operations"][0]["status"], "204", "{done}");
            let checks = json!({ "checks": [{ "user": "x", "group": "y" }] });
            send(Method::POST, "/directory/v1/memberships", checks)
                .await
                .plain(200);
            let token = json!({ "name": format!("coded{number}"), "scopes": ["read"] });
            send(Method::POST, "/admin/v1/tokens", token)
                .await
                .plain(201);
        }
        // Responses are compressed too if the client accepts it.
        let mut large = user("large");
        large["nickName"] = json!("x".repeat(300_000));
        let headers = [
            ("content-type", SCIM),
            ("content-encoding", "gzip"),
            ("accept-encoding", "gzip"),
        ];
        let body = gzip(large.to_string().as_bytes());
        assert!(body.len() < 10_000);
        let reply = app.send(Method::POST, "/Users", &headers, body).await;
        assert_eq!(
            (reply.status, reply.header("content-encoding")),
            (201, "gzip")
        );
    }
});

both!(unsupported_content_codings_are_rejected, |app| async move {
    let body = user("ada@example.com").to_string().into_bytes();
    for coding in ["br", "zstd", "compress", "foo", "gzip, deflate", "gzip;q=1"] {
        for (method, path) in [
            (Method::POST, "/Users"),
            (Method::PUT, "/Users/x"),
            (Method::PATCH, "/Groups/x"),
            (Method::POST, "/.search"),
            (Method::POST, "/Bulk"),
        ] {
            let refused = send_coded(&app, method, path, coding, body.clone()).await;
            assert_eq!(
                refused.header("accept-encoding"),
                "gzip, deflate",
                "{coding}"
            );
            refused.expect_error(415, "");
        }
    }
    let wrong_type = [("content-type", "text/plain"), ("content-encoding", "gzip")];
    let refused = app
        .send(Method::POST, "/Users", &wrong_type, gzip(&body))
        .await;
    assert_eq!(
        refused.header("accept-encoding"),
        "",
        "that is not what is wrong"
    );
    refused.expect_error(415, "");

    let (whole, deflated) = (gzip(&body), zlib(&body));
    let mut flipped = whole.clone();
    let last = flipped.len() - 5;
    flipped[last] ^= 1;
    for (coding, damaged) in [
        ("gzip", body.clone()),
        ("gzip", deflated.clone()),
        ("gzip", whole[..whole.len() - 1].to_vec()),
        ("gzip", [&whole[..], b"x"].concat()),
        ("gzip", flipped),
        ("deflate", body.clone()),
        ("deflate", whole.clone()),
        ("deflate", deflated[..deflated.len() - 1].to_vec()),
        ("identity", whole),
    ] {
        let refused = send_coded(&app, Method::POST, "/Users", coding, damaged).await;
        refused.expect_error(400, "invalidSyntax");
    }
    let broken = gzip(b"{\"userName\":");
    let refused = send_coded(&app, Method::POST, "/Users", "gzip", broken).await;
    refused.expect_error(400, "invalidSyntax");
    assert_eq!(app.list("/Users", &[]).await.total, 0);
});

both_alone!(
    the_body_limit_counts_decoded_bytes,
    |database: Database| async move {
        // Memory for one large body at a time, with its values.
        let flags = [
            "--body-limit-bytes",
            "200000",
            "--body-memory-bytes",
            "700000",
            "--bulk-max-payload-bytes",
            "200000",
        ];
        let server = Server::start_with(&database, &flags, &[]);
        let app = server.admin();
        let with_nick = |length: usize| {
            let mut body = user("ada@example.com");
            body["nickName"] = json!("x".repeat(length));
            body.to_string().into_bytes()
        };
        let codings: [(&str, Encode); 2] = [("gzip", gzip), ("deflate", zlib)];
        for (coding, encode) in codings {
            for length in [200_001, 50_000_000] {
                let bomb = encode(&with_nick(length));
                let refused = send_coded(&app, Method::POST, "/Users", coding, bomb).await;
                refused.expect_error(413, "");
            }
        }
        // The memory of the rejected bodies is free again.
        let fits = gzip(&with_nick(199_000));
        send_coded(&app, Method::POST, "/Users", "gzip", fits)
            .await
            .expect(201);
    }
);

both!(a_compressed_body_may_be_chunked, |app| async move {
    let body = gzip(user("ada@example.com").to_string().as_bytes());
    let mut raw = Raw::connect(&app);
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.credentials()
    );
    raw.write(head.as_bytes());
    for byte in &body {
        raw.write(&[b"1\r\n", &[*byte][..], b"\r\n"].concat());
    }
    raw.write(b"0\r\n\r\n");
    let reply = raw.read_reply();
    assert_eq!(reply.status, 201, "{} {}", reply.head, reply.body);
});

both!(nul_is_rejected_in_every_url, |app| async move {
    let site = app.client_with_scopes(&["scim", "admin"]).await.site();
    for path in [
        "/scim/v2/Users/a%00b",
        "/scim/v2/Schemas/%00",
        "/directory/v1/users/%00/groups",
        "/admin/v1/webhooks/%00/dead-letters",
        "/nothing/%00",
    ] {
        let refused = site.get(path).await;
        assert!(!refused.header("x-request-id").is_empty());
        let refused = refused.expect_error(400, "");
        assert!(
            refused["detail"].as_str().unwrap().contains("U+0000"),
            "{refused}"
        );
    }
    for path in [
        "/scim/v2/Users?sortBy=%00",
        "/scim/v2/Users?attributes=id&count=1%00%00",
        "/directory/v1/users?userName=a%00",
        "/directory/v1/changes?kind=%00",
        "/admin/v1/tokens?tenant=%00",
        "/admin/v1/webhooks?tenant=x&Tenant=%00",
        "/healthz?%00",
    ] {
        let refused = site.get(path).await.expect_error(400, "invalidValue");
        assert!(
            refused["detail"].as_str().unwrap().contains("U+0000"),
            "{refused}"
        );
    }
    for (path, body) in [
        (
            "/admin/v1/tokens",
            json!({ "tenant": "\u{0}", "name": "x", "scopes": ["read"] }),
        ),
        (
            "/admin/v1/tokens",
            json!({ "name": "x", "scopes": ["read"], "fields": ["a\u{0}"] }),
        ),
        (
            "/admin/v1/erasures",
            json!({ "type": "User", "id": "\u{0}" }),
        ),
        (
            "/admin/v1/webhooks",
            json!({ "tenant": "\u{0}", "name": "x", "url": "https://x.example" }),
        ),
        (
            "/directory/v1/memberships",
            json!({ "checks": [{ "user": "\u{0}", "group": "x" }] }),
        ),
    ] {
        let refused = site.post(path, &body).await.expect_error(400, "");
        assert!(
            refused["detail"].as_str().unwrap().contains("U+0000"),
            "{refused}"
        );
    }
    let operator = app.server.admin().site();
    let tenant = json!({ "name": "a\u{0}" });
    let refused = operator.post("/admin/v1/tenants", &tenant).await;
    let error = refused.expect_error(400, "");
    assert!(
        error["detail"].as_str().unwrap().contains("U+0000"),
        "{error}"
    );
    // Sequences that look like an encoded NUL but are not.
    let path = with_query("/Users", &[("filter", "userName eq \"%00\"")]);
    assert_eq!(app.get(&path).await.page().total, 0);
    app.get("/Users/%2500").await.expect_error(404, "");
    // SCIM's own rules name the offending member, so they come first in a body.
    let refused = app
        .post("/Users", &user("a\u{0}"))
        .await
        .expect_error(400, "invalidValue");
    assert!(
        refused["detail"].as_str().unwrap().contains("userName"),
        "{refused}"
    );
});

both!(
    a_group_can_be_managed_through_malformed_urls,
    |app| async move {
        // All quirks at once, as a gateway with a mistyped base URL would send them.
        let ada = app
            .post("//Users/?aadOptscim062020", &user("ada"))
            .await
            .expect(201);
        let body = gzip(
            sample::group("Surveyors", &[id(&ada)])
                .to_string()
                .as_bytes(),
        );
        let created = send_coded(&app, Method::POST, "/Groups//", "gzip", body)
            .await
            .expect(201);
        let filter = percent_encode(&format!("members eq \"{}\"", id(&ada)));
        let path =
            format!("//Groups/?Filter={filter}&Attributes=id&attributes=members&aadOptscim062020");
        let found = app.get(&path).await.page();
        assert_eq!(found.total, 1);
        assert_eq!(found.resources[0]["id"], created["id"]);
        assert_eq!(member_ids(&found.resources[0]), [id(&ada)]);
    }
);

/// Returns the status and the body of the answer to these bytes.
fn send_raw(client: &Client, request: &str) -> (u16, String) {
    let mut raw = Raw::connect(client);
    raw.write(request.as_bytes());
    let reply = raw.read_reply();
    (reply.status, reply.body)
}

// docs/compatibility.md lists them, with the reasons.
both!(an_unparsable_request_is_rejected, |app| async move {
    let many: String = (0..120).map(|number| format!("A{number}: x\r\n")).collect();
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET /scim/v2/Users HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET /scim/v2/Users HTTP/9.9\r\nHost: x\r\n\r\n".to_owned(),
            400,
        ),
        (
            "GET /scim/v2/Users?filter=id+eq+\"a\" HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            400,
        ),
        (
            "GET /scim/v2/Users?filter=<a> HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            400,
        ),
        (
            format!("GET /?a={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000)),
            400,
        ),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431),
    ] {
        let (found, body) = send_raw(&app, &request);
        let start: String = request.chars().take(80).collect();
        assert_eq!((found, body.as_str()), (status, ""), "{start}");
    }
    app.get("/Users").await.page();
});

both!(a_faulty_request_gets_a_scim_error, |app| async move {
    let rest = format!(
        "HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n",
        app.credentials()
    );
    for (request, status) in [
        (
            format!("GET /scim/v2/Users?attributes={{|}}[]^`'\\ {rest}\r\n"),
            200,
        ),
        (
            format!("GET /scim/v2/Users?attribute={{|}} {rest}\r\n"),
            400,
        ),
        (format!("GET /scim/v2/Users/\"a\" {rest}\r\n"), 404),
        (format!("GET /scim/v2/Users/%ZZ {rest}\r\n"), 404),
        (format!("GET /scim/v2/Users/%00 {rest}\r\n"), 400),
        (format!("BREW /scim/v2/Users {rest}\r\n"), 405),
        (format!("CONNECT a:1 {rest}\r\n"), 404),
        (
            format!("POST /scim/v2/Users {rest}Expect: a-miracle\r\nContent-Length: 2\r\n\r\n{{}}"),
            400,
        ),
    ] {
        let (found, body) = send_raw(&app, &request);
        assert_eq!(found, status, "{request} {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        if status != 200 {
            assert_eq!(body["status"], status.to_string(), "{request}");
        }
    }
});

// The library may close the connection before it answers while the request is in progress.
both!(a_malformed_chunk_fails_only_its_request, |app| async move {
    for chunks in ["ZZ\r\n", "2\r\n{}ZZ\r\n"] {
        let mut raw = Raw::connect(&app);
        let request = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            app.credentials()
        );
        raw.write(request.as_bytes());
        let answer = String::from_utf8(raw.read_to_end()).unwrap();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
        assert_eq!(app.list("/Users", &[]).await.total, 0);
    }
});
