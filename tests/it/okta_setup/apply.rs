//! `plan` and `apply`: from an empty org to one that provisions, and every way in which that can be
//! cut short.

use serde_json::{Value, json};

use crate::fake_okta::{Click, Fault, Typed, When};
use crate::harness::issuer::Key;
use crate::harness::{Backend, TestApp, both, runtime};

use super::story::Story;

const ACME: &str = "urn:example:params:scim:schemas:extension:acme:2.0:User";

/// Every setting at once, for an app of this kind.
fn everything(story: &Story, app: &str) {
    let okta = &story.okta;
    let (ada, bob, eve) = ("ada@acme.example", "bob@acme.example", "eve@acme.example");
    let [ada, bob, _] = [ada, bob, eve].map(|login| okta.hire(login));
    okta.edit_profile(&ada, json!({ "costCenter": "4130" }));
    okta.group("Engineering", &[&ada]);
    okta.group("Pushed Engineering", &[&ada, &bob]);
    story.write("logo.png", b"\x89PNG\r\n\x1a\n a very small picture");
    write_everything(story, app);
}

fn write_everything(story: &Story, app: &str) {
    story.write_setup_toml(&format!(
        r#"[app]
label = "Rollcall"
logo = "logo.png"
notes = "Ask the directory team."
{app}
[assign]
groups = ["Engineering"]
users = ["bob@acme.example"]
[[push_groups]]
group = "Pushed Engineering"
target = "engineering"
[[attributes]]
name = "costCode"
title = "Cost code"
external_name = "costCode"
external_namespace = "{ACME}"
mapping = "user.costCenter"
[event_hook]
url = "{}/hook"
"#,
        story.okta.url
    ));
}

fn with_hook_secret(app: TestApp) -> Story {
    let mut story = Story::new(app);
    story.set("ROLLCALL_EVENT_HOOK_SECRET", "a secret for the hook");
    story
}

both!(from_an_empty_org_to_one_that_provisions, |app| async move {
    let story = with_hook_secret(app);
    let okta = &story.okta;
    everything(&story, "");
    let before = okta.snapshot();

    let plan = story.run(&["plan"]).expect(0);
    assert_eq!(plan.json["outcome"], "changes");
    for step in [
        "app",
        "logo",
        "token",
        "profile",
        "assign",
        "push",
        "event hook",
    ] {
        assert!(plan.changes_of(step) > 0, "{step}: {plan:?}");
    }
    assert_eq!((okta.writes(), okta.snapshot()), (0, before));
    assert_eq!(story.live_tokens(), 0);

    let first = story.apply().expect(2);
    assert_eq!(first.json["outcome"], "manual");
    let instructions = first.json["instructions"].to_string();
    assert!(
        instructions.contains(&story.app.base_url()) && instructions.contains("Bearer"),
        "{instructions}"
    );
    let id = okta.app("Rollcall");
    {
        let org = okta.org();
        let app = &org.apps[&id];
        assert_eq!(
            (app.name.as_str(), app.logos, app.groups.len()),
            ("scim2headerauth", 1, 0)
        );
        assert_eq!(app.body["visibility"]["hide"]["web"], true);
        let notes = app.body["settings"]["notes"]["admin"]
            .as_str()
            .expect("notes");
        assert!(notes.starts_with("Ask the directory team."), "{notes}");
    }
    assert_eq!(story.live_tokens(), 1);
    let writes = okta.writes();
    story.apply().expect(2);
    assert_eq!(okta.writes(), writes);

    story.click(&id).await;
    let second = story.apply_after_manual_steps().expect(0);
    assert_eq!(second.json["outcome"], "done");
    okta.settle();
    let users = ["ada@acme.example", "bob@acme.example"];
    assert_eq!(
        story.ours().find_users("userName pr").await.len(),
        users.len()
    );
    let ada = okta.org().user_by_login(users[0]).expect("ada").id.clone();
    let ours = story.ours().user(&okta.external_id(&id, &ada)).await;
    assert_eq!(ours[ACME]["costCode"], "4130");
    let groups = story.ours().find_groups("displayName pr").await;
    assert_eq!(groups, ["engineering"]);
    assert!(okta.failures().is_empty(), "{:?}", okta.failures());
    assert_eq!(
        okta.org().hooks.values().next().expect("a hook")["verificationStatus"],
        "VERIFIED"
    );

    let (writes, shape) = (okta.writes(), story.shape());
    let third = story.apply().expect(0);
    assert!(third.finding("ok", "apply").contains("no changes"));
    let plan = story.run(&["plan"]).expect(0);
    assert_eq!(
        (
            &plan.json["outcome"],
            plan.json["changes"].as_array().map(Vec::len)
        ),
        (&json!("done"), Some(0))
    );
    assert_eq!((okta.writes(), story.shape()), (writes, shape));
});

