//! The lookups of the directory API: users by a column, by an indexed attribute or by the start of
//! a name, and the active users of a group.
//!
//! Compared texts come folded, as the core folds them. Everything is read by index, and in pages.

use diesel::sql_types::Text;

use crate::store::engine::statement::{Bind, Fetch, Statement};
use crate::store::query::predicate::successor;
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// A text that starts with a prefix, and the user who has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    pub text: String,
    pub id: ResourceId,
}

/// The columns of `resources` that can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupColumn {
    UserName,
    ExternalId,
    DisplayName,
}

/// The value of a column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnValue<'a> {
    pub column: LookupColumn,
    pub value: &'a str,
}

/// The statements over one column of `resources`.
struct ColumnStatements {
    equal: Statement<Text>,
    prefix: Statement<(Text, Text)>,
}

impl ColumnStatements {
    const fn new(column: &'static str) -> Self {
        Self {
            equal: Statement::joined(&[
                "SELECT r.id FROM resources AS r \
                 WHERE r.tenant_id = $1 AND r.resource_type = $2 AND r.",
                column,
                " = $3 ORDER BY r.id LIMIT $4",
            ]),
            prefix: Statement::joined(&[
                "SELECT r.",
                column,
                " AS text, r.id FROM resources AS r \
                 WHERE r.tenant_id = $1 AND r.resource_type = 'User' AND r.",
                column,
                " >= $2 AND r.",
                column,
                " < $3 ORDER BY r.",
                column,
                ", r.id LIMIT $4",
            ]),
        }
    }
}

impl LookupColumn {
    /// The column with a value.
    pub fn with(self, value: &str) -> ColumnValue<'_> {
        ColumnValue {
            column: self,
            value,
        }
    }

    fn statements(self) -> &'static ColumnStatements {
        static USER_NAME: ColumnStatements = ColumnStatements::new("user_name");
        static EXTERNAL_ID: ColumnStatements = ColumnStatements::new("external_id");
        static DISPLAY_NAME: ColumnStatements = ColumnStatements::new("display_name");
        match self {
            Self::UserName => &USER_NAME,
            Self::ExternalId => &EXTERNAL_ID,
            Self::DisplayName => &DISPLAY_NAME,
        }
    }
}

/// Returns the resources of a type with this value in a column, by id.
pub fn by_column(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    wanted: ColumnValue<'_>,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    let binds = [
        tenant.into(),
        resource_type.into(),
        wanted.value.into(),
        limit.into(),
    ];
    ids(conn, &wanted.column.statements().equal, &binds)
}

/// Whether the row of the index is a user's. A lookup for each row, because a database may read the
/// tables of a join in either order.
const IS_USER: &str = "(SELECT r.resource_type = 'User' FROM resources AS r \
     WHERE r.tenant_id = $1 AND r.id = a.resource_id)";

/// Returns the users with this value at an indexed path, by id.
pub fn users_by_attribute(
    conn: &mut Conn,
    tenant: TenantId,
    path: &str,
    value: &str,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    static EQUAL: Statement<Text> = Statement::joined(&[
        "SELECT DISTINCT a.resource_id AS id FROM attributes AS a \
         WHERE a.tenant_id = $1 AND a.path = $2 AND a.text = $3 AND ",
        IS_USER,
        " ORDER BY a.resource_id LIMIT $4",
    ]);
    let binds = [tenant.into(), path.into(), value.into(), limit.into()];
    ids(conn, &EQUAL, &binds)
}

/// Returns the first users, in the order of a column, whose value starts with the prefix.
pub fn users_by_column_prefix(
    conn: &mut Conn,
    tenant: TenantId,
    column: LookupColumn,
    prefix: &str,
    limit: u32,
) -> Result<Vec<Match>, StoreError> {
    let end = end_of(prefix);
    let binds = [
        tenant.into(),
        prefix.into(),
        end.as_str().into(),
        limit.into(),
    ];
    matches(conn, &column.statements().prefix, &binds)
}

