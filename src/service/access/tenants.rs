//! Tenants: creating, listing and configuring them.

use scim_core::Compatibility;

use crate::service::{Error, GroupNames, PatchAnswer, Policy};
use crate::store::engine::store::MAX_QUOTA_BYTES;
use crate::store::tables::tenants::Tenant;
use crate::store::tables::{group_names, storage_use, tenants};
use crate::store::{Store, StoreError};

/// Creates a tenant.
///
/// # Errors
/// [`Error::Conflict`] for a name that is taken, [`Error::BadRequest`] for one that is not 1 to 63
/// of `a-z 0-9 - _`.
pub async fn create(store: &Store, name: String, now_us: i64) -> Result<Tenant, Error> {
    check_name(&name)?;
    store
        .admin(move |conn| {
            tenants::create(conn, &name, now_us).map_err(|error| match error {
                StoreError::Duplicate(_) => {
                    Error::Conflict(format!("a tenant named `{name}` exists"))
                }
                other => other.into(),
            })
        })
        .await
}

/// Rejects an invalid tenant name.
pub(in crate::service) fn check_name(name: &str) -> Result<(), Error> {
    let fits = !name.is_empty()
        && name.len() <= 63
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if fits {
        return Ok(());
    }
    Err(Error::BadRequest(
        "a tenant's name has 1 to 63 characters out of a-z, 0-9, `-` and `_`".into(),
    ))
}

/// Lists all tenants by name.
pub async fn list(store: &Store) -> Result<Vec<Tenant>, Error> {
    store.read(|conn| Ok(tenants::list(conn)?)).await
}

/// Returns the tenant with this name.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn by_name(store: &Store, name: String) -> Result<Tenant, Error> {
    store
        .read(move |conn| {
            tenants::by_name(conn, &name)?
                .ok_or_else(|| Error::NotFound(format!("The tenant `{name}`")))
        })
        .await
}

/// The settings of a tenant to change. `None` leaves a setting as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    pub compatibility: Option<Compatibility>,
    pub patch_answer: Option<PatchAnswer>,
    pub group_names: Option<GroupNames>,
    /// The tenant's own quota, 0 for no limit; `Some(None)` takes it away.
    pub quota_bytes: Option<Option<i64>>,
    /// 0 returns to the service's setting.
    pub document_limit_bytes: Option<u64>,
    /// 0 returns to the service's setting.
    pub attribute_values_limit: Option<u64>,
}

impl Settings {
    /// Whether the change is one that only the operator may make: a higher limit takes memory and
    /// storage that all tenants share.
    pub fn is_for_operator(&self) -> bool {
        self.quota_bytes.is_some()
            || self.document_limit_bytes.is_some()
            || self.attribute_values_limit.is_some()
    }
}

/// Returns the stored form of a limit: `None` is the service's setting.
fn limit(change: Option<u64>, present: Option<i64>) -> Option<i64> {
    match change {
        None => present,
        Some(0) => None,
        Some(limit) => Some(i64::try_from(limit).unwrap_or(i64::MAX)),
    }
}

/// A tenant after a change of its settings.
#[derive(Debug)]
pub struct TenantChanges {
    pub tenant: Tenant,
    /// The number of names that several groups share, where the change asked for unique ones. Those
    /// groups stay as they are.
    pub shared_group_names: Option<u64>,
}

/// Changes settings of a tenant. They apply from its next request on.
///
/// # Errors
/// [`Error::NotFound`], [`Error::BadRequest`] for the quota.
pub async fn set(store: &Store, name: String, settings: Settings) -> Result<TenantChanges, Error> {
    let most = i64::try_from(MAX_QUOTA_BYTES).unwrap_or(i64::MAX);
    if let Some(Some(quota)) = settings.quota_bytes
        && !(0..=most).contains(&quota)
    {
        return Err(Error::BadRequest(format!(
            "a quota is a number of bytes from 0, which is no limit, to {most}"
        )));
    }
    store
        .admin(move |conn| {
            let missing = || Error::NotFound(format!("The tenant `{name}`"));
            let tenant = tenants::by_name(conn, &name)?.ok_or_else(missing)?;
            let Policy {
                compatibility,
                patch_answer,
                group_names,
                document_limit_bytes,
                attribute_values_limit,
            } = tenant.policy;
            let policy = Policy {
                compatibility: settings.compatibility.unwrap_or(compatibility),
                patch_answer: settings.patch_answer.unwrap_or(patch_answer),
                group_names: settings.group_names.unwrap_or(group_names),
                document_limit_bytes: limit(settings.document_limit_bytes, document_limit_bytes),
                attribute_values_limit: limit(
                    settings.attribute_values_limit,
                    attribute_values_limit,
                ),
            };
            let tenant = tenants::set_policy(conn, tenant.id, policy)?.ok_or_else(missing)?;
            if let Some(quota) = settings.quota_bytes {
                storage_use::set_quota(conn, tenant.id, quota)?;
            }
            let shared_group_names = match settings.group_names {
                Some(GroupNames::Unique) => Some(group_names::shared(conn, tenant.id)?),
                _ => None,
            };
            Ok(TenantChanges {
                tenant,
                shared_group_names,
            })
        })
        .await
}
