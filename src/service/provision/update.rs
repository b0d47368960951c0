//! What an update writes: the document, the members, and the changes that tell of it.

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

impl Writer {
    /// Writes what differs between `before` and `after`, and the members; one new version for all of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one update, each used once"
    )]
    pub fn update(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        before: &Document,
        mut after: Document,
        password: Password,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<(), Error> {
        roles::settle(
            tx,
            &self.rt,
            Some(before),
            &mut after,
            options.scim.unknown_roles,
        )?;
        let mut differences = diff::diff(&self.rt, before, &after);
        if password != Password::Keep {
            // A secret is named and never shown.
            differences.push(diff::AttrChange {
                path: "password".to_owned(),
                before: None,
                after: None,
            });
        }
        let effect = self.edit_members(tx, edits, options)?;
        if differences.is_empty() {
            if effect.is_change() {
                resources::touch(tx, &self.id, self.modified(stored))?;
            }
            return Ok(());
        }
        let hot = indexing::hot_columns(&self.rt, &after);
        group_names::check(tx, self, Some(before), &hot)?;
        let rows = indexing::index_rows(&self.rt, &after);
        let rows = (rows != indexing::index_rows(&self.rt, before)).then_some(rows);
        let new = Update {
            id: self.id.clone(),
            at: self.modified(stored),
            hot,
            label: indexing::label(&after),
            password,
            doc: after.to_string(),
            rows,
        };
        resources::update(tx, &new)?;
        self.append_differences(tx, differences);
        roles::rename(tx, self, before, &after)
    }

    pub fn update_members(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<(), Error> {
        if self.edit_members(tx, edits, options)?.is_change() {
            resources::touch(tx, &self.id, self.modified(stored))?;
        }
        Ok(())
    }

    pub fn edit_members(
        &self,
        tx: &mut Tx<'_>,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<Effect, Error> {
        let attr = self.rt.attr_by_key("members");
        let effect = membership::apply(tx, &self.id, attr.as_ref(), edits, options)?;
        for (kind, payload) in effect.changes() {
            self.append(tx, kind, payload.to_string());
        }
        Ok(effect)
    }

    /// Time never runs backwards for one resource, whatever the clocks of several nodes say.
    fn modified(&self, stored: &Stored) -> i64 {
        stored.modified.max(self.at)
    }

    fn append_differences(&self, tx: &mut Tx<'_>, differences: Vec<diff::AttrChange>) {
        let (flips, rest): (Vec<_>, Vec<_>) = differences
            .into_iter()
            .map(|change| secrets::strip_change(&self.rt, change))
            .partition(is_flip);
        for flip in flips {
            let kind = if flip.after == Some(Value::Bool(true)) {
                ChangeKind::Activated
            } else {
                ChangeKind::Deactivated
            };
            self.append(tx, kind, json!({ "attributes": [flip] }).to_string());
        }
        if !rest.is_empty() {
            self.append(
                tx,
                ChangeKind::Updated,
                json!({ "attributes": rest }).to_string(),
            );
        }
    }
}

/// Whether the change lets somebody in or shuts somebody out. To be without `active` is to be inactive.
fn is_flip(change: &diff::AttrChange) -> bool {
    let is_active = |value: &Option<Value>| *value == Some(Value::Bool(true));
    change.path == "active" && is_active(&change.before) != is_active(&change.after)
}
