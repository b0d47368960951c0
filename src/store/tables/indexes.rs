//! Which paths have rows in `attributes`, and how far they are made for the documents that were there before.
//!
//! The paths follow from the configuration. They are agreed on in the database, because a filter that trusts an
//! index misses what a node without that index wrote: such a node finds another epoch in its tenant's row and
//! stops writing.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryableByName, RunQueryDsl};
use scim_core::indexing::IndexRow;

use crate::store::engine::sql::Sql;
use crate::store::tables::resources::{Stored, StoredRow};
use crate::store::tables::{attributes, unique_values};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

/// A path that filters find by an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexedPath {
    pub resource_type: String,
    pub path: String,
    /// How its rows are made, see [`scim_core::indexing::index_rule`].
    pub rule: String,
}

/// What the database knows after [`agree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub epoch: i64,
    /// What is still to be filled, by type.
    pub pending: Vec<Pending>,
}

/// Paths of one type whose rows are not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub resource_type: String,
    pub paths: BTreeSet<String>,
    /// The last resource that was read, where the work was interrupted.
    pub after: (TenantId, String),
}

#[derive(QueryableByName)]
struct Recorded {
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

impl Recorded {
    fn wanted(&self) -> IndexedPath {
        IndexedPath {
            resource_type: self.resource_type.clone(),
            path: self.path.clone(),
            rule: self.rule.clone(),
        }
    }
}

#[derive(QueryableByName)]
struct Epoch {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

/// Makes `wanted` the paths that are indexed. Where they were others, every tenant gets a new epoch, which takes its
/// lock: when this is committed, no node with other paths writes any more.
pub fn agree(conn: &mut Conn, wanted: &[IndexedPath]) -> Result<Agreed, StoreError> {
    // One node after the other.
    lock(conn)?;
    let recorded = recorded(conn)?;
    let before: BTreeSet<IndexedPath> = recorded.iter().map(Recorded::wanted).collect();
    let after: BTreeSet<IndexedPath> = wanted.iter().cloned().collect();
    if before != after {
        Sql::new(
            "UPDATE tenants SET index_epoch = (SELECT max(t.index_epoch) FROM tenants AS t) + 1",
        )
        .execute(conn)?;
        let spaces_kept: BTreeSet<&str> = before.intersection(&after).filter_map(space).collect();
        for gone in before.difference(&after) {
            Sql::new("DELETE FROM indexes WHERE resource_type = $1 AND path = $2")
                .text(&gone.resource_type)
                .text(&gone.path)
                .execute(conn)?;
        }
        for new in after.difference(&before) {
            Sql::new(
                "INSERT INTO indexes (resource_type, path, rule, done) VALUES ($1, $2, $3, FALSE)",
            )
            .text(&new.resource_type)
            .text(&new.path)
            .text(&new.rule)
            .execute(conn)?;
        }
        let spaces = before.symmetric_difference(&after).filter_map(space);
        for space in spaces.filter(|space| !spaces_kept.contains(space)) {
            Sql::new("DELETE FROM unique_values WHERE path = $1")
                .text(space)
                .execute(conn)?;
        }
    }
    state(conn)
}

/// Whether `wanted` is what was agreed on.
pub fn are_agreed(conn: &mut Conn, wanted: &[IndexedPath]) -> Result<bool, StoreError> {
    let before: BTreeSet<IndexedPath> = recorded(conn)?.iter().map(Recorded::wanted).collect();
    Ok(before == wanted.iter().cloned().collect())
}

/// The epoch of the first tenant, which is always there; a new tenant takes it over.
pub(in crate::store) fn epoch(conn: &mut Conn) -> Result<i64, StoreError> {
    let row: Epoch = Sql::new("SELECT index_epoch AS epoch FROM tenants WHERE id = $1")
        .int(TenantId::DEFAULT.0)
        .get_result(conn)?;
    Ok(row.epoch)
}

/// Holds every other node off that would agree on paths, until the end of the transaction.
pub(in crate::store) fn lock(conn: &mut Conn) -> Result<(), StoreError> {
    Sql::new("UPDATE tenants SET index_epoch = index_epoch WHERE id = $1")
        .int(TenantId::DEFAULT.0)
        .execute(conn)?;
    Ok(())
}

/// Of one type, the resources after an id, in order.
pub fn after(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    last_id: &str,
    limit: i64,
) -> Result<Vec<Stored>, StoreError> {
    let found: Vec<StoredRow> = Sql::new(
        "SELECT id, resource_type, version, created, modified, doc FROM resources \
         WHERE tenant_id = $1 AND resource_type = $2 AND id > $3 ORDER BY id LIMIT 0 + $4",
    )
    .int(tenant.0)
    .text(resource_type)
    .text(last_id)
    .int(limit)
    .load(conn)?;
    Ok(found.into_iter().map(Stored::from).collect())
}

/// Puts the rows of these resources at the pending paths in the place of those that they had there, and notes how far
/// the work is.
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
    let conn = tx.conn();
    Sql::new(
        "UPDATE indexes SET tenant_id = $1, last_id = $2 WHERE resource_type = $3 AND NOT done",
    )
    .int(tenant.0)
    .text(last.as_str())
    .text(&pending.resource_type)
    .execute(conn)?;
    for (id, rows) in resources {
        unique_values::claim(tx, id, rows)?;
    }
    Ok(())
}

/// The rows of the pending paths are complete.
pub fn finish(conn: &mut Conn, pending: &Pending) -> Result<(), StoreError> {
    for path in &pending.paths {
        Sql::new("UPDATE indexes SET done = TRUE WHERE resource_type = $1 AND path = $2")
            .text(&pending.resource_type)
            .text(path)
            .execute(conn)?;
    }
    Ok(())
}

fn recorded(conn: &mut Conn) -> Result<Vec<Recorded>, StoreError> {
    Ok(
        Sql::new("SELECT resource_type, path, rule, done, tenant_id, last_id FROM indexes")
            .load(conn)?,
    )
}

fn state(conn: &mut Conn) -> Result<Agreed, StoreError> {
    let epoch = epoch(conn)?;
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
        // All go through the documents together, from where the last of them is.
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
