//! Every fault is answered with a SCIM error (RFC 7644 section 3.12), including those of the router
//! and the parser.

use reqwest::Method;
use serde_json::json;

use crate::harness::raw::Raw;
use crate::harness::{
    Client, Database, Reply, SCIM, Server, both, both_alone, id, percent_encode, sample,
};

async fn post_bytes(client: &Client, content_type: &str, body: &[u8]) -> Reply {
    let headers = [("content-type", content_type)];
    client
        .send(Method::POST, "/Users", &headers, body.to_vec())
        .await
}

// R7644-3.12-01, R7644-3.13-01, R7644-3.13-02, R7644-3.2-04, R7644-3.2-05, R7644-3.8-06
both!(an_unknown_path_gets_a_scim_error, |app| async move {
    for path in [
        "/Foo",
        "/Users/a/b",
        "/users",
        "/Users.scim",
        "/Users/",
        "/Foo?filter=userName",
    ] {
        let reply = app.get(path).await;
        // A redundant slash may also be accepted.
        if !(path == "/Users/" && reply.status == 200) {
            reply.expect_error(404, "");
        }
    }
    let site = app.site();
    for path in ["/scim/v1/Users", "/scim/v3/Users", "/scim", "/nothing"] {
        site.get(path).await.expect_error(404, "");
    }
});

// R7644-3.2-03, R7644-3.2-05, R7644-3.3-06
both!(a_wrong_method_gets_a_scim_error, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let one = format!("/Users/{}", id(&user));
    for (method, path) in [
        (Method::PUT, "/Users"),
        (Method::PATCH, "/Users"),
        (Method::DELETE, "/Users"),
        (Method::DELETE, "/Groups"),
        (Method::POST, &one),
        (Method::from_bytes(b"BREW").unwrap(), "/Users"),
    ] {
        let reply = app.send(
            method.clone(),
            path,
            &[("content-type", SCIM)],
            b"{}".to_vec(),
        );
        let reply = reply.await;
        let allow = reply.header("allow");
        assert!(allow.contains("GET"), "{method} {path}: Allow is {allow:?}");
        reply.expect_error(405, "");
    }
    assert_eq!(app.user(id(&user)).await, user);
});

// R7644-3.3-08, R7644-3.8-01, R7644-3.8-07, R7644-7-03
both!(a_body_must_be_a_json_object, |app| async move {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_in_place = format!(
        r#"{{"userName":"deep","urn:x:y":{}1{}}}"#,
        r#"{"a":"#.repeat(500),
        "}".repeat(500)
    );
    for body in [
        &b""[..],
        b" ",
        b"{",
        b"test",
        b"[]",
        b"null",
        b"\"text\"",
        b"17",
        br#"{"userName":"a"} trailing"#,
        br#"{"userName":"a"}{"userName":"b"}"#,
        br#"{"userName":"a","userName":"b"}"#,
        br#"{"userName":'a'}"#,
        b"{\"userName\":\"\xff\xfe\"}",
        b"\xff\xfe\x00",
        br#"{"userName":"\ud800"}"#,
        br#"{"userName":"a",}"#,
        b"{\"userName\":\"line\nbreak\"}",
        deep.as_bytes(),
        deep_in_place.as_bytes(),
    ] {
        let refused = post_bytes(&app, SCIM, body).await;
        let shown = String::from_utf8_lossy(body.get(..80).unwrap_or(body)).into_owned();
        assert_eq!(refused.status, 400, "{shown}: {refused:?}");
        refused.expect_error(400, "invalidSyntax");
    }
    assert_eq!(app.list("/Users", &[]).await.total, 0);
});

