//! One resource as it is shown, by one statement: the row, and the groups around it.
//!
//! It is what most requests ask for. The groups are told as JSON, and only where the resource is in any. With it comes the
//! tenant's access epoch, so that who asks need not be looked up by a statement of its own.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, RunQueryDsl};
use serde::Deserialize;

use crate::store::members::GroupRow;
use crate::store::resources::Stored;
use crate::store::sql::{Bind, Fixed, Prepared};
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// A resource and the groups that it is in, as [`crate::store::members::groups_of`] tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub row: Stored,
    pub groups: Vec<GroupRow>,
}

/// What a lookup saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// 0 where there is no such tenant.
    pub epoch: i64,
    pub shown: Option<Shown>,
}

/// What a resource is looked up by; no two of a type have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Id(ResourceId),
    /// Folded.
    UserName(String),
}

/// The resource of that type, with its groups.
pub fn with_groups(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    by: &By,
) -> Result<Sight, StoreError> {
    match by {
        By::Id(id) => one::<GroupsById>(conn, tenant, resource_type, id.as_str()),
        By::UserName(name) => one::<GroupsByUserName>(conn, tenant, resource_type, name),
    }
}

/// The resource of that type alone.
pub fn without_groups(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    by: &By,
) -> Result<Sight, StoreError> {
    match by {
        By::Id(id) => one::<ById>(conn, tenant, resource_type, id.as_str()),
        By::UserName(name) => one::<ByUserName>(conn, tenant, resource_type, name),
    }
}

/// The columns of a resource are NULL where there is none.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    created: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    modified: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    doc: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    groups: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    id: String,
    label: Option<String>,
    direct: i64,
}

fn one<S: Fixed>(
    conn: &mut Conn,
    tenant: TenantId,
    resource_type: &str,
    key: &str,
) -> Result<Sight, StoreError> {
    let binds = [
        Bind::Int(tenant.0),
        Bind::Text(resource_type),
        Bind::Text(key),
    ];
    let statement = Prepared::<S, 3>::new(conn.backend(), binds);
    let found: Option<Found> = statement.get_result(conn).optional()?;
    let epoch = found.as_ref().map_or(0, |found| found.epoch);
    let shown = match found {
        Some(found) => shown(found, resource_type)?,
        None => None,
    };
    Ok(Sight { epoch, shown })
}

fn shown(found: Found, resource_type: &str) -> Result<Option<Shown>, StoreError> {
    let (Some(id), Some(doc)) = (found.id, found.doc) else {
        return Ok(None);
    };
    let row = Stored {
        id: ResourceId(id),
        resource_type: resource_type.to_owned(),
        version: found.version.unwrap_or_default(),
        created: found.created.unwrap_or_default(),
        modified: found.modified.unwrap_or_default(),
        doc,
    };
    let groups: Vec<Group> = match &found.groups {
        None => Vec::new(),
        Some(text) => serde_json::from_str(text)?,
    };
    let group = |group: Group| GroupRow {
        member: row.id.clone(),
        group: ResourceId(group.id),
        display: group.label,
        direct: group.direct == 1,
    };
    let mut groups: Vec<GroupRow> = groups.into_iter().map(group).collect();
    groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
    Ok(Some(Shown { row, groups }))
}

struct ById;
struct ByUserName;
struct GroupsById;
struct GroupsByUserName;

/// The statement over tenant, type and key.
macro_rules! statement {
    ($groups:literal, $key:literal) => {
        &[
            concat!(
                "SELECT e.epoch, r.id, r.version, r.created, r.modified, r.doc, ",
                $groups,
                " AS groups FROM (SELECT * FROM access_epochs WHERE tenant_id = "
            ),
            ") AS e LEFT JOIN resources AS r ON r.tenant_id = e.tenant_id AND r.resource_type = ",
            concat!(" AND ", $key, " = "),
        ]
    };
}

