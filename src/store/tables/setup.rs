//! The records of `rollcall setup`: its state as one text per org, and each write to Okta, before
//! and after. Also the reads of resources that setup compares with Okta. It must not know the
//! content of the state, or any secret.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};

use crate::store::engine::schema::{members, resources, setup_writes, setups};
use crate::store::engine::statement::Statement;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// A write to Okta. All times are microseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct SetupWrite {
    pub id: String,
    pub step: String,
    pub method: String,
    pub path: String,
    pub began: i64,
    /// `None` if no response came, so that it may have been done or not.
    pub ended: Option<i64>,
    pub status: Option<i64>,
    pub request_id: Option<String>,
    pub error_code: Option<String>,
    pub error_id: Option<String>,
}

/// A summary of the response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    pub status: Option<i64>,
    pub request_id: Option<String>,
    pub error_code: Option<String>,
    pub error_id: Option<String>,
}

/// The part of a user that Okta knows.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Person {
    pub id: String,
    pub external_id: Option<String>,
    /// Folded.
    pub user_name: Option<String>,
    pub active: Option<bool>,
}

/// The part of a group that Okta knows.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct OktaGroup {
    pub id: String,
    pub external_id: Option<String>,
    /// The name as it was sent.
    pub label: Option<String>,
}

pub fn load(conn: &mut Conn, tenant: TenantId, org: &str) -> Result<Option<String>, StoreError> {
    Ok(setups::table
        .filter(setups::tenant_id.eq(tenant.0))
        .filter(setups::org.eq(org))
        .select(setups::state)
        .get_result(conn)
        .optional()?)
}

/// Returns the states of all orgs.
pub fn states(conn: &mut Conn, tenant: TenantId) -> Result<Vec<(String, String)>, StoreError> {
    Ok(setups::table
        .filter(setups::tenant_id.eq(tenant.0))
        .select((setups::org, setups::state))
        .load(conn)?)
}

pub fn save(
    conn: &mut Conn,
    tenant: TenantId,
    org: &str,
    state: &str,
    at: i64,
) -> Result<(), StoreError> {
    static SAVE: Statement = Statement::new(
        "INSERT INTO setups (tenant_id, org, state, modified) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, org) DO UPDATE SET state = excluded.state, modified = excluded.modified",
    );
    SAVE.bind(&[tenant.into(), org.into(), state.into(), at.into()])
        .execute(conn)?;
    Ok(())
}

/// Deletes the state. The records of writes are kept.
pub fn forget(conn: &mut Conn, tenant: TenantId, org: &str) -> Result<(), StoreError> {
    diesel::delete(
        setups::table
            .filter(setups::tenant_id.eq(tenant.0))
            .filter(setups::org.eq(org)),
    )
    .execute(conn)?;
    Ok(())
}

/// Records a write before it is sent.
pub fn begin(
    conn: &mut Conn,
    tenant: TenantId,
    org: &str,
    write: &SetupWrite,
) -> Result<(), StoreError> {
    diesel::insert_into(setup_writes::table)
        .values((
            setup_writes::id.eq(&write.id),
            setup_writes::tenant_id.eq(tenant.0),
            setup_writes::org.eq(org),
            setup_writes::step.eq(&write.step),
            setup_writes::method.eq(&write.method),
            setup_writes::path.eq(&write.path),
            setup_writes::began.eq(write.began),
        ))
        .execute(conn)?;
    Ok(())
}

/// Records the outcome of a write.
pub fn end(
    conn: &mut Conn,
    tenant: TenantId,
    id: &str,
    at: i64,
    ended: &Ended,
) -> Result<(), StoreError> {
    diesel::update(
        setup_writes::table
            .filter(setup_writes::tenant_id.eq(tenant.0))
            .filter(setup_writes::id.eq(id)),
    )
    .set((
        setup_writes::ended.eq(at),
        setup_writes::status.eq(ended.status),
        setup_writes::request_id.eq(&ended.request_id),
        setup_writes::error_code.eq(&ended.error_code),
        setup_writes::error_id.eq(&ended.error_id),
    ))
    .execute(conn)?;
    Ok(())
}

/// Returns the last writes, newest first.
pub fn writes(
    conn: &mut Conn,
    tenant: TenantId,
    org: &str,
    limit: i64,
) -> Result<Vec<SetupWrite>, StoreError> {
    Ok(setup_writes::table
        .filter(setup_writes::tenant_id.eq(tenant.0))
        .filter(setup_writes::org.eq(org))
        .order(setup_writes::id.desc())
        .limit(limit)
        .select((
            setup_writes::id,
            setup_writes::step,
            setup_writes::method,
            setup_writes::path,
            setup_writes::began,
            setup_writes::ended,
            setup_writes::status,
            setup_writes::request_id,
            setup_writes::error_code,
            setup_writes::error_id,
        ))
        .load(conn)?)
}

