//! Authentication: tokens in every form that Okta sends, their scopes, expiry and revocation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Backend, Client, Database, Reply, Server, both, both_alone, id, sample, with_query,
};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Expects 401 with the challenge of RFC 6750 section 3 and a SCIM body.
async fn expect_unauthorized(client: &Client, error: Option<&str>) {
    let reply = client.get("/Users").await;
    let challenge = reply.header("www-authenticate").to_owned();
    assert!(challenge.contains("Bearer realm="), "{challenge:?}");
    match error {
        Some(error) => assert!(
            challenge.contains(&format!("error=\"{error}\"")),
            "{challenge:?}"
        ),
        None => assert!(!challenge.contains("error="), "{challenge:?}"),
    }
    reply.expect_error(401, "");
}

// R6750-2.1-01
both!(every_authorization_form_is_accepted, |app| async move {
    let token = app.token("forms", &["scim"]).await;
    for header in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("Bearer  {token}"),
        token.clone(),
        basic("okta", &token),
        basic("", &token),
        basic("okta", &token).replacen("Basic", "basic", 1),
    ] {
        let reply = app.authorization(&header).get("/Users").await;
        assert_eq!(reply.status, 200, "{header}");
    }
});

// R6750-3-01, R6750-3-02, R6750-3-03, R6750-3.1-02, R7644-2-01, R9110-11.4-01
both!(a_missing_or_invalid_token_is_rejected, |app| async move {
    expect_unauthorized(&app.anonymous(), None).await;
    let token = app.token("nobody", &["scim"]).await;
    let almost = format!("{token}x");
    let cut = token.get(1..).unwrap();
    for header in [
        "non-token",
        "Bearer non-token",
        "Bearer",
        "Basic",
        "Basic %%%",
        "Basic b2t0YQ==",
        "Digest username=\"okta\"",
        "Negotiate abc",
        "Bearer a b c",
        &almost,
        cut,
        &token.to_uppercase(),
        &basic("okta", "wrong"),
        &basic(&token, ""),
    ] {
        let reply = app.authorization(header).get("/Users").await;
        assert!(
            reply.header("www-authenticate").contains("Bearer"),
            "{header}"
        );
        let error = reply.expect_error(401, "");
        let detail = error["detail"].as_str().unwrap();
        assert!(
            !detail.contains("token-") && !detail.contains(cut),
            "{detail}"
        );
    }
    expect_unauthorized(
        &app.authorization("Bearer non-token"),
        Some("invalid_token"),
    )
    .await;
});

// R6750-2.3-01
both!(a_token_in_the_query_string_is_rejected, |app| async move {
    let token = app.token("address", &["scim"]).await;
    let path = format!("/Users?access_token={token}");
    app.anonymous().get(&path).await.expect_error(401, "");
});

// R7644-2-01, R7644-2.2-01, R7644-7.6-01
both!(every_endpoint_requires_a_token, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let group = app.create_group("A", &[id(&user)]).await;
    let anonymous = app.anonymous();
    let body = sample::user("new@example.com");
    let (user, group) = (
        format!("/Users/{}", id(&user)),
        format!("/Groups/{}", id(&group)),
    );
    for path in ["/Users", "/Groups", &user, &group] {
        anonymous.get(path).await.expect_error(401, "");
    }
    for path in ["/Users", "/Groups"] {
        anonymous.post(path, &body).await.expect_error(401, "");
    }
    for path in [&user, &group] {
        anonymous.put(path, &body).await.expect_error(401, "");
        anonymous.patch(path, &body).await.expect_error(401, "");
        anonymous.delete(path).await.expect_error(401, "");
    }
    // An unauthenticated caller cannot find out which resources exist.
    anonymous.get("/Users/unknown").await.expect_error(401, "");
    let site = anonymous.site();
    let tenant = json!({ "name": "intruder" });
    site.post("/admin/v1/tenants", &tenant)
        .await
        .expect_error(401, "");
    let token = json!({ "tenant": app.tenant, "name": "x", "scopes": ["scim"] });
    site.post("/admin/v1/tokens", &token)
        .await
        .expect_error(401, "");
    assert_eq!(app.list("/Users", &[]).await.total, 1);
});

