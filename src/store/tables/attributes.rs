//! The index over declared attributes: one row per value. Filters read it; it can be rebuilt from
//! the documents.

use diesel::sql_types::Text;
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::indexing::IndexRow;
use serde::Serialize;

use crate::store::engine::schema::attributes;
use crate::store::engine::statement::{Fetch, Statement, TextList};
use crate::store::tables::unique_values;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId, Tx};

/// Replaces all rows of the resource.
pub fn replace(tx: &mut Tx<'_>, id: &ResourceId, rows: &[IndexRow]) -> Result<(), StoreError> {
    remove(tx, id)?;
    insert(tx, id, rows)
}

/// A row of the table, for [`insert_rows`].
#[derive(Serialize)]
pub(in crate::store) struct NewRow<'a> {
    pub resource_id: &'a str,
    pub path: &'a str,
    pub position: i32,
    pub text: Option<&'a str>,
    pub num: Option<f64>,
}

impl<'a> NewRow<'a> {
    fn new(id: &'a ResourceId, row: &'a IndexRow) -> Self {
        Self {
            resource_id: id.as_str(),
            path: row.path.key(),
            position: row.position,
            text: row.text.as_deref(),
            num: row.num,
        }
    }
}

/// Inserts the rows of a resource that has none yet. As with changes, on SQLite one by one.
pub(in crate::store) fn insert(
    tx: &mut Tx<'_>,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let tenant = tx.tenant();
    match tx.conn().backend() {
        Backend::Sqlite => insert_each(tx.conn(), tenant, id, values)?,
        Backend::Postgres => {
            let rows: Vec<_> = values.iter().map(|row| NewRow::new(id, row)).collect();
            insert_rows(tx.conn(), tenant, &rows)?;
        }
    }
    unique_values::claim(tx, id, values)
}

static INSERT: Statement = Statement::new(
    "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) \
     VALUES ($1, $2, $3, $4, $5, $6)",
);

fn insert_each(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    for row in values {
        let binds = [
            tenant.into(),
            id.into(),
            row.path.key().into(),
            row.position.into(),
            row.text.as_deref().into(),
            row.num.into(),
        ];
        INSERT.bind(&binds).execute(conn)?;
    }
    Ok(())
}

static INSERT_ROWS: Statement = Statement::new(
    "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) \
     SELECT $1, a.resource_id, a.path, a.position, a.text, a.num FROM json_rows($2) \
     AS a(resource_id TEXT, path TEXT, position BIGINT, text TEXT, num DOUBLE PRECISION)",
);

/// Inserts rows of any resources of the tenant. Unique values are the caller's task.
pub(in crate::store) fn insert_rows(
    conn: &mut Conn,
    tenant: TenantId,
    rows: &[NewRow<'_>],
) -> Result<(), StoreError> {
    let list = serde_json::to_string(rows)?;
    INSERT_ROWS
        .bind(&[tenant.into(), (&list).into()])
        .execute(conn)?;
    Ok(())
}

pub(in crate::store) fn remove(tx: &mut Tx<'_>, id: &ResourceId) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    diesel::delete(
        attributes::table
            .filter(attributes::tenant_id.eq(tenant.0))
            .filter(attributes::resource_id.eq(id.as_str())),
    )
    .execute(tx.conn())?;
    unique_values::release(tx, id)
}

static REMOVE_AT_PATH: Statement = Statement::new(
    "DELETE FROM attributes WHERE tenant_id = $1 AND path = $2 AND resource_id = ANY ($3)",
);

/// Replaces the rows of many resources at these paths. Unique values are the caller's task.
pub fn refill(
    tx: &mut Tx<'_>,
    paths: &[&str],
    resources: &[(ResourceId, Vec<IndexRow>)],
) -> Result<(), StoreError> {
    if resources.is_empty() {
        return Ok(());
    }
    let tenant = tx.tenant();
    let conn = tx.conn();
    let ids: Vec<&str> = resources.iter().map(|(id, _)| id.as_str()).collect();
    let ids = TextList::new(&ids)?;
    for path in paths {
        REMOVE_AT_PATH
            .bind(&[tenant.into(), (*path).into(), (&ids).into()])
            .execute(conn)?;
    }
    let rows: Vec<NewRow> = resources
        .iter()
        .flat_map(|(id, rows)| rows.iter().map(move |row| NewRow::new(id, row)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    insert_rows(conn, tenant, &rows)
}

#[derive(QueryableByName)]
struct HolderRow {
    #[diesel(sql_type = Text)]
    resource_id: String,
}

/// A folded text at an indexed path.
#[derive(Debug, Clone, Copy)]
pub struct PathValue<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// Returns the resources after an id that have this value, in order.
pub fn holders(
    conn: &mut Conn,
    tenant: TenantId,
    wanted: PathValue<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<ResourceId>, StoreError> {
    static HOLDERS: Statement = Statement::new(
        "SELECT DISTINCT resource_id FROM attributes \
         WHERE tenant_id = $1 AND path = $2 AND text = $3 AND resource_id > $4 \
         ORDER BY resource_id LIMIT 0 + $5",
    );
    let binds = [
        tenant.into(),
        wanted.path.into(),
        wanted.text.into(),
        after.into(),
        limit.into(),
    ];
    let found: Vec<HolderRow> = HOLDERS.bind(&binds).fetch_all(conn)?;
    Ok(found
        .into_iter()
        .map(|row| ResourceId(row.resource_id))
        .collect())
}
