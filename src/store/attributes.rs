//! The index over declared attributes: one row a value. Filters read it; it can be made anew from the documents.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use serde::Serialize;

use crate::scim::leaves::IndexRow;
use crate::store::schema::attributes;
use crate::store::sql::{Column, Sql, rows};
use crate::store::{ResourceId, StoreError, Tx, unique_values};

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

/// For a resource that has no rows yet.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    id: &ResourceId,
    values: &[IndexRow],
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let tenant = tx.tenant();
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
    let conn = tx.conn();
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
    unique_values::claim(tx, id, values)
}

pub(super) fn remove(tx: &mut Tx<'_>, id: &ResourceId) -> Result<(), StoreError> {
    let tenant = tx.tenant();
    diesel::delete(
        attributes::table
            .filter(attributes::tenant_id.eq(tenant.0))
            .filter(attributes::resource_id.eq(id.as_str())),
    )
    .execute(tx.conn())?;
    unique_values::release(tx, id)
}
