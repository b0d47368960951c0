//! The client against a scripted server: requests, responses, pages, retries and waits.

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::test_server::{Clock, Reply, Request, START_S, TestServer, api_token, kind, options};

const APPS: &str = "/api/v1/apps";

/// Responses with a `Date`, so that the wait is computed from Okta's clock, not from the client's.
fn rate_limited(limit: &str, reset_s: i64) -> Reply {
    Reply::error(429, "E0000047")
        .with("x-rate-limit-limit", limit)
        .with("x-rate-limit-remaining", "0")
        .with("x-rate-limit-reset", &reset_s.to_string())
        .with("date", "Tue, 24 Nov 2026 20:00:00 GMT")
}

async fn send(client: &Client, method: Method, body: &RequestBody) -> Result<Response, Failure> {
    client.send(method, APPS, &[], body).await
}

#[tokio::test]
async fn a_read_has_a_query_and_no_body() {
    let server = TestServer::start([Reply::ok()]).await;
    let query = [("limit", "2"), ("q", "a b&c=ä")];
    server.client().get(APPS, &query).await.unwrap();
    let [request]: [Request; 1] = server.requests().try_into().unwrap();
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/api/v1/apps?limit=2&q=a+b%26c%3D%C3%A4");
    assert_eq!(request.text(), "");
    for (name, value) in [
        ("authorization", Some("SSWS 00token")),
        ("accept", Some("application/json")),
        (
            "user-agent",
            Some(concat!("okta-client/", env!("CARGO_PKG_VERSION"))),
        ),
        ("content-type", None),
        ("dpop", None),
        ("x-okta-retry-for", None),
        ("x-okta-retry-count", None),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_write_has_a_json_body() {
    let body = json!({ "label": "Ours", "nested": [1, null] });
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let server = TestServer::start([Reply::json(201, &json!({ "id": "1" }))]).await;
        let client = server.client();
        let sent_body = RequestBody::Json(body.clone());
        let response = send(&client, method.clone(), &sent_body).await.unwrap();
        assert_eq!(
            (response.status, response.body),
            (201, json!({ "id": "1" }))
        );
        let [request]: [Request; 1] = server.requests().try_into().unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            (method.as_str(), APPS)
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body).unwrap(),
            body
        );
    }
}

