//! Erases a resource for good: the resource, the content of its changes, and mentions in the
//! records of others.
//!
//! The numbers of the changes remain, so that the feed has no gap, and a last change tells
//! followers of the feed to delete their data. Only the id and the kinds and times of the changes
//! are left.

mod search;

use std::sync::Arc;

use scim_core::personal_data::Identifiers;
use scim_core::{Document, Registry, diff, indexing, patch, personal_data};
use serde_json::{Value, json};

use crate::ids::Actor;
use crate::service::access::{admin, tenants};
use crate::service::provision::delete;
use crate::service::provision::writer::Writer;
use crate::service::{Context, Error, Service};
use crate::store::tables::changes::{Change, ChangeKind, EMPTIED, RecordedChange};
use crate::store::tables::resources::{Password, Stored, Update};
use crate::store::tables::{changes, erasure, history, members, resources, setup};
use crate::store::{ResourceId, Store, TenantId, Tx};
use search::{Mentions, PERSON, find_mentions, known_of, marks_of, type_of, unknown};

pub use search::find;

/// The subject that replaces an erased person as the author of a change.
const ERASED_SUBJECT: &str = "erased";

/// A finished erasure, in numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// The number of the change that records it.
    pub seq: i64,
    /// Microseconds since the epoch.
    pub at: i64,
    pub tally: ErasureOutcome,
}

/// The extent of an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// It was erased before.
    Nothing,
    Found(ErasedCounts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedCounts {
    /// 0 if it had been deleted before.
    pub resources: usize,
    pub memberships: usize,
    /// The changes of the resource that were emptied.
    pub changes: usize,
    /// Other resources, their changes and setup states that named it.
    pub mentions: usize,
}

/// The resource to erase. Its type and id are not checked yet.
#[derive(Debug, Clone, Copy)]
pub struct ErasureTarget<'a> {
    pub tenant: TenantId,
    pub type_name: &'a str,
    pub id: &'a str,
}

/// Erases the resource for an admin.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for a tenant that the caller may not manage, and
/// errors of [`erase`].
pub async fn order(
    service: &Service,
    context: &Context,
    tenant: Option<String>,
    type_name: &str,
    id: &str,
) -> Result<Erased, Error> {
    let name = admin::managed(service, context, tenant).await?;
    let target = ErasureTarget {
        tenant: tenants::by_name(&service.store, name).await?.id,
        type_name,
        id,
    };
    erase(&service.store, &service.registry, context, target).await
}

/// Erases a resource, live or deleted. Repeating it changes nothing and returns the first erasure.
///
/// # Errors
/// [`Error::BadRequest`] for a type that is not declared, [`Error::NotFound`] where nothing is
/// known of the id.
pub async fn erase(
    store: &Store,
    registry: &Registry,
    context: &Context,
    target: ErasureTarget<'_>,
) -> Result<Erased, Error> {
    let tenant = target.tenant;
    let rt = type_of(registry, target.type_name)?;
    let id = ResourceId::parse(target.id).ok_or_else(|| unknown(&rt, target.id))?;
    // The long reads come first, without the tenant's lock; changes written meanwhile are searched
    // under it.
    let (seen, mentions) = find_mentions(store, tenant, &rt, &id).await?;
    let context = context.clone();
    store
        .write(tenant, move |tx| {
            let job = ErasureJob {
                writer: Writer::new(&context, &rt, id.clone()),
                context: &context,
            };
            job.run(tx, seen, &mentions)
        })
        .await
}

/// One erasure, within its unit of work.
struct ErasureJob<'a> {
    writer: Writer,
    context: &'a Context,
}

