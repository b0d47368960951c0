//! Restricts changes to what their reader may see: what a GET would show, and nothing that a schema
//! never returns.

use std::sync::Arc;

use scim_core::diff::ElementChange;
use scim_core::field_mask::FieldMask;
use scim_core::project::{Selection, project};
use scim_core::{Registry, ResourceType, diff};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::service::feed::change::{
    Change, Difference, ListDifference, ModifiedElement, SnapshotItem,
};
use crate::service::{Context, Error};
use crate::store::tables::changes::{ChangeKind, EMPTIED, RecordedChange};
use crate::store::tables::resources::Stored;

/// The view of one reader.
#[derive(Clone)]
pub struct View {
    registry: Arc<Registry>,
    limit: Option<FieldMask>,
    selection: Selection,
    sees_members: bool,
}

impl View {
    /// Returns the view of a reader that may read everything.
    pub fn whole(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            limit: None,
            selection: Selection::all(),
            sees_members: true,
        }
    }

    pub fn of(context: &Context, registry: &Arc<Registry>) -> Self {
        let limit = context.limit();
        // Memberships are read from either side.
        let sees_members = limit.as_ref().is_none_or(|limit| {
            [("Group", "members"), ("User", "groups")]
                .iter()
                .any(|(name, path)| {
                    registry.by_name(name).is_some_and(|rt| {
                        rt.attr_by_key(path)
                            .is_some_and(|path| limit.allows(rt, &path))
                    })
                })
        });
        Self {
            registry: Arc::clone(registry),
            selection: Selection::all().within(limit.clone()),
            limit,
            sees_members,
        }
    }

    pub fn sees_members(&self) -> bool {
        self.sees_members
    }

    /// Returns the change as the reader may see it, or `None` where it may see nothing of it.
    pub fn change(&self, recorded: RecordedChange) -> Option<Change> {
        let row = recorded.change;
        let rt = self.registry.by_name(&row.resource_type)?;
        // This service wrote the payload; a damaged one counts as empty.
        let payload: Map<String, Value> = serde_json::from_str(&row.payload).unwrap_or_default();
        let mut change = Change {
            seq: recorded.seq,
            kind: row.kind,
            id: row.resource_id.into_string(),
            at: crate::service::context::time(row.at),
            actor: row.actor.to_string(),
            attributes: Vec::new(),
            lists: Vec::new(),
            members: Vec::new(),
            resource: None,
            erased: row.payload == EMPTIED,
            resource_type: row.resource_type.into_string(),
        };
        if change.erased {
            return Some(change);
        }
        match row.kind {
            ChangeKind::Erased => {}
            ChangeKind::Created | ChangeKind::Deleted => {
                change.resource = Some(self.shown(rt, payload));
            }
            ChangeKind::Updated
            | ChangeKind::Activated
            | ChangeKind::Deactivated
            | ChangeKind::MemberAdded
            | ChangeKind::MemberRemoved
            | ChangeKind::MemberSkipped => {
                change.attributes = self.differences(rt, &payload);
                change.lists = self.lists(rt, &payload);
                if self.sees_members {
                    change.members = members(&payload);
                }
                // An erasure of an unknown member leaves the change without its ids.
                let may_be_empty = row.kind == ChangeKind::MemberSkipped && self.sees_members;
                let has_differences = !change.attributes.is_empty() || !change.lists.is_empty();
                if !has_differences && change.members.is_empty() && !may_be_empty {
                    return None;
                }
            }
        }
        Some(change)
    }

    /// Returns a resource of a snapshot, or `None` if its type is no longer declared.
    pub fn item(&self, row: Stored) -> Result<Option<SnapshotItem>, Error> {
        let Some(rt) = self.registry.by_name(&row.resource_type) else {
            return Ok(None);
        };
        let document: Map<String, Value> = serde_json::from_str(&row.doc).unwrap_or_default();
        let shown = self.shown(rt, document);
        Ok(Some(SnapshotItem {
            resource: serde_json::value::to_raw_value(&shown).map_err(Error::internal)?,
            id: row.id.into_string(),
            resource_type: row.resource_type,
        }))
    }

    fn shown(&self, rt: &ResourceType, mut document: Map<String, Value>) -> Map<String, Value> {
        project(rt, &mut document, &self.selection);
        document
    }

    fn differences(&self, rt: &ResourceType, payload: &Map<String, Value>) -> Vec<Difference> {
        let list = payload.get("attributes").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter(|entry| entry.get("elements").is_none())
            .filter_map(|entry| self.difference(rt, entry))
            .collect()
    }

    fn difference(&self, rt: &ResourceType, entry: &Value) -> Option<Difference> {
        let path = entry.get("path")?.as_str()?;
        let names = names_of(rt, path, entry);
        let value = |name: &str| entry.get(name).filter(|value| !value.is_null());
        let before = value("before");
        let after = value("after");
        let shown = Difference {
            path: path.to_owned(),
            before: before.and_then(|value| self.shown_at(rt, &names, value.clone())),
            after: after.and_then(|value| self.shown_at(rt, &names, value.clone())),
        };
        let is_secret = before.is_none() && after.is_none();
        let may_name = |limit: &FieldMask| {
            rt.attr_by_key(path)
                .is_some_and(|path| limit.allows(rt, &path))
        };
        let is_seen = if is_secret {
            self.limit.as_ref().is_none_or(may_name)
        } else {
            shown.before != shown.after
        };
        is_seen.then_some(shown)
    }

    fn lists(&self, rt: &ResourceType, payload: &Map<String, Value>) -> Vec<ListDifference> {
        let list = payload.get("attributes").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|entry| self.list(rt, entry))
            .collect()
    }

    fn list(&self, rt: &ResourceType, entry: &Value) -> Option<ListDifference> {
        let elements = Vec::<ElementChange>::deserialize(entry.get("elements")?).ok()?;
        let path = entry.get("path")?.as_str()?;
        let names = names_of(rt, path, entry);
        let shown =
            |value: Option<Value>| match self.shown_at(rt, &names, Value::Array(vec![value?]))? {
                Value::Array(list) => list.into_iter().next(),
                _ => None,
            };
        let object = |value: Option<Value>| match shown(value) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let mut list = ListDifference {
            path: path.to_owned(),
            removed: Vec::new(),
            added: Vec::new(),
            modified: Vec::new(),
        };
        for element in elements {
            if let Some(same) = element.same {
                list.modified.push(ModifiedElement {
                    same: object(Some(Value::Object(same))),
                    before: object(element.before),
                    after: object(element.after),
                });
                continue;
            }
            let (before, after) = (shown(element.before), shown(element.after));
            if before != after {
                list.removed.extend(before);
                list.added.extend(after);
            }
        }
        list.modified
            .retain(|element| element.before != element.after);
        let is_seen =
            !(list.removed.is_empty() && list.added.is_empty() && list.modified.is_empty());
        is_seen.then_some(list)
    }

    /// The value of one attribute as a whole resource would show it.
    fn shown_at(&self, rt: &ResourceType, names: &[String], value: Value) -> Option<Value> {
        let whole = names.iter().rev().fold(value, |inner, name| {
            Value::Object(Map::from_iter([(name.clone(), inner)]))
        });
        let Value::Object(whole) = whole else {
            return None;
        };
        let shown = Value::Object(self.shown(rt, whole));
        names
            .iter()
            .try_fold(&shown, |value, name| value.get(name))
            .cloned()
    }
}

fn names_of(rt: &ResourceType, path: &str, entry: &Value) -> Vec<String> {
    diff::names(rt, path, entry.get("within").and_then(Value::as_str))
}

fn members(payload: &Map<String, Value>) -> Vec<String> {
    let list = payload.get("members").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|member| Some(member.get("value")?.as_str()?.to_owned()))
        .collect()
}
