//! Resources as rows: the stored document and the columns beside it.
//!
//! It must not know what a document means: the caller hands the columns and the index rows in.

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    QueryableByName,
};
use diesel::{RunQueryDsl, Selectable, SelectableHelper};

use crate::scim::leaves::{HotColumns, IndexRow};
use crate::store::schema::resources;
use crate::store::sql::{Column, Sql, rows};
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx, attributes, members};

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
pub(super) struct StoredRow {
    pub id: String,
    pub resource_type: String,
    pub version: i64,
    pub created: i64,
    pub modified: i64,
    pub doc: String,
}

impl From<StoredRow> for Stored {
    fn from(row: StoredRow) -> Self {
        Self {
            id: ResourceId::stored(row.id),
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
    /// `userName` or `displayName` as given: what a member is called where nobody said otherwise.
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
    pub rows: Vec<IndexRow>,
}

/// What an update does to the password's hash.
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

#[derive(Insertable)]
#[diesel(table_name = resources)]
struct NewRow<'a> {
    tenant_id: i64,
    id: &'a str,
    resource_type: &'a str,
    version: i64,
    created: i64,
    modified: i64,
    active: Option<bool>,
    user_name: Option<&'a str>,
    external_id: Option<&'a str>,
    display_name: Option<&'a str>,
    label: Option<&'a str>,
    password_hash: Option<&'a str>,
    doc: &'a str,
}

#[derive(AsChangeset)]
#[diesel(table_name = resources)]
#[diesel(treat_none_as_null = true)]
struct Changed<'a> {
    modified: i64,
    active: Option<bool>,
    user_name: Option<&'a str>,
    external_id: Option<&'a str>,
    display_name: Option<&'a str>,
    label: Option<&'a str>,
    doc: &'a str,
}

/// Inserts the resource as version 1, with its index rows. `Duplicate(UserName)` where the type has another one
/// of that name.
pub fn insert(tx: &mut Tx<'_>, new: &NewResource) -> Result<Stamp, StoreError> {
    let tenant = tx.tenant();
    diesel::insert_into(resources::table)
        .values(NewRow {
            tenant_id: tenant.0,
            id: new.id.as_str(),
            resource_type: &new.resource_type,
            version: 1,
            created: new.at,
            modified: new.at,
            active: new.hot.active,
            user_name: new.hot.user_name.as_deref(),
            external_id: new.hot.external_id.as_deref(),
            display_name: new.hot.display_name.as_deref(),
            label: new.label.as_deref(),
            password_hash: new.password_hash.as_deref(),
            doc: &new.doc,
        })
        .execute(tx.conn())?;
    attributes::insert(tx, &new.id, &new.rows)?;
    tx.count(&new.resource_type, 1, 0);
    Ok(Stamp {
        version: 1,
        modified: new.at,
    })
}

/// The resource of that type.
pub fn get(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    id: &ResourceId,
) -> Result<Option<Stored>, StoreError> {
    let row: Option<StoredRow> = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(id.as_str()))
        .filter(resources::resource_type.eq(resource_type))
        .select(StoredRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(Stored::from))
}

/// The resources among `ids`, of any type, by id.
pub fn get_many(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
) -> Result<Vec<Stored>, StoreError> {
    let list = list_of(ids)?;
    let source = rows(conn.backend(), "$2", "w", &[("id", Column::Text)]);
    let found: Vec<StoredRow> = Sql::new(format!(
        "SELECT r.id, r.resource_type, r.version, r.created, r.modified, r.doc FROM resources AS r \
         WHERE r.tenant_id = $1 AND r.id IN (SELECT w.id FROM {source}) ORDER BY r.id"
    ))
    .int(tenant.0)
    .text(&list)
    .load(conn)?;
    Ok(found.into_iter().map(Stored::from).collect())
}

/// The hash of the password, where the resource is there and has one.
pub fn password_hash(
    conn: &mut Conn,
    tenant: TenantId,
    id: &ResourceId,
) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(id.as_str()))
        .select(resources::password_hash)
        .first(conn)
        .optional()?;
    Ok(found.flatten())
}

/// Stores the new state as the next version. `None` where there is no such resource.
pub fn update(tx: &mut Tx<'_>, new: &Update) -> Result<Option<Stamp>, StoreError> {
    let tenant = tx.tenant();
    let row = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(new.id.as_str()));
    let changed = Changed {
        modified: new.at,
        active: new.hot.active,
        user_name: new.hot.user_name.as_deref(),
        external_id: new.hot.external_id.as_deref(),
        display_name: new.hot.display_name.as_deref(),
        label: new.label.as_deref(),
        doc: &new.doc,
    };
    let version: Option<i64> = diesel::update(row)
        .set((changed, resources::version.eq(resources::version + 1)))
        .returning(resources::version)
        .get_result(tx.conn())
        .optional()?;
    let Some(version) = version else {
        return Ok(None);
    };
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
    attributes::replace(tx, &new.id, &new.rows)?;
    Ok(Some(Stamp {
        version,
        modified: new.at,
    }))
}

/// The next version without a change of the document: its members changed. `None` where there is no such
/// resource.
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

/// [`touch`] for many.
pub fn touch_many(tx: &mut Tx<'_>, ids: &[ResourceId], at: i64) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let tenant = tx.tenant();
    let list = list_of(ids)?;
    let conn = tx.conn();
    let source = rows(conn.backend(), "$3", "w", &[("id", Column::Text)]);
    Sql::new(format!(
        "UPDATE resources SET version = version + 1, modified = $1 \
         WHERE tenant_id = $2 AND id IN (SELECT w.id FROM {source})"
    ))
    .int(at)
    .int(tenant.0)
    .text(&list)
    .execute(conn)?;
    Ok(())
}

/// What a deletion left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The groups that the resource was a direct member of. Their version is the caller's to move.
    pub groups: Vec<ResourceId>,
}

/// Deletes the resource of that type, its index rows and its memberships on both sides. `None` where there is
/// no such resource.
pub fn delete(
    tx: &mut Tx<'_>,
    resource_type: &str,
    id: &ResourceId,
) -> Result<Option<Deleted>, StoreError> {
    let tenant = tx.tenant();
    let row = resources::table
        .filter(resources::tenant_id.eq(tenant.0))
        .filter(resources::id.eq(id.as_str()))
        .filter(resources::resource_type.eq(resource_type));
    if diesel::delete(row).execute(tx.conn())? == 0 {
        return Ok(None);
    }
    attributes::remove(tx, id)?;
    let groups = members::forget(tx, id)?;
    tx.count(resource_type, -1, 1);
    Ok(Some(Deleted { groups }))
}

/// Ids as the parameter of [`rows`].
pub(super) fn list_of(ids: &[ResourceId]) -> Result<String, StoreError> {
    #[derive(serde::Serialize)]
    struct Item<'a> {
        id: &'a str,
    }
    let list: Vec<Item> = ids.iter().map(|id| Item { id: id.as_str() }).collect();
    Ok(serde_json::to_string(&list)?)
}
