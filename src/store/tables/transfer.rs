//! Whole tables of one tenant, read in order and written unchanged: for moving a tenant to another
//! database.
//!
//! It must not know the format of a file. Indexes are rebuilt, not transferred.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::indexing::{HotColumns, IndexRow};
use serde::Serialize;

use crate::store::engine::schema::{counts as counts_table, resources, tenants};
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::tables::attributes::NewRow;
use crate::store::tables::changes::RecordedChange;
use crate::store::tables::counts::Count;
use crate::store::tables::{attributes, changes, counts, storage_use, unique_values};
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// A resource without its indexes.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
#[diesel(table_name = resources)]
pub struct ResourceRow {
    pub id: String,
    pub resource_type: String,
    pub version: i64,
    pub created: i64,
    pub modified: i64,
    pub password_hash: Option<String>,
    pub doc: String,
}

/// A row of `members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, QueryableByName)]
pub struct MembershipRow {
    #[diesel(sql_type = Text)]
    pub group_id: String,
    #[diesel(sql_type = Text)]
    pub member_id: String,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub display: Option<String>,
}

/// Returns the resources with ids after `id`, in order.
pub fn resources_after(
    conn: &mut Conn,
    tenant: TenantId,
    id: &str,
    limit: i64,
) -> Result<Vec<ResourceRow>, StoreError> {
    static AFTER: Statement = Statement::new(
        "SELECT id, resource_type, version, created, modified, password_hash, doc FROM resources \
         WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 0 + $3",
    );
    let binds = [tenant.into(), id.into(), limit.into()];
    Ok(AFTER.bind(&binds).fetch_all(conn)?)
}

/// Returns the memberships after this one, in the order of groups and members.
pub fn members_after(
    conn: &mut Conn,
    tenant: TenantId,
    (group, member): (&str, &str),
    limit: i64,
) -> Result<Vec<MembershipRow>, StoreError> {
    static AFTER: Statement = Statement::new(
        "SELECT group_id, member_id, kind, display FROM members \
         WHERE tenant_id = $1 AND (group_id, member_id) > ($2, $3) \
         ORDER BY group_id, member_id LIMIT 0 + $4",
    );
    let binds = [tenant.into(), group.into(), member.into(), limit.into()];
    Ok(AFTER.bind(&binds).fetch_all(conn)?)
}

/// Returns the counts of all types, by type.
pub fn counts(conn: &mut Conn, tenant: TenantId) -> Result<Vec<Count>, StoreError> {
    let found: Vec<(String, i64, i64)> = counts_table::table
        .filter(counts_table::tenant_id.eq(tenant.0))
        .order(counts_table::resource_type)
        .select((
            counts_table::resource_type,
            counts_table::live,
            counts_table::deleted,
        ))
        .load(conn)?;
    Ok(found
        .into_iter()
        .map(|(resource_type, live, deleted)| Count {
            resource_type,
            live,
            deleted,
        })
        .collect())
}

/// Whether the tenant has, or ever had, a resource.
pub fn is_used(conn: &mut Conn, tenant: TenantId) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Used {
        #[diesel(sql_type = BigInt)]
        n: i64,
    }
    static COUNT_TRACES: Statement = Statement::new(
        "SELECT (SELECT count(*) FROM tenants WHERE id = $1 AND change_seq > 0) + \
         (SELECT count(*) FROM (SELECT 1 FROM resources WHERE tenant_id = $1 LIMIT 1) AS r) AS n",
    );
    let used: Used = COUNT_TRACES.bind(&[tenant.into()]).fetch_one(conn)?;
    Ok(used.n > 0)
}

/// A resource with its indexes.
#[derive(Debug, Clone)]
pub struct ImportedResource {
    pub row: ResourceRow,
    pub hot: HotColumns,
    pub label: Option<String>,
    pub index: Vec<IndexRow>,
}

#[derive(Serialize)]
struct NewResource<'a> {
    id: &'a str,
    resource_type: &'a str,
    version: i64,
    created: i64,
    modified: i64,
    active: Option<u8>,
    user_name: Option<&'a str>,
    external_id: Option<&'a str>,
    display_name: Option<&'a str>,
    label: Option<&'a str>,
    password_hash: Option<&'a str>,
    doc: &'a str,
}

// Rows from JSON have no boolean columns: `active` is a number, and a comparison is a boolean in
// both databases.
static INSERT_RESOURCES: Statement = Statement::new(
    "INSERT INTO resources (tenant_id, id, resource_type, version, created, modified, active, \
     user_name, external_id, display_name, label, password_hash, doc) \
     SELECT $1, r.id, r.resource_type, r.version, r.created, r.modified, r.active = 1, \
     r.user_name, r.external_id, r.display_name, r.label, r.password_hash, r.doc \
     FROM json_rows($2) AS r(id TEXT, resource_type TEXT, version BIGINT, created BIGINT, \
     modified BIGINT, active BIGINT, user_name TEXT, external_id TEXT, display_name TEXT, \
     label TEXT, password_hash TEXT, doc TEXT)",
);

