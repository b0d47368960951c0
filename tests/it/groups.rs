//! Groups and their members over HTTP, and the derived `User.groups`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Client, Database, Server, both, both_alone, id, member_ids, sample, texts, together,
};

/// Creates this many users and returns their ids.
async fn people(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let user = client
            .create_user(&format!("person{number}@example.com"))
            .await;
        ids.push(id(&user).to_owned());
    }
    ids
}

fn as_strs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

/// Returns the groups of a user as `(id, type)`, sorted.
async fn groups_of(client: &Client, user: &str) -> Vec<(String, String)> {
    let user = client.user(user).await;
    let groups = user["groups"].as_array().expect("groups").clone();
    let mut pairs: Vec<_> = texts(&groups, "value")
        .into_iter()
        .zip(texts(&groups, "type"))
        .collect();
    pairs.sort();
    pairs
}

fn add(ids: &[&str]) -> Value {
    json!([{ "op": "add", "path": "members", "value": sample::members(ids) }])
}

fn remove(member: &str) -> Value {
    json!([{ "op": "remove", "path": format!("members[value eq \"{member}\"]") }])
}

// R7643-3.1-07, R7643-4.1.2-06, R7643-4.2-04
both!(a_created_group_shows_its_members, |app| async move {
    let ids = people(&app, 2).await;
    let created = app.create_group("Surveyors", &as_strs(&ids)).await;
    assert_eq!(created["displayName"], "Surveyors");
    assert_eq!(created["meta"]["resourceType"], "Group");
    assert_eq!(member_ids(&created), sorted(&ids));
    for member in created["members"].as_array().unwrap() {
        let value = member["value"].as_str().unwrap();
        assert_eq!(member["display"], format!("{value}@example.com"));
        assert_eq!(member["type"], "User");
        assert_eq!(member["$ref"], format!("{}/Users/{value}", app.base_url()));
    }
    assert_eq!(app.group(id(&created)).await, created);
    let user = app.user(&ids[0]).await;
    let expected = json!([{
        "value": created["id"], "display": "Surveyors", "type": "direct",
        "$ref": format!("{}/Groups/{}", app.base_url(), id(&created))
    }]);
    assert_eq!(user["groups"], expected);
});

