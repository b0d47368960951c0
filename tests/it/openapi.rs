//! The OpenAPI document is the committed one, its examples are valid, and the service behaves as
//! described.

use std::collections::BTreeSet;
use std::{fs, iter};

use reqwest::Method;
use rollcall::auth::Scope;
use rollcall::http::endpoint::{Accepts, Authorization};
use rollcall::http::endpoints::Served;
use rollcall::http::{SCIM_ROOT, endpoints, openapi};
use scim_core::Registry;
use serde_json::{Map, Value, json};

use crate::harness::{Client, Reply, SCIM, both};

/// The stream never ends; the tests of the feed read it.
const STREAM: &str = "/directory/v1/changes/stream";
/// The page for browsers, which is not part of the API.
const PAGE: &str = "/docs";

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let committed = fs::read_to_string(path).unwrap();
    let generated = openapi::document(&Registry::standard())
        .to_pretty_json()
        .unwrap()
        + "\n";
    assert!(
        committed == generated,
        "openapi/openapi.json is out of date; write it anew with `just openapi`, or \
         `cargo run -- openapi > openapi/openapi.json`, and look at what changed"
    );
}

#[test]
fn every_example_validates() {
    let document = Document::new();
    let mut checked = 0;
    for (path, method, operation) in document.operations() {
        let responses = operation["responses"].as_object().unwrap().values();
        let bodies = responses
            .map(|response| document.resolve(response))
            .chain(operation.get("requestBody"));
        let contents = bodies
            .filter_map(|body| body.get("content")?.as_object())
            .flat_map(Map::values);
        for content in contents {
            let named = content
                .get("examples")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::values);
            let examples = named
                .map(|example| &example["value"])
                .chain(content.get("example"));
            for example in examples {
                document.validate(
                    &content["schema"],
                    example,
                    &format!("{method} {path}: {example}"),
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} examples");
}

#[test]
fn every_route_is_described() {
    let document = Document::new();
    let served = endpoints::served(&Registry::standard());
    assert!(served.len() > 50, "only {} endpoints", served.len());
    for Served { path, endpoint, .. } in served {
        if !path.starts_with(PAGE) {
            document.operation(endpoint.method.as_str(), &path);
        }
    }
}

both!(every_endpoint_enforces_its_declaration, |app| async move {
    let anonymous = app.anonymous().site();
    let reader = app.client_with_scopes(&["read"]).await.site();
    let admin = app.client_with_scopes(&["admin"]).await.site();
    for Served { path, endpoint, .. } in endpoints::served(&Registry::standard()) {
        let path = path.replace(['{', '}'], "");
        let method: Method = endpoint.method.as_str().parse().unwrap();
        let what = format!("{method} {path}");
        let status = |client: Client, path: String| {
            let method = method.clone();
            async move { client.send(method, &path, &[], Vec::new()).await.status }
        };
        let scope = match endpoint.authorization {
            Authorization::Public => {
                assert_ne!(status(anonymous.clone(), path).await, 401, "{what}");
                continue;
            }
            Authorization::AnyToken => None,
            Authorization::Scope(scope) => Some(scope),
        };
        assert_eq!(status(anonymous.clone(), path.clone()).await, 401, "{what}");
        let Some(scope) = scope else { continue };
        let other = match scope {
            Scope::Read => &admin,
            Scope::Scim | Scope::Admin | Scope::Operator => &reader,
        };
        assert_eq!(status(other.clone(), path.clone()).await, 403, "{what}");
        if endpoint.accepts != Accepts::Any {
            let unknown = format!("{path}?unknown=1");
            assert_eq!(status(other.clone(), unknown).await, 400, "{what}");
        }
    }
});

#[test]
fn references_resolve_and_operation_ids_are_unique() {
    let document = Document::new();
    let mut pending = vec![&document.0];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(members) => {
                // The `$ref` of a sample member is the URL of a user.
                if members
                    .get("$ref")
                    .and_then(Value::as_str)
                    .is_some_and(|to| to.starts_with('#'))
                {
                    document.resolve(value);
                }
                pending.extend(members.values());
            }
            Value::Array(elements) => pending.extend(elements),
            _ => {}
        }
    }
    let ids: Vec<&str> = document
        .operations()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "{ids:?}"
    );
}

both!(the_served_document_is_the_committed_one, |app| async move {
    let served = app.anonymous().site().get("/openapi.json").await;
    assert_eq!(served.status, 200);
    assert_eq!(served.body, Document::new().0);
});

