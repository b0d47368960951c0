//! Erasing somebody for good: the resource, its trail in the changes, and where the records of others name it.
//!
//! The numbers of the changes stay, so that the feed has no gap, and a last change tells all who follow it to keep
//! nothing. What is left is the id and the kinds and times of what happened to it.

mod search;

use std::sync::Arc;

use scim_core::personal_data::Identifiers;
use scim_core::{Document, Registry, ResourceType, diff, indexing, patch, personal_data};
use serde_json::{Value, json};

use crate::service::access::{admin, tenants};
use crate::service::provision::writer::Writer;
use crate::service::{Context, Error, Service};
use crate::store::tables::changes::{Change, ChangeKind, EMPTIED, RecordedChange};
use crate::store::tables::resources::{Password, Stored, Update};
use crate::store::tables::{changes, erasure, members, resources, setup};
use crate::store::{ResourceId, Store, TenantId, Tx};
use search::{Places, known_of, look, marks_of};

pub use search::find;

/// Who did it, where that was the person.
const SOMEBODY: &str = "jwt:erased";
/// The type of those who are managers, and act.
const PERSON: &str = "User";

/// What was erased, by numbers. Never by values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// The number of the change that tells of it.
    pub seq: i64,
    /// Microseconds since the epoch.
    pub at: i64,
    pub tally: ErasureOutcome,
}

/// What there was to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// All was done before.
    Nothing,
    Found(ErasedCounts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErasedCounts {
    /// 0 where it had been deleted before.
    pub resources: usize,
    pub memberships: usize,
    /// Changes of the resource that were emptied.
    pub changes: usize,
    /// Other resources, changes of theirs and notes that named it.
    pub mentions: usize,
}

/// Erases the resource for an admin.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for a tenant that is not the caller's to manage, and as [`erase`].
pub async fn order(
    service: &Service,
    context: &Context,
    tenant: Option<String>,
    type_name: &str,
    id: &str,
) -> Result<Erased, Error> {
    let name = admin::managed(service, context, tenant).await?;
    let tenant = tenants::by_name(&service.store, name).await?.id;
    erase(
        &service.store,
        &service.registry,
        context,
        tenant,
        type_name,
        id,
    )
    .await
}

/// Erases the resource, whether it is there or was deleted. Once done, it is told again and does nothing.
///
/// # Errors
/// [`Error::BadRequest`] for a type that is not declared, [`Error::NotFound`] where nothing is known of the id.
pub async fn erase(
    store: &Store,
    registry: &Registry,
    context: &Context,
    tenant: TenantId,
    type_name: &str,
    id: &str,
) -> Result<Erased, Error> {
    let rt = type_of(registry, type_name)?;
    let id = ResourceId::parse(id).ok_or_else(|| unknown(&rt, id))?;
    // Long reads come first and without the tenant's lock; what is written meanwhile is looked through under it.
    let (seen, places) = look(store, tenant, &rt, &id).await?;
    let context = context.clone();
    store
        .write(tenant, move |tx| {
            let job = ErasureJob {
                writer: Writer::new(&context, &rt, id),
                context: &context,
            };
            job.run(tx, seen, &places)
        })
        .await
}

fn type_of(registry: &Registry, name: &str) -> Result<Arc<ResourceType>, Error> {
    let found = registry.by_name(name).cloned();
    found.ok_or_else(|| Error::BadRequest(format!("There is no resource type `{name}`.")))
}

fn unknown(rt: &ResourceType, id: &str) -> Error {
    Error::NotFound(format!("{} {id}", rt.name))
}

/// One erasure, within its unit of work.
struct ErasureJob<'a> {
    writer: Writer,
    context: &'a Context,
}