both!(without_a_yes_nothing_is_done, |app| async move {
    let story = Story::new(app);
    let ran = story.run_for_people(&["apply"]);
    ran.expect_message(1, "--yes");
    assert_eq!((story.okta.writes(), story.live_tokens()), (0, 0));
    // JSON shows no token, so there must be a file for it.
    story
        .run(&["apply", "--yes"])
        .expect_message(1, "--token-file");
    assert_eq!(story.okta.writes(), 0);
    let ran = story.run_for_people(&["apply", "--yes"]).expect(2);
    assert!(
        ran.text.contains("SCIM token (shown once): rct_"),
        "{}",
        ran.text
    );
    assert!(ran.text.contains("Bearer rct_"), "{}", ran.text);
});

/// Kinds whose connection is made by hand, then by the API, then never.
const KINDS: [(&str, &str); 9] = [
    ("kind = \"scim-header\"", "hand"),
    ("kind = \"scim-bearer\"", "hand"),
    ("kind = \"scim-basic\"", "hand"),
    (
        "kind = \"saml\"\nsaml = { acs_url = \"https://acme.example/acs\", audience = \"https://acme.example/acs\" }",
        "hand",
    ),
    (
        "kind = \"swa\"\nswa = { login_url = \"https://acme.example/login\" }",
        "hand",
    ),
    ("kind = \"catalog\"\nname = \"zscalerbyz\"", "api"),
    (
        "kind = \"swa-plugin\"\nswa = { login_url = \"https://acme.example/login\" }",
        "never",
    ),
    (
        "kind = \"oidc\"\noidc = { redirect_uris = [\"https://acme.example/cb\"] }",
        "never",
    ),
    (
        "kind = \"bookmark\"\nbookmark = { url = \"https://acme.example/\" }",
        "never",
    ),
];

/// What a service app may need at most.
const SCOPES: [&str; 9] = [
    "okta.apps.manage",
    "okta.groups.manage",
    "okta.users.read",
    "okta.logs.read",
    "okta.roles.read",
    "okta.schemas.manage",
    "okta.profileMappings.manage",
    "okta.eventHooks.manage",
    "okta.apiTokens.read",
];

both!(every_kind_of_app_by_a_token, |app| async move {
    for (kind, carries) in KINDS {
        every_kind(&Story::new(app.neighbour().await), "", kind, carries).await;
    }
});

both!(every_kind_of_app_by_a_service_app, |app| async move {
    for (kind, carries) in KINDS {
        let mut story = Story::new(app.neighbour().await);
        let key = Key::ec("setup");
        let client = story.okta.service_app(key.public(), &SCOPES, true);
        let path = story.write("key.pem", key.pem().as_bytes());
        story.set("ROLLCALL_OKTA_TOKEN", "");
        story.set("ROLLCALL_OKTA_KEY_FILE", path.to_str().expect("UTF-8"));
        let login = format!("client_id = \"{client}\"\nkey_id = \"setup\"");
        every_kind(&story, &login, kind, carries).await;
    }
});

