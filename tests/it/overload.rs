//! Overload and slow clients: which requests are rejected, how, and that the others succeed.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::raw::Raw;
use crate::harness::{Client, Database, Reply, SCIM, Server, both_alone, id, random_token, sample};

/// Longer than any step here takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a client of its own tenant that has sent a request before.
async fn client_of(database: &Database, server: &Server, tenant: &str) -> Client {
    database.cli_ok(&["tenant", "create", tenant]);
    let client = one_more(database, server, tenant, "first");
    client.get("/Users").await.page();
    client
}

fn one_more(database: &Database, server: &Server, tenant: &str, name: &str) -> Client {
    let create = [
        "token", "create", "--tenant", tenant, name, "--scope", "scim",
    ];
    Client::new(&server.address, database.cli_ok(&create).trim_end())
}

/// Returns the error detail of a rejection, after checking its form.
#[track_caller]
fn refusal(reply: Reply, status: u16) -> String {
    let after = reply.header("retry-after").to_owned();
    let after: Result<u32, _> = after.parse();
    assert!(after.is_ok_and(|seconds| seconds > 0), "{reply:?}");
    let error = reply.expect_error(status, "");
    error["detail"].as_str().unwrap().to_owned()
}

/// Sends this many concurrent creates. Returns the answers of those beyond `inside`; the others
/// remain open.
async fn flood(client: &Client, count: usize, inside: usize) -> (Vec<Reply>, JoinSet<Reply>) {
    let mut running = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        let body = sample::user(&format!("{}{number}@example.com", random_token()));
        running.spawn(async move { client.post("/Users", &body).await });
    }
    let mut answered = Vec::new();
    while running.len() > inside {
        let next = tokio::time::timeout(TIMEOUT, running.join_next()).await;
        answered.push(next.expect("an answer in time").unwrap().unwrap());
    }
    (answered, running)
}

// R7644-7-03
both_alone!(
    a_request_without_a_permit_is_rejected,
    |database: Database| async move {
        // An admitted request waits as long as writes are held.
        let limits = ["--max-requests", "4", "--database-queue-wait-ms", "60000"];
        let server = Server::start_with(&database, &limits, &[]);
        let mut clients = Vec::new();
        for tenant in ["a", "b", "c", "d"] {
            clients.push(client_of(&database, &server, tenant).await);
        }
        let held = database.hold_writes();
        // A flooding tenant gets half of the permits, the next one half of the rest, and one is
        // left for the third.
        let mut inside = Vec::new();
        for (client, count, permits) in [(&clients[0], 30, 2), (&clients[1], 10, 1)] {
            let (refused, waiting) = flood(client, count, permits).await;
            for reply in refused {
                assert!(refusal(reply, 429).contains("tenant"));
            }
            inside.push(waiting);
            // Its writes do not block its reads.
            client.get("/Users").await.page();
            let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 1 });
            client.post("/Users/.search", &search).await.page();
        }
        let (refused, waiting) = flood(&clients[2], 5, 1).await;
        inside.push(waiting);
        for reply in refused {
            refusal(reply, 503);
        }
        refusal(clients[3].get("/Users").await, 503);
        let small = clients[3].anonymous();
        refusal(small.get("/Users").await, 503);
        // The health endpoints always answer.
        let site = small.site();
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(site.get(path).await.status, 200, "{path}");
        }
        let metrics = String::from_utf8(site.get("/metrics").await.bytes).unwrap();
        for line in [r#"reason="share"} 37"#, r#"reason="full"} 6"#] {
            assert!(metrics.contains(line), "{metrics}");
        }
        drop(held);
        for mut waiting in inside {
            while let Some(reply) = waiting.join_next().await {
                reply.unwrap().expect(201);
            }
        }
        for (client, expected) in clients.iter().zip([2, 1, 1, 0]) {
            assert_eq!(client.list("/Users", &[]).await.total, expected);
            client.create_user("later@example.com").await;
        }
    }
);

// RIPSIE-4.3-01
both_alone!(
    a_token_has_a_rate_and_bulk_counts_each_operation,
    |database: Database| async move {
        let limits = ["--token-rate-per-s", "1", "--token-burst", "6"];
        let server = Server::start_with(&database, &limits, &[]);
        let client = client_of(&database, &server, "a").await;
        let neighbour = one_more(&database, &server, "a", "second");
        for _ in 0..5 {
            client.get("/Users").await.page();
        }
        // One request is permitted per second: a slow machine may need a few attempts.
        let mut replies = Vec::new();
        for _ in 0..50 {
            replies.push(client.get("/Users").await);
            if replies.last().is_some_and(|reply| reply.status != 200) {
                break;
            }
        }
        let detail = refusal(replies.pop().unwrap(), 429);
        assert!(detail.contains("token_rate_per_s"), "{detail}");
        neighbour.get("/Users").await.page();
        let operation = json!({ "method": "DELETE", "path": "/Users/nobody" });
        let bulk = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": vec![operation; 100],
        });
        neighbour.post("/Bulk", &bulk).await.expect(200);
        let refused = neighbour.get("/Users").await;
        let after: u32 = refused.header("retry-after").parse().unwrap();
        assert!((50..=100).contains(&after), "{after}");
        refusal(refused, 429);
    }
);

