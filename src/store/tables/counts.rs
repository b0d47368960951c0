//! The number of resources of each type and tenant, updated by every write, so that no rows have to
//! be counted.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use serde_json::json;

use crate::store::engine::schema::counts;
use crate::store::engine::statement::Statement;
use crate::store::{Conn, StoreError, TenantId};

/// The numbers of one resource type, or their differences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub resource_type: String,
    pub live: i64,
    /// The number of resources deleted so far.
    pub deleted: i64,
}

/// Returns the numbers of a type; zeros if there never was a resource.
pub fn of(conn: &mut Conn, tenant: TenantId, resource_type: &str) -> Result<Count, StoreError> {
    let row: Option<(i64, i64)> = counts::table
        .filter(counts::tenant_id.eq(tenant.0))
        .filter(counts::resource_type.eq(resource_type))
        .select((counts::live, counts::deleted))
        .get_result(conn)
        .optional()?;
    let (live, deleted) = row.unwrap_or_default();
    Ok(Count {
        resource_type: resource_type.to_owned(),
        live,
        deleted,
    })
}

// WHERE: without it SQLite takes ON for a join.
static ADD: Statement = Statement::new(
    "INSERT INTO counts (tenant_id, resource_type, live, deleted) \
     SELECT $1, d.resource_type, d.live, d.deleted \
     FROM json_rows($2) AS d(resource_type TEXT, live BIGINT, deleted BIGINT) WHERE 1 = 1 \
     ON CONFLICT (tenant_id, resource_type) \
     DO UPDATE SET live = counts.live + excluded.live, deleted = counts.deleted + excluded.deleted",
);

/// Adds the differences to the numbers.
pub(in crate::store) fn add(
    conn: &mut Conn,
    tenant: TenantId,
    deltas: &[Count],
) -> Result<(), StoreError> {
    if deltas.is_empty() {
        return Ok(());
    }
    let list = serde_json::Value::from_iter(deltas.iter().map(
        |delta| json!({"resource_type": delta.resource_type, "live": delta.live, "deleted": delta.deleted}),
    ))
    .to_string();
    ADD.bind(&[tenant.into(), (&list).into()]).execute(conn)?;
    Ok(())
}
