//! `setup check`: the credential, and what it says where Okta refuses it.

use crate::fake_okta::{Fault, When};
use crate::harness::both;
use crate::harness::issuer::Key;

use super::story::Story;

both!(a_super_admin_s_token, |app| async move {
    let story = Story::new(app);
    let before = story.okta.snapshot();
    let ran = story.run(&["check"]).expect(0);
    assert_eq!(story.okta.snapshot(), before);
    assert!(
        ran.finding("ok", "credential")
            .contains("svc-rollcall@acme.example")
    );
    assert!(ran.finding("ok", "roles").contains("SUPER_ADMIN"));
    assert!(ran.finding("ok", "lifetime").contains("expires on"));
    assert_eq!(story.okta.writes(), 0);
});

both!(a_token_that_lapses_soon, |app| async move {
    let story = Story::new(app);
    story.okta.change_token(|token| token.days_left = 3);
    let ran = story.run(&["check"]).expect(0);
    assert!(ran.finding("warning", "lifetime").contains("in 3 days"));
});

both!(a_token_from_standard_input, |app| async move {
    let mut story = Story::new(app);
    story.set("ROLLCALL_OKTA_TOKEN", "");
    let secret = format!("{}\n", story.admin.secret);
    story
        .run_with_input(&["check", "--okta-token-file", "-"], &secret)
        .expect(0);
});

both!(each_fault_of_a_token_has_its_message, |app| async move {
    let mut story = Story::new(app);
    story.okta.change_token(|token| token.is_expired = true);
    story
        .run(&["check"])
        .expect_message(3, "lapsed after 30 days");
    story.okta.change_token(|token| {
        token.is_expired = false;
        token.is_elsewhere = true;
    });
    story.run(&["check"]).expect_message(3, "network zone");
    story.okta.change_token(|token| {
        token.is_elsewhere = false;
        token.roles.clear();
    });
    story
        .run(&["check"])
        .expect_message(3, "Application Administrator");
    story.set("ROLLCALL_OKTA_TOKEN", "00wrong");
    story.run(&["check"]).expect_message(3, "E0000011");
    story.set("ROLLCALL_OKTA_TOKEN", &story.admin.secret.clone());
    story
        .okta
        .change_token(|token| token.roles.push("SUPER_ADMIN"));
    story
        .okta
        .plan(When::Request("GET", "/api/v1/apps"), Fault::Forbidden);
    story
        .run(&["check"])
        .expect_message(3, "Application Administrator");
    story.set("ROLLCALL_OKTA_TOKEN", "SSWS 00wrong");
    story
        .run(&["check"])
        .expect_message(1, "without the word SSWS");
    story.set("ROLLCALL_OKTA_TOKEN", "");
    story
        .run(&["check"])
        .expect_message(1, "No credential for Okta");
});

both!(a_service_app_by_each_kind_of_key, |app| async move {
    let mut story = Story::new(app);
    story.set("ROLLCALL_OKTA_TOKEN", "");
    let scopes = ["okta.apps.manage", "okta.groups.read"];
    for (key, wants_proof) in [
        (Key::rsa("rsa-1"), false),
        (Key::rsa("rsa-2"), true),
        (Key::ec("ec-1"), false),
        (Key::ec("ec-2"), true),
    ] {
        let client = story.okta.service_app(key.public(), &scopes, wants_proof);
        let path = story.write("key.pem", key.pem().as_bytes());
        story.set("ROLLCALL_OKTA_KEY_FILE", path.to_str().expect("UTF-8"));
        story.write_setup_toml_for(
            &format!("client_id = \"{client}\"\nkey_id = \"{}\"", key.kid),
            "[app]\nlabel = \"Rollcall\"\n",
        );
        // What is lacking is a fault, and is named.
        let ran = story.run(&["check"]).expect(1);
        assert!(ran.finding("ok", "credential").contains(&client));
        assert!(ran.finding("fault", "scopes").contains("okta.logs.read"));
    }
    // Another key.
    let path = story.write("key.pem", Key::rsa("x").pem().as_bytes());
    story.set("ROLLCALL_OKTA_KEY_FILE", path.to_str().expect("UTF-8"));
    story
        .run(&["check"])
        .expect_message(3, "does not accept the service app's key");
});

both!(okta_is_busy_or_gone_for_a_moment, |app| async move {
    let story = Story::new(app);
    for fault in [
        Fault::Limited,
        Fault::LimitedAtTheEdge,
        Fault::Broken,
        Fault::ReadOnly,
        Fault::LoseRequest,
    ] {
        story.okta.plan(When::Request("GET", "/users/me"), fault);
        story.run(&["check"]).expect(0);
    }
    for _ in 0..4 {
        story
            .okta
            .plan(When::Request("GET", "/users/me"), Fault::Limited);
    }
    story.run(&["check"]).expect_message(4, "rate limit");
});
