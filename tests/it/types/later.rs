//! Changes of the configuration when data exists already.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DESK, seated};
use crate::harness::{Database, Server, both_alone, id, sample};

const URN: &str = "urn:x:E";

/// A directory with a schema file, and configuration files that use it in several ways.
struct Settings(TempDir);

impl Settings {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let schema = json!({
            "id": URN, "name": "E", "attributes": [
                { "name": "team" }, { "name": "rank", "type": "integer" },
                { "name": "code", "uniqueness": "server" },
            ],
        });
        std::fs::write(folder.path().join("e.json"), schema.to_string()).unwrap();
        let plain = schema.to_string().replace("server", "none");
        std::fs::write(folder.path().join("plain.json"), plain).unwrap();
        Self(folder)
    }

    fn file(&self, schema: &str, indexed: &str) -> PathBuf {
        let path = self
            .0
            .path()
            .join(format!("{schema}{}.toml", indexed.len()));
        let text = format!(
            "[[extensions]]\nresource_type = \"User\"\nschema = \"{schema}\"\nindexed = [{indexed}]\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    fn start(&self, database: &Database, schema: &str, indexed: &str) -> Server {
        let file = self.file(schema, indexed);
        Server::start_with(database, &["--config", file.to_str().unwrap()], &[])
    }
}

fn member(user_name: &str, extension: Value) -> Value {
    let mut user = sample::user(user_name);
    user[URN] = extension;
    user
}

async fn found(server: &Server, filter: &str) -> usize {
    let filter = format!("{URN}:{filter}");
    server.admin().find_users(&filter).await.len()
}

both_alone!(an_index_includes_existing_data, |database| async move {
    let settings = Settings::new();
    {
        let server = Server::start(&database);
        for number in 0..7 {
            let body = member(
                &format!("u{number}@x.example"),
                json!({ "team": "Red", "rank": number }),
            );
            server.admin().post("/Users", &body).await.expect(201);
        }
    }
    for indexed in ["", "\"team\"", "\"team\", \"rank\"", "\"rank\"", "\"team\""] {
        let server = settings.start(&database, "plain.json", indexed);
        assert_eq!(found(&server, "team eq \"RED\"").await, 7, "{indexed}");
        assert_eq!(found(&server, "rank ge 5").await, 2, "{indexed}");
        // Writes made meanwhile are found later, with any index.
        let body = member("ada@x.example", json!({ "team": "Blue" }));
        let ada = server.admin().post("/Users", &body).await.expect(201);
        assert_eq!(found(&server, "team eq \"blue\"").await, 1);
        let path = format!("/Users/{}", id(&ada));
        server.admin().delete(&path).await.expect(204);
    }
    let rows = |path: &str| {
        database.count(&format!(
            "SELECT count(*) AS n FROM attributes WHERE path = '{URN}:{path}'"
        ))
    };
    assert_eq!(rows("team"), 7);
    database.assert_whole();
});

both_alone!(
    an_index_includes_lists_in_sub_attributes,
    |database| async move {
        let folder = TempDir::new().unwrap();
        let schema = json!({ "id": URN, "name": "E", "attributes": [
            { "name": "home", "type": "complex", "subAttributes": [
                { "name": "rooms", "multiValued": true },
            ] },
        ] });
        std::fs::write(folder.path().join("e.json"), schema.to_string()).unwrap();
        let start = |indexed: &str| {
            let file = folder.path().join("rollcall.toml");
            let text = format!(
                "[[extensions]]\nresource_type = \"User\"\nschema = \"e.json\"\nindexed = [{indexed}]\n"
            );
            std::fs::write(&file, text).unwrap();
            Server::start_with(&database, &["--config", file.to_str().unwrap()], &[])
        };
        let rows = || {
            database.count(&format!(
                "SELECT count(*) AS n FROM attributes WHERE path = '{URN}:home.rooms'"
            ))
        };
        {
            let server = start("");
            let body = member("ada@x.example", json!({ "home": { "rooms": ["A", "b"] } }));
            server.admin().post("/Users", &body).await.expect(201);
            assert_eq!(found(&server, "home.rooms eq \"B\"").await, 1);
        }
        assert_eq!(rows(), 0);
        {
            let server = start("\"home.rooms\"");
            assert_eq!(rows(), 2);
            assert_eq!(found(&server, "home.rooms eq \"B\"").await, 1);
        }
        // An earlier version had the path under this rule, without a row.
        database.execute(&format!(
            "DELETE FROM attributes WHERE path = '{URN}:home.rooms'"
        ));
        database.execute(&format!(
            "UPDATE indexes SET rule = 'folded' WHERE path = '{URN}:home.rooms'"
        ));
        let server = start("\"home.rooms\"");
        assert_eq!(rows(), 2);
        assert_eq!(found(&server, "home.rooms[value eq \"a\"]").await, 1);
        database.assert_whole();
    }
);

