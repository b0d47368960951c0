//! Loads the resources of a type that clients can only read from a file of the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scim_core::admit::Admitted;
use scim_core::registry::ClientAccess;
use scim_core::{Document, ResourceType, admit};
use serde_json::Value;

use crate::service::provision::delete;
use crate::service::provision::update::ResourceUpdate;
use crate::service::provision::writer::Writer;
use crate::service::{Context, Error, Options, ResourceId};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::resources::Password;
use crate::store::tables::{indexes, resources};
use crate::store::{Store, Tx};

/// The number of resources read at a time.
const CHUNK: i64 = 500;

/// The number of resources that were created, changed and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadCounts {
    pub created: usize,
    pub changed: usize,
    pub deleted: usize,
    /// Resources that equal their entry in the list.
    pub same: usize,
}

/// Replaces the resources of the type by those of `list`: a JSON array, or a SCIM list response.
/// Each entry has an `id`, which identifies it from one load to the next. All resources are written
/// or none.
///
/// # Errors
/// [`Error::BadRequest`] where the type is not read-only, or an entry is invalid; the message names
/// the entry.
pub async fn load(
    store: &Store,
    context: &Context,
    rt: &Arc<ResourceType>,
    list: &Value,
    options: Arc<Options>,
) -> Result<LoadCounts, Error> {
    if rt.access != ClientAccess::ReadOnly {
        return Err(Error::BadRequest(format!(
            "clients write the resources of the type {}: only one with access = \"read_only\" is loaded",
            rt.name
        )));
    }
    let wanted = read(context, rt, list)?;
    let context = context.clone();
    let rt = Arc::clone(rt);
    store
        .write(context.tenant(), move |tx| {
            run(tx, &context, &rt, &wanted, &options)
        })
        .await
}

fn read(
    context: &Context,
    rt: &ResourceType,
    list: &Value,
) -> Result<BTreeMap<String, Admitted>, Error> {
    let list = list.get("Resources").unwrap_or(list);
    let Value::Array(elements) = list else {
        return Err(Error::BadRequest(
            "the file must hold a list of resources, or a list response".to_owned(),
        ));
    };
    let mut wanted = BTreeMap::new();
    for (index, element) in elements.iter().enumerate() {
        let blame = |what: &str| Error::BadRequest(format!("resource {}: {what}", index + 1));
        let id = element
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // RFC 7643 section 3.1 reserves `bulkId`. Other characters would have to be escaped in a
        // URL.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:@".contains(c);
        if ResourceId::parse(id).is_none() || id.contains("bulkId") || !id.chars().all(is_plain) {
            return Err(blame(
                "it needs an \"id\" of letters, digits and -._~:@, at most 256 of them",
            ));
        }
        let mut admitted = admit::admit(rt, element, context.policy.compatibility)
            .map_err(|error| blame(&error.detail))?;
        admit::defaults(rt, &mut admitted);
        admitted.document.set_id(id);
        if wanted.insert(id.to_owned(), admitted).is_some() {
            return Err(blame(&format!("the id {id:?} is there twice")));
        }
    }
    Ok(wanted)
}

fn run(
    tx: &mut Tx<'_>,
    context: &Context,
    rt: &Arc<ResourceType>,
    wanted: &BTreeMap<String, Admitted>,
    options: &Options,
) -> Result<LoadCounts, Error> {
    let mut tally = LoadCounts::default();
    tx.exempt_from_quota();
    let tenant = tx.tenant();
    let mut existing = BTreeSet::new();
    let mut last = String::new();
    loop {
        let chunk = indexes::after(tx.conn(), tenant, &rt.name, &last, CHUNK)?;
        let Some(stored) = chunk.last() else { break };
        stored.id.as_str().clone_into(&mut last);
        for stored in chunk {
            let writer = Writer::new(context, rt, stored.id.clone());
            let Some(admitted) = wanted.get(stored.id.as_str()) else {
                delete::remove(tx, &writer, stored)?;
                tally.deleted += 1;
                continue;
            };
            existing.insert(stored.id.as_str().to_owned());
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            let after = admit::replace(rt, &before, admitted)?;
            if after == before {
                tally.same += 1;
                continue;
            }
            let update = ResourceUpdate {
                stored: &stored,
                before: &before,
                after,
                password: Password::Keep,
                member_edits: &[],
            };
            writer.update(tx, update, options)?;
            tally.changed += 1;
        }
    }
    for (id, admitted) in wanted {
        if existing.contains(id) {
            continue;
        }
        let writer = Writer::new(context, rt, ResourceId(id.clone()));
        let new = writer.new_resource(&admitted.document);
        resources::insert(tx, &new)?;
        writer.append(tx, ChangeKind::Created, new.doc);
        tally.created += 1;
    }
    Ok(tally)
}