/// Returns the users with this `externalId`, which is their id in Okta.
pub fn people_by_external_id(
    conn: &mut Conn,
    tenant: TenantId,
    external_id: &str,
) -> Result<Vec<Person>, StoreError> {
    Ok(resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::resource_type.eq("User"))
        .filter(resources::external_id.eq(external_id))
        .order(resources::id)
        .limit(10)
        .select((
            resources::id,
            resources::external_id,
            resources::user_name,
            resources::active,
        ))
        .load(conn)?)
}

/// Returns a page of the users after the id `after`, by id.
pub fn people(
    conn: &mut Conn,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<Person>, StoreError> {
    Ok(resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::resource_type.eq("User"))
        .filter(resources::id.gt(after))
        .order(resources::id)
        .limit(limit)
        .select((
            resources::id,
            resources::external_id,
            resources::user_name,
            resources::active,
        ))
        .load(conn)?)
}

/// Returns a page of the groups after the id `after`, by id.
pub fn groups(
    conn: &mut Conn,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<OktaGroup>, StoreError> {
    Ok(resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::resource_type.eq("Group"))
        .filter(resources::id.gt(after))
        .order(resources::id)
        .limit(limit)
        .select((resources::id, resources::external_id, resources::label))
        .load(conn)?)
}

/// Returns the ids of a group's members after the id `after`, in order.
pub fn member_ids(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    Ok(members::table
        .filter(members::tenant_id.eq(tenant.0))
        .filter(members::group_id.eq(group.as_str()))
        .filter(members::member_id.gt(after))
        .order(members::member_id)
        .limit(limit)
        .select(members::member_id)
        .load(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{TENANT, group, user, with_store};

    const ORG: &str = "https://acme.okta.com";

    #[test]
    fn a_state_is_kept_replaced_and_forgotten() {
        with_store(|store| async move {
            let loaded = |tenant| store.read(move |conn| load(conn, tenant, ORG));
            assert_eq!(loaded(TENANT).await.unwrap(), None);
            for (state, at) in [("{}", 1), ("{\"a\":1}", 2)] {
                store
                    .admin(move |conn| save(conn, TENANT, ORG, state, at))
                    .await
                    .unwrap();
            }
            assert_eq!(loaded(TENANT).await.unwrap().as_deref(), Some("{\"a\":1}"));
            assert_eq!(loaded(TenantId(9)).await.unwrap(), None);
            store.admin(|conn| forget(conn, TENANT, ORG)).await.unwrap();
            assert_eq!(loaded(TENANT).await.unwrap(), None);
        });
    }

    #[test]
    fn a_write_is_there_before_its_answer() {
        with_store(|store| async move {
            let write = |id: &str| SetupWrite {
                id: id.into(),
                step: "app".into(),
                method: "POST".into(),
                path: "/api/v1/apps".into(),
                began: 1,
                ended: None,
                status: None,
                request_id: None,
                error_code: None,
                error_id: None,
            };
            for id in ["1", "2"] {
                let new = write(id);
                store
                    .admin(move |conn| begin(conn, TENANT, ORG, &new))
                    .await
                    .unwrap();
            }
            let answer = Ended {
                status: Some(200),
                request_id: Some("req".into()),
                ..Ended::default()
            };
            store
                .admin(move |conn| end(conn, TENANT, "1", 5, &answer))
                .await
                .unwrap();
            let found = store
                .read(|conn| writes(conn, TENANT, ORG, 10))
                .await
                .unwrap();
            let done = SetupWrite {
                ended: Some(5),
                status: Some(200),
                request_id: Some("req".into()),
                ..write("1")
            };
            assert_eq!(found, [write("2"), done]);
        });
    }

    #[test]
    fn people_and_groups_are_read_page_by_page() {
        with_store(|store| async move {
            let mut ada = user("ada");
            ada.hot.external_id = Some("00uAda".into());
            store.put(vec![ada, user("bob"), group("g")]).await;
            let page = |after: &'static str| store.read(move |conn| people(conn, TENANT, after, 1));
            assert_eq!(page("").await.unwrap()[0].id, "ada");
            assert_eq!(page("ada").await.unwrap()[0].id, "bob");
            assert_eq!(page("bob").await.unwrap(), []);
            let found = store
                .read(|conn| people_by_external_id(conn, TENANT, "00uAda"))
                .await
                .unwrap();
            assert_eq!((found.len(), found[0].active), (1, Some(true)));
            let groups = store
                .read(|conn| groups(conn, TENANT, "", 10))
                .await
                .unwrap();
            assert_eq!(groups[0].label.as_deref(), Some("g"));
        });
    }
}
