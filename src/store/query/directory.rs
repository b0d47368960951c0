//! The questions of applications: who bears this e-mail, whose name begins so, who of a group is active.
//!
//! Compared texts come folded, as the core folds them. Everything is read by index, and in pages.

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl};

use crate::store::engine::sql::Sql;
use crate::store::query::predicate::successor;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Text)]
    id: String,
}

/// A text that begins as was asked, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub text: String,
    pub id: ResourceId,
}

/// The columns of `resources` that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupColumn {
    UserName,
    ExternalId,
    DisplayName,
}

impl LookupColumn {
    fn name(self) -> &'static str {
        match self {
            Self::UserName => "user_name",
            Self::ExternalId => "external_id",
            Self::DisplayName => "display_name",
        }
    }
}

/// The resources of a type with this value in a column, by id.
pub fn by_column(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    column: LookupColumn,
    value: &str,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    let sql = format!(
        "SELECT r.id FROM resources AS r WHERE r.tenant_id = $1 AND r.resource_type = $2 AND r.{} = $3 \
         ORDER BY r.id LIMIT $4",
        column.name()
    );
    let sql = Sql::new(sql)
        .int(tenant.0)
        .text(resource_type)
        .text(value)
        .int(limit.into());
    ids(conn, sql)
}

/// The users with this value under an indexed path, by id.
pub fn users_by_attribute(
    conn: &mut Conn,
    tenant: TenantId,
    path: &str,
    value: &str,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT a.resource_id AS id FROM attributes AS a \
         WHERE a.tenant_id = $1 AND a.path = $2 AND a.text = $3 AND {IS_USER} ORDER BY a.resource_id LIMIT $4"
    );
    let sql = Sql::new(sql)
        .int(tenant.0)
        .text(path)
        .text(value)
        .int(limit.into());
    ids(conn, sql)
}

/// Whether the row of the index is a user's. A lookup for each row: a join may be turned round.
const IS_USER: &str = "(SELECT r.resource_type = 'User' FROM resources AS r \
     WHERE r.tenant_id = $1 AND r.id = a.resource_id)";

/// The first users by the order of a column whose value begins so.
pub fn users_by_column_prefix(
    conn: &mut Conn,
    tenant: TenantId,
    column: LookupColumn,
    prefix: &str,
    limit: u32,
) -> Result<Vec<Match>, StoreError> {
    let name = column.name();
    let below = upper(prefix);
    let sql = format!(
        "SELECT r.{name} AS text, r.id FROM resources AS r \
         WHERE r.tenant_id = $1 AND r.resource_type = 'User' AND r.{name} >= $2 AND r.{name} < $3 \
         ORDER BY r.{name}, r.id LIMIT $4"
    );
    let sql = Sql::new(sql)
        .int(tenant.0)
        .text(prefix)
        .text(&below)
        .int(limit.into());
    matches(conn, sql)
}

/// The first users by the order of an indexed path whose value begins so.
pub fn users_by_attribute_prefix(
    conn: &mut Conn,
    tenant: TenantId,
    path: &str,
    prefix: &str,
    limit: u32,
) -> Result<Vec<Match>, StoreError> {
    let below = upper(prefix);
    let sql = format!(
        "SELECT a.text, a.resource_id AS id FROM attributes AS a \
         WHERE a.tenant_id = $1 AND a.path = $2 AND a.text >= $3 AND a.text < $4 AND {IS_USER} \
         ORDER BY a.text, a.resource_id LIMIT $5"
    );
    let sql = Sql::new(sql)
        .int(tenant.0)
        .text(path)
        .text(prefix)
        .text(&below)
        .int(limit.into());
    matches(conn, sql)
}

/// What no text that begins so reaches. U+10FFFF is no character, so no text begins with it.
fn upper(prefix: &str) -> String {
    successor(prefix).unwrap_or_else(|| char::MAX.to_string())
}

/// The groups within a group, itself first; groups that contain each other are no trouble.
pub fn groups_within(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
) -> Result<Vec<ResourceId>, StoreError> {
    // From each group to the groups in it, never from all groups: as in `members::groups_of`.
    let inside = match conn.backend() {
        Backend::Sqlite => {
            "CROSS JOIN members AS m WHERE m.tenant_id = $1 AND m.group_id = down.group_id AND m.kind = 'Group'"
        }
        Backend::Postgres => {
            "CROSS JOIN LATERAL ( \
               SELECT n.member_id FROM members AS n \
               WHERE n.tenant_id = $1 AND n.group_id = down.group_id AND n.kind = 'Group' OFFSET 0 \
             ) AS m"
        }
    };
    let sql = format!(
        "WITH RECURSIVE down (group_id) AS ( \
           SELECT r.id FROM resources AS r WHERE r.tenant_id = $1 AND r.id = $2 \
           UNION SELECT m.member_id FROM down {inside} \
         ) SELECT down.group_id AS id FROM down"
    );
    ids(conn, Sql::new(sql).int(tenant.0).text(group.as_str()))
}

/// The direct members of a group that are active users, from behind a key on, by id.
pub fn active_users_in(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    after: Option<&ResourceId>,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    let sql = "SELECT m.member_id AS id FROM members AS m \
         WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id > $3 AND m.kind = 'User' AND \
         (SELECT r.active IS TRUE FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id) \
         ORDER BY m.member_id LIMIT $4";
    let after = after.map_or("", ResourceId::as_str);
    let sql = Sql::new(sql)
        .int(tenant.0)
        .text(group.as_str())
        .text(after)
        .int(limit.into());
    ids(conn, sql)
}

fn ids(conn: &mut Conn, sql: Sql<'_>) -> Result<Vec<ResourceId>, StoreError> {
    let found: Vec<Id> = sql.load(conn)?;
    Ok(found.into_iter().map(|row| ResourceId(row.id)).collect())
}

fn matches(conn: &mut Conn, sql: Sql<'_>) -> Result<Vec<Match>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
        #[diesel(sql_type = Text)]
        id: String,
    }
    let found: Vec<Row> = sql.load(conn)?;
    Ok(found
        .into_iter()
        .map(|row| Match {
            text: row.text,
            id: ResourceId(row.id),
        })
        .collect())
}
