//! Attacks on admission: floods of invalid tokens, other spellings of one credential, slow readers
//! of public pages, and one client that takes all listeners. Valid callers are answered meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use crate::harness::raw::Raw;
use crate::harness::{Client, Database, Reply, Server, both_alone, random_token, together};

/// Longer than any step here takes.
const TIMEOUT: Duration = Duration::from_secs(60);
/// One invalid token per second, and ten at once.
const FEW_GUESSES: [&str; 4] = [
    "--unknown-tokens-per-s",
    "1",
    "--address-unknown-tokens-per-s",
    "1",
];

/// Returns a text that has the form of a token.
fn invented_token() -> String {
    let digits = format!("{}{}", random_token(), random_token());
    format!("rct_{}", digits.split_at(43).0)
}

/// Returns the same client with an invalid token. (To make a client takes longer than a request.)
fn guess(client: &Client) -> Client {
    with_token(client, &invented_token())
}

fn with_token(client: &Client, token: &str) -> Client {
    client.authorization(&format!("Bearer {token}"))
}

/// Sends invalid tokens until the server answers 429.
async fn use_up_guesses(client: &Client) {
    for _ in 0..100 {
        let reply = guess(client).get("/Users").await;
        if reply.status == 429 {
            return;
        }
        reply.expect_error(401, "");
    }
    panic!("invalid tokens have no limit");
}

async fn create_tokens(server: &Server, count: usize) -> Vec<String> {
    let admin = server.admin().site();
    let mut tokens = Vec::new();
    for number in 0..count {
        let token = json!({ "name": format!("token-{number}"), "scopes": ["read"] });
        let created = admin.post("/admin/v1/tokens", &token).await;
        assert_eq!(created.status, 201, "{created:?}");
        tokens.push(created.body["token"].as_str().unwrap().to_owned());
    }
    tokens
}

/// Uses each token once, all at the same time, while invalid tokens arrive.
async fn use_during_a_flood(server: &Server, tokens: &[String]) {
    let client = server.admin();
    use_up_guesses(&client).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..8)
        .map(|_| {
            let (client, is_over) = (client.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let status = guess(&client).get("/Users").await.status;
                    assert!(matches!(status, 401 | 429), "{status}");
                }
            })
        })
        .collect();
    let requests = tokens.iter().map(|token| {
        let client = with_token(&client, token);
        async move { client.get("/Users").await.status }
    });
    let statuses = together(requests).await;
    is_over.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    assert_eq!(statuses, vec![200; tokens.len()]);
}

both_alone!(
    valid_tokens_are_accepted_during_a_flood_of_invalid_ones,
    |database: Database| async move {
        let server = Server::start_with(&database, &FEW_GUESSES, &[]);
        let tokens = create_tokens(&server, 60).await;
        use_during_a_flood(&server, &tokens).await;
        // The node has forgotten them all, and the flood is faster than they are.
        drop(server);
        let server = Server::start_with(&database, &FEW_GUESSES, &[]);
        use_during_a_flood(&server, &tokens).await;
        // Another process creates one, and revokes it.
        let created = database.cli_ok(&["token", "create", "late", "--scope", "read"]);
        let late = Client::new(&server.address, created.trim_end());
        late.get("/Users").await.page();
        database.cli_ok(&["token", "revoke", "late"]);
        late.get("/Users").await.expect_error(401, "");
        // From now on it is one of the invalid ones.
        use_up_guesses(&late).await;
        let statuses = together((0..5).map(|_| {
            let late = late.clone();
            async move { late.get("/Users").await.status }
        }));
        assert!(statuses.await.contains(&429));
    }
);

#[test]
fn a_token_of_another_node_is_accepted_during_a_flood() {
    let Some(database) = Database::fresh(crate::harness::Backend::Postgres) else {
        return;
    };
    crate::harness::runtime().block_on(async {
        let first = Server::start_with(&database, &FEW_GUESSES, &[]);
        let second = Server::start_with(&database, &FEW_GUESSES, &[]);
        let tokens = create_tokens(&first, 10).await;
        use_during_a_flood(&second, &tokens).await;
    });
}

