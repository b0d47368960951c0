//! Okta pushes, in both its dialects: its CRUD suite row by row, and what admins do beside.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::fake_okta::{Click, Dialect};
use crate::harness::{TestApp, both, member_ids};

use super::story::Story;

/// An app of each dialect.
const APPS: [(Option<&str>, Dialect); 3] = [
    (Some("scim2headerauth"), Dialect::Patch),
    (Some("scim2testapp"), Dialect::Patch),
    (None, Dialect::Put),
];

both!(the_crud_suite_row_by_row, |app| async move {
    let story = Story::new(app);
    for (name, dialect) in APPS {
        let id = story.connected_app(name).await;
        assert_eq!(story.okta.connection(&id).dialect, dialect);
        crud(&story, &id, &format!("Runscope{id}@atko.com")).await;
    }
    assert!(
        story.okta.failures().is_empty(),
        "{:?}",
        story.okta.failures()
    );
});

both!(
    from_an_empty_org_to_a_provisioned_and_deprovisioned_user,
    |app| async move {
        let saml = "kind = \"saml\"\nsaml = { acs_url = \"https://acme.example/acs\", audience = \"https://acme.example/acs\" }";
        for (kind, dialect) in [("", Dialect::Patch), (saml, Dialect::Put)] {
            let story = Story::new(app.neighbour().await);
            story.write_setup_toml(&format!("[app]\nlabel = \"Rollcall\"\n{kind}\n"));
            let before = story.okta.snapshot();
            story.apply().expect(2);
            let id = story.okta.app("Rollcall");
            story.click(&id).await;
            story.apply_after_manual_steps().expect(0);
            assert_eq!(story.okta.connection(&id).dialect, dialect);
            crud(&story, &id, "Runscope@atko.com").await;
            assert!(
                story.okta.failures().is_empty(),
                "{:?}",
                story.okta.failures()
            );
            story.run(&["remove", "--yes"]).expect(0);
            let after = story.okta.snapshot();
            assert_eq!(
                (&after["apps"], &after["mappings"]),
                (&before["apps"], &before["mappings"])
            );
            let users = story.ours().list("/Users", &[]).await.resources;
            assert_eq!((users.len(), &users[0]["active"]), (1, &json!(false)));
        }
    }
);

/// Rows 1 to 13 of Okta's CRUD suite; where it waits for some seconds, this waits until Okta is
/// done.
async fn crud(story: &Story, app: &str, email: &str) {
    // 1
    let (status, _) = story
        .okta_api(Method::GET, &format!("/apps/{app}"), None)
        .await;
    assert_eq!(status, 200);
    // 2
    let profile = json!({
        "firstName": "Runscope", "lastName": "Tester", "email": email, "login": email,
        "title": "Engineer", "primaryPhone": "415.123.4567", "displayName": "Runscope Tester",
    });
    let body = json!({ "profile": profile, "credentials": { "password": { "value": "S3cret-passw0rd" } } });
    let (status, user) = story
        .okta_api(Method::POST, "/users?activate=true", Some(body))
        .await;
    assert_eq!(status, 200, "{user}");
    let user = user["id"].as_str().expect("an id").to_owned();
    // 3
    assign(story, app, &user, email).await;
    // 4
    let path = format!(
        "/Users?filter=userName%20eq%20%22{}%22",
        email.replace('@', "%40")
    );
    let found = story.ours().get(&path).await.page();
    let ours = &found.resources[0];
    assert_eq!(ours["userName"], email);
    assert_eq!(ours["emails"][0]["value"], email);
    assert_eq!(ours["name"]["familyName"], "Tester");
    assert_eq!(ours["name"]["givenName"], "Runscope");
    let id = ours["id"].as_str().expect("an id").to_owned();
    assert_eq!(story.okta.external_id(app, &user), id);
    // 5
    let change = json!({ "profile": { "firstName": "Runscopeupdate" } });
    let (status, _) = story
        .okta_api(Method::PUT, &format!("/users/{user}"), Some(change))
        .await;
    assert_eq!(status, 200);
    story.okta.settle();
    // 6
    assert_eq!(
        story.ours().user(&id).await["name"]["givenName"],
        "Runscopeupdate"
    );
    // 7
    lifecycle(story, &user, "deactivate").await;
    // 8
    assert_eq!(story.ours().user(&id).await["active"], false);
    // 9: nothing is sent until the app is assigned again.
    let before = story.ours().user(&id).await;
    lifecycle(story, &user, "activate").await;
    assert_eq!(story.ours().user(&id).await, before);
    // 10
    assign(story, app, &user, email).await;
    // 11
    assert_eq!(story.ours().user(&id).await["active"], true);
    assert_eq!(story.okta.external_id(app, &user), id);
    // 12
    let path = format!("/apps/{app}/users/{user}");
    let (status, _) = story.okta_api(Method::DELETE, &path, None).await;
    assert_eq!(status, 204);
    story.okta.settle();
    // 13
    assert_eq!(story.ours().user(&id).await["active"], false);
}

