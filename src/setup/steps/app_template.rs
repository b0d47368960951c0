//! The kinds of app in Okta's terms: the definition, whether it can provision, and the request
//! body.

use serde_json::{Value, json};

use crate::setup::desired::App;
use crate::setup::kind::Kind;

/// How the connection of an app with Rollcall is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvisioningSupport {
    /// In the console, on the app's Provisioning tab.
    Manual,
    /// In the console, after SCIM was enabled under General > App Settings.
    ManualAfterEnabling,
    /// By API, for six apps of the catalog.
    Api,
    /// As the definition in the catalog says.
    Unknown,
    /// Never: the kind cannot provision.
    Never,
}

/// The apps whose connection Okta's public API can create.
const BY_API: [&str; 6] = [
    "google",
    "office365",
    "okta_org2org",
    "slack",
    "zoomus",
    "zscalerbyz",
];

impl App {
    /// Returns the key of the app's definition, or `None` if Okta chooses the name.
    pub fn definition(&self) -> Option<&str> {
        match self.kind {
            Kind::ScimHeader => Some("scim2headerauth"),
            Kind::ScimBearer => Some("scim2testapp"),
            Kind::ScimBasic => Some("scim2testapp_basic"),
            Kind::Saml | Kind::Swa => None,
            Kind::SwaPlugin => Some("template_swa"),
            Kind::Oidc => Some("oidc_client"),
            Kind::Bookmark => Some("bookmark"),
            Kind::Catalog => self.name.as_deref(),
        }
    }

    /// Returns how this app is connected.
    pub fn provisioning_support(&self) -> ProvisioningSupport {
        match self.kind {
            Kind::ScimHeader | Kind::ScimBearer | Kind::ScimBasic => ProvisioningSupport::Manual,
            Kind::Saml | Kind::Swa => ProvisioningSupport::ManualAfterEnabling,
            Kind::SwaPlugin | Kind::Oidc | Kind::Bookmark => ProvisioningSupport::Never,
            Kind::Catalog => match self.name.as_deref() {
                Some("oidc_client" | "bookmark" | "template_swa" | "template_swa3field") => {
                    ProvisioningSupport::Never
                }
                Some(name) if BY_API.contains(&name) => ProvisioningSupport::Api,
                Some(name) if name.starts_with("scim2") => ProvisioningSupport::Manual,
                _ => ProvisioningSupport::Unknown,
            },
        }
    }

