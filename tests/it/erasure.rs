//! Erasure of a user: no data remains in any table or in the files of the database, and consumers
//! are notified.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::{
    Backend, Client, Database, Server, both, both_alone, id, runtime, sample, texts, with_query,
};

const SETTINGS: &[&str] = &[
    "--password-sync",
    "on",
    "--webhook-allow-private",
    "on",
    "--webhook-backoff-ms",
    "10",
    "--webhook-timeout-ms",
    "300",
];

/// Values that occur nowhere else.
#[derive(Default)]
struct Marks(Vec<String>);

impl Marks {
    fn make(&mut self, what: &str) -> String {
        let mark = format!("Qx{what}Jw{:02}", self.0.len());
        self.0.push(mark.clone());
        mark
    }

    fn mail(&mut self, what: &str) -> String {
        format!("{}@example.com", self.make(what))
    }

    /// Returns a user with a marked value in every kind of attribute.
    fn marked_user(&mut self, user_name: &str) -> Value {
        json!({
            "schemas": [sample::USER, sample::ENTERPRISE, "urn:example:marks:User"],
            "userName": user_name,
            "externalId": self.make("external"),
            "password": "correct horse battery",
            "name": {
                "formatted": self.make("formatted"), "familyName": self.make("family"), "givenName": self.make("given"),
                "middleName": self.make("middle"), "honorificPrefix": self.make("prefix"),
                "honorificSuffix": self.make("suffix")
            },
            "displayName": self.make("display"),
            "nickName": self.make("nick"),
            "profileUrl": format!("https://example.com/{}", self.make("profile")),
            "title": self.make("title"),
            "userType": self.make("type"),
            "active": true,
            "emails": [
                { "value": self.mail("work"), "type": "work", "primary": true },
                { "value": self.mail("home"), "type": "home", "display": self.make("mail") }
            ],
            "phoneNumbers": [{ "value": self.make("phone"), "type": "work" }],
            "ims": [{ "value": self.make("im"), "type": "xmpp" }],
            "photos": [{ "value": format!("https://example.com/{}", self.make("photo")), "type": "photo" }],
            "addresses": [{
                "formatted": self.make("address"), "streetAddress": self.make("street"), "locality": self.make("town"),
                "region": self.make("region"), "postalCode": self.make("code"), "type": "work"
            }],
            "entitlements": [{ "value": self.make("entitlement") }],
            "roles": [{ "value": self.make("role") }],
            sample::ENTERPRISE: {
                "employeeNumber": self.make("number"), "costCenter": self.make("centre"),
                "organization": self.make("organization"), "division": self.make("division"),
                "department": self.make("department"), "manager": { "value": self.make("boss") }
            },
            "urn:example:marks:User": { "badge": self.make("badge"), "deep": [{ "er": self.make("deep") }] }
        })
    }

    /// Returns the marks that occur in the bytes: as they are, in lower case, or as hexadecimal
    /// digits.
    fn marks_in(&self, bytes: &[u8]) -> Vec<&str> {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let has = |needle: &str| text.contains(needle);
        let hex = |text: &str| -> String { text.bytes().map(|b| format!("{b:02x}")).collect() };
        let is_there = |mark: &&String| {
            let folded = mark.to_ascii_lowercase();
            has(&folded) || has(&hex(mark)) || has(&hex(&folded))
        };
        self.0.iter().filter(is_there).map(String::as_str).collect()
    }
}

/// Returns every row of every table as text.
fn tables(database: &Database) -> Vec<u8> {
    let rows: Vec<String> = match database.backend {
        Backend::Sqlite => {
            let names = database.texts("SELECT name AS t FROM sqlite_schema WHERE type = 'table'");
            let dump = |name: &String| {
                let columns = database.texts(&format!(
                    "SELECT 'quote(\"' || name || '\")' AS t FROM pragma_table_info('{name}')"
                ));
                database.texts(&format!("SELECT {} AS t FROM {name}", columns.join(" || ")))
            };
            names.iter().flat_map(dump).collect()
        }
        Backend::Postgres => {
            let names = database
                .texts("SELECT tablename::text AS t FROM pg_tables WHERE schemaname = 'public'");
            let dump = |name: &String| {
                database.texts(&format!("SELECT r::text AS t FROM \"{name}\" AS r"))
            };
            names.iter().flat_map(dump).collect()
        }
    };
    rows.join("\n").into_bytes()
}

