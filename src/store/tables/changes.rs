//! The change log: one numbered row per change of a resource. Rows never change, except that an
//! erasure empties them.

use diesel::sql_types::{BigInt, Text};
use diesel::{ExpressionMethods, QueryDsl, Queryable, QueryableByName, RunQueryDsl};
use serde::Serialize;

use crate::ids::Actor;
use crate::store::engine::schema::changes;
use crate::store::engine::statement::{Fetch, FetchWithin, Statement};
use crate::store::tables::first_of::{FirstOf, READ_BYTES};
use crate::store::tables::subscriptions;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// The kind of a change. The text is the column's value and must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    Created,
    Updated,
    Activated,
    Deactivated,
    Deleted,
    MemberAdded,
    MemberRemoved,
    /// Unknown member ids were left out of a group.
    MemberSkipped,
    /// All data of the resource was erased, and applications that follow the feed must erase
    /// theirs.
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

/// The payload of a change that an erasure has emptied.
pub const EMPTIED: &str = r#"{"erased":true}"#;

/// A change to record with [`crate::store::Tx::append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub resource_id: ResourceId,
    pub resource_type: String,
    pub kind: ChangeKind,
    /// Microseconds since the epoch.
    pub at: i64,
    /// The name of the token or command that made the change.
    pub actor: Actor,
    /// JSON text.
    pub payload: String,
}

/// A change as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    pub seq: i64,
    pub change: Change,
}

/// In the order of [`COLUMNS`].
#[derive(Queryable)]
struct ChangeRow {
    seq: i64,
    resource_id: String,
    resource_type: String,
    kind: String,
    at: i64,
    actor: String,
    payload: String,
}

impl ChangeRow {
    fn bytes(&self) -> usize {
        size_of::<Self>().saturating_add(self.payload.len())
    }
}

impl TryFrom<ChangeRow> for RecordedChange {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
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

/// The columns of [`ChangeRow`].
type Columns = (BigInt, Text, Text, Text, BigInt, Text, Text);

const COLUMNS: &str =
    "SELECT seq, resource_id, resource_type, kind, at, actor, payload FROM changes ";

/// Returns the changes with numbers above `seq`, in order: as many as `limit` and [`READ_BYTES`]
/// allow, and at least one if there is one.
pub fn after(
    conn: &mut Conn,
    tenant: TenantId,
    seq: i64,
    limit: u32,
) -> Result<Vec<RecordedChange>, StoreError> {
    static AFTER: Statement<Columns> = Statement::joined(&[
        COLUMNS,
        "WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT 0 + $3",
    ]);
    let binds = [tenant.into(), seq.into(), limit.into()];
    let query = AFTER.bind(&binds);
    let found = query.fetch_within(conn, READ_BYTES, ChangeRow::bytes)?;
    let rows = found.rows.into_iter();
    rows.map(RecordedChange::try_from).collect()
}

/// The range of a tenant's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Reach {
    /// The number of the last removed change; 0 if none was removed.
    #[diesel(sql_type = BigInt)]
    pub gone: i64,
    /// The number of the last change.
    #[diesel(sql_type = BigInt)]
    pub last: i64,
    /// The tenant's access epoch at the same moment.
    #[diesel(sql_type = BigInt)]
    pub epoch: i64,
}

/// Returns `None` if there is no such tenant.
pub fn reach(conn: &mut Conn, tenant: TenantId) -> Result<Option<Reach>, StoreError> {
    static REACH: Statement = Statement::new(
        "SELECT t.change_seq AS last, coalesce( \
           (SELECT min(c.seq) - 1 FROM changes AS c WHERE c.tenant_id = $1), t.change_seq \
         ) AS gone, coalesce( \
           (SELECT e.epoch FROM access_epochs AS e WHERE e.tenant_id = $1), 0 \
         ) AS epoch FROM tenants AS t WHERE t.id = $1",
    );
    Ok(REACH.bind(&[tenant.into()]).fetch_optional(conn)?)
}

static FIRST_KEPT: Statement = Statement::new(
    "SELECT c.seq FROM changes AS c WHERE c.tenant_id = $1 AND c.seq <= $2 AND c.at >= $3 \
     ORDER BY c.seq LIMIT 1",
);
static DELETE_UP_TO: Statement =
    Statement::new("DELETE FROM changes WHERE tenant_id = $1 AND seq <= $2");

