//! Runs the examples as an application developer would.

use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::sql_types::Text;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection};
use serde_json::{Map, Value, json};

use crate::harness::{Client, TestApp, both, id, sample};

/// The same file as the example, so that its functions can be called.
#[path = "../../examples/sync.rs"]
#[expect(dead_code, reason = "the example's own main is not called")]
mod sync;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// Returns the state according to the service: resources, without members that a copy leaves out,
/// and pairs of group and member.
async fn server_state(app: &Client) -> (Vec<Value>, Vec<(String, String)>) {
    let (mut resources, mut members) = (Vec::new(), Vec::new());
    for endpoint in ["/Users", "/Groups"] {
        let page = app.list(endpoint, &[("count", "1000")]).await;
        for mut resource in page.resources {
            let group = id(&resource).to_owned();
            for member in resource["members"].as_array().unwrap_or(&Vec::new()) {
                members.push((group.clone(), member["value"].as_str().unwrap().to_owned()));
            }
            let map = resource.as_object_mut().unwrap();
            map.retain(|name, _| !["meta", "groups", "members"].contains(&name.as_str()));
            resources.push(resource);
        }
    }
    resources.sort_by_key(|resource| id(resource).to_owned());
    members.sort();
    (resources, members)
}

/// Creates, changes and deletes users, and erases two of them: an existing and a deleted one.
async fn churn(app: &TestApp, round: u32) {
    let mut ids = Vec::new();
    for number in 0..6 {
        let user = sample::full_user(&format!("user{round}-{number}@example.com"));
        let made = app.post("/Users", &user).await.expect(201);
        ids.push(id(&made).to_owned());
    }
    let everyone: Vec<&str> = ids.iter().map(String::as_str).collect();
    let group = app.create_group(&format!("Group {round}"), &everyone).await;
    let outer = app
        .create_group(&format!("Outer {round}"), &[id(&group)])
        .await;
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let edits = json!([
        {"op": "replace", "path": "name.givenName", "value": "Zo\u{eb}"},
        {"op": "remove", "path": "title"},
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": format!("new{round}@example.com")},
        {"op": "replace", "path": format!("{enterprise}:department"), "value": "Cranks"},
        {"op": "remove", "path": format!("{enterprise}:manager")},
        {"op": "replace", "path": "active", "value": false},
    ]);
    app.edit(&format!("/Users/{}", ids[0]), edits)
        .await
        .expect(200);
    let gone = json!([{"op": "remove", "path": enterprise}, {"op": "remove", "path": "name"}]);
    app.edit(&format!("/Users/{}", ids[1]), gone)
        .await
        .expect(200);
    let out = json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", ids[2])}]);
    app.edit(&format!("/Groups/{}", id(&group)), out)
        .await
        .expect(200);
    app.delete(&format!("/Users/{}", ids[3])).await.expect(204);
    app.delete(&format!("/Groups/{}", id(&outer)))
        .await
        .expect(204);
    let admin = app.client_with_scopes(&["admin"]).await.site();
    for id in [&ids[3], &ids[4]] {
        let order = json!({"type": "User", "id": id});
        admin.post("/admin/v1/erasures", &order).await.plain(200);
    }
}

async fn reader(app: &TestApp) -> (String, String) {
    let token = app.token("app", &["read"]).await;
    (app.server.address.clone(), token)
}

both!(the_python_copy_matches_the_directory, |app| async move {
    let (url, token) = reader(&app).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.sqlite");
    for round in 0..3 {
        churn(&app, round).await;
        let output = Command::new("python3")
            .arg(example("sync.py"))
            .arg(&file)
            .arg("--once")
            .envs([("ROLLCALL_URL", &url), ("ROLLCALL_TOKEN", &token)])
            .output()
            .expect("runs python3, which the examples need");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        assert_eq!(
            python_copy(&file),
            server_state(&app).await,
            "round {round}"
        );
    }
});

fn python_copy(file: &Path) -> (Vec<Value>, Vec<(String, String)>) {
    #[derive(QueryableByName)]
    struct Resource {
        #[diesel(sql_type = Text)]
        resource: String,
    }
    #[derive(QueryableByName)]
    struct Member {
        #[diesel(sql_type = Text)]
        group_id: String,
        #[diesel(sql_type = Text)]
        member_id: String,
    }
    let mut copy = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    let resources: Vec<Resource> = diesel::sql_query("SELECT resource FROM resources ORDER BY id")
        .load(&mut copy)
        .unwrap();
    let members: Vec<Member> =
        diesel::sql_query("SELECT group_id, member_id FROM members ORDER BY 1, 2")
            .load(&mut copy)
            .unwrap();
    (
        resources
            .iter()
            .map(|row| serde_json::from_str(&row.resource).unwrap())
            .collect(),
        members
            .into_iter()
            .map(|row| (row.group_id, row.member_id))
            .collect(),
    )
}

both!(the_rust_copy_matches_the_directory, |app| async move {
    let (url, token) = reader(&app).await;
    let rollcall = sync::Rollcall::new(&url, &token).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.json");
    for round in 0..3 {
        churn(&app, round).await;
        // Each round starts like a new process.
        let mut copy = sync::Copy::load(&file).unwrap();
        while !rollcall.step(&mut copy, 0).await.unwrap() {}
        copy.save(&file).unwrap();
        let resources: Vec<Value> = copy
            .resources
            .into_values()
            .map(|resource: Map<String, Value>| Value::Object(resource))
            .collect();
        let members: Vec<(String, String)> = copy
            .members
            .into_iter()
            .flat_map(|(group, members)| {
                members
                    .into_iter()
                    .map(move |member| (group.clone(), member))
            })
            .collect();
        assert_eq!(
            (resources, members),
            server_state(&app).await,
            "round {round}"
        );
    }
});
