//! Resources as rows: the stored document and the columns beside it.
//!
//! It must not know what a document means: the caller passes the columns and the index rows.

use diesel::sql_types::{BigInt, Text};
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, Queryable, QueryableByName, RunQueryDsl,
    Selectable,
};
use scim_core::indexing::{HotColumns, IndexRow};
use serde::Serialize;

use crate::store::engine::schema::resources;
use crate::store::engine::statement::{Fetch, FetchWithin, FirstRows, Statement, TextList};
use crate::store::tables::first_of::{FirstOf, READ_BYTES};
use crate::store::tables::storage_use::ROW_BYTES;
use crate::store::tables::{attributes, members};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: ResourceId,
    pub resource_type: String,
    pub version: i64,
    /// Microseconds since the epoch.
    pub created: i64,
    /// Microseconds since the epoch.
    pub modified: i64,
    /// The document's JSON text.
    pub doc: String,
}

/// The columns of [`Stored`], for every query that reads resources.
#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = resources)]
pub(in crate::store) struct StoredRow {
    pub id: String,
    pub resource_type: String,
    pub version: i64,
    pub created: i64,
    pub modified: i64,
    pub doc: String,
}

impl StoredRow {
    /// The bytes that the row takes.
    pub(in crate::store) fn bytes(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.id.len())
            .saturating_add(self.doc.len())
    }
}

impl From<StoredRow> for Stored {
    fn from(row: StoredRow) -> Self {
        Self {
            id: ResourceId(row.id),
            resource_type: row.resource_type,
            version: row.version,
            created: row.created,
            modified: row.modified,
            doc: row.doc,
        }
    }
}

/// A resource to insert.
#[derive(Debug, Clone)]
pub struct NewResource {
    pub id: ResourceId,
    pub resource_type: String,
    /// Becomes `created` and `modified`: microseconds since the epoch.
    pub at: i64,
    pub hot: HotColumns,
    /// `userName` or `displayName` as sent: the default name of the resource as a member.
    pub label: Option<String>,
    pub password_hash: Option<String>,
    pub doc: String,
    pub rows: Vec<IndexRow>,
}

/// The new state of a resource.
#[derive(Debug, Clone)]
pub struct Update {
    pub id: ResourceId,
    /// Becomes `modified`: microseconds since the epoch.
    pub at: i64,
    pub hot: HotColumns,
    pub label: Option<String>,
    pub password: Password,
    pub doc: String,
    /// The bytes of the document that this one replaces.
    pub before_bytes: usize,
    /// `None` if the index rows do not change.
    pub rows: Option<Vec<IndexRow>>,
}

/// The effect of an update on the password's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    Keep,
    Clear,
    Set(String),
}

/// Version and time of a resource after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub version: i64,
    pub modified: i64,
}

static INSERT: Statement = Statement::new(
    "INSERT INTO resources (tenant_id, id, resource_type, version, created, modified, active, \
     user_name, external_id, display_name, label, password_hash, doc) \
     VALUES ($1, $2, $3, 1, $4, $4, $5, $6, $7, $8, $9, $10, $11)",
);

static GET: Statement<(Text, Text, BigInt, BigInt, BigInt, Text)> = Statement::new(
    "SELECT id, resource_type, version, created, modified, doc FROM resources \
     WHERE tenant_id = $1 AND id = $2 AND resource_type = $3",
);

static UPDATE: Statement<BigInt> = Statement::new(
    "UPDATE resources SET version = version + 1, modified = $3, active = $4, user_name = $5, \
     external_id = $6, display_name = $7, label = $8, doc = $9 \
     WHERE tenant_id = $1 AND id = $2 RETURNING version",
);

/// Inserts the resource as version 1, with its index rows. Fails with `Duplicate(UserName)` if the
/// type has another resource of that name.
pub fn insert(tx: &mut Tx<'_>, new: &NewResource) -> Result<Stamp, StoreError> {
    let tenant = tx.tenant();
    let binds = [
        tenant.into(),
        (&new.id).into(),
        (&new.resource_type).into(),
        new.at.into(),
        new.hot.active.into(),
        new.hot.user_name.as_deref().into(),
        new.hot.external_id.as_deref().into(),
        new.hot.display_name.as_deref().into(),
        new.label.as_deref().into(),
        new.password_hash.as_deref().into(),
        (&new.doc).into(),
    ];
    INSERT.bind(&binds).execute(tx.conn())?;
    attributes::insert(tx, &new.id, &new.rows)?;
    tx.count(&new.resource_type, 1, 0);
    tx.count_document(&new.doc, 0);
    tx.count_bytes(ROW_BYTES);
    tx.growth().resources += 1;
    Ok(Stamp {
        version: 1,
        modified: new.at,
    })
}

