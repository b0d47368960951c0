//! A disk that is full or read-only: writes are refused, reads continue, no write is lost or half
//! done, and the service recovers when the disk does.

use std::cell::Cell;
use std::path::PathBuf;

use crate::harness::cluster::Cluster;
use crate::harness::disk::{Frozen, SmallDisk, runs};
use crate::harness::load::Load;
use crate::harness::{Backend, Client, Database, Server, id, runtime, sample};

/// Checks, while the disk fails, the answer to writes, and that reads continue.
async fn writes_are_refused_and_reads_go_on(client: &Client, user: &str, word: &str) {
    // An already allocated page may have space for one or two more rows.
    let filler = |number| sample::user(&format!("last{number}@example.com"));
    let mut number = 0;
    while client.post("/Users", &filler(number)).await.status == 201 {
        number += 1;
        assert!(number < 200, "the disk is not full");
    }
    for round in 0..5 {
        let body = sample::user(&format!("refused{round}@example.com"));
        let reply = client.post("/Users", &body).await;
        assert!(
            reply.header("retry-after").parse::<u32>().is_ok(),
            "{reply:?}"
        );
        let error = reply.expect_error(503, "");
        let detail = error["detail"].as_str().unwrap();
        for word in [word, "operator"] {
            assert!(detail.contains(word), "{detail}");
        }
        client.user(user).await;
        assert!(client.list("/Users", &[("count", "2")]).await.total > 1);
        assert_eq!(
            client
                .find_users(r#"userName eq "ada@example.com""#)
                .await
                .len(),
            1
        );
        assert_eq!(client.site().get("/readyz").await.status, 200);
    }
}

/// Makes the disk fail under load, and recover.
async fn survives(
    database: &Database,
    server: &Server,
    word: &str,
    fail: impl FnOnce(),
    mend: impl FnOnce(),
) {
    let client = server.admin();
    let ada = client.create_user("ada@example.com").await;
    let load = Load::start(std::slice::from_ref(&client), "Meanwhile").await;
    load.acknowledges(100).await;
    fail();
    load.is_refused(30).await;
    writes_are_refused_and_reads_go_on(&client, id(&ada), word).await;
    mend();
    load.acknowledges(100).await;
    let record = load.stop().await;
    record.assert_nothing_lost(&client).await;
    database.assert_whole();
    for round in 0..5 {
        let filter = format!("userName eq \"refused{round}@example.com\"");
        assert!(
            client.find_users(&filter).await.is_empty(),
            "a refused write is there"
        );
    }
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_full_disk_of_sqlite() {
    let Some(disk) = SmallDisk::mount(16 << 10) else {
        return;
    };
    let database = Database::in_file(&disk.path().join("test.db"));
    let server = Server::start(&database);
    runtime().block_on(survives(
        &database,
        &server,
        "full",
        || disk.fill(),
        || disk.empty(),
    ));
}

#[test]
fn a_full_disk_of_postgres() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let Some(disk) = SmallDisk::mount(32 << 10) else {
        return;
    };
    // Only the tables are on the small disk: if there is no space for its WAL, PostgreSQL stops,
    // which is a different case.
    let folder = disk.folder_of_postgres();
    cluster.execute(&format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        folder.display()
    ));
    let database = Database::on(&cluster);
    cluster.execute("ALTER DATABASE rollcall SET TABLESPACE small");
    let server = Server::start(&database);
    runtime().block_on(survives(
        &database,
        &server,
        "full",
        || disk.fill(),
        || disk.empty(),
    ));
}

/// For machines where nothing can be mounted: with this process limit, the system refuses to let a
/// file grow.
#[test]
fn a_file_that_cannot_grow() {
    if !runs("prlimit", &["--version"]) {
        return;
    }
    let database = Database::fresh(Backend::Sqlite).expect("a file");
    let server = Server::start_ignoring(&database, "XFSZ");
    let limit = |size: &str| {
        let process = server.process().to_string();
        assert!(runs(
            "prlimit",
            &["--pid", &process, &format!("--fsize={size}")]
        ));
    };
    // The log is smaller than the limit, the database is larger.
    runtime().block_on(survives(
        &database,
        &server,
        "disk",
        || limit("65536:"),
        || limit("unlimited:"),
    ));
}

#[test]
fn a_file_that_becomes_read_only() {
    let database = Database::fresh(Backend::Sqlite).expect("a file");
    let server = Server::start(&database);
    // Not the third file, which SQLite maps into memory: the system would kill the process.
    let files = ["", "-wal"].map(|end| {
        let file = database.url.trim_start_matches("sqlite:");
        PathBuf::from(format!("{file}{end}"))
    });
    // Checks whether the machine supports this at all.
    if Frozen::new(&files).is_none() {
        return;
    }
    let frozen = Cell::new(None);
    runtime().block_on(survives(
        &database,
        &server,
        "operator",
        || frozen.set(Frozen::new(&files)),
        || drop(frozen.take()),
    ));
}

#[test]
fn a_start_on_a_read_only_file() {
    let Some(disk) = SmallDisk::mount(16 << 10) else {
        return;
    };
    let database = Database::in_file(&disk.path().join("test.db"));
    let mut server = Server::start(&database);
    runtime().block_on(server.admin().create_user("ada@example.com"));
    server.terminate();
    assert!(server.wait().success());
    disk.forbid_writes();
    let refused = database.cli(&["serve", "--listen", "127.0.0.1:0"]);
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{complaint}");
    assert!(
        complaint.contains("read-only") && complaint.contains("test.db"),
        "{complaint}"
    );
    assert!(!complaint.contains("panicked"), "{complaint}");
}
