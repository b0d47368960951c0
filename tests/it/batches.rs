//! Writes that the server commits together: one whose change the database rejects fails alone,
//! whatever it is, and no other write is answered with its error.

use serde_json::{Value, json};

use crate::harness::{Backend, Client, Database, Reply, Server, both_alone, id, sample, together};

/// Makes the database reject changes with this word in them.
const WORD: &str = "Unwritable";

fn reject_changes(database: &Database) {
    match database.backend {
        Backend::Sqlite => database.execute(
            "CREATE TRIGGER reject BEFORE INSERT ON changes WHEN instr(NEW.payload, 'Unwritable') \
             BEGIN SELECT RAISE(ABORT, 'rejected on purpose'); END",
        ),
        Backend::Postgres => {
            database.execute(
                "CREATE FUNCTION reject() RETURNS TRIGGER LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'rejected on purpose'; END $$",
            );
            database.execute(
                "CREATE TRIGGER reject BEFORE INSERT ON changes FOR EACH ROW \
                 WHEN (strpos(NEW.payload, 'Unwritable') > 0) EXECUTE FUNCTION reject()",
            );
        }
    }
}

fn accept_changes(database: &Database) {
    match database.backend {
        Backend::Sqlite => database.execute("DROP TRIGGER reject"),
        Backend::Postgres => database.execute("DROP FUNCTION reject() CASCADE"),
    }
}

/// A write of a user that nothing else writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Create,
    Replace,
    Patch,
    Delete,
    Bulk,
}

impl Write {
    const ALL: [Self; 5] = [
        Self::Create,
        Self::Replace,
        Self::Patch,
        Self::Delete,
        Self::Bulk,
    ];

    async fn send(self, client: Client, user: Value, title: &str) -> Reply {
        let name = user["userName"].as_str().unwrap().to_owned();
        let path = format!("/Users/{}", id(&user));
        let mut body = sample::user(&name);
        body["title"] = json!(title);
        match self {
            Self::Create => {
                body["userName"] = json!(format!("new-{name}"));
                client.post("/Users", &body).await
            }
            Self::Replace => client.put(&path, &body).await,
            Self::Patch => {
                let patch = json!([{ "op": "replace", "path": "title", "value": title }]);
                client.patch(&path, &sample::patch(patch)).await
            }
            Self::Delete => client.delete(&path).await,
            Self::Bulk => {
                let create = |prefix: &str, title: &str| {
                    let mut body = sample::user(&format!("{prefix}-{name}"));
                    body["title"] = json!(title);
                    json!({ "method": "POST", "path": "/Users", "bulkId": prefix, "data": body })
                };
                let operations = json!([
                    create("first", "T"),
                    create("second", title),
                    create("third", "T")
                ]);
                let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
                let body = json!({ "schemas": [schema], "Operations": operations });
                client.post("/Bulk", &body).await
            }
        }
    }

    /// Returns whether the write succeeded; of a bulk request, the second of its operations. The
    /// others succeed in any case.
    fn succeeded(self, reply: &Reply) -> bool {
        if self != Self::Bulk {
            return reply.status < 300;
        }
        let operations = reply.body["Operations"].as_array().expect("operations");
        let statuses: Vec<&str> = operations
            .iter()
            .map(|operation| operation["status"].as_str().unwrap())
            .collect();
        assert_eq!([statuses[0], statuses[2]], ["201", "201"], "{reply:?}");
        statuses[1] == "201"
    }
}

both_alone!(
    a_write_that_cannot_be_recorded_fails_alone,
    |database: Database| async move {
        let server = Server::start(&database);
        let client = server.admin();
        for bad in Write::ALL {
            let mut users = Vec::new();
            for index in 0..Write::ALL.len() {
                let mut body = sample::user(&format!("{bad:?}-{index}@example.com"));
                // What is deleted is in the change.
                if bad == Write::Delete && Write::ALL[index] == bad {
                    body["title"] = json!(WORD);
                }
                users.push(client.post("/Users", &body).await.expect(201));
            }
            reject_changes(&database);
            let hold = database.hold_writes();
            let writes = Write::ALL.into_iter().zip(users).map(|(write, user)| {
                let title = if write == bad { WORD } else { "T" };
                let client = client.clone();
                async move { (write, write.send(client, user, title).await) }
            });
            let sent = tokio::spawn(together(writes.collect::<Vec<_>>()));
            // Meanwhile the writes arrive and wait for the database.
            for _ in 0..20 {
                client.list("/Users", &[("count", "1")]).await;
            }
            drop(hold);
            for (write, reply) in sent.await.unwrap() {
                assert_eq!(write.succeeded(&reply), write != bad, "{bad:?}: {reply:?}");
                assert!(
                    write == bad || reply.status < 300,
                    "{bad:?} failed {write:?}: {reply:?}"
                );
            }
            accept_changes(&database);
            database.assert_whole();
        }
        let log = server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
);