// R6750-3.1-03, R7644-2-02, R7644-2.1-01, R7644-7.7-02
both!(a_read_scope_permits_only_reads, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let reader = app.client_with_scopes(&["read"]).await;
    assert_eq!(reader.get(&path).await.expect(200), user);
    assert_eq!(reader.list("/Users", &[]).await.total, 1);
    reader.list("/Groups", &[]).await;
    let body = sample::user("new@example.com");
    for reply in [
        reader.post("/Users", &body).await,
        reader.put(&path, &body).await,
        reader.patch(&path, &sample::patch(json!([]))).await,
        reader.delete(&path).await,
        reader.post("/Groups", &sample::group("A", &[])).await,
    ] {
        let challenge = reply.header("www-authenticate").to_owned();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge:?}"
        );
        reply.expect_error(403, "");
    }
    assert_eq!(app.user(id(&user)).await, user);
    assert_eq!(app.list("/Users", &[]).await.total, 1);
});

// R7644-2-02, R7644-2.1-01, R7644-7.7-02
both!(each_scope_grants_only_its_endpoints, |app| async move {
    let tenant = json!({ "name": "intruder" });
    let token = json!({ "tenant": app.tenant, "name": "x", "scopes": ["admin"] });
    for scopes in [&["scim"][..], &["read"], &["scim", "read"]] {
        let site = app.client_with_scopes(scopes).await.site();
        site.post("/admin/v1/tenants", &tenant)
            .await
            .expect_error(403, "");
        site.post("/admin/v1/tokens", &token)
            .await
            .expect_error(403, "");
    }
    let provisioner = app.client_with_scopes(&["scim"]).await;
    provisioner.list("/Users", &[]).await;
    let admin = app.client_with_scopes(&["admin"]).await;
    let refused = admin.post("/Users", &sample::user("a@example.com")).await;
    refused.expect_error(403, "");
});

both!(two_tokens_of_a_tenant_are_valid_at_once, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let old = app.client_with_scopes(&["scim"]).await;
    let new = app.client_with_scopes(&["scim"]).await;
    assert_eq!(old.user(id(&user)).await, new.user(id(&user)).await);
});

// R7644-7.4-01
both!(a_token_created_by_the_cli_works, |app| async move {
    let arguments = [
        "token",
        "create",
        "--tenant",
        &app.tenant,
        "cli",
        "--scope",
        "scim",
    ];
    let printed = app.database.cli_ok(&arguments);
    let token = printed.trim_end();
    assert_eq!(printed.lines().count(), 1, "the token alone: {printed:?}");
    let client = app.authorization(&format!("Bearer {token}"));
    client
        .post("/Users", &sample::user("ada@example.com"))
        .await
        .expect(201);
    let stored = format!(
        "SELECT count(*) AS n FROM tokens WHERE hash = '{token}' OR id = '{token}' OR name = '{token}'"
    );
    assert_eq!(app.database.count(&stored), 0, "stored in clear");
});

/// `token create --name NAME` is what scripts wrote before the name became an argument.
#[test]
fn a_token_s_name_may_be_given_as_a_flag() {
    let database = Database::fresh(Backend::Sqlite).expect("SQLite is always there");
    database.cli_ok(&["token", "create", "--name", "flag", "--scope", "scim"]);
    database.cli_ok(&["token", "create", "argument", "--scope", "scim"]);
    let listed = database.cli_ok(&["token", "list"]);
    assert!(
        listed.contains("flag") && listed.contains("argument"),
        "{listed}"
    );
    for wrong in [
        &["token", "create", "--scope", "scim"][..],
        &["token", "create", "a", "--name", "b", "--scope", "scim"],
    ] {
        assert!(!database.cli(wrong).status.success(), "{wrong:?}");
    }
}

