//! The tables of `rollcall.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::auth::jwt::TokenTypes;
use crate::auth::{Fields, Scope};
use crate::issuers::is_loopback;
use crate::settings::file_table;

/// All tables of the file.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub issuers: Vec<IssuerSettings>,
    pub types: DeclaredTypes,
}

/// Resource types and extensions beyond those of the standard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredTypes {
    pub extensions: Vec<Located<ExtensionSettings>>,
    pub types: Vec<Located<TypeSettings>>,
    /// The folder of the configuration file, which the names of schema files are relative to.
    pub folder: PathBuf,
}

/// A table of the file and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub settings: T,
    /// `rollcall.toml line 12`
    pub location: String,
}

file_table! {
    /// An authorization server whose access tokens are accepted, besides Rollcall's own tokens.
    /// The keys are found by discovery, unless `jwks_uri` or `jwks_file` names them.
    pub struct IssuerSettings in "issuers" {
        required {
            /// The exact `iss` of the tokens.
            pub issuer: String = (Some("\"https://login.example.com/oauth2/default\"")),
            /// The `aud` that the tokens must have.
            pub audience: String = (Some("\"https://scim.example.com/scim/v2\"")),
        }
        optional {
            /// The tenant that the tokens are for.
            pub tenant: Option<String> = ("`default`", Some("\"default\"")),
            /// A claim that names the tenant instead. Needs `tenants`.
            pub tenant_claim: Option<String> = ("none", None),
            /// The tenant for each accepted value of that claim, such as `{ "acme-corp" = "acme"
            /// }`.
            pub tenants: BTreeMap<String, String> = ("none", None),
            /// Meaning of the issuer's scopes here, such as `{ "people.read" = "read" }`.
            pub scopes: Option<BTreeMap<String, Scope>> =
                ("`scim` and `read` give `read`", Some("{ \"people.read\" = \"read\" }")),
            /// Types of tokens that are accepted: values of the header `typ`, ignoring case, and
            /// `none` for a token without it.
            pub types: Option<Vec<String>> =
                ("`at+jwt`, `JWT` and `none`", Some("[\"at+jwt\"]")),
            /// Attribute names or paths that the tokens may read. Makes the tokens read-only.
            pub fields: Option<Vec<String>> =
                ("everything", Some("[\"userName\", \"name\", \"emails.value\", \"groups\"]")),
            /// The address of the issuer's keys.
            pub jwks_uri: Option<String> = ("found by discovery", None),
            /// A file with the issuer's keys, instead of an address. It is read once, at the start.
            pub jwks_file: Option<PathBuf> = ("none", None),
        }
    }
}

file_table! {
    /// More attributes for a resource type. See docs/types.md.
    pub struct ExtensionSettings in "extensions" {
        required {
            /// `User`, `Group` or a type that the file declares.
            pub resource_type: String = (Some("\"User\"")),
            /// A file with a schema (RFC 7643 section 7).
            pub schema: PathBuf = (Some("\"desk.json\"")),
        }
        optional {
            /// Whether every resource of the type must have the extension.
            pub required: bool = ("`false`", Some("false")),
            /// Attributes that filters find by an index.
            pub indexed: Vec<String> = ("none", Some("[\"building\"]")),
        }
    }
}

file_table! {
    /// One more resource type. See docs/types.md.
    pub struct TypeSettings in "resource_types" {
        required {
            /// Letters and digits; also `meta.resourceType`.
            pub name: String = (Some("\"Role\"")),
            /// One path segment with its slash, such as `/Devices`.
            pub endpoint: String = (Some("\"/Roles\"")),
            /// A file with a schema, or the URN of a schema that Rollcall knows.
            pub schema: String = (Some("\"urn:okta:scim:schemas:core:1.0:Role\"")),
        }
        optional {
            /// Shown in `/ResourceTypes`.
            pub description: Option<String> = ("the schema's", Some("\"A role that a user may have.\"")),
            /// Attributes that filters find by an index.
            pub indexed: Vec<String> = ("none", Some("[]")),
            /// `provisioned`: SCIM clients write. `read_only`: clients read, and `rollcall load`
            /// writes.
            pub access: TypeAccess = ("`provisioned`", Some("\"provisioned\"")),
        }
    }
}

/// The writer of a type's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeAccess {
    /// SCIM clients.
    #[default]
    Provisioned,
    /// The operator alone, by `rollcall load`.
    ReadOnly,
}

impl IssuerSettings {
    /// Checks what serde does not see.
    pub fn check(&self) -> Result<(), String> {
        let says = |problem: &str| Err(format!("{}: {problem}", self.issuer));
        if self.jwks_file.is_some() && self.jwks_uri.is_some() {
            return says("`jwks_file` and `jwks_uri` both name the keys; set one of them");
        }
        let is_safe = |url: &str| url.starts_with("https://") || is_loopback(url);
        if self.jwks_uri.as_deref().is_some_and(|url| !is_safe(url)) {
            return says("`jwks_uri` must start with https://");
        }
        if self.jwks_file.is_none() && self.jwks_uri.is_none() && !is_safe(&self.issuer) {
            return says("keys are found by discovery only if `issuer` starts with https://");
        }
        match (&self.tenant, &self.tenant_claim, self.tenants.is_empty()) {
            (_, None, true) | (None, Some(_), false) => {}
            (Some(_), Some(_), _) => return says("set either `tenant` or `tenant_claim`"),
            _ => return says("`tenant_claim` and `tenants` must be set together"),
        }
        if let Some(Err(error)) = self.types.as_deref().map(TokenTypes::parse) {
            return says(&error.to_string());
        }
        match self.fields.clone().map(Fields::parse) {
            Some(Err(error)) => says(&error.to_string()),
            _ => Ok(()),
        }
    }
}