/// Returns the first users, in the order of an indexed path, whose value starts with the prefix.
pub fn users_by_attribute_prefix(
    conn: &mut Conn,
    tenant: TenantId,
    path: &str,
    prefix: &str,
    limit: u32,
) -> Result<Vec<Match>, StoreError> {
    static PREFIX: Statement<(Text, Text)> = Statement::joined(&[
        "SELECT a.text, a.resource_id AS id FROM attributes AS a \
         WHERE a.tenant_id = $1 AND a.path = $2 AND a.text >= $3 AND a.text < $4 AND ",
        IS_USER,
        " ORDER BY a.text, a.resource_id LIMIT $5",
    ]);
    let end = end_of(prefix);
    let binds = [
        tenant.into(),
        path.into(),
        prefix.into(),
        end.as_str().into(),
        limit.into(),
    ];
    matches(conn, &PREFIX, &binds)
}

/// A text above all those that start with the prefix. U+10FFFF is no character, so no text starts
/// with it.
fn end_of(prefix: &str) -> String {
    successor(prefix).unwrap_or_else(|| char::MAX.to_string())
}

const GROUPS_WITHIN_START: &str = "WITH RECURSIVE down (group_id) AS ( \
       SELECT r.id FROM resources AS r WHERE r.tenant_id = $1 AND r.id = $2 \
       UNION SELECT m.member_id FROM down ";
const GROUPS_WITHIN_END: &str = ") SELECT down.group_id AS id FROM down";

// From each group to the groups in it, never from all groups: as in `members::groups_of`.
static GROUPS_WITHIN: Statement<Text> = Statement::per_backend(
    &[
        GROUPS_WITHIN_START,
        "CROSS JOIN members AS m \
         WHERE m.tenant_id = $1 AND m.group_id = down.group_id AND m.kind = 'Group'",
        GROUPS_WITHIN_END,
    ],
    &[
        GROUPS_WITHIN_START,
        "CROSS JOIN LATERAL ( \
           SELECT n.member_id FROM members AS n \
           WHERE n.tenant_id = $1 AND n.group_id = down.group_id AND n.kind = 'Group' OFFSET 0 \
         ) AS m",
        GROUPS_WITHIN_END,
    ],
);

/// Returns the groups within a group, itself first. Groups may contain each other.
pub fn groups_within(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
) -> Result<Vec<ResourceId>, StoreError> {
    ids(conn, &GROUPS_WITHIN, &[tenant.into(), group.into()])
}

/// Returns the direct members of a group that are active users and follow an id, by id.
pub fn active_users_in(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    after: Option<&ResourceId>,
    limit: u32,
) -> Result<Vec<ResourceId>, StoreError> {
    static ACTIVE_USERS: Statement<Text> = Statement::new(
        "SELECT m.member_id AS id FROM members AS m \
         WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id > $3 AND m.kind = 'User' AND \
         (SELECT r.active IS TRUE FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id) \
         ORDER BY m.member_id LIMIT $4",
    );
    let after = after.map_or("", ResourceId::as_str);
    let binds = [tenant.into(), group.into(), after.into(), limit.into()];
    ids(conn, &ACTIVE_USERS, &binds)
}

fn ids(
    conn: &mut Conn,
    statement: &'static Statement<Text>,
    binds: &[Bind<'_>],
) -> Result<Vec<ResourceId>, StoreError> {
    let found: Vec<String> = statement.bind(binds).fetch_all(conn)?;
    Ok(found.into_iter().map(ResourceId).collect())
}

fn matches(
    conn: &mut Conn,
    statement: &'static Statement<(Text, Text)>,
    binds: &[Bind<'_>],
) -> Result<Vec<Match>, StoreError> {
    let found: Vec<(String, String)> = statement.bind(binds).fetch_all(conn)?;
    let found = found.into_iter().map(|(text, id)| Match {
        text,
        id: ResourceId(id),
    });
    Ok(found.collect())
}
