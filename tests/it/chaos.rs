//! Many concurrent clients on the same few users and groups: every answer is valid, and afterwards
//! the tables are consistent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Client, Database, SCIM, Server, both_alone, id, member_ids, sample, texts, together,
};

const USERS: usize = 6;
const STEPS: usize = 60;

/// Returns the next number below `bound` of a fixed pseudo-random sequence.
fn draw(state: &mut u64, bound: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % bound
}

/// Returns the request of a random step on random targets.
fn step(state: &mut u64, users: &[String], groups: &[String]) -> (Method, String, Value) {
    let user = &users[draw(state, users.len())];
    let group = &groups[draw(state, groups.len())];
    let name = format!("name{}@example.com", draw(state, USERS));
    let member = json!([{ "value": user }]);
    let of_user = format!("/Users/{user}");
    let of_group = format!("/Groups/{group}");
    let edit = |operation: Value| sample::patch(json!([operation]));
    match draw(state, 10) {
        0 => (Method::POST, "/Users".to_owned(), sample::user(&name)),
        1 => (Method::PUT, of_user, sample::user(&name)),
        2 => (
            Method::PATCH,
            of_user,
            edit(json!({ "op": "replace", "path": "userName", "value": name })),
        ),
        3 => (
            Method::PATCH,
            of_user,
            edit(json!({ "op": "replace", "value": { "active": draw(state, 2) == 0 } })),
        ),
        4 => (Method::DELETE, of_user, Value::Null),
        5 | 6 => (
            Method::PATCH,
            of_group,
            edit(json!({ "op": "add", "path": "members", "value": member })),
        ),
        7 => (
            Method::PATCH,
            of_group,
            edit(json!({ "op": "remove", "path": format!("members[value eq \"{user}\"]") })),
        ),
        8 => (Method::PUT, of_group, sample::group("Put", &[user, group])),
        _ => (
            Method::PATCH,
            of_group,
            edit(json!({ "op": "add", "path": "members", "value": [{ "value": groups[0] }] })),
        ),
    }
}

async fn run(
    client: Client,
    seed: u64,
    users: Vec<String>,
    groups: Vec<String>,
    done: Arc<AtomicUsize>,
) {
    let mut state = seed;
    for _ in 0..STEPS {
        let (method, path, body) = step(&mut state, &users, &groups);
        let bytes = body.to_string().into_bytes();
        let reply = client
            .send(method, &path, &[("content-type", SCIM)], bytes)
            .await;
        assert!(
            matches!(reply.status, 200 | 201 | 204 | 404 | 409),
            "{reply:?}"
        );
        done.fetch_add(usize::from(reply.status < 300), Ordering::Relaxed);
    }
}

both_alone!(
    concurrent_writes_leave_a_consistent_database,
    |database: Database| async move {
        let server = Server::start(&database);
        let client = server.admin();
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for number in 0..USERS {
            let user = client
                .create_user(&format!("start{number}@example.com"))
                .await;
            users.push(id(&user).to_owned());
        }
        for name in ["A", "B", "C"] {
            groups.push(id(&client.create_group(name, &[]).await).to_owned());
        }
        let done = Arc::new(AtomicUsize::new(0));
        let clients = (0..8).map(|seed| {
            run(
                client.clone(),
                seed,
                users.clone(),
                groups.clone(),
                done.clone(),
            )
        });
        together(clients).await;
        assert!(
            done.load(Ordering::Relaxed) > 100,
            "hardly a step did anything"
        );
        database.assert_whole();

        // Both sides of each membership agree.
        let live = client.list("/Users", &[]).await;
        for group in client.list("/Groups", &[]).await.resources {
            for member in member_ids(&group) {
                let endpoint = if groups.contains(&member) {
                    "Groups"
                } else {
                    "Users"
                };
                client
                    .get(&format!("/{endpoint}/{member}"))
                    .await
                    .expect(200);
                if let Some(user) = live.resources.iter().find(|user| id(user) == member) {
                    let listed = texts(user["groups"].as_array().unwrap(), "value");
                    assert!(listed.contains(&id(&group).to_owned()), "{user}");
                }
            }
        }
        let mut names: Vec<String> = texts(&live.resources, "userName");
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before, "a user name twice");
    }
);
