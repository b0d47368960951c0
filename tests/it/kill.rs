//! `kill -9` in the middle of a load: what was acknowledged is there, and nothing is there by half.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::harness::{
    Client, Database, SCIM, Server, both_alone, id, member_ids, sample, together,
};

/// What one writer was told is done, until the connection broke.
#[derive(Default)]
struct Acknowledged {
    /// The last title of each user that was acknowledged, by id.
    titles: BTreeMap<String, String>,
    deleted: Vec<String>,
    /// Pairs of users that went into the group in one PATCH.
    joined: Vec<[String; 2]>,
    sent: usize,
}

/// How many acknowledgements all writers have, and the bell for who waits for them.
#[derive(Default)]
struct Progress {
    done: AtomicUsize,
    bell: Notify,
}

async fn write_until_it_breaks(
    client: Client,
    writer: usize,
    group: String,
    progress: Arc<Progress>,
) -> Acknowledged {
    let mut told = Acknowledged::default();
    let mut pair: Vec<String> = Vec::new();
    let headers = [("content-type", SCIM)];
    let send = async |method: Method, path: String, body: Value| {
        let bytes = body.to_string().into_bytes();
        let reply = client.try_send(method, &path, &headers, bytes).await.ok()?;
        assert!(reply.status < 300, "{reply:?}");
        progress.done.fetch_add(1, Ordering::Relaxed);
        progress.bell.notify_one();
        Some(reply.body)
    };
    for number in 0.. {
        let name = format!("w{writer}-{number}@example.com");
        told.sent = number + 1;
        let created = send(Method::POST, "/Users".to_owned(), sample::user(&name)).await;
        let Some(created) = created else { break };
        let user = id(&created).to_owned();
        told.titles.insert(user.clone(), String::new());
        let path = format!("/Users/{user}");
        let title = format!("t{number}");
        let operations = json!([{ "op": "replace", "path": "title", "value": title }]);
        let patched = send(Method::PATCH, path.clone(), sample::patch(operations)).await;
        if patched.is_none() {
            break;
        }
        told.titles.insert(user.clone(), title);
        if number % 5 == 4 {
            told.titles.remove(&user);
            if send(Method::DELETE, path, Value::Null).await.is_none() {
                break;
            }
            told.deleted.push(user);
            continue;
        }
        pair.push(user);
        if let [first, second] = pair.as_slice() {
            let both = [first.clone(), second.clone()];
            let value = sample::members(&[first, second]);
            let operations = json!([{ "op": "add", "path": "members", "value": value }]);
            let path = format!("/Groups/{group}");
            if send(Method::PATCH, path, sample::patch(operations))
                .await
                .is_none()
            {
                break;
            }
            told.joined.push(both);
            pair.clear();
        }
    }
    told
}

both_alone!(
    nothing_acknowledged_is_lost,
    |database: Database| async move {
        for round in 0..3 {
            let server = Server::start(&database);
            let client = server.admin();
            let group = client.create_group(&format!("Busy {round}"), &[]).await;
            let progress = Arc::new(Progress::default());
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let (client, progress) = (client.clone(), progress.clone());
                    let group = id(&group).to_owned();
                    tokio::spawn(write_until_it_breaks(
                        client,
                        round * 100 + writer,
                        group,
                        progress,
                    ))
                })
                .collect();
            while progress.done.load(Ordering::Relaxed) < 200 + 37 * round {
                progress.bell.notified().await;
            }
            server.kill();
            let told = together(
                writers
                    .into_iter()
                    .map(|writer| async { writer.await.expect("a writer ends well") }),
            )
            .await;

            let server = Server::start(&database);
            holds_all(&server.admin(), id(&group), &told).await;
            database.assert_whole();
        }
    }
);

/// Every acknowledged write is there, and what was not acknowledged is there whole or not at all.
async fn holds_all(client: &Client, group: &str, told: &[Acknowledged]) {
    let members = member_ids(&client.group(group).await);
    for writer in told {
        assert!(writer.sent > 0);
        for (user, title) in &writer.titles {
            let reply = client.get(&format!("/Users/{user}")).await;
            assert_eq!(reply.status, 200, "an acknowledged user is lost: {reply:?}");
            let stored = reply.body["title"].as_str().unwrap_or_default();
            // The very last PATCH may have been done without an answer.
            assert!(
                stored == title || title.is_empty(),
                "{stored:?} for {title:?}"
            );
        }
        for user in &writer.deleted {
            client
                .get(&format!("/Users/{user}"))
                .await
                .expect_error(404, "");
        }
        for pair in &writer.joined {
            let there = pair.each_ref().map(|user| members.contains(user));
            assert_eq!(there, [true, true], "members lost");
        }
    }
    // The list and the filters know the same as the single reads.
    let total = client.list("/Users", &[("count", "0")]).await.total;
    let named = client
        .list("/Users", &[("filter", "userName pr"), ("count", "0")])
        .await
        .total;
    assert_eq!(total, named);
}