/// Returns the resource of that type.
pub fn get(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    id: &ResourceId,
) -> Result<Option<Stored>, StoreError> {
    let binds = [tenant.into(), id.into(), resource_type.into()];
    let row: Option<StoredRow> = GET.bind(&binds).fetch_optional(conn)?;
    Ok(row.map(Stored::from))
}

/// Whether any tenant has a resource.
pub fn any(conn: &mut Conn) -> Result<bool, StoreError> {
    let found: Option<String> = resources::table
        .select(resources::id)
        .limit(1)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Returns the resources among `ids`, of any type, by id. Only for ids that are few or whose
/// documents are small; see [`each_of`].
pub fn get_many(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
) -> Result<Vec<Stored>, StoreError> {
    let mut found = Vec::new();
    each_of(conn, tenant, ids, |row| {
        found.push(row);
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// Visits the resources among `ids`, of any type, by id, without holding all of them in memory.
pub fn each_of<E: From<StoreError>>(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
    mut visit: impl FnMut(Stored) -> Result<(), E>,
) -> Result<(), E> {
    let mut found = get_first(conn, tenant, ids)?;
    loop {
        let next = found.rows.last().filter(|_| found.is_cut);
        let rest: Option<Vec<ResourceId>> = next.map(|last| {
            let rest = ids.iter().filter(|id| **id > last.id);
            rest.cloned().collect()
        });
        for row in found.rows {
            visit(row)?;
        }
        match rest {
            Some(rest) => found = get_first(conn, tenant, &rest)?,
            None => return Ok(()),
        }
    }
}

/// Returns the first resources among `ids`, of any type, by id: as many as [`READ_BYTES`] allows.
pub fn get_first(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
) -> Result<FirstOf<Stored>, StoreError> {
    static GET_MANY: Statement = Statement::new(
        "SELECT r.id, r.resource_type, r.version, r.created, r.modified, r.doc \
         FROM resources AS r WHERE r.tenant_id = $1 AND r.id = ANY ($2) ORDER BY r.id",
    );
    let ids = TextList::of_ids(ids)?;
    let binds = [tenant.into(), (&ids).into()];
    let query = GET_MANY.bind(&binds);
    let found: FirstRows<StoredRow> = query.fetch_within(conn, READ_BYTES, StoredRow::bytes)?;
    Ok(found.into())
}

/// Returns the resources of all types after an id, by id: as many as `limit` and [`READ_BYTES`]
/// allow.
pub fn all_after(
    conn: &mut Conn,
    tenant: TenantId,
    after: &str,
    limit: u32,
) -> Result<FirstOf<Stored>, StoreError> {
    static ALL_AFTER: Statement<(Text, Text, BigInt, BigInt, BigInt, Text)> = Statement::new(
        "SELECT id, resource_type, version, created, modified, doc FROM resources \
         WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 0 + $3",
    );
    let binds = [tenant.into(), after.into(), limit.into()];
    let query = ALL_AFTER.bind(&binds);
    let found: FirstRows<StoredRow> = query.fetch_within(conn, READ_BYTES, StoredRow::bytes)?;
    Ok(found.into())
}

/// The resource that has a user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNameHolder {
    pub id: ResourceId,
    pub active: Option<bool>,
}

/// Returns the resource of the type with this folded `userName`.
pub fn by_user_name(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    user_name: &str,
) -> Result<Option<UserNameHolder>, StoreError> {
    let row: Option<(String, Option<bool>)> = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::resource_type.eq(resource_type))
        .filter(resources::user_name.eq(user_name))
        .select((resources::id, resources::active))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(id, active)| UserNameHolder {
        id: ResourceId(id),
        active,
    }))
}

/// Returns the resource of the type with this `externalId`; `None` also if several have it, because
/// it need not be unique.
pub fn only_by_external_id(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    external_id: &str,
) -> Result<Option<ResourceId>, StoreError> {
    let found: Vec<String> = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::resource_type.eq(resource_type))
        .filter(resources::external_id.eq(external_id))
        .select(resources::id)
        .limit(2)
        .load(conn)?;
    Ok(match <[String; 1]>::try_from(found) {
        Ok([id]) => Some(ResourceId(id)),
        Err(_) => None,
    })
}

/// Returns the hash of the password, if the resource exists and has one.
pub fn password_hash(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(id.as_str()))
        .select(resources::password_hash)
        .get_result(conn)
        .optional()?;
    Ok(found.flatten())
}

