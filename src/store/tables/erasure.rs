//! Searches for data of a person outside the rows of the resource itself.

use diesel::sql_types::{BigInt, Text};

pub use crate::store::engine::analyze::forget_samples;
use crate::store::engine::fragment::{Fragment, OwnedBind};
use crate::store::engine::statement::Fetch;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// The marks that identify a person in the records of others: pieces of JSON text, and names of
/// actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    pub pieces: Vec<String>,
    pub actors: Vec<String>,
}

/// Returns the numbers after the first of `range`, up to its second, of the changes that may hold
/// data of the person: those by one of the actors, and those of another resource with one of the
/// pieces in them. Reads all changes in between.
pub fn changes_with(
    conn: &mut Conn,
    tenant: TenantId,
    person: &ResourceId,
    marks: &Marks,
    (after, upto): (i64, i64),
) -> Result<Vec<i64>, StoreError> {
    let actors = marks
        .actors
        .iter()
        .map(|actor| Fragment::text("c.actor = ").bind_text(actor));
    // Members of groups are ids, which are no personal data, so changes of members are not
    // searched.
    let sql = Fragment::text("SELECT c.seq FROM changes AS c WHERE c.tenant_id = ")
        .bind(OwnedBind::BigInt(tenant.0))
        .push(" AND c.seq > ")
        .bind(OwnedBind::BigInt(after))
        .push(" AND c.seq <= ")
        .bind(OwnedBind::BigInt(upto))
        .push(" AND ((")
        .append(any_of(actors.collect()))
        .push(") OR (c.resource_id <> ")
        .bind_text(person.as_str())
        .push(" AND c.kind NOT IN ('member_added', 'member_removed') AND (")
        .append(contains_any(conn.backend(), "c.payload", &marks.pieces))
        .push("))) ORDER BY c.seq");
    Ok(sql.query::<BigInt>().fetch_all(conn)?)
}

/// Returns the other resources of the type whose documents have one of the pieces in them. Reads
/// all of them.
pub fn documents_with(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    person: &ResourceId,
    marks: &Marks,
) -> Result<Vec<ResourceId>, StoreError> {
    let sql = Fragment::text("SELECT r.id FROM resources AS r WHERE r.tenant_id = ")
        .bind(OwnedBind::BigInt(tenant.0))
        .push(" AND r.resource_type = ")
        .bind_text(resource_type)
        .push(" AND r.id <> ")
        .bind_text(person.as_str())
        .push(" AND (")
        .append(contains_any(conn.backend(), "r.doc", &marks.pieces))
        .push(") ORDER BY r.id");
    let found: Vec<String> = sql.query::<Text>().fetch_all(conn)?;
    Ok(found.into_iter().map(ResourceId).collect())
}

/// The condition that a column has one of the pieces in it. The databases have one function under
/// two names.
fn contains_any(backend: Backend, column: &'static str, pieces: &[String]) -> Fragment {
    let function = match backend {
        Backend::Sqlite => "instr(",
        Backend::Postgres => "strpos(",
    };
    let contains = |piece: &String| {
        Fragment::text(function)
            .push(column)
            .push(", ")
            .bind_text(piece)
            .push(") > 0")
    };
    any_of(pieces.iter().map(contains).collect())
}

fn any_of(conditions: Vec<Fragment>) -> Fragment {
    if conditions.is_empty() {
        return Fragment::text("1 = 0");
    }
    Fragment::join(conditions, " OR ")
}
