//! Okta's traffic, request by request: the sequences of both its dialects. In dialect A (custom
//! apps) every change is a PUT of our GET response with changes; in dialect B (catalogue apps) a
//! PATCH.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Client, both, id, member_ids, sample, together, with_query};

/// The lookup that Okta sends before each assignment.
async fn look_up(client: &Client, user_name: &str) -> Vec<Value> {
    let filter = format!("userName eq \"{user_name}\"");
    let parameters = [
        ("filter", filter.as_str()),
        ("startIndex", "1"),
        ("count", "100"),
    ];
    let page = client.list("/Users", &parameters).await;
    assert_eq!(u64::try_from(page.resources.len()).unwrap(), page.total);
    page.resources
}

/// Okta's update in dialect A: sends the object of our GET back, with changes.
async fn get_and_put(client: &Client, path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut resource = client.get(path).await.expect(200);
    change(&mut resource);
    client.put(path, &resource).await.expect(200)
}

/// Creates this many users concurrently and returns their ids.
async fn staff(client: &Client, prefix: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for start in (0..count).step_by(50) {
        let creates = (start..count.min(start + 50)).map(|number| {
            let (client, name) = (client.clone(), format!("{prefix}{number}@example.com"));
            async move { id(&client.create_user(&name).await).to_owned() }
        });
        ids.extend(together(creates).await);
    }
    ids
}

// L-10
both!(a1_connects, |app| async move {
    for client in [app.client.clone(), app.authorization(app.credentials())] {
        let users = client
            .list("/Users", &[("startIndex", "1"), ("count", "2")])
            .await;
        let groups = client
            .list("/Groups", &[("startIndex", "1"), ("count", "100")])
            .await;
        assert_eq!((users.total, groups.total), (0, 0));
        assert_eq!((users.start, groups.start), (1, 1));
    }
    let wrong = app.authorization("Bearer wrong");
    wrong
        .get("/Users?startIndex=1&count=2")
        .await
        .expect_error(401, "");
});

both!(a2_and_b2_assign_a_new_user, |app| async move {
    let name = "Ada.Byron@example.com";
    assert!(look_up(&app, name).await.is_empty());
    let created = app.post("/Users", &sample::user(name)).await.expect(201);
    assert_eq!(look_up(&app, name).await, std::slice::from_ref(&created));
    let again = app.post("/Users", &sample::user(name)).await;
    again.expect_error(409, "uniqueness");
    assert_eq!(app.user(id(&created)).await, created);
});

both!(
    a3_assign_an_inactive_user_in_another_case,
    |app| async move {
        let mut known = sample::user("ADA.byron@example.com");
        known["active"] = json!(false);
        let known = app.post("/Users", &known).await.expect(201);
        let found = look_up(&app, "ada.BYRON@example.com").await;
        assert_eq!(found, std::slice::from_ref(&known));
        let path = format!("/Users/{}", id(&found[0]));
        let assigned = get_and_put(&app, &path, |user| {
            user["active"] = json!(true);
            user["externalId"] = json!("00uNew");
            user["userName"] = json!("ada.byron@example.com");
        })
        .await;
        assert_eq!(assigned["id"], known["id"]);
        assert_eq!(assigned["active"], true);
        assert_eq!(assigned["userName"], "ada.byron@example.com");
        assert_eq!(assigned["externalId"], "00uNew");
        assert_eq!(assigned["emails"], known["emails"]);
    }
);

// L-09
both!(a4_get_and_put_twice, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let change = |user: &mut Value| user["name"]["familyName"] = json!("King");
    let first = get_and_put(&app, &path, change).await;
    assert_ne!(first["meta"], user["meta"]);
    let second = get_and_put(&app, &path, change).await;
    assert_eq!(second, first);
});

// L-09, L-17
both!(a5_unassign_and_assign_again_by_put, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("Surveyors", &[id(&user)]).await;
    let path = format!("/Users/{}", id(&user));
    let inactive = get_and_put(&app, &path, |user| user["active"] = json!(false)).await;
    assert_eq!(inactive["active"], false);
    assert_eq!(look_up(&app, "ada@example.com").await, [inactive]);
    assert_eq!(member_ids(&app.group(id(&group)).await), [id(&user)]);
    let back = get_and_put(&app, &path, |user| user["active"] = json!(true)).await;
    assert_eq!((&back["id"], &back["active"]), (&user["id"], &json!(true)));
    assert_eq!(back["name"], user["name"]);
});

