//! What the org shall look like. Declarative, and without secrets.

use std::path::PathBuf;

use okta_client::Org;
use serde::Deserialize;
use serde_json::Value;

use crate::setup::kind::Kind;

/// The wished state, read and checked.
#[derive(Debug, Clone)]
pub struct DesiredState {
    pub org: Org,
    pub client_id: Option<String>,
    pub key_id: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub rollcall: Rollcall,
    pub app: App,
    pub provisioning: Provisioning,
    pub assign: Assign,
    pub push_groups: Vec<PushGroup>,
    pub attributes: Vec<Attribute>,
    pub event_hook: Option<EventHook>,
    /// The folder of the file: relative paths in it start there.
    pub folder: PathBuf,
}

/// Rollcall as Okta reaches it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollcall {
    /// `https://scim.example.com/scim/v2`
    pub base_url: String,
    #[serde(default = "default_tenant")]
    pub tenant: String,
}

/// The app integration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    #[serde(default)]
    pub kind: Kind,
    /// The key of a prebuilt app in Okta's catalogue; for the kind `catalog` alone.
    pub name: Option<String>,
    pub label: String,
    pub logo: Option<PathBuf>,
    /// Whether the icon is kept off the users' dashboards.
    #[serde(default = "yes")]
    pub hidden: bool,
    /// For the admins, beside the marker by which setup knows its app.
    pub notes: Option<String>,
    /// Whether the app shall provision. Off: it is made, dressed and assigned, and nothing more.
    #[serde(default = "yes")]
    pub provisioning: bool,
    pub saml: Option<Saml>,
    pub swa: Option<Swa>,
    pub oidc: Option<Oidc>,
    pub bookmark: Option<Bookmark>,
    /// `settings.app` of a catalogue app, as its own documentation tells.
    pub settings: Option<Value>,
    /// The catalogue app's sign-on mode [default: `SAML_2_0`].
    pub sign_on: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saml {
    pub acs_url: String,
    pub audience: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swa {
    pub login_url: String,
    /// The fields of the plugin's form, for the kind `swa-plugin`.
    pub username_field: Option<String>,
    pub password_field: Option<String>,
    pub button_field: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    pub redirect_uris: Vec<String>,
    /// `web`, `native`, `browser` [default: web]
    pub application_type: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bookmark {
    pub url: String,
}

/// Which of Okta's switches shall be on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provisioning {
    pub create: bool,
    pub update: bool,
    pub deactivate: bool,
    /// Days until the token that Okta gets lapses [default: never]
    pub token_days: Option<u32>,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            create: true,
            update: true,
            deactivate: true,
            token_days: None,
        }
    }
}

/// Who shall have the app: names or ids.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assign {
    pub groups: Vec<String>,
    pub users: Vec<String>,
    /// Whether `Everyone` and other built-in groups may be assigned.
    pub built_in: bool,
}

/// A group that shall exist here, with its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushGroup {
    /// Name or id of the group in Okta.
    pub group: String,
    /// Its name here [default: the same].
    pub target: Option<String>,
    /// The id that Okta knows an imported group by, to link the two.
    pub target_id: Option<String>,
}

/// An attribute that the app's profile shall have, and where its value comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub name: String,
    /// Left out for an attribute that the app has already, to map it only.
    pub title: Option<String>,
    /// `string`, `boolean`, `integer`, `number` [default: string]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub description: Option<String>,
    pub max_length: Option<u32>,
    /// What it is called in SCIM, and under which URN.
    pub external_name: Option<String>,
    pub external_namespace: Option<String>,
    #[serde(default)]
    pub required: bool,
    /// Okta's expression, such as `user.costCenter`.
    pub mapping: Option<String>,
    /// Whether the mapping is applied on every update or when the user is made alone.
    #[serde(default)]
    pub push: Push,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Push {
    #[default]
    Always,
    Create,
}

/// Where Okta shall tell of events as they happen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventHook {
    pub url: String,
    #[serde(default = "hook_name")]
    pub name: String,
    #[serde(default = "hook_events")]
    pub events: Vec<String>,
}

fn default_tenant() -> String {
    crate::service::access::tokens::DEFAULT_TENANT.to_owned()
}

fn yes() -> bool {
    true
}

fn hook_name() -> String {
    "Rollcall provisioning".to_owned()
}

fn hook_events() -> Vec<String> {
    [
        "application.provision.user.push",
        "application.provision.user.push_profile",
        "application.provision.user.reactivate",
        "application.provision.user.sync",
        "application.user_membership.add",
        "application.user_membership.remove",
    ]
    .map(str::to_owned)
    .to_vec()
}
