//! Updates a stored resource: writes the document and the members that differ, and records the
//! differences.

use scim_core::members::MemberEdit;
use scim_core::{Document, diff, indexing, secrets};
use serde_json::{Value, json};

use crate::service::provision::membership::Effect;
use crate::service::provision::writer::Writer;
use crate::service::provision::{group_names, membership, roles};
use crate::service::{Error, Options};
use crate::store::Tx;
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::resources;
use crate::store::tables::resources::{Password, Stored, Update};

/// The changes to one resource. `after` differs from `before`, the parsed document of `stored`, or
/// equals it.
pub(in crate::service) struct ResourceUpdate<'a> {
    pub stored: &'a Stored,
    pub before: &'a Document,
    pub after: Document,
    pub password: Password,
    pub member_edits: &'a [MemberEdit],
}

impl Writer {
    /// Writes the differences between the two documents and the members, as one new version.
    pub fn update(
        &self,
        tx: &mut Tx<'_>,
        update: ResourceUpdate<'_>,
        options: &Options,
    ) -> Result<(), Error> {
        let ResourceUpdate {
            stored,
            before,
            mut after,
            password,
            member_edits,
        } = update;
        let unknown_roles = options.scim.unknown_roles;
        roles::resolve(tx, &self.rt, Some(before), &mut after, unknown_roles)?;
        let mut differences = diff::diff(&self.rt, before, &after);
        if password != Password::Keep {
            // The change names the password and never contains it.
            differences.push(diff::AttrChange::new("password".to_owned(), None, None));
        }
        let effect = self.edit_members(tx, member_edits, options)?;
        if differences.is_empty() {
            if effect.is_change() {
                resources::touch(tx, &self.id, self.modified(stored))?;
            }
            return Ok(());
        }
        let hot = indexing::hot_columns(&self.rt, &after);
        group_names::check(tx, self, Some(before), &hot)?;
        let doc = after.to_string();
        let limits = self.document_limits(options);
        limits.check(Some(before), &after, &doc)?;
        let rows = indexing::index_rows(&self.rt, &after);
        let rows = (rows != indexing::index_rows(&self.rt, before)).then_some(rows);
        let new = Update {
            id: self.id.clone(),
            at: self.modified(stored),
            hot,
            label: indexing::label(&after),
            password,
            doc,
            before_bytes: stored.doc.len(),
            rows,
        };
        resources::update(tx, &new)?;
        self.append_differences(tx, differences);
        roles::rename(tx, self, before, &after)
    }

    /// Writes the members alone.
    pub fn update_members(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        edits: &[MemberEdit],
        options: &Options,
    ) -> Result<(), Error> {
        if self.edit_members(tx, edits, options)?.is_change() {
            resources::touch(tx, &self.id, self.modified(stored))?;
        }
        Ok(())
    }

    /// Applies member edits and records them, without a new version.
    pub fn edit_members(
        &self,
        tx: &mut Tx<'_>,
        edits: &[MemberEdit],
        options: &Options,
    ) -> Result<Effect, Error> {
        let attr = self.rt.attr_by_key("members");
        let effect = membership::apply(tx, &self.id, attr.as_ref(), edits, options)?;
        for (kind, payload) in effect.changes() {
            self.append(tx, kind, payload.to_string());
        }
        Ok(effect)
    }

    /// Returns the new `lastModified`. It never decreases, whatever the clocks of several nodes
    /// say.
    fn modified(&self, stored: &Stored) -> i64 {
        stored.modified.max(self.at)
    }

    /// Records one change for (de)activation and one for all other differences.
    fn append_differences(&self, tx: &mut Tx<'_>, differences: Vec<diff::AttrChange>) {
        let (flips, rest): (Vec<_>, Vec<_>) = differences
            .into_iter()
            .map(|change| secrets::strip_change(&self.rt, change))
            .partition(is_activation);
        for flip in flips {
            let kind = if flip.after == Some(Value::Bool(true)) {
                ChangeKind::Activated
            } else {
                ChangeKind::Deactivated
            };
            self.append(tx, kind, json!({ "attributes": [flip] }).to_string());
        }
        if !rest.is_empty() {
            let payload = json!({ "attributes": rest }).to_string();
            self.append(tx, ChangeKind::Updated, payload);
        }
    }
}

/// Returns whether the change activates or deactivates a user. A user without `active` is inactive.
fn is_activation(change: &diff::AttrChange) -> bool {
    let is_active = |value: &Option<Value>| *value == Some(Value::Bool(true));
    change.path == "active" && is_active(&change.before) != is_active(&change.after)
}
