//! The steps that the writes of a resource share, within one unit of work.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::scim::leaves;
use crate::scim::members::MemberEdit;
use crate::scim::project::Selection;
use crate::scim::{Document, Precondition, ResourceType, Version, diff, secrets};
use crate::service::assignments;
use crate::service::membership::{self, Effect};
use crate::service::present::{self, Lookup, Return, Written};
use crate::service::{Context, Error, Options};
use crate::store::changes::{Change, ChangeKind};
use crate::store::resources::{Password, Stored, Update};
use crate::store::shown::By;
use crate::store::{ResourceId, Tx, resources};

/// What every step of one write shares.
#[derive(Clone)]
pub(super) struct Writer {
    pub rt: Arc<ResourceType>,
    pub id: ResourceId,
    /// Microseconds since the epoch.
    pub at: i64,
    pub actor: String,
}

impl Writer {
    pub fn new(context: &Context, rt: &Arc<ResourceType>, id: ResourceId) -> Self {
        Self {
            rt: Arc::clone(rt),
            id,
            at: context.at_us(),
            actor: context.principal.name.clone(),
        }
    }

    pub fn current(&self, tx: &mut Tx<'_>) -> Result<Stored, Error> {
        let tenant = tx.tenant();
        resources::get(tx.conn(), tenant, &self.rt.name, &self.id)?
            .ok_or_else(|| Error::no_resource(&self.rt, &self.id))
    }

    /// The same, where the request allows a write of the version that it meets. Within the unit of work, so that
    /// of two writers with the same condition one is too late.
    pub fn current_if(
        &self,
        tx: &mut Tx<'_>,
        precondition: &Precondition,
    ) -> Result<Stored, Error> {
        let stored = self.current(tx)?;
        if precondition.allows_write(stored.version) {
            Ok(stored)
        } else {
            Err(Error::PreconditionFailed(stored.version.into()))
        }
    }

    pub fn append(&self, tx: &mut Tx<'_>, kind: ChangeKind, payload: String) {
        let payload = match kind {
            // Their payload is the document.
            ChangeKind::Created | ChangeKind::Deleted => secrets::without(&self.rt, payload),
            _ => payload,
        };
        tx.append(Change {
            resource_id: self.id.clone(),
            resource_type: self.rt.name.clone(),
            kind,
            at: self.at,
            actor: self.actor.clone(),
            payload,
        });
    }

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
        assignments::settle(
            tx,
            &self.rt,
            Some(before),
            &mut after,
            options.unknown_roles,
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
        let rows = leaves::index_rows(&self.rt, &after);
        let rows = (rows != leaves::index_rows(&self.rt, before)).then_some(rows);
        let new = Update {
            id: self.id.clone(),
            at: self.modified(stored),
            hot: leaves::hot_columns(&self.rt, &after),
            label: leaves::label(&after),
            password,
            doc: after.to_string(),
            rows,
        };
        resources::update(tx, &new)?;
        self.append_differences(tx, differences);
        assignments::rename(tx, self, before, &after)
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
            .map(|change| secrets::hide(&self.rt, change))
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

    /// What the write is answered with, read after it.
    pub fn answer(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        selection: &Selection,
        answer: Return,
    ) -> Result<Written, Error> {
        let tenant = tx.tenant();
        let (conn, rt) = (tx.conn(), &self.rt);
        if let Some(lookup) = Lookup::of(rt, selection) {
            let found = lookup.find_in(conn, tenant, &By::Id(self.id.clone()))?;
            let found = found
                .shown
                .ok_or_else(|| Error::no_resource(rt, &self.id))?;
            return Ok(match answer {
                Return::Representation => Written::Whole(lookup.render(&options.base_url, found)),
                Return::Minimal => self.quiet(options, lookup.version(&found)),
            });
        }
        let stored = self.current(tx)?;
        let conn = tx.conn();
        match answer {
            Return::Representation => {
                present::one(conn, tenant, &options.base_url, rt, stored, selection)
                    .map(Written::Whole)
            }
            Return::Minimal => {
                let version = present::version(conn, tenant, rt, &stored, selection)?;
                Ok(self.quiet(options, version))
            }
        }
    }

    pub fn quiet(&self, options: &Options, version: Version) -> Written {
        Written::Quiet {
            location: present::location(&options.base_url, &self.rt, &self.id),
            version,
        }
    }
}

/// Whether the change lets somebody in or shuts somebody out. To be without `active` is to be inactive.
fn is_flip(change: &diff::AttrChange) -> bool {
    let is_active = |value: &Option<Value>| *value == Some(Value::Bool(true));
    change.path == "active" && is_active(&change.before) != is_active(&change.after)
}
