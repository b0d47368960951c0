//! The desired state of the org, without secrets.

use std::path::PathBuf;

use okta_client::Org;
use serde::Deserialize;
use serde_json::Value;

use crate::setup::kind::Kind;

/// The content of `setup.toml`, read and checked.
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
    /// The folder of the file, which relative paths in it start from.
    pub folder: PathBuf,
}

/// The table `rollcall`: Rollcall as Okta reaches it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollcall {
    /// `https://scim.example.com/scim/v2`
    pub base_url: String,
    #[serde(default = "default_tenant")]
    pub tenant: String,
}

/// The table `app`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    #[serde(default)]
    pub kind: Kind,
    /// The key of a prebuilt app in Okta's catalog; only for the kind `catalog`.
    pub name: Option<String>,
    pub label: String,
    pub logo: Option<PathBuf>,
    /// Whether the app is hidden from the users' dashboards.
    #[serde(default = "default_true")]
    pub hidden: bool,
    /// Notes for administrators. Setup adds the marker by which it recognizes its app.
    pub notes: Option<String>,
    /// Whether the app provisions. If not, it is only created, configured and assigned.
    #[serde(default = "default_true")]
    pub provisioning: bool,
    pub saml: Option<Saml>,
    pub swa: Option<Swa>,
    pub oidc: Option<Oidc>,
    pub bookmark: Option<Bookmark>,
    /// `settings.app` of a catalog app, as its documentation describes.
    pub settings: Option<Value>,
    /// The sign-on mode of a catalog app [default: `SAML_2_0`].
    pub sign_on: Option<String>,
}

/// The settings of the kind `saml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saml {
    pub acs_url: String,
    pub audience: String,
}

/// The settings of the kinds `swa` and `swa-plugin`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swa {
    pub login_url: String,
    /// The fields of the login form, for the kind `swa-plugin`.
    pub username_field: Option<String>,
    pub password_field: Option<String>,
    pub button_field: Option<String>,
}

/// The settings of the kind `oidc`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    pub redirect_uris: Vec<String>,
    /// `web`, `native`, `browser` [default: web]
    pub application_type: Option<String>,
}

/// The settings of the kind `bookmark`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bookmark {
    pub url: String,
}

/// The table `provisioning`: the actions to enable in Okta.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provisioning {
    pub create: bool,
    pub update: bool,
    pub deactivate: bool,
    /// Days until the token for Okta expires [default: never]
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

/// The table `assign`: groups and users that get the app, by name or id.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assign {
    pub groups: Vec<String>,
    pub users: Vec<String>,
    /// Whether `Everyone` and other built-in groups may be assigned.
    pub built_in: bool,
}

/// A group that Okta pushes with its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushGroup {
    /// Name or id of the group in Okta.
    pub group: String,
    /// Its name in Rollcall [default: the same].
    pub target: Option<String>,
    /// The id of an imported group in Okta, to link the two.
    pub target_id: Option<String>,
}

/// An attribute of the app's profile, and the source of its value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub name: String,
    /// `None` for an attribute that the app has already and that is only mapped.
    pub title: Option<String>,
    /// `string`, `boolean`, `integer`, `number` [default: string]
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub description: Option<String>,
    pub max_length: Option<u32>,
    /// Its SCIM name. `external_namespace` is its URN.
    pub external_name: Option<String>,
    pub external_namespace: Option<String>,
    #[serde(default)]
    pub required: bool,
    /// Okta's expression, such as `user.costCenter`.
    pub mapping: Option<String>,
    /// When the mapping is applied.
    #[serde(default)]
    pub push: Push,
}

/// When a mapping is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Push {
    /// With every update.
    #[default]
    Always,
    /// Only when the user is created.
    Create,
}

/// The table `event_hook`: where Okta sends events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventHook {
    pub url: String,
    #[serde(default = "default_hook_name")]
    pub name: String,
    #[serde(default = "default_hook_events")]
    pub events: Vec<String>,
}

fn default_tenant() -> String {
    crate::service::access::tokens::DEFAULT_TENANT.to_owned()
}

fn default_true() -> bool {
    true
}

fn default_hook_name() -> String {
    "Rollcall provisioning".to_owned()
}

fn default_hook_events() -> Vec<String> {
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
