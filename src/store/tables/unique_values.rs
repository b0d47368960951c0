//! Values that no two resources may share. The primary key of the table refuses the second holder, also when two
//! come at once.

use std::collections::BTreeSet;

use diesel::sql_types::Text;
use diesel::{OptionalExtension, QueryableByName, RunQueryDsl};
use scim_core::indexing::IndexRow;
use serde::Serialize;

use crate::store::engine::sql::{Column, Sql, rows};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    path: &'a str,
    held: String,
    /// For the message.
    key: &'a str,
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Text)]
    resource_id: String,
    #[diesel(sql_type = Text)]
    key: String,
}

/// Takes the values that are unique among `values` for the resource, which holds none of them yet.
/// `Held` where another one has one of them.
pub(in crate::store) fn claim(
    tx: &mut Tx<'_>,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    claim_for(tx.conn(), tenant, id, values)
}

/// As [`claim`], where there is no [`Tx`].
pub(in crate::store) fn claim_for(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    // One resource may have a value twice.
    let claims: BTreeSet<Claim> = values.iter().filter_map(claim_of).collect();
    if claims.is_empty() {
        return Ok(());
    }
    let list = serde_json::to_string(&claims)?;
    let columns = [
        ("path", Column::Text),
        ("held", Column::Text),
        ("key", Column::Text),
    ];
    // SQLite cannot tell ON CONFLICT from a join's ON without the WHERE.
    let taken = Sql::new(format!(
        "INSERT INTO unique_values (tenant_id, path, held, resource_id) \
         SELECT $1, c.path, c.held, $2 FROM {} WHERE TRUE ON CONFLICT (tenant_id, path, held) DO NOTHING",
        rows(conn.backend(), "$3", "c", &columns)
    ))
    .int(tenant.0)
    .text(id.as_str())
    .text(&list)
    .execute(conn)?;
    if taken == claims.len() {
        return Ok(());
    }
    let holder: Option<Holder> = Sql::new(format!(
        "SELECT u.resource_id AS resource_id, c.key AS key FROM {} JOIN unique_values AS u \
         ON u.tenant_id = $1 AND u.path = c.path AND u.held = c.held \
         WHERE u.resource_id <> $2 ORDER BY 2, 1 LIMIT 1",
        rows(conn.backend(), "$3", "c", &columns)
    ))
    .int(tenant.0)
    .text(id.as_str())
    .text(&list)
    .get_result(conn)
    .optional()?;
    match holder {
        Some(holder) => Err(StoreError::Held {
            path: holder.key,
            holder: ResourceId(holder.resource_id),
        }),
        // Held by the resource itself: what it had before was not let go.
        None => Ok(()),
    }
}

/// Lets go of all values of the resource.
pub(in crate::store) fn release(tx: &mut Tx<'_>, id: &ResourceId) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    Sql::new("DELETE FROM unique_values WHERE tenant_id = $1 AND resource_id = $2")
        .int(tenant.0)
        .text(id.as_str())
        .execute(tx.conn())?;
    Ok(())
}

fn claim_of(row: &IndexRow) -> Option<Claim<'_>> {
    let held = match (&row.text, row.num) {
        (Some(text), _) => text.clone(),
        (None, Some(number)) => number.to_string(),
        (None, None) => return None,
    };
    Some(Claim {
        path: row.unique_in.as_deref()?,
        held,
        key: row.path.key(),
    })
}
