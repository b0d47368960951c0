//! The service when the database becomes unavailable and returns.

use std::time::{Duration, Instant};

use crate::harness::{Backend, Client, Database, Server, both_alone, id, sample};

/// Retries until the answer is 200; until then only "try again" is allowed.
async fn wait_until_available(client: &Client, path: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let reply = client.get(path).await;
        if reply.status == 200 {
            return;
        }
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(Instant::now() < deadline, "{reply:?}");
    }
}

both_alone!(
    broken_connections_are_replaced,
    |database: Database| async move {
        if database.backend == Backend::Sqlite {
            return;
        }
        let server = Server::start(&database);
        let client = server.admin();
        let user = client.create_user("ada@example.com").await;
        for round in 0..3 {
            let others = database.count(
                "SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
            assert!(others > 0, "nobody was connected");
            wait_until_available(&client, &format!("/Users/{}", id(&user))).await;
            // A write may be refused with "try again", but must not be lost or applied twice.
            let body = sample::user(&format!("round{round}@example.com"));
            let mut reply = client.post("/Users", &body).await;
            while reply.status == 503 {
                reply = client.post("/Users", &body).await;
            }
            reply.expect(201);
        }
        assert_eq!(client.list("/Users", &[]).await.total, 4);
        database.assert_whole();
    }
);

both_alone!(
    an_unavailable_database_is_reported,
    |database: Database| async move {
        if database.backend == Backend::Sqlite {
            return;
        }
        let server = Server::start(&database);
        let client = server.admin();
        let site = client.site();
        assert_eq!(site.get("/readyz").await.status, 200);
        database.remove();
        let body = sample::user("ada@example.com");
        for reply in [
            client.get("/Users").await,
            client.post("/Users", &body).await,
        ] {
            let after = reply.header("retry-after").to_owned();
            assert!(
                after.parse::<u32>().is_ok(),
                "Retry-After is {after:?}: {reply:?}"
            );
            let error = reply.expect_error(503, "");
            let detail = error["detail"].as_str().unwrap();
            assert!(!detail.contains("rollcall_test"), "{detail}");
        }
        assert_eq!(site.get("/readyz").await.status, 503);
        assert_eq!(site.get("/healthz").await.status, 200);
    }
);
