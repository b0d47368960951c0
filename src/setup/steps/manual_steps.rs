//! The clicks in Okta's Admin Console that no API does, with the real values.

use okta_client::value::{id_of, text};
use serde_json::Value;

use crate::setup::desired::DesiredState;
use crate::setup::kind::Kind;

/// How the admin comes by the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenLocation {
    /// It was printed a moment ago.
    Here(String),
    /// It was written there.
    File(String),
    /// It was shown in an earlier run.
    Earlier,
    /// There is none yet.
    None,
}

/// A link into the console. The part behind `#` may be lost on the first load, so the tab is named beside it.
pub fn link(wish: &DesiredState, app: &Value, tab: &str) -> String {
    let name = text(app, "/name").unwrap_or("app");
    let id = id_of(app).map(|id| id.to_string()).unwrap_or_default();
    format!(
        "{}/admin/app/{name}/instance/{id}/#tab-{tab}",
        wish.org.console()
    )
}

/// The numbered clicks.
pub fn lines(wish: &DesiredState, app: &Value, token: &TokenLocation) -> Vec<String> {
    let kind = wish.app.kind;
    let mut steps = vec![format!(
        "Open {} and click the tab Provisioning.",
        link(wish, app, "provisioning")
    )];
    match kind {
        Kind::Saml | Kind::Swa => {
            steps.insert(
                0,
                format!(
                    "Open {} and under App Settings press Edit, set Provisioning to SCIM, press Save. (Without that choice the org lacks the SCIM feature: ask Okta for it, or take the kind scim-header.)",
                    link(wish, app, "general")
                ),
            );
            steps.push("Under Integration press Edit.".to_owned());
            steps.push(format!(
                "SCIM connector base URL: {}",
                wish.rollcall.base_url
            ));
            steps.push("Unique identifier field for users: userName. Tick Push New Users, Push Profile Updates and Push Groups.".to_owned());
            steps.push(format!(
                "Authentication Mode: HTTP Header. Authorization: {}",
                typed(token, "")
            ));
            steps.push("Press Test Connector Configuration, then Save.".to_owned());
        }
        _ => {
            steps.push(
                "Press Configure API Integration and tick Enable API integration.".to_owned(),
            );
            steps.push(format!("Base URL: {}", wish.rollcall.base_url));
            steps.push(match kind {
                Kind::ScimBasic => format!("User name: rollcall. Password: {}", typed(token, "")),
                Kind::ScimBearer => format!("API token: {}", typed(token, "")),
                _ => format!(
                    "API token, with the word Bearer: {}",
                    typed(token, "Bearer ")
                ),
            });
            steps.push(
                "Press Test API Credentials; it must say that they were verified.".to_owned(),
            );
            steps.push("Press Save.".to_owned());
        }
    }
    steps.push("Click To App (it appears after Save), then Edit.".to_owned());
    let mut switches = Vec::new();
    for (on, title) in [
        (wish.provisioning.create, "Create Users"),
        (wish.provisioning.update, "Update User Attributes"),
        (wish.provisioning.deactivate, "Deactivate Users"),
    ] {
        if on {
            switches.push(title);
        }
    }
    steps.push(format!(
        "Enable {}. Leave Sync Password off. Press Save.",
        switches.join(", ")
    ));
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| format!("{:>3}. {step}", index + 1))
        .collect()
}

fn typed(token: &TokenLocation, prefix: &str) -> String {
    match token {
        TokenLocation::Here(secret) => format!("{prefix}{secret}"),
        TokenLocation::File(path) => format!("{prefix}<the content of {path}>"),
        TokenLocation::Earlier => format!(
            "{prefix}<the token that an earlier run showed; `rollcall setup apply --new-token` makes another>"
        ),
        TokenLocation::None => format!("{prefix}<`rollcall setup apply` makes the token>"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kind: &str, token: &TokenLocation) -> String {
        let wish = crate::setup::file::tests::wish(&format!("[app]\nlabel = \"a\"\n{kind}"));
        let app = json!({ "id": "0oa1", "name": "scim2headerauth" });
        lines(&wish, &app, token).join("\n")
    }

    #[test]
    fn header_auth_is_typed_with_the_word() {
        let text = shown("", &TokenLocation::Here("rct_x".into()));
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
    fn others_are_typed_without() {
        let text = shown(
            "kind = \"scim-bearer\"",
            &TokenLocation::Here("rct_x".into()),
        );
        assert!(text.contains("API token: rct_x") && !text.contains("Bearer"));
        let text = shown("kind = \"scim-basic\"", &TokenLocation::File("t".into()));
        assert!(text.contains("Password: <the content of t>"));
        let saml = "kind = \"saml\"\nsaml = { acs_url = \"https://a\", audience = \"b\" }";
        let text = shown(saml, &TokenLocation::Earlier);
        assert!(text.starts_with("  1. Open https://acme-admin.okta.com/admin/app/scim2headerauth/instance/0oa1/#tab-general"));
        assert!(text.contains("Test Connector Configuration") && text.contains("--new-token"));
    }
}
