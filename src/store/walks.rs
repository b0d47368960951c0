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
    /// How many were handed out up to it.
    pub handed: i64,
    /// [`crate::store::counts::Count::deleted`] when the walk began.
    pub deleted_at_start: i64,
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
        "INSERT INTO walks (tenant_id, key, last_id, handed, deleted_at_start, at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (tenant_id, key) DO UPDATE SET last_id = excluded.last_id, handed = excluded.handed, \
         deleted_at_start = excluded.deleted_at_start, at = excluded.at",
    )
    .int(tenant.0)
    .text(key)
    .text(walk.last_id.as_str())
    .int(walk.handed)
    .int(walk.deleted_at_start)
    .int(walk.at)
    .execute(conn)?;
    Ok(())
}

pub fn recall(conn: &mut Conn, tenant: TenantId, key: &str) -> Result<Option<Walk>, StoreError> {
    let row: Option<(String, i64, i64, i64)> = walks::table
        .filter(walks::tenant_id.eq(tenant.0))
        .filter(walks::key.eq(key))
        .select((
            walks::last_id,
            walks::handed,
            walks::deleted_at_start,
            walks::at,
        ))
        .first(conn)
        .optional()?;
    Ok(row.map(|(last_id, handed, deleted_at_start, at)| Walk {
        last_id: ResourceId(last_id),
        handed,
        deleted_at_start,
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
            let walk = |handed| Walk {
                last_id: id("x"),
                handed,
                deleted_at_start: 2,
                at: handed,
            };
            for handed in [100, 200] {
                store
                    .admin(move |conn| remember(conn, TENANT, "key", &walk(handed)))
                    .await
                    .unwrap();
            }
            let found = store
                .read(|conn| recall(conn, TENANT, "key"))
                .await
                .unwrap();
            assert_eq!(found, Some(walk(200)));
            let other = store
                .read(|conn| recall(conn, TenantId(2), "key"))
                .await
                .unwrap();
            assert_eq!(other, None);
            assert_eq!(
                store.admin(|conn| forget_before(conn, 200)).await.unwrap(),
                0
            );
            assert_eq!(
                store.admin(|conn| forget_before(conn, 201)).await.unwrap(),
                1
            );
        });
    }
}