#[tokio::test]
async fn a_file_is_sent_as_a_form() {
    let server = TestServer::start([Reply::bytes(201, "")]).await;
    let body = RequestBody::File {
        name: "logo.png".to_owned(),
        media_type: "image/png",
        bytes: b"\x89PNG content".to_vec(),
    };
    send(&server.client(), Method::POST, &body).await.unwrap();
    let [request]: [Request; 1] = server.requests().try_into().unwrap();
    let content_type = request.header("content-type").unwrap();
    let (form, boundary) = content_type.split_once("; boundary=").unwrap();
    assert_eq!(form, "multipart/form-data");
    let text = request.text();
    assert!(text.starts_with(&format!("--{boundary}\r\n")), "{text}");
    for part in [
        r#"form-data; name="file"; filename="logo.png""#,
        "image/png",
        "PNG content",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn the_credential_can_be_left_out() {
    let server = TestServer::start([Reply::json(200, &json!({ "id": "00o1" }))]).await;
    let client = server.client();
    let response = client.get_unauthenticated("/.well-known/okta-organization");
    assert_eq!(response.await.unwrap().body, json!({ "id": "00o1" }));
    let [request]: [Request; 1] = server.requests().try_into().unwrap();
    assert_eq!(request.target, "/.well-known/okta-organization");
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn the_options_are_used() {
    let clock = Clock::default();
    let server = TestServer::start([Reply::ok()]).await;
    let options = ClientOptions {
        user_agent: "acme/2".to_owned(),
        ..options(clock.clone())
    };
    let client = Client::new(server.org(), api_token(), options).unwrap();
    client.get(APPS, &[]).await.unwrap();
    assert_eq!(server.requests()[0].header("user-agent"), Some("acme/2"));
    assert_eq!(client.org().as_str(), server.url);
    assert!(matches!(client.credential(), Credential::ApiToken(_)));
    assert_eq!(client.granted_scopes().await.unwrap(), None);
    assert_eq!(client.now().as_second(), START_S);
    clock.set(1);
    assert_eq!(client.now().as_second(), 1);
}

#[test]
fn the_default_options_are_the_documented_ones() {
    let options = ClientOptions::default();
    assert_eq!(options.retry.retries, 3);
    assert_eq!(options.retry.max_wait, Duration::from_secs(300));
    assert!(
        (options.time)().as_second() > 1_700_000_000,
        "the system's clock"
    );
}

#[tokio::test]
async fn a_response_has_the_headers_that_callers_need() {
    let reply = Reply::json(200, &json!([1]))
        .with("x-okta-request-id", "req-1")
        .with("x-rate-limit-limit", "600")
        .with("x-rate-limit-remaining", "599")
        .with("x-rate-limit-reset", "1795550460")
        .with("date", "Tue, 24 Nov 2026 20:00:00 GMT")
        .with("link", r#"<{url}/api/v1/apps>; rel="self""#)
        .with("link", r#"<{url}/api/v1/apps?after=1>; rel="next""#);
    let server = TestServer::start([reply, Reply::bytes(204, "")]).await;
    let client = server.client();
    let response = client.get(APPS, &[]).await.unwrap();
    assert_eq!((response.status, &response.body), (200, &json!([1])));
    assert_eq!(response.request_id.as_deref(), Some("req-1"));
    let next = format!("{}/api/v1/apps?after=1", server.url);
    assert_eq!(response.next_page.as_deref(), Some(next.as_str()));
    let limits = response.rate_limits;
    assert_eq!((limits.limit, limits.remaining), (Some(600), Some(599)));
    assert_eq!(
        (limits.reset_s, limits.clock_skew_s(client.now())),
        (Some(1_795_550_460), Some(0))
    );

    let empty = send(&client, Method::DELETE, &RequestBody::None).await;
    let empty = empty.unwrap();
    assert_eq!((empty.status, empty.body), (204, Value::Null));
    assert_eq!((empty.request_id, empty.next_page), (None, None));
    assert_eq!(empty.rate_limits, RateLimits::default());
}

#[tokio::test]
async fn a_list_has_the_items_of_every_page() {
    let next = r#"<{url}/api/v1/apps?after=b&limit=2>; rel="next""#;
    let last = r#"<{url}/api/v1/apps?after=c&limit=2>; rel="self""#;
    let server = TestServer::start([
        Reply::json(200, &json!(["a", "b"])).with("link", next),
        Reply::json(200, &json!(["c"])).with("link", last),
    ])
    .await;
    let list = server.client().list(APPS, &[("limit", "2")]).await.unwrap();
    assert_eq!(list, ["a", "b", "c"]);
    let requests = server.requests();
    assert_eq!(requests[0].target, "/api/v1/apps?limit=2");
    assert_eq!(requests[1].target, "/api/v1/apps?after=b&limit=2");
    for request in requests {
        assert_eq!(request.header("authorization"), Some("SSWS 00token"));
    }
}

#[tokio::test]
async fn a_list_ends_with_the_first_page_that_cannot_be_read() {
    let next = r#"<{url}/api/v1/apps?after=b>; rel="next""#;
    let rows = [
        (
            Reply::json(200, &json!({ "id": "1" })),
            FailureKind::UnexpectedResponse,
        ),
        (Reply::bytes(204, ""), FailureKind::UnexpectedResponse),
        (Reply::bytes(200, "<html>"), FailureKind::UnexpectedResponse),
        (
            Reply::ok().with("link", "<https://evil.example/api/v1/apps>; rel=next"),
            FailureKind::UnexpectedResponse,
        ),
        (Reply::error(400, "E0000031"), FailureKind::Invalid),
    ];
    for (reply, expected) in rows {
        let first = Reply::json(200, &json!(["a"])).with("link", next);
        let server = TestServer::start([first, reply]).await;
        let list = server.client().list(APPS, &[]).await;
        assert_eq!(kind(list), Err(expected));
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_page_elsewhere_is_not_read() {
    let server = TestServer::start([]).await;
    let failure = server
        .client()
        .get_page("https://evil.example/api/v1/apps")
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::UnexpectedResponse);
    assert!(
        failure.message.contains("the credential is not sent there"),
        "{failure}"
    );
    assert!(failure.message.contains(&server.url), "{failure}");
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_list_that_does_not_end_is_a_failure() {
    let page = Reply::ok().with("link", "<{url}/api/v1/apps>; rel=next");
    let server = TestServer::start(vec![page; MAX_PAGES + 1]).await;
    let failure = server.client().list(APPS, &[]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(
        failure.message,
        "The list /api/v1/apps has more than 2000 pages."
    );
}

#[tokio::test]
async fn what_cannot_have_been_executed_is_repeated() {
    let wait_10_s = || rate_limited("600", START_S + 9);
    let wait_11_s = || rate_limited("600", START_S + 10);
    let unavailable = || Reply::error(503, "E0000010");
    let busy = |code| Reply::error(409, code);
    let ok = Reply::ok;
    let read = Method::GET;
    let write = Method::POST;
    let done = Ok(200);
    let gone = Err(FailureKind::Unavailable);
    let unknown = Err(FailureKind::OutcomeUnknown);
    let rows = [
        // The rate limit, whatever the method: waits of up to ten seconds.
        (&read, vec![wait_10_s(), ok()], done),
        (&write, vec![wait_10_s(), wait_10_s(), ok()], done),
        (&write, vec![wait_10_s(), wait_10_s(), wait_10_s()], gone),
        (&read, vec![wait_11_s()], gone),
        (&write, vec![Reply::bytes(429, ""), ok()], done),
        // The limit on concurrent requests: the reset says nothing.
        (&write, vec![rate_limited("0", START_S + 3600), ok()], done),
        // Another change of the same object, which did not let this one begin.
        (&write, vec![busy("E0000195"), ok()], done),
        (&write, vec![busy("E0000268"), ok()], done),
        (
            &write,
            vec![busy("E0000062")],
            Err(FailureKind::AlreadyExists),
        ),
        // Errors of the server, which may have executed the request.
        (
            &read,
            vec![unavailable(), Reply::bytes(500, ""), ok()],
            done,
        ),
        (&Method::PUT, vec![unavailable(), ok()], done),
        (&Method::DELETE, vec![unavailable(), ok()], done),
        (&write, vec![unavailable()], gone),
        (&Method::PATCH, vec![unavailable()], gone),
        (&read, vec![unavailable(); 3], gone),
        // No response, or not all of it.
        (&read, vec![Reply::Close, ok().cut(), ok()], done),
        (&read, vec![Reply::Close; 3], gone),
        (&write, vec![Reply::Close], unknown),
        (&write, vec![ok().cut()], unknown),
        (&Method::PATCH, vec![Reply::Close], unknown),
        // Refusals.
        (
            &read,
            vec![Reply::error(403, "E0000006")],
            Err(FailureKind::AccessDenied),
        ),
        (
            &read,
            vec![Reply::bytes(404, "")],
            Err(FailureKind::NotFound),
        ),
    ];
    for (number, (method, replies, expected)) in rows.into_iter().enumerate() {
        let count = replies.len();
        let server = TestServer::start(replies).await;
        let sent = send(&server.client(), method.clone(), &RequestBody::None).await;
        let outcome = kind(sent).map(|response| response.status);
        assert_eq!(outcome, expected, "row {number}");
        assert_eq!(server.requests().len(), count, "row {number}");
    }
}

#[tokio::test]
async fn a_retry_names_the_first_request() {
    let failed = |id| Reply::error(503, "E0000010").with("x-okta-request-id", id);
    let server = TestServer::start([failed("first"), failed("second"), Reply::ok()]).await;
    server.client().get(APPS, &[]).await.unwrap();
    let requests = server.requests();
    let named = requests.iter().map(|request| {
        (
            request.header("x-okta-retry-for"),
            request.header("x-okta-retry-count"),
        )
    });
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            (None, None),
            (Some("first"), Some("1")),
            (Some("first"), Some("2"))
        ]
    );
}

#[tokio::test]
async fn a_failure_has_what_okta_says() {
    let body = json!({"errorCode": "E0000006", "errorSummary": "You do not have permission",
        "errorId": "oaeXYZ", "errorCauses": []});
    let reply = Reply::json(403, &body).with("x-okta-request-id", "req-1");
    let server = TestServer::start([reply]).await;
    let query = [("filter", "secret")];
    let failure = server.client().get(APPS, &query).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "The credential may not do this (GET /api/v1/apps). It needs the role Application Administrator; a \
         service app also needs the scope okta.apps.read. Okta says: You do not have permission [E0000006, \
         error oaeXYZ]"
    );
    assert_eq!(failure.okta.status, Some(403));
    assert_eq!(failure.okta.request_id.as_deref(), Some("req-1"));
    assert_eq!(failure.retry_after, None);
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let server = TestServer::start([rate_limited("600", START_S + 60)]).await;
    let failure = server.client().get(APPS, &[]).await.unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_secs(61)));
    assert_eq!(
        failure.message,
        "Okta's rate limit is reached. Okta asks to wait 61 seconds."
    );
}

#[tokio::test]
async fn responses_that_are_not_okta_s() {
    let rows = [
        (Reply::bytes(200, "<html>"), FailureKind::UnexpectedResponse),
        (Reply::bytes(200, "{"), FailureKind::UnexpectedResponse),
        (
            Reply::bytes(302, "").with("location", "{url}/login"),
            FailureKind::UnexpectedResponse,
        ),
        (
            Reply::bytes(307, "").with("location", "https://evil.example/"),
            FailureKind::UnexpectedResponse,
        ),
        (Reply::bytes(403, "<html>"), FailureKind::AccessDenied),
        (Reply::bytes(404, "not found"), FailureKind::NotFound),
    ];
    for (number, (reply, expected)) in rows.into_iter().enumerate() {
        let server = TestServer::start([reply]).await;
        let failure = server.client().get(APPS, &[]).await.unwrap_err();
        assert_eq!(failure.kind, expected, "row {number}");
        assert_eq!(server.requests().len(), 1, "row {number}");
    }
    let server = TestServer::start([Reply::bytes(200, "<html>")]).await;
    let failure = server.client().get(APPS, &[]).await.unwrap_err();
    assert_eq!(
        failure.message,
        format!(
            "{} sent a response that is not one of Okta's API.",
            server.url
        )
    );
}

#[tokio::test]
async fn a_request_without_a_connection_was_not_executed() {
    // No server can have the port 0.
    let org = Org::parse("http://127.0.0.1:0", Mode::Simulated).unwrap();
    let client = Client::new(org, api_token(), options(Clock::default())).unwrap();
    for method in [Method::GET, Method::POST] {
        let failure = send(&client, method, &RequestBody::None).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable);
        assert!(
            failure
                .message
                .starts_with("http://127.0.0.1:0 does not respond ("),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_responds_is_not_waited_for() {
    for (method, expected) in [
        (Method::PUT, FailureKind::Unavailable),
        (Method::POST, FailureKind::OutcomeUnknown),
    ] {
        // The next try would not end: the server is busy with the first.
        let mut options = options(Clock::default());
        options.retry.retries = 0;
        let server = TestServer::start([Reply::Stall]).await;
        let client = Client::new(server.org(), api_token(), options).unwrap();
        let start = Instant::now();
        let failure = send(&client, method, &RequestBody::None).await.unwrap_err();
        assert_eq!(failure.kind, expected);
        assert!(failure.message.contains("(timed out"), "{failure}");
        assert!(start.elapsed() >= Duration::from_secs(59), "{failure}");
        tokio::time::resume();
    }
}

fn live() -> Client {
    let org = Org::parse("https://acme.okta.com", Mode::Live).unwrap();
    Client::new(org, api_token(), options(Clock::default())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sleep_takes_its_time() {
    let client = live();
    let start = Instant::now();
    client.sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));

    let org = Org::parse("http://127.0.0.1:9", Mode::Simulated).unwrap();
    let client = Client::new(org, api_token(), options(Clock::default())).unwrap();
    let start = Instant::now();
    client.sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_millis(3600));
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_as_long_as_allowed() {
    let client = live();
    let failure = || Failure::new(FailureKind::Unavailable, "Busy.");
    for wait_s in [0, 1, 9, 10] {
        let start = Instant::now();
        let wait = Duration::from_secs(wait_s);
        client.pause(wait, failure()).await.unwrap();
        let took = start.elapsed();
        assert!(
            took >= wait && took <= wait + Duration::from_millis(1020),
            "{wait:?} took {took:?}"
        );
    }
    for wait_s in [11, 86_400] {
        let start = Instant::now();
        let wait = Duration::from_secs(wait_s);
        let failure = client.pause(wait, failure()).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(failure.retry_after, Some(wait));
        assert_eq!(
            failure.message,
            format!("Busy. Okta asks to wait {wait_s} seconds.")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_slows_down_if_little_of_the_limit_is_left() {
    let client = live();
    for (remaining, expected_s) in [("60", 0), ("59", 1)] {
        let mut headers = single_header("x-rate-limit-limit", "600");
        insert(&mut headers, "x-rate-limit-remaining", remaining);
        let response = RawResponse {
            status: 200,
            headers,
            body: Value::Null,
            is_json: true,
        };
        let start = Instant::now();
        client.accept(response).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(expected_s));
    }
}

#[test]
fn token_ids_are_random() {
    let first = new_token_id().unwrap();
    let second = new_token_id().unwrap();
    assert_ne!(first, second);
    for id in [first, second] {
        assert_eq!(URL_SAFE_NO_PAD.decode(&id).unwrap().len(), 16, "{id}");
    }
}
