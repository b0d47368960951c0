//! The crate `okta-client` without setup: its example lists the apps of the fake org.

use okta_client::{
    Client, ClientOptions, Credential, DEFAULT_SCOPES, FailureKind, Mode, Org, ServiceApp,
    SigningKey,
};
use reqwest::Method;
use serde_json::json;

use crate::fake_okta::FakeOkta;
use crate::harness::issuer::Key;
use crate::harness::runtime;

#[expect(dead_code, reason = "the example's `main` is for real orgs")]
#[path = "../../../crates/okta-client/examples/list_apps/main.rs"]
mod list_apps;

fn client(okta: &FakeOkta, credential: Credential) -> Client {
    let org = Org::parse(&okta.url, Mode::Simulated).expect("an org");
    Client::new(org, credential, ClientOptions::default()).expect("a client")
}

fn with_token(okta: &FakeOkta, roles: &[&'static str]) -> Client {
    let credential = Credential::api_token(&okta.token(roles).secret).expect("a token");
    client(okta, credential)
}

async fn create_app(client: &Client, label: &str) -> String {
    let body = json!({ "name": "scim2testapp", "label": label, "signOnMode": "SAML_2_0" });
    let body = okta_client::RequestBody::Json(body);
    let created = client.send(Method::POST, "/api/v1/apps", &[], &body).await;
    let app = created.expect("creates an app").body;
    let id = okta_client::json::object_id(&app).expect("an id");
    id.to_string()
}

#[test]
fn the_example_lists_every_page() {
    let okta = FakeOkta::start();
    runtime().block_on(async {
        let client = with_token(&okta, &["SUPER_ADMIN"]);
        let mut expected = Vec::new();
        for label in ["A", "B", "C"] {
            let id = create_app(&client, label).await;
            expected.push(format!("{id} ACTIVE   {label}"));
        }
        okta.org().page_size = 2;
        let lines = list_apps::list_apps(&client).await.expect("lists the apps");
        for line in &expected {
            assert!(lines.contains(line), "{line:?} in {lines:?}");
        }
    });
}

#[test]
fn a_service_app_lists_apps_with_proofs() {
    let okta = FakeOkta::start();
    let key = Key::ec("client");
    let id = okta.service_app(key.public(), &DEFAULT_SCOPES, true);
    let signing_key = SigningKey::parse(key.pem(), Some("client")).expect("a key");
    let scopes = DEFAULT_SCOPES.map(str::to_owned).to_vec();
    let app = ServiceApp::new(id, signing_key, scopes).expect("a service app");
    runtime().block_on(async {
        let client = client(&okta, Credential::ServiceApp(Box::new(app)));
        assert_eq!(
            list_apps::list_apps(&client).await.expect("lists").len(),
            0,
            "the org has no app"
        );
    });
}

#[test]
fn a_failure_names_what_the_caller_lacks_and_no_program() {
    let okta = FakeOkta::start();
    runtime().block_on(async {
        let client = with_token(&okta, &[]);
        let failure = list_apps::list_apps(&client).await.expect_err("no role");
        assert_eq!(failure.kind, FailureKind::AccessDenied);
        let text = failure.to_string();
        assert!(text.contains("Application Administrator"), "{text}");
        for word in ["setup.toml", "Rollcall", "--"] {
            assert!(!text.contains(word), "{text}");
        }
    });
}
