//! The position of a client that pages by `startIndex`, so that the next page can start at a key,
//! on any node. It is a hint and may be lost at any time.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

use crate::store::engine::schema::walks;
use crate::store::engine::statement::Statement;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// The state after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The last resource that was returned.
    pub last_id: ResourceId,
    /// Microseconds since the epoch.
    pub at: i64,
}

/// Replaces the state under the same key. A state from after `fresh_since` may belong to a second
/// walk of the same client; then the earlier position is kept, because a resource returned twice
/// does no harm.
pub fn remember(
    conn: &mut Conn,
    tenant: TenantId,
    key: &str,
    walk: &Walk,
    fresh_since: i64,
) -> Result<(), StoreError> {
    static REMEMBER: Statement = Statement::new(
        "INSERT INTO walks (tenant_id, key, last_id, at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, key) DO UPDATE SET at = excluded.at, last_id = CASE \
           WHEN walks.at > $5 AND walks.last_id < excluded.last_id THEN walks.last_id \
           ELSE excluded.last_id END",
    );
    let binds = [
        tenant.into(),
        key.into(),
        (&walk.last_id).into(),
        walk.at.into(),
        fresh_since.into(),
    ];
    REMEMBER.bind(&binds).execute(conn)?;
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

/// Deletes the walks of all tenants that were last used before `at`.
pub fn forget_before(conn: &mut Conn, at: i64) -> Result<usize, StoreError> {
    Ok(diesel::delete(walks::table.filter(walks::at.lt(at))).execute(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{TENANT, id, with_store};

    #[test]
    fn remembers_the_last_and_of_two_at_once_the_one_behind() {
        with_store(|store| async move {
            let walk = |name, at| Walk {
                last_id: id(name),
                at,
            };
            let remembered = |name, at, fresh_since| {
                store.admin(move |conn| remember(conn, TENANT, "key", &walk(name, at), fresh_since))
            };
            let recalled = |tenant| store.read(move |conn| recall(conn, tenant, "key"));
            remembered("b", 100, 40).await.unwrap();
            remembered("c", 110, 50).await.unwrap();
            assert_eq!(recalled(TENANT).await.unwrap(), Some(walk("b", 110)));
            remembered("a", 120, 60).await.unwrap();
            assert_eq!(recalled(TENANT).await.unwrap(), Some(walk("a", 120)));
            remembered("d", 200, 140).await.unwrap();
            assert_eq!(recalled(TENANT).await.unwrap(), Some(walk("d", 200)));
            assert_eq!(recalled(TenantId(2)).await.unwrap(), None);
            let forgotten = |at| store.admin(move |conn| forget_before(conn, at));
            assert_eq!(forgotten(200).await.unwrap(), 0);
            assert_eq!(forgotten(201).await.unwrap(), 1);
        });
    }
}
