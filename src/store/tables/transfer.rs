//! Whole tables of one tenant, out in order and in as they were: for moving a tenant to another database.
//!
//! It must not know the form of a file; what is an index is made anew and not carried.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::indexing::{HotColumns, IndexRow};
use serde::Serialize;

use crate::store::engine::schema::{counts as counts_table, resources, tenants};
use crate::store::engine::sql::{Column, Sql, rows};
use crate::store::tables::changes::Recorded;
use crate::store::tables::counts::Count;
use crate::store::tables::{changes, counts, unique_values};
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// A resource with all that is not an index over it.
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

/// The resources whose ids come after `id`, in order.
pub fn resources_after(
    conn: &mut Conn,
    tenant: TenantId,
    id: &str,
    limit: i64,
) -> Result<Vec<ResourceRow>, StoreError> {
    let found = Sql::new(
        "SELECT id, resource_type, version, created, modified, password_hash, doc FROM resources \
         WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 0 + $3",
    )
    .int(tenant.0)
    .text(id)
    .int(limit)
    .load(conn)?;
    Ok(found)
}

/// The memberships that come after this one, in the order of groups and members.
pub fn members_after(
    conn: &mut Conn,
    tenant: TenantId,
    (group, member): (&str, &str),
    limit: i64,
) -> Result<Vec<MembershipRow>, StoreError> {
    let found = Sql::new(
        "SELECT group_id, member_id, kind, display FROM members \
         WHERE tenant_id = $1 AND (group_id, member_id) > ($2, $3) ORDER BY group_id, member_id LIMIT 0 + $4",
    )
    .int(tenant.0)
    .text(group)
    .text(member)
    .int(limit)
    .load(conn)?;
    Ok(found)
}

/// The counts of all types, by type.
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
    let used: Used = Sql::new(
        "SELECT (SELECT count(*) FROM tenants WHERE id = $1 AND change_seq > 0) + \
         (SELECT count(*) FROM (SELECT 1 FROM resources WHERE tenant_id = $1 LIMIT 1) AS r) AS n",
    )
    .int(tenant.0)
    .get_result(conn)?;
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

#[derive(Serialize)]
struct NewIndexRow<'a> {
    resource_id: &'a str,
    path: &'a str,
    position: i32,
    text: Option<&'a str>,
    num: Option<f64>,
}

/// Inserts resources and their index rows, two statements for all; values that must be unique one by one.
pub fn insert_resources(
    conn: &mut Conn,
    tenant: TenantId,
    arrivals: &[ImportedResource],
) -> Result<(), StoreError> {
    let list: Vec<NewResource> = arrivals.iter().map(new_resource).collect();
    let columns = [
        ("id", Column::Text),
        ("resource_type", Column::Text),
        ("version", Column::Int),
        ("created", Column::Int),
        ("modified", Column::Int),
        ("active", Column::Int),
        ("user_name", Column::Text),
        ("external_id", Column::Text),
        ("display_name", Column::Text),
        ("label", Column::Text),
        ("password_hash", Column::Text),
        ("doc", Column::Text),
    ];
    let source = rows(conn.backend(), "$2", "r", &columns);
    // JSON has no boolean column here: `active` comes as a number, and a comparison is a boolean in both databases.
    Sql::new(format!(
        "INSERT INTO resources (tenant_id, id, resource_type, version, created, modified, active, user_name, \
         external_id, display_name, label, password_hash, doc) \
         SELECT $1, r.id, r.resource_type, r.version, r.created, r.modified, r.active = 1, r.user_name, \
         r.external_id, r.display_name, r.label, r.password_hash, r.doc FROM {source}"
    ))
    .int(tenant.0)
    .text(&serde_json::to_string(&list)?)
    .execute(conn)?;
    insert_index_rows(conn, tenant, arrivals)?;
    for arrival in arrivals {
        let id = ResourceId(arrival.row.id.clone());
        unique_values::claim_for(conn, tenant, &id, &arrival.index)?;
    }
    Ok(())
}

fn new_resource(arrival: &ImportedResource) -> NewResource<'_> {
    let (row, hot) = (&arrival.row, &arrival.hot);
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
        label: arrival.label.as_deref(),
        password_hash: row.password_hash.as_deref(),
        doc: &row.doc,
    }
}

fn insert_index_rows(
    conn: &mut Conn,
    tenant: TenantId,
    arrivals: &[ImportedResource],
) -> Result<(), StoreError> {
    let list: Vec<NewIndexRow> = arrivals
        .iter()
        .flat_map(|arrival| {
            arrival.index.iter().map(|row| NewIndexRow {
                resource_id: &arrival.row.id,
                path: row.path.key(),
                position: row.position,
                text: row.text.as_deref(),
                num: row.num,
            })
        })
        .collect();
    let columns = [
        ("resource_id", Column::Text),
        ("path", Column::Text),
        ("position", Column::Int),
        ("text", Column::Text),
        ("num", Column::Double),
    ];
    let source = rows(conn.backend(), "$2", "a", &columns);
    Sql::new(format!(
        "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) \
         SELECT $1, a.resource_id, a.path, a.position, a.text, a.num FROM {source}"
    ))
    .int(tenant.0)
    .text(&serde_json::to_string(&list)?)
    .execute(conn)?;
    Ok(())
}

/// Inserts memberships, whose two sides must be there.
pub fn insert_members(
    conn: &mut Conn,
    tenant: TenantId,
    list: &[MembershipRow],
) -> Result<(), StoreError> {
    let columns = [
        ("group_id", Column::Text),
        ("member_id", Column::Text),
        ("kind", Column::Text),
        ("display", Column::Text),
    ];
    let source = rows(conn.backend(), "$2", "m", &columns);
    Sql::new(format!(
        "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
         SELECT $1, m.group_id, m.member_id, m.kind, m.display FROM {source}"
    ))
    .int(tenant.0)
    .text(&serde_json::to_string(list)?)
    .execute(conn)?;
    Ok(())
}

/// Inserts changes under the numbers that they have.
pub fn insert_changes(
    conn: &mut Conn,
    tenant: TenantId,
    list: Vec<Recorded>,
) -> Result<(), StoreError> {
    let list: Vec<_> = list.into_iter().map(|one| (one.seq, one.change)).collect();
    changes::insert(conn, tenant, &list)
}

/// Sets the counts and the number of the last change of a tenant that had none.
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
    // PostgreSQL would go on planning for the empty tables of before, until it looks by itself; SQLite does not care.
    if conn.backend() == Backend::Postgres {
        conn.batch("ANALYZE resources, attributes, members, changes")?;
    }
    Ok(())
}

/// Memberships of which one side is not there. None of the tenant's, where all is well.
pub fn stray_members(conn: &mut Conn, tenant: TenantId) -> Result<Vec<ResourceId>, StoreError> {
    #[derive(QueryableByName)]
    struct Stray {
        #[diesel(sql_type = Text)]
        group_id: String,
    }
    let found: Vec<Stray> = Sql::new(
        "SELECT m.group_id FROM members AS m WHERE m.tenant_id = $1 AND (\
         NOT EXISTS (SELECT 1 FROM resources AS r WHERE r.tenant_id = m.tenant_id AND r.id = m.member_id) OR \
         NOT EXISTS (SELECT 1 FROM resources AS r WHERE r.tenant_id = m.tenant_id AND r.id = m.group_id)) LIMIT 20",
    )
    .int(tenant.0)
    .load(conn)?;
    Ok(found
        .into_iter()
        .map(|one| ResourceId(one.group_id))
        .collect())
}
