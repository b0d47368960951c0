//! What tenants store: reading it, and keeping the counted numbers right.

use crate::service::access::admin;
use crate::service::{Context, Error, Service};
use crate::store::tables::storage_use::TenantStorage;
use crate::store::tables::{storage_use, tenants};
use crate::store::{Store, StoreError, TenantId};

pub use crate::store::tables::storage_use::LargeResource;

/// The most resources that are listed.
pub const MOST_LISTED: u32 = 1000;

/// What a tenant stores, and what takes most of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReport {
    pub storage: TenantStorage,
    /// The limit that applies; `None` if there is none.
    pub limit: Option<i64>,
    pub largest: Vec<LargeResource>,
}

/// Reports on a tenant for an admin.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for a tenant that the caller may not manage.
pub async fn read(
    service: &Service,
    context: &Context,
    tenant: String,
    most: u32,
) -> Result<StorageReport, Error> {
    let name = admin::managed(service, context, Some(tenant)).await?;
    report(&service.store, name, most).await
}

/// Reports on a tenant, with up to `most` of its largest resources. Reads all rows of the tenant
/// if there is one to list.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn report(store: &Store, name: String, most: u32) -> Result<StorageReport, Error> {
    let default = store.tenant_quota_bytes();
    store
        .read(move |conn| {
            let tenant = tenants::by_name(conn, &name)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{name}`")))?;
            let storage =
                storage_use::get(conn, tenant.id)?.ok_or(StoreError::UnknownTenant(tenant.id))?;
            let most = most.min(MOST_LISTED);
            let largest = match most {
                0 => Vec::new(),
                most => storage_use::largest(conn, tenant.id, most)?,
            };
            let limit = storage.quota_bytes.unwrap_or(default);
            Ok(StorageReport {
                limit: (limit > 0).then_some(limit),
                storage,
                largest,
            })
        })
        .await
}

/// Returns what each tenant stores.
pub async fn list(store: &Store) -> Result<Vec<TenantStorage>, Error> {
    Ok(store.read(storage_use::list).await?)
}

/// Measures what each tenant stores and corrects the counted numbers: those of a database that an
/// older version has written have to be found out.
pub async fn measure(store: &Store) -> Result<(), Error> {
    let tenants = store.read(storage_use::list).await?;
    for row in tenants {
        correct(store, row.tenant).await?;
    }
    Ok(())
}

async fn correct(store: &Store, tenant: TenantId) -> Result<(), Error> {
    let found = store
        .read(move |conn| storage_use::compare(conn, tenant))
        .await?;
    if let Some(correction) = found {
        store
            .admin(move |conn| storage_use::correct(conn, &correction))
            .await?;
    }
    Ok(())
}