/// Stores the new state as the next version. Returns `None` if there is no such resource.
pub fn update(tx: &mut Tx<'_>, new: &Update) -> Result<Option<Stamp>, StoreError> {
    let tenant = tx.tenant();
    let binds = [
        tenant.into(),
        (&new.id).into(),
        new.at.into(),
        new.hot.active.into(),
        new.hot.user_name.as_deref().into(),
        new.hot.external_id.as_deref().into(),
        new.hot.display_name.as_deref().into(),
        new.label.as_deref().into(),
        (&new.doc).into(),
    ];
    let version: Option<i64> = UPDATE.bind(&binds).fetch_optional(tx.conn())?;
    let Some(version) = version else {
        return Ok(None);
    };
    tx.count_document(&new.doc, new.before_bytes);
    let row = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(new.id.as_str()));
    let password = match &new.password {
        Password::Keep => None,
        Password::Clear => Some(None),
        Password::Set(hash) => Some(Some(hash.as_str())),
    };
    if let Some(hash) = password {
        diesel::update(row)
            .set(resources::password_hash.eq(hash))
            .execute(tx.conn())?;
    }
    if let Some(rows) = &new.rows {
        attributes::replace(tx, &new.id, rows)?;
    }
    Ok(Some(Stamp {
        version,
        modified: new.at,
    }))
}

/// A new document for a resource whose columns and secrets do not change.
#[derive(Debug, Clone, Serialize)]
pub struct Rewrite {
    #[serde(serialize_with = "as_text")]
    pub id: ResourceId,
    pub doc: String,
    /// The bytes of the document that this one replaces.
    #[serde(skip)]
    pub before_bytes: usize,
}

fn as_text<S: serde::Serializer>(id: &ResourceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

/// Stores new documents, each as the next version. A modification time later than `at` is kept.
pub fn rewrite_many(tx: &mut Tx<'_>, rewrites: &[Rewrite], at: i64) -> Result<(), StoreError> {
    if rewrites.is_empty() {
        return Ok(());
    }
    static REWRITE: Statement = Statement::new(
        "UPDATE resources SET doc = n.doc, version = resources.version + 1, \
         modified = CASE WHEN resources.modified > $1 THEN resources.modified ELSE $1 END \
         FROM json_rows($3) AS n(id TEXT, doc TEXT) \
         WHERE resources.tenant_id = $2 AND resources.id = n.id",
    );
    let tenant = tx.tenant();
    let list = serde_json::to_string(rewrites)?;
    REWRITE
        .bind(&[at.into(), tenant.into(), (&list).into()])
        .execute(tx.conn())?;
    for rewrite in rewrites {
        tx.count_document(&rewrite.doc, rewrite.before_bytes);
    }
    Ok(())
}

/// Advances the version without a change of the document, because the members changed. Returns
/// `None` if there is no such resource.
pub fn touch(tx: &mut Tx<'_>, id: &ResourceId, at: i64) -> Result<Option<Stamp>, StoreError> {
    let tenant = tx.tenant();
    let row = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(id.as_str()));
    let version: Option<i64> = diesel::update(row)
        .set((
            resources::modified.eq(at),
            resources::version.eq(resources::version + 1),
        ))
        .returning(resources::version)
        .get_result(tx.conn())
        .optional()?;
    Ok(version.map(|version| Stamp {
        version,
        modified: at,
    }))
}

/// [`touch`] for many resources. A modification time later than `at` is kept.
pub fn touch_many(tx: &mut Tx<'_>, ids: &[ResourceId], at: i64) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    static TOUCH: Statement = Statement::new(
        "UPDATE resources SET version = version + 1, \
         modified = CASE WHEN modified > $1 THEN modified ELSE $1 END \
         WHERE tenant_id = $2 AND id = ANY ($3)",
    );
    let tenant = tx.tenant();
    let ids = TextList::of_ids(ids)?;
    TOUCH
        .bind(&[at.into(), tenant.into(), (&ids).into()])
        .execute(tx.conn())?;
    Ok(())
}

/// The result of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The groups that the resource was a direct member of. The caller advances their versions.
    pub groups: Vec<ResourceId>,
}

