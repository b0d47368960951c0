//! What setup remembers between runs: what it made, by Okta's ids. No secret is in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::setup::OktaId;
use crate::setup::kind::Kind;

/// The state of one setup, kept as JSON. A field that an older version did not write is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetupState {
    /// Okta's id of the org, so that another org behind the same address is noticed.
    pub org_id: Option<String>,
    pub app: Option<AppState>,
    pub logo_sha256: Option<String>,
    pub token: Option<TokenState>,
    /// Groups and users that setup assigned, by id with their names.
    pub groups: BTreeMap<OktaId, String>,
    pub users: BTreeMap<OktaId, String>,
    /// Attributes that setup added to the app's profile.
    pub attributes: Vec<String>,
    pub mapping: Option<MappingState>,
    /// Push mappings that setup made, by id with the group's name.
    pub pushes: BTreeMap<OktaId, String>,
    pub hook: Option<OktaId>,
    /// Where the reading of the System Log goes on.
    pub log_cursor: Option<String>,
    /// The test user of a `verify` that did not come to its end.
    pub test_user: Option<OktaId>,
    /// Whom a `remove` took the app from, and who is to become inactive here before the app goes.
    pub leaving: BTreeSet<OktaId>,
    /// What the write that is under way changes here. Where it stands at the start of a run, no answer came.
    pub pending: Option<StateChange>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    pub id: OktaId,
    pub kind: Kind,
    /// Whether it was there before and was taken over by `--app-id`; such a one is never deleted.
    #[serde(default)]
    pub adopted: bool,
}

/// Our own token for Okta. Its secret is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    pub name: String,
    /// Whether its secret reached the admin or Okta; one that did not is replaced.
    pub delivered: bool,
}

/// The properties that setup mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingState {
    pub id: OktaId,
    pub properties: Vec<String>,
}

/// What a write that went well changes here.
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
    /// Takes over what Okta answered to a write. `id` is the id in its answer.
    pub fn keep(&mut self, keep: &StateChange, id: Option<OktaId>) {
        match (keep, id) {
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
            (StateChange::Attributes(names), _) => {
                for name in names {
                    if !self.attributes.contains(name) {
                        self.attributes.push(name.clone());
                    }
                }
            }
            (StateChange::Mapping(id, names), _) => {
                let mut properties = names.clone();
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

    /// Takes over a write of which no answer came, as far as its ids are known: what was wished may be there, and then
    /// it is ours. Where it is not there, it is made again, or taken away without harm. A removal is only counted when
    /// it was answered.
    pub fn assume(&mut self, pending: &StateChange) {
        if matches!(
            pending,
            StateChange::Group(..)
                | StateChange::User(..)
                | StateChange::Attributes(_)
                | StateChange::Mapping(..)
        ) {
            self.keep(pending, None);
        }
    }

    /// Forgets the app, which is gone, and with it all that belonged to it.
    pub fn forget_app(&mut self) {
        let (org_id, hook) = (self.org_id.take(), self.hook.take());
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
        let mut kept = SetupState::default();
        let id = |text: &str| OktaId::parse(text).unwrap();
        kept.keep(&StateChange::App(Kind::ScimHeader), Some(id("0oa1")));
        kept.keep(&StateChange::Group(id("00g1"), "Engineering".into()), None);
        kept.keep(&StateChange::Mapping(id("prm1"), vec!["b".into()]), None);
        kept.keep(
            &StateChange::Mapping(id("prm1"), vec!["a".into(), "b".into()]),
            None,
        );
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<SetupState>(&text).unwrap(), kept);
        assert_eq!(kept.mapping.as_ref().unwrap().properties, ["a", "b"]);
        assert_eq!(
            serde_json::from_str::<SetupState>("{}").unwrap(),
            SetupState::default()
        );
        let group = |id: &str| StateChange::Group(OktaId::parse(id).unwrap(), "x".into());
        kept.assume(&group("00g2"));
        kept.assume(&StateChange::NoGroup(id("00g1")));
        assert_eq!(kept.groups.len(), 2);
        kept.forget_app();
        assert_eq!(kept, SetupState::default());
    }
}
