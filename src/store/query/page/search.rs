//! The part of a list that is of one resource type: its rows from an edge on, and how many there are.

use std::collections::HashMap;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use scim_core::registry::AttrRef;
use scim_core::sort::SortKey;
use scim_core::{ErrorKind, ScimError};

use crate::store::query::page::order::{Segment, SegmentPart, Source, bind};
use crate::store::query::page::{
    CHUNK, Direction, Edge, Key, Kind, PageError, PageQuery, Start, count_of,
};
use crate::store::query::predicate::{Bind, Fragment, Plan, Statement, plan, unindexed};
use crate::store::tables::resources::{Stored, StoredRow};
use crate::store::tables::{counts, resources};
use crate::store::{Backend, Conn, ResourceId, TenantId};

/// A query for one type and how to answer it.
pub(super) struct Search<'a> {
    backend: Backend,
    pub tenant: TenantId,
    pub query: &'a PageQuery,
    pub kind: &'a Kind,
    pub plan: Plan,
    source: Source,
    /// The sort key, where all have the same.
    pub fixed: Option<SortKey>,
    means: Means,
}

/// How rows are found.
enum Means {
    /// SQL decides which, and in which order.
    Sql,
    /// In the order of ids, each is read and looked at until there are enough.
    Stream,
    /// All are read; the keys of those that match are put in order and kept for further questions.
    Sorted(Option<Vec<Key>>),
}

/// What a statement selects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'e> {
    pub edge: Option<&'e Edge>,
    pub upwards: bool,
    pub skip: u64,
    pub most: u64,
}

impl<'a> Search<'a> {
    pub fn new(conn: &Conn, tenant: TenantId, query: &'a PageQuery, kind: &'a Kind) -> Self {
        let plan = match &kind.filter {
            Some(filter) => plan(conn.backend(), tenant, &kind.rt, filter),
            None => Plan::everything(),
        };
        let source = Source::of(&kind.rt, kind.sort.as_ref());
        let fixed = match &source {
            Source::Same(value) => Some(value.clone()),
            _ => None,
        };
        let means = match (&source, plan.exact, &query.start) {
            (Source::Documents, _, _) => Means::Sorted(None),
            (_, true, _) => Means::Sql,
            (Source::Same(_), false, Start::Position(Some(_))) => Means::Stream,
            _ => Means::Sorted(None),
        };
        Self {
            backend: conn.backend(),
            tenant,
            query,
            kind,
            plan,
            source,
            fixed,
            means,
        }
    }

    /// Whether the list has this segment at all.
    #[cfg(test)]
    pub fn has(&self, segment: Segment) -> bool {
        self.source.segments(true).contains(&segment)
    }

    /// At most so many rows that way from the edge, the nearest first.
    pub fn take(
        &mut self,
        conn: &mut Conn,
        way: Direction,
        edge: Option<&Edge>,
        skip: u64,
        most: u64,
    ) -> Result<Vec<Stored>, PageError> {
        let wanted = Window {
            edge,
            upwards: way.is_up(self.query.order),
            skip,
            most,
        };
        match &self.means {
            Means::Sql => self.select(conn, &wanted),
            Means::Stream => self.stream(conn, &wanted),
            Means::Sorted(_) => self.take_sorted(conn, &wanted),
        }
    }

    /// How many match.
    pub fn count(&mut self, conn: &mut Conn) -> Result<u64, PageError> {
        if let Some(count) = self.free_count(conn)? {
            return Ok(count);
        }
        match &self.means {
            Means::Sql => self.count_by(conn, self.count_sql(None)),
            Means::Stream | Means::Sorted(_) => Ok(count_of(self.sorted(conn)?)),
        }
    }

    /// How many match, where nobody has to count for it.
    pub fn free_count(&mut self, conn: &mut Conn) -> Result<Option<u64>, PageError> {
        if self.plan.predicate.is_none() && self.plan.exact {
            let live = counts::of(conn, self.tenant, &self.kind.rt.name)?.live;
            return Ok(Some(u64::try_from(live).unwrap_or_default()));
        }
        match &self.means {
            Means::Sorted(Some(keys)) => Ok(Some(count_of(keys))),
            _ => Ok(None),
        }
    }

