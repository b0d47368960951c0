//! The discovery endpoints (RFC 7644 section 4): they are accurate and read-only.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{SCIM, both, sample, texts};

// R7643-3.1-11, R7643-5-01, R7643-5-02, R7644-4-01, R7644-4-06
both!(the_provider_config_matches_the_behavior, |app| async move {
    let config = app.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(config["patch"]["supported"], true);
    assert_eq!(config["filter"]["supported"], true);
    assert!(config["filter"]["maxResults"].as_u64().unwrap() >= 100);
    let types: Vec<String> = texts(config["authenticationSchemes"].as_array().unwrap(), "type");
    assert!(types.contains(&"oauthbearertoken".to_owned()), "{types:?}");
    assert!(types.contains(&"httpbasic".to_owned()), "{types:?}");
    assert_eq!(config["meta"]["resourceType"], "ServiceProviderConfig");
    let location = format!("{}/ServiceProviderConfig", app.base_url());
    assert_eq!(config["meta"]["location"], location);

    // A feature listed as unsupported is absent, and one listed as supported works.
    let bulk = app.post("/Bulk", &json!({})).await.status;
    let bulk_said = config["bulk"]["supported"].as_bool().unwrap();
    assert_eq!(bulk_said, bulk != 501 && bulk != 404, "bulk answers {bulk}");
    let created = app.post("/Users", &sample::user("ada@example.com")).await;
    let etag_said = config["etag"]["supported"].as_bool().unwrap();
    assert_eq!(etag_said, created.headers.contains_key("etag"));
});

// R7643-5-03, R7644-4-08
both!(the_provider_config_requires_no_token, |app| async move {
    let anonymous = app.anonymous();
    let config = anonymous.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(config, app.get("/ServiceProviderConfig").await.expect(200));
});

// R7643-6-01, R7643-6-03, R7644-4-03, R7644-4-06, R7644-4-07, RINTEROP-5.1-01
both!(the_resource_types_are_listed, |app| async move {
    let page = app.get("/ResourceTypes").await.page();
    assert_eq!(texts(&page.resources, "name"), ["User", "Group"]);
    assert_eq!(texts(&page.resources, "endpoint"), ["/Users", "/Groups"]);
    assert_eq!(
        texts(&page.resources, "schema"),
        [sample::USER, sample::GROUP]
    );
    let enterprise = json!([{ "schema": sample::ENTERPRISE, "required": false }]);
    assert_eq!(page.resources[0]["schemaExtensions"], enterprise);
    for listed in &page.resources {
        assert_eq!(listed["meta"]["resourceType"], "ResourceType");
        let path = format!("/ResourceTypes/{}", listed["name"].as_str().unwrap());
        assert_eq!(
            listed["meta"]["location"],
            format!("{}{path}", app.base_url())
        );
        assert_eq!(&app.get(&path).await.expect(200), listed);
    }
    app.get("/ResourceTypes/Robot").await.expect_error(404, "");
});

// R7643-7-01, R7643-7-09, R7644-3.1-01, R7644-4-02, R7644-4-06, R7644-4-09, RINTEROP-5.1-01
both!(the_schemas_are_listed, |app| async move {
    let page = app.get("/Schemas").await.page();
    let ids = page.ids();
    for urn in [sample::USER, sample::GROUP, sample::ENTERPRISE] {
        assert!(ids.contains(&urn.to_owned()), "{urn}: {ids:?}");
    }
    assert!(!ids.iter().any(|id| id.contains(":api:messages:")));
    for listed in &page.resources {
        assert_eq!(listed["meta"]["resourceType"], "Schema");
        let urn = listed["id"].as_str().unwrap();
        assert_eq!(
            &app.get(&format!("/Schemas/{urn}")).await.expect(200),
            listed
        );
        let upper = app.get(&format!("/Schemas/{}", urn.to_uppercase())).await;
        assert_eq!(&upper.expect(200), listed);
        for attribute in listed["attributes"].as_array().unwrap() {
            assert_complete(attribute);
        }
    }
    app.get("/Schemas/urn:unknown").await.expect_error(404, "");
});

both!(
    external_ids_are_listed_for_users_and_groups,
    |app| async move {
        let expected = json!({
            "name": "externalId", "type": "string", "multiValued": false, "required": false, "caseExact": true,
            "mutability": "readWrite", "returned": "default", "uniqueness": "none",
            "description": "The identifier that the provisioning client gave to the resource."
        });
        for listed in app.get("/Schemas").await.page().resources {
            let attributes = listed["attributes"].as_array().unwrap();
            let found: Vec<&Value> = attributes
                .iter()
                .filter(|attribute| attribute["name"] == "externalId")
                .collect();
            let urn = listed["id"].as_str().unwrap();
            if [sample::USER, sample::GROUP].contains(&urn) {
                assert_eq!(found, [&expected], "{urn}");
            } else {
                assert!(found.is_empty(), "{urn}");
            }
        }
        for urn in [sample::USER, sample::GROUP] {
            let one = app.get(&format!("/Schemas/{urn}")).await.expect(200);
            assert_eq!(one["attributes"][0], expected);
        }
    }
);

/// Checks that every characteristic of RFC 7643 section 7 is present.
fn assert_complete(attribute: &Value) {
    for name in ["name", "type", "mutability", "returned", "description"] {
        assert!(attribute[name].is_string(), "{name}: {attribute}");
    }
    for name in ["multiValued", "required"] {
        assert!(attribute[name].is_boolean(), "{name}: {attribute}");
    }
    match attribute["type"].as_str().unwrap() {
        "complex" => {
            let subs = attribute["subAttributes"]
                .as_array()
                .expect("sub-attributes");
            assert!(!subs.is_empty());
            subs.iter().for_each(assert_complete);
        }
        "reference" => assert!(attribute["referenceTypes"].is_array(), "{attribute}"),
        "string" => {
            assert!(attribute["caseExact"].is_boolean(), "{attribute}");
            assert!(attribute["uniqueness"].is_string(), "{attribute}");
        }
        _ => {}
    }
}

// R7644-4-04, R7644-4-05
both!(discovery_forbids_filters, |app| async move {
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        let filtered = format!("{path}?filter=id%20pr");
        app.get(&filtered).await.expect_error(403, "");
    }
    for path in ["/ResourceTypes", "/Schemas"] {
        let whole = app.get(path).await.page();
        let paged = app
            .get(&format!("{path}?count=1&startIndex=2&sortBy=id"))
            .await;
        assert_eq!(paged.page().ids(), whole.ids(), "{path}");
    }
});

// R7643-7-02
both!(discovery_is_read_only, |app| async move {
    let urn = format!("/Schemas/{}", sample::USER);
    for path in [
        "/ServiceProviderConfig",
        "/ResourceTypes",
        "/ResourceTypes/User",
        "/Schemas",
        &urn,
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for body in ["{}", "test", ""] {
                let headers = [("content-type", SCIM)];
                let bytes = body.as_bytes().to_vec();
                let refused = app.send(method.clone(), path, &headers, bytes).await;
                let allow = refused.header("allow").to_owned();
                assert!(allow.contains("GET"), "{method} {path}: Allow is {allow:?}");
                refused.expect_error(405, "");
            }
        }
    }
});