/// Returns `count` spellings of one credential.
fn spellings(token: &str, count: usize) -> Vec<String> {
    let basic = |number| STANDARD.encode(format!("user-{number}:{token}"));
    (0..count)
        .map(|number| match number % 5 {
            0 => format!("Basic {}", basic(number)),
            1 => format!("bAsIc {}", basic(number)),
            2 => format!("{}{token}", "Bearer ".repeat(1 + number % 2)),
            3 => format!("bearer{}{token}", " ".repeat(1 + number)),
            _ => token.to_owned(),
        })
        .collect()
}

// RIPSIE-4.3-01
both_alone!(
    every_spelling_of_a_credential_is_one_caller,
    |database: Database| async move {
        let limits = ["--token-rate-per-s", "1", "--token-burst", "5"];
        let server = Server::start_with(&database, &limits, &[]);
        let tokens = create_tokens(&server, 2).await;
        let client = server.admin();
        let started = Instant::now();
        let mut accepted = 0;
        for spelling in spellings(&tokens[0], 50) {
            let reply = client.authorization(&spelling).get("/Users").await;
            match reply.status {
                200 => accepted += 1,
                429 => assert!(!reply.header("retry-after").is_empty()),
                other => panic!("{other} for {spelling}"),
            }
        }
        let allowed = 6 + started.elapsed().as_secs();
        assert!(accepted <= allowed, "{accepted} of 50, {allowed} allowed");
        with_token(&client, &tokens[1]).get("/Users").await.page();
    }
);

both_alone!(
    every_spelling_of_a_credential_counts_towards_its_tenant,
    |database: Database| async move {
        let limits = ["--tenant-rate-per-s", "1", "--tenant-burst", "5"];
        let server = Server::start_with(&database, &limits, &[]);
        database.cli_ok(&["tenant", "create", "a"]);
        let create = |name: &str| {
            let arguments = ["token", "create", name, "--tenant", "a", "--scope", "read"];
            database.cli_ok(&arguments).trim_end().to_owned()
        };
        let tokens = [create("one"), create("two"), create("three")];
        let client = server.admin();
        let started = Instant::now();
        let mut accepted = 0;
        for (number, token) in tokens.iter().cycle().take(45).enumerate() {
            let spelling = spellings(token, 45).remove(number);
            let reply = client.authorization(&spelling).get("/Users").await;
            accepted += u64::from(reply.status == 200);
        }
        let allowed = 6 + started.elapsed().as_secs();
        assert!(accepted <= allowed, "{accepted} of 45, {allowed} allowed");
    }
);

both_alone!(
    slow_readers_of_public_pages_do_not_lock_out_tokens,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--max-requests", "16"], &[]);
        let client = server.admin();
        let tokens = create_tokens(&server, 5).await;
        let request = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
        let readers: Vec<Raw> = (0..16)
            .map(|_| {
                let mut raw = Raw::connect(&client);
                // More than the buffers of the sockets take.
                raw.write(request.repeat(40).as_bytes());
                raw
            })
            .collect();
        let site = client.anonymous().site();
        let deadline = Instant::now() + TIMEOUT;
        let refused = loop {
            let reply = site.get("/openapi.json").await;
            if reply.status != 200 {
                break reply;
            }
            assert!(Instant::now() < deadline, "public pages have no limit");
        };
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(!refused.header("retry-after").is_empty());
        for token in &tokens {
            with_token(&client, token).get("/Users").await.page();
        }
        guess(&client).get("/Users").await.expect_error(401, "");
        client.anonymous().get("/Users").await.expect_error(401, "");
        // A valid token also reads public pages.
        let reader = with_token(&client, &tokens[0]).site();
        assert_eq!(reader.get("/openapi.json").await.status, 200);
        drop(readers);
    }
);

/// Sends a request as a proxy that reports these hops.
async fn through_proxy(client: &Client, path: &str, hops: &str) -> Reply {
    let headers = [("x-forwarded-for", hops)];
    client.send(Method::GET, path, &headers, Vec::new()).await
}