async fn every_kind(story: &Story, login: &str, kind: &str, carries: &str) {
    let bob = story.okta.hire("bob@acme.example");
    let write = |provisioning: &str| {
        let text = format!(
            "[app]\nlabel = \"Rollcall\"\n{provisioning}\n{kind}\n[assign]\nusers = [\"bob@acme.example\"]\n"
        );
        story.write_setup_toml_for(login, &text);
    };
    write("");
    if carries == "never" {
        // Said before anything is asked, with a kind that can.
        story
            .apply()
            .expect_message(1, "can never provision over SCIM. Use `scim-header`");
        assert!(story.okta.org().requests.is_empty());
        write("provisioning = false");
    }
    if carries == "hand" {
        story.apply().expect(2);
        story.click(&story.okta.app("Rollcall")).await;
    }
    story.apply_after_manual_steps().expect(0);
    story.okta.settle();
    let id = story.okta.app("Rollcall");
    if carries == "never" {
        assert!(story.okta.app_user(&id, &bob).is_some());
        assert_eq!(story.live_tokens(), 0);
    } else {
        let ours = story.okta.external_id(&id, &bob);
        assert_eq!(story.ours().user(&ours).await["active"], true);
    }
    let writes = story.okta.writes();
    let again = story.apply().expect(0);
    assert!(
        again.finding("ok", "apply").contains("no changes"),
        "{kind}: {again:?}"
    );
    assert_eq!(story.okta.writes(), writes, "{kind}");
    let notes = story.count("SELECT count(*) AS n FROM setup_writes WHERE status IS NULL");
    assert_eq!(notes, 0, "{kind}: a write without its end");
}

/// An app without manual steps, so that one run creates everything.
const BY_API: &str = "kind = \"catalog\"\nname = \"zscalerbyz\"";

/// What a run that nothing disturbs leaves behind, and how many writes it takes.
async fn undisturbed(app: &TestApp) -> (Value, usize) {
    let story = with_hook_secret(app.neighbour().await);
    everything(&story, BY_API);
    story.apply().expect(0);
    story.okta.settle();
    let writes = story.okta.writes();
    assert!(writes >= 10, "{writes}");
    (story.shape(), writes)
}

/// A run that meets this fault at each of its writes in turn, and then another run.
async fn disturbed(app: TestApp, fault: Fault, codes: &[i32]) {
    let (shape, writes) = undisturbed(&app).await;
    for number in 1..=writes {
        let story = with_hook_secret(app.neighbour().await);
        everything(&story, BY_API);
        story.okta.plan(When::Write(number), fault);
        if matches!(fault, Fault::HoldAnswer | Fault::HoldRequest) {
            let mut running = story.start(&["apply", "--yes"]);
            story.okta.wait_until_holding();
            running.kill().expect("kills it");
            running.wait().expect("it ends");
        } else {
            let ran = story.apply();
            assert!(codes.contains(&ran.code), "{fault:?} at {number}: {ran:?}");
        }
        let again = story.apply();
        assert_eq!(
            again.code, 0,
            "after {fault:?} at write {number}: {again:?}"
        );
        story.okta.settle();
        assert_eq!(story.shape(), shape, "after {fault:?} at write {number}");
        assert_eq!(story.live_tokens(), 1, "after {fault:?} at write {number}");
        let writes = story.okta.writes();
        let third = story.apply().expect(0);
        assert!(
            third.finding("ok", "apply").contains("no changes"),
            "{third:?}"
        );
        assert_eq!(
            story.okta.writes(),
            writes,
            "after {fault:?} at write {number}"
        );
    }
}

both!(killed_after_each_write, |app| async move {
    disturbed(app, Fault::HoldAnswer, &[]).await;
});

both!(killed_before_each_write, |app| async move {
    disturbed(app, Fault::HoldRequest, &[]).await;
});

both!(an_answer_is_lost_at_each_write, |app| async move {
    disturbed(app, Fault::LoseAnswer, &[0, 4]).await;
});

both!(okta_breaks_at_each_write, |app| async move {
    disturbed(app, Fault::Broken, &[0, 4]).await;
});

both!(okta_is_limited_at_each_write, |app| async move {
    disturbed(app, Fault::Limited, &[0]).await;
});

both!(rights_are_lacking_at_each_write, |app| async move {
    disturbed(app, Fault::Forbidden, &[0, 3]).await;
});

