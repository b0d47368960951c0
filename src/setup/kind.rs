//! The kinds of app that setup can create.

use serde::{Deserialize, Serialize};

/// A kind of app, as `app.kind` names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The catalog's "SCIM 2.0 Test App (Header Auth)".
    #[default]
    ScimHeader,
    /// "SCIM 2.0 Test App (OAuth Bearer Token)".
    ScimBearer,
    /// "SCIM 2.0 Test App (Basic Auth)".
    ScimBasic,
    /// A custom SAML 2.0 app.
    Saml,
    /// A custom SWA app.
    Swa,
    /// The template for the browser plugin.
    SwaPlugin,
    /// An OpenID Connect app.
    Oidc,
    /// A link on the dashboard.
    Bookmark,
    /// A prebuilt app of the catalog, by its key.
    Catalog,
}

impl Kind {
    /// Returns the name of the kind in messages.
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
            Self::Catalog => "a catalog app",
        }
    }
}