/// Sends requests through the proxy until one is answered 429; fails if that takes more than `most`.
async fn use_up(client: &Client, path: &str, hops: &str, most: usize) {
    for _ in 0..most {
        let reply = through_proxy(client, path, hops).await;
        if reply.status == 429 {
            let error = reply.expect_error(429, "");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("Your address"), "{detail}");
            return;
        }
    }
    panic!("no limit for {path} from {hops}");
}

both_alone!(
    each_address_behind_a_trusted_proxy_has_its_own_limit,
    |database: Database| async move {
        let limits = [
            "--trusted-proxies",
            "127.0.0.1, 10.0.0.0/8",
            "--address-unknown-tokens-per-s",
            "1",
            "--address-requests-per-s",
            "2",
        ];
        let server = Server::start_with(&database, &limits, &[]);
        let valid = Client::new(&server.address, &create_tokens(&server, 1).await[0]);
        let (invalid, none) = (guess(&valid), valid.anonymous());
        for (client, path, network, status) in [
            (&invalid, "/Users", "2001:db8:1", 401),
            (&none, "/Users", "2001:db8:2", 401),
            (&none, "/Schemas", "2001:db8:3", 200),
        ] {
            let address = |rest: &str| format!("{network}{rest}");
            use_up(client, path, &address("::1"), 100).await;
            // The rest of the list is the client's own text, and a /64 is one client.
            for same in [
                format!("192.0.2.1, {}", address("::1")),
                format!("{}, 10.1.2.3", address("::1")),
                address("::ffff:1"),
            ] {
                use_up(client, path, &same, 5).await;
            }
            for other in [address(":1::1"), format!("{}, 192.0.2.9", address("::1"))] {
                let reply = through_proxy(client, path, &other).await;
                assert_eq!(reply.status, status, "{path} {other}");
            }
            // A valid token is accepted from any address.
            through_proxy(&valid, "/Users", &address("::1"))
                .await
                .page();
        }
    }
);

both_alone!(
    an_untrusted_client_cannot_choose_its_address,
    |database: Database| async move {
        let limits = ["--address-unknown-tokens-per-s", "1"];
        let server = Server::start_with(&database, &limits, &[]);
        let client = server.admin();
        let statuses = (0..40).map(|number| {
            let client = guess(&client);
            async move {
                let hops = format!("192.0.2.{number}");
                through_proxy(&client, "/Users", &hops).await.status
            }
        });
        let statuses = together(statuses).await;
        assert!(statuses.contains(&429), "{statuses:?}");
    }
);

const STREAM: &str = "/directory/v1/changes/stream";

async fn open_stream(client: &Client) -> reqwest::Response {
    let response = client.site().open(STREAM, &[]).await;
    assert_eq!(response.status().as_u16(), 200);
    response
}

/// Checks that the client gets no further listener.
async fn expect_no_listener(client: &Client, setting: &str) {
    for path in [STREAM, "/directory/v1/changes?wait=1"] {
        let reply = client.site().get(path).await;
        let after: u32 = reply.header("retry-after").parse().unwrap();
        assert!(after > 0, "{reply:?}");
        let error = reply.expect_error(429, "");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains(setting), "{detail}");
    }
}