/// Returns the statistics that PostgreSQL's planner stores about the tables.
fn samples(database: &Database) -> Vec<u8> {
    if database.backend == Backend::Sqlite {
        return Vec::new();
    }
    let statistics =
        database.texts("SELECT s::text AS t FROM pg_stats AS s WHERE schemaname = 'public'");
    statistics.join("\n").into_bytes()
}

/// Returns the bytes of all files of the database, or `None` if they are on another machine.
fn files(database: &Database) -> Option<Vec<u8>> {
    let paths: Vec<PathBuf> = match database.backend {
        Backend::Sqlite => {
            let file = database.url.trim_start_matches("sqlite:");
            ["", "-wal", "-shm"]
                .map(|end| PathBuf::from(format!("{file}{end}")))
                .into()
        }
        Backend::Postgres => {
            database.execute("CHECKPOINT");
            let place = database.texts(
                "SELECT current_setting('data_directory') || '/base/' || oid AS t FROM pg_database \
                 WHERE datname = current_database()",
            );
            let found = std::fs::read_dir(Path::new(&place[0])).ok()?;
            found.map(|entry| entry.unwrap().path()).collect()
        }
    };
    let contents = paths
        .into_iter()
        .filter_map(|path| std::fs::read(path).ok());
    Some(contents.collect::<Vec<_>>().concat())
}

async fn changes(client: &Client) -> Vec<Value> {
    let page = client.site().get("/directory/v1/changes?limit=1000").await;
    assert_eq!(page.status, 200, "{page:?}");
    let changes = page.body["changes"].as_array().unwrap().clone();
    for (change, number) in changes.iter().zip(1..) {
        assert_eq!(change["seq"], number, "a gap");
    }
    changes
}

