//! What a token may create and manage, and what it is called.

use jiff::SignedDuration;
use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Client, Database, Server, TestApp, both, both_alone, texts};

fn hours_from_now(hours: i64) -> String {
    (SystemClock::default().now() + SignedDuration::from_hours(hours)).to_string()
}

/// Returns a client of the instance's administration with a token of these scopes in the tenant
/// `default`.
async fn with_default_token(app: &TestApp, name: &str, scopes: &[&str]) -> Client {
    let name = format!("{name}-{}", app.tenant);
    let new = json!({ "name": name, "scopes": scopes });
    let admin = app.server.admin().site();
    let created = admin.post("/admin/v1/tokens", &new).await.plain(201);
    Client::new(&app.server.address, created["token"].as_str().unwrap()).site()
}

both!(
    operators_manage_all_tenants_and_admins_their_own,
    |app| async move {
        let admin = with_default_token(&app, "admin", &["admin", "scim"]).await;
        let operator = with_default_token(&app, "operator", &["operator"]).await;
        let tokens = format!("/admin/v1/tokens?tenant={}", app.tenant);
        let webhooks = format!("/admin/v1/webhooks?tenant={}", app.tenant);
        let settings = format!("/admin/v1/tenants/{}", app.tenant);
        for path in [&tokens, &webhooks] {
            assert_eq!(admin.get(path).await.status, 404, "{path}");
            assert_eq!(operator.get(path).await.status, 200, "{path}");
        }
        let strict = json!({ "compatibility": "strict" });
        assert_eq!(admin.patch(&settings, &strict).await.status, 404);
        assert_eq!(operator.patch(&settings, &strict).await.status, 200);
        let name = json!({ "name": format!("more-{}", app.tenant) });
        admin
            .post("/admin/v1/tenants", &name)
            .await
            .expect_error(403, "");
        assert_eq!(operator.post("/admin/v1/tenants", &name).await.status, 201);
        let tenants = admin.get("/admin/v1/tenants").await.plain(200);
        assert_eq!(texts(tenants.as_array().unwrap(), "name"), ["default"]);
        let tenants = operator.get("/admin/v1/tenants").await.plain(200);
        assert!(texts(tenants.as_array().unwrap(), "name").contains(&app.tenant));

        // An admin cannot make itself an operator, and a tenant has none.
        let scopes = json!(["operator"]);
        let escalated = json!({ "name": format!("up-{}", app.tenant), "scopes": scopes });
        admin
            .post("/admin/v1/tokens", &escalated)
            .await
            .expect_error(403, "");
        assert_eq!(
            operator.post("/admin/v1/tokens", &escalated).await.status,
            201
        );
        let inside = json!({ "tenant": app.tenant, "name": "up", "scopes": scopes });
        let refused = operator.post("/admin/v1/tokens", &inside).await;
        refused.expect_error(400, "");
        operator.get("/scim/v2/Users").await.expect_error(403, "");
    }
);

both!(a_token_creates_none_that_outlives_it, |app| async move {
    let new = |name: &str, expires: Option<&str>| json!({ "tenant": app.tenant, "name": name, "scopes": ["admin", "read"], "expires": expires });
    let end = hours_from_now(2);
    let operator = app.server.admin().site();
    let path = "/admin/v1/tokens";
    let week = operator
        .post(path, &new("week", Some(&end)))
        .await
        .plain(201);
    let week = Client::new(&app.server.address, week["token"].as_str().unwrap()).site();
    for expires in [None, Some(hours_from_now(3))] {
        let refused = week.post(path, &new("longer", expires.as_deref())).await;
        let error = refused.expect_error(400, "");
        assert!(
            error["detail"].as_str().unwrap().contains("expires"),
            "{error}"
        );
    }
    for (name, expires) in [("same", end), ("shorter", hours_from_now(1))] {
        let created = week.post(path, &new(name, Some(&expires))).await;
        assert_eq!(created.status, 201, "{created:?}");
    }
    let names: Vec<String> = texts(week.get(path).await.plain(200).as_array().unwrap(), "name");
    assert!(!names.contains(&"longer".to_owned()), "{names:?}");
});

