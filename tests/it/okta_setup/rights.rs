//! Roles, scopes and network zones: what each credential is refused.

use crate::fake_okta::{FakeOkta, Fault, When};
use crate::harness::both;
use crate::harness::issuer::Key;

use super::story::Story;

const EVERYBODY: &str = "[app]\nlabel = \"Rollcall\"\n[assign]\ngroups = [\"Engineering\"]\n";
const PUSHED: &str = "[[push_groups]]\ngroup = \"Pushed\"\n";

fn populate(story: &Story) {
    let ada = story.okta.hire("ada@acme.example");
    story.okta.group("Engineering", &[&ada]);
    story.okta.group("Pushed", &[&ada]);
}

async fn click(story: &Story) {
    story.click(&story.okta.app("Rollcall")).await;
}

both!(
    an_application_administrator_can_do_all_but_push_groups,
    |app| async move {
        let story = Story::new(app);
        populate(&story);
        story
            .okta
            .change_token(|token| token.roles = vec!["APP_ADMIN"]);
        story.write_setup_toml(EVERYBODY);
        let ran = story.run(&["check"]).expect(0);
        assert!(
            ran.finding("ok", "roles")
                .contains("usual for an Application Administrator")
        );
        story.apply().expect(2);
        click(&story).await;
        story.apply_after_manual_steps().expect(0);
        story.write_setup_toml(&format!("{EVERYBODY}{PUSHED}"));
        story.apply().expect_message(3, "Group Administrator");
        let status =
            "SELECT count(*) AS n FROM setup_writes WHERE status = 403 AND error_code = 'E0000006'";
        assert_eq!(story.count(status), 1);
        story
            .okta
            .change_token(|token| token.roles.push("USER_ADMIN"));
        story.apply().expect(0);
        let id = story.okta.app("Rollcall");
        let org = story.okta.org();
        assert_eq!((org.apps.len(), org.apps[&id].pushes.len()), (1, 1));
    }
);

both!(a_read_only_administrator_makes_nothing, |app| async move {
    let story = Story::new(app);
    populate(&story);
    let before = story.okta.snapshot();
    story
        .okta
        .change_token(|token| token.roles = vec!["READ_ONLY_ADMIN"]);
    story.write_setup_toml(EVERYBODY);
    story.run(&["plan"]).expect(0);
    story.apply().expect_message(3, "Application Administrator");
    assert_eq!((story.okta.snapshot(), story.live_tokens()), (before, 0));
});

both!(
    every_verb_says_what_is_wrong_with_the_token,
    |app| async move {
        let mut story = Story::new(app);
        let verbs: [&[&str]; 8] = [
            &["check"],
            &["plan"],
            &["apply", "--yes", "--token-file", "token"],
            &["status"],
            &["instructions"],
            &["verify", "--user", "svc-rollcall@acme.example"],
            &["reconcile"],
            &["remove", "--yes"],
        ];
        story.set("ROLLCALL_OKTA_TOKEN", "00wrong");
        for verb in verbs {
            story.run(verb).expect_message(3, "E0000011");
        }
        let secret = story.admin.secret.clone();
        story.set("ROLLCALL_OKTA_TOKEN", &secret);
        story.okta.change_token(|token| token.is_elsewhere = true);
        for verb in verbs.iter().filter(|verb| verb[0] != "instructions") {
            story.run(verb).expect_message(3, "network zone");
        }
        assert_eq!((story.okta.org().apps.len(), story.live_tokens()), (0, 0));
    }
);

both!(a_person_s_token_is_warned_of, |app| async move {
    let story = Story::new(app);
    let user = story.admin.user.clone();
    let person = serde_json::json!({ "login": "ada.byron@acme.example", "firstName": "Ada", "lastName": "Byron", "displayName": "Ada Byron" });
    story.okta.edit_profile(&user, person);
    let ran = story.run(&["check"]).expect(0);
    assert!(
        ran.finding("warning", "owner")
            .contains("ada.byron@acme.example")
    );
});

