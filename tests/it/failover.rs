//! The primary fails and the standby is promoted: the nodes find the new primary, and no write is
//! lost.

use std::time::Instant;

use serde_json::json;

use crate::harness::cluster::Cluster;
use crate::harness::load::Load;
use crate::harness::{Client, Database, Reply, Server, TIMEOUT, id, runtime, sample};

const STANDBY: &str = "second";

/// A primary, a standby that has every write on disk before it is acknowledged, and two nodes.
struct Scene {
    nodes: [Server; 2],
    clients: [Client; 2],
    database: Database,
    primary: Cluster,
    standby: Cluster,
}

impl Scene {
    /// `None` where this machine has no PostgreSQL.
    fn set() -> Option<Self> {
        let primary = Cluster::start()?;
        let mut database = Database::on(&primary);
        let standby = primary.standby(STANDBY);
        primary.commit_with(STANDBY);
        database.url = primary.url_with(&standby, "rollcall");
        database.cli_ok(&["migrate"]);
        let token = database.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
        let nodes = [(); 2].map(|()| Server::start(&database));
        let clients = [0, 1].map(|node: usize| Client::new(&nodes[node].address, token.trim()));
        Some(Self {
            nodes,
            clients,
            database,
            primary,
            standby,
        })
    }
}

#[test]
fn nodes_find_a_promoted_standby() {
    let Some(scene) = Scene::set() else { return };
    runtime().block_on(async {
        let load = Load::start(&scene.clients, "Before and after").await;
        load.acknowledges(200).await;
        scene.primary.kill();
        // The standby is reachable, and must not be mistaken for the primary.
        load.is_refused(20).await;
        for client in &scene.clients {
            client.get("/Users").await.expect_error(503, "");
            assert_eq!(client.site().get("/readyz").await.status, 503);
            assert_eq!(client.site().get("/healthz").await.status, 200);
        }
        let asked = Instant::now();
        scene.standby.promote();
        let promoted = asked.elapsed();
        load.acknowledges(1).await;
        println!(
            "promoted in {promoted:?}, a write {:?} after that",
            asked.elapsed() - promoted
        );
        load.acknowledges(200).await;
        let record = load.stop().await;
        println!(
            "{} acknowledged writes, {} answers 503",
            record.acknowledged, record.refused
        );
        for client in &scene.clients {
            record.assert_nothing_lost(client).await;
            assert_eq!(client.site().get("/readyz").await.status, 200);
        }
        scene.database.assert_whole();
        for node in &scene.nodes {
            let log = node.log();
            assert!(!log.contains("panicked"), "{log}");
        }
    });
}

async fn create(client: &Client, name: &str) -> Reply {
    client.post("/Users", &sample::user(name)).await
}

#[test]
fn a_read_only_server_is_reported_and_still_read() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let database = Database::on(&cluster);
    let server = Server::start(&database);
    let client = server.admin();
    runtime().block_on(async {
        let ada = client.create_user("ada@example.com").await;
        client.create_user("alan@example.com").await;
        let read_only = |answer: &'static str| {
            cluster.execute(&format!(
                "ALTER DATABASE rollcall SET default_transaction_read_only = {answer}"
            ));
        };
        // A session uses the mode it started with until it ends.
        read_only("on");
        cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'rollcall'",
        );
        for round in 0..10 {
            let reply = create(&client, &format!("u{round}@example.com")).await;
            assert!(!reply.header("retry-after").is_empty(), "{reply:?}");
            let error = reply.expect_error(503, "");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("read-only"), "{detail}");
            let admin = client.site();
            let body = json!({ "name": format!("tenant{round}") });
            let reply = admin.post("/admin/v1/tenants", &body).await;
            reply.expect_error(503, "");
            // Reads continue, also of a page that stores a cursor position for the next one.
            assert_eq!(client.user(id(&ada)).await, ada);
            assert_eq!(client.list("/Users", &[("count", "1")]).await.total, 2);
        }
        read_only("off");
        let deadline = Instant::now() + TIMEOUT;
        while create(&client, "grace@example.com").await.status == 503 {
            assert!(Instant::now() < deadline, "{}", server.log_tail());
        }
        // Another writer handles the creation of tenants.
        let tenant = json!({ "name": "late" });
        let site = client.site();
        while site.post("/admin/v1/tenants", &tenant).await.status == 503 {
            assert!(Instant::now() < deadline, "{}", server.log_tail());
        }
        assert_eq!(client.list("/Users", &[]).await.total, 3);
        database.assert_whole();
    });
}
