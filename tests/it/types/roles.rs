//! Roles and entitlements, as Okta's governance reads and assigns them.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Client, Server, TestApp, both_alone, both_typed, id, sample, texts, with_query,
};

const ROLE: &str = "urn:okta:scim:schemas:core:1.0:Role";
const ENTITLEMENT: &str = "urn:okta:scim:schemas:core:1.0:Entitlement";

async fn make(client: &Client, endpoint: &str, name: &str) -> Value {
    let urn = if endpoint == "/Roles" {
        ROLE
    } else {
        ENTITLEMENT
    };
    let body = json!({ "schemas": [urn], "displayName": name, "description": "What it is for." });
    client.post(endpoint, &body).await.expect(201)
}

/// Returns a user with these values.
fn user_with(user_name: &str, roles: Value, entitlements: Value) -> Value {
    let mut user = sample::user(user_name);
    user["roles"] = roles;
    user["entitlements"] = entitlements;
    user
}

fn value(resource: &Value) -> Value {
    json!({ "value": id(resource) })
}

async fn updates(app: &TestApp, user: &str) -> i64 {
    app.database.count(&format!(
        "SELECT count(*) AS n FROM changes WHERE resource_id = '{user}' AND kind = 'updated'"
    ))
}

both_typed!(okta_can_discover_roles_in_its_order, |app| async move {
    // 1. The resource types, by the URNs that Okta looks for.
    let types = app.get("/ResourceTypes").await.page();
    let find = |name: &str| {
        let all = types.resources.iter();
        all.clone().find(|rt| rt["name"] == name).unwrap().clone()
    };
    for (name, endpoint, schema) in [
        ("Role", "/Roles", ROLE),
        ("Entitlement", "/Entitlements", ENTITLEMENT),
        ("License", "/Licenses", ENTITLEMENT),
    ] {
        let rt = find(name);
        assert_eq!(rt["id"], name);
        assert_eq!(rt["endpoint"], endpoint);
        assert_eq!(rt["schema"], schema);
        assert!(!rt["description"].as_str().unwrap().is_empty());
        assert_eq!(rt["schemaExtensions"], json!([]));
    }
    // 2. The schemas that they name.
    let schemas = app.get("/Schemas").await.page().ids();
    assert_eq!(schemas.iter().filter(|urn| *urn == ENTITLEMENT).count(), 1);
    assert!(schemas.contains(&ROLE.to_owned()));
    // 3. The resources at the endpoints.
    let seat = make(&app, "/Licenses", "Pro seat").await;
    let mut expected = seat.clone();
    for member in ["schemas", "meta"] {
        expected.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(
        expected,
        json!({ "id": id(&seat), "displayName": "Pro seat", "type": "License", "description": "What it is for." })
    );
    assert_eq!(seat["meta"]["resourceType"], "License");
    assert_eq!(app.list("/Entitlements", &[]).await.ids().len(), 0);
});

// The assertions of Okta's entitlements suite.
both_typed!(each_endpoint_supports_pages_of_one, |app| async move {
    for endpoint in ["/Roles", "/Entitlements", "/Licenses"] {
        make(&app, endpoint, "One").await;
        make(&app, endpoint, "Two").await;
        let page = app.get(&format!("{endpoint}?count=1&startIndex=1")).await;
        assert_eq!(page.header("content-type"), "application/scim+json");
        let body = page.expect(200);
        assert_eq!(
            body["schemas"],
            json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"])
        );
        assert_eq!(body["itemsPerPage"], 1);
        assert_eq!(body["startIndex"], 1);
        assert_eq!(body["totalResults"], 2);
        assert_eq!(body["Resources"].as_array().unwrap().len(), 1);
        let next = app
            .get(&format!("{endpoint}?count=1&startIndex=2"))
            .await
            .page();
        assert_eq!(texts(&next.resources, "displayName"), ["Two"]);
    }
});

both_typed!(role_attributes_are_validated, |app| async move {
    for (endpoint, urn) in [("/Roles", ROLE), ("/Licenses", ENTITLEMENT)] {
        let with = |description: String| json!({ "schemas": [urn], "displayName": "D", "description": description, "type": "Wrong" });
        let refused = app.post(endpoint, &with("é".repeat(1001))).await;
        refused.expect_error(400, "invalidValue");
        let made = app
            .post(endpoint, &with("é".repeat(1000)))
            .await
            .expect(201);
        let refused = app.post(endpoint, &json!({ "schemas": [urn] })).await;
        refused.expect_error(400, "invalidValue");
        // The endpoint determines the type.
        let expected = if urn == ROLE {
            Value::Null
        } else {
            json!("License")
        };
        assert_eq!(made["type"], expected);
        let path = format!("{endpoint}/{}", id(&made));
        let replaced = app.put(&path, &with("d".to_owned())).await.expect(200);
        assert_eq!(replaced["type"], expected);
    }
});

both_typed!(users_can_be_assigned_roles, |app| async move {
    let auditor = make(&app, "/Roles", "Auditor").await;
    let seat = make(&app, "/Licenses", "Pro seat").await;
    let key = make(&app, "/Entitlements", "Key").await;
    let roles = json!([{ "value": id(&auditor), "display": "The auditor" }]);
    let seats = json!([{ "value": id(&seat), "type": "Entitlement" }, value(&key)]);
    let body = user_with("ada@x.example", roles.clone(), seats);
    let created = app.post("/Users", &body).await.expect(201);
    // A name from the client is stored; missing members are filled in, and the type is corrected.
    assert_eq!(created["roles"], roles);
    let filled = json!([
        { "value": id(&seat), "display": "Pro seat", "type": "License" },
        { "value": id(&key), "display": "Key", "type": "Entitlement" },
    ]);
    assert_eq!(created["entitlements"], filled);
    let path = format!("/Users/{}", id(&created));
    assert_eq!(app.get(&path).await.expect(200), created);
    assert_eq!(app.list("/Users", &[]).await.resources[0], created);
    let filter = format!("roles.value eq \"{}\"", id(&auditor));
    assert_eq!(app.find_users(&filter).await, ["ada@x.example"]);
    let filter = format!(
        "entitlements[type eq \"License\" and value eq \"{}\"]",
        id(&seat)
    );
    assert_eq!(app.find_users(&filter).await, ["ada@x.example"]);

    // Sending the same again is no change; Okta removes a license by a PUT.
    let same = app.put(&path, &body).await.expect(200);
    assert_eq!(same["meta"]["version"], created["meta"]["version"]);
    let less = user_with("ada@x.example", json!([]), json!([value(&key)]));
    let replaced = app.put(&path, &less).await.expect(200);
    assert!(replaced.get("roles").is_none());
    assert_eq!(replaced["entitlements"], json!([filled[1]]));

    // And by PATCH.
    let edit = json!([
        { "op": "add", "path": "roles", "value": [value(&auditor)] },
        { "op": "remove", "path": format!("entitlements[value eq \"{}\"]", id(&key)) },
    ]);
    let patched = app.edit(&path, edit).await.expect(200);
    assert_eq!(
        patched["roles"],
        json!([{ "value": id(&auditor), "display": "Auditor" }])
    );
    assert!(patched.get("entitlements").is_none());
});

both_typed!(unknown_roles_are_left_out, |app| async move {
    let auditor = make(&app, "/Roles", "Auditor").await;
    let seat = make(&app, "/Licenses", "Seat").await;
    let ada = app.create_user("bob@x.example").await;
    let neighbour = app.neighbour().await;
    let foreign = make(&neighbour, "/Roles", "Foreign").await;
    let dangling = json!([
        value(&auditor), value(&auditor), value(&seat), value(&ada), value(&foreign),
        { "value": "gone" }, { "display": "nameless" }, { "value": id(&auditor).to_uppercase() },
    ]);
    let body = user_with("ada@x.example", dangling.clone(), json!([value(&auditor)]));
    let created = app.post("/Users", &body).await.expect(201);
    let known = json!([{ "value": id(&auditor), "display": "Auditor" }]);
    assert_eq!(created["roles"], known);
    assert!(created.get("entitlements").is_none());
    let path = format!("/Users/{}", id(&created));
    let same = app.put(&path, &body).await.expect(200);
    assert_eq!(same["meta"]["version"], created["meta"]["version"]);
    let edit = json!([{ "op": "replace", "path": "roles", "value": dangling }]);
    let same = app.edit(&path, edit).await.expect(200);
    assert_eq!(same["roles"], known);
    assert!(
        app.server
            .log()
            .contains("dropped roles or entitlements that do not exist")
    );
});

both_typed!(a_deleted_role_is_removed_from_users, |app| async move {
    let (auditor, clerk) = (
        make(&app, "/Roles", "Auditor").await,
        make(&app, "/Roles", "Clerk").await,
    );
    let seat = make(&app, "/Licenses", "Seat").await;
    let mut users = Vec::new();
    for number in 0..5 {
        let roles = if number == 0 {
            json!([value(&clerk)])
        } else {
            json!([value(&auditor), value(&clerk)])
        };
        let body = user_with(
            &format!("u{number}@x.example"),
            roles,
            json!([value(&seat)]),
        );
        users.push(app.post("/Users", &body).await.expect(201));
    }
    let before = updates(&app, id(&users[1])).await;
    app.delete(&format!("/Roles/{}", id(&auditor)))
        .await
        .expect(204);
    let clerks = json!([{ "value": id(&clerk), "display": "Clerk" }]);
    for (number, user) in users.iter().enumerate() {
        let found = app.user(id(user)).await;
        assert_eq!(found["roles"], clerks);
        let is_touched = found["meta"]["version"] != user["meta"]["version"];
        assert_eq!(is_touched, number > 0);
    }
    assert_eq!(updates(&app, id(&users[1])).await, before + 1);
    let filter = format!("roles.value eq \"{}\"", id(&auditor));
    assert!(app.find_users(&filter).await.is_empty());
    let filter = format!("roles.value eq \"{}\"", id(&clerk));
    assert_eq!(app.find_users(&filter).await.len(), 5);

    app.delete(&format!("/Licenses/{}", id(&seat)))
        .await
        .expect(204);
    app.delete(&format!("/Roles/{}", id(&clerk)))
        .await
        .expect(204);
    for user in &users {
        let found = app.user(id(user)).await;
        assert!(found.get("roles").is_none() && found.get("entitlements").is_none());
    }
});

both_typed!(
    a_renamed_role_is_renamed_in_all_of_its_users,
    |app| async move {
        let auditor = make(&app, "/Roles", "Auditor").await;
        let own = json!([{ "value": id(&auditor), "display": "Own words" }]);
        let body = user_with("ada@x.example", own.clone(), json!([]));
        let ada = app.post("/Users", &body).await.expect(201);
        let body = user_with("bob@x.example", json!([value(&auditor)]), json!([]));
        let bob = app.post("/Users", &body).await.expect(201);
        let path = format!("/Roles/{}", id(&auditor));
        let edit = json!([{ "op": "replace", "path": "displayName", "value": "Reviewer" }]);
        app.edit(&path, edit).await.expect(200);
        assert_eq!(app.user(id(&ada)).await["roles"], own);
        let renamed = app.user(id(&bob)).await;
        assert_eq!(renamed["roles"][0]["display"], "Reviewer");
        assert_eq!(updates(&app, id(&bob)).await, 1);
        // A PUT without the name stores the new one, so it changes nothing.
        let path = format!("/Users/{}", id(&bob));
        let same = app.put(&path, &body).await.expect(200);
        assert_eq!(same["meta"]["version"], renamed["meta"]["version"]);
    }
);

/// A directory with a configuration file and a list of roles.
struct Settings(TempDir);

impl Settings {
    fn new(table: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let text = format!(
            "{table}\n[[resource_types]]\nname = \"Role\"\nendpoint = \"/Roles\"\nschema = \"{ROLE}\"\n"
        );
        std::fs::write(folder.path().join("rollcall.toml"), text).unwrap();
        Self(folder)
    }

    fn read_only() -> Self {
        let settings = Self::new("");
        let path = settings.config();
        let text = std::fs::read_to_string(&path).unwrap() + "access = \"read_only\"\n";
        std::fs::write(path, text).unwrap();
        settings
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("rollcall.toml")
    }

    fn start(&self, database: &crate::harness::Database) -> Server {
        Server::start_with(
            database,
            &["--config", self.config().to_str().unwrap()],
            &[],
        )
    }

    /// Runs `rollcall load` with this list: whether it succeeded, and its output.
    fn load(&self, database: &crate::harness::Database, list: &Value) -> (bool, String) {
        let file = self.0.path().join("roles.json");
        std::fs::write(&file, list.to_string()).unwrap();
        let config = self.config();
        let output = database.cli(&[
            "load",
            "--type",
            "Role",
            file.to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
        ]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

both_alone!(unknown_roles_can_be_rejected, |database| async move {
    let server = Settings::new("unknown_roles = \"refuse\"").start(&database);
    let client = server.admin();
    let auditor = make(&client, "/Roles", "Auditor").await;
    let body = user_with(
        "ada@x.example",
        json!([value(&auditor), { "value": "gone" }]),
        json!([]),
    );
    let refused = client.post("/Users", &body).await;
    let refused = refused.expect_error(400, "invalidValue");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("gone") && detail.contains("roles"),
        "{detail}"
    );
    assert_eq!(client.list("/Users", &[]).await.total, 0);
    // No entitlement type is declared: the values remain unchecked.
    let free = json!([{ "value": "anything", "type": "x" }]);
    let body = user_with("ada@x.example", json!([value(&auditor)]), free.clone());
    let created = client.post("/Users", &body).await.expect(201);
    assert_eq!(created["entitlements"], free);
    let path = format!("/Users/{}", id(&created));
    let edit = json!([{ "op": "add", "path": "roles", "value": [{ "value": "gone" }] }]);
    client
        .edit(&path, edit)
        .await
        .expect_error(400, "invalidValue");
    client
        .delete(&format!("/Roles/{}", id(&auditor)))
        .await
        .expect(204);
    assert!(client.user(id(&created)).await.get("roles").is_none());
});

both_alone!(
    values_older_than_the_declaration_remain,
    |database| async move {
        let user = {
            let server = Server::start(&database);
            let body = user_with(
                "ada@x.example",
                json!([{ "value": "old" }]),
                json!([{ "value": "free" }]),
            );
            server.admin().post("/Users", &body).await.expect(201)
        };
        assert_eq!(user["roles"], json!([{ "value": "old" }]));
        let server = Settings::new("unknown_roles = \"refuse\"").start(&database);
        let client = server.admin();
        // Filters find them, and they are returned until the user is written; they do not cause a
        // write to be rejected.
        assert_eq!(client.find_users("roles.value eq \"old\"").await.len(), 1);
        let path = format!("/Users/{}", id(&user));
        let edit = json!([{ "op": "replace", "path": "active", "value": false }]);
        let patched = client.edit(&path, edit).await.expect(200);
        assert!(patched.get("roles").is_none(), "{patched}");
        assert_eq!(patched["entitlements"], user["entitlements"]);
    }
);

both_alone!(a_read_only_type_can_be_loaded, |database| async move {
    let settings = Settings::read_only();
    let role = |id: &str, name: &str| json!({ "id": id, "displayName": name });
    // Also before the first start.
    let (done, said) = settings.load(
        &database,
        &json!([role("r-1", "Auditor"), role("r-2", "Clerk")]),
    );
    assert!(
        done && said == "Role: 2 created, 0 changed, 0 deleted, 0 as before\n",
        "{said}"
    );
    let server = settings.start(&database);
    let client = server.admin();
    let listed = client.list("/Roles", &[]).await;
    assert_eq!(listed.ids(), ["r-1", "r-2"]);
    assert_eq!(listed.resources[0]["meta"]["resourceType"], "Role");

    // Clients can only read.
    for (method, path) in [
        (Method::POST, "/Roles"),
        (Method::PUT, "/Roles/r-1"),
        (Method::PATCH, "/Roles/r-1"),
        (Method::DELETE, "/Roles/r-1"),
    ] {
        let headers = [("content-type", crate::harness::SCIM)];
        let refused = client.send(method, path, &headers, b"{}".to_vec()).await;
        assert_eq!(refused.header("allow"), "GET, HEAD");
        refused.expect_error(405, "");
    }
    let document = client.anonymous().site().get("/openapi.json").await.body;
    let path = &document["paths"]["/scim/v2/Roles/{id}"];
    assert!(
        path.get("get").is_some() && path.get("put").is_none(),
        "{path}"
    );

    let roles = json!([{ "value": "r-1" }, { "value": "r-2" }]);
    let ada = client
        .post("/Users", &user_with("ada@x.example", roles, json!([])))
        .await
        .expect(201);
    // While the service runs: one is deleted, one renamed, one created.
    let next = json!({ "Resources": [role("r-3", "Boss"), role("r-2", "Scribe")] });
    let (done, said) = settings.load(&database, &next);
    assert!(
        done && said == "Role: 1 created, 1 changed, 1 deleted, 0 as before\n",
        "{said}"
    );
    let found = client.user(id(&ada)).await;
    assert_eq!(
        found["roles"],
        json!([{ "value": "r-2", "display": "Scribe" }])
    );
    assert_eq!(client.list("/Roles", &[]).await.total, 2);
    // Loading the same again changes nothing.
    let changes = database.count("SELECT count(*) AS n FROM changes");
    let (done, said) = settings.load(&database, &next);
    assert!(done && said.ends_with("2 as before\n"), "{said}");
    assert_eq!(database.count("SELECT count(*) AS n FROM changes"), changes);
    database.assert_whole();
});

both_alone!(
    a_deleted_role_is_removed_from_many_users,
    |database| async move {
        const MANY: i64 = 1_234;
        let settings = Settings::read_only();
        let role = json!([{ "id": "r-1", "displayName": "Auditor" }]);
        let (done, said) = settings.load(&database, &role);
        assert!(done, "{said}");
        // Users from before any type was declared: the index over them is built in several steps.
        drop(Server::start(&database));
        database.plant_users(usize::try_from(MANY).unwrap());
        database.execute(
        "UPDATE resources SET doc = replace(doc, '\"active\":true', \
         '\"active\":true,\"roles\":[{\"value\":\"r-1\",\"display\":\"Auditor\"},{\"value\":\"r-2\"}]') \
         WHERE resource_type = 'User'",
    );
        let server = settings.start(&database);
        let found = server
            .admin()
            .list("/Users", &[("filter", "roles.value eq \"r-1\"")])
            .await;
        assert_eq!(found.total, u64::try_from(MANY).unwrap());
        let (done, said) = settings.load(&database, &json!([]));
        assert!(done && said.contains("1 deleted"), "{said}");
        let found = server
            .admin()
            .list("/Users", &[("filter", "roles.value eq \"r-1\"")])
            .await;
        assert_eq!(found.total, 0);
        for (sql, expected) in [
            ("FROM resources WHERE doc LIKE '%r-1%'", 0),
            (
                "FROM resources WHERE version = 2 AND doc LIKE '%[{\"value\":\"r-2\"}]%'",
                MANY,
            ),
            (
                "FROM changes WHERE kind = 'updated' AND actor = 'cli:load'",
                MANY,
            ),
            (
                "FROM attributes WHERE path = 'roles.value' AND position = 0 AND text = 'r-2'",
                MANY,
            ),
            ("FROM attributes WHERE path = 'roles.value'", MANY),
        ] {
            assert_eq!(
                database.count(&format!("SELECT count(*) AS n {sql}")),
                expected,
                "{sql}"
            );
        }
    }
);

both_alone!(an_invalid_list_is_not_loaded, |database| async move {
    let settings = Settings::read_only();
    let server = settings.start(&database);
    let good = json!({ "id": "r-1", "displayName": "Auditor" });
    for (list, expected) in [
        (json!({ "id": "r-1" }), "a list of resources"),
        (
            json!([{ "displayName": "x" }]),
            "resource 1: it needs an \"id\"",
        ),
        (
            json!([good, { "id": "a/b", "displayName": "x" }]),
            "resource 2: it needs an \"id\"",
        ),
        (
            json!([{ "id": "bulkId:1", "displayName": "x" }]),
            "it needs an \"id\"",
        ),
        (json!([good, good]), "there twice"),
        (json!([good, { "id": "r-2" }]), "resource 2: displayName"),
    ] {
        let (done, said) = settings.load(&database, &list);
        assert!(
            !done && said.contains(expected) && said.contains("roles.json"),
            "{said}"
        );
    }
    assert_eq!(server.admin().list("/Roles", &[]).await.total, 0);
    // Not with types other than the service's, nor into a type that clients can write.
    server
        .admin()
        .post("/Users", &sample::user("ada@x.example"))
        .await
        .expect(201);
    let other = Settings::read_only();
    let text = std::fs::read_to_string(other.config()).unwrap() + "indexed = [\"description\"]\n";
    std::fs::write(other.config(), text).unwrap();
    let (done, said) = other.load(&database, &json!([good]));
    assert!(!done && said.contains("other resource types"), "{said}");
    server
        .admin()
        .post("/Users", &sample::user("bob@x.example"))
        .await
        .expect(201);
    let (done, said) = Settings::new("").load(&database, &json!([good]));
    assert!(!done && said.contains("read_only"), "{said}");
});

both_typed!(a_page_of_users_contains_role_names, |app| async move {
    let auditor = make(&app, "/Roles", "Auditor").await;
    let body = user_with("ada@x.example", json!([value(&auditor)]), json!([]));
    app.post("/Users", &body).await.expect(201);
    let query = with_query("/Users", &[("attributes", "roles.display")]);
    let page = app.get(&query).await.page();
    assert_eq!(
        page.resources[0]["roles"],
        json!([{ "display": "Auditor" }])
    );
});
