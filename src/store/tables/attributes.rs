//! The index over declared attributes: one row a value. Filters read it; it can be made anew from the documents.

use diesel::sql_types::{Text, Untyped};
use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::indexing::IndexRow;
use serde::Serialize;

use crate::store::engine::schema::attributes;
use crate::store::engine::sql::{Bind, Column, Fixed, OneOf, Prepared, Sql, rows};
use crate::store::tables::unique_values;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId, Tx};

/// Puts these rows in the place of all the resource has.
pub fn replace(tx: &mut Tx<'_>, id: &ResourceId, rows: &[IndexRow]) -> Result<(), StoreError> {
    remove(tx, id)?;
    insert(tx, id, rows)
}

#[derive(Serialize)]
struct NewRow<'a> {
    path: &'a str,
    position: i32,
    text: Option<&'a str>,
    num: Option<f64>,
}

/// For a resource that has no rows yet. As with changes, on SQLite one by one.
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
        Backend::Postgres => insert_list(tx.conn(), tenant, id, values)?,
    }
    unique_values::claim(tx, id, values)
}

struct InsertOne;

impl Fixed for InsertOne {
    type Row = Untyped;

    fn text(_: Backend) -> &'static [&'static str] {
        &[
            "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) VALUES (",
            ", ",
            ", ",
            ", ",
            ", ",
            ", ",
            ")",
        ]
    }
}

fn insert_each(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    for row in values {
        let binds = [
            Bind::Int(tenant.0),
            Bind::Text(id.as_str()),
            Bind::Text(row.path.key()),
            Bind::Int(row.position.into()),
            Bind::AnyText(row.text.as_deref()),
            Bind::AnyDouble(row.num),
        ];
        Prepared::<InsertOne, 6>::new(binds).execute(conn)?;
    }
    Ok(())
}

fn insert_list(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    let list: Vec<NewRow> = values
        .iter()
        .map(|row| NewRow {
            path: row.path.key(),
            position: row.position,
            text: row.text.as_deref(),
            num: row.num,
        })
        .collect();
    let list = serde_json::to_string(&list)?;
    let source = rows(
        conn.backend(),
        "$3",
        "a",
        &[
            ("path", Column::Text),
            ("position", Column::Int),
            ("text", Column::Text),
            ("num", Column::Double),
        ],
    );
    Sql::new(format!(
        "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) \
         SELECT $1, $2, a.path, a.position, a.text, a.num FROM {source}"
    ))
    .int(tenant.0)
    .text(id.as_str())
    .text(&list)
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

#[derive(Serialize)]
struct NewRowOf<'a> {
    resource_id: &'a str,
    path: &'a str,
    position: i32,
    text: Option<&'a str>,
    num: Option<f64>,
}

/// Puts the rows of many resources at these paths in the place of those that they had there. Unique values are the
/// caller's.
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
    let ids: Vec<ResourceId> = resources.iter().map(|(id, _)| id.clone()).collect();
    for path in paths {
        let wanted = OneOf::new(conn.backend(), "resource_id", "$3", &ids)?;
        Sql::new(format!(
            "DELETE FROM attributes WHERE tenant_id = $1 AND path = $2 AND {}",
            wanted.condition
        ))
        .int(tenant.0)
        .text(path)
        .text(&wanted.value)
        .execute(conn)?;
    }
    let list: Vec<NewRowOf> = resources
        .iter()
        .flat_map(|(id, rows)| rows.iter().map(move |row| (id, row)))
        .map(|(id, row)| NewRowOf {
            resource_id: id.as_str(),
            path: row.path.key(),
            position: row.position,
            text: row.text.as_deref(),
            num: row.num,
        })
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    let list = serde_json::to_string(&list)?;
    let source = rows(
        conn.backend(),
        "$2",
        "a",
        &[
            ("resource_id", Column::Text),
            ("path", Column::Text),
            ("position", Column::Int),
            ("text", Column::Text),
            ("num", Column::Double),
        ],
    );
    Sql::new(format!(
        "INSERT INTO attributes (tenant_id, resource_id, path, position, text, num) \
         SELECT $1, a.resource_id, a.path, a.position, a.text, a.num FROM {source}"
    ))
    .int(tenant.0)
    .text(&list)
    .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Text)]
    resource_id: String,
}

/// The resources after an id that have this value at the path, in order.
pub fn holders(
    conn: &mut Conn,
    tenant: TenantId,
    path: &str,
    text: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<ResourceId>, StoreError> {
    let found: Vec<Holder> = Sql::new(
        "SELECT DISTINCT resource_id FROM attributes WHERE tenant_id = $1 AND path = $2 AND text = $3 \
         AND resource_id > $4 ORDER BY resource_id LIMIT 0 + $5",
    )
    .int(tenant.0)
    .text(path)
    .text(text)
    .text(after)
    .int(limit)
    .load(conn)?;
    Ok(found
        .into_iter()
        .map(|row| ResourceId(row.resource_id))
        .collect())
}
