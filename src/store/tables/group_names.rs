//! Lookups of groups by `displayName`, for the rules on unique groups.
//!
//! It must not know when a rule applies. Names come folded, as the hot column holds them.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, ResourceId, StoreError, TenantId};

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct GroupCountRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

static BY_NAME: Statement = Statement::new(
    "SELECT r.id FROM resources AS r WHERE r.resource_type = 'Group' AND r.tenant_id = $1 \
     AND r.display_name = $2 AND r.id <> $3 ORDER BY r.display_name, r.id LIMIT 1",
);

// Many groups may share a name, few an `externalId`: `coalesce` keeps both databases from looking
// the name up.
static TWIN: Statement = Statement::new(
    "SELECT r.id FROM resources AS r WHERE r.resource_type = 'Group' AND r.tenant_id = $1 \
     AND r.external_id = $2 AND coalesce(r.display_name, '') = $3 AND r.id <> $4 \
     ORDER BY r.external_id, r.id LIMIT 1",
);

/// Returns the first group with this name, other than `group` itself.
pub fn by_name(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    name: &str,
) -> Result<Option<ResourceId>, StoreError> {
    let binds = [tenant.into(), name.into(), group.into()];
    let found: Option<IdRow> = BY_NAME.bind(&binds).fetch_optional(conn)?;
    Ok(found.map(|row| ResourceId(row.id)))
}

/// Returns the first group with this name and this `externalId`, other than `group` itself.
pub fn twin(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    name: &str,
    external_id: &str,
) -> Result<Option<ResourceId>, StoreError> {
    let binds = [tenant.into(), external_id.into(), name.into(), group.into()];
    let found: Option<IdRow> = TWIN.bind(&binds).fetch_optional(conn)?;
    Ok(found.map(|row| ResourceId(row.id)))
}

/// Counts the names that several groups of the tenant share.
pub fn shared(conn: &mut Conn, tenant: TenantId) -> Result<u64, StoreError> {
    static SHARED: Statement = Statement::new(
        "SELECT count(*) AS n FROM (SELECT r.display_name FROM resources AS r \
         WHERE r.tenant_id = $1 AND r.resource_type = 'Group' AND r.display_name IS NOT NULL \
         GROUP BY r.display_name HAVING count(*) > 1) AS shared",
    );
    let counted: GroupCountRow = SHARED.bind(&[tenant.into()]).fetch_one(conn)?;
    Ok(u64::try_from(counted.n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::resources::NewResource;
    use crate::store::testing::{TENANT, group, id, user, with_store};

    fn named(name: &str, display_name: &str, external_id: Option<&str>) -> NewResource {
        let mut new = group(name);
        new.hot.display_name = Some(display_name.to_owned());
        new.hot.external_id = external_id.map(str::to_owned);
        new
    }

    #[test]
    fn lookups() {
        with_store(|store| async move {
            let mut person = user("u");
            person.hot.display_name = Some("people".to_owned());
            person.hot.external_id = Some("x".to_owned());
            store
                .put(vec![
                    person,
                    named("a", "sales", Some("x")),
                    named("b", "sales", Some("y")),
                    named("c", "legal", None),
                    named("d", "legal", Some("X")),
                    named("e", "it", Some("x")),
                ])
                .await;
            let check =
                async |of: &'static str, name: &'static str, external_id, expected: &str| {
                    let found = store
                        .read(move |conn| match external_id {
                            None => by_name(conn, TENANT, &id(of), name),
                            Some(external_id) => twin(conn, TENANT, &id(of), name, external_id),
                        })
                        .await
                        .unwrap();
                    let found = found.map_or(String::new(), ResourceId::into_string);
                    assert_eq!(found, expected, "{of} {name} {external_id:?}");
                };
            check("new", "sales", None, "a").await;
            check("a", "sales", None, "b").await;
            check("e", "it", None, "").await;
            check("new", "people", None, "").await;
            check("new", "sales", Some("x"), "a").await;
            check("new", "sales", Some("y"), "b").await;
            check("new", "sales", Some("X"), "").await;
            check("new", "people", Some("x"), "").await;
            check("a", "sales", Some("x"), "").await;
            check("a", "it", Some("x"), "e").await;
            let names = store.read(|conn| shared(conn, TENANT)).await.unwrap();
            assert_eq!(names, 2);
        });
    }
}