impl ErasureJob<'_> {
    fn run(&self, tx: &mut Tx<'_>, seen: i64, mentions: &Mentions) -> Result<Erased, Error> {
        let tenant = tx.tenant();
        let rt = &self.writer.rt;
        let id = &self.writer.id;
        let known = known_of(tx.conn(), tenant, rt, id)?;
        if let Some((seq, at)) = known.erased {
            let tally = ErasureOutcome::Nothing;
            return Ok(Erased { seq, at, tally });
        }
        let names = Arc::new(known.names);
        tx.exempt_from_quota();
        let mut found = ErasedCounts {
            resources: usize::from(known.stored.is_some()),
            memberships: members::count_of(tx.conn(), tenant, id)?,
            changes: history::empty(tx, &rt.name, id)?,
            mentions: 0,
        };
        found.mentions += self.scrub_changes(tx, &names, seen, mentions)?;
        self.amend(tx, &names);
        if let Some(mut stored) = known.stored {
            EMPTIED.clone_into(&mut stored.doc);
            delete::remove(tx, &self.writer, stored)?;
        }
        found.mentions += self.scrub_documents(tx, &names, mentions)?;
        found.mentions += scrub_setups(tx, &names, self.writer.at)?;
        erasure::forget_samples(tx.conn())?;
        let seq = tx.append(Change {
            resource_id: id.clone(),
            resource_type: rt.name.as_str().into(),
            kind: ChangeKind::Erased,
            at: self.writer.at,
            actor: anonymous_actor(&self.writer.actor, &names)
                .unwrap_or_else(|| self.writer.actor.clone()),
            payload: EMPTIED.into(),
        });
        Ok(Erased {
            seq,
            at: self.writer.at,
            tally: ErasureOutcome::Found(found),
        })
    }

    fn scrub_changes(
        &self,
        tx: &mut Tx<'_>,
        names: &Identifiers,
        seen: i64,
        mentions: &Mentions,
    ) -> Result<usize, Error> {
        if self.writer.rt.name != PERSON {
            return Ok(0);
        }
        let tenant = tx.tenant();
        let id = &self.writer.id;
        let marks = marks_of(names);
        let late = erasure::changes_with(tx.conn(), tenant, id, &marks, (seen, i64::MAX))?;
        let mut scrubbed = 0;
        for seq in mentions.changes.iter().copied().chain(late) {
            let row = changes::after(tx.conn(), tenant, seq.saturating_sub(1), 1)?;
            let Some(mut row) = row.into_iter().next().filter(|row| row.seq == seq) else {
                continue;
            };
            let before_bytes = row.change.payload.len();
            if scrub(names, id, &mut row.change) {
                history::rewrite(tx, &RecordedChange { seq, ..row }, before_bytes)?;
                scrubbed += 1;
            }
        }
        Ok(scrubbed)
    }

    /// Changes that other jobs of the same batch have appended and that are not in the table yet.
    fn amend(&self, tx: &mut Tx<'_>, names: &Arc<Identifiers>) {
        let names = Arc::clone(names);
        let id = self.writer.id.clone();
        let type_name = self.writer.rt.name.clone();
        tx.amend(move |change| {
            let is_own = change.resource_id == id && *change.resource_type == *type_name;
            if is_own && change.kind != ChangeKind::Erased {
                change.payload = EMPTIED.into();
            }
            if type_name == PERSON {
                scrub(&names, &id, change);
            }
        });
    }

    /// Removes the person as the manager of other users. Their changes record that without a value.
    fn scrub_documents(
        &self,
        tx: &mut Tx<'_>,
        names: &Identifiers,
        mentions: &Mentions,
    ) -> Result<usize, Error> {
        if self.writer.rt.name != PERSON {
            return Ok(0);
        }
        let path = format!("{}:manager", scim_core::name::ENTERPRISE_USER);
        let body = json!({
            "schemas": [scim_core::message::PATCH_OP],
            "Operations": [{ "op": "remove", "path": path }],
        });
        let patch = patch::parse(&self.writer.rt, &body, self.context.policy.compatibility)?;
        let tenant = tx.tenant();
        let mut scrubbed = 0;
        for id in &mentions.documents {
            let stored = resources::get(tx.conn(), tenant, PERSON, id)?;
            let Some(stored) = stored else { continue };
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            if names.is_manager_in(&before.0) {
                let after = patch.apply(&self.writer.rt, &before)?.document;
                self.unmanage(tx, &stored, &before, &after)?;
                scrubbed += 1;
            }
        }
        Ok(scrubbed)
    }

    fn unmanage(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        before: &Document,
        after: &Document,
    ) -> Result<(), Error> {
        let rt = &self.writer.rt;
        let mut differences = diff::diff(rt, before, after);
        for difference in &mut differences {
            if personal_data::is_about_manager(&difference.path) {
                difference.before = None;
                difference.after = None;
            }
        }
        let at = stored.modified.max(self.writer.at);
        let new = Update {
            id: stored.id.clone(),
            at,
            hot: indexing::hot_columns(rt, after),
            label: indexing::label(after),
            password: Password::Keep,
            doc: after.to_string(),
            before_bytes: stored.doc.len(),
            rows: Some(indexing::index_rows(rt, after)),
        };
        resources::update(tx, &new)?;
        tx.append(Change {
            resource_id: stored.id.clone(),
            resource_type: stored.resource_type.as_str().into(),
            kind: ChangeKind::Updated,
            at: self.writer.at,
            actor: self.writer.actor.clone(),
            payload: json!({ "attributes": differences }).to_string().into(),
        });
        Ok(())
    }
}

/// Removes the person from a change of another resource. Returns whether it was named there.
fn scrub(names: &Identifiers, person: &ResourceId, change: &mut Change) -> bool {
    let mut is_named = false;
    if let Some(actor) = anonymous_actor(&change.actor, names) {
        change.actor = actor;
        is_named = true;
    }
    if change.resource_id != *person
        && let Some(payload) = names.scrub(&change.payload)
    {
        change.payload = payload.into();
        is_named = true;
    }
    is_named
}

/// Returns the replacement for an actor that is the person.
fn anonymous_actor(actor: &Actor, names: &Identifiers) -> Option<Actor> {
    let subject = actor.subject()?;
    names
        .matches(subject)
        .then(|| Actor::Subject(ERASED_SUBJECT.into()))
}

/// Removes the person from the states of `rollcall setup`, which name the users that it assigned
/// the app to.
fn scrub_setups(tx: &mut Tx<'_>, names: &Identifiers, at: i64) -> Result<usize, Error> {
    let tenant = tx.tenant();
    let mut scrubbed = 0;
    for (org, state) in setup::states(tx.conn(), tenant)? {
        let before: Value = serde_json::from_str(&state).unwrap_or_default();
        let mut after = before.clone();
        forget_in(&mut after, names);
        if after != before {
            setup::save(tx.conn(), tenant, &org, &after.to_string(), at)?;
            scrubbed += 1;
        }
    }
    Ok(scrubbed)
}

fn forget_in(value: &mut Value, names: &Identifiers) {
    match value {
        Value::String(text) if names.matches(text) => *value = Value::from("erased"),
        Value::Array(list) => list.iter_mut().for_each(|item| forget_in(item, names)),
        Value::Object(map) => map.values_mut().for_each(|item| forget_in(item, names)),
        _ => {}
    }
}
