//! Webhooks: every change arrives, in order and signed, despite failures of receivers and nodes.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::receiver::{Answer, Delivery, Receiver};
use crate::harness::{Backend, Client, Database, Server, both_alone, id};

const QUICK: &[&str] = &[
    "--webhook-allow-private",
    "on",
    "--webhook-backoff-ms",
    "10",
    "--webhook-backoff-most-s",
    "1",
    "--webhook-timeout-ms",
    "300",
];

/// Subscribes and returns the secret.
fn subscribe(database: &Database, receiver: &Receiver, more: &[&str]) -> String {
    let arguments = [&["webhook", "create", "app", "--url", &receiver.url], more].concat();
    let output = database.cli_in(&arguments, &[("ROLLCALL_WEBHOOK_ALLOW_PRIVATE", "on")]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Verifies as a receiver's library does: <https://www.standardwebhooks.com>.
fn is_signed_by(delivery: &Delivery, secret: &str) -> bool {
    let key = STANDARD
        .decode(secret.trim_start_matches("whsec_"))
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{}.{}.{}", delivery.id, delivery.at_s, delivery.text);
    delivery.signatures.split(' ').any(|signature| {
        let tag = STANDARD
            .decode(signature.trim_start_matches("v1,"))
            .unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    })
}

/// Returns the numbers of the changes, each once, in the order of their first delivery.
fn first_deliveries(received: &[Delivery]) -> Vec<i64> {
    let mut seen = Vec::new();
    for delivery in received {
        if !seen.contains(&delivery.seq()) {
            seen.push(delivery.seq());
        }
    }
    seen
}

async fn write_seven_changes(client: &Client) -> String {
    let user = client.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let title = json!([{"op": "replace", "path": "title", "value": "Countess"}]);
    client.edit(&path, title).await.expect(200);
    client.create_group("All", &[id(&user)]).await;
    let active = json!([{"op": "replace", "path": "active", "value": false}]);
    client.edit(&path, active).await.expect(200);
    client.delete(&path).await.expect(204);
    id(&user).to_owned()
}

both_alone!(
    changes_arrive_in_order_and_signed,
    |database: Database| async move {
        let receiver = Receiver::accepting();
        let server = Server::start_with(&database, QUICK, &[]);
        let client = server.admin();
        client.create_user("before@example.com").await;
        let secret = subscribe(&database, &receiver, &[]);
        let user = write_seven_changes(&client).await;
        let received = receiver.until(|received| received.len() >= 7);
        let event_types: Vec<&str> = received
            .iter()
            .map(|one| one.body["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            event_types,
            [
                "user.created",
                "user.updated",
                "group.created",
                "group.member_added",
                "user.deactivated",
                "group.member_removed",
                "user.deleted"
            ]
        );
        assert!(
            received
                .iter()
                .all(|delivery| is_signed_by(delivery, &secret))
        );
        assert!(!is_signed_by(&received[0], "whsec_AAAA"));
        let seqs: Vec<i64> = received.iter().map(Delivery::seq).collect();
        assert_eq!(seqs, (2..=8).collect::<Vec<i64>>());
        let update = &received[1].body;
        assert_eq!(update["data"]["id"], json!(user), "{update}");
        assert_eq!(update["data"]["tenant"], "default");
        assert_eq!(update["data"]["attributes"][0]["after"], "Countess");
        assert_eq!(received[1].id, "change_1_3");

        // During a rotation, both secrets sign.
        let rotated = database.cli_ok(&["webhook", "rotate", "app", "--keep", "1h"]);
        client.create_user("later@example.com").await;
        let received = receiver.until(|received| received.len() >= 8);
        let last = received.last().unwrap();
        assert!(is_signed_by(last, &secret) && is_signed_by(last, rotated.trim()));

        let list = database.cli_ok(&["webhook", "list"]);
        assert!(list.contains("well") && !list.contains("whsec_"), "{list}");
        for secret in [&secret, rotated.trim()] {
            assert!(!server.log().contains(secret.trim_start_matches("whsec_")));
        }
        database.cli_ok(&["webhook", "delete", "app"]);
        assert!(!database.cli_ok(&["webhook", "list"]).contains("app"));
    }
);

both_alone!(
    a_subscription_receives_only_its_kinds,
    |database: Database| async move {
        let receiver = Receiver::accepting();
        let server = Server::start_with(&database, QUICK, &[]);
        write_seven_changes(&server.admin()).await;
        subscribe(
            &database,
            &receiver,
            &[
                "--kinds",
                "created,deactivated",
                "--types",
                "User",
                "--after",
                "0",
            ],
        );
        let received = receiver.until(|received| received.len() >= 2);
        server.admin().create_user("end@example.com").await;
        let received: Vec<_> = receiver
            .until(|all| all.len() > received.len())
            .iter()
            .map(|one| one.body["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            received,
            ["user.created", "user.deactivated", "user.created"]
        );
    }
);

both_alone!(
    a_failing_receiver_misses_no_change,
    |database: Database| async move {
        let receiver = Receiver::start(|before, _| match before % 7 {
            0 => Answer::Status(500),
            1 => Answer::Silence,
            2 => Answer::Hangup,
            3 => Answer::With(302, "location: http://127.0.0.1:1/".to_owned()),
            4 => Answer::With(429, "retry-after: 0".to_owned()),
            _ => Answer::Status(200),
        });
        let server = Server::start_with(&database, QUICK, &[]);
        let secret = subscribe(&database, &receiver, &[]);
        write_seven_changes(&server.admin()).await;
        let received = receiver.until(|received| first_deliveries(received).len() == 7);
        assert_eq!(first_deliveries(&received), [1, 2, 3, 4, 5, 6, 7]);
        assert!(
            received
                .iter()
                .all(|delivery| is_signed_by(delivery, &secret))
        );
        // All attempts at one change have the same id.
        let ids: HashMap<i64, &str> = received
            .iter()
            .map(|one| (one.seq(), one.id.as_str()))
            .collect();
        assert!(received.iter().all(|one| ids[&one.seq()] == one.id));
    }
);

both_alone!(
    a_dead_letter_can_be_redelivered,
    |database: Database| async move {
        let is_well = Arc::new(AtomicBool::new(false));
        let health = Arc::clone(&is_well);
        let receiver = Receiver::start(move |_, delivery| {
            if delivery.seq() == 99 || !health.load(Ordering::Relaxed) {
                Answer::Status(503)
            } else {
                Answer::Status(200)
            }
        });
        let server = Server::start_with(&database, QUICK, &[]);
        let client = server.admin();
        subscribe(&database, &receiver, &[]);
        client.create_user("first@example.com").await;
        client.create_user("second@example.com").await;
        receiver.until(|received| !received.is_empty());
        // Both are older than a week, longer than any retry period.
        database.execute("UPDATE changes SET at = at - 604800000000");
        receiver.until(|received| received.iter().any(|one| one.seq() == 2));
        client.create_user("third@example.com").await;
        receiver.until(|received| received.iter().any(|one| one.seq() == 3));
        let dead = database.cli_ok(&["webhook", "dead-letters", "app"]);
        assert_eq!(dead.lines().count(), 3, "{dead}");
        assert!(dead.contains("503"), "{dead}");

        is_well.store(true, Ordering::Relaxed);
        let before = receiver.received().len();
        database.cli_ok(&["webhook", "redeliver", "app"]);
        let received = receiver.until(|received| {
            let seqs: Vec<i64> = received[before..].iter().map(Delivery::seq).collect();
            [1, 2, 3].iter().all(|seq| seqs.contains(seq))
        });
        assert!(received.len() >= before + 3);
        // The record of the last delivery may still be pending.
        let again = database.cli_ok(&["webhook", "redeliver", "app", "--after", "0"]);
        assert!(again.contains("change 0"), "{again}");
        let before = received.len();
        receiver.until(|received| first_deliveries(&received[before..]) == [1, 2, 3]);
        for (arguments, expected) in [
            (&["webhook", "redeliver", "app", "--seq", "77"][..], "77"),
            (
                &["webhook", "redeliver", "app", "--after", "1000"],
                "beyond",
            ),
            (&["webhook", "redeliver", "nobody"], "nobody"),
            (&["webhook", "delete", "nobody"], "nobody"),
        ] {
            let refused = database.cli(arguments);
            let complaint = String::from_utf8_lossy(&refused.stderr);
            assert!(
                !refused.status.success() && complaint.contains(expected),
                "{complaint}"
            );
        }
    }
);

both_alone!(status_410_ends_delivery, |database: Database| async move {
    let receiver = Receiver::start(|before, _| Answer::Status(if before == 0 { 410 } else { 200 }));
    let server = Server::start_with(&database, QUICK, &[]);
    subscribe(&database, &receiver, &[]);
    server.admin().create_user("ada@example.com").await;
    receiver.until(|received| received.len() == 1);
    let stopped = "SELECT count(*) AS n FROM subscriptions WHERE stopped IS NOT NULL";
    while database.count(stopped) == 0 {
        tokio::task::yield_now().await;
    }
    let list = database.cli_ok(&["webhook", "list"]);
    assert!(list.contains("stopped") && list.contains("410"), "{list}");
    database.cli_ok(&["webhook", "redeliver", "app"]);
    receiver.until(|received| received.len() == 2);
});

both_alone!(
    no_delivery_is_lost_when_nodes_fail,
    |database: Database| async move {
        let receiver = Receiver::start(|before, _| match before % 11 {
            3 => Answer::Status(500),
            8 => Answer::Silence,
            _ => Answer::Status(204),
        });
        let start = || Server::start_with(&database, QUICK, &[]);
        let mut nodes = vec![start()];
        if database.backend == Backend::Postgres {
            nodes.push(start());
        }
        let secret = subscribe(&database, &receiver, &[]);
        let mut users = Vec::new();
        for round in 0..6 {
            let client = nodes.last().unwrap().admin();
            for number in 0..10 {
                let user = client
                    .create_user(&format!("user{round}-{number}@example.com"))
                    .await;
                users.push(id(&user).to_owned());
                let earlier = &users[users.len() / 2];
                let title = json!([{"op": "replace", "path": "title", "value": format!("{round}-{number}")}]);
                client
                    .edit(&format!("/Users/{earlier}"), title)
                    .await
                    .expect(200);
            }
            let so_far = receiver.received().len();
            receiver.until(|received| received.len() > so_far);
            nodes.remove(0).kill();
            nodes.push(start());
        }
        let last = database.count("SELECT change_seq AS n FROM tenants WHERE id = 1");
        assert_eq!(last, 120);
        let received = receiver.until(|received| {
            let seen: std::collections::HashSet<i64> = received.iter().map(Delivery::seq).collect();
            seen.len() == 120
        });
        assert_eq!(first_deliveries(&received), (1..=120).collect::<Vec<i64>>());
        assert!(
            received
                .iter()
                .all(|delivery| is_signed_by(delivery, &secret))
        );
    }
);

both_alone!(
    webhooks_cannot_reach_internal_addresses,
    |database: Database| async move {
        database.cli_ok(&["migrate"]);
        for url in [
            "https://127.0.0.1/x",
            "https://[::1]:8443/",
            "https://169.254.169.254/latest/meta-data",
            "https://0x7f.1/",
            "http://app.example.com/",
            "https://user:secret@app.example.com/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            let refused = database.cli(&["webhook", "create", "app", "--url", url]);
            assert!(!refused.status.success(), "{url} was taken");
        }
        // The name is resolved on use: this one resolves to an internal address, which must not be
        // contacted.
        let inside = TcpListener::bind("127.0.0.1:0").unwrap();
        inside.set_nonblocking(true).unwrap();
        let port = inside.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}/");
        database.cli_ok(&["webhook", "create", "app", "--url", &url]);
        let output = database.cli(&["webhook", "test", "app"]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && complaint.contains("no public address"),
            "{complaint}"
        );
        let server = Server::start(&database);
        server.admin().create_user("ada@example.com").await;
        let failing = "SELECT count(*) AS n FROM subscriptions WHERE attempts > 0";
        while database.count(failing) == 0 {
            tokio::task::yield_now().await;
        }
        let knocked = inside.accept();
        assert!(knocked.is_err(), "{knocked:?}");
    }
);

both_alone!(
    a_test_message_reports_its_result,
    |database: Database| async move {
        database.cli_ok(&["migrate"]);
        let receiver =
            Receiver::start(|before, _| Answer::Status(if before == 0 { 200 } else { 418 }));
        let secret = subscribe(&database, &receiver, &[]);
        let test = || {
            database.cli_in(
                &["webhook", "test", "app"],
                &[("ROLLCALL_WEBHOOK_ALLOW_PRIVATE", "on")],
            )
        };
        assert!(test().status.success());
        let received = receiver.received();
        assert!(is_signed_by(&received[0], &secret));
        assert_eq!(received[0].body["type"], "webhook.test");
        let refused = test();
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && complaint.contains("418"),
            "{complaint}"
        );
    }
);

both_alone!(
    webhooks_are_managed_over_http,
    |database: Database| async move {
        let receiver = Receiver::start(|_, delivery| {
            Answer::Status(if delivery.body["type"] == "webhook.test" {
                404
            } else {
                200
            })
        });
        let server = Server::start_with(&database, QUICK, &[]);
        let root = server.admin();
        let admin = root.site();
        let path = "/admin/v1/webhooks";
        let request = json!({"name": "app", "url": receiver.url, "kinds": ["created"], "resourceTypes": ["User"]});
        let secret = admin.post(path, &request).await.plain(201)["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        admin.post(path, &request).await.expect_error(409, "");
        root.create_group("Not asked for", &[]).await;
        root.create_user("ada@example.com").await;
        let received = receiver.until(|received| !received.is_empty());
        assert!(is_signed_by(&received[0], &secret) && received[0].seq() == 2);
        let rows = admin.get(path).await.plain(200);
        assert_eq!(rows[0]["name"], "app");
        assert!(!rows.to_string().contains("whsec_"), "{rows}");
        let tested = admin
            .post(&format!("{path}/app/test"), &json!({}))
            .await
            .plain(200);
        assert_eq!(tested["delivered"], false);
        assert!(
            tested["failure"].as_str().unwrap().contains("404"),
            "{tested}"
        );
        let rotated = admin
            .post(&format!("{path}/app/rotate"), &json!({"keepSeconds": 0}))
            .await
            .plain(200);
        root.create_user("bob@example.com").await;
        let received = receiver.until(|received| received.iter().any(|one| one.seq() == 3));
        let last = received.last().unwrap();
        assert!(
            is_signed_by(last, rotated["secret"].as_str().unwrap()) && !is_signed_by(last, &secret)
        );
        let again = admin
            .post(&format!("{path}/app/redeliver"), &json!({"after": 0}))
            .await;
        assert_eq!(again.plain(200)["deadLetters"], 0);
        receiver.until(|received| received.iter().filter(|one| one.seq() == 2).count() == 2);
        assert_eq!(
            admin
                .get(&format!("{path}/app/dead-letters"))
                .await
                .plain(200),
            json!([])
        );

        for (body, expected) in [
            (json!({"name": "a b", "url": receiver.url}), "name"),
            (json!({"name": "b", "url": "ftp://example.com"}), "https"),
            (
                json!({"name": "b", "url": receiver.url, "kinds": ["born"]}),
                "born",
            ),
            (
                json!({"name": "b", "url": receiver.url, "after": 1000}),
                "after",
            ),
            (
                json!({"name": "b", "url": receiver.url, "resourceTypes": ["a b"]}),
                "ResourceTypes",
            ),
            (json!({"name": "b"}), "url"),
        ] {
            let error = admin.post(path, &body).await.expect_error(400, "");
            assert!(
                error["detail"].as_str().unwrap().contains(expected),
                "{error}"
            );
        }
        let both = json!({"seq": 1, "after": 1});
        admin
            .post(&format!("{path}/app/redeliver"), &both)
            .await
            .expect_error(400, "");

        // An admin of another tenant can neither see nor change it.
        admin
            .post("/admin/v1/tenants", &json!({"name": "acme"}))
            .await
            .plain(201);
        let token = json!({"tenant": "acme", "name": "boss", "scopes": ["admin"]});
        let token = admin.post("/admin/v1/tokens", &token).await.plain(201);
        let stranger = Client::new(&server.address, token["token"].as_str().unwrap()).site();
        assert_eq!(stranger.get(path).await.plain(200), json!([]));
        for reply in [
            stranger.get(&format!("{path}?tenant=default")).await,
            stranger.delete(&format!("{path}/app")).await,
            stranger.delete(&format!("{path}/app?tenant=default")).await,
        ] {
            reply.expect_error(404, "");
        }
        let reader = json!({"name": "reader", "scopes": ["read"]});
        let reader = admin.post("/admin/v1/tokens", &reader).await.plain(201);
        let reader = Client::new(&server.address, reader["token"].as_str().unwrap()).site();
        reader.get(path).await.expect_error(403, "");
        admin.delete(&format!("{path}/app")).await.plain(204);
        admin
            .delete(&format!("{path}/app"))
            .await
            .expect_error(404, "");
    }
);