async fn erase(client: &Client, resource_type: &str, id: &str) -> Value {
    let body = json!({ "type": resource_type, "id": id });
    let reply = client.site().post("/admin/v1/erasures", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

/// Writes the marks to every location that can hold them. Returns the ids of an existing user and
/// of one deleted long ago.
async fn write_marks(
    database: &Database,
    client: &Client,
    marks: &mut Marks,
) -> (String, String, String) {
    let user_name = marks.mail("user");
    let gone = client
        .post("/Users", &marks.marked_user(&marks.0[0].clone()))
        .await
        .expect(201);
    client
        .delete(&format!("/Users/{}", id(&gone)))
        .await
        .expect(204);
    let other_name = marks.mail("former");
    let made = client
        .post("/Users", &marks.marked_user(&other_name))
        .await
        .expect(201);
    let path = format!("/Users/{}", id(&made));
    let mut body = marks.marked_user(&other_name);
    client.put(&path, &body).await.expect(200);
    let operations = json!([
        { "op": "replace", "path": "userName", "value": user_name },
        { "op": "add", "path": "emails", "value": [{ "value": marks.mail("third"), "type": "other" }] },
        { "op": "replace", "path": "title", "value": marks.make("later") },
        { "op": "replace", "path": "active", "value": false },
        { "op": "replace", "path": "password", "value": "battery horse correct" }
    ]);
    client.edit(&path, operations).await.expect(200);
    body["displayName"] = json!(marks.make("shown"));
    body["userName"] = json!(user_name);
    client.put(&path, &body).await.expect(200);
    let shown = body["displayName"].clone();

    // In groups, as a manager, as an unknown member, as an actor, and in the records of setup and
    // the planner.
    let member = json!({ "value": id(&made), "display": marks.make("member") });
    let mut group = sample::group(&marks.make("group"), &[]);
    group["members"] = json!([member, { "value": user_name }]);
    let group = client.post("/Groups", &group).await.expect(201);
    let manager = json!({ "value": id(&made), "displayName": shown });
    let mut bob = sample::user("bob@example.com");
    bob.as_object_mut().unwrap().remove("password");
    bob[sample::ENTERPRISE] = json!({ "department": "Looms", "manager": manager });
    let bob = client.post("/Users", &bob).await.expect(201);
    let manager = json!({ "value": user_name, "displayName": shown });
    let path = format!("{}:manager", sample::ENTERPRISE);
    let turn = json!([{ "op": "add", "path": path, "value": manager }]);
    client
        .edit(&format!("/Users/{}", id(&bob)), turn)
        .await
        .expect(200);
    database.execute(&format!(
        "UPDATE changes SET actor = 'jwt:{user_name}' WHERE seq = 1"
    ));
    database.execute(&format!(
        "INSERT INTO setups (tenant_id, org, state, modified) VALUES (1, 'o', '{{\"users\":{{\"00u1\":\"{user_name}\"}}}}', 1)"
    ));
    database.execute("ANALYZE");
    (
        id(&made).to_owned(),
        id(&gone).to_owned(),
        id(&group).to_owned(),
    )
}

both_alone!(
    erasure_removes_every_trace_of_a_user,
    |database: Database| async move {
        let server = Server::start_with(&database, SETTINGS, &[]);
        let client = server.admin();
        let mut marks = Marks::default();
        let (live, gone, group) = write_marks(&database, &client, &mut marks).await;
        let all: Vec<&str> = marks.0.iter().map(String::as_str).collect();
        let (before, in_files) = (tables(&database), files(&database));
        assert_eq!(marks.marks_in(&before), all);
        let is_compressed = database.backend == Backend::Postgres;
        if let Some(bytes) = &in_files {
            let found = marks.marks_in(bytes).len();
            assert!(
                found == all.len() || is_compressed && found > all.len() / 2,
                "{found}"
            );
        }
        assert_eq!(
            database.count("SELECT count(password_hash) AS n FROM resources"),
            1
        );
        let is_sampled = !marks.marks_in(&samples(&database)).is_empty();
        assert_eq!(is_sampled, database.backend == Backend::Postgres);
        let flowed = changes(&client).await.len();

        let erased = erase(&client, "User", &live).await;
        assert_eq!(
            (
                &erased["already"],
                &erased["resources"],
                &erased["memberships"]
            ),
            (&json!(false), &json!(1), &json!(1)),
            "{erased}"
        );
        // Bob, his two changes, the unknown member, the actor, the record of setup.
        assert_eq!(erased["mentions"], 6, "{erased}");
        let said = database.cli_ok(&["erase", &gone]);
        assert!(
            said.contains("0 resource, 0 memberships, 2 changes"),
            "{said}"
        );
        erase(&client, "Group", &group).await;
        let none: [&str; 0] = [];
        assert_eq!(marks.marks_in(&tables(&database)), none, "in the tables");
        database.cli_ok(&["compact"]);
        assert_eq!(marks.marks_in(&tables(&database)), none, "in the tables");
        assert_eq!(marks.marks_in(&samples(&database)), none, "in the samples");
        if let Some(bytes) = files(&database) {
            assert_eq!(marks.marks_in(&bytes), none, "in the files");
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("$argon2"), "a password's hash");
            assert!(text.contains("bob@example.com"), "what shall stay");
        }
        database.assert_whole();

        // A second erasure changes nothing.
        let published = changes(&client).await;
        assert_eq!(erase(&client, "User", &live).await["already"], true);
        let said = database.cli_ok(&["erase", "--type", "Group", &group, "--compact"]);
        assert!(
            said.contains("was erased before") && said.contains("is compact"),
            "{said}"
        );
        assert_eq!(changes(&client).await, published);
        let kinds = texts(&published[flowed..], "kind");
        assert_eq!(
            kinds,
            [
                "member_removed",
                "deleted",
                "updated",
                "erased",
                "erased",
                "deleted",
                "erased"
            ]
        );
        for change in published
            .iter()
            .filter(|one| one["id"] == json!(live) || one["id"] == json!(group))
        {
            assert_eq!(change["erased"], true, "{change}");
            for value in ["attributes", "members", "resource"] {
                assert_eq!(change[value], Value::Null, "{change}");
            }
        }
        // The service continues, and the name is free.
        client
            .post("/Users", &sample::user(&marks.0[0]))
            .await
            .expect(201);
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join("export.jsonl");
        database.cli_ok(&["export", file.to_str().unwrap()]);
        let target = Database::fresh(database.backend).unwrap();
        target.cli_ok(&["import", file.to_str().unwrap()]);
        target.assert_whole();
        assert_eq!(
            target.cli_ok(&["export"]),
            std::fs::read_to_string(&file).unwrap()
        );
        if database.backend == Backend::Sqlite {
            let file = copy.path().join("copy.sqlite");
            database.cli_ok(&["backup", file.to_str().unwrap()]);
            let found = marks.marks_in(&std::fs::read(&file).unwrap()).len();
            assert_eq!(found, 1, "the name that is taken again");
        }
    }
);

both!(erasure_appears_in_the_feed_and_history, |app| async move {
    let admin = app.client_with_scopes(&["admin", "read"]).await;
    let before_all = rollcall::clock::Clock::now(&rollcall::clock::SystemClock::default());
    let user = app.create_user("ada@example.com").await;
    let friend = app.create_user("bob@example.com").await;
    let group = app
        .create_group("Surveyors", &[id(&user), id(&friend)])
        .await;
    let then = rollcall::clock::Clock::now(&rollcall::clock::SystemClock::default()).to_string();
    let body = json!({ "type": "User", "id": id(&user), "tenant": app.tenant });
    let site = admin.site();
    app.site()
        .post("/admin/v1/erasures", &body)
        .await
        .expect_error(403, "");
    let elsewhere = app.neighbour().await;
    let elsewhere = elsewhere.client_with_scopes(&["admin"]).await.site();
    elsewhere
        .post("/admin/v1/erasures", &body)
        .await
        .expect_error(404, "");
    for (body, status) in [
        (json!({ "type": "User", "id": "nobody" }), 404),
        (json!({ "type": "Group", "id": id(&user) }), 404),
        (json!({ "type": "Unicorn", "id": id(&user) }), 400),
        (json!({ "type": "User" }), 400),
        (json!({ "type": "User", "id": "a\u{0}b" }), 400),
    ] {
        site.post("/admin/v1/erasures", &body)
            .await
            .expect_error(status, "");
    }
    let erased = site.post("/admin/v1/erasures", &body).await;
    assert_eq!(erased.status, 200, "{erased:?}");

    // A consumer that asks for some kinds receives erasures too, but not those of other types.
    let ask = async |query: &str| {
        site.get(&format!("/directory/v1/changes?{query}"))
            .await
            .body
    };
    let published = ask("kind=created&type=User").await;
    let published = published["changes"].as_array().unwrap();
    assert_eq!(texts(published, "kind"), ["created", "created", "erased"]);
    assert_eq!(
        (&published[0]["erased"], &published[1]["erased"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(published[2]["seq"], erased.body["seq"]);
    let published = ask("kind=created&type=Group").await;
    assert_eq!(
        texts(published["changes"].as_array().unwrap(), "kind"),
        ["created"]
    );

    let path = format!("/directory/v1/users/{}", id(&user));
    let past = site.get(&format!("{path}/history")).await;
    let kinds = texts(past.body["changes"].as_array().unwrap(), "kind");
    assert_eq!(kinds, ["erased", "deleted", "created"]);
    for at in [
        &then,
        &before_all.to_string(),
        &"2999-01-01T00:00:00Z".to_owned(),
    ] {
        let reply = site.get(&with_query(&path, &[("at", at)])).await;
        let error = reply.expect_error(410, "");
        let detail = error["detail"].as_str().unwrap();
        assert!(detail.contains("was erased"), "{detail}");
    }
    site.get(&path).await.expect_error(404, "");
    let members = format!("/directory/v1/groups/{}/members", id(&group));
    let reply = site.get(&with_query(&members, &[("at", &then)])).await;
    let ids = texts(reply.body["users"].as_array().unwrap(), "id");
    assert_eq!(ids, [id(&friend)]);
    let snapshot = site.get("/directory/v1/snapshot").await.body;
    assert!(!snapshot.to_string().contains(id(&user)), "{snapshot}");

    let body = json!({ "type": "Group", "id": id(&group) });
    site.post("/admin/v1/erasures", &body).await;
    let reply = site.get(&with_query(&members, &[("at", &then)])).await;
    reply.expect_error(410, "");
});

both_alone!(
    webhooks_report_an_erasure_without_earlier_values,
    |database: Database| async move {
        // The receiver accepts nothing until the user is erased.
        let receiver = Receiver::start(|_, delivery| {
            let is_refused = delivery.text.contains("QxSecret");
            Answer::Status(if is_refused { 503 } else { 204 })
        });
        let server = Server::start_with(&database, SETTINGS, &[]);
        let client = server.admin();
        let arguments = [
            "webhook",
            "create",
            "app",
            "--url",
            &receiver.url,
            "--kinds",
            "created",
        ];
        let made = database.cli_in(&arguments, &[("ROLLCALL_WEBHOOK_ALLOW_PRIVATE", "on")]);
        assert!(made.status.success(), "{made:?}");
        let mut user = sample::user("ada@example.com");
        user["title"] = json!("QxSecret");
        let user = client.post("/Users", &user).await.expect(201);
        receiver.until(|received| !received.is_empty());
        erase(&client, "User", id(&user)).await;
        let is_end = |body: &Value| body["type"] == "user.erased";
        let received = receiver.until(|received| received.iter().any(|one| is_end(&one.body)));
        let first_erased = received
            .iter()
            .find(|one| one.body["data"]["erased"] == true)
            .unwrap();
        assert_eq!(first_erased.body["type"], "user.created");
        assert_eq!(first_erased.body["data"]["resource"], Value::Null);
        let end = received.iter().find(|one| is_end(&one.body)).unwrap();
        assert_eq!(end.body["data"]["id"], json!(id(&user)));
    }
);

both_alone!(
    erase_finds_a_user_by_user_name,
    |database: Database| async move {
        let server = Server::start(&database);
        let client = server.admin();
        let find =
            |arguments: &[&str]| database.cli(&[&["erase", "--user-name"], arguments].concat());
        let first = client.create_user("ada@example.com").await;
        client
            .delete(&format!("/Users/{}", id(&first)))
            .await
            .expect(204);
        let second = client.create_user("ADA@example.com").await;
        let refused = find(&["ada@example.com"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{said}");
        assert!(
            said.contains(id(&first)) && said.contains(id(&second)),
            "{said}"
        );
        database.cli_ok(&["erase", id(&first)]);
        let erased = find(&["Ada@example.com"]);
        assert!(erased.status.success(), "{erased:?}");
        client
            .get(&format!("/Users/{}", id(&second)))
            .await
            .expect_error(404, "");
        let not_found = find(&["ada@example.com"]);
        assert!(
            String::from_utf8_lossy(&not_found.stderr).contains("was not found"),
            "{not_found:?}"
        );
        assert!(!database.cli(&["erase"]).status.success());
    }
);

/// PostgreSQL's compaction copies rows that a session may still see. What a session sees depends on
/// transactions anywhere on the server, so a transaction in another database matters, and so does
/// any session that read before it ended.
#[test]
fn compaction_waits_for_sessions_that_can_see_erased_rows() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let database = Database::on(&cluster);
    let server = Server::start_with(&database, SETTINGS, &[]);
    let connect = |name: &str| PgConnection::establish(&cluster.url(name)).expect("connects");
    let mut elsewhere = connect("postgres");
    elsewhere
        .batch_execute("BEGIN; SELECT txid_current()")
        .expect("begins");
    let mut marks = Marks::default();
    runtime().block_on(async {
        let client = server.admin();
        let marked_user = marks.marked_user("ada@example.com");
        let made = client.post("/Users", &marked_user).await.expect(201);
        erase(&client, "User", id(&made)).await;
    });
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| database.cli(&["compact"]));
        cluster.wait_for("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%snapshot_xmin%' AND pid <> pg_backend_pid()");
        // This transaction began after the compaction, and sees more than it may remove.
        let mut looker = connect("rollcall");
        looker
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM changes")
            .expect("looks");
        elsewhere.batch_execute("COMMIT").expect("ends");
        // The service tries again, and waits.
        let looked = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle' AND query LIKE '%snapshot_xmin%' \
                      AND pid <> pg_backend_pid() AND query_start > ";
        let now = database.texts("SELECT clock_timestamp()::TEXT AS t");
        cluster.wait_for(&format!("{looked} '{}'::TIMESTAMPTZ", now[0]));
        assert!(!compaction.is_finished());
        looker.batch_execute("COMMIT").expect("ends");
        let done = compaction.join().expect("runs");
        assert!(done.status.success(), "{done:?}");
    });
    let none: [&str; 0] = [];
    let bytes = files(&database).expect("on this machine");
    assert_eq!(marks.marks_in(&bytes), none, "in the files");
}