both!(a6_push_a_group_by_put, |app| async move {
    let ids = staff(&app, "a6-", 5).await;
    let refs: Vec<&str> = ids.iter().map(String::as_str).collect();
    let created = app.create_group("Surveyors", &[]).await;
    assert_eq!(created["members"], json!([]));
    let path = format!("/Groups/{}", id(&created));
    let filled = get_and_put(&app, &path, |group| {
        group["members"] = sample::members(&refs)
    })
    .await;
    assert_eq!(filled["members"].as_array().unwrap().len(), 5);
    let renamed = get_and_put(&app, &path, |group| group["displayName"] = json!("West")).await;
    assert_eq!(renamed["displayName"], "West");
    assert_eq!(member_ids(&renamed), member_ids(&filled));
    let fewer = get_and_put(&app, &path, |group| {
        group["members"] = sample::members(&refs[1..]);
    })
    .await;
    assert_eq!(fewer["members"].as_array().unwrap().len(), 4);
    let emptied = get_and_put(&app, &path, |group| group["members"] = json!([])).await;
    assert_eq!(emptied["members"], json!([]));
    app.delete(&path).await.expect(204);
    app.get(&path).await.expect_error(404, "");
    for user in &ids {
        assert_eq!(app.user(user).await["groups"], json!([]));
    }
});

// L-08
both!(b5_deactivate_and_reactivate_by_patch, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    for active in [false, false, true] {
        let operations = json!([{ "op": "replace", "value": { "active": active } }]);
        let patched = app.edit(&path, operations).await.expect(200);
        assert_eq!(patched["active"], active);
        assert_eq!(patched["id"], user["id"]);
        assert_eq!(look_up(&app, "ada@example.com").await, [patched]);
    }
});

// L-08
both!(b6_push_a_group_by_patch, |app| async move {
    let ids = staff(&app, "b6-", 1_000).await;
    let refs: Vec<&str> = ids.iter().map(String::as_str).collect();
    let created = app.create_group("Surveyors", &refs[..3]).await;
    let path = format!("/Groups/{}", id(&created));

    // Okta sends the members of the POST again.
    let add =
        |ids: &[&str]| json!({ "op": "add", "path": "members", "value": sample::members(ids) });
    let same = app.edit(&path, json!([add(&refs[..3])])).await.expect(200);
    assert_eq!(same, created);
    let value = json!({ "id": id(&created), "displayName": "Surveyors West" });
    let rename = json!([{ "op": "replace", "value": value }]);
    let renamed = app.edit(&path, rename.clone()).await.expect(200);
    assert_eq!(renamed["displayName"], "Surveyors West");
    assert_eq!(renamed["members"], created["members"]);
    // Okta repeats the rename with every change of the members.
    let again = app.edit(&path, rename).await.expect(200);
    assert_eq!(again, renamed);

    let remove =
        |id: &str| json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") });
    let mixed = json!([remove(refs[0]), remove(refs[1]), add(&refs[3..5])]);
    let mixed = app.edit(&path, mixed).await.expect(200);
    let mut expected = [&ids[2], &ids[3], &ids[4]].map(String::clone);
    expected.sort();
    assert_eq!(member_ids(&mixed), expected);

    let replace = |ids: &[&str]| json!([{ "op": "replace", "path": "members", "value": sample::members(ids) }]);
    let emptied = app.edit(&path, replace(&[])).await.expect(200);
    assert_eq!(emptied["members"], json!([]));
    let full = app.edit(&path, replace(&refs)).await.expect(200);
    assert_eq!(full["members"].as_array().unwrap().len(), 1_000);
    assert_eq!(app.group(id(&created)).await, full);
});

/// Okta's import: reads pages of 100 until `totalResults` is covered. Between two pages it calls
/// `meanwhile` with the ids seen so far. Returns all ids seen.
async fn import(client: &Client, mut meanwhile: impl AsyncFnMut(&[String])) -> Vec<String> {
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        let parameters = [("startIndex", &*start.to_string()), ("count", "100")];
        let path = with_query("/Users", &parameters);
        let page = client.get(&path).await.page();
        assert_eq!(page.start, start);
        assert!(page.resources.len() <= 100);
        seen.extend(page.ids());
        start += 100;
        if start > page.total {
            return seen;
        }
        meanwhile(&seen).await;
    }
}

/// Checks that no user was seen twice, and that every user present throughout was seen.
fn assert_none_missed(seen: &[String], steady: impl IntoIterator<Item = String>) {
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "somebody was listed twice");
    let missed: Vec<String> = steady
        .into_iter()
        .filter(|id| !distinct.contains(id))
        .collect();
    assert!(missed.is_empty(), "missed {}: {missed:?}", missed.len());
}

