//! `status`, `verify`, `reconcile` and `remove`, on an org that is set up.

use serde_json::{Value, json};

use crate::fake_okta::{Fault, When};
use crate::harness::{TestApp, both};

use super::story::Story;

/// With a group, a user, a pushed group, an own attribute and an event hook, set up to the end; Ada
/// and Bob have the app.
async fn set_up(app: TestApp) -> (Story, String) {
    let mut story = Story::new(app);
    story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
    populate(&story);
    let id = finish(&story).await;
    (story, id)
}

fn populate(story: &Story) {
    let okta = &story.okta;
    let [ada, bob, _] =
        ["ada", "bob", "carol"].map(|name| okta.hire(&format!("{name}@acme.example")));
    okta.group("Engineering", &[&ada]);
    okta.group("Pushed Engineering", &[&ada, &bob]);
    story.write_setup_toml(&format!(
        r#"[app]
label = "Rollcall"
[assign]
groups = ["Engineering"]
users = ["bob@acme.example"]
[[push_groups]]
group = "Pushed Engineering"
[[attributes]]
name = "costCode"
title = "Cost code"
external_name = "costCode"
external_namespace = "urn:example:params:scim:schemas:extension:acme:2.0:User"
mapping = "user.costCenter"
[event_hook]
url = "{}/hook"
"#,
        okta.url
    ));
}

async fn finish(story: &Story) -> String {
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    story.click(&id).await;
    story.apply_after_manual_steps().expect(0);
    story.okta.settle();
    id
}

fn user_id(story: &Story, login: &str) -> String {
    let org = story.okta.org();
    org.user_by_login(login).expect("a user").id.clone()
}

/// What these users of the tenant look like here, by user name.
async fn ours(story: &Story, login: &str) -> Value {
    let filter = format!("userName eq \"{login}\"");
    let page = story.ours().list("/Users", &[("filter", &filter)]).await;
    page.resources.first().cloned().unwrap_or_default()
}

both!(status_says_how_far_it_is, |app| async move {
    let story = Story::new(app);
    story.write_setup_toml("[app]\nlabel = \"Rollcall\"\n");
    let ran = story.run(&["status"]).expect(0);
    assert_eq!(ran.json["app"], Value::Null);
    assert_eq!(story.okta.writes(), 0);
});

both!(status_of_an_org_that_is_set_up, |app| async move {
    let (story, id) = set_up(app).await;
    let writes = story.okta.writes();
    let ran = story.run(&["status"]).expect(0);
    assert_eq!(ran.more("users"), json!({ "PROVISIONED": 2 }));
    assert_eq!(ran.more("failures"), json!([]));
    let noted = ran.more("writes");
    let noted = noted.as_array().expect("writes");
    let made = noted
        .iter()
        .find(|write| write["path"] == "/api/v1/apps")
        .expect("the POST");
    assert_eq!(
        (&made["method"], &made["status"]),
        (&json!("POST"), &json!(200))
    );
    let request = made["okta_request_id"].as_str().expect("an id");
    assert!(request.starts_with("req"), "{request}");
    // Somebody whom we refuse: the log tells it once, the list of users for as long as it lasts.
    let eve = story.okta.hire("eve@acme.example");
    story.okta.edit_profile(&eve, json!({ "login": "" }));
    let group = story.okta.org().apps[&id]
        .groups
        .keys()
        .next()
        .expect("a group")
        .clone();
    story.okta.join(&group, &eve);
    story.okta.settle();
    let ran = story.run(&["status"]).expect(0);
    assert!(
        ran.finding("warning", "log")
            .contains("Errors reported by remote server"),
        "{ran:?}"
    );
    assert!(ran.finding("warning", "users").contains("1 ERROR"));
    let ran = story.run(&["status"]).expect(0);
    assert_eq!(ran.more("failures"), json!([]));
    assert!(
        ran.finding("warning", "users")
            .contains("Dashboard > Tasks")
    );
    assert_eq!(story.okta.writes(), writes);
});

