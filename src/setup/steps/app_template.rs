//! What an app is in Okta: the definition that it is made from, whether that can carry SCIM, and the body that makes it.

use serde_json::{Value, json};

use crate::setup::desired::App;
use crate::setup::kind::Kind;

/// How an app comes to its connection with Rollcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// By hand, on the app's Provisioning tab.
    ByHand,
    /// By hand, after SCIM was switched on under General > App Settings.
    ByHandAfterSwitch,
    /// By the API: six apps of the catalogue. Whether it works is seen when it is tried.
    ByApi,
    /// Whatever the catalogue's definition says.
    Perhaps,
    Never,
}

/// The apps whose connection Okta's public API can make.
const BY_API: [&str; 6] = [
    "google",
    "office365",
    "okta_org2org",
    "slack",
    "zoomus",
    "zscalerbyz",
];

impl App {
    /// Okta's key of the app's definition; none for those that Okta names itself.
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

    pub fn carries(&self) -> Carries {
        match self.kind {
            Kind::ScimHeader | Kind::ScimBearer | Kind::ScimBasic => Carries::ByHand,
            Kind::Saml | Kind::Swa => Carries::ByHandAfterSwitch,
            Kind::SwaPlugin | Kind::Oidc | Kind::Bookmark => Carries::Never,
            Kind::Catalog => match self.name.as_deref() {
                Some("oidc_client" | "bookmark" | "template_swa" | "template_swa3field") => {
                    Carries::Never
                }
                Some(name) if BY_API.contains(&name) => Carries::ByApi,
                Some(name) if name.starts_with("scim2") => Carries::ByHand,
                _ => Carries::Perhaps,
            },
        }
    }

    /// Refuses what can never work, and names what can.
    ///
    /// # Errors
    /// The text names the setting.
    pub fn check(&self) -> Result<(), String> {
        if self.provisioning && self.carries() == Carries::Never {
            return Err(format!(
                "app.kind: {} can never carry SCIM. Take `scim-header` (or `saml`), or set `provisioning = false` and make a second app that provisions",
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
            Kind::Catalog if goes_elsewhere(self) => Err(
                "app.name: this app provisions to its own vendor and never to Rollcall. Take the kind `scim-header`, or set `provisioning = false`".to_owned(),
            ),
            Kind::Catalog => Ok(()),
            _ if self.name.is_some() => {
                Err("app.name: only the kind `catalog` has a name".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The body of `POST /api/v1/apps`.
    pub fn body(&self, notes: &str) -> Value {
        let mut body = self.core();
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

    fn core(&self) -> Value {
        let login_url = self.swa.as_ref().map(|swa| swa.login_url.as_str());
        match self.kind {
            Kind::ScimHeader | Kind::ScimBearer | Kind::ScimBasic => {
                json!({ "name": self.definition(), "signOnMode": "SAML_2_0" })
            }
            Kind::Saml => saml(self),
            Kind::Swa => json!({
                "signOnMode": "AUTO_LOGIN",
                "settings": { "signOn": { "loginUrl": login_url } },
            }),
            Kind::SwaPlugin => {
                let field = |own: Option<&String>, default: &str| {
                    own.map_or_else(|| default.to_owned(), Clone::clone)
                };
                let swa = self.swa.as_ref();
                json!({
                    "name": "template_swa",
                    "signOnMode": "BROWSER_PLUGIN",
                    "settings": { "app": {
                        "url": login_url,
                        "usernameField": field(swa.and_then(|swa| swa.username_field.as_ref()), "username"),
                        "passwordField": field(swa.and_then(|swa| swa.password_field.as_ref()), "password"),
                        "buttonField": field(swa.and_then(|swa| swa.button_field.as_ref()), "submit"),
                    } },
                })
            }
            Kind::Oidc => oidc(self),
            Kind::Bookmark => json!({
                "name": "bookmark",
                "signOnMode": "BOOKMARK",
                "settings": { "app": { "url": self.bookmark.as_ref().map(|bookmark| &bookmark.url) } },
            }),
            Kind::Catalog => {
                let mut body = json!({
                    "name": self.name,
                    "signOnMode": self.sign_on.as_deref().unwrap_or("SAML_2_0"),
                });
                if let (Some(settings), Some(object)) = (&self.settings, body.as_object_mut()) {
                    object.insert("settings".into(), json!({ "app": settings }));
                }
                body
            }
        }
    }
}

/// Their connection goes to their vendor, wherever `base_url` points.
fn goes_elsewhere(app: &App) -> bool {
    let name = app.name.as_deref().unwrap_or_default();
    app.provisioning && ["google", "office365", "slack", "zoomus"].contains(&name)
}

fn saml(app: &App) -> Value {
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

fn oidc(app: &App) -> Value {
    let kind = app
        .oidc
        .as_ref()
        .and_then(|oidc| oidc.application_type.as_deref())
        .unwrap_or("web");
    // Only a server can keep a secret.
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
