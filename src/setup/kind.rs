//! The kinds of app that setup can make.

use serde::{Deserialize, Serialize};

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

impl Kind {
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
}