// R7643-2.5-01, R7643-4.2-02
both!(members_may_be_absent_null_or_empty, |app| async move {
    for body in [
        json!({ "displayName": "A" }),
        json!({ "displayName": "A", "members": null }),
        json!({ "displayName": "A", "members": [] }),
    ] {
        let created = app.post("/Groups", &body).await.expect(201);
        assert_eq!(created["members"], json!([]), "{body}");
        assert_eq!(app.group(id(&created)).await["members"], json!([]));
    }
    // Equal names are allowed (RFC 7643 section 4.2).
    assert_eq!(app.find_groups(r#"displayName eq "a""#).await.len(), 3);
});

// R7643-4.2-01
both!(a_group_requires_a_name, |app| async move {
    for body in [
        json!({ "schemas": [sample::GROUP] }),
        json!({ "displayName": "" }),
        json!({ "displayName": " " }),
        json!({ "displayName": "A", "members": true }),
        json!({ "displayName": "A", "members": [{ "display": "no value" }] }),
        json!({ "displayName": "A", "members": [{ "value": {} }] }),
    ] {
        let refused = app.post("/Groups", &body).await;
        refused.expect_error(400, "invalidValue");
    }
    assert_eq!(app.list("/Groups", &[]).await.total, 0);
});

both!(
    members_are_returned_without_null_sub_attributes,
    |app| async move {
        let ids = people(&app, 2).await;
        let members =
            json!([{ "value": ids[0] }, { "value": ids[1], "display": null, "$ref": null }]);
        let body = json!({ "displayName": "A", "members": members });
        let created = app.post("/Groups", &body).await.expect(201);
        for member in created["members"].as_array().unwrap() {
            assert!(
                member
                    .as_object()
                    .unwrap()
                    .values()
                    .all(|value| !value.is_null())
            );
        }
        assert_eq!(member_ids(&created), sorted(&ids));
    }
);

// R7643-2.3.7-03
both!(unknown_members_are_skipped, |app| async move {
    let ids = people(&app, 1).await;
    let known = ids[0].as_str();
    let created = app
        .create_group(
            "A",
            &["nobody", known, "01890000-0000-7000-8000-000000000000"],
        )
        .await;
    assert_eq!(member_ids(&created), [known]);
    let path = format!("/Groups/{}", id(&created));
    let patched = app.edit(&path, add(&["nobody", "ghost"])).await.expect(200);
    assert_eq!(member_ids(&patched), [known]);
    assert_eq!(patched["meta"], created["meta"]);
});

// R7643-2.4-05, R7644-3.5.2-16, R7644-3.5.2.1-07, R7644-3.5.2.1-08, R7644-3.5.2.2-04
both!(membership_changes_are_idempotent, |app| async move {
    let ids = people(&app, 3).await;
    let group = app.create_group("A", &[&ids[0], &ids[0]]).await;
    assert_eq!(member_ids(&group), [ids[0].clone()]);
    let path = format!("/Groups/{}", id(&group));

    let again = app.edit(&path, add(&[&ids[0]])).await.expect(200);
    assert_eq!(
        again["meta"], group["meta"],
        "adding a member twice is no change"
    );
    let absent = app.edit(&path, remove(&ids[2])).await.expect(200);
    assert_eq!(absent["meta"], group["meta"]);
    let never = app.edit(&path, remove("nobody")).await.expect(200);
    assert_eq!(never["meta"], group["meta"]);

    let added = app.edit(&path, add(&[&ids[0], &ids[1]])).await.expect(200);
    assert_eq!(member_ids(&added), sorted(&ids[..2]));
    assert_ne!(added["meta"]["lastModified"], group["meta"]["lastModified"]);
    let removed = app.edit(&path, remove(&ids[0])).await.expect(200);
    assert_eq!(member_ids(&removed), [ids[1].clone()]);
    assert_eq!(app.group(id(&group)).await, removed);
});

// L-05, R7644-3.5.2-08, R7644-3.5.2-20, R7644-3.5.2.1-02, R7644-3.5.2.1-05, R7644-3.5.2.2-02,
// R7644-3.5.2.2-06, R7644-3.5.2.3-02
both!(every_way_to_name_members_works, |app| async move {
    let ids = people(&app, 4).await;
    let [a, b, c, d] = [&ids[0], &ids[1], &ids[2], &ids[3]];
    let group = app.create_group("A", &[]).await;
    let path = format!("/Groups/{}", id(&group));
    let rows = [
        (
            json!([{ "op": "Add", "value": { "members": [{ "value": a }] } }]),
            vec![a],
        ),
        (
            json!([{ "op": "add", "path": "MEMBERS", "value": { "value": b } }]),
            vec![a, b],
        ),
        (
            json!([{ "op": "add", "path": format!("{}:members", sample::GROUP), "value": [{ "value": c }] }]),
            vec![a, b, c],
        ),
        (
            json!([{ "op": "Remove", "path": "members", "value": [{ "value": a }] }]),
            vec![b, c],
        ),
        (
            json!([{ "op": "remove", "path": format!("members[value eq \"{b}\" or value eq \"{c}\"]") }]),
            vec![],
        ),
        (
            json!([{ "op": "replace", "value": { "members": [{ "value": c }, { "value": d }] } }]),
            vec![c, d],
        ),
        (
            json!([{ "op": "replace", "path": "members", "value": [{ "value": a }] }]),
            vec![a],
        ),
        (
            json!([{ "op": "replace", "value": { "displayName": "B" } }]),
            vec![a],
        ),
        (
            json!([{ "op": "remove", "path": "members" }, { "op": "add", "path": "members", "value": [{ "value": d }] }]),
            vec![d],
        ),
        (
            json!([{ "op": "replace", "path": "members", "value": [] }]),
            vec![],
        ),
    ];
    for (operations, expected) in rows {
        let patched = app.edit(&path, operations.clone()).await.expect(200);
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(member_ids(&patched), sorted(&expected), "{operations}");
        assert_eq!(app.group(id(&group)).await, patched, "{operations}");
    }
});

// R7643-4.2-03, R7644-3.5.2-07, R7644-3.5.2.2-03
both!(a_failed_patch_changes_no_members, |app| async move {
    let ids = people(&app, 2).await;
    let group = app.create_group("A", &[&ids[0]]).await;
    let path = format!("/Groups/{}", id(&group));
    for last in [
        json!({ "op": "replace", "path": "displayName", "value": "" }),
        json!({ "op": "replace", "path": "members[value eq \"x\"].value", "value": "y" }),
        json!({ "op": "add", "path": "members", "value": [{ "display": "no value" }] }),
        json!({ "op": "remove", "path": "displayName" }),
        json!({ "op": "move", "path": "members" }),
    ] {
        let operations = json!([
            { "op": "add", "path": "members", "value": [{ "value": ids[1] }] },
            { "op": "remove", "path": format!("members[value eq \"{}\"]", ids[0]) },
            last
        ]);
        let refused = app.edit(&path, operations).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(app.group(id(&group)).await, group, "{last}");
    }
});

// R7643-4.1.2-06, R7643-4.2-05
both!(groups_can_be_nested, |app| async move {
    let ids = people(&app, 1).await;
    let user = ids[0].as_str();
    let inner = app.create_group("Inner", &[user]).await;
    let middle = app.create_group("Middle", &[id(&inner)]).await;
    let outer = app.create_group("Outer", &[id(&middle)]).await;
    assert_eq!(middle["members"][0]["type"], "Group");
    let reference = format!("{}/Groups/{}", app.base_url(), id(&inner));
    assert_eq!(middle["members"][0]["$ref"], reference);
    let pair = |group: &Value, kind: &str| (id(group).to_owned(), kind.to_owned());
    let mut expected = vec![
        pair(&inner, "direct"),
        pair(&middle, "indirect"),
        pair(&outer, "indirect"),
    ];
    expected.sort();
    assert_eq!(groups_of(&app, user).await, expected);

    // Direct membership takes precedence if a user is in a group both ways.
    let path = format!("/Groups/{}", id(&outer));
    app.edit(&path, add(&[user])).await.expect(200);
    let groups = groups_of(&app, user).await;
    assert!(groups.contains(&pair(&outer, "direct")), "{groups:?}");
    assert_eq!(groups.len(), 3);
});

// R7643-4.2-05
both!(a_cycle_of_groups_is_accepted, |app| async move {
    let ids = people(&app, 1).await;
    let first = app.create_group("First", &[&ids[0]]).await;
    let second = app.create_group("Second", &[id(&first)]).await;
    let path = format!("/Groups/{}", id(&first));
    app.edit(&path, add(&[id(&second)])).await.expect(200);
    let groups = groups_of(&app, &ids[0]).await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(groups.contains(&(id(&first).to_owned(), "direct".to_owned())));
    // A group is not a member of itself.
    let itself = app.edit(&path, add(&[id(&first)])).await.expect(200);
    assert!(!member_ids(&itself).contains(&id(&first).to_owned()));
    app.delete(&path).await.expect(204);
    assert_eq!(groups_of(&app, &ids[0]).await, []);
});

// R7643-4.2-06
both!(deletion_removes_memberships, |app| async move {
    let ids = people(&app, 2).await;
    let inner = app.create_group("Inner", &as_strs(&ids)).await;
    let outer = app.create_group("Outer", &[id(&inner), &ids[0]]).await;
    app.delete(&format!("/Users/{}", ids[0])).await.expect(204);
    assert_eq!(member_ids(&app.group(id(&inner)).await), [ids[1].clone()]);
    assert_eq!(member_ids(&app.group(id(&outer)).await), [id(&inner)]);
    let filter = format!("members.value eq \"{}\"", ids[0]);
    assert!(app.find_groups(&filter).await.is_empty());

    app.delete(&format!("/Groups/{}", id(&inner)))
        .await
        .expect(204);
    assert_eq!(app.group(id(&outer)).await["members"], json!([]));
    assert_eq!(groups_of(&app, &ids[1]).await, []);
    app.user(&ids[1]).await;
});

// L-11, R7644-3.4.2.2-07, R7644-3.9-03
both!(groups_can_be_filtered_by_members, |app| async move {
    let ids = people(&app, 2).await;
    app.create_group("Both", &as_strs(&ids)).await;
    app.create_group("One", &[&ids[0]]).await;
    app.create_group("None", &[]).await;
    let found = async |filter: String| {
        let names = app.find_groups(&filter).await;
        names.into_iter().collect::<BTreeSet<_>>()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        found(format!("members.value eq \"{}\"", ids[0])).await,
        set(&["Both", "One"])
    );
    assert_eq!(
        found(format!("members[value eq \"{}\"]", ids[1])).await,
        set(&["Both"])
    );
    assert_eq!(found("not (members pr)".to_owned()).await, set(&["None"]));

    // Entra excludes the members from its lookups.
    let page = app
        .list("/Groups", &[("excludedAttributes", "members")])
        .await;
    assert_eq!(page.total, 3);
    assert!(
        page.resources
            .iter()
            .all(|group| group.get("members").is_none())
    );
});

both!(users_can_be_filtered_by_groups, |app| async move {
    let ids = people(&app, 3).await;
    let inner = app.create_group("Inner", &[&ids[0]]).await;
    let outer = app.create_group("Outer", &[id(&inner), &ids[1]]).await;
    let filter = format!("groups.value eq \"{}\"", id(&outer));
    let mut found = app.find_users(&filter).await;
    found.sort();
    assert_eq!(found, ["person0@example.com", "person1@example.com"]);
    assert_eq!(
        app.find_users("not (groups pr)").await,
        ["person2@example.com"]
    );
});

both!(a_put_replaces_the_members, |app| async move {
    let ids = people(&app, 4).await;
    let group = app.create_group("A", &as_strs(&ids[..3])).await;
    let path = format!("/Groups/{}", id(&group));
    let body = sample::group("B", &[&ids[1], &ids[3], "nobody"]);
    let replaced = app.put(&path, &body).await.expect(200);
    assert_eq!(replaced["displayName"], "B");
    assert_eq!(
        member_ids(&replaced),
        sorted(&[ids[1].clone(), ids[3].clone()])
    );
    assert_eq!(app.group(id(&group)).await, replaced);
    let emptied = app.put(&path, &sample::group("B", &[])).await.expect(200);
    assert_eq!(emptied["members"], json!([]));
    assert_eq!(groups_of(&app, &ids[1]).await, []);
});

// R7644-3.5.2-19
both!(parallel_edits_of_one_group_all_apply, |app| async move {
    let ids = people(&app, 30).await;
    let group = app.create_group("Busy", &as_strs(&ids[..10])).await;
    let path = format!("/Groups/{}", id(&group));
    let edits = (0..30).map(|number| {
        let (client, path, member) = (app.client.clone(), path.clone(), ids[number].clone());
        async move {
            let operations = if number < 10 {
                remove(&member)
            } else {
                add(&[&member])
            };
            client.edit(&path, operations).await.expect(200);
        }
    });
    together(edits).await;
    assert_eq!(member_ids(&app.group(id(&group)).await), sorted(&ids[10..]));
});

both_alone!(
    one_put_accepts_fifty_thousand_members,
    |database: Database| async move {
        const COUNT: usize = 50_000;
        let server = Server::start(&database);
        let app = server.admin();
        database.plant_users(COUNT);
        let ids: Vec<String> = (0..COUNT).map(Database::planted_id).collect();
        let group = app.create_group("Everyone", &[]).await;
        let path = format!("/Groups/{}", id(&group));

        let body = sample::group("Everyone", &as_strs(&ids));
        let replaced = app.put(&path, &body).await.expect(200);
        assert_eq!(replaced["members"].as_array().unwrap().len(), COUNT);
        assert_eq!(member_ids(&app.group(id(&group)).await), ids);

        // Sending it back changes nothing, and a PUT without one member removes one member.
        let echoed = app.put(&path, &replaced).await.expect(200);
        assert_eq!(echoed["meta"], replaced["meta"]);
        let mut renamed = body.clone();
        for member in renamed["members"].as_array_mut().unwrap() {
            member["display"] = json!("somebody");
        }
        let renamed = app.put(&path, &renamed).await.expect(200);
        assert_ne!(renamed["meta"], replaced["meta"]);
        assert_eq!(renamed["members"][COUNT - 1]["display"], "somebody");
        // The response to a PATCH omits the long list.
        app.edit(&path, remove(&ids[7])).await.expect(204);
        let one_fewer = member_ids(&app.group(id(&group)).await);
        assert_eq!(one_fewer.len(), COUNT - 1);
        assert!(!one_fewer.contains(&ids[7]));
        let emptied = app.put(&path, &sample::group("Everyone", &[])).await;
        assert_eq!(emptied.expect(200)["members"], json!([]));
    }
);

both_alone!(
    a_patch_response_omits_a_long_member_list,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--patch-answer-members", "2"], &[]);
        let app = server.admin();
        let ids = people(&app, 3).await;
        let group = app.create_group("A", &as_strs(&ids[..1])).await;
        let path = format!("/Groups/{}", id(&group));
        let short = app.edit(&path, add(&[&ids[1]])).await.expect(200);
        assert_eq!(short["members"].as_array().unwrap().len(), 2);
        let quiet = app.edit(&path, add(&[&ids[2]])).await;
        assert_eq!(quiet.header("location"), group["meta"]["location"]);
        quiet.expect(204);
        // A selection asks for content (RFC 7644 section 3.5.2).
        let asked = format!("{path}?attributes=members");
        let whole = app.edit(&asked, remove(&ids[0])).await.expect(200);
        assert_eq!(member_ids(&whole), sorted(&ids[1..]));
    }
);

// R7643-2.3.7-03
both_alone!(
    unknown_members_are_rejected_if_configured,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--unknown-members", "refuse"], &[]);
        let app = server.admin();
        let ids = people(&app, 2).await;
        let group = app.create_group("A", &as_strs(&ids[..1])).await;
        let path = format!("/Groups/{}", id(&group));
        for reply in [
            app.post("/Groups", &sample::group("B", &["nobody-1"]))
                .await,
            app.put(&path, &sample::group("B", &[&ids[1], "nobody-1"]))
                .await,
            app.edit(&path, add(&[&ids[1], "nobody-1"])).await,
        ] {
            let error = reply.expect_error(400, "invalidValue");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("nobody-1"), "{detail}");
        }
        assert_eq!(app.group(id(&group)).await, group);
        assert_eq!(app.list("/Groups", &[]).await.total, 1);
    }
);

