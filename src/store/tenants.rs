//! Tenants. Tenant 1, `default`, is there from the start.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl};

use crate::store::schema::tenants;
use crate::store::{Conn, StoreError, TenantId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    /// Microseconds since the epoch.
    pub created: i64,
    /// The number of its last change.
    pub change_seq: i64,
}

/// The columns, in the order of the table.
#[derive(Queryable)]
struct Row {
    id: i64,
    name: String,
    created: i64,
    change_seq: i64,
}

impl From<Row> for Tenant {
    fn from(row: Row) -> Self {
        Self {
            id: TenantId(row.id),
            name: row.name,
            created: row.created,
            change_seq: row.change_seq,
        }
    }
}

/// `Duplicate(TenantName)` where there is one of that name.
pub fn create(conn: &mut Conn, name: &str, at: i64) -> Result<Tenant, StoreError> {
    let row: Row = diesel::insert_into(tenants::table)
        .values((tenants::name.eq(name), tenants::created.eq(at)))
        .returning(tenants::all_columns)
        .get_result(conn)?;
    Ok(row.into())
}

/// All of them, by id.
pub fn list(conn: &mut Conn) -> Result<Vec<Tenant>, StoreError> {
    let rows: Vec<Row> = tenants::table
        .order(tenants::id)
        .select(tenants::all_columns)
        .load(conn)?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

pub fn by_name(conn: &mut Conn, name: &str) -> Result<Option<Tenant>, StoreError> {
    let row: Option<Row> = tenants::table
        .filter(tenants::name.eq(name))
        .select(tenants::all_columns)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}

pub fn get(conn: &mut Conn, tenant: TenantId) -> Result<Option<Tenant>, StoreError> {
    let row: Option<Row> = tenants::table
        .filter(tenants::id.eq(tenant.0))
        .select(tenants::all_columns)
        .get_result(conn)
        .optional()?;
    Ok(row.map(Tenant::from))
}
