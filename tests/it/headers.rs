//! Headers that limit what browsers and caches do with a response, and requests that are no HTTP.

use reqwest::Method;
use serde_json::json;

use crate::harness::raw::Raw;
use crate::harness::{Client, Database, Reply, SCIM, Server, both, both_alone, sample};

fn assert_hardened(reply: &Reply) {
    assert_eq!(
        reply.header("x-content-type-options"),
        "nosniff",
        "{reply:?}"
    );
    assert_eq!(reply.header("referrer-policy"), "no-referrer", "{reply:?}");
    let hsts = reply.header("strict-transport-security");
    assert_eq!(hsts, "", "not over plain HTTP: {reply:?}");
}

both!(every_response_is_hardened, |app| async move {
    let site = app
        .client_with_scopes(&["scim", "admin", "read"])
        .await
        .site();
    let ada = app.create_user("ada@example.com").await;
    let user = format!("/scim/v2/Users/{}", ada["id"].as_str().unwrap());
    for (method, path, status) in [
        (Method::GET, "/scim/v2/Users", 200),
        (Method::HEAD, "/scim/v2/Users", 200),
        (Method::GET, &*user, 200),
        (Method::DELETE, &*user, 204),
        (Method::GET, &*user, 404),
        (Method::PUT, "/scim/v2/Users", 405),
        (Method::POST, "/scim/v2/Users", 400),
        (Method::GET, "/scim/v2/Users?x=1", 400),
        (Method::GET, "/scim/v2/Users/%00", 400),
        (Method::GET, "/scim/v2/Schemas", 200),
        (Method::GET, "/directory/v1/users?prefix=x", 200),
        (Method::GET, "/admin/v1/tokens", 200),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/", 404),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/readyz", 200),
        (Method::GET, "/metrics", 200),
        (Method::GET, "/openapi.json", 200),
        (Method::GET, "/docs", 308),
        (Method::GET, "/docs/", 200),
        (Method::GET, "/docs/swagger-ui.css", 200),
        (Method::GET, "/docs/nothing", 404),
    ] {
        let reply = site.send(method, path, &[], Vec::new()).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_hardened(&reply);
    }
    let stream = site.open("/directory/v1/changes/stream", &[]).await;
    assert_eq!(stream.headers()["x-content-type-options"], "nosniff");
    assert_eq!(stream.headers()["cache-control"], "no-store");
});

both!(
    secrets_and_refusals_are_stored_by_no_cache,
    |app| async move {
        let admin = app.client_with_scopes(&["admin"]).await.site();
        let token = json!({ "name": "cached", "scopes": ["read"] });
        let hook = json!({ "name": "cached", "url": "https://example.com/hook" });
        let mut replies = vec![
            admin.post("/admin/v1/tokens", &token).await,
            admin.post("/admin/v1/webhooks", &hook).await,
            admin
                .post("/admin/v1/webhooks/cached/rotate", &json!({}))
                .await,
            admin.get("/admin/v1/tokens").await,
        ];
        for secret in &replies[..3] {
            assert!(secret.status < 300, "{secret:?}");
        }
        for client in [app.anonymous(), app.authorization("Bearer nothing")] {
            for path in ["/scim/v2/Users", "/directory/v1/users", "/admin/v1/tokens"] {
                let refused = client.site().get(path).await;
                assert_eq!(refused.status, 401);
                replies.push(refused);
            }
        }
        for reply in replies {
            assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        }
    }
);

both!(no_page_can_frame_the_api_browser, |app| async move {
    let site = app.anonymous().site();
    let page = site.get("/docs/").await;
    let policy = page.header("content-security-policy").to_owned();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "connect-src 'self'",
    ] {
        let mut directives = policy.split(';').map(str::trim);
        assert!(directives.any(|found| found == directive), "{policy}");
    }
    // The policy allows no script in the page itself, so the page must not rely on one.
    let html = String::from_utf8(page.bytes).unwrap();
    for script in html.split("<script").skip(1) {
        let (tag, body) = script.split_once('>').unwrap();
        assert!(tag.contains("src="), "{script}");
        assert!(body.trim_start().starts_with("</script>"), "{script}");
        let file = tag.split('"').find(|part| part.ends_with(".js")).unwrap();
        let file = file.trim_start_matches("./");
        let loaded = site.get(&format!("/docs/{file}")).await;
        assert_eq!(loaded.status, 200);
        assert!(
            loaded.header("content-type").contains("javascript"),
            "{loaded:?}"
        );
        assert_eq!(loaded.header("content-security-policy"), policy);
    }
    let initializer = site.get("/docs/swagger-initializer.js").await;
    let initializer = String::from_utf8(initializer.bytes).unwrap();
    assert!(
        initializer.contains(r#""validatorUrl": "none""#),
        "{initializer}"
    );
});

/// Sends bytes and reads until the server closes.
fn exchange(client: &Client, request: &str) -> String {
    let mut raw = Raw::connect(client);
    raw.write(request.as_bytes());
    String::from_utf8(raw.read_to_end()).unwrap()
}

both_alone!(
    malformed_requests_are_counted,
    |database: Database| async move {
        let log = [("ROLLCALL_LOG", "rollcall=debug")];
        let mut server = Server::start_with(&database, &[], &log);
        let client = server.admin();
        for (request, status, reason) in [
            ("G(T / HTTP/1.1\r\n\r\n".to_owned(), 400, "header"),
            ("GET / HTTP/1.9\r\n\r\n".to_owned(), 400, "version"),
            (
                "GET /<> HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
                400,
                "target",
            ),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "header"),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: a\r\n\r\n".to_owned(),
                400,
                "header",
            ),
            (
                format!("GET / HTTP/1.1\r\n{}", "A: x\r\n".repeat(200)),
                431,
                "too_large",
            ),
        ] {
            let metric = |text: &str| {
                let line = format!("rollcall_http_malformed_total{{reason=\"{reason}\"}} ");
                let found = text.lines().find_map(|l| l.strip_prefix(&line));
                found.expect("the counter").parse::<u64>().unwrap()
            };
            let metrics = async || {
                let metrics = client.site().get("/metrics").await;
                String::from_utf8(metrics.bytes).unwrap()
            };
            let before = metric(&metrics().await);
            let answer = exchange(&client, &request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            let after = metrics().await;
            assert_eq!(metric(&after), before + 1, "{request}: {after}");
        }
        let valid = client.send(Method::POST, "/Users", &[("content-type", SCIM)], {
            sample::user("ada@example.com").to_string().into_bytes()
        });
        assert_eq!(valid.await.status, 201);
        server.terminate();
        assert!(server.wait().success());
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|l| l.contains("malformed")).collect();
        assert_eq!(lines.len(), 6, "{log}");
        assert!(
            lines.iter().all(|l| l.contains(r#""level":"DEBUG""#)),
            "{log}"
        );
        assert!(!log.contains(r#""level":"ERROR""#), "{log}");
    }
);
