//! One resource as it is shown, by one statement: the row, and the groups around it.
//!
//! It is what most requests ask for. The groups are told as JSON, and only where the resource is in any. With it comes the
//! tenant's access epoch, so that who asks need not be looked up by a statement of its own.

use std::collections::HashMap;

use diesel::Queryable;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::Deserialize;

use crate::store::engine::sql::{Bind, Fixed, Prepared};
use crate::store::tables::members::GroupRow;
use crate::store::tables::resources::Stored;
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId};

/// A resource and the groups that it is in, as [`crate::store::tables::members::groups_of`] tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceView {
    pub row: Stored,
    pub groups: Vec<GroupRow>,
}

/// What a lookup saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupResult {
    /// 0 where there is no such tenant.
    pub epoch: i64,
    pub shown: Option<ResourceView>,
}

/// What a resource is looked up by; no two of a type have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupKey {
    Id(ResourceId),
    /// Folded.
    UserName(String),
}

/// What of a resource is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LookupShape {
    pub resource_type: String,
    /// Whether its groups are.
    pub groups: bool,
}

/// The resource, within a unit of work.
pub fn one(
    conn: &mut Conn,
    tenant: TenantId,
    what: &LookupShape,
    by: &LookupKey,
) -> Result<LookupResult, StoreError> {
    match (by, what.groups) {
        (LookupKey::Id(id), true) => single::<GroupsById>(conn, tenant, what, id.as_str()),
        (LookupKey::Id(id), false) => single::<ById>(conn, tenant, what, id.as_str()),
        (LookupKey::UserName(name), true) => single::<GroupsByUserName>(conn, tenant, what, name),
        (LookupKey::UserName(name), false) => single::<ByUserName>(conn, tenant, what, name),
    }
}

/// Several, all by ids or all by user names, in their order. PostgreSQL only.
pub(in crate::store) fn all(
    conn: &mut Conn,
    tenant: TenantId,
    what: &LookupShape,
    by: &[LookupKey],
) -> Result<Vec<LookupResult>, StoreError> {
    if let [only] = by {
        return Ok(vec![one(conn, tenant, what, only)?]);
    }
    let is_by_id = matches!(by.first(), Some(LookupKey::Id(_)));
    let found = match (is_by_id, what.groups) {
        (true, true) => several::<GroupsByIds>(conn, tenant, what, by)?,
        (true, false) => several::<ByIds>(conn, tenant, what, by)?,
        (false, true) => several::<GroupsByUserNames>(conn, tenant, what, by)?,
        (false, false) => several::<ByUserNames>(conn, tenant, what, by)?,
    };
    let epoch = found.first().map_or(0, |found| found.epoch);
    let mut rows = HashMap::with_capacity(found.len());
    for mut found in found {
        let Some(key) = found.key.take() else {
            continue;
        };
        if let Some(shown) = shown(found, &what.resource_type)? {
            rows.insert(key, shown);
        }
    }
    let sight = |by: &LookupKey| LookupResult {
        epoch,
        // Two may have asked for the same.
        shown: rows.get(by.key()).cloned(),
    };
    Ok(by.iter().map(sight).collect())
}

impl LookupKey {
    fn key(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::UserName(name) => name,
        }
    }
}

/// The columns of a resource are NULL where there is none.
#[derive(Queryable)]
struct LookupRow {
    epoch: i64,
    /// What it was looked up by.
    key: Option<String>,
    id: Option<String>,
    version: Option<i64>,
    created: Option<i64>,
    modified: Option<i64>,
    doc: Option<String>,
    groups: Option<String>,
}

/// The columns of [`LookupRow`].
type Columns = (
    BigInt,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
);

#[derive(Deserialize)]
struct Group {
    id: String,
    label: Option<String>,
    direct: i64,
}

fn single<S: Fixed<Row = Columns>>(
    conn: &mut Conn,
    tenant: TenantId,
    what: &LookupShape,
    key: &str,
) -> Result<LookupResult, StoreError> {
    let found: Option<LookupRow> = statement::<S>(tenant, what, key).one(conn)?;
    let epoch = found.as_ref().map_or(0, |found| found.epoch);
    let shown = match found {
        Some(found) => shown(found, &what.resource_type)?,
        None => None,
    };
    Ok(LookupResult { epoch, shown })
}

fn several<S: Fixed<Row = Columns>>(
    conn: &mut Conn,
    tenant: TenantId,
    what: &LookupShape,
    by: &[LookupKey],
) -> Result<Vec<LookupRow>, StoreError> {
    let keys: Vec<&str> = by.iter().map(LookupKey::key).collect();
    let list = serde_json::to_string(&keys)?;
    Ok(statement::<S>(tenant, what, &list).all(conn)?)
}

fn statement<'a, S: Fixed>(
    tenant: TenantId,
    what: &'a LookupShape,
    key: &'a str,
) -> Prepared<'a, S, 3> {
    let binds = [
        Bind::Int(tenant.0),
        Bind::Text(&what.resource_type),
        Bind::Text(key),
    ];
    Prepared::new(binds)
}

fn shown(found: LookupRow, resource_type: &str) -> Result<Option<ResourceView>, StoreError> {
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
    Ok(Some(ResourceView { row, groups }))
}

struct ById;
struct ByUserName;
struct GroupsById;
struct GroupsByUserName;
struct ByIds;
struct ByUserNames;
struct GroupsByIds;
struct GroupsByUserNames;

