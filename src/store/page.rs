//! Lists: one page of the resources of a type, in the order of their ids, and how many there are.
//!
//! What SQL can decide is asked for as it is; else the documents that are left are read and evaluated. It must
//! not know of cursors, nor how a resource is shown.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use jiff::Timestamp;

use crate::scim::eval::{View, matches, mentions};
use crate::scim::registry::AttrRef;
use crate::scim::render::{GroupView, MemberView, Meta};
use crate::scim::{Document, ErrorKind, Filter, ResourceType, ScimError};
use crate::store::predicate::{Bind, Fragment, Plan, Statement, plan, unindexed};
use crate::store::resources::{Stored, StoredRow};
use crate::store::{Backend, Conn, ResourceId, StoreError, TenantId, counts, members};

/// How many documents a filter may read where nobody says otherwise.
pub const SCAN_LIMIT: u64 = 200_000;

/// How many documents are read at a time.
const CHUNK: u64 = 500;

/// Which resources are asked for.
#[derive(Debug, Clone)]
pub struct PageQuery {
    pub rt: Arc<ResourceType>,
    pub filter: Option<Filter>,
    pub start: Start,
    /// At most so many rows; 0 asks for the total only.
    pub limit: u32,
    /// How many documents may be read to evaluate what SQL cannot: see [`SCAN_LIMIT`].
    pub scan_limit: u64,
    /// The URL that endpoints follow, without a slash at its end; filters on `meta.location` and `$ref` need it.
    pub base_url: String,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After so many matches. Its cost grows with the number.
    Index(u64),
    /// After this id, whether or not it is there.
    After(ResourceId),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their ids.
    pub rows: Vec<Stored>,
    /// How many resources match, on this page or not; with [`Start::After`] only those after the id.
    pub total: u64,
}

/// Why there is no page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PageError {
    /// Too many documents would have to be read.
    #[error(transparent)]
    Scim(#[from] ScimError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for PageError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// One page of resources.
pub fn page(conn: &mut Conn, tenant: TenantId, query: &PageQuery) -> Result<Page, PageError> {
    let search = Search::new(conn, tenant, query);
    if search.plan.exact {
        search.exact_page(conn)
    } else {
        search.scanned_page(conn)
    }
}

/// A query and how to answer it.
struct Search<'a> {
    backend: Backend,
    tenant: TenantId,
    query: &'a PageQuery,
    plan: Plan,
}

impl<'a> Search<'a> {
    fn new(conn: &Conn, tenant: TenantId, query: &'a PageQuery) -> Self {
        let plan = match &query.filter {
            Some(filter) => plan(conn.backend(), tenant, &query.rt, filter),
            None => Plan::everything(),
        };
        Self {
            backend: conn.backend(),
            tenant,
            query,
            plan,
        }
    }