// R6750-3.1-02, R6750-5.3-01, R7644-7.4-01
both!(an_expired_token_is_rejected, |app| async move {
    let token = app.token("short-lived", &["scim"]).await;
    let expire = format!(
        "UPDATE tokens SET expires = 1 WHERE name = 'short-lived' AND tenant_id = \
         (SELECT id FROM tenants WHERE name = '{}')",
        app.tenant
    );
    app.database.execute(&expire);
    let client = app.authorization(&format!("Bearer {token}"));
    expect_unauthorized(&client, Some("invalid_token")).await;
});

// R6750-3.1-02
both!(a_revoked_token_is_rejected_immediately, |app| async move {
    let arguments = [
        "token",
        "create",
        "--tenant",
        &app.tenant,
        &format!("leaked-{}", app.tenant),
        "--scope",
        "scim",
    ];
    let token = app.database.cli_ok(&arguments);
    let client = app.authorization(&format!("Bearer {}", token.trim_end()));
    client.list("/Users", &[]).await;
    app.database.cli_ok(&[
        "token",
        "revoke",
        &format!("leaked-{}", app.tenant),
        "--tenant",
        &app.tenant,
    ]);
    expect_unauthorized(&client, Some("invalid_token")).await;
});

/// Reads that authenticate the caller and answer in one statement, which may use the caller cache.
async fn cacheable_reads(client: &Client, user: &Value) -> [Reply; 2] {
    let filter = [("filter", "userName eq \"ada@example.com\"")];
    let found = client.get(&with_query("/Users", &filter)).await;
    [client.get(&format!("/Users/{}", id(user))).await, found]
}

