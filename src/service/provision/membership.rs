//! Group members: applies edits with set-based statements and reports their effect as changes.

use std::collections::HashSet;

use scim_core::members::MemberEdit;
use scim_core::registry::AttrRef;
use scim_core::views::MemberView;
use scim_core::{Filter, ScimError, eval, render};
use serde_json::{Value, json};

use crate::service::provision::representation;
use crate::service::{Error, Options, UnknownMembers};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::members;
use crate::store::{ResourceId, Tx};

/// The most members that one change names; a longer list becomes several changes.
const MEMBERS_IN_A_CHANGE: usize = 1000;
/// The most unknown ids that an error names.
const UNKNOWN_NAMED: usize = 20;

/// The effect of a write on the members of one group, as ids.
#[derive(Debug, Default)]
pub struct Effect {
    added: Vec<ResourceId>,
    removed: Vec<ResourceId>,
    /// Members whose `display` was replaced.
    renamed: Vec<ResourceId>,
    skipped: Vec<String>,
}

impl Effect {
    /// Returns whether the group is different from before.
    pub fn is_change(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty() && self.renamed.is_empty())
    }

    /// Returns the changes to record: kind and payload, in order.
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

    /// Merges the effect of one edit. A member that is removed and added again within one request
    /// has not changed.
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

fn overlap(ids: &[ResourceId], other: &[ResourceId]) -> HashSet<ResourceId> {
    if ids.is_empty() || other.is_empty() {
        return HashSet::new();
    }
    let other: HashSet<&ResourceId> = other.iter().collect();
    ids.iter()
        .filter(|id| other.contains(id))
        .cloned()
        .collect()
}

/// Applies the edits in order. Only the rows that they name are written.
///
/// # Errors
/// `invalidValue` for unknown ids, where the setting rejects them.
pub fn apply(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    members_attr: Option<&AttrRef>,
    edits: &[MemberEdit],
    options: &Options,
) -> Result<Effect, Error> {
    let mut effect = Effect::default();
    for edit in edits {
        match edit {
            MemberEdit::Add(list) => {
                let done = members::add(tx, group, list)?;
                effect.absorb(done.added, Vec::new());
                handle_unknown(&mut effect, done.unknown, options.scim.unknown_members)?;
            }
            MemberEdit::Remove(ids) => {
                let removed = members::remove(tx, group, ids)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::RemoveWhere(filter) => {
                let ids = matching_ids(tx, group, members_attr, filter, &options.base_url)?;
                let removed = members::remove(tx, group, &ids)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::Demand(filter) => {
                if matching_ids(tx, group, members_attr, filter, &options.base_url)?.is_empty() {
                    return Err(ScimError::no_target(
                        "no member of the group matches the filter of the path",
                    )
                    .into());
                }
            }
            MemberEdit::RemoveAll => {
                let removed = members::remove_all(tx, group)?;
                effect.absorb(Vec::new(), removed);
            }
            MemberEdit::Replace(list) => {
                let done = members::replace(tx, group, list)?;
                effect.absorb(done.added, done.removed);
                effect.renamed.extend(done.renamed);
                handle_unknown(&mut effect, done.unknown, options.scim.unknown_members)?;
            }
        }
    }
    Ok(effect)
}

/// Returns the ids of the members that satisfy a filter.
fn matching_ids(
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
    let is_match =
        |view: &MemberView| eval::element_matches(filter, attr, &render::member_value(view));
    let mut found = Vec::new();
    members::each(tx.conn(), tenant, group, |row| {
        let view = representation::member_view(base_url, row);
        if is_match(&view) {
            found.push(view.value);
        }
        Ok::<_, Error>(())
    })?;
    Ok(found)
}

fn handle_unknown(
    effect: &mut Effect,
    ids: Vec<String>,
    unknown: UnknownMembers,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    match unknown {
        UnknownMembers::Skip => {
            // A value sent as an id may be a person's name, so only the change names it, not the
            // log.
            tracing::warn!(count = ids.len(), "skipped unknown members of a group");
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