    /// How many match behind the edge, in the order of ids.
    pub fn count_after(&mut self, conn: &mut Conn, edge: &Edge) -> Result<u64, PageError> {
        match &self.means {
            Means::Sql => self.count_by(conn, self.count_sql(Some(edge))),
            Means::Stream | Means::Sorted(_) => {
                let keys = self.sorted(conn)?;
                Ok(count_of(beyond(keys, Some(edge), true)))
            }
        }
    }

    fn count_by(&self, conn: &mut Conn, sql: Fragment) -> Result<u64, PageError> {
        let count: i64 = Statement::<BigInt>::new(sql).get_result(conn)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    fn select(&self, conn: &mut Conn, wanted: &Window) -> Result<Vec<Stored>, PageError> {
        let mut found = Vec::new();
        let mut wanted = *wanted;
        let segments = self.source.segments(wanted.upwards);
        for (index, segment) in segments.iter().enumerate() {
            let Some(sql) = self.select_sql(*segment, &wanted) else {
                continue;
            };
            let rows: Vec<StoredRow> = Statement::<Columns>::new(sql).load(conn)?;
            let is_last = index + 1 == segments.len();
            if rows.is_empty() && wanted.skip > 0 && !is_last {
                let skipped = self.count_by(conn, self.count_segment_sql(*segment))?;
                wanted.skip = wanted.skip.saturating_sub(skipped);
            } else if !rows.is_empty() {
                wanted.skip = 0;
            }
            wanted.most = wanted.most.saturating_sub(count_of(&rows));
            found.extend(rows.into_iter().map(Stored::from));
            if wanted.most == 0 {
                break;
            }
        }
        Ok(found)
    }

    /// Reads documents until so many match.
    fn stream(&self, conn: &mut Conn, wanted: &Window) -> Result<Vec<Stored>, PageError> {
        let mut edge = wanted.edge.cloned();
        let (mut found, mut read) = (Vec::new(), 0);
        loop {
            let next = Window {
                edge: edge.as_ref(),
                upwards: wanted.upwards,
                skip: 0,
                most: CHUNK,
            };
            let chunk = self.select(conn, &next)?;
            let length = count_of(&chunk);
            read += length;
            if read > self.query.scan_limit {
                return Err(self.too_many().into());
            }
            edge = match chunk.last() {
                Some(last) => Some(Edge {
                    key: self.key(conn, last)?,
                    including: false,
                }),
                None => edge,
            };
            found.extend(self.matching(conn, chunk)?);
            if length < CHUNK || count_of(&found) >= wanted.most {
                found.truncate(usize::try_from(wanted.most).unwrap_or(usize::MAX));
                return Ok(found);
            }
        }
    }

    fn take_sorted(&mut self, conn: &mut Conn, wanted: &Window) -> Result<Vec<Stored>, PageError> {
        let keys = beyond(self.sorted(conn)?, wanted.edge, wanted.upwards);
        let skip = usize::try_from(wanted.skip).unwrap_or(usize::MAX);
        let most = usize::try_from(wanted.most).unwrap_or(usize::MAX);
        let ids: Vec<_> = if wanted.upwards {
            let keys = keys.iter().skip(skip).take(most);
            keys.map(|key| key.id.clone()).collect()
        } else {
            let keys = keys.iter().rev().skip(skip).take(most);
            keys.map(|key| key.id.clone()).collect()
        };
        let rows = resources::get_many(conn, self.tenant, &ids)?;
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
    }

    /// The keys of all that match, in ascending order.
    fn sorted(&mut self, conn: &mut Conn) -> Result<&[Key], PageError> {
        let keys = match std::mem::replace(&mut self.means, Means::Sorted(None)) {
            Means::Sorted(Some(keys)) => keys,
            _ => self.read_keys(conn)?,
        };
        self.means = Means::Sorted(Some(keys));
        match &self.means {
            Means::Sorted(Some(keys)) => Ok(keys),
            _ => Ok(&[]),
        }
    }

    fn read_keys(&self, conn: &mut Conn) -> Result<Vec<Key>, PageError> {
        let mut keys = Vec::new();
        let mut last = match &self.query.start {
            Start::After(id) => Some(id.clone()),
            Start::Index(_) | Start::Position(_) => None,
        };
        let mut read = 0;
        loop {
            let sql = self.by_id_sql(last.as_ref());
            let chunk: Vec<StoredRow> = Statement::<Columns>::new(sql).load(conn)?;
            let chunk: Vec<Stored> = chunk.into_iter().map(Stored::from).collect();
            let length = count_of(&chunk);
            read += length;
            if read > self.query.scan_limit {
                return Err(self.too_many().into());
            }
            last = chunk.last().map(|row| row.id.clone());
            keys.extend(self.matching_keys(conn, &chunk)?);
            if length < CHUNK {
                keys.sort_unstable();
                return Ok(keys);
            }
        }
    }

    fn too_many(&self) -> ScimError {
        let rt = &self.kind.rt;
        let always = ["userName", "displayName", "externalId", "id"];
        let always = always.iter().filter(|key| rt.attr_by_key(key).is_some());
        let indexed = rt.indexed.iter().map(AttrRef::key);
        let usable: Vec<&str> = always.copied().chain(indexed).collect();
        let (limit, usable) = (self.query.scan_limit, usable.join(", "));
        let detail = match &self.kind.sort {
            Some(path) if self.source == Source::Documents && self.plan.exact => format!(
                "Sorting by {path} would have to read more than {limit} resources one by one. Sort by another \
                 attribute, or filter by an indexed one as well: {usable}."
            ),
            _ => format!(
                "The filter would have to read more than {limit} resources one by one. Filter by an indexed attribute \
                 instead, or join one with \"and\": {usable}."
            ),
        };
        ScimError::new(ErrorKind::TooMany, detail)
    }
}

/// What lies that way from the edge, of keys in ascending order.
fn beyond<'k>(keys: &'k [Key], edge: Option<&Edge>, upwards: bool) -> &'k [Key] {
    let Some(edge) = edge else {
        return keys;
    };
    // Going up, what is at the edge belongs to the part before it unless it is included; going down likewise.
    let is_below = |key: &Key| key < &edge.key || (key == &edge.key && upwards != edge.including);
    let (below, above) = keys.split_at(keys.partition_point(is_below));
    if upwards { above } else { below }
}