both!(unusual_numbers_cause_no_server_error, |app| async move {
    for number in [
        "1e400",
        "-1e400",
        "123456789012345678901234567890",
        "0.1e-999",
        "1E+2",
        "-0",
        "18446744073709551616",
    ] {
        let body = format!(
            r#"{{"userName":"n{number}","title":{number},"urn:example:odd:2.0:User":{{"n":{number}}}}}"#
        );
        let reply = post_bytes(&app, SCIM, body.as_bytes()).await;
        assert!(
            reply.status == 201 || reply.status == 400,
            "{number}: {reply:?}"
        );
        if reply.status == 201 {
            let created = reply.expect(201);
            assert_eq!(app.user(id(&created)).await, created);
        }
    }
});

// L-14, R7644-3.2-05, R7644-3.8-05
both!(several_json_media_types_are_accepted, |app| async move {
    let accepted = [
        "application/scim+json",
        "application/json",
        "application/scim+json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/json; odata=verbose",
    ];
    for (number, content_type) in accepted.iter().enumerate() {
        let body = sample::user(&format!("c{number}@example.com")).to_string();
        post_bytes(&app, content_type, body.as_bytes())
            .await
            .expect(201);
    }
    let body = sample::user("plain@example.com").to_string().into_bytes();
    let without = app.send(Method::POST, "/Users", &[], body).await;
    without.expect(201);
    for content_type in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let body = sample::user("other@example.com").to_string();
        let refused = post_bytes(&app, content_type, body.as_bytes()).await;
        refused.expect_error(415, "");
    }
    assert!(app.find_users(r#"userName sw "other""#).await.is_empty());
});

// R7644-3.8-02, R7644-3.8-03, R7644-3.8-04, RINTEROP-6.2-01
both!(any_accepted_type_gets_a_scim_response, |app| async move {
    for accept in [
        "application/scim+json",
        "application/json",
        "application/scim+json; charset=utf-8",
        "*/*",
        "application/*",
        "application/json;q=0.5, application/scim+json;q=0.9",
        "text/html, application/xhtml+xml",
    ] {
        let headers = [("accept", accept), ("accept-charset", "utf-8")];
        let reply = app.send(Method::GET, "/Users", &headers, Vec::new()).await;
        reply.page();
    }
});

// R7644-3.2-05, R7644-7-03
both!(an_oversized_body_gets_a_scim_error, |app| async move {
    let body = format!(r#"{{"userName":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    // The server may stop reading before the whole body is sent; then the answer may be lost.
    let headers = [("content-type", SCIM)];
    let sent = app.try_send(Method::POST, "/Users", &headers, body.into_bytes());
    if let Ok(reply) = sent.await {
        reply.expect_error(413, "");
    }

    // The announced length alone is too large.
    let mut raw = Raw::connect(&app);
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {SCIM}\r\nContent-Length: 20000000\r\n\r\n",
        app.host(),
        app.credentials()
    );
    raw.write(head.as_bytes());
    raw.write(b"{");
    let reply = raw.read_reply();
    assert_eq!(reply.status, 413, "{}", reply.head);
    assert!(reply.body.contains(r#""status":"413""#), "{}", reply.body);
    assert_eq!(app.list("/Users", &[]).await.total, 0);
});

both!(a_body_just_under_the_limit_is_accepted, |app| async move {
    app.set(&json!({ "document_limit_bytes": 16 << 20 })).await;
    let photo = json!([{ "value": format!("https://x.example/{}", "x".repeat(11 * 1024 * 1024)) }]);
    let mut body = sample::user("large@example.com");
    body["photos"] = photo;
    let created = app.post("/Users", &body).await.expect(201);
    assert_eq!(app.user(id(&created)).await["photos"], body["photos"]);
});

// R7644-3.4.1-02, R7644-7-04, R7644-7.7-01
both!(unusual_ids_are_not_found, |app| async move {
    let long = "x".repeat(5_000);
    for id in [
        "../Users",
        "%",
        "a b",
        "\u{0}",
        "a\u{0}b",
        "'; DROP TABLE resources; --",
        "🦀",
        "ı",
        "null",
        "-1",
        "0",
        "\r\nX-Injected: 1",
        "a/b",
        "\\",
        "\"",
        "*",
        long.as_str(),
    ] {
        for endpoint in ["Users", "Groups"] {
            let path = format!("/{endpoint}/{}", percent_encode(id));
            let reply = app.get(&path).await;
            // The router decides whether `%2F` separates path segments; it must answer either way.
            assert!([404, 400].contains(&reply.status), "{id:?}: {reply:?}");
            assert!(!reply.headers.contains_key("x-injected"));
            let status = reply.status;
            reply.expect_error(status, "");
            let operations = json!([{ "op": "replace", "value": { "displayName": "x" } }]);
            let patched = app.edit(&path, operations).await;
            assert!([404, 400].contains(&patched.status), "{id:?}: {patched:?}");
            let deleted = app.delete(&path).await;
            assert!([404, 400].contains(&deleted.status), "{id:?}: {deleted:?}");
        }
    }
});

both!(malformed_paths_cause_no_server_error, |app| async move {
    for target in [
        "/scim/v2/Users/%ZZ",
        "/scim/v2/Users/%FF%FE",
        "/scim/v2/Users/%00",
        "/scim/v2/Users?filter=%ZZ",
        "/scim/v2//Users",
        "/scim/v2/./Users/../Users/x",
        "//scim/v2/Users",
        "/scim/v2/Users?%FF=%FF",
        "*",
    ] {
        let mut raw = Raw::connect(&app);
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            app.credentials()
        );
        raw.write(request.as_bytes());
        let reply = raw.read_reply();
        assert!(
            reply.status < 500,
            "{target}: {} {}",
            reply.head,
            reply.body
        );
    }
    app.get("/Users").await.page();
});

// R7644-3.12-03, RIPSIE-8-01
both!(error_details_help_and_leak_nothing, |app| async move {
    app.create_user("ada@example.com").await;
    let taken = app.post("/Users", &sample::user("ADA@example.com")).await;
    let unknown = app.get("/Users/nobody").await;
    let wrong_type = post_bytes(&app, "text/plain", b"x").await;
    let malformed = post_bytes(&app, SCIM, b"{").await;
    for reply in [taken, unknown, wrong_type, malformed] {
        let detail = reply.body["detail"].as_str().unwrap().to_owned();
        for leak in [
            "SQL",
            "constraint",
            "panicked",
            "src/",
            "diesel",
            "tenant_id",
        ] {
            assert!(!detail.contains(leak), "{detail}");
        }
        assert!(detail.len() > 15, "{detail}");
    }
});

// R7644-7-03
both_alone!(
    a_missing_body_gets_a_scim_error,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--body-timeout-s", "1"], &[]);
        let client = server.admin();
        let mut raw = Raw::connect(&client);
        let head = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 100\r\n\r\n{{",
            client.credentials()
        );
        raw.write(head.as_bytes());
        let reply = raw.read_reply();
        assert_eq!(reply.status, 408, "{}", reply.head);
        assert!(reply.body.contains(r#""status":"408""#), "{}", reply.body);
    }
);

both!(a_body_may_be_chunked, |app| async move {
    let body = sample::user("chunked@example.com").to_string();
    let (first, second) = body.split_at(50);
    let mut raw = Raw::connect(&app);
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        app.credentials()
    );
    raw.write(head.as_bytes());
    for chunk in [first, second, ""] {
        raw.write(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
    }
    let reply = raw.read_reply();
    assert_eq!(reply.status, 201, "{} {}", reply.head, reply.body);
});

both!(a_client_may_set_a_valid_request_id, |app| async move {
    for (given, taken) in [("trace-1.2_3", true), ("a b", false), ("<script>", false)] {
        let headers = [("x-request-id", given)];
        let reply = app.send(Method::GET, "/Users", &headers, Vec::new()).await;
        assert_eq!(reply.header("x-request-id") == given, taken, "{given}");
    }
});