// R6750-3.1-02
both!(a_changed_token_is_not_served_from_cache, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let change = |what: &str, name: &str| {
        format!(
            "UPDATE tokens SET {what} WHERE name = '{name}' AND tenant_id = \
             (SELECT id FROM tenants WHERE name = '{}')",
            app.tenant
        )
    };
    for (name, end) in [
        ("revoked", "revoked = 1"),
        ("expired", "expires = 1"),
        ("narrowed", "scopes = 'admin'"),
    ] {
        let client = Client::new(&app.server.address, &app.token(name, &["scim"]).await);
        for reply in cacheable_reads(&client, &user).await {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        for reply in cacheable_reads(&client, &user).await {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        // Directly in the database, as another node or an older version would do it.
        app.database.execute(&change(end, name));
        let expected = if name == "narrowed" { 403 } else { 401 };
        for reply in cacheable_reads(&client, &user).await {
            reply.expect_error(expected, "");
        }
    }
    let missing = app.get("/Users/nobody").await;
    missing.expect_error(404, "");
    // New settings of the tenant apply to the next request.
    let headers = [("accept", "text/html")];
    let path = format!("/Users/{}", id(&user));
    let ask = || app.send(Method::GET, &path, &headers, Vec::new());
    assert_eq!(ask().await.status, 200);
    app.set(&json!({ "compatibility": "strict" })).await;
    ask().await.expect_error(406, "");
});

both!(a_cached_caller_sees_only_its_fields, |app| async move {
    let user = app.create_user("ada@example.com").await;
    let body = json!({ "tenant": app.tenant, "name": "limited", "scopes": ["read"], "fields": ["name", "groups"] });
    let made = app
        .server
        .admin()
        .site()
        .post("/admin/v1/tokens", &body)
        .await;
    let reader = Client::new(&app.server.address, made.body["token"].as_str().unwrap());
    for _ in 0..2 {
        let [one, found] = cacheable_reads(&reader, &user).await;
        assert_eq!(one.status, 200, "{one:?}");
        assert_eq!(one.body.get("userName"), None);
        assert!(one.body.get("name").is_some());
        found.expect_error(403, "");
    }
});

both_alone!(
    the_bootstrap_token_is_valid_while_it_is_configured,
    |database: Database| async move {
        let server = Server::start(&database);
        let user = server.admin().create_user("ada@example.com").await;
        let first = server.bootstrap.clone();
        drop(server);

        // A second server, on a database that already holds data.
        let server = Server::start(&database);
        assert_eq!(server.admin().user(id(&user)).await["id"], user["id"]);
        let old = Client::new(&server.address, &first);
        expect_unauthorized(&old, Some("invalid_token")).await;
        let second = server.bootstrap.clone();
        drop(server);

        let server = Server::start_with(&database, &[], &[("ROLLCALL_BOOTSTRAP_TOKEN", "")]);
        let old = Client::new(&server.address, &second);
        expect_unauthorized(&old, Some("invalid_token")).await;
    }
);

both_alone!(
    only_the_first_start_prints_a_token,
    |database: Database| async move {
        let none = [("ROLLCALL_BOOTSTRAP_TOKEN", "")];
        let server = Server::start_with(&database, &[], &none);
        let tokens = "SELECT count(*) AS n FROM tokens";
        assert_eq!(database.count(tokens), 1);
        let printed = server.printed.join(" ");
        let token = printed.rsplit(' ').next().unwrap();
        let client = Client::new(&server.address, token);
        client.create_user("ada@example.com").await;
        assert!(!server.log().contains(token), "a token in the log");
        drop(server);

        let server = Server::start_with(&database, &[], &none);
        assert_eq!(database.count(tokens), 1, "made again");
        assert_eq!(server.printed, Vec::<String>::new());
    }
);

/// An Ed25519 key made for this test; it protects nothing.
const ISSUER_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// Returns an access token with the scopes `scp`, valid until `exp`, from an issuer whose key set
/// is in the server's configuration.
fn access_token(key: &jsonwebtoken::EncodingKey, scp: &str, exp: i64) -> String {
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some("k1".to_owned());
    let claims = json!({
        "iss": "https://id.example.com", "aud": "rollcall", "sub": "payroll", "scp": [scp], "exp": exp,
    });
    jsonwebtoken::encode(&header, &claims, key).expect("signs")
}

// R6750-5.3-01, R7644-2.1-01
both_alone!(
    an_issuers_access_token_works_for_its_tenant_only,
    |database: Database| async move {
        let key = jsonwebtoken::EncodingKey::from_ed_pem(ISSUER_KEY.as_bytes()).unwrap();
        let mut jwk =
            jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::EdDSA)
                .unwrap();
        jwk.common.key_id = Some("k1".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({ "keys": [jwk] }).to_string()).unwrap();
        let config = folder.path().join("rollcall.toml");
        let text = format!(
            "[[issuers]]\nissuer = \"https://id.example.com\"\naudience = \"rollcall\"\ntenant = \"acme\"\njwks_file = {:?}\n",
            keys.to_str().unwrap()
        );
        std::fs::write(&config, text).unwrap();
        database.cli_ok(&["tenant", "create", "acme"]);
        let token = database.cli_ok(&[
            "token", "create", "--tenant", "acme", "okta", "--scope", "scim",
        ]);
        let server = Server::start_with(&database, &["--config", config.to_str().unwrap()], &[]);
        Client::new(&server.address, token.trim())
            .create_user("ada@example.com")
            .await;

        const YEAR_2100: i64 = 4_102_444_800;
        let reader = Client::new(&server.address, &access_token(&key, "read", YEAR_2100));
        assert_eq!(reader.get("/Users").await.page().total, 1);
        reader
            .post("/Users", &sample::user("bob@example.com"))
            .await
            .expect_error(403, "");
        let expired = Client::new(&server.address, &access_token(&key, "read", 1));
        expect_unauthorized(&expired, Some("invalid_token")).await;
        let unscoped = Client::new(&server.address, &access_token(&key, "openid", YEAR_2100));
        unscoped.get("/Users").await.expect_error(403, "");
        // The token works for the issuer's tenant and no other.
        assert_eq!(server.admin().get("/Users").await.page().total, 0);
    }
);