/// Whether a deep page of several types would have to read too many.
pub(super) fn too_deep(limit: u64) -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "A list of several resource types cannot begin behind {limit} resources. Read it by cursor, or one type \
             at a time."
        ),
    )
}

/// The columns of [`StoredRow`].
type Columns = (Text, Text, BigInt, BigInt, BigInt, Text);

const COLUMNS: &str = "SELECT id, resource_type, version, created, modified, doc FROM resources";
const COUNT: &str = "SELECT count(*) FROM resources";

impl Search<'_> {
    /// The rows of a segment; `None` where none of it can be wanted.
    pub fn select_sql(&self, segment: Segment, wanted: &Window) -> Option<Fragment> {
        let part = match wanted.edge {
            None => SegmentPart::All,
            Some(edge) => self.source.part(segment, edge, wanted.upwards),
        };
        if part == SegmentPart::None {
            return None;
        }
        let sql = match (&self.source, segment) {
            (Source::Rows { column, path }, Segment::Present) => self.rows_sql(column, path),
            (Source::Rows { path, .. }, Segment::Missing) => self.without_rows_sql(COLUMNS, path),
            (Source::Column(column), Segment::Missing) => {
                let sql = self.condition(COLUMNS).push(" AND ");
                sql.push(self.ordered(column.name, column.unindexed))
                    .push(" IS NULL")
            }
            (Source::Column(column), Segment::Present) if part == SegmentPart::All => {
                let sql = self.condition(COLUMNS).push(" AND ");
                sql.push(self.ordered(column.name, column.unindexed))
                    .push(" IS NOT NULL")
            }
            _ => self.condition(COLUMNS),
        };
        let by = self.order_by(segment);
        let sql = match part {
            SegmentPart::All | SegmentPart::None => sql,
            SegmentPart::BeyondId(edge) => {
                let sql = sql
                    .push(" AND ")
                    .push(self.id())
                    .push(symbol(edge, wanted.upwards));
                sql.bind_text(edge.key.id.as_str())
            }
            SegmentPart::Beyond(edge) => beyond_value(sql, &by, edge, wanted.upwards),
        };
        Some(limited(sorted_by(sql, &by, wanted.upwards), wanted))
    }

    /// A chunk in the order of ids, whatever the list is ordered by.
    fn by_id_sql(&self, last: Option<&ResourceId>) -> Fragment {
        let wanted = Window {
            edge: None,
            upwards: true,
            skip: 0,
            most: CHUNK,
        };
        let mut sql = self.condition(COLUMNS);
        if let Some(id) = last {
            sql = sql
                .push(" AND ")
                .push(self.id())
                .push(" > ")
                .bind_text(id.as_str());
        }
        limited(sorted_by(sql, &["id"], true), &wanted)
    }

    /// How many match; behind the edge, in the order of ids.
    pub fn count_sql(&self, after: Option<&Edge>) -> Fragment {
        let sql = self.condition(COUNT);
        match after {
            None => sql,
            Some(edge) => sql
                .push(" AND ")
                .push(self.id())
                .push(" > ")
                .bind_text(edge.key.id.as_str()),
        }
    }

    fn count_segment_sql(&self, segment: Segment) -> Fragment {
        match (&self.source, segment) {
            (Source::Column(column), _) => {
                let sql = self.condition(COUNT).push(" AND ");
                let is = match segment {
                    Segment::Present => " IS NOT NULL",
                    Segment::Missing => " IS NULL",
                };
                sql.push(self.ordered(column.name, column.unindexed))
                    .push(is)
            }
            (Source::Rows { path, .. }, Segment::Missing) => self.without_rows_sql(COUNT, path),
            (Source::Rows { path, .. }, Segment::Present) => {
                self.has_rows(self.condition(COUNT).push(" AND EXISTS ("), path)
            }
            (Source::Same(_) | Source::Documents, _) => self.count_sql(None),
        }
    }

    /// The columns that the segment is ordered by.
    fn order_by(&self, segment: Segment) -> Vec<&'static str> {
        match (&self.source, segment) {
            (Source::Column(column), Segment::Present) if column.unique => {
                vec![self.ordered(column.name, column.unindexed)]
            }
            // Without a value too: PostgreSQL takes an index for ordered only by all its columns.
            (Source::Column(column), _) => {
                vec![self.ordered(column.name, column.unindexed), "id"]
            }
            (Source::Rows { .. }, Segment::Present) => vec!["sorted.value", "sorted.resource_id"],
            _ => vec!["id"],
        }
    }

    /// The column of the order, which must not lead where the filter does: see [`unindexed`].
    fn ordered(&self, name: &'static str, unindexed: &'static str) -> &'static str {
        match self.backend {
            Backend::Sqlite if self.plan.found => unindexed,
            Backend::Sqlite | Backend::Postgres => name,
        }
    }

    fn id(&self) -> &'static str {
        if self.plan.found {
            unindexed(self.backend)
        } else {
            "id"
        }
    }

    /// Resources by the rows that they are ordered by. Unless the filter leads, these rows do, each to its resource:
    /// for SQLite that is what CROSS says; PostgreSQL, which knows little of how values are spread over paths, has no
    /// other way behind OFFSET, and would else read all resources at times.
    fn rows_sql(&self, column: &'static str, path: &str) -> Fragment {
        let sql = self
            .start()
            .push("SELECT id, resource_type, version, created, modified, doc FROM (SELECT resource_id, ")
            .push(column)
            .push(" AS value FROM attributes WHERE tenant_id = ")
            .bind(Bind::BigInt(self.tenant.0))
            .push(" AND path = ")
            .bind_text(path)
            .push(" AND ")
            .push(column)
            .push(" IS NOT NULL) AS sorted");
        let sql = match self.backend {
            _ if self.plan.found => sql.push(" JOIN resources ON TRUE"),
            Backend::Sqlite => sql.push(" CROSS JOIN resources"),
            Backend::Postgres => {
                let sql = sql
                    .push(" CROSS JOIN LATERAL (SELECT * FROM resources AS one WHERE one.tenant_id = ")
                    .bind(Bind::BigInt(self.tenant.0))
                    .push(" AND one.resource_type = ")
                    .bind_text(&self.kind.rt.name)
                    .push(" AND one.id = sorted.resource_id OFFSET 0) AS resources WHERE TRUE");
                return self.with_predicate(sql);
            }
        };
        self.with_condition(sql)
            .push(" AND resources.id = sorted.resource_id")
    }

    fn without_rows_sql(&self, start: &'static str, path: &str) -> Fragment {
        self.has_rows(self.condition(start).push(" AND NOT EXISTS ("), path)
    }

    fn has_rows(&self, sql: Fragment, path: &str) -> Fragment {
        sql.push("SELECT 1 FROM attributes WHERE tenant_id = ")
            .bind(Bind::BigInt(self.tenant.0))
            .push(" AND path = ")
            .bind_text(path)
            .push(" AND resource_id = resources.id)")
    }

    fn start(&self) -> Fragment {
        match &self.plan.predicate {
            Some(predicate) if !predicate.is_kept() => Fragment::default(),
            _ => Fragment::default().kept(),
        }
    }

    fn condition(&self, start: &'static str) -> Fragment {
        self.with_condition(self.start().push(start))
    }

    fn with_condition(&self, sql: Fragment) -> Fragment {
        let sql = sql
            .push(" WHERE tenant_id = ")
            .bind(Bind::BigInt(self.tenant.0))
            .push(" AND resource_type = ")
            .bind_text(&self.kind.rt.name);
        self.with_predicate(sql)
    }

    fn with_predicate(&self, sql: Fragment) -> Fragment {
        match &self.plan.predicate {
            Some(predicate) => sql.push(" AND ").append(predicate.clone()),
            None => sql,
        }
    }
}

