//! What each tenant stores, in bytes: its documents and memberships, and the history of them. The
//! writer counts along with every write; see `store/engine/writer.rs`.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::store::engine::statement::{Fetch, Statement};
use crate::store::{Conn, StoreError, TenantId};

/// What a row takes beside its document or payload, about: its other columns, and its entries in
/// indexes.
pub const ROW_BYTES: i64 = 200;

/// The bytes that a tenant stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageUse {
    /// Of resources and memberships.
    pub documents: i64,
    /// Of changes.
    pub history: i64,
}

impl StorageUse {
    pub fn total(self) -> i64 {
        self.documents.saturating_add(self.history)
    }
}

/// The bytes of a row with this text in it.
pub(in crate::store) fn row_bytes(text: &str) -> i64 {
    i64::try_from(text.len())
        .unwrap_or(i64::MAX)
        .saturating_add(ROW_BYTES)
}

/// A tenant's use of the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantStorage {
    pub tenant: TenantId,
    pub name: String,
    pub bytes: StorageUse,
    /// The tenant's own limit; `None` if it has that of the settings, 0 if it has none.
    pub quota_bytes: Option<i64>,
    measured: i64,
}

#[derive(QueryableByName)]
struct TenantRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    document_bytes: i64,
    #[diesel(sql_type = BigInt)]
    history_bytes: i64,
    #[diesel(sql_type = BigInt)]
    measured: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    quota_bytes: Option<i64>,
}

impl From<TenantRow> for TenantStorage {
    fn from(row: TenantRow) -> Self {
        Self {
            tenant: TenantId(row.id),
            name: row.name,
            bytes: StorageUse {
                documents: row.document_bytes,
                history: row.history_bytes,
            },
            quota_bytes: row.quota_bytes,
            measured: row.measured,
        }
    }
}

static LIST: Statement = Statement::new(
    "SELECT id, name, document_bytes, history_bytes, measured, quota_bytes FROM tenants ORDER BY id",
);
static GET: Statement = Statement::new(
    "SELECT id, name, document_bytes, history_bytes, measured, quota_bytes FROM tenants \
     WHERE id = $1",
);

/// Returns the use of each tenant, by id.
pub fn list(conn: &mut Conn) -> Result<Vec<TenantStorage>, StoreError> {
    let rows: Vec<TenantRow> = LIST.bind(&[]).fetch_all(conn)?;
    Ok(rows.into_iter().map(TenantStorage::from).collect())
}

pub fn get(conn: &mut Conn, tenant: TenantId) -> Result<Option<TenantStorage>, StoreError> {
    let row: Option<TenantRow> = GET.bind(&[tenant.into()]).fetch_optional(conn)?;
    Ok(row.map(TenantStorage::from))
}

/// Sets a tenant's own limit, or takes it away.
pub fn set_quota(
    conn: &mut Conn,
    tenant: TenantId,
    quota_bytes: Option<i64>,
) -> Result<(), StoreError> {
    static SET: Statement = Statement::new("UPDATE tenants SET quota_bytes = $1 WHERE id = $2");
    static UNSET: Statement = Statement::new("UPDATE tenants SET quota_bytes = NULL WHERE id = $1");
    match quota_bytes {
        Some(bytes) => SET.bind(&[bytes.into(), tenant.into()]).execute(conn)?,
        None => UNSET.bind(&[tenant.into()]).execute(conn)?,
    };
    Ok(())
}

/// The rows that one statement of a measurement reads.
const CHUNK: i64 = 20_000;

#[derive(QueryableByName)]
struct DocumentsRow {
    #[diesel(sql_type = Nullable<Text>)]
    last: Option<String>,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct HistoryRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

static DOCUMENTS: Statement = Statement::new(
    "SELECT max(r.id) AS last, CAST(coalesce(sum(r.bytes), 0) AS BIGINT) AS bytes, \
     count(*) AS number FROM (SELECT id, octet_length(doc) AS bytes FROM resources \
     WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 0 + $3) AS r",
);
static HISTORY: Statement = Statement::new(
    "SELECT max(c.seq) AS last, CAST(coalesce(sum(c.bytes), 0) AS BIGINT) AS bytes, \
     count(*) AS number FROM (SELECT seq, octet_length(payload) AS bytes FROM changes \
     WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT 0 + $3) AS c",
);
static MEMBERSHIPS: Statement =
    Statement::new("SELECT count(*) AS number FROM members WHERE tenant_id = $1");

/// Reads all rows of a tenant and returns what they take. Each statement reads a part of them.
fn measure(conn: &mut Conn, tenant: TenantId) -> Result<StorageUse, StoreError> {
    let rows = |number: i64| number.saturating_mul(ROW_BYTES);
    let mut found = StorageUse::default();
    let mut last = String::new();
    loop {
        let binds = [tenant.into(), (&last).into(), CHUNK.into()];
        let row: DocumentsRow = DOCUMENTS.bind(&binds).fetch_one(conn)?;
        found.documents += row.bytes + rows(row.number);
        match row.last {
            Some(next) if row.number == CHUNK => last = next,
            _ => break,
        }
    }
    let members: NumberRow = MEMBERSHIPS.bind(&[tenant.into()]).fetch_one(conn)?;
    found.documents += rows(members.number);
    let mut last = 0;
    loop {
        let binds = [tenant.into(), last.into(), CHUNK.into()];
        let row: HistoryRow = HISTORY.bind(&binds).fetch_one(conn)?;
        found.history += row.bytes + rows(row.number);
        match row.last {
            Some(next) if row.number == CHUNK => last = next,
            _ => return Ok(found),
        }
    }
}

/// The correction of the counted numbers of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    tenant: TenantId,
    missing: StorageUse,
    measured: i64,
}

