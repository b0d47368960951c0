//! The paths that have rows in `attributes`, and the progress of indexing older documents.
//!
//! The paths follow from the configuration. The nodes agree on them in the database, because a
//! filter that trusts an index would miss what a node without that index wrote. Such a node finds
//! another epoch in its tenant's row and stops writing.

use std::collections::{BTreeMap, BTreeSet};

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Text};
use scim_core::indexing::IndexRow;

use crate::store::engine::index_epoch;
use crate::store::engine::statement::{Fetch, Statement};
use crate::store::tables::resources::{Stored, StoredRow};
use crate::store::tables::{attributes, unique_values};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

/// A path that filters find by an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexedPath {
    pub resource_type: String,
    pub path: String,
    /// The rule for its rows, see [`scim_core::indexing::index_rule`].
    pub rule: String,
}

/// The result of [`agree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub epoch: i64,
    /// The paths still to be indexed, by type.
    pub pending: Vec<Pending>,
}

/// Paths of one type whose rows are incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub resource_type: String,
    pub paths: BTreeSet<String>,
    /// The last resource that was read before the work was interrupted.
    pub after: (TenantId, String),
}

#[derive(QueryableByName)]
struct IndexRecord {
    #[diesel(sql_type = Text)]
    resource_type: String,
    #[diesel(sql_type = Text)]
    path: String,
    #[diesel(sql_type = Text)]
    rule: String,
    #[diesel(sql_type = Bool)]
    done: bool,
    #[diesel(sql_type = BigInt)]
    tenant_id: i64,
    #[diesel(sql_type = Text)]
    last_id: String,
}

impl IndexRecord {
    fn wanted(&self) -> IndexedPath {
        IndexedPath {
            resource_type: self.resource_type.clone(),
            path: self.path.clone(),
            rule: self.rule.clone(),
        }
    }
}

static ADVANCE_EPOCH: Statement = Statement::new(
    "UPDATE tenants SET index_epoch = (SELECT max(t.index_epoch) FROM tenants AS t) + 1",
);
static INSERT: Statement = Statement::new(
    "INSERT INTO indexes (resource_type, path, rule, done) VALUES ($1, $2, $3, FALSE)",
);
static DELETE: Statement =
    Statement::new("DELETE FROM indexes WHERE resource_type = $1 AND path = $2");
static DELETE_UNIQUE_VALUES: Statement =
    Statement::new("DELETE FROM unique_values WHERE path = $1");
static NOTE_PROGRESS: Statement = Statement::new(
    "UPDATE indexes SET tenant_id = $1, last_id = $2 WHERE resource_type = $3 AND NOT done",
);
static FINISH: Statement =
    Statement::new("UPDATE indexes SET done = TRUE WHERE resource_type = $1 AND path = $2");

/// Makes `wanted` the indexed paths. If they were others, every tenant gets a new epoch, which
/// takes its lock: once this is committed, no node with other paths can write.
pub fn agree(conn: &mut Conn, wanted: &[IndexedPath]) -> Result<Agreed, StoreError> {
    // Serialises the nodes.
    index_epoch::lock(conn)?;
    let recorded = recorded(conn)?;
    let before: BTreeSet<IndexedPath> = recorded.iter().map(IndexRecord::wanted).collect();
    let after: BTreeSet<IndexedPath> = wanted.iter().cloned().collect();
    if before != after {
        ADVANCE_EPOCH.bind(&[]).execute(conn)?;
        let spaces_kept: BTreeSet<&str> = before.intersection(&after).filter_map(space).collect();
        for gone in before.difference(&after) {
            let binds = [(&gone.resource_type).into(), (&gone.path).into()];
            DELETE.bind(&binds).execute(conn)?;
        }
        for new in after.difference(&before) {
            let binds = [
                (&new.resource_type).into(),
                (&new.path).into(),
                (&new.rule).into(),
            ];
            INSERT.bind(&binds).execute(conn)?;
        }
        let spaces = before.symmetric_difference(&after).filter_map(space);
        for space in spaces.filter(|space| !spaces_kept.contains(space)) {
            DELETE_UNIQUE_VALUES.bind(&[space.into()]).execute(conn)?;
        }
    }
    state(conn)
}

/// Whether the nodes have agreed on `wanted`.
pub fn are_agreed(conn: &mut Conn, wanted: &[IndexedPath]) -> Result<bool, StoreError> {
    let before: BTreeSet<IndexedPath> = recorded(conn)?.iter().map(IndexRecord::wanted).collect();
    Ok(before == wanted.iter().cloned().collect())
}

/// Returns the resources of one type after an id, in order.
pub fn after(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    last_id: &str,
    limit: i64,
) -> Result<Vec<Stored>, StoreError> {
    static AFTER: Statement = Statement::new(
        "SELECT id, resource_type, version, created, modified, doc FROM resources \
         WHERE tenant_id = $1 AND resource_type = $2 AND id > $3 ORDER BY id LIMIT 0 + $4",
    );
    let binds = [
        tenant.into(),
        resource_type.into(),
        last_id.into(),
        limit.into(),
    ];
    let found: Vec<StoredRow> = AFTER.bind(&binds).fetch_all(conn)?;
    Ok(found.into_iter().map(Stored::from).collect())
}

/// Replaces the rows of these resources at the pending paths, and records the progress.
pub fn fill(
    tx: &mut Tx<'_>,
    pending: &Pending,
    resources: &[(ResourceId, Vec<IndexRow>)],
) -> Result<(), StoreError> {
    let Some((last, _)) = resources.last() else {
        return Ok(());
    };
    let tenant = tx.tenant();
    let paths: Vec<&str> = pending.paths.iter().map(String::as_str).collect();
    attributes::refill(tx, &paths, resources)?;
    let binds = [tenant.into(), last.into(), (&pending.resource_type).into()];
    NOTE_PROGRESS.bind(&binds).execute(tx.conn())?;
    for (id, rows) in resources {
        unique_values::claim(tx, id, rows)?;
    }
    Ok(())
}

/// Records that the rows of the pending paths are complete.
pub fn finish(conn: &mut Conn, pending: &Pending) -> Result<(), StoreError> {
    for path in &pending.paths {
        FINISH
            .bind(&[(&pending.resource_type).into(), path.into()])
            .execute(conn)?;
    }
    Ok(())
}

fn recorded(conn: &mut Conn) -> Result<Vec<IndexRecord>, StoreError> {
    static ALL: Statement =
        Statement::new("SELECT resource_type, path, rule, done, tenant_id, last_id FROM indexes");
    Ok(ALL.bind(&[]).fetch_all(conn)?)
}

fn state(conn: &mut Conn) -> Result<Agreed, StoreError> {
    let epoch = index_epoch::get(conn)?;
    let mut pending: BTreeMap<String, Pending> = BTreeMap::new();
    for row in recorded(conn)?.into_iter().filter(|row| !row.done) {
        let after = (TenantId(row.tenant_id), row.last_id);
        let entry = pending
            .entry(row.resource_type.clone())
            .or_insert_with(|| Pending {
                resource_type: row.resource_type,
                paths: BTreeSet::new(),
                after: after.clone(),
            });
        entry.paths.insert(row.path);
        // All paths continue together, from the position of the one that is furthest behind.
        entry.after = after.min(entry.after.clone());
    }
    Ok(Agreed {
        epoch,
        pending: pending.into_values().collect(),
    })
}

fn space(wanted: &IndexedPath) -> Option<&str> {
    Some(wanted.rule.split_once(", unique in ")?.1)
}