/// Inserts resources and their index rows, by one statement each, and unique values one by one.
pub fn insert_resources(
    conn: &mut Conn,
    tenant: TenantId,
    imported: &[ImportedResource],
) -> Result<(), StoreError> {
    let list: Vec<NewResource> = imported.iter().map(new_resource).collect();
    let list = serde_json::to_string(&list)?;
    INSERT_RESOURCES
        .bind(&[tenant.into(), (&list).into()])
        .execute(conn)?;
    insert_index_rows(conn, tenant, imported)?;
    for resource in imported {
        let id = ResourceId(resource.row.id.clone());
        unique_values::claim_for(conn, tenant, &id, &resource.index)?;
    }
    Ok(())
}

fn new_resource(resource: &ImportedResource) -> NewResource<'_> {
    let row = &resource.row;
    let hot = &resource.hot;
    NewResource {
        id: &row.id,
        resource_type: &row.resource_type,
        version: row.version,
        created: row.created,
        modified: row.modified,
        active: hot.active.map(u8::from),
        user_name: hot.user_name.as_deref(),
        external_id: hot.external_id.as_deref(),
        display_name: hot.display_name.as_deref(),
        label: resource.label.as_deref(),
        password_hash: row.password_hash.as_deref(),
        doc: &row.doc,
    }
}

fn insert_index_rows(
    conn: &mut Conn,
    tenant: TenantId,
    imported: &[ImportedResource],
) -> Result<(), StoreError> {
    let list: Vec<NewRow> = imported
        .iter()
        .flat_map(|resource| {
            resource.index.iter().map(|row| NewRow {
                resource_id: &resource.row.id,
                path: row.path.key(),
                position: row.position,
                text: row.text.as_deref(),
                num: row.num,
            })
        })
        .collect();
    attributes::insert_rows(conn, tenant, &list)
}

/// Inserts memberships, whose two sides must exist.
pub fn insert_members(
    conn: &mut Conn,
    tenant: TenantId,
    list: &[MembershipRow],
) -> Result<(), StoreError> {
    static INSERT: Statement = Statement::new(
        "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
         SELECT $1, m.group_id, m.member_id, m.kind, m.display \
         FROM json_rows($2) AS m(group_id TEXT, member_id TEXT, kind TEXT, display TEXT)",
    );
    let list = serde_json::to_string(list)?;
    INSERT
        .bind(&[tenant.into(), (&list).into()])
        .execute(conn)?;
    Ok(())
}

/// Inserts changes with the numbers that they have.
pub fn insert_changes(
    conn: &mut Conn,
    tenant: TenantId,
    list: Vec<RecordedChange>,
) -> Result<(), StoreError> {
    let list: Vec<_> = list.into_iter().map(|one| (one.seq, one.change)).collect();
    changes::insert(conn, tenant, &list)
}

/// Sets the counts and the number of the last change of a new tenant.
pub fn settle(
    conn: &mut Conn,
    tenant: TenantId,
    numbers: &[Count],
    change_seq: i64,
) -> Result<(), StoreError> {
    counts::add(conn, tenant, numbers)?;
    diesel::update(tenants::table.filter(tenants::id.eq(tenant.0)))
        .set(tenants::change_seq.eq(change_seq))
        .execute(conn)?;
    if let Some(correction) = storage_use::compare(conn, tenant)? {
        storage_use::correct(conn, &correction)?;
    }
    // PostgreSQL would plan for empty tables until its own analysis. SQLite needs no statistics.
    if conn.backend() == Backend::Postgres {
        conn.batch("ANALYZE resources, attributes, members, changes")?;
    }
    Ok(())
}

/// Returns groups with memberships of which one side does not exist; there should be none.
pub fn stray_members(conn: &mut Conn, tenant: TenantId) -> Result<Vec<ResourceId>, StoreError> {
    #[derive(QueryableByName)]
    struct Stray {
        #[diesel(sql_type = Text)]
        group_id: String,
    }
    static STRAY: Statement = Statement::new(
        "SELECT m.group_id FROM members AS m WHERE m.tenant_id = $1 AND (\
         NOT EXISTS (SELECT 1 FROM resources AS r \
           WHERE r.tenant_id = m.tenant_id AND r.id = m.member_id) OR \
         NOT EXISTS (SELECT 1 FROM resources AS r \
           WHERE r.tenant_id = m.tenant_id AND r.id = m.group_id)) LIMIT 20",
    );
    let found: Vec<Stray> = STRAY.bind(&[tenant.into()]).fetch_all(conn)?;
    Ok(found
        .into_iter()
        .map(|row| ResourceId(row.group_id))
        .collect())
}