async fn assign(story: &Story, app: &str, user: &str, email: &str) {
    let profile = json!({ "familyName": "Tester", "givenName": "Runscope", "emailType": "work", "email": email });
    let body = json!({
        "id": user, "scope": "USER", "credentials": { "userName": email }, "profile": profile,
    });
    let path = format!("/apps/{app}/users");
    let (status, said) = story.okta_api(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 200, "{said}");
    story.okta.settle();
}

async fn lifecycle(story: &Story, user: &str, step: &str) {
    let path = format!("/users/{user}/lifecycle/{step}");
    let (status, _) = story.okta_api(Method::POST, &path, None).await;
    assert_eq!(status, 200);
    story.okta.settle();
}

both!(an_existing_user_is_taken_over, |app| async move {
    for (name, _) in APPS {
        let story = Story::new(app.neighbour().await);
        let mut known = crate::harness::sample::user("ADA@acme.example");
        known["active"] = json!(false);
        let known = story.ours().post("/Users", &known).await.expect(201);
        let id = story.connected_app(name).await;
        let ada = story.okta.hire("ada@acme.example");
        assign(&story, &id, &ada, "ada@acme.example").await;
        assert_eq!(story.okta.external_id(&id, &ada), known["id"]);
        let user = story
            .ours()
            .user(known["id"].as_str().expect("an id"))
            .await;
        assert_eq!(
            (&user["active"], &user["userName"]),
            (&json!(true), &json!("ada@acme.example"))
        );
        assert_eq!(user["externalId"], ada);
    }
});

both!(
    groups_are_pushed_in_chunks_and_follow_okta,
    |app| async move {
        for (name, _) in APPS {
            pushed_groups(app.neighbour().await, name).await;
        }
    }
);