both_alone!(
    an_interrupted_index_build_is_resumed,
    |database| async move {
        let settings = Settings::new();
        let mut ids = Vec::new();
        {
            let server = settings.start(&database, "plain.json", "\"team\"");
            for number in 0..6 {
                let body = member(&format!("u{number}@x.example"), json!({ "team": "Red" }));
                ids.push(id(&server.admin().post("/Users", &body).await.expect(201)).to_owned());
            }
        }
        // As if it had been killed after three of them.
        database.execute(&format!("DELETE FROM attributes WHERE path = '{URN}:team'"));
        database.execute(&format!(
        "UPDATE indexes SET done = FALSE, tenant_id = 1, last_id = '{}' WHERE path = '{URN}:team'",
        ids[2]
    ));
        let server = settings.start(&database, "plain.json", "\"team\"");
        let rest = server
            .admin()
            .list("/Users", &[("filter", &format!("{URN}:team eq \"red\""))])
            .await;
        assert_eq!(rest.ids(), ids[3..]);
        assert_eq!(
            database.count("SELECT count(*) AS n FROM indexes WHERE NOT done"),
            0
        );
    }
);

both_alone!(existing_duplicates_prevent_a_start, |database| async move {
    let settings = Settings::new();
    let mut ids = Vec::new();
    {
        let server = settings.start(&database, "plain.json", "");
        for name in ["ada@x.example", "bob@x.example"] {
            let body = member(name, json!({ "code": "C1" }));
            ids.push(id(&server.admin().post("/Users", &body).await.expect(201)).to_owned());
        }
    }
    let file = settings.file("e.json", "");
    let refused = database.cli(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
    ]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains(&format!("{URN}:code")) && said.contains("default"),
        "{said}"
    );
    assert!(ids.iter().any(|id| said.contains(id.as_str())), "{said}");
    {
        // The old configuration still starts, and the duplicate can be corrected.
        let server = settings.start(&database, "plain.json", "");
        let path = format!("/Users/{}", ids[1]);
        let body = member("bob@x.example", json!({ "code": "C2" }));
        server.admin().put(&path, &body).await.expect(200);
    }
    let server = settings.start(&database, "e.json", "");
    let body = member("cyd@x.example", json!({ "code": "c2" }));
    let refused = server.admin().post("/Users", &body).await;
    refused.expect_error(409, "uniqueness");
});

both_alone!(
    a_node_with_other_types_stops_writing,
    |database| async move {
        let settings = Settings::new();
        let old = settings.start(&database, "plain.json", "");
        let same = settings.start(&database, "plain.json", "");
        let body = member("ada@x.example", json!({ "team": "Red" }));
        let ada = old.admin().post("/Users", &body).await.expect(201);
        let new = settings.start(&database, "plain.json", "\"team\"");
        for node in [&old, &same] {
            let body = member("bob@x.example", json!({ "team": "Red" }));
            let refused = node.admin().post("/Users", &body).await;
            refused.expect_error(503, "");
            assert_eq!(node.admin().site().get("/readyz").await.status, 503);
            // Existing data can be read.
            let path = format!("/Users/{}", id(&ada));
            node.admin().get(&path).await.expect(200);
        }
        // Also in a tenant that such a node creates.
        let tenant = json!({ "name": "late" });
        let made = old.admin().site().post("/admin/v1/tenants", &tenant).await;
        assert_eq!(made.status, 201);
        let body = json!({ "tenant": "late", "name": "t", "scopes": ["scim"] });
        let token = new
            .admin()
            .site()
            .post("/admin/v1/tokens", &body)
            .await
            .body;
        let client = crate::harness::Client::new(&new.address, token["token"].as_str().unwrap());
        client
            .post("/Users", &sample::user("bob@x.example"))
            .await
            .expect(201);
        assert_eq!(new.admin().site().get("/readyz").await.status, 200);
        assert_eq!(found(&new, "team eq \"red\"").await, 1);
    }
);

both_alone!(
    an_undeclared_extension_remains_readable,
    |database| async move {
        let desk = json!({ "building": "HQ", "seat": 3, "badge": "B1" });
        let path = {
            let server = Server::start_with(&database, &["--config", crate::harness::TYPES], &[]);
            let body = seated("ada@x.example", desk.clone());
            let created = server.admin().post("/Users", &body).await.expect(201);
            format!("/Users/{}", id(&created))
        };
        let server = Server::start(&database);
        let client = server.admin();
        let read = client.get(&path).await.expect(200);
        assert_eq!(read[DESK], desk);
        assert_eq!(read["schemas"], json!([sample::USER, DESK]));
        // It is another unknown extension: stored, returned, and replaced as a whole.
        let edit = json!([{ "op": "replace", "path": "title", "value": "Dr" }]);
        let patched = client.edit(&path, edit).await.expect(200);
        assert_eq!(patched[DESK], desk);
        let body = seated("ada@x.example", json!({ "seat": "none" }));
        let replaced = client.put(&path, &body).await.expect(200);
        assert_eq!(replaced[DESK], json!({ "seat": "none" }));
        // A user who never had it is not affected by its uniqueness.
        let body = seated("bob@x.example", json!({ "badge": "B1" }));
        client.post("/Users", &body).await.expect(201);
        // Filters read it in the documents, like every extension without a schema.
        let filter = format!("{DESK}:badge eq \"B1\"");
        assert_eq!(client.find_users(&filter).await, ["bob@x.example"]);
        client.delete(&path).await.expect(204);
        database.assert_whole();
    }
);
