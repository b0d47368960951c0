//! Changes to `setup.toml` and to the org after the setup.

use serde_json::json;

use crate::fake_okta::{Fault, Typed, When};
use crate::harness::both;

use super::story::Story;

fn write_app(story: &Story, rest: &str) {
    story.write_setup_toml(&format!("[app]\nlabel = \"Rollcall\"\n{rest}"));
}

async fn finish(story: &Story) -> String {
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    story.click(&id).await;
    story.apply_after_manual_steps().expect(0);
    story.okta.settle();
    id
}

both!(
    only_what_setup_toml_no_longer_names_is_removed,
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
        write_app(&story, &format!("{all}{hook}"));
        let id = finish(&story).await;
        // An admin assigns one more, which is no business of ours.
        let path = format!("/apps/{id}/groups/{theirs}");
        assert_eq!(
            story.okta_api(reqwest::Method::PUT, &path, None).await.0,
            200
        );
        story.okta.settle();

        write_app(&story, "");
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
        // The pushed group stays here, as it is.
        assert_eq!(story.ours().find_groups("displayName pr").await, ["Pushed"]);
    }
);

both!(a_logo_is_sent_when_it_is_another, |app| async move {
    let story = Story::new(app);
    let picture = |text: &str| story.write("logo.svg", format!("<svg>{text}</svg>").as_bytes());
    write_app(&story, "logo = \"logo.svg\"\n");
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
    a_hook_that_cannot_be_verified_holds_nothing_up,
    |app| async move {
        let mut story = Story::new(app);
        story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
        write_app(&story, "");
        finish(&story).await;
        // Something answers there, but not as a hook does.
        write_app(
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
        write_app(
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
    write_app(&story, "");
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
    story.apply_after_manual_steps().expect(0);
    // No secret stands in the record.
    let secret = story.read("token");
    let states = format!("SELECT count(*) AS n FROM setups WHERE state LIKE '%{secret}%'");
    assert_eq!(story.count(&states), 0);
});

both!(
    a_token_that_cannot_be_written_down_is_made_anew,
    |app| async move {
        let story = Story::new(app);
        write_app(&story, "");
        let ran = story.run(&["apply", "--yes", "--token-file", "no/such/folder/token"]);
        ran.expect_message(1, "The token is lost; the next run creates another");
        story.apply().expect(2);
        assert_eq!(story.live_tokens(), 1);
        story.click(&story.okta.app("Rollcall")).await;
        story.apply_after_manual_steps().expect(0);
    }
);

both!(
    a_group_that_okta_cannot_push_is_reported,
    |app| async move {
        let story = Story::new(app);
        let ada = story.okta.hire("ada@acme.example");
        story.okta.group("Engineering", &[&ada]);
        let pushed = story.okta.group("Pushed", &[&ada]);
        write_app(
            &story,
            "[assign]\ngroups = [\"Engineering\"]\n[[push_groups]]\ngroup = \"Pushed\"\n",
        );
        let id = finish(&story).await;
        // We refuse a group without a name.
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
    }
);

both!(
    invalid_numbers_and_ids_are_refused_before_any_request,
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

both!(another_client_changes_the_same_object, |app| async move {
    let story = Story::new(app);
    write_app(&story, "");
    // Okta says so; nothing was done, so that even a POST may be sent again.
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
    an_app_taken_over_is_left_as_it_was_after_a_kill_at_each_write,
    |app| async move {
        let prepare = async || {
            let story = Story::new(app.neighbour().await);
            let ada = story.okta.hire("ada@acme.example");
            story.okta.group("Engineering", &[&ada]);
            story.okta.group("Pushed", &[&ada]);
            let rest = "[assign]\ngroups = [\"Engineering\"]\nusers = [\"svc-rollcall@acme.example\"]\n[[push_groups]]\ngroup = \"Pushed\"\n[[attributes]]\nname = \"costCode\"\ntitle = \"Cost code\"\nexternal_name = \"costCode\"\nexternal_namespace = \"urn:example:acme:2.0:User\"\nmapping = \"user.costCenter\"\n";
            write_app(&story, rest);
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
        story.apply_after_manual_steps().expect(0);
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
            story.apply_after_manual_steps().expect(0);
            story.okta.settle();
            story.run(&["remove", "--yes"]).expect(0);
            assert_eq!(story.okta.snapshot(), before, "after write {number}");
        }
    }
);
