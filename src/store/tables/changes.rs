//! The change log: one numbered row for each thing that happened to a resource. Rows never change, but that an erasure
//! empties them.

use diesel::sql_types::{BigInt, Untyped};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, QueryableByName, RunQueryDsl,
};
use serde::Serialize;

use crate::ids::Actor;
use crate::store::engine::schema::changes;
use crate::store::engine::sql::{Bind, Column, Fixed, Prepared, Sql, rows};
use crate::store::tables::subscriptions;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId, Tx};

/// What happened. The text is the column's value and must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    Created,
    Updated,
    Activated,
    Deactivated,
    Deleted,
    MemberAdded,
    MemberRemoved,
    /// Member ids that are not known here were left out of a group.
    MemberSkipped,
    /// Nothing is kept of the resource any more, and nobody who followed it shall keep anything.
    Erased,
}

impl ChangeKind {
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Updated,
        Self::Activated,
        Self::Deactivated,
        Self::Deleted,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::MemberSkipped,
        Self::Erased,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::MemberSkipped => "member_skipped",
            Self::Erased => "erased",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The payload of a change of which an erasure left the number and no value.
pub const EMPTIED: &str = r#"{"erased":true}"#;

/// A change to record with [`crate::store::Tx::append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub resource_id: ResourceId,
    pub resource_type: String,
    pub kind: ChangeKind,
    /// Microseconds since the epoch.
    pub at: i64,
    pub actor: Actor,
    /// JSON text.
    pub payload: String,
}

/// A change as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub seq: i64,
    pub change: Change,
}

/// In the order of [`COLUMNS`].
#[derive(Queryable)]
struct Row {
    seq: i64,
    resource_id: String,
    resource_type: String,
    kind: String,
    at: i64,
    actor: String,
    payload: String,
}

impl TryFrom<Row> for Recorded {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let kind = ChangeKind::parse(&row.kind).ok_or_else(|| {
            StoreError::internal(format!(
                "change {} has the unknown kind {}",
                row.seq, row.kind
            ))
        })?;
        Ok(Self {
            seq: row.seq,
            change: Change {
                resource_id: ResourceId(row.resource_id),
                resource_type: row.resource_type,
                kind,
                at: row.at,
                actor: Actor::parse(&row.actor),
                payload: row.payload,
            },
        })
    }
}

type Columns = (
    changes::seq,
    changes::resource_id,
    changes::resource_type,
    changes::kind,
    changes::at,
    changes::actor,
    changes::payload,
);

const COLUMNS: Columns = (
    changes::seq,
    changes::resource_id,
    changes::resource_type,
    changes::kind,
    changes::at,
    changes::actor,
    changes::payload,
);

/// The changes numbered higher than `seq`, in order.
pub fn after(
    conn: &mut Conn,
    tenant: TenantId,
    seq: i64,
    limit: u32,
) -> Result<Vec<Recorded>, StoreError> {
    let rows: Vec<Row> = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::seq.gt(seq))
        .order(changes::seq)
        .limit(limit.into())
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(Recorded::try_from).collect()
}

/// Where a tenant's changes begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Reach {
    /// The number of the last change that is gone; 0 where none is.
    #[diesel(sql_type = BigInt)]
    pub gone: i64,
    /// The number of the last change.
    #[diesel(sql_type = BigInt)]
    pub last: i64,
}

/// `None` where there is no such tenant.
pub fn reach(conn: &mut Conn, tenant: TenantId) -> Result<Option<Reach>, StoreError> {
    let found = Sql::new(
        "SELECT t.change_seq AS last, \
         coalesce((SELECT min(c.seq) - 1 FROM changes AS c WHERE c.tenant_id = $1), t.change_seq) AS gone \
         FROM tenants AS t WHERE t.id = $1",
    )
    .int(tenant.0)
    .get_result(conn)
    .optional()?;
    Ok(found)
}

/// Removes the oldest changes, up to the first that is not older than `before`, and at most `limit` numbers at
/// once. Answers whether there may be more to remove.
pub fn prune(tx: &mut Tx<'_>, before: i64, limit: u32) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    let tenant = tx.tenant();
    let conn = tx.conn();
    let Some(reach) = reach(conn, tenant)? else {
        return Ok(false);
    };
    // Several nodes wrote these times, so that they may go back a little; the numbers do not.
    let end = reach.gone.saturating_add(limit.into());
    let kept: Option<Number> = Sql::new(
        "SELECT c.seq FROM changes AS c WHERE c.tenant_id = $1 AND c.seq <= $2 AND c.at >= $3 \
         ORDER BY c.seq LIMIT 1",
    )
    .int(tenant.0)
    .int(end)
    .int(before)
    .get_result(conn)
    .optional()?;
    // What a webhook has still to tell is kept; it gives up what is too old by itself.
    let untold = subscriptions::first_untold(conn, tenant)?.unwrap_or(i64::MAX);
    let upto = kept
        .as_ref()
        .map_or(end, |kept| kept.seq - 1)
        .min(untold - 1);
    Sql::new("DELETE FROM changes WHERE tenant_id = $1 AND seq <= $2")
        .int(tenant.0)
        .int(upto)
        .execute(conn)?;
    Ok(kept.is_none() && end < untold && end < reach.last)
}

