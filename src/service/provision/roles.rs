//! Roles and entitlements of users: those that a user gets must exist, and a deleted one is taken
//! off every user.

use std::collections::{BTreeSet, HashMap};

use scim_core::assigned::NamedAssignment;
use scim_core::diff::AttrChange;
use scim_core::registry::AttrRef;
use scim_core::{Document, ResourceType, ScimError, assigned, indexing};
use serde_json::json;

use crate::service::provision::writer::Writer;
use crate::service::{Error, ResourceId, UnknownRoles};
use crate::store::Tx;
use crate::store::tables::attributes::PathValue;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources::{Rewrite, Stored};
use crate::store::tables::{attributes, resources};

/// The number of users read at a time.
const CHUNK: i64 = 500;
/// The most unknown ids that an error or a log line names.
const UNKNOWN_NAMED: usize = 20;

/// Replaces `roles` and `entitlements` of a document that is about to be written by those that
/// exist.
///
/// # Errors
/// `invalidValue` for values that name nothing, where the setting rejects them. Values that the
/// user had before, from a time when any value was accepted, are dropped without an error.
pub(in crate::service) fn resolve(
    tx: &mut Tx<'_>,
    rt: &ResourceType,
    before: Option<&Document>,
    after: &mut Document,
    setting: UnknownRoles,
) -> Result<(), Error> {
    for assignable in &rt.assignable {
        if !after.0.contains_key(assignable.attribute) {
            continue;
        }
        let ids: BTreeSet<&str> = assigned::ids(after, assignable.attribute).collect();
        let ids: Vec<ResourceId> = ids.into_iter().filter_map(ResourceId::parse).collect();
        let tenant = tx.tenant();
        let mut existing: HashMap<String, NamedAssignment> = HashMap::new();
        resources::each_of(tx.conn(), tenant, &ids, |row| {
            existing.extend([named(row)?]);
            Ok::<_, Error>(())
        })?;
        let find = |id: &str| existing.get(id).cloned();
        let unknown = assigned::settle(rt, assignable, after, find);
        if unknown.is_empty() {
            continue;
        }
        let had = |id: &String| {
            before.is_some_and(|before| {
                assigned::ids(before, assignable.attribute).any(|known| known == id)
            })
        };
        let text = unknown
            .iter()
            .take(UNKNOWN_NAMED)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        if setting == UnknownRoles::Refuse && !unknown.iter().all(had) {
            return Err(ScimError::invalid_value(format!(
                "{} names what is not here: {text}. Import the {0} again in the identity provider, then assign them.",
                assignable.attribute
            ))
            .into());
        }
        tracing::warn!(
            attribute = assignable.attribute,
            count = unknown.len(),
            ids = text,
            "dropped roles or entitlements that do not exist"
        );
    }
    Ok(())
}

fn named(stored: Stored) -> Result<(String, NamedAssignment), Error> {
    let document = Document::parse(&stored.doc).map_err(Error::internal)?;
    let named = NamedAssignment {
        resource_type: stored.resource_type,
        display: indexing::label(&document),
    };
    Ok((stored.id.into_string(), named))
}

/// Takes a deleted role or entitlement off every user who has it.
pub(in crate::service) fn withdraw(tx: &mut Tx<'_>, writer: &Writer) -> Result<(), Error> {
    let Some(path) = &writer.rt.assigned_at else {
        return Ok(());
    };
    each_holder(tx, writer, path, |document| {
        assigned::withdraw(document, &path.attribute.name, writer.id.as_str());
    })
}

/// Renames a role or an entitlement for every user who has it under its old name.
pub(in crate::service) fn rename(
    tx: &mut Tx<'_>,
    writer: &Writer,
    before: &Document,
    after: &Document,
) -> Result<(), Error> {
    let Some(path) = &writer.rt.assigned_at else {
        return Ok(());
    };
    let old = indexing::label(before);
    let new = indexing::label(after);
    if old == new {
        return Ok(());
    }
    each_holder(tx, writer, path, |document| {
        let attribute = &path.attribute.name;
        let id = writer.id.as_str();
        assigned::rename(document, attribute, id, old.as_deref(), new.as_deref());
    })
}

/// Edits the documents of all users who have the writer's resource, found by the index, and records
/// a change for each.
fn each_holder(
    tx: &mut Tx<'_>,
    writer: &Writer,
    path: &AttrRef,
    edit: impl Fn(&mut Document),
) -> Result<(), Error> {
    let tenant = tx.tenant();
    let text = path.comparable(writer.id.as_str());
    let value = PathValue {
        path: path.key(),
        text: &text,
    };
    let mut after = String::new();
    loop {
        let ids = attributes::holders(tx.conn(), tenant, value, &after, CHUNK)?;
        let found = resources::get_first(tx.conn(), tenant, &ids)?;
        // Where the documents are large, the rest of the ids is read again.
        let last = match found.rows.last() {
            Some(last) if found.is_cut => Some(&last.id),
            _ => ids.last(),
        };
        let Some(last) = last else {
            return Ok(());
        };
        last.as_str().clone_into(&mut after);
        let mut rewrites = Vec::new();
        let mut rows = Vec::new();
        for stored in found.rows {
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            let mut document = before.clone();
            edit(&mut document);
            if document == before {
                continue;
            }
            let attribute = &path.attribute.name;
            let difference = AttrChange::new(
                attribute.clone(),
                before.0.get(attribute),
                document.0.get(attribute),
            );
            append(tx, writer, &stored, &difference);
            rows.push((stored.id.clone(), indexing::rows_at(path, &document)));
            rewrites.push(Rewrite {
                id: stored.id,
                doc: document.to_string(),
                before_bytes: stored.doc.len(),
            });
        }
        resources::rewrite_many(tx, &rewrites, writer.at)?;
        attributes::refill(tx, &[path.key()], &rows)?;
    }
}

fn append(tx: &mut Tx<'_>, writer: &Writer, stored: &Stored, difference: &AttrChange) {
    tx.append(Change {
        resource_id: stored.id.clone(),
        resource_type: stored.resource_type.as_str().into(),
        kind: ChangeKind::Updated,
        at: writer.at,
        actor: writer.actor.clone(),
        payload: json!({ "attributes": [difference] }).to_string().into(),
    });
}
