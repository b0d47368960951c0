//! The steps in Okta's Admin Console that no API does, with the real values.

use okta_client::json::{object_id, str_at};
use serde_json::Value;

use crate::setup::desired::DesiredState;
use crate::setup::kind::Kind;

/// Where the user finds the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenLocation {
    /// It was printed by this run.
    Shown(String),
    /// It was written to this file.
    File(String),
    /// An earlier run showed it.
    ShownEarlier,
    /// It does not exist yet.
    NotCreated,
}

/// Returns a link into the console. The fragment may be lost on the first load, so instructions
/// also name the tab.
pub fn link(desired: &DesiredState, app: &Value, tab: &str) -> String {
    let name = str_at(app, "/name").unwrap_or("app");
    let id = object_id(app).map(|id| id.to_string()).unwrap_or_default();
    format!(
        "{}/admin/app/{name}/instance/{id}/#tab-{tab}",
        desired.org.console_url()
    )
}

/// Returns the numbered steps.
pub fn render(desired: &DesiredState, app: &Value, token: &TokenLocation) -> Vec<String> {
    let mut steps = match desired.app.kind {
        Kind::Saml | Kind::Swa => custom_app_steps(desired, app, token),
        _ => catalog_app_steps(desired, app, token),
    };
    steps.push("Click To App (it appears after Save), then Edit.".to_owned());
    let actions: Vec<&str> = [
        (desired.provisioning.create, "Create Users"),
        (desired.provisioning.update, "Update User Attributes"),
        (desired.provisioning.deactivate, "Deactivate Users"),
    ]
    .into_iter()
    .filter_map(|(is_desired, title)| is_desired.then_some(title))
    .collect();
    steps.push(format!(
        "Enable {}. Leave Sync Password off. Press Save.",
        actions.join(", ")
    ));
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("{:>3}. {step}", index + 1))
        .collect()
}

/// Returns the steps that connect a custom SAML or SWA app.
fn custom_app_steps(desired: &DesiredState, app: &Value, token: &TokenLocation) -> Vec<String> {
    vec![
        format!(
            "Open {} and under App Settings press Edit, set Provisioning to SCIM, press Save. (If there is no such choice, the org lacks the SCIM feature: ask Okta for it, or use the kind scim-header.)",
            link(desired, app, "general")
        ),
        open_provisioning(desired, app),
        "Under Integration press Edit.".to_owned(),
        format!("SCIM connector base URL: {}", desired.rollcall.base_url),
        "Unique identifier field for users: userName. Tick Push New Users, Push Profile Updates and Push Groups.".to_owned(),
        format!(
            "Authentication Mode: HTTP Header. Authorization: {}",
            token_value(token, "")
        ),
        "Press Test Connector Configuration, then Save.".to_owned(),
    ]
}

/// Returns the steps that connect an app from the catalog.
fn catalog_app_steps(desired: &DesiredState, app: &Value, token: &TokenLocation) -> Vec<String> {
    let credentials = match desired.app.kind {
        Kind::ScimBasic => format!("User name: rollcall. Password: {}", token_value(token, "")),
        Kind::ScimBearer => format!("API token: {}", token_value(token, "")),
        _ => format!(
            "API token, with the word Bearer: {}",
            token_value(token, "Bearer ")
        ),
    };
    vec![
        open_provisioning(desired, app),
        "Press Configure API Integration and tick Enable API integration.".to_owned(),
        format!("Base URL: {}", desired.rollcall.base_url),
        credentials,
        "Press Test API Credentials; it must report that they were verified.".to_owned(),
        "Press Save.".to_owned(),
    ]
}

fn open_provisioning(desired: &DesiredState, app: &Value) -> String {
    format!(
        "Open {} and click the tab Provisioning.",
        link(desired, app, "provisioning")
    )
}

fn token_value(token: &TokenLocation, prefix: &str) -> String {
    match token {
        TokenLocation::Shown(secret) => format!("{prefix}{secret}"),
        TokenLocation::File(path) => format!("{prefix}<the content of {path}>"),
        TokenLocation::ShownEarlier => format!(
            "{prefix}<the token that an earlier run showed; `rollcall setup apply --new-token` creates another>"
        ),
        TokenLocation::NotCreated => format!("{prefix}<`rollcall setup apply` creates the token>"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(kind: &str, token: &TokenLocation) -> String {
        let desired = crate::setup::file::tests::desired(&format!("[app]\nlabel = \"a\"\n{kind}"));
        let app = json!({ "id": "0oa1", "name": "scim2headerauth" });
        render(&desired, &app, token).join("\n")
    }

    #[test]
    fn header_auth_needs_the_word_bearer() {
        let text = rendered("", &TokenLocation::Shown("rct_x".into()));
        assert!(text.contains(
            "https://acme-admin.okta.com/admin/app/scim2headerauth/instance/0oa1/#tab-provisioning"
        ));
        assert!(text.contains("Base URL: https://scim.acme.example/scim/v2"));
        assert!(text.contains("Bearer rct_x"));
        assert!(
            text.contains("  8. Enable Create Users, Update User Attributes, Deactivate Users.")
        );
    }

    #[test]
    fn other_kinds_do_not_need_it() {
        let text = rendered(
            "kind = \"scim-bearer\"",
            &TokenLocation::Shown("rct_x".into()),
        );
        assert!(text.contains("API token: rct_x") && !text.contains("Bearer"));
        let text = rendered("kind = \"scim-basic\"", &TokenLocation::File("t".into()));
        assert!(text.contains("Password: <the content of t>"));
        let saml = "kind = \"saml\"\nsaml = { acs_url = \"https://a\", audience = \"b\" }";
        let text = rendered(saml, &TokenLocation::ShownEarlier);
        assert!(text.starts_with("  1. Open https://acme-admin.okta.com/admin/app/scim2headerauth/instance/0oa1/#tab-general"));
        assert!(text.contains("Test Connector Configuration") && text.contains("--new-token"));
    }
}
