//! The collector of the edits that operations resolve to.

use std::collections::HashSet;

use super::edit::Edit;
use crate::{Compatibility, MemberEdit};

/// Collects the edits of the operations as they are read.
pub(super) struct Reader {
    /// Each with the index of its operation.
    pub edits: Vec<(usize, Edit)>,
    pub members: Vec<MemberEdit>,
    pub ignored: Vec<String>,
    pub compatibility: Compatibility,
    pub source: Source,
    /// The index of the operation that is being read.
    pub index: usize,
}

/// The source of a name that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// An operation of a PATCH.
    Operation,
    /// The body of a create or replace.
    Body,
}

impl Reader {
    pub fn new(compatibility: Compatibility, source: Source) -> Self {
        Self {
            edits: Vec::new(),
            members: Vec::new(),
            ignored: Vec::new(),
            compatibility,
            source,
            index: 0,
        }
    }

    pub fn is_strict(&self) -> bool {
        self.compatibility.is_strict()
    }

    pub fn push_edit(&mut self, edit: Edit) {
        self.edits.push((self.index, edit));
    }

    /// Appends an edit of `members`, joined with the one before if that means the same: a push of a
    /// thousand operations becomes a few statements.
    pub fn push_member_edit(&mut self, edit: MemberEdit) {
        match (self.members.last_mut(), edit) {
            (_, MemberEdit::Add(new)) if new.is_empty() => {}
            (_, MemberEdit::Remove(ids)) if ids.is_empty() => {}
            (Some(MemberEdit::Add(before)), MemberEdit::Add(new)) => before.extend(new),
            (Some(MemberEdit::Remove(before)), MemberEdit::Remove(new)) => before.extend(new),
            (_, edit) => self.members.push(edit),
        }
    }

    /// Records a name that is left out.
    pub fn ignore(&mut self, name: &str) {
        self.ignored.push(name.to_owned());
    }

    /// Makes the ids of each edit of `members` distinct once all have been joined.
    pub fn dedupe_members(&mut self) {
        for edit in &mut self.members {
            match edit {
                MemberEdit::Add(members) => {
                    let mut seen = HashSet::with_capacity(members.len());
                    members.retain(|member| seen.insert(member.value.clone()));
                }
                MemberEdit::Remove(ids) => {
                    let mut seen = HashSet::with_capacity(ids.len());
                    ids.retain(|id| seen.insert(id.clone()));
                }
                MemberEdit::RemoveWhere(_)
                | MemberEdit::RemoveAll
                | MemberEdit::Demand(_)
                | MemberEdit::Replace(_) => {}
            }
        }
    }
}
