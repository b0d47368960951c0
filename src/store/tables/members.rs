//! Who is in which group. Lists go to the database as one parameter, so that ten thousand members are a few
//! statements and never a loop here.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::Member;
use serde::Serialize;

use crate::store::engine::schema::members;
use crate::store::engine::sql::{Bind, Column, Fixed, OneOf, Prepared, Sql, rows};
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId, Tx};

/// What the resource with the id `w.value` would be as a member: the resource types that can be members, whose
/// names are also the members' `type`. NULL where there is none.
///
/// A lookup for each row, as in the other statements here. Databases may turn a join round and read the table.
const KIND_OF: &str = "(SELECT r.resource_type FROM resources AS r \
     WHERE r.tenant_id = $1 AND r.id = w.value AND r.resource_type IN ('User', 'Group'))";

/// What [`add`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Added {
    /// Those that were no members before.
    pub added: Vec<ResourceId>,
    /// Those that no user or group of the tenant bears, and the group itself. They were not added.
    pub unknown: Vec<String>,
}

/// What [`replace`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replaced {
    pub added: Vec<ResourceId>,
    pub removed: Vec<ResourceId>,
    /// Members that stayed, with another `display`.
    pub renamed: Vec<ResourceId>,
    /// As in [`Added`].
    pub unknown: Vec<String>,
}

impl Replaced {
    pub fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.renamed.is_empty()
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    pub value: ResourceId,
    /// `User` or `Group`.
    pub kind: String,
    /// As a client gave it; otherwise what the member itself is called.
    pub display: Option<String>,
}

/// A group that a resource is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    pub member: ResourceId,
    pub group: ResourceId,
    /// What the group is called.
    pub display: Option<String>,
    /// Not only through another group.
    pub direct: bool,
}

/// Adds members; one that is there already stays as it is.
pub fn add(tx: &mut Tx<'_>, group: &ResourceId, wanted: &[Member]) -> Result<Added, StoreError> {
    let wanted = MemberList::new(wanted)?;
    let unknown = unknown(tx, group, &wanted)?;
    let added = insert(tx, group, &wanted)?;
    Ok(Added { added, unknown })
}

/// Removes these; returns those that were members.
pub fn remove(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    ids: &[String],
) -> Result<Vec<ResourceId>, StoreError> {
    let ids: Vec<ResourceId> = ids.iter().filter_map(ResourceId::parse).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = OneOf::new(tx.conn().backend(), "member_id", "$3", &ids)?;
    let sql = format!(
        "DELETE FROM members WHERE tenant_id = $1 AND group_id = $2 AND {} RETURNING member_id AS id",
        wanted.condition
    );
    run_on_list(tx, group, sql, &wanted.value)
}

/// Removes all members and returns them.
pub fn remove_all(tx: &mut Tx<'_>, group: &ResourceId) -> Result<Vec<ResourceId>, StoreError> {
    let tenant = tx.tenant();
    let sql =
        "DELETE FROM members WHERE tenant_id = $1 AND group_id = $2 RETURNING member_id AS id";
    load_ids(tx.conn(), Sql::new(sql).int(tenant.0).text(group.as_str()))
}

/// Makes `wanted` the group's members. A `display` that is the one shown already is no change.
///
/// What differs is found here and not by the database: a join of two long lists that it knows nothing about is a
/// nested loop on both, quadratic in the group. The tenant's lock keeps the rows still meanwhile.
pub fn replace(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &[Member],
) -> Result<Replaced, StoreError> {
    let present = present(tx, group)?;
    let mut kept = HashSet::new();
    let (mut missing, mut renamed) = (Vec::new(), Vec::new());
    for member in wanted {
        match present.get(&member.value) {
            None => missing.push(member),
            Some(display) => {
                if kept.insert(&member.value) && !display.is_as(member.display.as_deref()) {
                    renamed.push(member);
                }
            }
        }
    }
    let others: Vec<String> = present
        .keys()
        .filter(|id| !kept.contains(id))
        .cloned()
        .collect();
    let missing = MemberList::new(missing)?;
    Ok(Replaced {
        unknown: unknown(tx, group, &missing)?,
        removed: remove(tx, group, &others)?,
        renamed: rename(tx, group, &MemberList::new(renamed)?)?,
        added: insert(tx, group, &missing)?,
    })
}

