//! Reading from a replica: which callers use it, and that a lagging replica is not used.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use crate::harness::{Client, Database, Server, TIMEOUT, id, runtime};

/// A primary, an asynchronous standby, and a node that reads from the standby for read-only
/// callers.
struct Scene {
    _server: Server,
    /// With the scope `scim`.
    writer: Client,
    /// With the scope `read`.
    reader: Client,
    /// A user.
    ada: String,
    _primary: Cluster,
    standby: Cluster,
    _database: Database,
}

impl Scene {
    /// Returns `None` if this machine has no PostgreSQL. `lag_ms`: how far the standby may lag
    /// behind.
    async fn set(lag_ms: &str) -> Option<Self> {
        let primary = Cluster::start()?;
        let database = Database::on(&primary);
        let standby = primary.standby("behind");
        let token = |scope: &str| database.cli_ok(&["token", "create", scope, "--scope", scope]);
        let tokens = ["scim", "read"].map(token);
        let url = standby.url("rollcall");
        let arguments = [
            "--database-replica",
            &url,
            "--database-replica-lag-ms",
            lag_ms,
        ];
        let server = Server::start_with(&database, &arguments, &[]);
        let [writer, reader] = tokens.map(|token| Client::new(&server.address, token.trim()));
        let ada = id(&writer.create_user("ada@example.com").await).to_owned();
        let scene = Self {
            _server: server,
            writer,
            reader,
            ada,
            _primary: primary,
            standby,
            _database: database,
        };
        scene.wait_until_used().await;
        Some(scene)
    }

    /// Waits until read-only callers use the standby.
    async fn wait_until_used(&self) {
        let sql =
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rollcall' AND state = 'idle'";
        let deadline = Instant::now() + TIMEOUT;
        while !self.standby.finds(sql) {
            assert!(Instant::now() < deadline, "nobody reads the standby");
            self.title(&self.reader).await;
        }
    }

    async fn set_title(&self, title: &str) {
        let operations = json!([{ "op": "replace", "path": "title", "value": title }]);
        let path = format!("/Users/{}", self.ada);
        self.writer.edit(&path, operations).await.expect(200);
    }

    async fn title(&self, client: &Client) -> Value {
        client.user(&self.ada).await["title"].clone()
    }

    /// Waits until the reader sees this title.
    async fn wait_until_reader_sees(&self, title: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while self.title(&self.reader).await != title {
            assert!(Instant::now() < deadline, "the reader sees the past");
        }
    }
}

#[test]
fn a_writer_never_reads_stale_data() {
    runtime().block_on(async {
        let Some(scene) = Scene::set("600000").await else {
            return;
        };
        scene.set_title("before").await;
        scene.wait_until_reader_sees("before").await;
        scene.standby.execute("SELECT pg_wal_replay_pause()");
        scene
            .standby
            .wait_for("SELECT 1 WHERE pg_get_wal_replay_pause_state() = 'paused'");
        for round in 0..10 {
            let title = format!("title {round}");
            scene.set_title(&title).await;
            assert_eq!(scene.title(&scene.writer).await, json!(title));
            // So the reader really reads from the standby.
            assert_eq!(scene.title(&scene.reader).await, json!("before"));
        }
        // A resource that the standby lacks is not reported as missing.
        let grace = scene.writer.create_user("grace@example.com").await;
        assert_eq!(
            scene.reader.user(id(&grace)).await["userName"],
            "grace@example.com"
        );
        let found = scene
            .reader
            .site()
            .get(&format!("/directory/v1/users/{}", id(&grace)))
            .await;
        assert_eq!(found.status, 200, "{found:?}");

        // A consumer that is ahead of the standby can continue, and a waiting one is answered.
        let feed = async |query: &str| {
            let path = format!("/directory/v1/changes{query}");
            scene.reader.site().get(&path).await.plain(200)
        };
        let behind = feed("").await;
        let last = behind["last"].as_i64().unwrap();
        let now = feed(&format!("?after={last}&wait=60")).await;
        assert_eq!(now["changes"][0]["seq"], last + 1);
        let last = now["last"].as_i64().unwrap();
        assert_eq!(feed(&format!("?after={last}")).await["changes"], json!([]));
        // A snapshot must not be older than the number that it names.
        let snapshot = scene
            .reader
            .site()
            .get("/directory/v1/snapshot")
            .await
            .plain(200);
        assert_eq!(snapshot["seq"], last);

        scene.standby.execute("SELECT pg_wal_replay_resume()");
        scene.wait_until_reader_sees("title 9").await;
    });
}

#[test]
fn a_lagging_replica_is_not_used() {
    runtime().block_on(async {
        let Some(scene) = Scene::set("400").await else {
            return;
        };
        scene.standby.execute("SELECT pg_wal_replay_pause()");
        scene.set_title("now").await;
        scene.wait_until_reader_sees("now").await;
        // This remains so: the positions only grow.
        scene.set_title("later").await;
        scene.wait_until_reader_sees("later").await;
    });
}

#[test]
fn an_unavailable_or_promoted_replica_is_not_used() {
    runtime().block_on(async {
        let Some(scene) = Scene::set("600000").await else {
            return;
        };
        scene.set_title("before").await;
        scene.wait_until_reader_sees("before").await;
        scene.standby.promote();
        // After its promotion it is an independent database.
        scene.set_title("after").await;
        assert_eq!(scene.title(&scene.reader).await, json!("after"));
        scene.standby.kill();
        for round in 0..10 {
            let title = format!("title {round}");
            scene.set_title(&title).await;
            assert_eq!(scene.title(&scene.reader).await, json!(title));
        }
    });
}

#[test]
fn sqlite_has_no_replica() {
    let database = Database::fresh(crate::harness::Backend::Sqlite).expect("a file");
    let replica = "postgres://reader:secret@db2.example.com/rollcall";
    let refused = database.cli(&["serve", "--database-replica", replica]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{complaint}");
    assert!(
        complaint.contains("database_replica (--database-replica)"),
        "{complaint}"
    );
    assert!(complaint.contains("SQLite has none"), "{complaint}");
    assert!(!complaint.contains("secret"), "{complaint}");
}
