//! The stored state: what setup created, by Okta's ids. It holds no secret.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::setup::OktaId;
use crate::setup::kind::Kind;

/// The state of one setup, stored as JSON. A field that an older version did not write is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetupState {
    /// Okta's id of the org, to notice another org behind the same address.
    pub org_id: Option<String>,
    pub app: Option<AppState>,
    pub logo_sha256: Option<String>,
    pub token: Option<TokenState>,
    /// Groups that setup assigned: id and name.
    pub groups: BTreeMap<OktaId, String>,
    /// Users that setup assigned: id and login.
    pub users: BTreeMap<OktaId, String>,
    /// Attributes that setup added to the app's profile.
    pub attributes: Vec<String>,
    pub mapping: Option<MappingState>,
    /// Push mappings that setup created: id and name of the group.
    pub pushes: BTreeMap<OktaId, String>,
    pub hook: Option<OktaId>,
    /// The next page of the System Log.
    pub log_cursor: Option<String>,
    /// The test user of a `verify` that was interrupted.
    pub test_user: Option<OktaId>,
    /// Users that lose the app by a `remove`, and that Okta has to deactivate before the app is
    /// deleted.
    pub leaving: BTreeSet<OktaId>,
    /// The effect of the write in progress. Set at the start of a run, it means that no response
    /// came.
    pub pending: Option<StateChange>,
}

/// The app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    pub id: OktaId,
    pub kind: Kind,
    /// Whether it existed before and was taken over by `--app-id`. Such an app is never deleted.
    #[serde(default)]
    pub adopted: bool,
}

/// Rollcall's token for Okta. Its secret is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    pub name: String,
    /// Whether its secret reached the user or Okta. If not, the token is replaced.
    pub delivered: bool,
}

/// The properties that setup mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingState {
    pub id: OktaId,
    pub properties: Vec<String>,
}

/// The change that a successful write makes to the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateChange {
    Nothing,
    App(Kind),
    Logo(String),
    Group(OktaId, String),
    NoGroup(OktaId),
    User(OktaId, String),
    NoUser(OktaId),
    Attributes(Vec<String>),
    Mapping(OktaId, Vec<String>),
    /// The group in Okta, and its name.
    Push(OktaId, String),
    NoPush(OktaId),
    Hook,
    NoHook,
    Connected,
}

impl SetupState {
    /// Applies a write. `id` is the id in Okta's response.
    pub fn apply(&mut self, change: &StateChange, id: Option<OktaId>) {
        match (change, id) {
            (StateChange::App(kind), Some(id)) => {
                self.app = Some(AppState {
                    id,
                    kind: *kind,
                    adopted: false,
                });
            }
            (StateChange::Logo(hash), _) => self.logo_sha256 = Some(hash.clone()),
            (StateChange::Group(id, name), _) => {
                self.groups.insert(id.clone(), name.clone());
            }
            (StateChange::NoGroup(id), _) => {
                self.groups.remove(id);
            }
            (StateChange::User(id, name), _) => {
                self.users.insert(id.clone(), name.clone());
            }
            (StateChange::NoUser(id), _) => {
                self.users.remove(id);
            }
            (StateChange::Attributes(names), _) => self.add_attributes(names),
            (StateChange::Mapping(id, names), _) => self.add_mapping(id, names),
            (StateChange::Push(_, name), Some(id)) => {
                self.pushes.insert(id, name.clone());
            }
            (StateChange::NoPush(id), _) => {
                self.pushes.remove(id);
            }
            (StateChange::Hook, Some(id)) => self.hook = Some(id),
            (StateChange::NoHook, _) => self.hook = None,
            (StateChange::Connected, _) => {
                if let Some(token) = &mut self.token {
                    token.delivered = true;
                }
            }
            (
                StateChange::Nothing
                | StateChange::App(_)
                | StateChange::Push(..)
                | StateChange::Hook,
                _,
            ) => {}
        }
    }

    fn add_attributes(&mut self, names: &[String]) {
        for name in names {
            if !self.attributes.contains(name) {
                self.attributes.push(name.clone());
            }
        }
    }

    fn add_mapping(&mut self, id: &OktaId, names: &[String]) {
        let mut properties = names.to_vec();
        if let Some(before) = self.mapping.take().filter(|before| before.id == *id) {
            properties.extend(before.properties);
        }
        properties.sort();
        properties.dedup();
        self.mapping = Some(MappingState {
            id: id.clone(),
            properties,
        });
    }

    /// Applies a write without a response, as far as its ids are known. What it created may exist,
    /// and is then ours; if not, the next run creates it, and removing it is harmless. A removal
    /// only counts with a response.
    pub fn assume(&mut self, pending: &StateChange) {
        if matches!(
            pending,
            StateChange::Group(..)
                | StateChange::User(..)
                | StateChange::Attributes(_)
                | StateChange::Mapping(..)
        ) {
            self.apply(pending, None);
        }
    }

    /// Removes the app, which does not exist any more, and everything that belonged to it.
    pub fn forget_app(&mut self) {
        let org_id = self.org_id.take();
        let hook = self.hook.take();
        // The next app gets a token of its own.
        let token = self.token.take().map(|token| TokenState {
            delivered: false,
            ..token
        });
        *self = Self {
            org_id,
            hook,
            token,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_was_written_and_old_ones_are_read() {
        let mut state = SetupState::default();
        let id = |text: &str| OktaId::parse(text).unwrap();
        state.apply(&StateChange::App(Kind::ScimHeader), Some(id("0oa1")));
        state.apply(&StateChange::Group(id("00g1"), "Engineering".into()), None);
        state.apply(&StateChange::Mapping(id("prm1"), vec!["b".into()]), None);
        state.apply(
            &StateChange::Mapping(id("prm1"), vec!["a".into(), "b".into()]),
            None,
        );
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<SetupState>(&text).unwrap(), state);
        assert_eq!(state.mapping.as_ref().unwrap().properties, ["a", "b"]);
        assert_eq!(
            serde_json::from_str::<SetupState>("{}").unwrap(),
            SetupState::default()
        );
        let group = |id: &str| StateChange::Group(OktaId::parse(id).unwrap(), "x".into());
        state.assume(&group("00g2"));
        state.assume(&StateChange::NoGroup(id("00g1")));
        assert_eq!(state.groups.len(), 2);
        state.forget_app();
        assert_eq!(state, SetupState::default());
    }
}