both!(display_names_follow_renames, |app| async move {
    let ids = people(&app, 2).await;
    let members = json!([{ "value": ids[0] }, { "value": ids[1], "display": "given" }]);
    let body = json!({ "displayName": "Old", "members": members });
    let group = app.post("/Groups", &body).await.expect(201);
    let path = format!("/Groups/{}", id(&group));
    let rename = json!([{ "op": "replace", "value": { "displayName": "New" } }]);
    app.edit(&path, rename).await.expect(200);
    assert_eq!(app.user(&ids[0]).await["groups"][0]["display"], "New");

    for user in &ids {
        let operations = json!([
            { "op": "replace", "path": "userName", "value": format!("renamed-{user}@example.com") },
            { "op": "replace", "path": "displayName", "value": "Renamed" }
        ]);
        let path = format!("/Users/{user}");
        app.edit(&path, operations).await.expect(200);
    }
    let shown = app.group(id(&group)).await["members"].clone();
    let mut shown = texts(shown.as_array().unwrap(), "display");
    shown.sort();
    assert_eq!(shown[0], "given");
    assert!(shown[1].to_lowercase().starts_with("renamed"), "{shown:?}");
});

both!(
    members_and_groups_can_be_included_or_excluded,
    |app| async move {
        let ids = people(&app, 1).await;
        let group = app.create_group("A", &[&ids[0]]).await;
        let rows = [
            (
                format!("/Groups/{}?attributes=displayName", id(&group)),
                "members",
                None,
            ),
            (
                format!("/Groups/{}?excludedAttributes=members", id(&group)),
                "members",
                None,
            ),
            (
                format!("/Groups/{}?attributes=members.value", id(&group)),
                "members",
                Some(json!([{ "value": ids[0] }])),
            ),
            (
                format!("/Users/{}?attributes=groups.display", ids[0]),
                "groups",
                Some(json!([{ "display": "A" }])),
            ),
            (
                format!("/Users/{}?excludedAttributes=groups", ids[0]),
                "groups",
                None,
            ),
            (
                format!("/Users/{}?attributes=userName", ids[0]),
                "groups",
                None,
            ),
        ];
        for (path, attribute, expected) in rows {
            let body = app.get(&path).await.expect(200);
            assert_eq!(body.get(attribute).cloned(), expected, "{path}");
        }
    }
);
