//! A single resource by id or `userName`, with the groups around it, in one statement.
//!
//! This is what most requests ask for. The groups come as JSON, and only where the resource is in
//! any. The tenant's access epoch comes with them, so that the caller of a request need not be
//! looked up by a statement of its own.

use std::collections::HashMap;

use diesel::query_builder::QueryId;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryResult, Queryable};
use serde::Deserialize;

use crate::store::engine::statement::{Bind, Fetch, FetchWithin, FirstRows, Statement, TextList};
use crate::store::tables::members::GroupRow;
use crate::store::tables::resources::{READ_BYTES, Stored};
use crate::store::{Conn, ResourceId, StoreError, TenantId};

/// A resource and the groups that it is in, as [`crate::store::tables::members::groups_of`] returns
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceView {
    pub row: Stored,
    pub groups: Vec<GroupRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupResult {
    /// The tenant's access epoch; 0 where there is no such tenant.
    pub epoch: i64,
    pub resource: Option<ResourceView>,
}

/// What a resource is looked up by. It is unique among the resources of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupKey {
    Id(ResourceId),
    /// Folded.
    UserName(String),
}

/// What a lookup returns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LookupShape {
    pub resource_type: String,
    /// Whether the groups of the resource are returned.
    pub groups: bool,
}

/// Looks a resource up.
pub fn find(
    conn: &mut Conn,
    tenant: TenantId,
    shape: &LookupShape,
    key: &LookupKey,
) -> Result<LookupResult, StoreError> {
    let keys = TextList::Single(key.as_str());
    let binds = [tenant.into(), (&shape.resource_type).into(), (&keys).into()];
    let found = match statement_index(key, shape.groups) {
        0 => fetch::<0>(conn, &binds)?,
        1 => fetch::<1>(conn, &binds)?,
        2 => fetch::<2>(conn, &binds)?,
        _ => fetch::<3>(conn, &binds)?,
    };
    let epoch = found.as_ref().map_or(0, |found| found.epoch);
    let resource = match found {
        Some(found) => found.into_view(&shape.resource_type)?,
        None => None,
    };
    Ok(LookupResult { epoch, resource })
}

/// Looks several resources up, all by ids or all by user names; returns them in the order of
/// `keys`, and `None` for those for which there was too little memory.
pub(in crate::store) fn find_many(
    conn: &mut Conn,
    tenant: TenantId,
    shape: &LookupShape,
    keys: &[LookupKey],
) -> Result<Vec<Option<LookupResult>>, StoreError> {
    let [first, _, ..] = keys else {
        let only = keys.iter();
        return only
            .map(|key| find(conn, tenant, shape, key).map(Some))
            .collect();
    };
    let texts: Vec<&str> = keys.iter().map(LookupKey::as_str).collect();
    let list = TextList::new(&texts)?;
    let binds = [tenant.into(), (&shape.resource_type).into(), (&list).into()];
    let found: FirstRows<LookupRow> = match STATEMENTS.get(statement_index(first, shape.groups)) {
        Some(statement) => {
            let query = statement.bind(&binds);
            query.fetch_within(conn, READ_BYTES, LookupRow::bytes)?
        }
        None => return Err(StoreError::internal("there is no such lookup")),
    };
    let FirstRows { rows, is_cut } = found;
    let epoch = rows.first().map_or(0, |found| found.epoch);
    let mut views = HashMap::with_capacity(rows.len());
    for mut found in rows {
        let Some(key) = found.key.take() else {
            continue;
        };
        if let Some(view) = found.into_view(&shape.resource_type)? {
            views.insert(key, view);
        }
    }
    let mut bytes = 0_usize;
    let result = |key: &LookupKey| {
        let view = views.get(key.as_str());
        bytes = bytes.saturating_add(view.map_or(0, |view| view.row.doc.len()));
        // Two callers may have asked for the same.
        let is_left_out = (view.is_none() && is_cut) || bytes > READ_BYTES;
        (!is_left_out).then(|| LookupResult {
            epoch,
            resource: view.cloned(),
        })
    };
    Ok(keys.iter().map(result).collect())
}

