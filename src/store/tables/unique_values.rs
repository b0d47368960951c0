//! Values that no two resources may share. The primary key of the table rejects the second holder,
//! even if two are written at once.

use std::collections::BTreeSet;

use diesel::QueryableByName;
use diesel::sql_types::Text;
use scim_core::indexing::IndexRow;
use serde::Serialize;

use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    path: &'a str,
    held: String,
    /// The path in the error message.
    key: &'a str,
}

#[derive(QueryableByName)]
struct ClaimHolder {
    #[diesel(sql_type = Text)]
    resource_id: String,
    #[diesel(sql_type = Text)]
    key: String,
}

// Without the WHERE, SQLite takes ON CONFLICT for the ON of a join.
static CLAIM: Statement = Statement::new(
    "INSERT INTO unique_values (tenant_id, path, held, resource_id) \
     SELECT $1, c.path, c.held, $2 FROM json_rows($3) AS c(path TEXT, held TEXT, key TEXT) \
     WHERE TRUE ON CONFLICT (tenant_id, path, held) DO NOTHING",
);

static OTHER_HOLDER: Statement = Statement::new(
    "SELECT u.resource_id AS resource_id, c.key AS key \
     FROM json_rows($3) AS c(path TEXT, held TEXT, key TEXT) JOIN unique_values AS u \
     ON u.tenant_id = $1 AND u.path = c.path AND u.held = c.held \
     WHERE u.resource_id <> $2 ORDER BY 2, 1 LIMIT 1",
);

/// Claims those of `values` that must be unique for the resource, which holds none of them yet.
/// Fails with `Held` if another resource has one of them.
pub(in crate::store) fn claim(
    tx: &mut Tx<'_>,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    claim_for(tx.conn(), tenant, id, values)
}

/// Like [`claim`], without a [`Tx`].
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
    let binds = [tenant.into(), id.into(), (&list).into()];
    let taken = CLAIM.bind(&binds).execute(conn)?;
    if taken == claims.len() {
        return Ok(());
    }
    let holder: Option<ClaimHolder> = OTHER_HOLDER.bind(&binds).fetch_optional(conn)?;
    match holder {
        Some(holder) => Err(StoreError::Held {
            path: holder.key,
            holder: ResourceId(holder.resource_id),
        }),
        // Held by the resource itself: its earlier values were not released.
        None => Ok(()),
    }
}

static RELEASE: Statement =
    Statement::new("DELETE FROM unique_values WHERE tenant_id = $1 AND resource_id = $2");

/// Releases all values of the resource.
pub(in crate::store) fn release(tx: &mut Tx<'_>, id: &ResourceId) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    RELEASE
        .bind(&[tenant.into(), id.into()])
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