both!(
    status_and_instructions_at_the_manual_step,
    |app| async move {
        let story = Story::new(app);
        story.apply().expect(2);
        let id = story.okta.app("Rollcall");
        let ran = story.run(&["status"]).expect(2);
        assert!(
            ran.json["steps"]
                .to_string()
                .contains("no request with the token"),
            "{ran:?}"
        );
        let ran = story.run(&["instructions"]).expect(2);
        let lines = ran.json["instructions"].as_array().expect("lines").len();
        assert_eq!(lines, 8, "{ran:?}");
        assert!(ran.json["instructions"].to_string().contains(&id));
        story
            .run(&["verify", "--user", "svc-rollcall@acme.example"])
            .expect(2);
        story.run(&["check"]).expect(2);
    }
);

both!(
    status_tells_of_a_write_without_an_answer,
    |app| async move {
        let story = Story::new(app);
        story.okta.plan(When::Write(1), Fault::LoseAnswer);
        story
            .apply()
            .expect_message(4, "looks first and creates nothing twice");
        let ran = story.run(&["status"]);
        assert!(
            ran.finding("warning", "record")
                .contains("POST /api/v1/apps"),
            "{ran:?}"
        );
        story.apply().expect(2);
        assert_eq!(story.okta.org().apps.len(), 1);
    }
);

