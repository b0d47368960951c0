//! The members of groups. Lists go to the database as one parameter, so ten thousand members take a
//! few statements and never a loop here.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl};
use scim_core::Member;
use serde::Serialize;

use crate::store::engine::schema::members;
use crate::store::engine::statement::{Bind, Fetch, FetchWithin, Statement, TextList};
use crate::store::tables::first_of::FirstOf;
use crate::store::tables::storage_use::ROW_BYTES;
use crate::store::{Conn, ResourceId, StoreError, TenantId, Tx};

/// The type of the resource with the id `w.value` as a member; NULL if there is none. The resource
/// types that can be members have the names of the members' `type`.
///
/// A lookup for each row, as in the other statements here. A database may reorder a join and read
/// the table.
const KIND_OF: &str = "(SELECT r.resource_type FROM resources AS r \
     WHERE r.tenant_id = $1 AND r.id = w.value AND r.resource_type IN ('User', 'Group'))";

/// The result of [`add`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Added {
    /// The ids that were not members before.
    pub added: Vec<ResourceId>,
    /// The ids that belong to no user or group of the tenant, and the id of the group itself. They
    /// were not added.
    pub unknown: Vec<String>,
}

/// The result of [`replace`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replaced {
    pub added: Vec<ResourceId>,
    pub removed: Vec<ResourceId>,
    /// Members that stayed with a new `display`.
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
    /// The name sent by a client; otherwise the member's own name.
    pub display: Option<String>,
}

/// A group that a resource is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    pub member: ResourceId,
    pub group: ResourceId,
    /// The name of the group.
    pub display: Option<String>,
    /// Whether the resource is a direct member.
    pub direct: bool,
}

/// Adds members; existing members do not change.
pub fn add(tx: &mut Tx<'_>, group: &ResourceId, wanted: &[Member]) -> Result<Added, StoreError> {
    let wanted = MemberList::new(wanted)?;
    let unknown = unknown(tx, group, &wanted)?;
    let added = insert(tx, group, &wanted)?;
    Ok(Added { added, unknown })
}

/// Removes members; returns those that were members.
pub fn remove(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    ids: &[String],
) -> Result<Vec<ResourceId>, StoreError> {
    let ids: Vec<ResourceId> = ids.iter().filter_map(ResourceId::parse).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    static REMOVE: Statement = Statement::new(
        "DELETE FROM members WHERE tenant_id = $1 AND group_id = $2 AND member_id = ANY ($3) \
         RETURNING member_id AS id",
    );
    let tenant = tx.tenant();
    let ids = TextList::of_ids(&ids)?;
    let binds = [tenant.into(), group.into(), (&ids).into()];
    let removed = load_ids(tx.conn(), &REMOVE, &binds)?;
    count(tx, 0, removed.len());
    Ok(removed)
}

/// Removes all members and returns them.
pub fn remove_all(tx: &mut Tx<'_>, group: &ResourceId) -> Result<Vec<ResourceId>, StoreError> {
    static REMOVE_ALL: Statement = Statement::new(
        "DELETE FROM members WHERE tenant_id = $1 AND group_id = $2 RETURNING member_id AS id",
    );
    let tenant = tx.tenant();
    let removed = load_ids(tx.conn(), &REMOVE_ALL, &[tenant.into(), group.into()])?;
    count(tx, 0, removed.len());
    Ok(removed)
}

/// Counts the rows that were added and removed as storage.
fn count(tx: &mut Tx<'_>, added: usize, removed: usize) {
    let rows = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    tx.count_bytes((rows(added) - rows(removed)).saturating_mul(ROW_BYTES));
}

/// Replaces the members of a group. A `display` that equals the current one is no change.
///
/// The difference is computed here and not by the database: a join of two long lists without
/// statistics is a nested loop on both, quadratic in the group. The tenant's lock keeps the rows
/// from changing meanwhile.
pub fn replace(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &[Member],
) -> Result<Replaced, StoreError> {
    let present = present(tx, group)?;
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    let mut renamed = Vec::new();
    for member in wanted {
        match present.get(&member.value) {
            None => missing.push(member),
            Some(display) => {
                if seen.insert(&member.value) && !display.equals(member.display.as_deref()) {
                    renamed.push(member);
                }
            }
        }
    }
    let others: Vec<String> = present
        .keys()
        .filter(|id| !seen.contains(id))
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
    static BEYOND: Statement = Statement::new(
        "SELECT member_id AS id FROM members WHERE tenant_id = $1 AND group_id = $2 \
         ORDER BY member_id LIMIT 1 OFFSET $3",
    );
    let beyond = load_ids(conn, &BEYOND, &[tenant.into(), group.into(), limit.into()])?;
    Ok(!beyond.is_empty())
}