both_alone!(
    a_token_and_a_tenant_have_limits_of_listeners,
    |database: Database| async move {
        let limits = ["--token-listeners", "3", "--tenant-listeners", "4"];
        let server = Server::start_with(&database, &limits, &[]);
        let admin = server.admin();
        let client = |tenant: &str, name: &str| {
            let create = [
                "token", "create", name, "--tenant", tenant, "--scope", "read",
            ];
            with_token(&admin, database.cli_ok(&create).trim_end())
        };
        for tenant in ["a", "b"] {
            database.cli_ok(&["tenant", "create", tenant]);
        }
        let (first, second) = (client("a", "first"), client("a", "second"));
        let mut streams = Vec::new();
        for number in 0..3 {
            // Another spelling is the same token.
            let spelling =
                spellings(first.credentials().trim_start_matches("Bearer "), 5).remove(number);
            streams.push(open_stream(&first.authorization(&spelling)).await);
        }
        expect_no_listener(&first, "token_listeners").await;
        streams.push(open_stream(&second).await);
        expect_no_listener(&second, "tenant_listeners").await;
        let other = open_stream(&client("b", "first")).await;
        // Plain reads of the feed need no listener.
        let page = first.site().get("/directory/v1/changes").await;
        assert_eq!(page.status, 200, "{page:?}");
        // A stream that ends lets the next one in.
        drop(streams);
        let deadline = Instant::now() + TIMEOUT;
        while first.site().open(STREAM, &[]).await.status() != 200 {
            assert!(Instant::now() < deadline, "closed streams still count");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(other);
    }
);

both_alone!(
    a_stream_ends_after_its_lifetime,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--stream-lifetime-s", "1"], &[]);
        let client = server.admin();
        client.create_user("ada@example.com").await;
        let path = format!("{STREAM}?after=0");
        let response = client.site().open(&path, &[]).await;
        let text = tokio::time::timeout(TIMEOUT, response.text());
        let text = text.await.expect("the stream ends").expect("properly");
        let last = text
            .lines()
            .filter_map(|line| line.strip_prefix("id: "))
            .next_back();
        assert_eq!(last, Some("1"), "{text}");
        // The client continues where it was.
        client.create_user("bob@example.com").await;
        let response = client.site().open(STREAM, &[("last-event-id", "1")]).await;
        let text = tokio::time::timeout(TIMEOUT, response.text());
        let text = text.await.expect("the stream ends").expect("properly");
        assert!(
            text.contains("\nid: 2\n") && !text.contains("\"seq\":1,"),
            "{text}"
        );
    }
);

/// Returns a header of the PROXY protocol, version 2, that names this client.
fn proxy_header(client: [u8; 4]) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let addresses = [&client[..], &[127, 0, 0, 1], &[0x12, 0x34, 0, 80]].concat();
    [&signature[..], &[0x21, 0x11, 0, 12], &addresses].concat()
}

/// Sends a request on a new connection that begins with these bytes; returns the status.
fn status_after(client: &Client, first: &[u8], authorization: &str) -> u16 {
    let mut raw = Raw::connect(client);
    let request = format!(
        "GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
    );
    raw.write_or_closed(&[first, request.as_bytes()].concat());
    let reply = String::from_utf8(raw.read_to_end()).unwrap();
    let status = reply.split(' ').nth(1).unwrap_or("0");
    status.parse().unwrap()
}

both_alone!(
    the_proxy_protocol_tells_the_client,
    |database: Database| async move {
        let limits = [
            "--trusted-proxies",
            "127.0.0.1",
            "--proxy-protocol",
            "v2",
            "--address-unknown-tokens-per-s",
            "1",
        ];
        let server = Server::start_with(&database, &limits, &[]);
        let client = server.admin();
        let (first, second) = (proxy_header([192, 0, 2, 1]), proxy_header([192, 0, 2, 2]));
        let mut statuses = Vec::new();
        while statuses.last() != Some(&429) && statuses.len() < 100 {
            let invalid = format!("Bearer {}", invented_token());
            statuses.push(status_after(&client, &first, &invalid));
        }
        assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
        let invalid = format!("Bearer {}", invented_token());
        assert_eq!(status_after(&client, &second, &invalid), 401);
        assert_eq!(status_after(&client, &first, client.credentials()), 200);
        // A connection of the proxy without the header is closed.
        assert_eq!(status_after(&client, b"", client.credentials()), 0);
        let text = b"PROXY TCP4 192.0.2.3 127.0.0.1 4660 80\r\n";
        assert_eq!(status_after(&client, text, client.credentials()), 0);
    }
);

both_alone!(
    only_a_trusted_proxy_sends_the_proxy_protocol,
    |database: Database| async move {
        let limits = ["--trusted-proxies", "10.0.0.0/8", "--proxy-protocol", "v2"];
        let server = Server::start_with(&database, &limits, &[]);
        let client = server.admin();
        client.get("/Users").await.page();
        let header = proxy_header([192, 0, 2, 1]);
        assert_eq!(status_after(&client, &header, client.credentials()), 400);
    }
);