both!(killed_before_the_manual_steps, |app| async move {
    for fault in [Fault::HoldAnswer, Fault::HoldRequest] {
        for number in 1..=2 {
            let story = with_hook_secret(app.neighbour().await);
            everything(&story, "");
            story.okta.plan(When::Write(number), fault);
            let mut running = story.start(&["apply", "--yes"]);
            story.okta.wait_until_holding();
            running.kill().expect("kills it");
            running.wait().expect("it ends");
            story.apply().expect(2);
            let id = story.okta.app("Rollcall");
            assert_eq!(
                (story.live_tokens(), story.okta.org().apps[&id].logos),
                (
                    1,
                    1 + usize::from(number == 2 && fault == Fault::HoldAnswer)
                )
            );
            story.click(&id).await;
            story.apply_after_manual_steps().expect(0);
        }
    }
});

both!(
    what_setup_toml_gets_wrong_leaves_nothing_behind,
    |app| async move {
        let story = Story::new(app);
        let before = story.okta.snapshot();
        for (rest, message) in [
            ("[assign]\ngroups = [\"Nobody's\"]\n", "Nobody's"),
            (
                "[assign]\nusers = [\"nobody@acme.example\"]\n",
                "nobody@acme.example",
            ),
            ("[assign]\ngroups = [\"Everyone\"]\n", "built"),
            ("[[push_groups]]\ngroup = \"Nobody's\"\n", "Nobody's"),
            ("[[attributes]]\nname = \"x\"\n", "title"),
            (
                "[event_hook]\nurl = \"https://a.example\"\n",
                "ROLLCALL_EVENT_HOOK_SECRET",
            ),
        ] {
            story.write_setup_toml(&format!("[app]\nlabel = \"Rollcall\"\n{rest}"));
            story.run(&["plan"]).expect_message(1, message);
            if !rest.contains("event_hook") {
                story.apply().expect_message(1, message);
                assert_eq!(story.okta.snapshot(), before, "{rest}");
            }
        }
        story.write_setup_toml("[app]\nlabel = \"Rollcall\"\nlogo = \"none.png\"\n");
        story.run(&["plan"]).expect_message(1, "none.png");
        story.write("none.png", b"no picture");
        story
            .run(&["plan"])
            .expect_message(1, "neither PNG, JPG, GIF nor SVG");
        assert_eq!(story.okta.snapshot(), before);
    }
);

both!(a_label_that_another_app_has, |app| async move {
    let story = Story::new(app);
    let theirs = story.connected_app(Some("scim2headerauth")).await;
    let writes = story.okta.writes();
    story.write_setup_toml("[app]\nlabel = \"By hand\"\n");
    story.apply().expect_message(1, "--app-id");
    assert_eq!((story.okta.writes(), story.live_tokens()), (writes, 0));
    // Taken over, it is neither renamed nor replaced.
    let ran = story.run(&[
        "apply",
        "--yes",
        "--token-file",
        "token",
        "--app-id",
        &theirs,
    ]);
    assert!([0, 2].contains(&ran.code), "{ran:?}");
    assert_eq!(ran.json["app"]["id"], theirs);
    assert_eq!(story.okta.count("POST", "/api/v1/apps"), 1);
});

both!(two_apps_with_our_marker, |app| async move {
    let story = Story::new(app);
    story.apply().expect(2);
    // Somebody copied it, and our record is lost.
    {
        let mut org = story.okta.org();
        let id = org.new_id("0oa");
        let twin = org.apps.values().next().expect("an app").twin(id.clone());
        org.apps.insert(id, twin);
    }
    story.app.database.execute(&format!(
        "DELETE FROM setups WHERE org = '{}'",
        story.okta.url
    ));
    let writes = story.okta.writes();
    story
        .apply()
        .expect_message(1, "Several apps carry the marker");
    assert_eq!(story.okta.writes(), writes);
});