both!(a_service_app_lacks_a_scope_or_its_role, |app| async move {
    let mut story = Story::new(app);
    populate(&story);
    let key = Key::rsa("setup");
    let client = story.okta.service_app(
        key.public(),
        &["okta.apps.read", "okta.groups.read", "okta.users.read"],
        true,
    );
    let path = story.write("key.pem", key.pem().as_bytes());
    story.set("ROLLCALL_OKTA_TOKEN", "");
    story.set("ROLLCALL_OKTA_KEY_FILE", path.to_str().expect("UTF-8"));
    let login = format!("client_id = \"{client}\"\nkey_id = \"setup\"");
    story.write_setup_toml_for(&login, EVERYBODY);
    story
        .apply()
        .expect_message(3, "needs the scope okta.apps.");
    change(&story, |scopes, _| scopes.clear());
    story
        .apply()
        .expect_message(3, "None of the scopes is granted");
    change(&story, |scopes, roles| {
        scopes.extend(["okta.apps.manage", "okta.groups.read"].map(str::to_owned));
        roles.clear();
    });
    story.apply().expect_message(3, "It needs the role");
    assert!(story.okta.org().apps.is_empty());
    change(&story, |_, roles| roles.push("APP_ADMIN"));
    // The token endpoint has its bad moments too.
    for fault in [Fault::Limited, Fault::LoseAnswer, Fault::Broken] {
        story
            .okta
            .plan(When::Request("POST", "/oauth2/v1/token"), fault);
        story.apply().expect(2);
    }
    click(&story).await;
    story.apply_after_manual_steps().expect(0);
});

fn change(story: &Story, change: impl FnOnce(&mut Vec<String>, &mut Vec<&'static str>)) {
    let mut org = story.okta.org();
    let app = org.service_apps.last_mut().expect("a service app");
    change(&mut app.scopes, &mut app.roles);
}

both!(a_wrong_clock_is_reported, |app| async move {
    let story = Story::new(app);
    story.okta.org().clock_ahead_s = 600;
    let ran = story.run(&["check"]).expect(1);
    assert!(ran.finding("fault", "clock").contains("behind Okta's"));
});

both!(a_nearly_used_up_rate_limit_is_reported, |app| async move {
    let story = Story::new(app);
    story.okta.org().requests_left = 7;
    let ran = story.run(&["check"]).expect(0);
    assert!(ran.finding("warning", "rate limit").contains("7 of 600"));
});

both!(the_credential_is_sent_to_the_org_only, |app| async move {
    let story = Story::new(app);
    let stranger = FakeOkta::start();
    // A redirect is not followed, and a page of another host not read.
    story.okta.org().elsewhere = Some(stranger.url.clone());
    story
        .okta
        .plan(When::Request("GET", "/api/v1/apps"), Fault::Redirect);
    story.run(&["check"]).expect_message(1, "redirect");
    story
        .okta
        .plan(When::Request("GET", "/api/v1/apps"), Fault::ForeignPage);
    story
        .run(&["plan"])
        .expect_message(1, "the credential is not sent there");
    assert!(stranger.org().requests.is_empty());
});

both!(an_address_that_is_no_org, |app| async move {
    let story = Story::new(app);
    story.okta.plan(
        When::Request("GET", "/.well-known/okta-organization"),
        Fault::NotFound,
    );
    story
        .run(&["check"])
        .expect_message(1, "Check `org` in setup.toml");
    story
        .okta
        .plan(When::Request("GET", "/users/me"), Fault::NoJson);
    story
        .run(&["check"])
        .expect_message(1, "sent a response that is not one of Okta's API");
    let text = format!(
        "[okta]\norg = \"{}/admin\"\n[rollcall]\nbase_url = \"{}\"\n[app]\nlabel = \"A\"\n",
        story.okta.url,
        story.app.base_url()
    );
    story.write("setup.toml", text.as_bytes());
    story
        .run(&["check"])
        .expect_message(1, "up to the first slash");
    story.write("setup.toml", b"[okta]\n");
    story.run(&["check"]).expect_message(1, "setup.toml");
});
