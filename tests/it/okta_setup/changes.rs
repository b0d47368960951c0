//! Changes to an org that is set up: of the desired state, and of the users in it.

use serde_json::json;

use crate::fake_okta::{Fault, Typed, When};
use crate::harness::both;

use super::story::Story;

fn write_setup(story: &Story, rest: &str) {
    story.write_setup(&format!("[app]\nlabel = \"Rollcall\"\n{rest}"));
}

async fn finish(story: &Story) -> String {
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    story.click(&id).await;
    story.apply_after_clicks().expect(0);
    story.okta.settle();
    id
}

both!(
    apply_removes_only_what_left_the_desired_state,
    |app| async move {
        let mut story = Story::new(app);
        story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
        let [ada, bob] =
            ["ada", "bob"].map(|name| story.okta.hire(&format!("{name}@acme.example")));
        story.okta.group("Engineering", &[&ada]);
        let theirs = story.okta.group("By an admin", &[&bob]);
        story.okta.group("Pushed", &[&ada]);
        let hook = format!("[event_hook]\nurl = \"{}/hook\"\n", story.okta.url);
        let all = "[assign]\ngroups = [\"Engineering\"]\nusers = [\"svc-rollcall@acme.example\"]\n[[push_groups]]\ngroup = \"Pushed\"\n";
        write_setup(&story, &format!("{all}{hook}"));
        let id = finish(&story).await;
        // An admin assigns another group, which setup does not manage.
        let path = format!("/apps/{id}/groups/{theirs}");
        assert_eq!(
            story.okta_api(reqwest::Method::PUT, &path, None).await.0,
            200
        );
        story.okta.settle();

        write_setup(&story, "");
        let plan = story.run(&["plan"]).expect(0);
        for step in ["assign", "push", "event hook"] {
            assert!(plan.changes_of(step) > 0, "{step}: {plan:?}");
        }
        story.apply().expect(0);
        story.okta.settle();
        {
            let org = story.okta.org();
            let app = &org.apps[&id];
            assert_eq!(app.groups.keys().collect::<Vec<_>>(), [&theirs]);
            assert_eq!(app.users.keys().collect::<Vec<_>>(), [&bob]);
            assert!(app.pushes.is_empty() && org.hooks.is_empty());
        }
        let again = story.apply().expect(0);
        assert!(again.finding("ok", "apply").contains("no changes"));
        // The pushed group remains here unchanged.
        assert_eq!(story.ours().find_groups("displayName pr").await, ["Pushed"]);
    }
);

both!(a_changed_logo_is_uploaded, |app| async move {
    let story = Story::new(app);
    let picture = |text: &str| story.write("logo.svg", format!("<svg>{text}</svg>").as_bytes());
    write_setup(&story, "logo = \"logo.svg\"\n");
    picture("one");
    story.apply().expect(2);
    story.apply().expect(2);
    picture("two");
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    assert_eq!(story.okta.org().apps[&id].logos, 2);
    story.write("logo.svg", &[b'x'; 1_000_001]);
    let writes = story.okta.writes();
    story.apply().expect_message(1, "smaller than 1 MB");
    assert_eq!(story.okta.writes(), writes);
});

both!(
    an_unverifiable_hook_does_not_block_apply,
    |app| async move {
        let mut story = Story::new(app);
        story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
        write_setup(&story, "");
        finish(&story).await;
        // A server answers there, but not as a hook should.
        write_setup(
            &story,
            &format!(
                "[event_hook]\nurl = \"{}/ServiceProviderConfig\"\n",
                story.app.base_url()
            ),
        );
        let ran = story.apply().expect(0);
        assert!(
            ran.finding("warning", "event hook")
                .contains("verification failed"),
            "{ran:?}"
        );
        write_setup(
            &story,
            &format!("[event_hook]\nurl = \"{}/hook\"\n", story.okta.url),
        );
        story.apply().expect(0);
        let org = story.okta.org();
        let hooks: Vec<_> = org
            .hooks
            .values()
            .map(|hook| &hook["verificationStatus"])
            .collect();
        assert_eq!(hooks, ["VERIFIED"]);
    }
);

both!(a_new_token_replaces_the_old_one, |app| async move {
    let story = Story::new(app);
    write_setup(&story, "");
    let id = finish(&story).await;
    let old = story.read("token");
    let ran = story
        .run(&["apply", "--yes", "--token-file", "token", "--new-token"])
        .expect(2);
    assert!(
        ran.json["steps"]
            .to_string()
            .contains("no request with the token"),
        "{ran:?}"
    );
    assert_eq!(story.live_tokens(), 1);
    assert_ne!(story.read("token"), old);
    let base_url = story.app.base_url();
    let typed = |token: &str| format!("Bearer {token}");
    let refused = typed(&old);
    let refused = Typed {
        base_url: &base_url,
        token: &refused,
    };
    story
        .okta
        .click_integration(&id, refused)
        .await
        .expect_err("the old one is revoked");
    story.click(&id).await;
    story.apply_after_clicks().expect(0);
    // The record contains no secret.
    let secret = story.read("token");
    let states = format!("SELECT count(*) AS n FROM setups WHERE state LIKE '%{secret}%'");
    assert_eq!(story.count(&states), 0);
});