    fn exact_page(&self, conn: &mut Conn) -> Result<Page, PageError> {
        let limit = u64::from(self.query.limit);
        let (after, skip) = match &self.query.start {
            Start::Index(skip) => (None, *skip),
            Start::After(id) => (Some(id), 0),
        };
        // One row more tells whether that is all, and mostly it is: then nothing needs to be counted.
        let mut rows = match limit {
            0 => Vec::new(),
            limit => self.select(conn, after, limit + 1, skip)?,
        };
        let found = count_of(&rows);
        let is_all = limit > 0 && found <= limit && (found > 0 || skip == 0);
        let total = if is_all {
            skip + found
        } else {
            self.count(conn, after)?
        };
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Page { rows, total })
    }

    fn scanned_page(&self, conn: &mut Conn) -> Result<Page, PageError> {
        let (mut after, skip) = match &self.query.start {
            Start::Index(skip) => (None, *skip),
            Start::After(id) => (Some(id.clone()), 0),
        };
        let limit = u64::from(self.query.limit);
        let (mut rows, mut total, mut read) = (Vec::new(), 0, 0);
        loop {
            let chunk = self.select(conn, after.as_ref(), CHUNK, 0)?;
            let length = count_of(&chunk);
            read += length;
            if read > self.query.scan_limit {
                return Err(self.too_many().into());
            }
            after = chunk.last().map(|row| row.id.clone());
            for row in self.matching(conn, chunk)? {
                if total >= skip && count_of(&rows) < limit {
                    rows.push(row);
                }
                total += 1;
            }
            if length < CHUNK {
                return Ok(Page { rows, total });
            }
        }
    }

    /// Those of the rows whose documents satisfy the filter.
    fn matching(&self, conn: &mut Conn, rows: Vec<Stored>) -> Result<Vec<Stored>, PageError> {
        let Some(filter) = &self.query.filter else {
            return Ok(rows);
        };
        let related = self.related(conn, filter, &rows)?;
        let mut found = Vec::new();
        for row in rows {
            let document = Document(serde_json::from_str(&row.doc).map_err(StoreError::from)?);
            let location = self.url(&self.query.rt.endpoint, row.id.as_str());
            let view = View {
                document: &document,
                meta: &Meta {
                    resource_type: &row.resource_type,
                    created: time(row.created)?,
                    modified: time(row.modified)?,
                    location: &location,
                    version: row.version.into(),
                },
                members: related.members.get(&row.id).map_or(&[], Vec::as_slice),
                groups: related.groups.get(&row.id).map_or(&[], Vec::as_slice),
            };
            if matches(filter, &view) {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The members and groups of the rows, as far as the filter asks for them.
    fn related(
        &self,
        conn: &mut Conn,
        filter: &Filter,
        rows: &[Stored],
    ) -> Result<Related, PageError> {
        let needs = |name| self.query.rt.is_relational(name) && mentions(filter, name);
        let mut related = Related::default();
        let ids: Vec<ResourceId> = rows.iter().map(|row| row.id.clone()).collect();
        if needs("members") {
            for (group, member) in members::of_groups(conn, self.tenant, &ids)? {
                let endpoint = format!("/{}s", member.kind);
                related.members.entry(group).or_default().push(MemberView {
                    reference: self.url(&endpoint, member.value.as_str()),
                    value: member.value.into_string(),
                    display: member.display,
                    kind: member.kind,
                });
            }
        }
        if needs("groups") {
            for row in members::groups_of(conn, self.tenant, &ids)? {
                related
                    .groups
                    .entry(row.member)
                    .or_default()
                    .push(GroupView {
                        reference: self.url("/Groups", row.group.as_str()),
                        value: row.group.into_string(),
                        display: row.display,
                        direct: row.direct,
                    });
            }
        }
        Ok(related)
    }

    fn url(&self, endpoint: &str, id: &str) -> String {
        format!("{}{endpoint}/{id}", self.query.base_url)
    }

    fn too_many(&self) -> ScimError {
        let rt = &self.query.rt;
        let always = ["userName", "displayName", "externalId", "id"];
        let always = always.iter().filter(|key| rt.attr_by_key(key).is_some());
        let indexed = rt.indexed.iter().map(AttrRef::key);
        let usable: Vec<&str> = always.copied().chain(indexed).collect();
        ScimError::new(
            ErrorKind::TooMany,
            format!(
                "The filter would have to read more than {} resources one by one. Filter by an indexed attribute \
                 instead, or join one with \"and\": {}.",
                self.query.scan_limit,
                usable.join(", ")
            ),
        )
    }

    fn select(
        &self,
        conn: &mut Conn,
        after: Option<&ResourceId>,
        limit: u64,
        skip: u64,
    ) -> Result<Vec<Stored>, PageError> {
        let sql = self.select_sql(after, limit, skip);
        let rows: Vec<StoredRow> = Statement::<Columns>::new(sql).load(conn)?;
        Ok(rows.into_iter().map(Stored::from).collect())
    }

    fn select_sql(&self, after: Option<&ResourceId>, limit: u64, skip: u64) -> Fragment {
        let big = |number| Bind::BigInt(i64::try_from(number).unwrap_or(i64::MAX));
        let start = "SELECT id, resource_type, version, created, modified, doc FROM resources";
        // A plain parameter as the limit has SQLite prepare the statement anew each time.
        let sql = self
            .condition(start, after)
            .push(" ORDER BY id LIMIT 0 + ")
            .bind(big(limit));
        if skip == 0 {
            return sql;
        }
        sql.push(" OFFSET ").bind(big(skip))
    }

    fn count(&self, conn: &mut Conn, after: Option<&ResourceId>) -> Result<u64, PageError> {
        let count = if self.plan.predicate.is_none() && after.is_none() {
            counts::of(conn, self.tenant, &self.query.rt.name)?.live
        } else {
            Statement::<BigInt>::new(self.count_sql(after)).get_result(conn)?
        };
        Ok(u64::try_from(count).unwrap_or_default())
    }

    fn count_sql(&self, after: Option<&ResourceId>) -> Fragment {
        self.condition("SELECT count(*) FROM resources", after)
    }

    fn condition(&self, start: &'static str, after: Option<&ResourceId>) -> Fragment {
        let mut sql = match &self.plan.predicate {
            Some(predicate) if !predicate.is_kept() => Fragment::default(),
            _ => Fragment::default().kept(),
        };
        sql = sql
            .push(start)
            .push(" WHERE tenant_id = ")
            .bind(Bind::BigInt(self.tenant.0))
            .push(" AND resource_type = ")
            .bind_text(&self.query.rt.name);
        if let Some(predicate) = &self.plan.predicate {
            sql = sql.push(" AND ").append(predicate.clone());
        }
        if let Some(id) = after {
            let column = if self.plan.found {
                unindexed(self.backend)
            } else {
                "id"
            };
            sql = sql
                .push(" AND ")
                .push(column)
                .push(" > ")
                .bind_text(id.as_str());
        }
        sql
    }
}

/// The columns of [`StoredRow`].
type Columns = (Text, Text, BigInt, BigInt, BigInt, Text);

#[derive(Default)]
struct Related {
    members: HashMap<ResourceId, Vec<MemberView>>,
    groups: HashMap<ResourceId, Vec<GroupView>>,
}

fn count_of(rows: &[Stored]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| {
        StoreError::internal(format!("a resource has an impossible time: {error}"))
    })
}

#[cfg(test)]
mod tests;