/// Deletes the resource of that type, its index rows and its memberships on both sides. Returns
/// `None` if there is no such resource.
pub fn delete(
    tx: &mut Tx<'_>,
    resource_type: &str,
    id: &ResourceId,
) -> Result<Option<Deleted>, StoreError> {
    static DELETE: Statement<BigInt> = Statement::new(
        "DELETE FROM resources WHERE tenant_id = $1 AND id = $2 AND resource_type = $3 \
         RETURNING CAST(octet_length(doc) AS BIGINT)",
    );
    let tenant = tx.tenant();
    let binds = [tenant.into(), id.into(), resource_type.into()];
    let bytes: Option<i64> = DELETE.bind(&binds).fetch_optional(tx.conn())?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    tx.count_bytes(-(bytes + ROW_BYTES));
    attributes::remove(tx, id)?;
    let groups = members::forget(tx, id)?;
    tx.count(resource_type, -1, 1);
    Ok(Some(Deleted { groups }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::counts;
    use crate::store::testing::{TENANT, group, id, ids, user, with_store};
    use crate::store::{Store, Unique};

    async fn version(store: &Store, of: &'static str) -> Option<(i64, i64)> {
        let found = store
            .read(move |conn| get_many(conn, TENANT, &[id(of)]))
            .await
            .unwrap();
        found.first().map(|one| (one.version, one.modified))
    }

    fn update_of(new: NewResource, at: i64) -> Update {
        Update {
            id: new.id,
            at,
            hot: new.hot,
            label: new.label,
            password: Password::Keep,
            before_bytes: new.doc.len(),
            doc: new.doc,
            rows: Some(new.rows),
        }
    }

    #[test]
    fn a_life() {
        with_store(|store| async move {
            let mut first = user("a");
            first.password_hash = Some("hash".into());
            store.put(vec![first]).await;
            let stored = store
                .read(|conn| get(conn, TENANT, "User", &id("a")))
                .await
                .unwrap()
                .unwrap();
            assert_eq!((stored.version, stored.created, stored.modified), (1, 1, 1));
            assert_eq!(stored.doc, r#"{"id":"a","userName":"a"}"#);
            let other_type = store
                .read(|conn| get(conn, TENANT, "Group", &id("a")))
                .await
                .unwrap();
            assert_eq!(other_type, None);

            let mut next = user("a");
            next.doc = r#"{"id":"a","userName":"a","title":"x"}"#.into();
            let stamp = store
                .tx(move |tx| update(tx, &update_of(next.clone(), 7)))
                .await
                .unwrap();
            assert_eq!(
                stamp,
                Some(Stamp {
                    version: 2,
                    modified: 7
                })
            );
            let hash = store
                .read(|conn| password_hash(conn, TENANT, &id("a")))
                .await
                .unwrap();
            assert_eq!(hash.as_deref(), Some("hash"));

            let mut cleared = update_of(user("a"), 8);
            cleared.password = Password::Clear;
            store.tx(move |tx| update(tx, &cleared)).await.unwrap();
            let hash = store
                .read(|conn| password_hash(conn, TENANT, &id("a")))
                .await
                .unwrap();
            assert_eq!(hash, None);

            let touched = store.tx(|tx| touch(tx, &id("a"), 9)).await.unwrap();
            assert_eq!(
                touched,
                Some(Stamp {
                    version: 4,
                    modified: 9
                })
            );
            store
                .tx(|tx| touch_many(tx, &ids(&["a", "nobody"]), 10))
                .await
                .unwrap();
            assert_eq!(version(&store, "a").await, Some((5, 10)));

            assert_eq!(
                store.tx(|tx| touch(tx, &id("nobody"), 9)).await.unwrap(),
                None
            );
            assert_eq!(
                store
                    .tx(|tx| update(tx, &update_of(user("nobody"), 9)))
                    .await
                    .unwrap(),
                None
            );

            let gone = store.tx(|tx| delete(tx, "User", &id("a"))).await.unwrap();
            assert_eq!(gone, Some(Deleted { groups: vec![] }));
            assert_eq!(version(&store, "a").await, None);
            let count = store
                .read(|conn| counts::of(conn, TENANT, "User"))
                .await
                .unwrap();
            assert_eq!((count.live, count.deleted), (0, 1));
            assert_eq!(
                store.tx(|tx| delete(tx, "User", &id("a"))).await.unwrap(),
                None
            );
        });
    }

    #[test]
    fn names_and_ids_are_unique() {
        with_store(|store| async move {
            store.put(vec![user("a"), group("b"), group("c")]).await;
            let mut taken = user("x");
            taken.hot.user_name = Some("a".into());
            let error = store.tx(move |tx| insert(tx, &taken)).await.unwrap_err();
            assert!(
                matches!(error, StoreError::Duplicate(Unique::UserName)),
                "{error:?}"
            );
            let mut taken = user("a");
            taken.hot.user_name = Some("x".into());
            let error = store.tx(move |tx| insert(tx, &taken)).await.unwrap_err();
            assert!(
                matches!(error, StoreError::Duplicate(Unique::Id)),
                "{error:?}"
            );
            let holder = store
                .read(|conn| by_user_name(conn, TENANT, "User", "a"))
                .await
                .unwrap();
            assert_eq!(holder.unwrap().id, id("a"));
            let nobody = store
                .read(|conn| by_user_name(conn, TENANT, "Group", "a"))
                .await
                .unwrap();
            assert_eq!(nobody, None);
            store.put(vec![user("y")]).await;
            let mut taken = update_of(user("y"), 3);
            taken.hot.user_name = Some("a".into());
            let error = store.tx(move |tx| update(tx, &taken)).await.unwrap_err();
            assert!(
                matches!(error, StoreError::Duplicate(Unique::UserName)),
                "{error:?}"
            );
        });
    }
}
