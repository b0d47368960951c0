//! Group members: edits become set-based statements, and what they changed becomes changes.

use std::collections::HashSet;

use scim_core::members::MemberEdit;
use scim_core::registry::AttrRef;
use scim_core::{Filter, ScimError, eval};
use serde_json::{Value, json};

use crate::service::provision::representation;
use crate::service::{Error, Options, UnknownMembers};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::members;
use crate::store::{ResourceId, Tx};

/// A change's payload names at most this many members; a longer list becomes several changes.
const MEMBERS_IN_A_CHANGE: usize = 1000;
/// How many unknown ids an error or a log line names.
const UNKNOWN_NAMED: usize = 20;

/// What a write did to the members of one group, as ids.
#[derive(Debug, Default)]
pub struct Effect {
    added: Vec<ResourceId>,
    removed: Vec<ResourceId>,
    /// Members whose `display` was replaced.
    renamed: Vec<ResourceId>,
    skipped: Vec<String>,
}

impl Effect {
    /// Whether the group looks different from before.
    pub fn is_change(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty() && self.renamed.is_empty())
    }

    /// The changes to append: kind and payload, in order.
    pub fn changes(&self) -> Vec<(ChangeKind, Value)> {
        let mut changes = Vec::new();
        let lists = [
            (ChangeKind::MemberRemoved, &self.removed),
            (ChangeKind::MemberAdded, &self.added),
            (ChangeKind::Updated, &self.renamed),
        ];
        for (kind, list) in lists {
            for chunk in list.chunks(MEMBERS_IN_A_CHANGE) {
                let members: Vec<Value> = chunk
                    .iter()
                    .map(|id| json!({ "value": id.as_str() }))
                    .collect();
                changes.push((kind, json!({ "members": members })));
            }
        }
        for chunk in self.skipped.chunks(MEMBERS_IN_A_CHANGE) {
            let members: Vec<Value> = chunk.iter().map(|id| json!({ "value": id })).collect();
            changes.push((ChangeKind::MemberSkipped, json!({ "members": members })));
        }
        changes
    }

    /// A member that leaves and comes back within one request has not changed.
    fn absorb(&mut self, added: Vec<ResourceId>, removed: Vec<ResourceId>) {
        let back = overlap(&added, &self.removed);
        let gone = overlap(&removed, &self.added);
        self.removed.retain(|id| !back.contains(id));
        self.added.retain(|id| !gone.contains(id));
        self.added
            .extend(added.into_iter().filter(|id| !back.contains(id)));
        self.removed
            .extend(removed.into_iter().filter(|id| !gone.contains(id)));
    }
}

fn overlap(one: &[ResourceId], other: &[ResourceId]) -> HashSet<ResourceId> {
    if one.is_empty() || other.is_empty() {
        return HashSet::new();
    }
    let other: HashSet<&ResourceId> = other.iter().collect();
    one.iter()
        .filter(|id| other.contains(id))
        .cloned()
        .collect()
}

/// Applies the edits in order. Only the rows that they name are touched.
///
/// # Errors
/// Unknown ids, where the setting refuses them.
pub fn apply(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    members_attr: Option<&AttrRef>,
    edits: Vec<MemberEdit>,
    options: &Options,
) -> Result<Effect, Error> {
    let mut effect = Effect::default();
    for edit in edits {
        match edit {
            MemberEdit::Add(list) => {
                let done = members::add(tx, group, &list)?;
                effect.absorb(done.added, Vec::new());
                skip_or_refuse(&mut effect, done.unknown, options.unknown_members)?;
            }
            MemberEdit::Remove(ids) => {
                let removed = members::remove(tx, group, &ids)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::RemoveWhere(filter) => {
                let ids = found(tx, group, members_attr, &filter, &options.base_url)?;
                let removed = members::remove(tx, group, &ids)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::Demand(filter) => {
                if found(tx, group, members_attr, &filter, &options.base_url)?.is_empty() {
                    return Err(
                        ScimError::no_target("no member of the group matches the path").into(),
                    );
                }
            }
            MemberEdit::RemoveAll => {
                let removed = members::remove_all(tx, group)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::Replace(list) => {
                let done = members::replace(tx, group, &list)?;
                effect.absorb(done.added, done.removed);
                effect.renamed.extend(done.renamed);
                skip_or_refuse(&mut effect, done.unknown, options.unknown_members)?;
            }
        }
    }
    Ok(effect)
}

/// The ids of the members that a filter finds.
fn found(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    members_attr: Option<&AttrRef>,
    filter: &Filter,
    base_url: &str,
) -> Result<Vec<String>, Error> {
    let Some(attr) = members_attr else {
        return Ok(Vec::new());
    };
    let tenant = tx.tenant();
    let rows = members::of_group(tx.conn(), tenant, group)?;
    let is_found = |row: &members::MemberRow| {
        let reference = representation::reference(base_url, &row.kind, &row.value);
        let element = json!({
            "value": row.value.as_str(), "display": row.display, "type": row.kind, "$ref": reference,
        });
        eval::element_matches(filter, attr, &element)
    };
    Ok(rows
        .into_iter()
        .filter(is_found)
        .map(|row| row.value.0)
        .collect())
}

fn skip_or_refuse(
    effect: &mut Effect,
    ids: Vec<String>,
    unknown: UnknownMembers,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    match unknown {
        UnknownMembers::Skip => {
            // What was sent as an id may be somebody's name, which has no place in a log: a change names them.
            tracing::warn!(
                count = ids.len(),
                "unknown members were left out of a group"
            );
            effect.skipped.extend(ids);
            Ok(())
        }
        UnknownMembers::Refuse => {
            let named: Vec<&str> = ids.iter().take(UNKNOWN_NAMED).map(String::as_str).collect();
            Err(ScimError::invalid_value(format!(
                "{} of the members are neither users nor groups here: {}. Assign them to the app first, then push the group again.",
                ids.len(),
                named.join(", ")
            ))
            .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(value: &str) -> ResourceId {
        ResourceId(value.to_owned())
    }

    #[test]
    fn what_is_undone_within_a_request_is_no_change() {
        let mut effect = Effect::default();
        effect.absorb(Vec::new(), vec![member("a"), member("b")]);
        effect.absorb(vec![member("a"), member("c")], Vec::new());
        effect.absorb(Vec::new(), vec![member("c")]);
        assert_eq!(effect.removed, [member("b")]);
        assert!(effect.added.is_empty());
    }

    #[test]
    fn long_lists_become_several_changes() {
        let mut effect = Effect::default();
        effect.absorb(
            (0..2500).map(|n| member(&n.to_string())).collect(),
            Vec::new(),
        );
        let changes = effect.changes();
        assert_eq!(changes.len(), 3);
        assert!(
            changes
                .iter()
                .all(|(kind, _)| *kind == ChangeKind::MemberAdded)
        );
    }
}
