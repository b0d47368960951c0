//! `rollcall backup`: a complete copy of a database in use.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Backend, Database, Server, both_alone, sample};

fn file_of(database: &Database) -> PathBuf {
    PathBuf::from(database.url.trim_start_matches("sqlite:"))
}

both_alone!(
    a_backup_under_load_contains_every_acknowledged_write,
    |database: Database| async move {
        if database.backend == Backend::Postgres {
            let refused = database.cli(&["backup", "copy.sqlite"]);
            let complaint = String::from_utf8_lossy(&refused.stderr);
            assert!(
                !refused.status.success() && complaint.contains("pg_dump"),
                "{complaint}"
            );
            return;
        }
        let server = Server::start(&database);
        let client = Arc::new(server.admin());
        let mut ids = Vec::new();
        for number in 0..50 {
            let user = client
                .create_user(&format!("before{number}@example.com"))
                .await;
            ids.push(user["id"].as_str().unwrap().to_owned());
        }
        let members: Vec<&str> = ids.iter().map(String::as_str).collect();
        client.create_group("All", &members).await;

        // Other clients keep writing.
        let is_done = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (client, is_done) = (Arc::clone(&client), Arc::clone(&is_done));
                tokio::spawn(async move {
                    let mut number = 0;
                    while !is_done.load(Ordering::Relaxed) {
                        let name = format!("during{writer}-{number}@example.com");
                        client
                            .post("/Users", &sample::user(&name))
                            .await
                            .expect(201);
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        let copy = Database::fresh(Backend::Sqlite).unwrap();
        let (source, target) = (database.url.clone(), file_of(&copy));
        let output = tokio::task::spawn_blocking(move || {
            std::process::Command::new(env!("CARGO_BIN_EXE_rollcall"))
                .args(["backup", "--database", &source])
                .arg(&target)
                .output()
                .unwrap()
        })
        .await
        .unwrap();
        is_done.store(true, Ordering::Relaxed);
        let mut written = 0;
        for writer in writers {
            written += writer.await.unwrap();
        }
        assert!(written > 0, "nobody wrote meanwhile");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let size = std::fs::metadata(file_of(&copy)).unwrap().len();
        let output_text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output_text.starts_with(&format!("{size} bytes in ")),
            "{output_text}"
        );
        assert_only_owner_can_read(&copy);
        copy.assert_whole();

        // The copy can be served, and the service's token is valid there.
        let restored = Server::start(&copy);
        let there = restored.admin();
        let page = there
            .list(
                "/Users",
                &[("count", "1"), ("filter", "userName sw \"before\"")],
            )
            .await;
        assert_eq!(page.total, 50);
        let groups = there.list("/Groups", &[]).await;
        assert_eq!(groups.resources[0]["members"].as_array().unwrap().len(), 50);
        there.create_user("after@example.com").await;
        assert_eq!(
            client.list("/Users", &[("count", "0")]).await.total,
            50 + written
        );
    }
);

both_alone!(
    a_backup_overwrites_no_file_and_leaves_no_temporary_files,
    |database: Database| async move {
        if database.backend == Backend::Postgres {
            return;
        }
        database.cli_ok(&["migrate"]);
        let copy = Database::fresh(Backend::Sqlite).unwrap();
        let target = file_of(&copy);
        let folder = target.parent().unwrap().to_owned();
        let refuse = |database: &Database, target: &str, expected: &str| {
            let output = database.cli(&["backup", target]);
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                !output.status.success() && complaint.contains(expected),
                "{complaint}"
            );
        };
        std::fs::write(&target, "precious").unwrap();
        refuse(&database, target.to_str().unwrap(), "exists");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        refuse(&database, "/no/such/folder/copy", "/no/such/folder/copy");
        let nothing = Database::fresh(Backend::Sqlite).unwrap();
        refuse(
            &nothing,
            folder.join("other").to_str().unwrap(),
            "there is no file",
        );
        assert!(!file_of(&nothing).exists(), "a database was made");
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
);

fn assert_only_owner_can_read(copy: &Database) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(file_of(copy))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