both!(
    a_token_that_cannot_be_saved_is_created_again,
    |app| async move {
        let story = Story::new(app);
        write_setup(&story, "");
        let ran = story.run(&["apply", "--yes", "--token-file", "no/such/folder/token"]);
        ran.expect_message(1, "The token is lost; the next run creates another");
        story.apply().expect(2);
        assert_eq!(story.live_tokens(), 1);
        story.click(&story.okta.app("Rollcall")).await;
        story.apply_after_clicks().expect(0);
    }
);

both!(a_failed_group_push_is_reported, |app| async move {
    let story = Story::new(app);
    let ada = story.okta.hire("ada@acme.example");
    story.okta.group("Engineering", &[&ada]);
    let pushed = story.okta.group("Pushed", &[&ada]);
    write_setup(
        &story,
        "[assign]\ngroups = [\"Engineering\"]\n[[push_groups]]\ngroup = \"Pushed\"\n",
    );
    let id = finish(&story).await;
    // The server rejects a group without a name.
    story.okta.rename_group(&pushed, "");
    story.okta.settle();
    story.okta.rename_group(&pushed, "Pushed");
    story.okta.settle();
    let ran = story.run(&["plan"]);
    let finding = ran.finding("fault", "push");
    assert!(
        finding.contains("Push now") && finding.contains("reported by remote server"),
        "{finding}"
    );
    let org = story.okta.org();
    assert_eq!(
        org.apps[&id].pushes.values().next().expect("a push").status,
        "ERROR"
    );
});

both!(
    invalid_arguments_are_rejected_before_any_request,
    |app| async move {
        let story = Story::new(app);
        for arguments in [
            ["apply", "--app-id", "../users"],
            ["apply", "--app-id", "0oa?x=1"],
            ["apply", "--wait", "soon"],
            ["verify", "--colour", "red"],
        ] {
            let ran = story.run_for_people(&arguments);
            assert_eq!((ran.code, ran.stderr.is_empty()), (1, false), "{ran:?}");
        }
        assert!(story.okta.org().requests.is_empty());
    }
);

both!(a_concurrent_change_is_retried, |app| async move {
    let story = Story::new(app);
    write_setup(&story, "");
    // Okta reports it; nothing was done, so that even a POST may be retried.
    story.okta.plan(When::Write(1), Fault::Concurrent);
    story.apply().expect(2);
    assert_eq!(story.okta.org().apps.len(), 1);
    let retried = json!(
        story
            .okta
            .org()
            .requests
            .iter()
            .any(|request| request.header("x-okta-retry-count") == "1")
    );
    assert_eq!(retried, true);
});
both!(
    an_adopted_app_survives_a_kill_at_each_write,
    |app| async move {
        let prepare = async || {
            let story = Story::new(app.neighbour().await);
            let ada = story.okta.hire("ada@acme.example");
            story.okta.group("Engineering", &[&ada]);
            story.okta.group("Pushed", &[&ada]);
            let rest = "[assign]\ngroups = [\"Engineering\"]\nusers = [\"svc-rollcall@acme.example\"]\n[[push_groups]]\ngroup = \"Pushed\"\n[[attributes]]\nname = \"costCode\"\ntitle = \"Cost code\"\nexternal_name = \"costCode\"\nexternal_namespace = \"urn:example:acme:2.0:User\"\nmapping = \"user.costCenter\"\n";
            write_setup(&story, rest);
            let id = story.connected_app(Some("scim2headerauth")).await;
            let before = story.okta.snapshot();
            story
                .run(&["apply", "--yes", "--token-file", "token", "--app-id", &id])
                .expect(2);
            let token = story.typed_token(&id);
            let base_url = story.app.base_url();
            let typed = Typed {
                base_url: &base_url,
                token: &token,
            };
            story
                .okta
                .click_integration(&id, typed)
                .await
                .expect("connects");
            (story, before)
        };
        let (story, before) = prepare().await;
        let done = story.okta.writes();
        story.apply_after_clicks().expect(0);
        let writes = story.okta.writes() - done;
        assert_eq!(writes, 5);
        story.okta.settle();
        story.run(&["remove", "--yes"]).expect(0);
        assert_eq!(story.okta.snapshot(), before);
        for number in 1..=writes {
            let (story, before) = prepare().await;
            story.okta.plan(When::Write(number), Fault::HoldAnswer);
            let mut running =
                story.start(&["apply", "--yes", "--token-file", "token", "--wait", "15m"]);
            story.okta.wait_until_holding();
            running.kill().expect("kills it");
            running.wait().expect("it ends");
            story.apply_after_clicks().expect(0);
            story.okta.settle();
            story.run(&["remove", "--yes"]).expect(0);
            assert_eq!(story.okta.snapshot(), before, "after write {number}");
        }
    }
);
