//! How many resources of a type a tenant has, kept up with every write, so that nobody has to count rows.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use serde_json::json;

use crate::store::engine::schema::counts;
use crate::store::engine::sql::{Column, Sql, rows};
use crate::store::{Conn, StoreError, TenantId};

/// The numbers of one resource type, or by how much they move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub resource_type: String,
    pub live: i64,
    /// How many were ever deleted.
    pub deleted: i64,
}

/// Zeros where there never was one.
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

/// Moves the numbers.
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
    let source = rows(
        conn.backend(),
        "$2",
        "d",
        &[
            ("resource_type", Column::Text),
            ("live", Column::Int),
            ("deleted", Column::Int),
        ],
    );
    // WHERE: without it SQLite takes ON for a join.
    Sql::new(format!(
        "INSERT INTO counts (tenant_id, resource_type, live, deleted) \
         SELECT $1, d.resource_type, d.live, d.deleted FROM {source} WHERE 1 = 1 \
         ON CONFLICT (tenant_id, resource_type) \
         DO UPDATE SET live = counts.live + excluded.live, deleted = counts.deleted + excluded.deleted"
    ))
    .int(tenant.0)
    .text(&list)
    .execute(conn)?;
    Ok(())
}