    /// Checks that the settings fit the kind, and that the kind can provision if it has to.
    ///
    /// # Errors
    /// Returns a text that names the setting and the alternative.
    pub fn check(&self) -> Result<(), String> {
        if self.provisioning && self.provisioning_support() == ProvisioningSupport::Never {
            return Err(format!(
                "app.kind: {} can never provision over SCIM. Use `scim-header` (or `saml`), or set `provisioning = false` and create a second app that provisions",
                self.kind.title()
            ));
        }
        let missing = |table: &str| Err(format!("app.{table} is needed for this kind of app"));
        match self.kind {
            Kind::Saml if self.saml.is_none() => missing("saml"),
            Kind::Swa | Kind::SwaPlugin if self.swa.is_none() => missing("swa"),
            Kind::Oidc if self.oidc.is_none() => missing("oidc"),
            Kind::Bookmark if self.bookmark.is_none() => missing("bookmark"),
            Kind::Catalog if self.name.is_none() => missing("name"),
            Kind::Catalog if provisions_to_vendor(self) => Err(
                "app.name: this app provisions to its own vendor and never to Rollcall. Use the kind `scim-header`, or set `provisioning = false`".to_owned(),
            ),
            Kind::Catalog => Ok(()),
            _ if self.name.is_some() => {
                Err("app.name: only the kind `catalog` has a name".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns the body of `POST /api/v1/apps`.
    pub fn body(&self, notes: &str) -> Value {
        let mut body = self.definition_body();
        if let Some(object) = body.as_object_mut() {
            object.insert("label".into(), json!(self.label));
            object.insert("accessibility".into(), json!({ "selfService": false }));
            object.insert(
                "visibility".into(),
                json!({
                    "autoLaunch": false,
                    "autoSubmitToolbar": false,
                    "hide": { "iOS": self.hidden, "web": self.hidden },
                }),
            );
            let settings = object.entry("settings").or_insert_with(|| json!({}));
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("notes".into(), json!({ "admin": notes }));
            }
        }
        body
    }

    /// Returns the part of the body that depends on the kind.
    fn definition_body(&self) -> Value {
        let login_url = self.swa.as_ref().map(|swa| swa.login_url.as_str());
        match self.kind {
            Kind::ScimHeader | Kind::ScimBearer | Kind::ScimBasic => {
                json!({ "name": self.definition(), "signOnMode": "SAML_2_0" })
            }
            Kind::Saml => saml_body(self),
            Kind::Swa => json!({
                "signOnMode": "AUTO_LOGIN",
                "settings": { "signOn": { "loginUrl": login_url } },
            }),
            Kind::SwaPlugin => swa_plugin_body(self),
            Kind::Oidc => oidc_body(self),
            Kind::Bookmark => json!({
                "name": "bookmark",
                "signOnMode": "BOOKMARK",
                "settings": { "app": { "url": self.bookmark.as_ref().map(|bookmark| &bookmark.url) } },
            }),
            Kind::Catalog => catalog_body(self),
        }
    }
}

/// Returns whether the app provisions to its vendor, whatever `base_url` is.
fn provisions_to_vendor(app: &App) -> bool {
    let name = app.name.as_deref().unwrap_or_default();
    app.provisioning && ["google", "office365", "slack", "zoomus"].contains(&name)
}

fn saml_body(app: &App) -> Value {
    let acs = app.saml.as_ref().map(|saml| saml.acs_url.as_str());
    json!({
        "signOnMode": "SAML_2_0",
        "settings": { "signOn": {
            "ssoAcsUrl": acs,
            "recipient": acs,
            "destination": acs,
            "audience": app.saml.as_ref().map(|saml| &saml.audience),
            "idpIssuer": "http://www.okta.com/${org.externalKey}",
            // So that the SAML name id equals SCIM's userName.
            "subjectNameIdTemplate": "${user.userName}",
            "subjectNameIdFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
            "responseSigned": true,
            "assertionSigned": true,
            "signatureAlgorithm": "RSA_SHA256",
            "digestAlgorithm": "SHA256",
            "honorForceAuthn": true,
            "authnContextClassRef": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            "requestCompressed": false,
            "allowMultipleAcsEndpoints": false,
        } },
    })
}

fn oidc_body(app: &App) -> Value {
    let kind = app
        .oidc
        .as_ref()
        .and_then(|oidc| oidc.application_type.as_deref())
        .unwrap_or("web");
    // Only a server-side application can keep a secret.
    let method = if kind == "web" {
        "client_secret_basic"
    } else {
        "none"
    };
    json!({
        "name": "oidc_client",
        "signOnMode": "OPENID_CONNECT",
        "credentials": { "oauthClient": { "token_endpoint_auth_method": method } },
        "settings": { "oauthClient": {
            "application_type": kind,
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "redirect_uris": app.oidc.as_ref().map(|oidc| &oidc.redirect_uris),
        } },
    })
}

fn swa_plugin_body(app: &App) -> Value {
    let swa = app.swa.as_ref();
    let field = |field: Option<&String>, default: &str| {
        field.map_or_else(|| default.to_owned(), Clone::clone)
    };
    json!({
        "name": "template_swa",
        "signOnMode": "BROWSER_PLUGIN",
        "settings": { "app": {
            "url": swa.map(|swa| swa.login_url.as_str()),
            "usernameField": field(swa.and_then(|swa| swa.username_field.as_ref()), "username"),
            "passwordField": field(swa.and_then(|swa| swa.password_field.as_ref()), "password"),
            "buttonField": field(swa.and_then(|swa| swa.button_field.as_ref()), "submit"),
        } },
    })
}

fn catalog_body(app: &App) -> Value {
    let mut body = json!({
        "name": app.name,
        "signOnMode": app.sign_on.as_deref().unwrap_or("SAML_2_0"),
    });
    if let (Some(settings), Some(object)) = (&app.settings, body.as_object_mut()) {
        object.insert("settings".into(), json!({ "app": settings }));
    }
    body
}