both!(
    each_path_accepts_exactly_the_described_methods,
    |app| async move {
        let document = Document::new();
        let client = app.client_with_scopes(&["scim", "admin"]).await.site();
        for (template, item) in document.0["paths"].as_object().unwrap() {
            let path = template.replace(['{', '}'], "");
            let described = |method: &Method| item.get(method.as_str().to_lowercase()).is_some();
            let methods = [
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
                Method::OPTIONS,
                Method::TRACE,
            ];
            let expected: BTreeSet<&str> = methods
                .iter()
                .filter(|method| described(method))
                .map(Method::as_str)
                .collect();
            for method in &methods {
                if *method == Method::GET && path == STREAM {
                    continue;
                }
                let reply = client.send(method.clone(), &path, &[], Vec::new()).await;
                if described(method) {
                    document.check(method, template, &reply);
                } else {
                    assert_eq!(reply.status, 405, "{method} {path}");
                    let allow: BTreeSet<&str> = reply.header("allow").split(", ").collect();
                    assert_eq!(allow, expected, "{method} {path}");
                }
            }
        }
    }
);

both!(
    the_service_accepts_the_examples_and_responds_as_described,
    |app| async move {
        let document = Document::new();
        let admin = app.client_with_scopes(&["scim", "admin"]).await.site();
        for plural in ["Users", "Groups"] {
            let (list, single) = (
                format!("{SCIM_ROOT}/{plural}"),
                format!("{SCIM_ROOT}/{plural}/{{id}}"),
            );
            let mut created = Value::Null;
            for example in document.examples("post", &list) {
                created = document
                    .call(&admin, Method::POST, &list, "", &example)
                    .await
                    .expect(201);
            }
            let id = created["id"].as_str().unwrap();
            for method in [Method::PUT, Method::PATCH] {
                for example in document.examples(method.as_str(), &single) {
                    document
                        .call(&admin, method.clone(), &single, id, &example)
                        .await
                        .expect(200);
                }
            }
            document
                .call(&admin, Method::GET, &single, id, &Value::Null)
                .await
                .expect(200);
            let page = document
                .call(&admin, Method::GET, &list, "", &Value::Null)
                .await
                .page();
            assert!(page.total > 0);
            for query in [
                "?attributes=id",
                "?excludedAttributes=meta",
                "?count=0",
                "?filter=id%20pr%20and",
            ] {
                let reply = admin.get(&format!("{list}{query}")).await;
                document.check(&Method::GET, &list, &reply);
            }
            document
                .call(&admin, Method::DELETE, &single, id, &Value::Null)
                .await
                .expect(204);
            document
                .call(&admin, Method::GET, &single, id, &Value::Null)
                .await
                .expect_error(404, "");
        }
        for name in ["tenants", "tokens"] {
            let path = format!("/admin/v1/{name}");
            let example = document.examples("post", &path).remove(0);
            document
                .call(&admin, Method::POST, &path, "", &example)
                .await;
            document
                .call(&admin, Method::GET, &path, "", &Value::Null)
                .await;
        }
        let token = "/admin/v1/tokens/{name}";
        let revoked = document
            .call(&admin, Method::DELETE, token, "okta", &Value::Null)
            .await;
        assert_eq!(revoked.status, 204, "{revoked:?}");
    }
);

both!(bulk_responses_are_as_described, |app| async move {
    let document = Document::new();
    let path = format!("{SCIM_ROOT}/Bulk");
    let site = app.site();
    for example in document.examples("post", &path) {
        let reply = document
            .call(&site, Method::POST, &path, "", &example)
            .await;
        let results = reply.expect(200)["Operations"].clone();
        let statuses: Vec<&str> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["status"].as_str().unwrap())
            .collect();
        assert_eq!(statuses, ["201", "201", "200", "404"]);
    }
    let large = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": vec![0; 1001] });
    let refused = document.call(&site, Method::POST, &path, "", &large).await;
    assert_eq!(refused.status, 413);
});

both!(error_responses_are_as_described, |app| async move {
    let document = Document::new();
    let users = format!("{SCIM_ROOT}/Users");
    let site = app.site();
    let check = |reply: Reply, status: u16| {
        assert_eq!(reply.status, status, "{reply:?}");
        document.check(&Method::POST, &users, &reply);
    };
    let body = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "noor@example.com" });
    check(site.anonymous().post(&users, &body).await, 401);
    check(
        site.authorization("Bearer nobody")
            .post(&users, &body)
            .await,
        401,
    );
    check(
        app.client_with_scopes(&["read"])
            .await
            .site()
            .post(&users, &body)
            .await,
        403,
    );
    check(site.post(&users, &json!({})).await, 400);
    check(site.post(&users, &body).await, 201);
    check(site.post(&users, &body).await, 409);
    let text = [("content-type", "text/plain")];
    check(
        site.send(Method::POST, &users, &text, b"{}".to_vec()).await,
        415,
    );
    let json = [("content-type", SCIM)];
    check(
        site.send(Method::POST, &users, &json, b" ".repeat(17 << 20))
            .await,
        413,
    );
});