/// What happened to one resource before the change numbered `before` (or at all), the latest first.
pub fn of_resource(
    conn: &mut Conn,
    tenant: TenantId,
    resource: &ResourceId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Recorded>, StoreError> {
    let rows: Vec<Row> = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::resource_id.eq(resource.as_str()))
        .filter(changes::seq.lt(before.unwrap_or(i64::MAX)))
        .order(changes::seq.desc())
        .limit(limit.into())
        .select(COLUMNS)
        .load(conn)?;
    rows.into_iter().map(Recorded::try_from).collect()
}

/// Empties what is recorded of a resource; returns how many changes had something in them.
pub fn empty(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    resource: &ResourceId,
) -> Result<usize, StoreError> {
    let own = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::resource_id.eq(resource.as_str()))
        .filter(changes::resource_type.eq(resource_type))
        .filter(changes::kind.ne(ChangeKind::Erased.as_str()))
        .filter(changes::payload.ne(EMPTIED));
    Ok(diesel::update(own)
        .set(changes::payload.eq(EMPTIED))
        .execute(conn)?)
}

/// Puts another actor and another payload in the place of those that a change has.
pub fn rewrite(conn: &mut Conn, tenant: TenantId, to: &Recorded) -> Result<(), StoreError> {
    let row = changes::table
        .filter(changes::tenant_id.eq(tenant.0))
        .filter(changes::seq.eq(to.seq));
    diesel::update(row)
        .set((
            changes::actor.eq(to.change.actor.to_string()),
            changes::payload.eq(&to.change.payload),
        ))
        .execute(conn)?;
    Ok(())
}

/// How many rows one statement inserts, so that its parameter stays small.
const CHUNK: usize = 2000;

#[derive(Serialize)]
struct NewRow<'a> {
    seq: i64,
    resource_id: &'a str,
    resource_type: &'a str,
    kind: &'a str,
    at: i64,
    actor: String,
    payload: &'a str,
}

/// On SQLite one by one, for a statement costs it no round trip; on PostgreSQL many at once.
pub(in crate::store) fn insert(
    conn: &mut Conn,
    tenant: TenantId,
    changes: &[(i64, Change)],
) -> Result<(), StoreError> {
    match conn.backend() {
        Backend::Sqlite => insert_each(conn, tenant, changes),
        Backend::Postgres => insert_lists(conn, tenant, changes),
    }
}

struct InsertOne;

impl Fixed for InsertOne {
    type Row = Untyped;

    fn text(_: Backend) -> &'static [&'static str] {
        &[
            "INSERT INTO changes (tenant_id, seq, resource_id, resource_type, kind, at, actor, payload) VALUES (",
            ", ",
            ", ",
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
    changes: &[(i64, Change)],
) -> Result<(), StoreError> {
    for (seq, change) in changes {
        let actor = change.actor.to_string();
        let binds = [
            Bind::Int(tenant.0),
            Bind::Int(*seq),
            Bind::Text(change.resource_id.as_str()),
            Bind::Text(&change.resource_type),
            Bind::Text(change.kind.as_str()),
            Bind::Int(change.at),
            Bind::Text(&actor),
            Bind::Text(&change.payload),
        ];
        Prepared::<InsertOne, 8>::new(binds).execute(conn)?;
    }
    Ok(())
}

fn insert_lists(
    conn: &mut Conn,
    tenant: TenantId,
    changes: &[(i64, Change)],
) -> Result<(), StoreError> {
    let source = rows(
        conn.backend(),
        "$2",
        "c",
        &[
            ("seq", Column::Int),
            ("resource_id", Column::Text),
            ("resource_type", Column::Text),
            ("kind", Column::Text),
            ("at", Column::Int),
            ("actor", Column::Text),
            ("payload", Column::Text),
        ],
    );
    let sql = format!(
        "INSERT INTO changes (tenant_id, seq, resource_id, resource_type, kind, at, actor, payload) \
         SELECT $1, c.seq, c.resource_id, c.resource_type, c.kind, c.at, c.actor, c.payload FROM {source}"
    );
    for chunk in changes.chunks(CHUNK) {
        let list: Vec<NewRow> = chunk
            .iter()
            .map(|(seq, change)| NewRow {
                seq: *seq,
                resource_id: change.resource_id.as_str(),
                resource_type: &change.resource_type,
                kind: change.kind.as_str(),
                at: change.at,
                actor: change.actor.to_string(),
                payload: &change.payload,
            })
            .collect();
        let list = serde_json::to_string(&list)?;
        Sql::new(sql.as_str())
            .int(tenant.0)
            .text(&list)
            .execute(conn)?;
    }
    Ok(())
}
