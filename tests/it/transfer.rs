//! `rollcall export` and `rollcall import`: a tenant is moved to another database unchanged.

use serde_json::{Value, json};

use crate::harness::{Backend, Client, Database, Server, both_alone, id, sample};

const BASE: &[&str] = &[
    "--base-url",
    "https://scim.example.com/scim/v2",
    "--password-sync",
    "on",
];

/// Returns an empty database of the other kind, or of the same kind if there is no other.
fn other(database: &Database) -> Database {
    let backend = match database.backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    };
    Database::fresh(backend)
        .or_else(|| Database::fresh(database.backend))
        .unwrap()
}

/// Fills a tenant with every kind of event.
async fn fill(client: &Client) {
    let mut ids = Vec::new();
    for number in 0..30 {
        let mut user = sample::full_user(&format!("user{number}@example.com"));
        user["password"] = json!("correct horse battery");
        user["nickName"] = json!("Zo\u{eb} \"quoted\" \\ \u{1f600} line\nfeed");
        user["urn:example:unknown"] = json!({"deep": [1, 2.5, {"x": null}]});
        let made = client.post("/Users", &user).await.expect(201);
        ids.push(id(&made).to_owned());
    }
    let everyone: Vec<&str> = ids.iter().map(String::as_str).collect();
    let inner = client.create_group("Inner", &everyone[..20]).await;
    client
        .create_group("Outer", &[id(&inner), everyone[29]])
        .await;
    client.create_group("Empty", &[]).await;
    let deactivate = json!([{"op": "replace", "path": "active", "value": false}]);
    client
        .edit(&format!("/Users/{}", ids[1]), deactivate)
        .await
        .expect(200);
    client
        .delete(&format!("/Users/{}", ids[2]))
        .await
        .expect(204);
    let out = json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", ids[3])}]);
    client
        .edit(&format!("/Groups/{}", id(&inner)), out)
        .await
        .expect(200);
}

async fn all(client: &Client) -> Vec<Value> {
    let users = client.list("/Users", &[]).await;
    let groups = client.list("/Groups", &[]).await;
    assert_eq!((users.total, groups.total), (29, 3));
    users
        .resources
        .into_iter()
        .chain(groups.resources)
        .collect()
}

both_alone!(
    an_imported_tenant_equals_the_exported_one,
    |database: Database| async move {
        let target = other(&database);
        let server = Server::start_with(&database, BASE, &[]);
        database.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
        let token = database.cli_ok(&["token", "create", "app", "--scope", "scim"]);
        let token = token
            .split_whitespace()
            .find(|word| word.starts_with("rct_"))
            .unwrap();
        database.cli_ok(&["token", "revoke", "okta"]);
        let strict = [
            "tenant",
            "set",
            "default",
            "--patch-answer",
            "no-content",
            "--group-names",
            "unique",
        ];
        fill(&Client::new(&server.address, token)).await;
        database.cli_ok(&strict);

        // While the service runs.
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first.jsonl");
        database.cli_ok(&["export", first.to_str().unwrap()]);
        target.cli_ok(&["import", first.to_str().unwrap()]);
        target.assert_whole();
        let again = target.cli_ok(&["export"]);
        assert!(
            again == std::fs::read_to_string(&first).unwrap(),
            "another export"
        );

        let there = Server::start_with(&target, BASE, &[]);
        let (here, there) = (
            Client::new(&server.address, token),
            Client::new(&there.address, token),
        );
        assert_eq!(all(&here).await, all(&there).await);
        let filter = "emails.value eq \"user5@example.com\" and active eq true";
        assert_eq!(
            there.find_users(filter).await,
            here.find_users(filter).await
        );
        // The tenant's settings are imported, its history continues, and used names remain used.
        let tenants = target.cli_ok(&["tenant", "list"]);
        assert!(tenants.contains("no-content"), "{tenants}");
        assert!(tenants.contains("unique"), "{tenants}");
        assert_eq!(tenants, database.cli_ok(&["tenant", "list"]));
        let taken = there
            .post("/Users", &sample::user("USER8@example.com"))
            .await;
        taken.expect_error(409, "uniqueness");
        there.create_user("new@example.com").await;
        target.assert_whole();

        let refused = target.cli(&["import", first.to_str().unwrap()]);
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && complaint.contains("--tenant"),
            "{complaint}"
        );
    }
);