/// Whether the group has more than `limit` members, without reading them all.
pub fn has_more_than(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    limit: u32,
) -> Result<bool, StoreError> {
    let sql = "SELECT member_id AS id FROM members WHERE tenant_id = $1 AND group_id = $2 \
         ORDER BY member_id LIMIT 1 OFFSET $3";
    let beyond = load_ids(
        conn,
        Sql::new(sql)
            .int(tenant.0)
            .text(group.as_str())
            .int(i64::from(limit)),
    )?;
    Ok(!beyond.is_empty())
}

/// The members of a group, by id.
pub fn of_group(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
) -> Result<Vec<MemberRow>, StoreError> {
    let found = of_groups(conn, tenant, std::slice::from_ref(group))?;
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// Goes through the members of a group, by id: they may be too many to have all at once.
pub fn each(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    mut visit: impl FnMut(MemberRow),
) -> Result<(), StoreError> {
    let mut last = String::new();
    loop {
        let binds = [
            Bind::Int(tenant.0),
            Bind::Text(group.as_str()),
            Bind::Text(&last),
        ];
        let part: Vec<(String, String, Option<String>)> =
            Prepared::<MembersPage, 3>::new(binds).all(conn)?;
        let is_end = part.len() < PART;
        for (id, kind, display) in part {
            last.clone_from(&id);
            visit(MemberRow {
                value: ResourceId(id),
                kind,
                display,
            });
        }
        if is_end {
            return Ok(());
        }
    }
}

/// How many members [`each`] reads at a time.
const PART: usize = 2000;

struct MembersPage;

impl Fixed for MembersPage {
    type Row = (Text, Text, Nullable<Text>);

    fn text(_: Backend) -> &'static [&'static str] {
        &[
            "SELECT m.member_id, m.kind, coalesce(m.display, ( \
               SELECT r.label FROM resources AS r WHERE r.tenant_id = m.tenant_id AND r.id = m.member_id \
             )) AS display FROM members AS m WHERE m.tenant_id = ",
            " AND m.group_id = ",
            " AND m.member_id > ",
            " ORDER BY m.member_id LIMIT 2000",
        ]
    }
}

/// The members of several groups, by group and id.
pub fn of_groups(
    conn: &mut Conn,
    tenant: TenantId,
    groups: &[ResourceId],
) -> Result<Vec<(ResourceId, MemberRow)>, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        group_id: String,
        #[diesel(sql_type = Text)]
        member_id: String,
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = Nullable<Text>)]
        display: Option<String>,
    }
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = OneOf::new(conn.backend(), "m.group_id", "$2", groups)?;
    let found: Vec<Found> = Sql::new(format!(
        "SELECT m.group_id, m.member_id, m.kind, coalesce(m.display, ( \
           SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id \
         )) AS display \
         FROM members AS m WHERE m.tenant_id = $1 AND {} ORDER BY m.group_id, m.member_id",
        wanted.condition
    ))
    .int(tenant.0)
    .text(&wanted.value)
    .load(conn)?;
    let rows = found.into_iter().map(|found| {
        let row = MemberRow {
            value: ResourceId(found.member_id),
            kind: found.kind,
            display: found.display,
        };
        (ResourceId(found.group_id), row)
    });
    Ok(rows.collect())
}

/// A member of a group as the walk through all of them sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub group: ResourceId,
    pub member: ResourceId,
    /// `User` or `Group`.
    pub kind: String,
}

/// The members of all groups behind a pair, by group and member.
pub fn all_after(
    conn: &mut Conn,
    tenant: TenantId,
    group: &str,
    member: &str,
    limit: u32,
) -> Result<Vec<Pair>, StoreError> {
    let rows: Vec<(String, String, String)> = members::table
        .filter(members::tenant_id.eq(tenant.0))
        .filter(
            members::group_id.gt(group).or(members::group_id
                .eq(group)
                .and(members::member_id.gt(member))),
        )
        .filter(members::group_id.ge(group))
        .order((members::group_id, members::member_id))
        .limit(limit.into())
        .select((members::group_id, members::member_id, members::kind))
        .load(conn)?;
    let pair = |(group, member, kind)| Pair {
        group: ResourceId(group),
        member: ResourceId(member),
        kind,
    };
    Ok(rows.into_iter().map(pair).collect())
}