/// Returns the members of a group, by id.
#[cfg(test)]
pub fn of_group(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
) -> Result<Vec<MemberRow>, StoreError> {
    let mut found = Vec::new();
    each(conn, tenant, group, |row| {
        found.push(row);
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// Visits the members of a group, by id, without holding all of them in memory.
///
/// # Errors
/// Those of `visit`, which end it.
pub fn each<E: From<StoreError>>(
    conn: &mut Conn,
    tenant: TenantId,
    group: &ResourceId,
    mut visit: impl FnMut(MemberRow) -> Result<(), E>,
) -> Result<(), E> {
    let mut last = String::new();
    loop {
        let binds = [tenant.into(), group.into(), (&last).into()];
        let part: Vec<(String, String, Option<String>)> = PART
            .bind(&binds)
            .fetch_all(conn)
            .map_err(StoreError::from)?;
        let is_end = part.len() < PART_SIZE;
        for (id, kind, display) in part {
            last.clone_from(&id);
            visit(MemberRow {
                value: ResourceId(id),
                kind,
                display,
            })?;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// The members that [`each`] reads at a time.
const PART_SIZE: usize = 2000;

static PART: Statement<(Text, Text, Nullable<Text>)> = Statement::new(
    "SELECT m.member_id, m.kind, coalesce(m.display, ( \
       SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id \
     )) AS display FROM members AS m \
     WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id > $3 \
     ORDER BY m.member_id LIMIT 2000",
);

static OF_GROUPS: Statement = Statement::new(
    "SELECT m.group_id, m.member_id, m.kind, coalesce(m.display, ( \
       SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id \
     )) AS display FROM members AS m \
     WHERE m.tenant_id = $1 AND m.group_id = ANY ($2) ORDER BY m.group_id, m.member_id",
);

#[derive(QueryableByName)]
struct GroupMember {
    #[diesel(sql_type = Text)]
    group_id: String,
    #[diesel(sql_type = Text)]
    member_id: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    display: Option<String>,
}

/// The most bytes of members or groups that one statement reads for a response.
pub const RELATION_BYTES: usize = 8 << 20;

/// Returns the members of several groups, by group and id: as many as [`RELATION_BYTES`] allows.
pub fn of_groups(
    conn: &mut Conn,
    tenant: TenantId,
    groups: &[ResourceId],
) -> Result<FirstOf<(ResourceId, MemberRow)>, StoreError> {
    if groups.is_empty() {
        return Ok(FirstOf::nothing());
    }
    let groups = TextList::of_ids(groups)?;
    let binds = [tenant.into(), (&groups).into()];
    let query = OF_GROUPS.bind(&binds);
    let found = query.fetch_within(conn, RELATION_BYTES, |row: &GroupMember| {
        let display = row.display.as_ref().map_or(0, String::len);
        size_of::<GroupMember>() + row.group_id.len() + row.member_id.len() + display
    })?;
    Ok(found.into())
}

impl From<GroupMember> for (ResourceId, MemberRow) {
    fn from(found: GroupMember) -> Self {
        let row = MemberRow {
            value: ResourceId(found.member_id),
            kind: found.kind,
            display: found.display,
        };
        (ResourceId(found.group_id), row)
    }
}

/// A group and one of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPair {
    pub group: ResourceId,
    pub member: ResourceId,
    /// `User` or `Group`.
    pub kind: String,
}

/// Returns the members of all groups after a pair, by group and member.
pub fn all_after(
    conn: &mut Conn,
    tenant: TenantId,
    group: &str,
    member: &str,
    limit: u32,
) -> Result<Vec<MemberPair>, StoreError> {
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
    let pair = |(group, member, kind)| MemberPair {
        group: ResourceId(group),
        member: ResourceId(member),
        kind,
    };
    Ok(rows.into_iter().map(pair).collect())
}

/// The start and the end of [`GROUPS_OF`]. Between them, a join leads from each group to the groups
/// around it, never from all members to the groups.
///
/// UNION, not UNION ALL: a row that was already found is not followed again, which ends cycles.
const GROUPS_OF_START: &str = "WITH RECURSIVE up (member, group_id, direct) AS ( \
       SELECT m.member_id, m.group_id, 1 FROM members AS m \
       WHERE m.tenant_id = $1 AND m.member_id = ANY ($2) \
       UNION \
       SELECT up.member, m.group_id, 0 FROM up ";
const GROUPS_OF_END: &str = ") \
     SELECT up.member, up.group_id, max(up.direct) = 1 AS direct, ( \
       SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = up.group_id \
     ) AS display FROM up WHERE up.group_id <> up.member \
     GROUP BY up.member, up.group_id ORDER BY up.member, up.group_id";

static GROUPS_OF: Statement = Statement::per_backend(
    &[
        GROUPS_OF_START,
        "CROSS JOIN members AS m WHERE m.tenant_id = $1 AND m.member_id = up.group_id",
        GROUPS_OF_END,
    ],
    &[
        GROUPS_OF_START,
        "CROSS JOIN LATERAL ( \
           SELECT a.group_id FROM members AS a \
           WHERE a.tenant_id = $1 AND a.member_id = up.group_id OFFSET 0 \
         ) AS m",
        GROUPS_OF_END,
    ],
);

#[derive(QueryableByName)]
struct GroupOfMember {
    #[diesel(sql_type = Text)]
    member: String,
    #[diesel(sql_type = Text)]
    group_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    display: Option<String>,
    #[diesel(sql_type = Bool)]
    direct: bool,
}

/// Returns the groups that these resources are in, directly or through other groups, by resource
/// and group: as many as [`RELATION_BYTES`] allows. Each group is returned once, even if groups contain each other; no group contains
/// itself.
pub fn groups_of(
    conn: &mut Conn,
    tenant: TenantId,
    ids: &[ResourceId],
) -> Result<FirstOf<GroupRow>, StoreError> {
    if ids.is_empty() {
        return Ok(FirstOf::nothing());
    }
    let ids = TextList::of_ids(ids)?;
    let binds = [tenant.into(), (&ids).into()];
    let query = GROUPS_OF.bind(&binds);
    let found = query.fetch_within(conn, RELATION_BYTES, |row: &GroupOfMember| {
        let display = row.display.as_ref().map_or(0, String::len);
        size_of::<GroupRow>() + row.member.len() + row.group_id.len() + display
    })?;
    Ok(found.into())
}

impl From<GroupOfMember> for GroupRow {
    fn from(found: GroupOfMember) -> Self {
        Self {
            member: ResourceId(found.member),
            group: ResourceId(found.group_id),
            display: found.display,
            direct: found.direct,
        }
    }
}

/// Counts the rows of the resource, as a group or as a member.
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

/// Removes all rows of the resource, as a group or as a member. Returns the groups that it was in.
pub(in crate::store) fn forget(
    tx: &mut Tx<'_>,
    id: &ResourceId,
) -> Result<Vec<ResourceId>, StoreError> {
    static LEAVE: Statement = Statement::new(
        "DELETE FROM members WHERE tenant_id = $1 AND member_id = $2 RETURNING group_id AS id",
    );
    let tenant = tx.tenant();
    let own = diesel::delete(
        members::table
            .filter(members::tenant_id.eq(tenant.0))
            .filter(members::group_id.eq(id.as_str())),
    )
    .execute(tx.conn())?;
    let groups = load_ids(tx.conn(), &LEAVE, &[tenant.into(), id.into()])?;
    count(tx, 0, own + groups.len());
    Ok(groups)
}

/// A list of members as a parameter.
struct MemberList {
    /// JSON text.
    list: String,
    /// Texts that cannot be an id.
    impossible: Vec<String>,
}

impl MemberList {
    /// Takes each id once: a second one would conflict with the first within one statement.
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

static UNKNOWN: Statement = Statement::joined(&[
    "SELECT w.value AS id FROM json_rows($3) AS w(value TEXT, display TEXT) WHERE w.value = $2 OR ",
    KIND_OF,
    " IS NULL",
]);

fn unknown(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<String>, StoreError> {
    let found = run_on_list(tx, group, &UNKNOWN, wanted)?;
    let mut unknown = wanted.impossible.clone();
    unknown.extend(found.into_iter().map(ResourceId::into_string));
    Ok(unknown)
}

static INSERT: Statement = Statement::joined(&[
    "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
     SELECT $1, $2, f.value, f.kind, f.display FROM (SELECT w.value, ",
    KIND_OF,
    " AS kind, w.display FROM json_rows($3) AS w(value TEXT, display TEXT)) AS f \
     WHERE f.kind IS NOT NULL AND f.value <> $2 \
     ON CONFLICT (tenant_id, group_id, member_id) DO NOTHING RETURNING member_id AS id",
]);

fn insert(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<ResourceId>, StoreError> {
    let added = run_on_list(tx, group, &INSERT, wanted)?;
    tx.growth().members += u64::try_from(added.len()).unwrap_or_default();
    count(tx, added.len(), 0);
    Ok(added)
}

/// The name of a member in the group, as it is stored and as it is rendered.
struct Display {
    stored: Option<String>,
    rendered: Option<String>,
}

impl Display {
    /// Whether a client that sends this name changes nothing: it may send back the rendered name.
    fn equals(&self, wanted: Option<&str>) -> bool {
        match wanted {
            None => self.stored.is_none(),
            Some(_) => self.rendered.as_deref() == wanted,
        }
    }
}

fn present(tx: &mut Tx<'_>, group: &ResourceId) -> Result<HashMap<String, Display>, StoreError> {
    #[derive(QueryableByName)]
    struct DisplayRow {
        #[diesel(sql_type = Text)]
        id: String,
        #[diesel(sql_type = Nullable<Text>)]
        stored: Option<String>,
        #[diesel(sql_type = Nullable<Text>)]
        rendered: Option<String>,
    }
    static PRESENT: Statement = Statement::new(
        "SELECT m.member_id AS id, m.display AS stored, coalesce(m.display, ( \
           SELECT r.label FROM resources AS r WHERE r.tenant_id = $1 AND r.id = m.member_id \
         )) AS rendered FROM members AS m WHERE m.tenant_id = $1 AND m.group_id = $2",
    );
    let tenant = tx.tenant();
    let found: Vec<DisplayRow> = PRESENT
        .bind(&[tenant.into(), group.into()])
        .fetch_all(tx.conn())?;
    let pair = |found: DisplayRow| {
        let display = Display {
            stored: found.stored,
            rendered: found.rendered,
        };
        (found.id, display)
    };
    Ok(found.into_iter().map(pair).collect())
}

// WHERE TRUE: without it SQLite takes ON for the start of a join condition.
static RENAME: Statement = Statement::new(
    "INSERT INTO members (tenant_id, group_id, member_id, kind, display) \
     SELECT $1, $2, w.value, 'User', w.display \
     FROM json_rows($3) AS w(value TEXT, display TEXT) WHERE TRUE \
     ON CONFLICT (tenant_id, group_id, member_id) DO UPDATE SET display = excluded.display \
     RETURNING member_id AS id",
);

/// Gives members of the group another `display`.
///
/// An upsert of rows that are all there, because it looks each row up by its key, whatever the
/// planner assumes about the list. The kind of the rows does not change.
fn rename(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    wanted: &MemberList,
) -> Result<Vec<ResourceId>, StoreError> {
    run_on_list(tx, group, &RENAME, wanted)
}

/// Runs a statement over tenant, group and a list: its parameters in this order.
fn run_on_list(
    tx: &mut Tx<'_>,
    group: &ResourceId,
    statement: &'static Statement,
    members: &MemberList,
) -> Result<Vec<ResourceId>, StoreError> {
    let tenant = tx.tenant();
    let binds = [tenant.into(), group.into(), (&members.list).into()];
    load_ids(tx.conn(), statement, &binds)
}

/// Returns the ids that a statement finds, in order.
fn load_ids(
    conn: &mut Conn,
    statement: &'static Statement,
    binds: &[Bind<'_>],
) -> Result<Vec<ResourceId>, StoreError> {
    #[derive(QueryableByName)]
    struct IdRow {
        #[diesel(sql_type = Text)]
        id: String,
    }
    let found: Vec<IdRow> = statement.bind(binds).fetch_all(conn)?;
    let mut ids: Vec<ResourceId> = found
        .into_iter()
        .map(|found| ResourceId(found.id))
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

#[cfg(test)]
mod tests;
