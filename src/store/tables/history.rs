//! Removes and empties recorded changes: what has become too old, and what an erasure takes away.

use diesel::sql_types::BigInt;
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};

use crate::store::engine::schema::changes;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::tables::changes::{ChangeKind, EMPTIED, RecordedChange, reach};
use crate::store::tables::storage_use::{ROW_BYTES, RowsSize, row_bytes};
use crate::store::tables::subscriptions;
use crate::store::{ResourceId, StoreError, Tx};

static FIRST_KEPT: Statement = Statement::new(
    "SELECT c.seq FROM changes AS c WHERE c.tenant_id = $1 AND c.seq <= $2 AND c.at >= $3 \
     ORDER BY c.seq LIMIT 1",
);
static SIZE_UP_TO: Statement = Statement::new(
    "SELECT CAST(coalesce(sum(octet_length(payload)), 0) AS BIGINT) AS bytes, count(*) AS number \
     FROM changes WHERE tenant_id = $1 AND seq <= $2",
);
static DELETE_UP_TO: Statement =
    Statement::new("DELETE FROM changes WHERE tenant_id = $1 AND seq <= $2");

/// Removes the oldest changes, up to the first that is not older than `before`, and at most `limit`
/// numbers at once, within a write of the tenant. Returns whether there may be more to remove.
pub fn prune(tx: &mut Tx<'_>, before: i64, limit: u32) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct SeqRow {
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    let tenant = tx.tenant();
    let conn = tx.conn();
    let Some(reach) = reach(conn, tenant)? else {
        return Ok(false);
    };
    // Several nodes write these times, so they may go back a little; the numbers do not.
    let end = reach.gone.saturating_add(limit.into());
    let first_kept: Option<SeqRow> = FIRST_KEPT
        .bind(&[tenant.into(), end.into(), before.into()])
        .fetch_optional(conn)?;
    // Changes that a webhook has not delivered are kept; the webhook gives up those that are too
    // old.
    let undelivered = subscriptions::first_undelivered(conn, tenant)?.unwrap_or(i64::MAX);
    let upto = first_kept
        .as_ref()
        .map_or(end, |change| change.seq - 1)
        .min(undelivered - 1);
    let binds = [tenant.into(), upto.into()];
    let removed: RowsSize = SIZE_UP_TO.bind(&binds).fetch_one(conn)?;
    DELETE_UP_TO.bind(&binds).execute(conn)?;
    tx.count_history(-(removed.bytes + removed.number * ROW_BYTES));
    Ok(first_kept.is_none() && end < undelivered && end < reach.last)
}

/// Empties the changes of a resource; returns how many were not empty before.
pub fn empty(
    tx: &mut Tx<'_>,
    resource_type: &str,
    resource: &ResourceId,
) -> Result<usize, StoreError> {
    static SIZE: Statement = Statement::new(
        "SELECT CAST(coalesce(sum(octet_length(payload)), 0) AS BIGINT) AS bytes, \
         count(*) AS number FROM changes WHERE tenant_id = $1 AND resource_id = $2 \
         AND resource_type = $3 AND kind <> $4 AND payload <> $5",
    );
    let tenant = tx.tenant();
    let binds = [
        tenant.into(),
        resource.into(),
        resource_type.into(),
        ChangeKind::Erased.as_str().into(),
        EMPTIED.into(),
    ];
    let size: RowsSize = SIZE.bind(&binds).fetch_one(tx.conn())?;
    let own = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::resource_id.eq(resource.as_str()))
        .filter(changes::resource_type.eq(resource_type))
        .filter(changes::kind.ne(ChangeKind::Erased.as_str()))
        .filter(changes::payload.ne(EMPTIED));
    let emptied = diesel::update(own)
        .set(changes::payload.eq(EMPTIED))
        .execute(tx.conn())?;
    let left = size.number * (row_bytes(EMPTIED) - ROW_BYTES);
    tx.count_history(left - size.bytes);
    Ok(emptied)
}

/// Replaces the actor and the payload of a change, which had this number of bytes.
pub fn rewrite(
    tx: &mut Tx<'_>,
    to: &RecordedChange,
    before_bytes: usize,
) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    let before = i64::try_from(before_bytes).unwrap_or(i64::MAX);
    tx.count_history(row_bytes(&to.change.payload) - ROW_BYTES - before);
    let row = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::seq.eq(to.seq));
    diesel::update(row)
        .set((
            changes::actor.eq(to.change.actor.to_string()),
            changes::payload.eq(&*to.change.payload),
        ))
        .execute(tx.conn())?;
    Ok(())
}