fn symbol(edge: &Edge, upwards: bool) -> &'static str {
    match (upwards, edge.including) {
        (true, false) => " > ",
        (true, true) => " >= ",
        (false, false) => " < ",
        (false, true) => " <= ",
    }
}

/// The condition that a row is beyond the edge: one comparison of rows, which both databases find in an index.
fn beyond_value(sql: Fragment, by: &[&'static str], edge: &Edge, upwards: bool) -> Fragment {
    let value = |sql: Fragment| match (&edge.key.value, bind(&edge.key.value)) {
        (_, Some(bind)) => sql.bind(bind),
        (SortKey::Bool(true), None) => sql.push("TRUE"),
        (_, None) => sql.push("FALSE"),
    };
    match by {
        [column] => value(sql.push(" AND ").push(column).push(symbol(edge, upwards))),
        [column, id, ..] => {
            let sql = sql
                .push(" AND (")
                .push(column)
                .push(", ")
                .push(id)
                .push(")");
            let sql = value(sql.push(symbol(edge, upwards)).push("("));
            sql.push(", ").bind_text(edge.key.id.as_str()).push(")")
        }
        [] => sql,
    }
}

fn sorted_by(mut sql: Fragment, by: &[&'static str], upwards: bool) -> Fragment {
    let mut before = " ORDER BY ";
    for column in by {
        sql = sql.push(before).push(column);
        if !upwards {
            sql = sql.push(" DESC");
        }
        before = ", ";
    }
    sql
}

fn limited(sql: Fragment, wanted: &Window) -> Fragment {
    let big = |number| Bind::BigInt(i64::try_from(number).unwrap_or(i64::MAX));
    // A plain parameter as the limit has SQLite prepare the statement anew each time.
    let sql = sql.push(" LIMIT 0 + ").bind(big(wanted.most));
    match wanted.skip {
        0 => sql,
        skip => sql.push(" OFFSET ").bind(big(skip)),
    }
}