both!(discovery_responses_are_as_described, |app| async move {
    let document = Document::new();
    let site = app.anonymous().site();
    let user = "urn:ietf:params:scim:schemas:core:2.0:User";
    for (template, argument) in [
        ("/ServiceProviderConfig", ""),
        ("/ResourceTypes", ""),
        ("/ResourceTypes/{name}", "User"),
        ("/ResourceTypes/{name}", "Robot"),
        ("/Schemas", ""),
        ("/Schemas/{urn}", user),
        ("/Schemas/{urn}", "urn:unknown"),
    ] {
        let template = format!("{SCIM_ROOT}{template}");
        document
            .call(&site, Method::GET, &template, argument, &Value::Null)
            .await;
        let path = filled(&template, argument);
        let filtered = site.get(&format!("{path}?filter=id%20pr")).await;
        assert_eq!(filtered.status, 403);
        document.check(&Method::GET, &template, &filtered);
    }
});

struct Document(Value);

impl Document {
    fn new() -> Self {
        Self(serde_json::to_value(openapi::document(&Registry::standard())).unwrap())
    }

    /// Returns path, method and description of every operation.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.0["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let operations = item
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(|(_, value)| value.is_object());
                operations.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
            })
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        assert!(
            operation.is_object(),
            "{method} {path} is not in the document"
        );
        operation
    }

    /// Resolves a `$ref`, or returns the value itself.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                self.0
                    .pointer(pointer)
                    .unwrap_or_else(|| panic!("{reference} leads nowhere"))
            }
            None => value,
        }
    }

    /// Returns the examples of a request.
    fn examples(&self, method: &str, path: &str) -> Vec<Value> {
        let content = &self.operation(method, path)["requestBody"]["content"]["application/json"];
        let named = content["examples"]
            .as_object()
            .into_iter()
            .flat_map(Map::values);
        let examples: Vec<Value> = named
            .map(|example| &example["value"])
            .chain(content.get("example"))
            .cloned()
            .collect();
        assert!(!examples.is_empty(), "{method} {path} has no example");
        examples
    }

    /// Sends a request and validates the response.
    async fn call(
        &self,
        client: &Client,
        method: Method,
        template: &str,
        argument: &str,
        body: &Value,
    ) -> Reply {
        let path = filled(template, argument);
        let reply = match body {
            Value::Null => client.send(method.clone(), &path, &[], Vec::new()).await,
            body => {
                let bytes = body.to_string().into_bytes();
                client
                    .send(method.clone(), &path, &[("content-type", SCIM)], bytes)
                    .await
            }
        };
        self.check(&method, template, &reply);
        reply
    }

    /// Checks that the document describes the response: its status, headers and body.
    fn check(&self, method: &Method, template: &str, reply: &Reply) {
        let what = format!(
            "{} -> {} {}",
            reply.request,
            reply.status,
            String::from_utf8_lossy(&reply.bytes)
        );
        let response =
            &self.operation(method.as_str(), template)["responses"][reply.status.to_string()];
        assert!(
            response.is_object(),
            "the status is not in the document: {what}"
        );
        let response = self.resolve(response);
        for name in response["headers"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
        {
            assert!(reply.headers.contains_key(name), "no {name}: {what}");
        }
        match response.get("content").and_then(Value::as_object) {
            Some(contents) if method != Method::HEAD => {
                let kind = reply.header("content-type").split(';').next().unwrap();
                let content = contents
                    .get(kind)
                    .unwrap_or_else(|| panic!("{kind:?} is not in the document: {what}"));
                let text = || json!(String::from_utf8_lossy(&reply.bytes));
                let body = if kind.ends_with("json") {
                    reply.body.clone()
                } else {
                    text()
                };
                self.validate(&content["schema"], &body, &what);
            }
            _ => assert!(
                reply.bytes.is_empty(),
                "a body that is not in the document: {what}"
            ),
        }
    }

    fn validate(&self, schema: &Value, instance: &Value, what: &str) {
        // References point into the document, so the schema must stay part of it.
        let root = json!({ "components": self.0["components"], "allOf": [schema] });
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&root)
            .unwrap();
        let faults: Vec<String> = validator
            .iter_errors(instance)
            .map(|fault| format!("{} at {}", fault, fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{what}\n{}", faults.join("\n"));
    }
}

/// Fills a path template that has at most one parameter.
fn filled(template: &str, argument: &str) -> String {
    match template.split_once('{') {
        Some((start, _)) => iter::once(start).chain([argument]).collect(),
        None => template.to_owned(),
    }
}