/// Compares the counted numbers with the rows, both as of one state of the database. Returns `None`
/// if they agree.
pub fn compare(conn: &mut Conn, tenant: TenantId) -> Result<Option<Correction>, StoreError> {
    let Some(counted) = get(conn, tenant)? else {
        return Ok(None);
    };
    let found = measure(conn, tenant)?;
    let missing = StorageUse {
        documents: found.documents - counted.bytes.documents,
        history: found.history - counted.bytes.history,
    };
    Ok((missing != StorageUse::default()).then_some(Correction {
        tenant,
        missing,
        measured: counted.measured,
    }))
}

/// Adds what is missing to the numbers as they are now: the writes since the comparison were
/// counted. Does nothing if another node has corrected them meanwhile.
pub fn correct(conn: &mut Conn, correction: &Correction) -> Result<(), StoreError> {
    static CORRECT: Statement = Statement::new(
        "UPDATE tenants SET document_bytes = document_bytes + $1, \
         history_bytes = history_bytes + $2, measured = measured + 1 \
         WHERE id = $3 AND measured = $4",
    );
    let Correction {
        tenant,
        missing,
        measured,
    } = *correction;
    let binds = [
        missing.documents.into(),
        missing.history.into(),
        tenant.into(),
        measured.into(),
    ];
    CORRECT.bind(&binds).execute(conn)?;
    Ok(())
}

/// The bytes and the number of the changes that a statement is about to remove or empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub(in crate::store) struct RowsSize {
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    #[diesel(sql_type = BigInt)]
    pub number: i64,
}

/// A resource that takes much.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct LargeResource {
    #[diesel(sql_type = Text)]
    pub resource_type: String,
    #[diesel(sql_type = Text)]
    pub id: String,
    /// `userName` or `displayName`; `None` if it was deleted.
    #[diesel(sql_type = Nullable<Text>)]
    pub label: Option<String>,
    /// Its document; 0 if it was deleted.
    #[diesel(sql_type = BigInt)]
    pub document_bytes: i64,
    /// The changes of it that are kept.
    #[diesel(sql_type = BigInt)]
    pub history_bytes: i64,
}

/// The sizes of each resource: its document, its changes.
const SIZES: &str = "WITH sizes AS (SELECT s.id, max(s.resource_type) AS resource_type, \
     CAST(sum(s.document_bytes) AS BIGINT) AS document_bytes, \
     CAST(sum(s.history_bytes) AS BIGINT) AS history_bytes FROM ( \
       SELECT r.id, r.resource_type, octet_length(r.doc) AS document_bytes, 0 AS history_bytes \
       FROM resources AS r WHERE r.tenant_id = $1 \
       UNION ALL SELECT c.resource_id, c.resource_type, 0, octet_length(c.payload) \
       FROM changes AS c WHERE c.tenant_id = $1 \
     ) AS s GROUP BY s.id) ";

static LARGEST: Statement = Statement::joined(&[
    SIZES,
    "SELECT s.resource_type, s.id, s.document_bytes, s.history_bytes, (SELECT r.label \
     FROM resources AS r WHERE r.tenant_id = $1 AND r.id = s.id) AS label FROM sizes AS s \
     ORDER BY s.document_bytes + s.history_bytes DESC, s.id LIMIT 0 + $2",
]);

/// Returns the resources that take most, with the changes of them that are kept, deleted ones
/// included. Reads all rows of the tenant.
pub fn largest(
    conn: &mut Conn,
    tenant: TenantId,
    limit: u32,
) -> Result<Vec<LargeResource>, StoreError> {
    Ok(LARGEST
        .bind(&[tenant.into(), limit.into()])
        .fetch_all(conn)?)
}

#[cfg(test)]
mod tests;
