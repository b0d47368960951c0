//! `plan` and `apply`: from an empty org to one that provisions, with every kind of interruption.

use serde_json::{Value, json};

use crate::fake_okta::{Click, Fault, Typed, When};
use crate::harness::issuer::Key;
use crate::harness::{Backend, TestApp, both, runtime};

use super::story::Story;

const ACME: &str = "urn:example:params:scim:schemas:extension:acme:2.0:User";

/// Writes a setup with every setting at once, for an app of this kind.
fn set_up_everything(story: &Story, app: &str) {
    let okta = &story.okta;
    let (ada, bob, eve) = ("ada@acme.example", "bob@acme.example", "eve@acme.example");
    let [ada, bob, _] = [ada, bob, eve].map(|login| okta.hire(login));
    okta.edit_profile(&ada, json!({ "costCenter": "4130" }));
    okta.group("Engineering", &[&ada]);
    okta.group("Pushed Engineering", &[&ada, &bob]);
    story.write("logo.png", b"\x89PNG\r\n\x1a\n a very small picture");
    write_full_setup(story, app);
}

fn write_full_setup(story: &Story, app: &str) {
    story.write_setup(&format!(
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

both!(apply_sets_up_an_empty_org, |app| async move {
    let story = with_hook_secret(app);
    let okta = &story.okta;
    set_up_everything(&story, "");
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
    let clicks = first.json["instructions"].to_string();
    assert!(
        clicks.contains(&story.app.base_url()) && clicks.contains("Bearer"),
        "{clicks}"
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
    let second = story.apply_after_clicks().expect(0);
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

both!(apply_requires_confirmation, |app| async move {
    let story = Story::new(app);
    let ran = story.run_for_people(&["apply"]);
    ran.expect_message(1, "--yes");
    assert_eq!((story.okta.writes(), story.live_tokens()), (0, 0));
    // JSON output contains no token, so a file for it is required.
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

/// Kinds whose connection is set up by hand, then by the API, then not at all.
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

/// All scopes that a service app can need.
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

both!(a_token_sets_up_every_kind_of_app, |app| async move {
    for (kind, carries) in KINDS {
        every_kind(&Story::new(app.neighbour().await), "", kind, carries).await;
    }
});

both!(a_service_app_sets_up_every_kind_of_app, |app| async move {
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
    let write_setup = |provisioning: &str| {
        let text = format!(
            "[app]\nlabel = \"Rollcall\"\n{provisioning}\n{kind}\n[assign]\nusers = [\"bob@acme.example\"]\n"
        );
        story.write_setup_with_login(login, &text);
    };
    write_setup("");
    if carries == "never" {
        // Reported before any request, with a kind that supports it.
        story
            .apply()
            .expect_message(1, "can never provision over SCIM. Use `scim-header`");
        assert!(story.okta.org().requests.is_empty());
        write_setup("provisioning = false");
    }
    if carries == "hand" {
        story.apply().expect(2);
        story.click(&story.okta.app("Rollcall")).await;
    }
    story.apply_after_clicks().expect(0);
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

/// Returns the result of an undisturbed run, and its number of writes.
async fn undisturbed(app: &TestApp) -> (Value, usize) {
    let story = with_hook_secret(app.neighbour().await);
    set_up_everything(&story, BY_API);
    story.apply().expect(0);
    story.okta.settle();
    let writes = story.okta.writes();
    assert!(writes >= 10, "{writes}");
    (story.shape(), writes)
}

/// Runs with this fault at each write in turn, and then runs again.
async fn disturbed(app: TestApp, fault: Fault, codes: &[i32]) {
    let (shape, writes) = undisturbed(&app).await;
    for number in 1..=writes {
        let story = with_hook_secret(app.neighbour().await);
        set_up_everything(&story, BY_API);
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

both!(apply_survives_a_kill_after_each_write, |app| async move {
    disturbed(app, Fault::HoldAnswer, &[]).await;
});

both!(apply_survives_a_kill_before_each_write, |app| async move {
    disturbed(app, Fault::HoldRequest, &[]).await;
});

both!(apply_survives_lost_reply_at_each_write, |app| async move {
    disturbed(app, Fault::LoseAnswer, &[0, 4]).await;
});

both!(apply_survives_an_error_at_each_write, |app| async move {
    disturbed(app, Fault::Broken, &[0, 4]).await;
});

both!(apply_survives_rate_limit_at_each_write, |app| async move {
    disturbed(app, Fault::Limited, &[0]).await;
});

both!(apply_survives_lost_rights_at_each_write, |app| async move {
    disturbed(app, Fault::Forbidden, &[0, 3]).await;
});

both!(apply_survives_a_kill_before_manual_step, |app| async move {
    for fault in [Fault::HoldAnswer, Fault::HoldRequest] {
        for number in 1..=2 {
            let story = with_hook_secret(app.neighbour().await);
            set_up_everything(&story, "");
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
            story.apply_after_clicks().expect(0);
        }
    }
});

both!(
    an_invalid_setup_file_changes_nothing_in_the_org,
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
            story.write_setup(&format!("[app]\nlabel = \"Rollcall\"\n{rest}"));
            story.run(&["plan"]).expect_message(1, message);
            if !rest.contains("event_hook") {
                story.apply().expect_message(1, message);
                assert_eq!(story.okta.snapshot(), before, "{rest}");
            }
        }
        story.write_setup("[app]\nlabel = \"Rollcall\"\nlogo = \"none.png\"\n");
        story.run(&["plan"]).expect_message(1, "none.png");
        story.write("none.png", b"no picture");
        story
            .run(&["plan"])
            .expect_message(1, "neither PNG, JPG, GIF nor SVG");
        assert_eq!(story.okta.snapshot(), before);
    }
);

both!(another_apps_label_is_a_conflict, |app| async move {
    let story = Story::new(app);
    let theirs = story.connected_app(Some("scim2headerauth")).await;
    let writes = story.okta.writes();
    story.write_setup("[app]\nlabel = \"By hand\"\n");
    story.apply().expect_message(1, "--app-id");
    assert_eq!((story.okta.writes(), story.live_tokens()), (writes, 0));
    // An adopted app is neither renamed nor replaced.
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

both!(two_apps_with_our_marker_are_a_conflict, |app| async move {
    let story = Story::new(app);
    story.apply().expect(2);
    // A copied app, while our record is lost.
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
    an_app_is_found_by_its_marker_without_our_record,
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
        // Behind several other apps, on a later page.
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

both!(apply_handles_changes_in_the_console, |app| async move {
    let story = Story::new(app);
    story.apply().expect(2);
    let id = story.okta.app("Rollcall");
    story.click(&id).await;
    story.apply_after_clicks().expect(0);
    // Deactivated: it is activated again.
    story
        .okta
        .org()
        .apps
        .get_mut(&id)
        .expect("the app")
        .is_active = false;
    story.apply().expect(0);
    assert!(story.okta.org().apps[&id].is_active);
    // Renamed: reported, but not corrected by a PUT that would turn SCIM off.
    story.okta.org().apps.get_mut(&id).expect("the app").label = "Roll call".to_owned();
    let writes = story.okta.writes();
    let ran = story.apply().expect(0);
    assert!(ran.finding("warning", "drift").contains("label"));
    assert_eq!(story.okta.writes(), writes);
    // Deleted: it is created again.
    story.okta.org().apps.clear();
    story.apply().expect(2);
    assert_ne!(story.okta.app("Rollcall"), id);
});

both!(apply_waits_for_the_manual_step, |app| async move {
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
    // It checks repeatedly.
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

/// On a server of its own: it records invalid credentials for all its tenants, every few seconds.
fn check_manual_mistakes(backend: Backend) {
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
            (whole.get(..20).expect("a token"), "cut when it was pasted"),
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
            // The record is written in the background, and one of each kind every few seconds.
            let says = |_: &usize| {
                let ran = story.apply().expect(2);
                ran.json["findings"].to_string().contains(hint)
            };
            assert!((0..500).find(says).is_some(), "{hint}");
        }
        // Without the scheme, the token is accepted all the same.
        let typed = Typed {
            base_url: &base_url,
            token: &whole,
        };
        story
            .okta
            .click_through(&id, typed)
            .await
            .expect("connects");
        story.apply_after_clicks().expect(0);
    });
}

#[test]
fn manual_mistakes_are_reported_sqlite() {
    check_manual_mistakes(Backend::Sqlite);
}

#[test]
fn manual_mistakes_are_reported_postgres() {
    check_manual_mistakes(Backend::Postgres);
}
