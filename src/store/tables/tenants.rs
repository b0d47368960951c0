//! Tenants. Tenant 1, `default`, always exists.

use std::fmt;
use std::str::FromStr;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};
use scim_core::Compatibility;

use crate::store::engine::index_epoch;
use crate::store::engine::schema::{access_epochs, tenants};
use crate::store::engine::statement::Statement;
use crate::store::{Conn, StoreError, TenantId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// Microseconds since the epoch.
    pub created: i64,
    /// The number of its last change.
    pub change_seq: i64,
    pub policy: Policy,
}

/// The settings for a tenant's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    pub compatibility: Compatibility,
    pub patch_answer: PatchAnswer,
    pub group_names: GroupNames,
    /// The largest document; `None` is the service's setting.
    pub document_limit_bytes: Option<i64>,
    /// The most values of an attribute; `None` is the service's setting.
    pub attribute_values_limit: Option<i64>,
}

/// The response to a successful PATCH, if the request does not ask for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PatchAnswer {
    /// 200 and the resource.
    #[default]
    Resource,
    /// 204 and no body.
    NoContent,
}

impl PatchAnswer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::NoContent => "no-content",
        }
    }
}

impl fmt::Display for PatchAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word was neither `resource` nor `no-content`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no answer to a PATCH; there are resource and no-content")]
pub struct UnknownPatchAnswer(String);

impl FromStr for PatchAnswer {
    type Err = UnknownPatchAnswer;

    fn from_str(text: &str) -> Result<Self, UnknownPatchAnswer> {
        match text {
            "resource" => Ok(Self::Resource),
            "no-content" => Ok(Self::NoContent),
            other => Err(UnknownPatchAnswer(other.to_owned())),
        }
    }
}

/// Whether several groups of a tenant may have the same `displayName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GroupNames {
    /// Groups may share a name.
    #[default]
    Any,
    /// A name that another group has, ignoring letter case, is rejected.
    Unique,
}

impl GroupNames {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Unique => "unique",
        }
    }
}

impl fmt::Display for GroupNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word was neither `any` nor `unique`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rule for group names; use any or unique")]
pub struct UnknownGroupNames(String);

impl FromStr for GroupNames {
    type Err = UnknownGroupNames;

    fn from_str(text: &str) -> Result<Self, UnknownGroupNames> {
        match text {
            "any" => Ok(Self::Any),
            "unique" => Ok(Self::Unique),
            other => Err(UnknownGroupNames(other.to_owned())),
        }
    }
}

/// The columns of a [`Policy`], to be selected beside others.
pub(in crate::store) type PolicyColumns = (
    tenants::compatibility,
    tenants::patch_answer,
    tenants::group_names,
    tenants::document_limit_bytes,
    tenants::attribute_values_limit,
);
pub(in crate::store) const POLICY: PolicyColumns = (
    tenants::compatibility,
    tenants::patch_answer,
    tenants::group_names,
    tenants::document_limit_bytes,
    tenants::attribute_values_limit,
);
pub(in crate::store) type PolicyRow = (String, String, String, Option<i64>, Option<i64>);

impl From<PolicyRow> for Policy {
    fn from(
        (compatibility, patch_answer, group_names, document_limit_bytes, attribute_values_limit): PolicyRow,
    ) -> Self {
        // The tables allow no other words.
        Self {
            compatibility: compatibility.parse().unwrap_or_default(),
            patch_answer: patch_answer.parse().unwrap_or_default(),
            group_names: group_names.parse().unwrap_or_default(),
            document_limit_bytes,
            attribute_values_limit,
        }
    }
}

/// The columns, in the order of the table.
#[derive(Queryable)]
struct TenantRow {
    id: i64,
    name: String,
    created: i64,
    change_seq: i64,
    compatibility: String,
    patch_answer: String,
    group_names: String,
    document_limit_bytes: Option<i64>,
    attribute_values_limit: Option<i64>,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: TenantId(row.id),
            name: row.name,
            created: row.created,
            change_seq: row.change_seq,
            policy: (
                row.compatibility,
                row.patch_answer,
                row.group_names,
                row.document_limit_bytes,
                row.attribute_values_limit,
            )
                .into(),
        }
    }
}

