//! The limits of a query: its comparisons, its time and its share of the connections.

use serde_json::{Value, json};

use crate::harness::{Client, Database, Reply, SCIM, Server, both_alone, id, sample, with_query};

/// A filter with this many alternatives, none of which an index answers by equality.
fn alternatives(attribute: &str, count: usize) -> String {
    let terms: Vec<String> = (0..count)
        .map(|number| format!(r#"{attribute} co "none{number}""#))
        .collect();
    terms.join(" or ")
}

fn search(filter: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": filter,
    })
}

/// Checks a rejection, and that its detail says what to change.
#[track_caller]
fn too_many(reply: Reply, hint: &str) {
    let error = reply.expect_error(400, "tooMany");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains(hint), "{detail}");
}

/// Every way in which a client sends a filter.
async fn in_every_way(client: &Client, endpoint: &str, filter: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    for parameters in [
        &[("filter", filter)][..],
        &[("filter", filter), ("count", "0")],
        &[("filter", filter), ("startIndex", "2")],
        &[("filter", filter), ("cursor", "")],
        &[("filter", filter), ("sortBy", "displayName")],
        &[("filter", filter), ("attributes", "id")],
    ] {
        replies.push(client.get(&with_query(endpoint, parameters)).await);
    }
    let path = format!("{endpoint}/.search");
    replies.push(client.post(&path, &search(filter)).await);
    replies.push(client.post("/.search", &search(filter)).await);
    replies
}

both_alone!(
    a_filter_with_too_many_comparisons_is_rejected,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--query-cost-limit", "100"], &[]);
        let client = server.admin();
        let mut members = Vec::new();
        for number in 0..12 {
            let user = client.create_user(&format!("p{number}@example.com")).await;
            members.push(id(&user).to_owned());
            client
                .create_group(&format!("g{number}"), &[id(&user)])
                .await;
        }
        let hint = "Use fewer alternatives, filter by an indexed";
        let negated = format!("not ({})", alternatives("userName", 9));
        let parts: Vec<String> = (0..9)
            .map(|number| format!(r#"emails[value co "x{number}" and type eq "work"]"#))
            .collect();
        for filter in [
            // Scans of an index, of a table, and of documents.
            &alternatives("emails.value", 9),
            &alternatives("userName", 9),
            &alternatives("title", 9),
            &negated,
            &parts.join(" or "),
            &format!(
                r#"active eq true and ({})"#,
                alternatives("emails.value", 9)
            ),
        ] {
            for reply in in_every_way(&client, "/Users", filter).await {
                too_many(reply, hint);
            }
        }
        for reply in in_every_way(&client, "/Groups", &alternatives("displayName", 9)).await {
            too_many(reply, hint);
        }
        // Few comparisons, and any number of those that an index answers.
        let few = alternatives("emails.value", 8);
        assert_eq!(client.find_users(&few).await.len(), 0);
        let names: Vec<String> = (0..60)
            .map(|number| format!(r#"userName eq "p{number}@example.com""#))
            .collect();
        assert_eq!(client.find_users(&names.join(" or ")).await.len(), 12);
        let narrowed = format!(
            r#"userName eq "p3@example.com" and ({})"#,
            alternatives("title", 30)
        );
        assert_eq!(client.find_users(&narrowed).await.len(), 0);
        let ids: Vec<String> = members
            .iter()
            .map(|member| format!(r#"members.value eq "{member}""#))
            .collect();
        assert_eq!(client.find_groups(&ids.join(" or ")).await.len(), 12);
    }
);

both_alone!(
    a_query_that_takes_too_long_is_rejected,
    |database: Database| async move {
        let limits = ["--query-time-ms", "1", "--query-cost-limit", "1000000000"];
        let server = Server::start_with(&database, &limits, &[]);
        database.plant_users(3000);
        let client = server.admin();
        let filter = alternatives("userName", 100);
        let hint = "it took too long";
        for reply in in_every_way(&client, "/Users", &filter).await {
            too_many(reply, hint);
        }
        for parameters in [
            // Documents are read and evaluated.
            &[("filter", r#"title eq "x""#)][..],
            &[("sortBy", "title")],
            &[("filter", r#"title ne "x""#), ("cursor", "")],
            &[("count", "1000")],
        ] {
            let reply = client.get(&with_query("/Users", parameters)).await;
            reply.expect_error(400, "tooMany");
        }
        let snapshot = client.site().get("/directory/v1/snapshot?limit=1000").await;
        snapshot.expect_error(400, "tooMany");
        // Lookups are no queries, and writes have their own limits.
        client.user(&Database::planted_id(7)).await;
        assert_eq!(
            client
                .find_users(r#"userName eq "planted000000000007""#)
                .await
                .len(),
            1
        );
        client.create_user("ada@example.com").await;
        assert_eq!(client.site().get("/readyz").await.status, 200);
    }
);

both_alone!(
    slow_queries_of_a_tenant_leave_readers_for_others,
    |database: Database| async move {
        let limits = [
            "--database-readers",
            "2",
            "--query-time-ms",
            "60000",
            "--query-cost-limit",
            "1000000000",
        ];
        let server = Server::start_with(&database, &limits, &[]);
        database.plant_users(30_000);
        database.cli_ok(&["tenant", "create", "quiet"]);
        let create = [
            "token", "create", "--tenant", "quiet", "okta", "--scope", "scim",
        ];
        let quiet = Client::new(&server.address, database.cli_ok(&create).trim_end());
        let user = quiet.create_user("ada@example.com").await;
        let slow = with_query("/Users", &[("filter", &alternatives("userName", 150))]);
        let flood: Vec<_> = (0..12)
            .map(|_| {
                let (client, path) = (server.admin(), slow.clone());
                tokio::spawn(async move {
                    client
                        .try_send(reqwest::Method::GET, &path, &[("accept", SCIM)], Vec::new())
                        .await
                })
            })
            .collect();
        for round in 0..10 {
            assert_eq!(quiet.list("/Users", &[]).await.total, 1);
            assert_eq!(quiet.find_users(r#"emails.value co "ada""#).await.len(), 1);
            quiet.user(id(&user)).await;
            assert_eq!(
                quiet
                    .find_users(r#"userName eq "ada@example.com""#)
                    .await
                    .len(),
                1
            );
            let changes = quiet.site().get("/directory/v1/changes").await;
            assert_eq!(changes.status, 200, "{changes:?}");
            let body = sample::user(&format!("u{round}@example.com"));
            let created = quiet.post("/Users", &body).await.expect(201);
            quiet
                .delete(&format!("/Users/{}", id(&created)))
                .await
                .expect(204);
        }
        // All of this was answered between the slow queries, and not after them.
        assert!(flood.iter().any(|one| !one.is_finished()));
        for one in flood {
            one.abort();
        }
    }
);