impl LookupKey {
    fn as_str(&self) -> &str {
        match self {
            Self::Id(id) => id.as_str(),
            Self::UserName(name) => name,
        }
    }
}

/// A row of each of [`STATEMENTS`]. The columns of a resource are NULL where there is none.
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
struct GroupJson {
    id: String,
    label: Option<String>,
    direct: i64,
}

impl LookupRow {
    fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        // The groups are parsed into about twice their text.
        let groups = length(&self.groups).saturating_mul(2);
        length(&self.doc)
            .saturating_add(groups)
            .saturating_add(size_of::<Self>())
    }

    fn into_view(self, resource_type: &str) -> Result<Option<ResourceView>, StoreError> {
        let (Some(id), Some(doc)) = (self.id, self.doc) else {
            return Ok(None);
        };
        let row = Stored {
            id: ResourceId(id),
            resource_type: resource_type.to_owned(),
            version: self.version.unwrap_or_default(),
            created: self.created.unwrap_or_default(),
            modified: self.modified.unwrap_or_default(),
            doc,
        };
        let groups: Vec<GroupJson> = match &self.groups {
            None => Vec::new(),
            Some(text) => serde_json::from_str(text)?,
        };
        let group = |group: GroupJson| GroupRow {
            member: row.id.clone(),
            group: ResourceId(group.id),
            display: group.label,
            direct: group.direct == 1,
        };
        let mut groups: Vec<GroupRow> = groups.into_iter().map(group).collect();
        groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
        Ok(Some(ResourceView { row, groups }))
    }
}

/// The statements over tenant, type and keys, in the order of [`statement_index`].
static STATEMENTS: [Statement<Columns>; 4] = [
    statement("r.id", "NULL", "NULL"),
    statement("r.user_name", "NULL", "NULL"),
    statement("r.id", GROUPS_ON_SQLITE, GROUPS_ON_POSTGRES),
    statement("r.user_name", GROUPS_ON_SQLITE, GROUPS_ON_POSTGRES),
];

fn statement_index(key: &LookupKey, groups: bool) -> usize {
    match (key, groups) {
        (LookupKey::Id(_), false) => 0,
        (LookupKey::UserName(_), false) => 1,
        (LookupKey::Id(_), true) => 2,
        (LookupKey::UserName(_), true) => 3,
    }
}

/// `key` is the column that is looked up; the others are the expressions for the groups.
const fn statement(
    key: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
) -> Statement<Columns> {
    Statement::per_backend(&parts(key, sqlite), &parts(key, postgres))
}

const fn parts(key: &'static str, groups: &'static str) -> [&'static str; 7] {
    [
        "SELECT e.epoch, ",
        key,
        " AS key, r.id, r.version, r.created, r.modified, r.doc, ",
        groups,
        " AS groups FROM (SELECT * FROM access_epochs WHERE tenant_id = $1) AS e \
         LEFT JOIN resources AS r ON r.tenant_id = e.tenant_id AND r.resource_type = $2 AND ",
        key,
        " = ANY ($3)",
    ]
}

// From each group to the groups around it, never from all members to the groups. UNION, not UNION
// ALL, ends cycles. The databases name the JSON functions and the dependent join differently.
const GROUPS_ON_SQLITE: &str = "CASE WHEN EXISTS ( \
       SELECT 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
     ) THEN ( \
       WITH RECURSIVE up (group_id, direct) AS ( \
         SELECT m.group_id, 1 FROM members AS m \
         WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
         UNION \
         SELECT m.group_id, 0 FROM up CROSS JOIN members AS m \
         WHERE m.tenant_id = r.tenant_id AND m.member_id = up.group_id \
       ) SELECT json_group_array(json_object('id', g.id, 'label', g.label, 'direct', g.direct)) \
       FROM ( \
         SELECT up.group_id AS id, max(up.direct) AS direct, ( \
           SELECT l.label FROM resources AS l \
           WHERE l.tenant_id = r.tenant_id AND l.id = up.group_id \
         ) AS label FROM up WHERE up.group_id <> r.id GROUP BY up.group_id \
       ) AS g) END";