/// Creates a tenant. Fails with `Duplicate(TenantName)` if there is one of that name.
pub fn create(conn: &mut Conn, name: &str, at: i64) -> Result<Tenant, StoreError> {
    // A new tenant has the current epoch of the indexes.
    index_epoch::lock(conn)?;
    let row: TenantRow = diesel::insert_into(tenants::table)
        .values((tenants::name.eq(name), tenants::created.eq(at)))
        .returning(tenants::all_columns)
        .get_result(conn)?;
    static SET_EPOCH: Statement =
        Statement::new("UPDATE tenants SET index_epoch = $1 WHERE id = $2");
    let epoch = index_epoch::get(conn)?;
    SET_EPOCH
        .bind(&[epoch.into(), row.id.into()])
        .execute(conn)?;
    Ok(row.into())
}

/// Returns all tenants, by id.
pub fn list(conn: &mut Conn) -> Result<Vec<Tenant>, StoreError> {
    let rows: Vec<TenantRow> = tenants::table
        .order(tenants::id)
        .select(tenants::all_columns)
        .load(conn)?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

pub fn by_name(conn: &mut Conn, name: &str) -> Result<Option<Tenant>, StoreError> {
    let row: Option<TenantRow> = tenants::table
        .filter(tenants::name.eq(name))
        .select(tenants::all_columns)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}

pub fn get(conn: &mut Conn, tenant: TenantId) -> Result<Option<Tenant>, StoreError> {
    let row: Option<TenantRow> = tenants::table
        .filter(tenants::id.eq(tenant.0))
        .select(tenants::all_columns)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}

/// Returns the settings for the tenant's clients and its access epoch; `None` if there is no such
/// tenant.
pub(in crate::store) fn policy(
    conn: &mut Conn,
    tenant: TenantId,
) -> Result<Option<(Policy, i64)>, StoreError> {
    let row: Option<(PolicyRow, i64)> = tenants::table
        .inner_join(access_epochs::table)
        .filter(tenants::id.eq(tenant.0))
        .select((POLICY, access_epochs::epoch))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(policy, epoch)| (policy.into(), epoch)))
}

/// Sets the tenant's policy. Returns `None` if there is no such tenant.
pub fn set_policy(
    conn: &mut Conn,
    tenant: TenantId,
    policy: Policy,
) -> Result<Option<Tenant>, StoreError> {
    let row: Option<TenantRow> = diesel::update(tenants::table.filter(tenants::id.eq(tenant.0)))
        .set((
            tenants::compatibility.eq(policy.compatibility.as_str()),
            tenants::patch_answer.eq(policy.patch_answer.as_str()),
            tenants::group_names.eq(policy.group_names.as_str()),
            tenants::document_limit_bytes.eq(policy.document_limit_bytes),
            tenants::attribute_values_limit.eq(policy.attribute_values_limit),
        ))
        .returning(tenants::all_columns)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::coalesce::CoalescedReads;
    use crate::store::testing::{TENANT, with_store};

    #[test]
    fn every_policy_is_stored() {
        with_store(|store| async move {
            let reads = CoalescedReads::new(store.clone());
            let before = reads.policy(TENANT).await.unwrap();
            assert_eq!(before, Some((Policy::default(), 1)));
            let mut epoch = 1;
            for compatibility in [Compatibility::Strict, Compatibility::Tolerant] {
                for patch_answer in [PatchAnswer::NoContent, PatchAnswer::Resource] {
                    for group_names in [GroupNames::Unique, GroupNames::Any] {
                        let wanted = Policy {
                            compatibility,
                            patch_answer,
                            group_names,
                            document_limit_bytes: (epoch % 2 == 0).then_some(1 << 20),
                            attribute_values_limit: (epoch % 3 == 0).then_some(100),
                        };
                        let set = move |conn: &mut Conn| set_policy(conn, TENANT, wanted);
                        let tenant = store.admin(set).await.unwrap().unwrap();
                        assert_eq!(tenant.policy, wanted);
                        let after = reads.policy(TENANT).await.unwrap();
                        let (policy, changed) = after.unwrap();
                        assert_eq!(policy, wanted);
                        assert!(changed > epoch);
                        epoch = changed;
                    }
                }
            }
            let unknown = TenantId(99);
            assert_eq!(reads.policy(unknown).await.unwrap(), None);
            let set = move |conn: &mut Conn| set_policy(conn, unknown, Policy::default());
            assert_eq!(store.admin(set).await.unwrap(), None);
        });
    }
}