both!(
    verify_follows_one_user_from_assignment_to_deactivation,
    |app| async move {
        let (story, id) = set_up(app).await;
        let before = story.okta.snapshot();
        let ran = story
            .run(&["verify", "--user", "carol@acme.example", "--wait", "15m"])
            .expect(0);
        story.okta.settle();
        let carol = ours(&story, "carol@acme.example").await;
        assert_eq!(
            (&carol["id"], &carol["active"]),
            (&ran.more("user_id"), &json!(false))
        );
        let steps: Vec<&str> = ran.json["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .filter(|step| step["state"] == "done")
            .map(|step| step["step"].as_str().expect("a name"))
            .collect();
        for step in ["assigned", "arrived", "unassigned", "deactivated"] {
            assert!(steps.contains(&step), "{steps:?}");
        }
        assert_eq!(story.okta.snapshot(), before);
        // And once more, with the user that is there by now.
        story
            .run(&["verify", "--user", "carol@acme.example", "--wait", "15m"])
            .expect(0);
        assert_eq!(story.okta.snapshot(), before);
        assert!(
            story
                .okta
                .app_user(&id, &user_id(&story, "carol@acme.example"))
                .is_none()
        );
    }
);

both!(
    verify_unassigns_no_user_that_has_the_app,
    |app| async move {
        let (story, id) = set_up(app).await;
        let writes = story.okta.writes();
        story
            .run(&["verify", "--user", "bob@acme.example"])
            .expect_message(1, "has the app already");
        story
            .run(&["verify", "--user", "nobody@acme.example"])
            .expect_message(1, "nobody@acme.example");
        assert_eq!(story.okta.writes(), writes);
        assert!(
            story
                .okta
                .app_user(&id, &user_id(&story, "bob@acme.example"))
                .is_some()
        );
    }
);

both!(verify_says_why_a_user_does_not_arrive, |app| async move {
    let (story, id) = set_up(app).await;
    let carol = user_id(&story, "carol@acme.example");
    story.app.database.cli_ok(&[
        "token",
        "revoke",
        "okta-setup",
        "--tenant",
        &story.app.tenant,
    ]);
    let ran = story
        .run(&["verify", "--user", &carol, "--wait", "15m"])
        .expect(1);
    assert!(ran.finding("fault", "log").contains("401"), "{ran:?}");
    assert!(
        ran.json["steps"].to_string().contains("sync ERROR"),
        "{ran:?}"
    );
    // The test user does not keep the app.
    assert!(story.okta.app_user(&id, &carol).is_none());
});

both!(verify_is_killed_and_run_again, |app| async move {
    let (story, id) = set_up(app).await;
    let carol = user_id(&story, "carol@acme.example");
    for (number, fault) in [
        (1, Fault::HoldAnswer),
        (2, Fault::HoldRequest),
        (2, Fault::HoldAnswer),
    ] {
        story.okta.plan(When::Write(number), fault);
        let mut running = story.start(&["verify", "--user", &carol, "--wait", "15m"]);
        story.okta.wait_until_holding();
        running.kill().expect("kills it");
        running.wait().expect("it ends");
        story.okta.settle();
        story
            .run(&["verify", "--user", &carol, "--wait", "15m"])
            .expect(0);
        assert!(
            story.okta.app_user(&id, &carol).is_none(),
            "{fault:?} at {number}"
        );
    }
});

both!(reconcile_finds_every_difference, |app| async move {
    let (story, id) = set_up(app).await;
    let writes = story.okta.writes();
    let same = story.run(&["reconcile"]).expect(0);
    assert_eq!(same.json["outcome"], "done", "{same:?}");
    assert!(
        same.finding("ok", "reconcile")
            .contains("users: 2, pushed groups: 1")
    );
    // Extra here, gone here, changed here.
    let mut extra = crate::harness::sample::user("zed@acme.example");
    extra["externalId"] = json!("00uZedWhoIsNotInOkta");
    story.ours().post("/Users", &extra).await.expect(201);
    let ada = user_id(&story, "ada@acme.example");
    let ada_here = story.okta.external_id(&id, &ada);
    let off = json!([{ "op": "replace", "value": { "active": false } }]);
    story
        .ours()
        .edit(&format!("/Users/{ada_here}"), off)
        .await
        .expect(200);
    let bob_here = story
        .okta
        .external_id(&id, &user_id(&story, "bob@acme.example"));
    let name = json!([{ "op": "replace", "value": { "userName": "robert@acme.example" } }]);
    story
        .ours()
        .edit(&format!("/Users/{bob_here}"), name)
        .await
        .expect(200);
    let groups = story.ours().list("/Groups", &[]).await.resources;
    let group = format!("/Groups/{}", crate::harness::id(&groups[0]));
    let out = json!([{ "op": "remove", "path": format!("members[value eq \"{bob_here}\"]") }]);
    story.ours().edit(&group, out).await.expect(200);

    let ran = story.run(&["reconcile"]).expect(0);
    assert_eq!(ran.json["outcome"], "changes");
    let users = ran.more("users");
    assert_eq!(
        users["extra"][0]["user_name"], "zed@acme.example",
        "{users}"
    );
    assert_eq!(users["missing"][0]["okta_id"], ada, "{users}");
    assert!(
        users["stale"].to_string().contains("bob@acme.example"),
        "{users}"
    );
    let members = ran.more("groups");
    assert_eq!(
        members[0]["missing"].as_array().map(Vec::len),
        Some(1),
        "{members}"
    );
    story.ours().delete(&group).await.expect(204);
    let ran = story.run(&["reconcile"]).expect(0);
    assert_eq!(ran.more("groups")[0]["is_here"], false);
    assert_eq!(story.okta.writes(), writes);
});

both!(reconcile_reads_lists_of_many_pages, |app| async move {
    let (story, id) = set_up(app).await;
    let group = story.okta.org().apps[&id]
        .groups
        .keys()
        .next()
        .expect("a group")
        .clone();
    for number in 0..7 {
        let user = story.okta.hire(&format!("many{number}@acme.example"));
        story.okta.join(&group, &user);
    }
    story.okta.settle();
    story.okta.org().page_size = 2;
    let ran = story.run(&["reconcile"]).expect(0);
    assert!(
        ran.finding("ok", "reconcile").contains("users: 9"),
        "{ran:?}"
    );
});

both!(remove_leaves_the_org_as_it_was_found, |app| async move {
    let mut story = Story::new(app);
    story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
    populate(&story);
    story.connected_app(Some("scim2headerauth")).await;
    let before = story.okta.snapshot();
    let nothing = story.run(&["remove", "--yes"]).expect(0);
    assert!(
        nothing
            .finding("ok", "remove")
            .contains("nothing of setup's")
    );
    finish(&story).await;

    let writes = story.okta.writes();
    let dry = story.run(&["remove"]).expect(0);
    assert_eq!(dry.json["outcome"], "changes");
    assert!(dry.finding("warning", "users").contains("lose the app: 2"));
    assert_eq!((story.okta.writes(), story.live_tokens()), (writes, 1));

    story.run(&["remove", "--yes"]).expect(0);
    story.okta.settle();
    assert_eq!(story.okta.snapshot(), before);
    assert_eq!(story.live_tokens(), 0);
    for login in ["ada@acme.example", "bob@acme.example"] {
        assert_eq!(ours(&story, login).await["active"], false, "{login}");
    }
    let again = story.run(&["remove", "--yes"]).expect(0);
    assert!(again.finding("ok", "remove").contains("nothing of setup's"));
    // What was written stays on record.
    assert!(story.count("SELECT count(*) AS n FROM setup_writes WHERE status IS NOT NULL") > 10);
    // And all of it can be made once more.
    finish(&story).await;
});

both!(remove_is_killed_at_each_write, |app| async move {
    let (shape, writes) = {
        let (story, _) = set_up(app.neighbour().await).await;
        let before = story.okta.writes();
        story.run(&["remove", "--yes"]).expect(0);
        (story.shape(), story.okta.writes() - before)
    };
    assert!(writes >= 8, "{writes}");
    for number in 1..=writes {
        let (story, _) = set_up(app.neighbour().await).await;
        story.okta.plan(When::Write(number), Fault::HoldAnswer);
        let mut running = story.start(&["remove", "--yes"]);
        story.okta.wait_until_holding();
        running.kill().expect("kills it");
        running.wait().expect("it ends");
        story.run(&["remove", "--yes"]).expect(0);
        assert_eq!(
            (story.shape(), story.live_tokens()),
            (shape.clone(), 0),
            "after write {number}"
        );
    }
});

both!(remove_keeps_what_it_is_told_to_keep, |app| async move {
    let story = Story::new(app);
    story.apply().expect(2);
    story
        .run(&["remove", "--yes", "--keep-token", "--revoke-okta-token"])
        .expect(0);
    assert_eq!(story.live_tokens(), 1);
    // The credential of the command itself is gone.
    story.run(&["status"]).expect_message(3, "E0000011");
});

both!(remove_does_not_touch_another_app, |app| async move {
    let (story, id) = set_up(app).await;
    // Somebody took our marker out of the notes.
    let notes = json!({ "admin": "Ours now" });
    story.okta.org().apps.get_mut(&id).expect("the app").body["settings"]["notes"] = notes;
    let writes = story.okta.writes();
    story
        .run(&["remove", "--yes"])
        .expect_message(1, "does not carry the marker");
    assert_eq!((story.okta.writes(), story.live_tokens()), (writes, 1));
});

both!(an_app_that_was_taken_over_stays, |app| async move {
    let mut story = Story::new(app);
    story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
    populate(&story);
    let id = story.connected_app(Some("scim2headerauth")).await;
    let before = story.okta.snapshot();
    story
        .run(&["apply", "--yes", "--token-file", "token", "--app-id", &id])
        .expect(2);
    let token = story.typed_token(&id);
    let base_url = story.app.base_url();
    let typed = crate::fake_okta::Typed {
        base_url: &base_url,
        token: &token,
    };
    story
        .okta
        .click_integration(&id, typed)
        .await
        .expect("connects");
    story.apply_after_manual_steps().expect(0);
    story.okta.settle();
    assert_ne!(story.okta.snapshot(), before);
    let ran = story.run(&["remove", "--yes"]).expect(0);
    assert!(
        ran.finding("warning", "app")
            .contains("existed before setup and stays")
    );
    assert_eq!(story.okta.snapshot(), before);
});