both!(
    our_record_is_lost_and_the_app_is_found_again,
    |app| async move {
        let story = Story::new(app);
        for number in 0..5 {
            story.okta.group(&format!("Group {number}"), &[]);
        }
        story.apply().expect(2);
        let id = story.okta.app("Rollcall");
        story.app.database.execute(&format!(
            "DELETE FROM setups WHERE org = '{}'",
            story.okta.url
        ));
        // Behind a few other apps, on a page of its own.
        for _ in 0..3 {
            story.connected_app(Some("scim2headerauth")).await;
        }
        story.okta.org().page_size = 1;
        let token = "okta-setup";
        story
            .app
            .database
            .cli_ok(&["token", "revoke", token, "--tenant", &story.app.tenant]);
        story.apply().expect(2);
        assert_eq!(story.okta.app("Rollcall"), id);
    }
);

both!(what_people_do_in_the_console_meanwhile, |app| async move {
    let story = Story::new(app);
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    story.click(&id).await;
    story.apply_after_manual_steps().expect(0);
    // Switched off: it is switched on again.
    story
        .okta
        .org()
        .apps
        .get_mut(&id)
        .expect("the app")
        .is_active = false;
    story.apply().expect(0);
    assert!(story.okta.org().apps[&id].is_active);
    // Renamed: it is said, and not put right by a PUT that would switch SCIM off.
    story.okta.org().apps.get_mut(&id).expect("the app").label = "Roll call".to_owned();
    let writes = story.okta.writes();
    let ran = story.apply().expect(0);
    assert!(ran.finding("warning", "drift").contains("label"));
    assert_eq!(story.okta.writes(), writes);
    // Deleted: it is made anew.
    story.okta.org().apps.clear();
    story.apply().expect(2);
    assert_ne!(story.okta.app("Rollcall"), id);
});

both!(manual_steps_while_apply_waits, |app| async move {
    let story = Story::new(app);
    let running = story.start(&[
        "apply",
        "--yes",
        "--token-file",
        "token",
        "--json",
        "--wait",
        "20000h",
    ]);
    // It looks again and again.
    story.okta.wait_for_requests("GET", "/api/v1/apps/0oa", 3);
    let id = story.okta.app("Rollcall");
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
    story
        .okta
        .click_to_app(&id, &[Click::Create, Click::Update]);
    let seen = story.okta.count("GET", "/api/v1/apps/0oa");
    story
        .okta
        .wait_for_requests("GET", "/api/v1/apps/0oa", seen + 3);
    let open = story.run(&["instructions"]).expect(2);
    let missing = open.json["steps"].to_string();
    assert!(
        missing.contains("Deactivate Users") && !missing.contains("Create Users"),
        "{missing}"
    );
    story.okta.click_to_app(&id, &[Click::Deactivate]);
    story.wait(running).expect(0);
});

/// On a server of its own: it records unknown credentials for all its tenants, every few seconds.
fn mistakes(backend: Backend) {
    runtime().block_on(async {
        let Some(app) = TestApp::alone(backend).await else {
            return;
        };
        let story = Story::new(app);
        story.apply().expect(2);
        let id = story.okta.app("Rollcall");
        let base_url = story.app.base_url();
        let whole = story.read("token");
        for (token, hint) in [
            ("Bearer of-nothing", "Header Auth needs `Bearer`"),
            (whole.get(..20).expect("a token"), "cut or mistyped"),
            (&format!("SSWS {}", story.admin.secret), "Okta's own API"),
        ] {
            let typed = Typed {
                base_url: &base_url,
                token,
            };
            story
                .okta
                .click_integration(&id, typed)
                .await
                .expect_err("a refusal");
            // The note is written in the background, and of each kind one every few seconds.
            let says = |_: &usize| {
                let ran = story.apply().expect(2);
                ran.json["findings"].to_string().contains(hint)
            };
            assert!((0..500).find(says).is_some(), "{hint}");
        }
        // Without the word, it is taken all the same.
        let typed = Typed {
            base_url: &base_url,
            token: &whole,
        };
        story
            .okta
            .click_through(&id, typed)
            .await
            .expect("connects");
        story.apply_after_manual_steps().expect(0);
    });
}

#[test]
fn mistakes_in_the_manual_steps_are_named_sqlite() {
    mistakes(Backend::Sqlite);
}

#[test]
fn mistakes_in_the_manual_steps_are_named_postgres() {
    mistakes(Backend::Postgres);
}