both!(c_an_import_returns_every_user, |app| async move {
    let ids = staff(&app, "c-", 250).await;
    let seen = import(&app, async |_| {}).await;
    assert_eq!(seen.len(), 250);
    assert_none_missed(&seen, ids);
});

// R7644-3.4.2.4-07
both!(
    c_an_import_misses_no_user_during_changes,
    |app| async move {
        let ids = staff(&app, "c-", 250).await;
        let mut gone = BTreeSet::new();
        let mut round = 0;
        let seen = import(&app, async |seen: &[String]| {
            round += 1;
            // Deletes users that the import has seen and users that it has not.
            let unseen = ids
                .iter()
                .rev()
                .filter(|id| !seen.contains(id) && !gone.contains(*id));
            let goers = seen.iter().rev().take(12).chain(unseen.take(5));
            let goers: Vec<String> = goers.cloned().collect();
            let deletes = goers.clone().into_iter().map(|id| {
                let client = app.client.clone();
                async move { client.delete(&format!("/Users/{id}")).await.expect(204) }
            });
            together(deletes).await;
            gone.extend(goers);
            staff(&app, &format!("c-new{round}-"), 20).await;
        })
        .await;
        assert!(round >= 2);
        assert_none_missed(&seen, ids.into_iter().filter(|id| !gone.contains(id)));
    }
);

both!(
    c_an_import_misses_no_user_during_deletions,
    |app| async move {
        // So many users are deleted that the last page lies beyond the rest.
        let ids = staff(&app, "c-", 250).await;
        let mut gone = BTreeSet::new();
        let seen = import(&app, async |seen: &[String]| {
            for id in seen.iter().take(60) {
                if gone.insert(id.clone()) {
                    app.delete(&format!("/Users/{id}")).await.expect(204);
                }
            }
        })
        .await;
        assert_none_missed(&seen, ids.into_iter().filter(|id| !gone.contains(id)));
    }
);

both!(
    c_an_import_misses_no_user_during_busy_writes,
    |app| async move {
        let ids = staff(&app, "c-", 250).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let client = app.client.clone();
        let writer = tokio::spawn(async move {
            let mut stopped = stopped;
            let mut number = 0;
            while stopped.try_recv().is_err() {
                let user = client
                    .create_user(&format!("busy{number}@example.com"))
                    .await;
                if number % 2 == 0 {
                    client
                        .delete(&format!("/Users/{}", id(&user)))
                        .await
                        .expect(204);
                }
                number += 1;
            }
            number
        });
        for _ in 0..3 {
            let seen = import(&app, async |_| {}).await;
            assert_none_missed(&seen, ids.clone());
        }
        stop.send(()).expect("the writer runs");
        assert!(writer.await.expect("the writer ends well") > 0);
    }
);

// R7644-3.5.2-19
both!(d_parallel_adds_to_one_group_all_apply, |app| async move {
    let ids = staff(&app, "d-", 20).await;
    let group = app.create_group("Busy", &[]).await;
    let path = format!("/Groups/{}", id(&group));
    let adds = ids.clone().into_iter().map(|member| {
        let (client, path) = (app.client.clone(), path.clone());
        async move {
            let value = json!([{ "value": member, "display": "x" }]);
            let operations = json!([{ "op": "add", "path": "members", "value": value }]);
            client.edit(&path, operations).await.expect(200);
        }
    });
    together(adds).await;
    let mut expected = ids;
    expected.sort();
    assert_eq!(member_ids(&app.group(id(&group)).await), expected);
});

both!(d_parallel_mixed_edits_all_apply, |app| async move {
    // 20 users who are or become non-members, 20 who become members, each edit with a rename as
    // Okta sends it.
    let ids = staff(&app, "d-", 40).await;
    let refs: Vec<&str> = ids.iter().map(String::as_str).collect();
    let group = app.create_group("Busy", &refs[..20]).await;
    let path = format!("/Groups/{}", id(&group));
    let edits = ids.clone().into_iter().enumerate().map(|(number, member)| {
        let (client, path, group) = (app.client.clone(), path.clone(), id(&group).to_owned());
        async move {
            let rename =
                json!({ "op": "replace", "value": { "id": group, "displayName": "Busy" } });
            let edit = if number < 20 {
                json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") })
            } else {
                json!({ "op": "add", "path": "members", "value": [{ "value": member }] })
            };
            client.edit(&path, json!([rename, edit])).await.expect(200);
        }
    });
    together(edits).await;
    let mut expected = ids[20..].to_vec();
    expected.sort();
    assert_eq!(member_ids(&app.group(id(&group)).await), expected);
});
