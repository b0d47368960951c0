//! Where a client that pages by `startIndex` has got to, so that the next page can start at a key, on any node.
//! A hint: it may be lost at any time.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use crate::store::schema::walks;
use crate::store::sql::Sql;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// The state after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The last resource that was handed out.
    pub last_id: ResourceId,
    /// Microseconds since the epoch.
    pub at: i64,
}

/// Puts the state in the place of the one under the same key.
pub fn remember(
    conn: &mut Conn,
    tenant: TenantId,
    key: &str,
    walk: &Walk,
) -> Result<(), StoreError> {
    Sql::new(
        "INSERT INTO walks (tenant_id, key, last_id, at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, key) DO UPDATE SET last_id = excluded.last_id, at = excluded.at",
    )
    .int(tenant.0)
    .text(key)
    .text(walk.last_id.as_str())
    .int(walk.at)
    .execute(conn)?;
    Ok(())
}

pub fn recall(conn: &mut Conn, tenant: TenantId, key: &str) -> Result<Option<Walk>, StoreError> {
    let row: Option<(String, i64)> = walks::table
        .filter(walks::tenant_id.eq(tenant.0))
        .filter(walks::key.eq(key))
        .select((walks::last_id, walks::at))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(last_id, at)| Walk {
        last_id: ResourceId(last_id),
        at,
    }))
}

/// Forgets every tenant's walks that stood still since before `at`.
pub fn forget_before(conn: &mut Conn, at: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(walks::table.filter(walks::at.lt(at))).execute(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{TENANT, id, with_store};

    #[test]
    fn remembers_the_last() {
        with_store(|store| async move {
            let walk = |at| Walk {
                last_id: id("x"),
                at,
            };
            for at in [100, 200] {
                store
                    .admin(move |conn| remember(conn, TENANT, "key", &walk(at)))
                    .await
                    .unwrap();
            }
            let recalled = |tenant| store.read(move |conn| recall(conn, tenant, "key"));
            assert_eq!(recalled(TENANT).await.unwrap(), Some(walk(200)));
            assert_eq!(recalled(TenantId(2)).await.unwrap(), None);
            let forgotten = |at| store.admin(move |conn| forget_before(conn, at));
            assert_eq!(forgotten(200).await.unwrap(), 0);
            assert_eq!(forgotten(201).await.unwrap(), 1);
        });
    }
}
