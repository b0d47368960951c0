//! SIGTERM: the server accepts no new connections, finishes the requests in flight, and exits
//! successfully.

use std::time::{Duration, Instant};

use crate::harness::raw::Raw;
use crate::harness::{Client, Database, SCIM, Server, both_alone, id, sample};

/// Sends the head of a POST; the body follows later.
fn begin_create(client: &Client, body: &str) -> Raw {
    let mut raw = Raw::connect(client);
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: {SCIM}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        client.host(),
        client.credentials(),
        body.len()
    );
    raw.write(head.as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 100"));
    raw
}

both_alone!(requests_in_flight_finish, |database: Database| async move {
    let mut server = Server::start(&database);
    let client = server.admin();
    let body = sample::user("ada@example.com").to_string();
    let mut half = begin_create(&client, &body);
    half.write(&body.as_bytes()[..20]);
    // An idle open connection must not delay the shutdown.
    let _idle = client.get("/Users").await;

    server.terminate();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Raw::try_connect(client.host()).is_ok() {
        assert!(Instant::now() < deadline, "still takes connections");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    half.write(&body.as_bytes()[20..]);
    let reply = half.read_reply();
    assert_eq!(reply.status, 201, "{} {}", reply.head, reply.body);
    drop(half);
    let status = server.wait();
    assert!(status.success(), "{status}: {}", server.log_tail());

    let server = Server::start(&database);
    let found = server
        .admin()
        .find_users(r#"userName eq "ada@example.com""#)
        .await;
    assert_eq!(found, ["ada@example.com"]);
});

both_alone!(
    an_idle_server_stops_immediately,
    |database: Database| async move {
        let mut server = Server::start(&database);
        let user = server.admin().create_user("ada@example.com").await;
        let asked = Instant::now();
        server.terminate();
        assert!(server.wait().success());
        assert!(asked.elapsed() < Duration::from_secs(15));
        let server = Server::start(&database);
        assert_eq!(server.admin().user(id(&user)).await, {
            // The address changed, and the locations with it.
            let mut moved = user.clone();
            let location = format!("{}/Users/{}", server.admin().base_url(), id(&user));
            moved["meta"]["location"] = location.into();
            moved
        });
    }
);