async fn pushed_groups(app: TestApp, name: Option<&str>) {
    let story = Story::new(app);
    let okta = &story.okta;
    let id = story.connected_app(name).await;
    let staff: Vec<String> = (0..130)
        .map(|number| okta.hire(&format!("s{number}@acme.example")))
        .collect();
    let staff: Vec<&str> = staff.iter().map(String::as_str).collect();
    let assigned = okta.group("Everybody of Acme", &staff);
    let pushed = okta.group("Surveyors", &staff[..120]);
    let (status, _) = story
        .okta_api(Method::PUT, &format!("/apps/{id}/groups/{assigned}"), None)
        .await;
    assert_eq!(status, 200);
    okta.settle();
    let body =
        json!({ "sourceGroupId": pushed, "targetGroupName": "Surveyors", "status": "ACTIVE" });
    let path = format!("/apps/{id}/group-push/mappings");
    let (status, mapping) = story.okta_api(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 200, "{mapping}");
    okta.settle();
    let members = async |name: &str| {
        let filter = format!("displayName eq \"{name}\"");
        let page = story.ours().list("/Groups", &[("filter", &filter)]).await;
        assert_eq!(page.total, 1, "{name}");
        member_ids(&page.resources[0])
    };
    let expected = |users: &[&str]| {
        let ids: BTreeSet<String> = users
            .iter()
            .map(|user| okta.external_id(&id, user))
            .collect();
        ids.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(members("Surveyors").await, expected(&staff[..120]));
    // Some go, some come, it gets another name.
    for user in &staff[..3] {
        okta.leave(&pushed, user);
    }
    okta.join(&pushed, staff[125]);
    okta.rename_group(&pushed, "Surveyors West");
    okta.settle();
    let mut expected_members = staff[3..120].to_vec();
    expected_members.push(staff[125]);
    assert_eq!(members("Surveyors West").await, expected(&expected_members));
    okta.push_now(&id, &pushed);
    okta.settle();
    assert_eq!(members("Surveyors West").await, expected(&expected_members));
    // Unlinked with `delete the group in the target app`; the people stay.
    let path = format!("{path}/{}", mapping["id"].as_str().expect("an id"));
    let off = json!({ "status": "INACTIVE" });
    assert_eq!(story.okta_api(Method::PATCH, &path, Some(off)).await.0, 200);
    let path = format!("{path}?deleteTargetGroup=true");
    assert_eq!(story.okta_api(Method::DELETE, &path, None).await.0, 204);
    okta.settle();
    assert!(story.ours().find_groups("displayName pr").await.is_empty());
    assert_eq!(okta.import(&id).await.len(), 130);
    assert!(okta.failures().is_empty(), "{:?}", okta.failures());
}

both!(a_synced_password_and_an_own_attribute, |app| async move {
    for (name, _) in APPS {
        let story = Story::new(app.neighbour().await);
        let id = story.connected_app(name).await;
        story.okta.click_to_app(&id, &[Click::SyncPassword]);
        let ada = story.okta.hire("ada@acme.example");
        assign(&story, &id, &ada, "ada@acme.example").await;
        story.okta.change_password(&id, &ada, "A new one 1!");
        story.okta.edit_profile(&ada, json!({ "lastName": "King" }));
        story.okta.settle();
        let user = story.ours().user(&story.okta.external_id(&id, &ada)).await;
        assert_eq!(user["name"]["familyName"], "King");
        assert!(
            story.okta.failures().is_empty(),
            "{:?}",
            story.okta.failures()
        );
    }
});

both!(a_wrong_token_is_not_saved, |app| async move {
    let story = Story::new(app);
    let id = story.connected_app(Some("scim2headerauth")).await;
    let before = story.okta.connection(&id);
    let base_url = story.app.base_url();
    let typed = crate::fake_okta::Typed {
        base_url: &base_url,
        token: "Bearer wrong",
    };
    let refused = story
        .okta
        .click_integration(&id, typed)
        .await
        .expect_err("a refusal");
    assert!(refused.contains("401"), "{refused}");
    assert_eq!(story.okta.connection(&id), before);
});

both!(
    who_failed_is_pushed_again_when_an_admin_asks,
    |app| async move {
        for (name, _) in APPS {
            let story = Story::new(app.neighbour().await);
            story.connected_app(name).await;
            let id = story.okta.app("By hand");
            let ada = story.okta.hire("ada@acme.example");
            // No name that a server could take.
            story.okta.edit_profile(&ada, json!({ "login": "" }));
            assign(&story, &id, &ada, "").await;
            let (status, sync_state, ours) = story.okta.app_user(&id, &ada).expect("assigned");
            assert_eq!((status, sync_state, ours), ("STAGED", "ERROR", None));
            assert!(story.okta.failures()[0].contains("Errors reported by remote server: "));
            story
                .okta
                .edit_profile(&ada, json!({ "login": "ada@acme.example" }));
            story.okta.retry_failed(&id);
            story.okta.settle();
            let ours = story.okta.external_id(&id, &ada);
            assert_eq!(story.ours().user(&ours).await["active"], true);
            story.okta.deactivate_user(&ada);
            story.okta.settle();
            assert_eq!(story.ours().user(&ours).await["active"], false);
        }
    }
);
