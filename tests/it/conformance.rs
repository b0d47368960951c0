//! Requirements of the standards that no other test covers. docs/conformance.md lists the
//! requirement ids that the comments name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Database, SCIM, Server, both, both_alone, id, sample};

// R6750-2-02, R6750-3.1-01, R6750-3-03
both!(a_request_with_two_tokens_is_rejected, |app| async move {
    let token = app.credentials().trim_start_matches("Bearer ").to_owned();
    let bearer = app.credentials().to_owned();
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let anonymous = app.anonymous();
        anonymous.send(Method::GET, path, headers, Vec::new()).await
    };
    let twice = format!("/Users?access_token={token}");
    for refused in [
        get(&twice, &[("authorization", &bearer)]).await,
        get(
            "/Users",
            &[("authorization", &bearer), ("authorization", &bearer)],
        )
        .await,
    ] {
        let challenge = refused.header("www-authenticate").to_owned();
        assert_eq!(
            challenge,
            r#"Bearer realm="rollcall", error="invalid_request""#
        );
        let error = refused.expect_error(400, "");
        assert!(!error.to_string().contains(&token));
    }
    get("/Users", &[("authorization", &bearer)]).await.page();
});

// R6750-2.2-01
both!(a_token_in_a_form_body_is_ignored, |app| async move {
    let token = app.credentials().trim_start_matches("Bearer ");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let form = format!("access_token={token}").into_bytes();
    let anonymous = app.anonymous();
    let refused = anonymous.send(Method::POST, "/Users", &headers, form).await;
    refused.expect_error(401, "");
});

// R6750-5.3-02
both!(shared_caches_may_not_store_a_response, |app| async move {
    let user = app.create_user("ada@example.com").await;
    for path in ["/Users".to_owned(), format!("/Users/{}", id(&user))] {
        let reply = app.get(&path).await;
        let caching = reply.header("cache-control");
        assert!(
            caching.contains("no-store") || caching.contains("private"),
            "{path}: {caching}"
        );
    }
});

// R7644-2-04, R9700-2.4-01
both_alone!(
    a_users_password_is_not_a_credential,
    |database: Database| async move {
        let server = Server::start_with(&database, &[], &[("ROLLCALL_PASSWORD_SYNC", "on")]);
        let client = server.admin();
        let mut body = sample::user("ada@example.com");
        body["password"] = json!("S3cret-q7Lm2xz");
        client.post("/Users", &body).await.expect(201);
        let anonymous = client.anonymous();
        let reply = anonymous
            .authorization("Basic YWRhQGV4YW1wbGUuY29tOlMzY3JldC1xN0xtMnh6")
            .get("/Users")
            .await;
        reply.expect_error(401, "");
        let grant = b"grant_type=password&username=ada@example.com&password=S3cret-q7Lm2xz";
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        for path in ["/token", "/oauth2/token", "/scim/v2/token"] {
            let site = anonymous.site();
            let reply = site.send(Method::POST, path, &headers, grant.to_vec());
            assert_eq!(reply.await.status, 404, "{path}");
        }
    }
);

// R7644-3.12-02, R7644-3.12-04, R7644-3.12-01
both!(each_error_body_contains_its_status, |app| async move {
    app.create_user("ada@example.com").await;
    let reader = app.client_with_scopes(&["read"]).await;
    let body = sample::user("ada@example.com");
    let stale = [("if-match", "W/\"no\""), ("content-type", SCIM)];
    let user = app.create_user("bob@example.com").await;
    let path = format!("/Users/{}", id(&user));
    let bytes = body.to_string().into_bytes();
    for (reply, status, scim_type) in [
        (app.get("/Users?filter=x").await, 400, Some("invalidFilter")),
        (app.anonymous().get("/Users").await, 401, None),
        (reader.post("/Users", &body).await, 403, None),
        (app.get("/Users/nobody").await, 404, None),
        (app.delete("/Users").await, 405, None),
        (app.post("/Users", &body).await, 409, Some("uniqueness")),
        (
            app.send(Method::PUT, &path, &stale, bytes.clone()).await,
            412,
            None,
        ),
        (
            app.send(
                Method::POST,
                "/Users",
                &[("content-type", "text/plain")],
                bytes,
            )
            .await,
            415,
            None,
        ),
    ] {
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.body["status"], json!(status.to_string()));
        assert_eq!(
            reply.body.get("scimType").and_then(Value::as_str),
            scim_type
        );
        assert_eq!(reply.header("content-type"), SCIM);
    }
});

// RINTEROP-4-01, R9967-4-01
both!(the_service_claims_no_profile, |app| async move {
    let config = app.get("/ServiceProviderConfig").await.expect(200);
    for claim in ["interopProfileConformant", "securityEvents"] {
        assert!(config.get(claim).is_none(), "{config}");
    }
});

// RINTEROP-5.4-01
both!(the_schema_publishes_canonical_types, |app| async move {
    let user = app
        .get(&format!("/Schemas/{}", sample::USER))
        .await
        .expect(200);
    let named = |list: &Value, name: &str| {
        let mut found = list.as_array().unwrap().iter();
        found
            .find(|one| one["name"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("no {name} in {list}"))
    };
    for name in ["emails", "phoneNumbers", "ims", "addresses"] {
        let attribute = named(&user["attributes"], name);
        let kind = named(&attribute["subAttributes"], "type");
        let values = kind["canonicalValues"].as_array().unwrap();
        assert!(!values.is_empty(), "{name}");
    }
});

// RINTEROP-6.1-01
both!(only_an_id_addresses_a_resource, |app| async move {
    let mut body = sample::user("ada");
    body["externalId"] = json!("00uAda");
    app.post("/Users", &body).await.expect(201);
    for other in ["ada", "00uAda"] {
        let reply = app.get(&format!("/Users/{other}")).await;
        reply.expect_error(404, "");
    }
});
