//! Updates the indexes to those that the resource types declare, before the first request.

use std::sync::Arc;

use scim_core::admit::MAX_INDEXED_BYTES;
use scim_core::{Document, Registry, ResourceType, indexing};

use crate::service::{Error, ResourceId};
use crate::store::tables::indexes::{Agreed, IndexedPath, Pending};
use crate::store::tables::{indexes, resources, tenants};
use crate::store::{Store, Tx};

/// The number of documents read in one transaction.
const CHUNK: i64 = 500;

/// Agrees with the other nodes on the indexed paths, and fills new indexes from existing documents.
/// Work that was interrupted continues where it stopped.
///
/// # Errors
/// [`Error::Conflict`] for values that cannot be indexed: two equal ones that must be unique, or
/// one that is too long. The message names the resource.
pub async fn prepare(store: &Store, registry: &Registry) -> Result<(), Error> {
    let wanted = wanted(registry);
    let agreed = store
        .admin(move |conn| Ok::<_, Error>(indexes::agree(conn, &wanted)?))
        .await?;
    store.expect_epoch(agreed.epoch);
    build(store, registry, agreed).await
}

/// As [`prepare`], for a command that may run beside the service: it never changes the indexes of a
/// service that runs with other types. A database without resources counts as unused.
///
/// # Errors
/// [`Error::Conflict`] where the service was started with other types.
pub async fn join(store: &Store, registry: &Registry) -> Result<(), Error> {
    let wanted = wanted(registry);
    let may_join = store
        .read(move |conn| {
            Ok::<_, Error>(indexes::are_agreed(conn, &wanted)? || !resources::any(conn)?)
        })
        .await?;
    if may_join {
        return prepare(store, registry).await;
    }
    Err(Error::Conflict(
        "the service runs with other resource types or indexes on this database; name its configuration file \
         with --config, or start the service with this one first"
            .to_owned(),
    ))
}

fn wanted(registry: &Registry) -> Vec<IndexedPath> {
    let of_type = |rt: &Arc<ResourceType>| {
        let rt = Arc::clone(rt);
        let paths = rt.indexed.clone();
        paths.into_iter().map(move |path| IndexedPath {
            resource_type: rt.name.clone(),
            path: path.key().to_owned(),
            rule: indexing::index_rule(&rt, &path),
        })
    };
    registry.types().iter().flat_map(of_type).collect()
}

async fn build(store: &Store, registry: &Registry, agreed: Agreed) -> Result<(), Error> {
    if agreed.pending.is_empty() {
        return Ok(());
    }
    let tenants = store
        .read(|conn| Ok::<_, Error>(tenants::list(conn)?))
        .await?;
    for pending in agreed.pending {
        let Some(rt) = registry.by_name(&pending.resource_type) else {
            continue;
        };
        let pending = Arc::new(pending);
        let paths: Vec<&str> = pending.paths.iter().map(String::as_str).collect();
        tracing::info!(resource_type = %rt.name, paths = paths.join(", "), "making an index");
        for tenant in tenants.iter().filter(|tenant| tenant.id >= pending.after.0) {
            let mut last = if tenant.id == pending.after.0 {
                pending.after.1.clone()
            } else {
                String::new()
            };
            while let Some(next) = chunk(store, tenant, rt, &pending, last).await? {
                last = next;
            }
        }
        let done = Arc::clone(&pending);
        store
            .admin(move |conn| Ok::<_, Error>(indexes::finish(conn, &done)?))
            .await?;
        tracing::info!(resource_type = %rt.name, "the index is complete");
    }
    Ok(())
}

/// Indexes some documents of a tenant. Returns the id of the last one if there may be more.
async fn chunk(
    store: &Store,
    tenant: &tenants::Tenant,
    rt: &Arc<ResourceType>,
    pending: &Arc<Pending>,
    last: String,
) -> Result<Option<String>, Error> {
    let name = tenant.name.clone();
    let rt = Arc::clone(rt);
    let pending = Arc::clone(pending);
    store
        .write(tenant.id, move |tx| {
            fill(tx, &rt, &pending, &last).map_err(|error| match error {
                Error::Scim(error) => Error::Conflict(format!(
                    "an index of {} in the tenant {name}: {}",
                    rt.name, error.detail
                )),
                other => other,
            })
        })
        .await
}

fn fill(
    tx: &mut Tx<'_>,
    rt: &ResourceType,
    pending: &Pending,
    last: &str,
) -> Result<Option<String>, Error> {
    let tenant = tx.tenant();
    let stored = indexes::after(tx.conn(), tenant, &rt.name, last, CHUNK)?;
    let mut resources = Vec::with_capacity(stored.len());
    for resource in stored {
        let document = Document::parse(&resource.doc).map_err(Error::internal)?;
        let mut rows = indexing::index_rows(rt, &document);
        rows.retain(|row| pending.paths.contains(row.path.key()));
        for row in &rows {
            if row
                .text
                .as_ref()
                .is_some_and(|text| text.len() > MAX_INDEXED_BYTES)
            {
                return Err(Error::Conflict(format!(
                    "{} of {} {} is longer than {MAX_INDEXED_BYTES} bytes, so it cannot be indexed",
                    row.path, rt.name, resource.id
                )));
            }
        }
        resources.push((resource.id, rows));
    }
    let last = resources.last().map(|(id, _): &(ResourceId, _)| id.clone());
    indexes::fill(tx, pending, &resources)?;
    Ok(last.map(ResourceId::into_string))
}