both!(a_token_is_revoked_by_its_name_or_its_id, |app| async move {
    let admin = app.client_with_scopes(&["admin"]).await.site();
    for name in ["one", "two"] {
        app.token(name, &["scim"]).await;
    }
    let tokens = admin.get("/admin/v1/tokens").await.plain(200);
    let find = |name: &str| -> Value {
        let all = tokens.as_array().unwrap();
        all.iter()
            .find(|token| token["name"] == name)
            .unwrap()
            .clone()
    };
    let id = find("one")["id"].as_str().unwrap().to_owned();
    // The id of a token cannot be the name of another.
    for name in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
        let named = json!({ "name": name, "scopes": ["read"] });
        admin
            .post("/admin/v1/tokens", &named)
            .await
            .expect_error(400, "");
    }
    assert_eq!(
        admin.delete(&format!("/admin/v1/tokens/{id}")).await.status,
        204
    );
    assert_eq!(admin.delete("/admin/v1/tokens/one").await.status, 404);
    assert_eq!(
        admin.delete(&format!("/admin/v1/tokens/{id}")).await.status,
        404
    );
    assert_eq!(admin.delete("/admin/v1/tokens/two").await.status, 204);
    let neighbour = app.neighbour().await;
    neighbour.token("theirs", &["scim"]).await;
    let theirs = neighbour.client_with_scopes(&["admin"]).await.site();
    let theirs = theirs.get("/admin/v1/tokens").await.plain(200);
    let id = theirs[0]["id"].as_str().unwrap();
    assert_eq!(
        admin.delete(&format!("/admin/v1/tokens/{id}")).await.status,
        404
    );
});

both!(
    names_of_tokens_have_no_hidden_characters,
    |app| async move {
        let admin = app.client_with_scopes(&["admin"]).await.site();
        for name in [
            "okta\u{202e}",
            "ok\u{200b}ta",
            "\u{2066}okta",
            "ok\nta",
            "\u{85}",
            "bootstrap",
        ] {
            let named = json!({ "name": name, "scopes": ["read"] });
            let refused = admin.post("/admin/v1/tokens", &named).await;
            refused.expect_error(400, "");
            let arguments = [
                "token",
                "create",
                "--tenant",
                &app.tenant,
                "--scope",
                "read",
                name,
            ];
            assert!(!app.database.cli(&arguments).status.success(), "{name:?}");
        }
    }
);

both_alone!(
    token_max_days_limits_new_tokens,
    |database: Database| async move {
        let server = Server::start_with(&database, &["--token-max-days", "1"], &[]);
        let admin = server.admin().site();
        for (expires, status) in [
            (None, 400),
            (Some(hours_from_now(25)), 400),
            (Some(hours_from_now(23)), 201),
        ] {
            let new = json!({ "name": "okta", "scopes": ["scim"], "expires": expires });
            let created = admin.post("/admin/v1/tokens", &new).await;
            assert_eq!(created.status, status, "{created:?}");
        }
        let limit = [("ROLLCALL_TOKEN_MAX_DAYS", "1")];
        let create = ["token", "create", "cli", "--scope", "read"];
        assert!(!database.cli_in(&create, &limit).status.success());
        let create = [
            "token",
            "create",
            "cli",
            "--scope",
            "read",
            "--expires",
            "12h",
        ];
        assert!(database.cli_in(&create, &limit).status.success());
    }
);

both_alone!(
    the_bootstrap_token_is_long_and_may_be_in_a_file,
    |database: Database| async move {
        let short = [(
            "ROLLCALL_BOOTSTRAP_TOKEN",
            "short-but-31-characters-long-ab",
        )];
        let refused = database.cli_in(&["serve", "--listen", "127.0.0.1:0"], &short);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("bootstrap_token"),
            "{said}"
        );
        assert!(!said.contains("short-but"), "a secret in an error: {said}");

        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let token = "a-token-of-exactly-32-characters";
        std::fs::write(path, format!("{token}\n")).unwrap();
        let environment = [
            ("ROLLCALL_BOOTSTRAP_TOKEN", ""),
            ("ROLLCALL_BOOTSTRAP_TOKEN_FILE", path),
        ];
        let server = Server::start_with(&database, &[], &environment);
        Client::new(&server.address, token)
            .create_user("ada@example.com")
            .await;
        let log = server.log();
        assert!(
            log.contains("does not expire") && !log.contains(token),
            "{log}"
        );
        drop(server);

        std::fs::write(path, "short").unwrap();
        let refused = database.cli_in(&["serve", "--listen", "127.0.0.1:0"], &environment);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("bootstrap_token_file"),
            "{said}"
        );
    }
);

both_alone!(
    admins_of_the_default_tenant_stay_operators,
    |database: Database| async move {
        let server = Server::start(&database);
        let admin = server.admin().site();
        let create = |name: &str, scopes: &[&str]| {
            let new = json!({ "name": name, "scopes": scopes });
            let admin = admin.clone();
            async move { admin.post("/admin/v1/tokens", &new).await.plain(201) }
        };
        create("old", &["scim", "admin"]).await;
        create("reader", &["read"]).await;
        drop(server);
        // As the version before the scope left it.
        database.execute("DELETE FROM __diesel_schema_migrations WHERE version = '0015'");
        database.cli_ok(&["migrate"]);
        let scopes = database.texts("SELECT scopes AS t FROM tokens ORDER BY name");
        assert_eq!(scopes, ["scim admin operator", "read"]);
    }
);