/// The statement over tenant, type and key. Of several keys, it is a JSON array of them; a sub-select of its own, so that
/// PostgreSQL looks each up in the index.
macro_rules! statement {
    ($groups:literal, $key:literal) => {
        statement!($groups, $key, "= ", "")
    };
    ($groups:literal, $key:literal, several) => {
        statement!(
            $groups,
            $key,
            "= ANY (ARRAY(SELECT k.value FROM jsonb_array_elements_text(",
            "::JSONB) AS k(value)))"
        )
    };
    ($groups:literal, $key:literal, $before:literal, $behind:literal) => {
        &[
            concat!(
                "SELECT e.epoch, ",
                $key,
                " AS key, r.id, r.version, r.created, r.modified, r.doc, ",
                $groups,
                " AS groups FROM (SELECT * FROM access_epochs WHERE tenant_id = "
            ),
            ") AS e LEFT JOIN resources AS r ON r.tenant_id = e.tenant_id AND r.resource_type = ",
            concat!(" AND ", $key, " ", $before),
            $behind,
        ]
    };
}

// From each group to the groups around it, never from all members to the groups. UNION, not UNION ALL, ends cycles. The
// two databases name the JSON functions and the dependent join differently.
macro_rules! with_groups {
    ($key:literal, $backend:expr $(, $several:ident)?) => {
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
                $key $(, $several)?
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
                $key $(, $several)?
            ),
        }
    };
}

impl Fixed for ByIds {
    type Row = Columns;

    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.id", several)
    }
}

impl Fixed for ByUserNames {
    type Row = Columns;

    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.user_name", several)
    }
}

impl Fixed for GroupsByIds {
    type Row = Columns;

    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.id", backend, several)
    }
}

impl Fixed for GroupsByUserNames {
    type Row = Columns;

    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.user_name", backend, several)
    }
}

impl Fixed for ById {
    type Row = Columns;

    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.id")
    }
}

impl Fixed for ByUserName {
    type Row = Columns;

    fn text(_: Backend) -> &'static [&'static str] {
        statement!("NULL", "r.user_name")
    }
}

impl Fixed for GroupsById {
    type Row = Columns;

    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.id", backend)
    }
}

impl Fixed for GroupsByUserName {
    type Row = Columns;

    fn text(backend: Backend) -> &'static [&'static str] {
        with_groups!("r.user_name", backend)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Tx;
    use crate::store::query::coalesce::CoalescedReads;
    use crate::store::tables::members;
    use crate::store::testing::{TENANT, group, id, user, with_store};
    use scim_core::Member;

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
            let reads = Arc::new(CoalescedReads::new(Arc::clone(&store)));
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
                let with = LookupShape {
                    resource_type: kind.to_owned(),
                    groups: true,
                };
                let without = LookupShape {
                    groups: false,
                    ..with.clone()
                };
                let shown = reads
                    .resource(TENANT, with.clone(), LookupKey::Id(id(of)))
                    .await;
                let shown = shown.unwrap().shown.unwrap();
                assert_eq!((&shown.row.id, &shown.groups), (&id(of), &expected), "{of}");
                let plain = reads
                    .resource(TENANT, without.clone(), LookupKey::Id(id(of)))
                    .await;
                let plain = plain.unwrap().shown.unwrap();
                assert_eq!((&plain.row, plain.groups.len()), (&shown.row, 0));
                let name = LookupKey::UserName(of.to_owned());
                for what in [with, without] {
                    let named = reads
                        .resource(TENANT, what, name.clone())
                        .await
                        .unwrap()
                        .shown;
                    let expected = (kind == "User").then_some(&shown.row);
                    assert_eq!(named.as_ref().map(|one| &one.row), expected);
                }
            }
            let other = LookupShape {
                resource_type: "Group".to_owned(),
                groups: false,
            };
            let other_type = reads
                .resource(TENANT, other, LookupKey::Id(id("a")))
                .await
                .unwrap();
            let nobody = LookupResult {
                epoch: 1,
                shown: None,
            };
            assert_eq!(other_type, nobody);
        });
    }

    #[test]
    fn who_asks_together_is_told_the_same() {
        with_store(|store| async move {
            let reads = Arc::new(CoalescedReads::new(Arc::clone(&store)));
            store.put(vec![user("a"), user("b"), group("x")]).await;
            store.tx(|tx| add(tx, "x", "b")).await.unwrap();
            let wanted = ["a", "b", "nobody", "b", "quote\"s\\"];
            for groups in [true, false] {
                let what = LookupShape {
                    resource_type: "User".to_owned(),
                    groups,
                };
                let by_id = |name: &&str| LookupKey::Id(ResourceId((*name).to_owned()));
                let by_name = |name: &&str| LookupKey::UserName((*name).to_owned());
                for all in [
                    wanted.iter().map(by_id).collect::<Vec<_>>(),
                    wanted.iter().map(by_name).collect(),
                ] {
                    let together: Vec<_> = all
                        .iter()
                        .map(|by| {
                            let (reads, what, by) = (Arc::clone(&reads), what.clone(), by.clone());
                            tokio::spawn(async move { reads.resource(TENANT, what, by).await })
                        })
                        .collect();
                    for (by, told) in all.into_iter().zip(together) {
                        let told = told.await.unwrap().unwrap();
                        let what = what.clone();
                        let alone = store
                            .read(move |conn| one(conn, TENANT, &what, &by))
                            .await
                            .unwrap();
                        assert_eq!(told, alone);
                        assert_eq!(told.epoch, 1);
                    }
                }
            }
        });
    }
}