const GROUPS_ON_POSTGRES: &str = "CASE WHEN EXISTS ( \
       SELECT 1 FROM members AS m WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
     ) THEN ( \
       WITH RECURSIVE up (group_id, direct) AS ( \
         SELECT m.group_id, 1 FROM members AS m \
         WHERE m.tenant_id = r.tenant_id AND m.member_id = r.id \
         UNION \
         SELECT m.group_id, 0 FROM up CROSS JOIN LATERAL ( \
           SELECT a.group_id FROM members AS a \
           WHERE a.tenant_id = r.tenant_id AND a.member_id = up.group_id OFFSET 0 \
         ) AS m \
       ) SELECT json_agg(json_build_object( \
           'id', g.id, 'label', g.label, 'direct', g.direct \
         ))::TEXT FROM ( \
         SELECT up.group_id AS id, max(up.direct) AS direct, ( \
           SELECT l.label FROM resources AS l \
           WHERE l.tenant_id = r.tenant_id AND l.id = up.group_id \
         ) AS label FROM up WHERE up.group_id <> r.id GROUP BY up.group_id \
       ) AS g) END";

/// The statement of this index for a single key, as a type. diesel finds the prepared form by it;
/// to build and hash the text would take a microsecond of each lookup.
struct Single<const INDEX: usize>;

impl<const INDEX: usize> QueryId for Single<INDEX> {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

/// Runs the statement of this index, for a single key.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index too high is a compile error"
)]
fn fetch<const INDEX: usize>(
    conn: &mut Conn,
    binds: &[Bind<'_>],
) -> QueryResult<Option<LookupRow>> {
    let statement = const { &STATEMENTS[INDEX] };
    let query = statement.bind(binds).keyed::<Single<INDEX>>();
    query.fetch_optional(conn)
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
                    .unwrap()
                    .rows;
                let with = LookupShape {
                    resource_type: kind.to_owned(),
                    groups: true,
                };
                let without = LookupShape {
                    groups: false,
                    ..with.clone()
                };
                let found = reads
                    .resource(TENANT, with.clone(), LookupKey::Id(id(of)))
                    .await;
                let found = found.unwrap().resource.unwrap();
                assert_eq!((&found.row.id, &found.groups), (&id(of), &expected), "{of}");
                let plain = reads
                    .resource(TENANT, without.clone(), LookupKey::Id(id(of)))
                    .await;
                let plain = plain.unwrap().resource.unwrap();
                assert_eq!((&plain.row, plain.groups.len()), (&found.row, 0));
                let name = LookupKey::UserName(of.to_owned());
                for what in [with, without] {
                    let named = reads
                        .resource(TENANT, what, name.clone())
                        .await
                        .unwrap()
                        .resource;
                    let expected = (kind == "User").then_some(&found.row);
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
            let nothing = LookupResult {
                epoch: 1,
                resource: None,
            };
            assert_eq!(other_type, nothing);
        });
    }

    #[test]
    fn callers_that_ask_together_get_the_same() {
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
                            let reads = Arc::clone(&reads);
                            let (what, by) = (what.clone(), by.clone());
                            tokio::spawn(async move { reads.resource(TENANT, what, by).await })
                        })
                        .collect();
                    for (by, result) in all.into_iter().zip(together) {
                        let result = result.await.unwrap().unwrap();
                        let what = what.clone();
                        let alone = store
                            .read(move |conn| find(conn, TENANT, &what, &by))
                            .await
                            .unwrap();
                        assert_eq!(result, alone);
                        assert_eq!(result.epoch, 1);
                    }
                }
            }
        });
    }
}
