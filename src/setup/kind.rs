//! The kinds of app that setup can make, and which of them can provision at all.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::setup::wish::App;

/// A kind of app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The catalogue's "SCIM 2.0 Test App (Header Auth)".
    #[default]
    ScimHeader,
    /// "SCIM 2.0 Test App (OAuth Bearer Token)".
    ScimBearer,
    /// "SCIM 2.0 Test App (Basic Auth)".
    ScimBasic,
    /// A SAML 2.0 app of one's own.
    Saml,
    /// A SWA app of one's own.
    Swa,
    /// The browser plugin's template.
    SwaPlugin,
    Oidc,
    Bookmark,
    /// Any prebuilt app of the catalogue, by its key.
    Catalog,
}

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

impl Kind {
    /// Okta's key of the app's definition; none for those that Okta names itself.
    pub fn name(self, app: &App) -> Option<&str> {
        match self {
            Self::ScimHeader => Some("scim2headerauth"),
            Self::ScimBearer => Some("scim2testapp"),
            Self::ScimBasic => Some("scim2testapp_basic"),
            Self::Saml | Self::Swa => None,
            Self::SwaPlugin => Some("template_swa"),
            Self::Oidc => Some("oidc_client"),
            Self::Bookmark => Some("bookmark"),
            Self::Catalog => app.name.as_deref(),
        }
    }

    pub fn carries(self, app: &App) -> Carries {
        match self {
            Self::ScimHeader | Self::ScimBearer | Self::ScimBasic => Carries::ByHand,
            Self::Saml | Self::Swa => Carries::ByHandAfterSwitch,
            Self::SwaPlugin | Self::Oidc | Self::Bookmark => Carries::Never,
            Self::Catalog => match app.name.as_deref() {
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
    pub fn check(self, app: &App) -> Result<(), String> {
        if app.provisioning && self.carries(app) == Carries::Never {
            return Err(format!(
                "app.kind: {} can never carry SCIM. Take `scim-header` (or `saml`), or set `provisioning = false` and make a second app that provisions",
                self.title()
            ));
        }
        let missing = |table: &str| Err(format!("app.{table} is needed for this kind of app"));
        match self {
            Self::Saml if app.saml.is_none() => missing("saml"),
            Self::Swa | Self::SwaPlugin if app.swa.is_none() => missing("swa"),
            Self::Oidc if app.oidc.is_none() => missing("oidc"),
            Self::Bookmark if app.bookmark.is_none() => missing("bookmark"),
            Self::Catalog if app.name.is_none() => missing("name"),
            Self::Catalog if goes_elsewhere(app) => Err(
                "app.name: this app provisions to its own vendor and never to Rollcall. Take the kind `scim-header`, or set `provisioning = false`".to_owned(),
            ),
            Self::Catalog => Ok(()),
            _ if app.name.is_some() => {
                Err("app.name: only the kind `catalog` has a name".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::ScimHeader => "SCIM 2.0 Test App (Header Auth)",
            Self::ScimBearer => "SCIM 2.0 Test App (OAuth Bearer Token)",
            Self::ScimBasic => "SCIM 2.0 Test App (Basic Auth)",
            Self::Saml => "a SAML 2.0 app",
            Self::Swa => "a SWA app",
            Self::SwaPlugin => "a plugin SWA app",
            Self::Oidc => "an OIDC app",
            Self::Bookmark => "a bookmark app",
            Self::Catalog => "a catalogue app",
        }
    }

    /// The body of `POST /api/v1/apps`.
    pub fn body(self, app: &App, notes: &str) -> Value {
        let mut body = self.core(app);
        if let Some(object) = body.as_object_mut() {
            object.insert("label".into(), json!(app.label));
            object.insert("accessibility".into(), json!({ "selfService": false }));
            object.insert(
                "visibility".into(),
                json!({
                    "autoLaunch": false,
                    "autoSubmitToolbar": false,
                    "hide": { "iOS": app.hidden, "web": app.hidden },
                }),
            );
            let settings = object.entry("settings").or_insert_with(|| json!({}));
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("notes".into(), json!({ "admin": notes }));
            }
        }
        body
    }

    fn core(self, app: &App) -> Value {
        let login_url = app.swa.as_ref().map(|swa| swa.login_url.as_str());
        match self {
            Self::ScimHeader | Self::ScimBearer | Self::ScimBasic => {
                json!({ "name": self.name(app), "signOnMode": "SAML_2_0" })
            }
            Self::Saml => saml(app),
            Self::Swa => json!({
                "signOnMode": "AUTO_LOGIN",
                "settings": { "signOn": { "loginUrl": login_url } },
            }),
            Self::SwaPlugin => {
                let field = |own: Option<&String>, default: &str| {
                    own.map_or_else(|| default.to_owned(), Clone::clone)
                };
                let swa = app.swa.as_ref();
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
            Self::Oidc => oidc(app),
            Self::Bookmark => json!({
                "name": "bookmark",
                "signOnMode": "BOOKMARK",
                "settings": { "app": { "url": app.bookmark.as_ref().map(|bookmark| &bookmark.url) } },
            }),
            Self::Catalog => {
                let mut body = json!({
                    "name": app.name,
                    "signOnMode": app.sign_on.as_deref().unwrap_or("SAML_2_0"),
                });
                if let (Some(settings), Some(object)) = (&app.settings, body.as_object_mut()) {
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