/// Removes the oldest changes, up to the first that is not older than `before`, and at most `limit`
/// numbers at once, within a write of the tenant. Returns whether there may be more to remove.
pub fn prune(
    conn: &mut Conn,
    tenant: TenantId,
    before: i64,
    limit: u32,
) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct SeqRow {
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    let Some(reach) = reach(conn, tenant)? else {
        return Ok(false);
    };
    // Several nodes write these times, so they may go back a little; the numbers do not.
    let end = reach.gone.saturating_add(limit.into());
    let first_kept: Option<SeqRow> = FIRST_KEPT
        .bind(&[tenant.into(), end.into(), before.into()])
        .fetch_optional(conn)?;
    // Changes that a webhook has not delivered are kept; the webhook gives up those that are too
    // old.
    let undelivered = subscriptions::first_undelivered(conn, tenant)?.unwrap_or(i64::MAX);
    let upto = first_kept
        .as_ref()
        .map_or(end, |change| change.seq - 1)
        .min(undelivered - 1);
    DELETE_UP_TO
        .bind(&[tenant.into(), upto.into()])
        .execute(conn)?;
    Ok(first_kept.is_none() && end < undelivered && end < reach.last)
}

/// Returns the changes of one resource, those before the number `before` if it is given, the latest
/// first: as many as `limit` and [`READ_BYTES`] allow.
pub fn of_resource(
    conn: &mut Conn,
    tenant: TenantId,
    resource: &ResourceId,
    before: Option<i64>,
    limit: u32,
) -> Result<FirstOf<RecordedChange>, StoreError> {
    static OF_RESOURCE: Statement<Columns> = Statement::joined(&[
        COLUMNS,
        "WHERE tenant_id = $1 AND resource_id = $2 AND seq < $3 ORDER BY seq DESC LIMIT 0 + $4",
    ]);
    let before = before.unwrap_or(i64::MAX);
    let binds = [tenant.into(), resource.into(), before.into(), limit.into()];
    let query = OF_RESOURCE.bind(&binds);
    let found = query.fetch_within(conn, READ_BYTES, ChangeRow::bytes)?;
    let rows = found.rows.into_iter();
    Ok(FirstOf {
        rows: rows
            .map(RecordedChange::try_from)
            .collect::<Result<_, _>>()?,
        is_cut: found.is_cut,
    })
}

/// Empties the changes of a resource; returns how many were not empty before.
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

/// Replaces the actor and the payload of a change.
pub fn rewrite(conn: &mut Conn, tenant: TenantId, to: &RecordedChange) -> Result<(), StoreError> {
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

/// The rows that one statement inserts, so that its parameter stays small.
const CHUNK: usize = 2000;
/// The bytes that one statement inserts, unless a single row has more.
const CHUNK_BYTES: usize = 1 << 20;

/// The number of rows of the next statement.
fn chunk_of(changes: &[(i64, Change)]) -> usize {
    let mut bytes = 0_usize;
    let fits = |(_, change): &&(i64, Change)| {
        bytes = bytes.saturating_add(change.payload.len());
        bytes <= CHUNK_BYTES
    };
    let fitting = changes.iter().take(CHUNK).take_while(fits).count();
    fitting.max(1)
}

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

/// Inserts changes, on SQLite one by one, because a statement costs it no round trip, and on
/// PostgreSQL many at once.
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

static INSERT: Statement = Statement::new(
    "INSERT INTO changes (tenant_id, seq, resource_id, resource_type, kind, at, actor, payload) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

static INSERT_ROWS: Statement = Statement::new(
    "INSERT INTO changes (tenant_id, seq, resource_id, resource_type, kind, at, actor, payload) \
     SELECT $1, c.seq, c.resource_id, c.resource_type, c.kind, c.at, c.actor, c.payload \
     FROM json_rows($2) AS c(seq BIGINT, resource_id TEXT, resource_type TEXT, kind TEXT, \
     at BIGINT, actor TEXT, payload TEXT)",
);

fn insert_each(
    conn: &mut Conn,
    tenant: TenantId,
    changes: &[(i64, Change)],
) -> Result<(), StoreError> {
    for (seq, change) in changes {
        let actor = change.actor.to_string();
        let binds = [
            tenant.into(),
            (*seq).into(),
            (&change.resource_id).into(),
            (&change.resource_type).into(),
            change.kind.as_str().into(),
            change.at.into(),
            (&actor).into(),
            (&change.payload).into(),
        ];
        INSERT.bind(&binds).execute(conn)?;
    }
    Ok(())
}

fn insert_lists(
    conn: &mut Conn,
    tenant: TenantId,
    changes: &[(i64, Change)],
) -> Result<(), StoreError> {
    let mut rest = changes;
    while !rest.is_empty() {
        let (chunk, others) = rest.split_at(chunk_of(rest));
        rest = others;
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
        INSERT_ROWS
            .bind(&[tenant.into(), (&list).into()])
            .execute(conn)?;
    }
    Ok(())
}