both_alone!(
    an_import_is_applied_whole_or_not_at_all,
    |database: Database| async move {
        let source = other(&database);
        let server = Server::start_with(&source, BASE, &[]);
        source.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
        fill(&server.admin()).await;
        let good = source.cli_ok(&["export"]);
        let lines: Vec<&str> = good.lines().collect();
        let line_of = |kind: &str| {
            let start = format!("{{\"{kind}\"");
            lines
                .iter()
                .position(|line| line.starts_with(&start))
                .unwrap()
        };
        let with = |index: usize, line: &str| {
            let mut lines = lines.clone();
            lines[index] = line;
            lines.join("\n") + "\n"
        };
        let (resource, member, change) =
            (line_of("resource"), line_of("member"), line_of("change"));
        let cut = lines.len() - 1;
        let device = lines[resource].replacen("\"User\"", "\"Device\"", 1);
        let other_name = lines[resource].replace("user0@", "user0.@");
        let other_kind = lines[change].replacen("\"created\"", "\"made\"", 1);
        let form = lines[0].replacen("\"form\":1", "\"form\":9", 1);
        let tenant = lines[0].replacen("\"default\"", "\"fault\"", 1);
        let table: Vec<(String, String)> = vec![
            (String::new(), "no export".to_owned()),
            ("{}\n".to_owned(), "no export".to_owned()),
            (with(0, &form), "form 9".to_owned()),
            (with(0, &tenant), "SHA-256".to_owned()),
            (lines[..cut].join("\n") + "\n", format!("line {}", cut + 1)),
            (good.trim_end().to_owned(), format!("line {}", cut + 1)),
            (
                with(resource, "{\"resource\":{}}"),
                format!("line {}", resource + 1),
            ),
            (with(resource, &device), "Device".to_owned()),
            (with(resource, &other_name), "SHA-256".to_owned()),
            (
                with(resource, lines[resource + 1]),
                "second time".to_owned(),
            ),
            (with(member, lines[member + 1]), "second time".to_owned()),
            (with(change, &other_kind), "\"made\"".to_owned()),
            (with(change, lines[change + 1]), "second time".to_owned()),
            (with(change, lines[0]), "second first line".to_owned()),
            (with(member, "\u{0}\u{1}"), format!("line {}", member + 1)),
        ];
        database.cli_ok(&["migrate"]);
        let folder = tempfile::tempdir().unwrap();
        for (index, (text, expected)) in table.iter().enumerate() {
            let file = folder.path().join(index.to_string());
            std::fs::write(&file, text).unwrap();
            let output = database.cli(&["import", file.to_str().unwrap()]);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{expected} was taken");
            assert!(complaint.contains(expected), "{expected}: {complaint}");
            for table in [
                "resources",
                "members",
                "attributes",
                "changes",
                "counts",
                "tokens",
            ] {
                let left = database.count(&format!("SELECT count(*) AS n FROM {table}"));
                assert_eq!(left, 0, "{table} after {expected}");
            }
            assert_eq!(
                database.count("SELECT count(*) AS n FROM tenants"),
                1,
                "{expected}"
            );
        }
        // The valid export can still be imported, also under another name, without its tokens.
        let file = folder.path().join("good");
        let bare = source.cli_ok(&["export", "--without-tokens"]);
        std::fs::write(&file, bare).unwrap();
        database.cli_ok(&["import", file.to_str().unwrap()]);
        database.cli_ok(&["import", file.to_str().unwrap(), "--tenant", "second"]);
        assert_eq!(database.count("SELECT count(*) AS n FROM tokens"), 0);
        database.assert_whole();
    }
);
