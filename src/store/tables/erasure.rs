//! What an erasure looks for outside the rows of the resource itself.

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::engine::sql::Sql;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// The marks by which a person is found in what is recorded of others: pieces of JSON text, and names of actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    pub pieces: Vec<String>,
    pub actors: Vec<String>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// The numbers behind `after` up to `upto` of the changes that may have something of the person: done by one of the
/// actors, or of another resource and with one of the pieces in them. Reads them all.
pub fn changes_with(
    conn: &mut Conn,
    tenant: TenantId,
    person: &ResourceId,
    marks: &Marks,
    (after, upto): (i64, i64),
) -> Result<Vec<i64>, StoreError> {
    let backend = conn.backend();
    let pieces = (0..marks.pieces.len()).map(|n| has(backend, "c.payload", n + 5));
    let pieces: Vec<String> = pieces.collect();
    let first = marks.pieces.len() + 5;
    let actors = (0..marks.actors.len()).map(|n| format!("c.actor = ${}", n + first));
    let actors: Vec<String> = actors.collect();
    // The members of groups are ids, which say nothing: only what was no id is looked at there.
    let sql = format!(
        "SELECT c.seq FROM changes AS c WHERE c.tenant_id = $1 AND c.seq > $3 AND c.seq <= $4 AND (\
         ({}) OR (c.resource_id <> $2 AND c.kind NOT IN ('member_added', 'member_removed') AND ({}))) ORDER BY c.seq",
        either(&actors),
        either(&pieces)
    );
    let mut query = Sql::new(sql)
        .int(tenant.0)
        .text(person.as_str())
        .int(after)
        .int(upto);
    for bind in marks.pieces.iter().chain(&marks.actors) {
        query = query.text(bind);
    }
    let found: Vec<Number> = query.load(conn)?;
    Ok(found.into_iter().map(|row| row.seq).collect())
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
}

/// The other resources of the type whose documents have one of the pieces in them. Reads them all.
pub fn documents_with(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    person: &ResourceId,
    marks: &Marks,
) -> Result<Vec<ResourceId>, StoreError> {
    let backend = conn.backend();
    let pieces = (0..marks.pieces.len()).map(|n| has(backend, "r.doc", n + 4));
    let pieces: Vec<String> = pieces.collect();
    let sql = format!(
        "SELECT r.id FROM resources AS r WHERE r.tenant_id = $1 AND r.resource_type = $2 AND r.id <> $3 AND ({}) ORDER BY r.id",
        either(&pieces)
    );
    let mut query = Sql::new(sql)
        .int(tenant.0)
        .text(resource_type)
        .text(person.as_str());
    for piece in &marks.pieces {
        query = query.text(piece);
    }
    let found: Vec<IdRow> = query.load(conn)?;
    Ok(found.into_iter().map(|row| ResourceId(row.id)).collect())
}

/// Whether a text has the piece in it. The two databases have one function under two names.
fn has(backend: Backend, column: &str, parameter: usize) -> String {
    match backend {
        Backend::Sqlite => format!("instr({column}, ${parameter}) > 0"),
        Backend::Postgres => format!("strpos({column}, ${parameter}) > 0"),
    }
}

fn either(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return "1 = 0".to_owned();
    }
    conditions.join(" OR ")
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// SQLite's planner keeps keys of indexes as samples, where it was asked for statistics; it does without them.
/// PostgreSQL's are taken anew by [`crate::store::engine::compact`].
pub fn forget_samples(conn: &mut Conn) -> Result<(), StoreError> {
    if conn.backend() == Backend::Postgres {
        return Ok(());
    }
    let tables: CountRow =
        Sql::new("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'sqlite_stat4'")
            .get_result(conn)?;
    if tables.n > 0 {
        conn.batch("DELETE FROM sqlite_stat4")?;
    }
    Ok(())
}