/// The groups that these resources are in, directly or through other groups, by resource and group. Each group
/// once; groups that contain each other are no trouble, and nothing is in itself.
pub fn groups_of(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
) -> Result<Vec<GroupRow>, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        member: String,
        #[diesel(sql_type = Text)]
        group_id: String,
        #[diesel(sql_type = Nullable<Text>)]
        display: Option<String>,
        #[diesel(sql_type = Bool)]
        direct: bool,
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = OneOf::new(conn.backend(), "m.member_id", "$2", ids)?;
    // From each group to the groups around it, never from all members to the groups.
    let around = match conn.backend() {
        Backend::Sqlite => {
            "CROSS JOIN members AS m WHERE m.tenant_id = $1 AND m.member_id = up.group_id"
        }
        Backend::Postgres => {
            "CROSS JOIN LATERAL ( \
               SELECT a.group_id FROM members AS a WHERE a.tenant_id = $1 AND a.member_id = up.group_id OFFSET 0 \
             ) AS m"
        }
    };
    // UNION, not UNION ALL: a row that is there already is not followed again, which ends cycles.
    let found: Vec<Found> = Sql::new(format!(
        "WITH RECURSIVE up (member, group_id, direct) AS ( \
           SELECT m.member_id, m.group_id, 1 FROM members AS m WHERE m.tenant_id = $1 AND {} \
           UNION \
           SELECT up.member, m.group_id, 0 FROM up {around} \
         ) \
         SELECT up.member, up.group_id, max(up.direct) = 1 AS direct, ( \
           SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = up.group_id \
         ) AS display \
         FROM up WHERE up.group_id <> up.member GROUP BY up.member, up.group_id ORDER BY up.member, up.group_id",
        wanted.condition
    ))
    .int(tenant.0)
    .text(&wanted.value)
    .load(conn)?;
    let rows = found.into_iter().map(|found| GroupRow {
        member: ResourceId(found.member),
        group: ResourceId(found.group_id),
        display: found.display,
        direct: found.direct,
    });
    Ok(rows.collect())
}

/// How many rows name the resource, as a group or as a member.
pub fn count_of(conn: &mut Conn, tenant: TenantId, id: &ResourceId) -> Result<usize, StoreError> {
    let of_tenant = members::table.filter(members::tenant_id.eq(tenant.0));
    let within: i64 = of_tenant
        .filter(members::group_id.eq(id.as_str()))
        .count()
        .get_result(conn)?;
    let around: i64 = of_tenant
        .filter(members::member_id.eq(id.as_str()))
        .count()
        .get_result(conn)?;
    Ok(usize::try_from(within + around).unwrap_or_default())
}

/// Removes every row that names the resource, as a group or as a member. Returns the groups that it was in.
pub(in crate::store) fn forget(
    tx: &mut Tx<'_>,
    id: &ResourceId,
) -> Result<Vec<ResourceId>, StoreError> {
    let tenant = tx.tenant();
    diesel::delete(
        members::table
            .filter(members::tenant_id.eq(tenant.0))
            .filter(members::group_id.eq(id.as_str())),
    )
    .execute(tx.conn())?;
    let sql =
        "DELETE FROM members WHERE tenant_id = $1 AND member_id = $2 RETURNING group_id AS id";
    load_ids(tx.conn(), Sql::new(sql).int(tenant.0).text(id.as_str()))
}

/// A list of members as a parameter.
struct MemberList {
    /// JSON text.
    list: String,
    /// Texts that can be nobody's id.
    impossible: Vec<String>,
}

impl MemberList {
    /// Each id once: a second one would meet the first within one statement.
    fn new<'m>(members: impl IntoIterator<Item = &'m Member>) -> Result<Self, StoreError> {
        #[derive(Serialize)]
        struct Item<'a> {
            value: &'a str,
            display: Option<&'a str>,
        }
        let mut seen = HashSet::new();
        let mut list = Vec::new();
        let mut impossible = Vec::new();
        for member in members
            .into_iter()
            .filter(|member| seen.insert(&member.value))
        {
            if ResourceId::parse(member.value.as_str()).is_some() {
                list.push(Item {
                    value: &member.value,
                    display: member.display.as_deref(),
                });
            } else {
                impossible.push(member.value.clone());
            }
        }
        Ok(Self {
            list: serde_json::to_string(&list)?,
            impossible,
        })
    }
}