// RIPSIE-4.3-01
both_alone!(
    tokens_of_a_tenant_share_its_rate,
    |database: Database| async move {
        let limits = ["--tenant-rate-per-s", "1", "--tenant-burst", "2"];
        let server = Server::start_with(&database, &limits, &[]);
        let (client, other) = (
            client_of(&database, &server, "a").await,
            client_of(&database, &server, "b").await,
        );
        let sister = one_more(&database, &server, "a", "second");
        sister.get("/Users").await.page();
        let mut details = Vec::new();
        for number in 0..50 {
            let one = if number % 2 == 0 { &client } else { &sister };
            let reply = one.get("/Users").await;
            if reply.status != 200 {
                details.push(refusal(reply, 429));
            }
        }
        assert!(details.len() > 2, "{details:?}");
        assert!(details[0].contains("tenant_rate_per_s"), "{details:?}");
        other.get("/Users").await.page();
    }
);

both_alone!(
    guessing_tokens_does_not_block_valid_tokens,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--unknown-tokens-per-s", "1"], &[]);
        let client = client_of(&database, &server, "a").await;
        let guess = || {
            let secret = format!("{}{}", random_token(), random_token());
            client.authorization(&format!("Bearer rct_{}", secret.get(..43).unwrap()))
        };
        let mut statuses = Vec::new();
        for _ in 0..100 {
            let reply = guess().get("/Users").await;
            statuses.push(reply.status);
            if reply.status == 429 {
                refusal(reply, 429);
                break;
            }
            reply.expect_error(401, "");
        }
        assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
        client.create_user("ada@example.com").await;
    }
);

/// Returns the value of this metric.
async fn count(client: &Client, metric: &str) -> u64 {
    let text = client.anonymous().site().get("/metrics").await.bytes;
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(metric));
    lines.next().map_or(0, |rest| rest.trim().parse().unwrap())
}

async fn until_shut(client: &Client) {
    let deadline = Instant::now() + TIMEOUT;
    while count(client, "rollcall_http_connections_shut_total ").await == 0 {
        assert!(Instant::now() < deadline, "the connection is still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn photos(bytes: usize) -> serde_json::Value {
    let mut user = sample::user(&format!("{}@example.com", random_token()));
    user["photos"] = json!([{ "value": format!("https://x.example/{}", "x".repeat(bytes)) }]);
    user
}

both_alone!(
    a_client_that_does_not_read_its_response_is_disconnected,
    |database: Database| async move {
        let large = [
            "--answer-timeout-s",
            "1",
            "--document-limit-bytes",
            "16777216",
        ];
        let server = Server::start_with(&database, &large, &[]);
        let client = server.admin();
        let size = 12 * 1024 * 1024;
        let user = client.post("/Users", &photos(size)).await.expect(201);
        let mut raw = Raw::connect(&client);
        let request = format!(
            "GET /scim/v2/Users/{} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            id(&user),
            client.credentials()
        );
        raw.write(request.as_bytes());
        until_shut(&client).await;
        assert!(raw.read_to_end().len() < size);
        client.user(id(&user)).await;
    }
);

both_alone!(
    a_client_that_does_not_read_its_stream_is_disconnected,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--answer-timeout-s", "1"], &[]);
        let client = server.admin();
        let mut raw = Raw::connect(&client);
        let request = format!(
            "GET /directory/v1/changes/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            client.credentials()
        );
        raw.write(request.as_bytes());
        assert!(raw.read_head().starts_with("HTTP/1.1 200"));
        for _ in 0..8 {
            client.post("/Users", &photos(2_000_000)).await.expect(201);
        }
        until_shut(&client).await;
    }
);

both_alone!(
    a_client_that_sends_its_body_too_slowly_is_disconnected,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--body-timeout-s", "1"], &[]);
        let client = server.admin();
        let mut raw = Raw::connect(&client);
        let head = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: 100000\r\n\r\n{{",
            client.credentials()
        );
        raw.write(head.as_bytes());
        let mut drops = raw.another();
        let dripping = std::thread::spawn(move || {
            while drops.try_write(b" ") {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let reply = raw.read_reply();
        assert_eq!(reply.status, 408, "{}", reply.head);
        assert!(reply.body.contains(r#""status":"408""#), "{}", reply.body);
        assert!(raw.read_to_end().is_empty());
        drop(raw);
        dripping.join().unwrap();
    }
);

both_alone!(
    large_bodies_have_a_separate_memory_budget,
    |database: Database| async move {
        let limits = [
            "--body-limit-bytes",
            "200000",
            "--bulk-max-payload-bytes",
            "200000",
            "--body-memory-bytes",
            "200000",
        ];
        let server = Server::start_with(&database, &limits, &[]);
        let client = server.admin();
        // Spaces have no values, which would take memory as well.
        let padded = |user: serde_json::Value| format!("{user}{}", " ".repeat(120_000));
        let body = padded(sample::user("large@example.com"));
        let head = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: {SCIM}\r\nContent-Length: {}\r\n\r\n",
            client.credentials(),
            body.len()
        );
        // The memory suffices for one of the two, which waits for its body.
        let mut both = [Raw::connect(&client), Raw::connect(&client)];
        let (sender, replies) = std::sync::mpsc::channel();
        for (number, raw) in both.iter_mut().enumerate() {
            raw.write(head.as_bytes());
            let (mut raw, sender) = (raw.another(), sender.clone());
            std::thread::spawn(move || sender.send((number, raw.read_reply())).ok());
        }
        let (number, refused) = replies.recv_timeout(TIMEOUT).unwrap();
        assert_eq!(refused.status, 503, "{} {}", refused.head, refused.body);
        assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
        assert!(
            refused.body.contains("large request bodies"),
            "{}",
            refused.body
        );
        client.create_user("small@example.com").await;
        both[1 - number].write(body.as_bytes());
        assert_eq!(replies.recv_timeout(TIMEOUT).unwrap().1.status, 201);
        let other = padded(sample::user("other@example.com")).into_bytes();
        let headers = [("content-type", SCIM)];
        let created = client.send(Method::POST, "/Users", &headers, other).await;
        created.expect(201);
    }
);