impl ErasureJob<'_> {
    fn run(&self, tx: &mut Tx<'_>, seen: i64, places: &Places) -> Result<Erased, Error> {
        let (tenant, rt, id) = (tx.tenant(), &self.writer.rt, &self.writer.id);
        let known = known_of(tx.conn(), tenant, rt, id)?;
        if let Some((seq, at)) = known.erased {
            let tally = ErasureOutcome::Nothing;
            return Ok(Erased { seq, at, tally });
        }
        let names = Arc::new(known.names);
        let mut found = ErasedCounts {
            resources: usize::from(known.stored.is_some()),
            memberships: members::count_of(tx.conn(), tenant, id)?,
            changes: changes::empty(tx.conn(), tenant, &rt.name, id)?,
            mentions: 0,
        };
        found.mentions += self.scrub_changes(tx, &names, seen, places)?;
        self.amend(tx, &names);
        if let Some(mut stored) = known.stored {
            EMPTIED.clone_into(&mut stored.doc);
            self.writer.remove(tx, stored)?;
        }
        found.mentions += self.scrub_documents(tx, &names, places)?;
        found.mentions += scrub_setups(tx, &names, self.writer.at)?;
        erasure::forget_samples(tx.conn())?;
        let seq = tx.append(Change {
            resource_id: id.clone(),
            resource_type: rt.name.clone(),
            kind: ChangeKind::Erased,
            at: self.writer.at,
            actor: other_actor(&self.writer.actor, &names)
                .unwrap_or_else(|| self.writer.actor.clone()),
            payload: EMPTIED.to_owned(),
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
        places: &Places,
    ) -> Result<usize, Error> {
        if self.writer.rt.name != PERSON {
            return Ok(0);
        }
        let (tenant, id) = (tx.tenant(), &self.writer.id);
        let conn = tx.conn();
        let marks = marks_of(names);
        let late = erasure::changes_with(conn, tenant, id, &marks, (seen, i64::MAX))?;
        let mut scrubbed = 0;
        for seq in places.changes.iter().copied().chain(late) {
            let row = changes::after(conn, tenant, seq.saturating_sub(1), 1)?;
            let Some(mut row) = row.into_iter().next().filter(|row| row.seq == seq) else {
                continue;
            };
            if scrub(names, id, &mut row.change) {
                changes::rewrite(conn, tenant, &RecordedChange { seq, ..row })?;
                scrubbed += 1;
            }
        }
        Ok(scrubbed)
    }

    /// Other jobs of the same batch may have appended changes that are not in the table yet.
    fn amend(&self, tx: &mut Tx<'_>, names: &Arc<Identifiers>) {
        let (names, id) = (Arc::clone(names), self.writer.id.clone());
        let type_name = self.writer.rt.name.clone();
        tx.amend(move |change| {
            let is_own = change.resource_id == id && change.resource_type == type_name;
            if is_own && change.kind != ChangeKind::Erased {
                EMPTIED.clone_into(&mut change.payload);
            }
            if type_name == PERSON {
                scrub(&names, &id, change);
            }
        });
    }

    /// Takes the person off those whose manager it was. The change of theirs says so without a value.
    fn scrub_documents(
        &self,
        tx: &mut Tx<'_>,
        names: &Identifiers,
        places: &Places,
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
        let (tenant, mut scrubbed) = (tx.tenant(), 0);
        for id in &places.documents {
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
        for one in &mut differences {
            if personal_data::is_about_manager(&one.path) {
                (one.before, one.after) = (None, None);
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
            rows: Some(indexing::index_rows(rt, after)),
        };
        resources::update(tx, &new)?;
        tx.append(Change {
            resource_id: stored.id.clone(),
            resource_type: stored.resource_type.clone(),
            kind: ChangeKind::Updated,
            at: self.writer.at,
            actor: self.writer.actor.clone(),
            payload: json!({ "attributes": differences }).to_string(),
        });
        Ok(())
    }
}

/// Takes the person out of a change of another; says whether it was in it.
fn scrub(names: &Identifiers, person: &ResourceId, change: &mut Change) -> bool {
    let mut is_in = false;
    if let Some(actor) = other_actor(&change.actor, names) {
        change.actor = actor;
        is_in = true;
    }
    if change.resource_id != *person
        && let Some(payload) = names.scrub(&change.payload)
    {
        change.payload = payload;
        is_in = true;
    }
    is_in
}

/// What stands in the place of an actor that is the person itself.
fn other_actor(actor: &str, names: &Identifiers) -> Option<String> {
    let subject = actor.strip_prefix("jwt:")?;
    names.matches(subject).then(|| SOMEBODY.to_owned())
}

/// `rollcall setup` notes what those are called to whom it gave the app.
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
        Value::Array(list) => list.iter_mut().for_each(|one| forget_in(one, names)),
        Value::Object(map) => map.values_mut().for_each(|one| forget_in(one, names)),
        _ => {}
    }
}