fn wanted_rows(backend: Backend) -> String {
    rows(
        backend,
        "$3",
        "w",
        &[("value", Column::Text), ("display", Column::Text)],
    )
}

fn unknown(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<String>, StoreError> {
    let source = wanted_rows(tx.conn().backend());
    let sql = format!("SELECT w.value AS id FROM {source} WHERE w.value = $2 OR {KIND_OF} IS NULL");
    let found = run_on_list(tx, group, sql, &wanted.list)?;
    let mut unknown = wanted.impossible.clone();
    unknown.extend(found.into_iter().map(ResourceId::into_string));
    Ok(unknown)
}

fn insert(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<ResourceId>, StoreError> {
    let source = wanted_rows(tx.conn().backend());
    let sql = format!(
        "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
         SELECT $1, $2, f.value, f.kind, f.display \
         FROM (SELECT w.value, {KIND_OF} AS kind, w.display FROM {source}) AS f \
         WHERE f.kind IS NOT NULL AND f.value <> $2 \
         ON CONFLICT (tenant_id, group_id, member_id) DO NOTHING RETURNING member_id AS id"
    );
    let added = run_on_list(tx, group, sql, &wanted.list)?;
    tx.grown().members += u64::try_from(added.len()).unwrap_or_default();
    Ok(added)
}

/// What a member is called in the group, as it is stored and as it is shown.
struct Display {
    stored: Option<String>,
    shown: Option<String>,
}

impl Display {
    /// Whether a client that sends this wants what is there: it may echo what it was shown.
    fn is_as(&self, wanted: Option<&str>) -> bool {
        match wanted {
            None => self.stored.is_none(),
            Some(_) => self.shown.as_deref() == wanted,
        }
    }
}

fn present(tx: &mut Tx<'_>, group: &ResourceId) -> Result<HashMap<String, Display>, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        id: String,
        #[diesel(sql_type = Nullable<Text>)]
        stored: Option<String>,
        #[diesel(sql_type = Nullable<Text>)]
        shown: Option<String>,
    }
    let tenant = tx.tenant();
    let found: Vec<Found> = Sql::new(
        "SELECT m.member_id AS id, m.display AS stored, coalesce(m.display, ( \
           SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id \
         )) AS shown FROM members AS m WHERE m.tenant_id = $1 AND m.group_id = $2",
    )
    .int(tenant.0)
    .text(group.as_str())
    .load(tx.conn())?;
    let pair = |found: Found| {
        let display = Display {
            stored: found.stored,
            shown: found.shown,
        };
        (found.id, display)
    };
    Ok(found.into_iter().map(pair).collect())
}

/// Gives members of the group another `display`. An upsert of rows that are all there, since it looks each up by
/// its key, whatever the planner thinks of the list; the kind of the rows stays.
fn rename(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<ResourceId>, StoreError> {
    let source = wanted_rows(tx.conn().backend());
    // WHERE TRUE: without it SQLite takes ON for the start of a join condition.
    let sql = format!(
        "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
         SELECT $1, $2, w.value, 'User', w.display FROM {source} WHERE TRUE \
         ON CONFLICT (tenant_id, group_id, member_id) DO UPDATE SET display = excluded.display \
         RETURNING member_id AS id"
    );
    run_on_list(tx, group, sql, &wanted.list)
}

/// Runs a statement over tenant, group and a list: its parameters in this order.
fn run_on_list(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    sql: String,
    list: &str,
) -> Result<Vec<ResourceId>, StoreError> {
    let tenant = tx.tenant();
    let sql = Sql::new(sql).int(tenant.0).text(group.as_str()).text(list);
    load_ids(tx.conn(), sql)
}

/// The ids that a statement returns, in order.
fn load_ids(conn: &mut Conn, sql: Sql<'_>) -> Result<Vec<ResourceId>, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        id: String,
    }
    let found: Vec<Found> = sql.load(conn)?;
    let mut ids: Vec<ResourceId> = found
        .into_iter()
        .map(|found| ResourceId(found.id))
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

#[cfg(test)]
mod tests;
