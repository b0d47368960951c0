//! Followers of the feed whose access ends or changes while they wait.

use std::time::Duration;

use jiff::SignedDuration;
use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{
    Backend, Client, Database, Reply, Server, TestApp, both, id, runtime, with_query,
};

/// Longer than anything here takes, and shorter than a long poll waits.
const GUARD: Duration = Duration::from_secs(40);

const STREAM: &str = "/directory/v1/changes/stream";

/// Starts a long poll for the changes after this one.
fn poll(client: &Client, after: i64) -> tokio::task::JoinHandle<Reply> {
    let site = client.site();
    let after = after.to_string();
    let path = with_query(
        "/directory/v1/changes",
        &[("after", &after), ("wait", "60")],
    );
    tokio::spawn(async move { site.get(&path).await })
}

async fn ended(poll: tokio::task::JoinHandle<Reply>) -> Reply {
    let reply = tokio::time::timeout(GUARD, poll).await;
    reply.expect("the long poll ends").unwrap()
}

/// Opens a stream and reads its beginning.
async fn stream(client: &Client) -> reqwest::Response {
    let mut live = client.site().open(STREAM, &[]).await;
    assert_eq!(live.status(), 200);
    let begin = live.chunk().await.unwrap().unwrap();
    assert!(begin.starts_with(b"retry"));
    live
}

/// Reads a stream to its end.
async fn rest(mut live: reqwest::Response) -> String {
    let mut text = String::new();
    let all = async {
        while let Ok(Some(chunk)) = live.chunk().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(GUARD, all)
        .await
        .expect("the stream ends");
    text
}

async fn revoke(client: &Client, tenant: &str, name: &str) {
    let path = with_query(&format!("/admin/v1/tokens/{name}"), &[("tenant", tenant)]);
    let revoked = client.site().delete(&path).await;
    assert_eq!(revoked.status, 204, "{revoked:?}");
}

async fn last(client: &Client) -> i64 {
    let page = client.site().get("/directory/v1/changes?limit=1").await;
    page.plain(200)["last"].as_i64().unwrap()
}

async fn reader(app: &TestApp, name: &str) -> Client {
    Client::new(&app.server.address, &app.token(name, &["read"]).await)
}

both!(a_revoked_token_receives_nothing_more, |app| async move {
    app.create_user("ada@example.com").await;
    let site = reader(&app, "leaked").await;
    let others = reader(&app, "kept").await;
    let polls: Vec<_> = (0..3).map(|_| poll(&site, 1)).collect();
    let kept = poll(&others, 1);
    let streams = [stream(&site).await, stream(&site).await];
    let mut open = stream(&others).await;
    revoke(&app.server.admin(), &app.tenant, "leaked").await;
    app.create_user("bob@example.com").await;
    for poll in polls {
        let reply = ended(poll).await;
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        assert!(!text.contains("bob"), "{text}");
        reply.expect_error(401, "");
    }
    for live in streams {
        let text = rest(live).await;
        assert!(!text.contains("bob"), "{text}");
    }
    // The others go on.
    let page = ended(kept).await.plain(200);
    assert_eq!(
        page["changes"][0]["resource"]["userName"],
        "bob@example.com"
    );
    let chunk = tokio::time::timeout(GUARD, open.chunk()).await.unwrap();
    let chunk = chunk.unwrap().unwrap();
    assert!(chunk.starts_with(b"id: 2\nevent: created"), "{chunk:?}");
});

both!(revocation_by_a_command_ends_the_wait, |app| async move {
    app.create_user("ada@example.com").await;
    let site = reader(&app, "leaked").await;
    let (poll, live) = (poll(&site, 1), stream(&site).await);
    app.database
        .cli_ok(&["token", "revoke", "leaked", "--tenant", &app.tenant]);
    // No change wakes them.
    ended(poll).await.expect_error(401, "");
    assert_eq!(rest(live).await, "");
});

both!(a_token_that_expires_ends_the_wait, |app| async move {
    app.create_user("ada@example.com").await;
    let expires = SystemClock::default().now() + SignedDuration::from_secs(2);
    let new_token = json!({
        "tenant": app.tenant, "name": "brief", "scopes": ["read"], "expires": expires.to_string(),
    });
    let admin = app.server.admin().site();
    let created = admin.post("/admin/v1/tokens", &new_token).await.plain(201);
    let site = Client::new(&app.server.address, created["token"].as_str().unwrap());
    let (poll, live) = (poll(&site, 1), stream(&site).await);
    ended(poll).await.expect_error(401, "");
    assert_eq!(rest(live).await, "");
});

both!(another_field_mask_applies_at_once, |app| async move {
    app.create_user("ada@example.com").await;
    let site = reader(&app, "limited").await;
    let poll = poll(&site, 1);
    let mut live = stream(&site).await;
    app.database.execute(&format!(
        "UPDATE tokens SET fields = 'userName' WHERE name = 'limited' AND tenant_id = \
         (SELECT id FROM tenants WHERE name = '{}')",
        app.tenant
    ));
    app.create_user("bob@example.com").await;
    let resource = |text: &str| {
        assert!(text.contains("bob@example.com"), "{text}");
        assert!(!text.contains("Byron"), "{text}");
    };
    let page: Value = ended(poll).await.plain(200);
    resource(&page.to_string());
    let chunk = tokio::time::timeout(GUARD, live.chunk()).await.unwrap();
    resource(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
});

#[test]
fn revocation_on_one_node_ends_the_wait_on_another() {
    let Some(database) = Database::fresh(Backend::Postgres) else {
        return;
    };
    runtime().block_on(async {
        let servers = [Server::start(&database), Server::start(&database)];
        let token = database.cli_ok(&["token", "create", "leaked", "--scope", "read"]);
        let [near, far] = servers
            .each_ref()
            .map(|server| Client::new(&server.address, token.trim()));
        let writer = servers[0].admin();
        let ada = writer.create_user("ada@example.com").await;
        let last = last(&far).await;
        let polls = [poll(&near, last), poll(&far, last)];
        let streams = [stream(&near).await, stream(&far).await];
        revoke(&writer, "default", "leaked").await;
        writer
            .delete(&format!("/Users/{}", id(&ada)))
            .await
            .expect(204);
        for poll in polls {
            ended(poll).await.expect_error(401, "");
        }
        for live in streams {
            let text = rest(live).await;
            assert!(!text.contains("deleted"), "{text}");
        }
    });
}