// From each group to the groups around it, never from all members to the groups. UNION, not UNION ALL, ends cycles. The
// two databases name the JSON functions and the dependent join differently.
macro_rules! with_groups {
    ($key:literal, $backend:expr) => {
        match $backend {
            Backend::Sqlite => statement!(
                "CASE WHEN EXISTS (SELECT 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id) THEN ( \
                   WITH RECURSIVE up (group_id, direct) AS ( \
                     SELECT m.group_id, 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
                     UNION \
                     SELECT m.group_id, 0 FROM up CROSS JOIN members AS m \
                     WHERE m.tenant_id = r.tenant_id AND m.member_id = up.group_id \
                   ) SELECT json_group_array(json_object('id', g.id, 'label', g.label, 'direct', g.direct)) FROM ( \
                     SELECT up.group_id AS id, max(up.direct) AS direct, ( \
                       SELECT l.label FROM resources AS l WHERE l.tenant_id = r.tenant_id AND l.id = up.group_id \
                     ) AS label FROM up WHERE up.group_id <> r.id GROUP BY up.group_id \
                   ) AS g) END",
                $key
            ),
            Backend::Postgres => statement!(
                "CASE WHEN EXISTS (SELECT 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id) THEN ( \
                   WITH RECURSIVE up (group_id, direct) AS ( \
                     SELECT m.group_id, 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
                     UNION \
                     SELECT m.group_id, 0 FROM up CROSS JOIN LATERAL ( \
                       SELECT a.group_id FROM members AS a WHERE a.tenant_id = r.tenant_id AND a.member_id = up.group_id OFFSET 0 \
                     ) AS m \
                   ) SELECT json_agg(json_build_object('id', g.id, 'label', g.label, 'direct', g.direct))::TEXT FROM ( \
                     SELECT up.group_id AS id, max(up.direct) AS direct, ( \
                       SELECT l.label FROM resources AS l WHERE l.tenant_id = r.tenant_id AND l.id = up.group_id \
                     ) AS label FROM up WHERE up.group_id <> r.id GROUP BY up.group_id \
                   ) AS g) END",
                $key
            ),
        }
    };
}

impl Fixed for ById {
    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.id")
    }
}

impl Fixed for ByUserName {
    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.user_name")
    }
}

impl Fixed for GroupsById {
    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.id", backend)
    }
}

impl Fixed for GroupsByUserName {
    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.user_name", backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Member;
    use crate::store::testing::{TENANT, group, id, user, with_store};
    use crate::store::{Tx, members};

    fn add(tx: &mut Tx<'_>, to: &str, member: &str) -> Result<(), StoreError> {
        let member = Member {
            value: member.to_owned(),
            display: None,
        };
        members::add(tx, &id(to), &[member]).map(drop)
    }

    #[test]
    fn the_groups_are_those_that_are_listed() {
        with_store(|store| async move {
            store
                .put(vec![
                    user("a"),
                    user("b"),
                    group("x"),
                    group("y"),
                    group("z"),
                ])
                .await;
            store
                .tx(|tx| {
                    // a is in y directly and through x; y and z are in each other.
                    for (to, member) in [("x", "a"), ("y", "a"), ("y", "x"), ("z", "y"), ("y", "z")]
                    {
                        add(tx, to, member)?;
                    }
                    Ok(())
                })
                .await
                .unwrap();
            for of in ["a", "b", "x", "y"] {
                let kind = if of < "x" { "User" } else { "Group" };
                let expected = store
                    .read(move |conn| members::groups_of(conn, TENANT, &[id(of)]))
                    .await
                    .unwrap();
                let by = By::Id(id(of));
                let shown = store
                    .look_up(move |conn| with_groups(conn, TENANT, kind, &by))
                    .await
                    .unwrap()
                    .shown
                    .unwrap();
                assert_eq!((shown.row.id, shown.groups), (id(of), expected), "{of}");
                let by = By::UserName(of.to_owned());
                let named = store
                    .look_up(move |conn| {
                        let with = with_groups(conn, TENANT, kind, &by)?;
                        let without = without_groups(conn, TENANT, kind, &by)?;
                        Ok((with, without))
                    })
                    .await
                    .unwrap();
                assert_eq!(named.0.shown.is_some(), kind == "User");
                assert_eq!(
                    named.0.shown.map(|one| one.row),
                    named.1.shown.map(|one| one.row)
                );
            }
            let other_type = store
                .look_up(|conn| without_groups(conn, TENANT, "Group", &By::Id(id("a"))))
                .await
                .unwrap();
            let nobody = Sight {
                epoch: 1,
                shown: None,
            };
            assert_eq!(other_type, nobody);
        });
    }
}
