//! The part of a list that has one resource type: its rows from an edge on, and how many there are.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Text};
use scim_core::sort::SortKey;

use crate::store::engine::fragment::{Fragment, OwnedBind};
use crate::store::engine::statement::{Fetch, FetchWithin};
use crate::store::query::page::order::{Segment, SegmentPart, SortSource, bind};
use crate::store::query::page::request::{
    CHUNK, Edge, PageError, PageKey, PageQuery, Start, TypeQuery, count_of,
};
use crate::store::query::predicate::{Plan, plan, unindexed};
use crate::store::tables::resources::{FirstOf, READ_BYTES, Stored, StoredRow};
use crate::store::tables::{counts, resources};
use crate::store::{Backend, Conn, ResourceId, TenantId};

/// A query for one type and how to answer it.
pub(super) struct Search<'a> {
    backend: Backend,
    pub tenant: TenantId,
    pub query: &'a PageQuery,
    pub kind: &'a TypeQuery,
    pub plan: Plan,
    pub source: SortSource,
    /// The sort key, if all resources have the same.
    pub fixed: Option<SortKey>,
    strategy: Strategy,
}

/// The way in which the rows of a type are found.
enum Strategy {
    /// SQL selects and sorts them.
    Sql,
    /// Documents are read in the order of ids and evaluated until there are enough.
    Stream,
    /// All documents are read. The keys of those that match are sorted, and reused by further
    /// calls.
    Sorted(Option<Vec<PageKey>>),
}

/// The rows that a statement selects: from the edge on, in one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'e> {
    pub edge: Option<&'e Edge>,
    pub upwards: bool,
    pub skip: u64,
    pub most: u64,
}

impl<'a> Search<'a> {
    pub fn new(conn: &Conn, tenant: TenantId, query: &'a PageQuery, kind: &'a TypeQuery) -> Self {
        let plan = match &kind.filter {
            Some(filter) => plan(conn.backend(), tenant, &kind.rt, filter),
            None => Plan::everything(),
        };
        let source = SortSource::of(&kind.rt, kind.sort.as_ref());
        let fixed = match &source {
            SortSource::Same(value) => Some(value.clone()),
            _ => None,
        };
        let strategy = match (&source, plan.exact, &query.start) {
            (SortSource::Documents, _, _) => Strategy::Sorted(None),
            (_, true, _) => Strategy::Sql,
            (SortSource::Same(_), false, Start::Position(Some(_))) => Strategy::Stream,
            _ => Strategy::Sorted(None),
        };
        Self {
            backend: conn.backend(),
            tenant,
            query,
            kind,
            plan,
            source,
            fixed,
            strategy,
        }
    }

    /// Whether the list has this segment.
    #[cfg(test)]
    pub fn has(&self, segment: Segment) -> bool {
        self.source.segments(true).contains(&segment)
    }

    /// The rows of the window, the nearest to its edge first.
    pub fn take(&mut self, conn: &mut Conn, window: &Window<'_>) -> Result<Vec<Stored>, PageError> {
        match &self.strategy {
            Strategy::Sql => whole(self.select(conn, window, self.query.page_bytes)?),
            Strategy::Stream => self.stream(conn, window),
            Strategy::Sorted(_) => self.take_sorted(conn, window),
        }
    }

    /// Counts the matches.
    pub fn count(&mut self, conn: &mut Conn) -> Result<u64, PageError> {
        if let Some(count) = self.uncounted_total(conn)? {
            return Ok(count);
        }
        match &self.strategy {
            Strategy::Sql => self.count_by(conn, self.count_sql(None)),
            Strategy::Stream | Strategy::Sorted(_) => Ok(count_of(self.sorted(conn)?)),
        }
    }

    /// The number of matches, if it is known without counting.
    pub fn uncounted_total(&mut self, conn: &mut Conn) -> Result<Option<u64>, PageError> {
        if self.plan.predicate.is_none() && self.plan.exact {
            let live = counts::of(conn, self.tenant, &self.kind.rt.name)?.live;
            return Ok(Some(u64::try_from(live).unwrap_or_default()));
        }
        match &self.strategy {
            Strategy::Sorted(Some(keys)) => Ok(Some(count_of(keys))),
            _ => Ok(None),
        }
    }

    /// Counts the matches after the edge, in the order of ids.
    pub fn count_after(&mut self, conn: &mut Conn, edge: &Edge) -> Result<u64, PageError> {
        match &self.strategy {
            Strategy::Sql => self.count_by(conn, self.count_sql(Some(edge))),
            Strategy::Stream | Strategy::Sorted(_) => {
                let keys = self.sorted(conn)?;
                Ok(count_of(beyond(keys, Some(edge), true)))
            }
        }
    }

    fn count_by(&self, conn: &mut Conn, sql: Fragment) -> Result<u64, PageError> {
        let count: i64 = sql.query::<BigInt>().fetch_one(conn)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Selects the first rows of the window, up to a number of bytes.
    fn select(
        &self,
        conn: &mut Conn,
        window: &Window,
        most_bytes: usize,
    ) -> Result<FirstOf<Stored>, PageError> {
        let mut found = FirstOf::nothing();
        let mut remaining_bytes = most_bytes;
        let mut window = *window;
        let segments = self.source.segments(window.upwards);
        for (index, segment) in segments.iter().enumerate() {
            let Some(sql) = self.select_sql(*segment, &window) else {
                continue;
            };
            let query = sql.query::<Columns>();
            let part = query.fetch_within(conn, remaining_bytes, StoredRow::bytes)?;
            let rows = part.rows;
            let bytes = rows.iter().map(StoredRow::bytes).sum();
            let is_over = bytes > remaining_bytes && !found.rows.is_empty();
            if is_over {
                found.is_cut = true;
                break;
            }
            remaining_bytes = remaining_bytes.saturating_sub(bytes);
            let is_last = index + 1 == segments.len();
            if rows.is_empty() && window.skip > 0 && !is_last {
                let skipped = self.count_by(conn, self.count_segment_sql(*segment))?;
                window.skip = window.skip.saturating_sub(skipped);
            } else if !rows.is_empty() {
                window.skip = 0;
            }
            window.most = window.most.saturating_sub(count_of(&rows));
            found.rows.extend(rows.into_iter().map(Stored::from));
            found.is_cut = part.is_cut;
            if window.most == 0 || part.is_cut {
                break;
            }
        }
        Ok(found)
    }

    /// Reads documents until enough of them match.
    fn stream(&self, conn: &mut Conn, window: &Window) -> Result<Vec<Stored>, PageError> {
        let mut edge = window.edge.cloned();
        let mut found = Vec::new();
        let mut found_bytes = 0_usize;
        let mut read = 0;
        loop {
            let next = Window {
                edge: edge.as_ref(),
                upwards: window.upwards,
                skip: 0,
                most: CHUNK,
            };
            let FirstOf {
                rows: chunk,
                is_cut,
            } = self.select(conn, &next, READ_BYTES)?;
            let length = count_of(&chunk);
            read += length;
            if read > self.query.scan_limit {
                return Err(self.too_many_documents().into());
            }
            edge = match chunk.last() {
                Some(last) => Some(Edge {
                    key: self.key(conn, last)?,
                    including: false,
                }),
                None => edge,
            };
            for row in self.matching(conn, chunk)? {
                found_bytes = found_bytes.saturating_add(row.doc.len());
                if found_bytes > self.query.page_bytes && !found.is_empty() {
                    let fitting = count_of(&found);
                    return Err(PageError::TooLong { fitting });
                }
                found.push(row);
            }
            let is_end = length < CHUNK && !is_cut;
            if is_end || count_of(&found) >= window.most {
                found.truncate(usize::try_from(window.most).unwrap_or(usize::MAX));
                return Ok(found);
            }
        }
    }

    fn take_sorted(&mut self, conn: &mut Conn, window: &Window) -> Result<Vec<Stored>, PageError> {
        let keys = beyond(self.sorted(conn)?, window.edge, window.upwards);
        let skip = usize::try_from(window.skip).unwrap_or(usize::MAX);
        let most = usize::try_from(window.most).unwrap_or(usize::MAX);
        let ids: Vec<_> = if window.upwards {
            let keys = keys.iter().skip(skip).take(most);
            keys.map(|key| key.id.clone()).collect()
        } else {
            let keys = keys.iter().rev().skip(skip).take(most);
            keys.map(|key| key.id.clone()).collect()
        };
        // Those that fit, and if they are not all, the page must have fewer.
        let rows = match self.query.page_bytes {
            usize::MAX => resources::get_many(conn, self.tenant, &ids)?,
            _ => whole(resources::get_first(conn, self.tenant, &ids)?)?,
        };
        let mut rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
    }

    /// The keys of all that match, in ascending order.
    fn sorted(&mut self, conn: &mut Conn) -> Result<&[PageKey], PageError> {
        let keys = match std::mem::replace(&mut self.strategy, Strategy::Sorted(None)) {
            Strategy::Sorted(Some(keys)) => keys,
            _ => self.read_keys(conn)?,
        };
        self.strategy = Strategy::Sorted(Some(keys));
        match &self.strategy {
            Strategy::Sorted(Some(keys)) => Ok(keys),
            _ => Ok(&[]),
        }
    }

    fn read_keys(&self, conn: &mut Conn) -> Result<Vec<PageKey>, PageError> {
        let mut keys = Vec::new();
        // Returned with this call; the keys are kept only for as long as the page is read.
        let mut held = self.query.memory.reservation(self.tenant);
        let mut last = match &self.query.start {
            Start::After(id) => Some(id.clone()),
            Start::Index(_) | Start::Position(_) => None,
        };
        let mut read = 0;
        loop {
            let sql = self.by_id_sql(last.as_ref());
            let query = sql.query::<Columns>();
            let chunk = query.fetch_within(conn, READ_BYTES, StoredRow::bytes)?;
            let FirstOf {
                rows: chunk,
                is_cut,
            } = FirstOf::<Stored>::from(chunk);
            let length = count_of(&chunk);
            read += length;
            if read > self.query.scan_limit {
                return Err(self.too_many_documents().into());
            }
            last = chunk.last().map(|row| row.id.clone());
            let matching = self.matching_keys(conn, &chunk)?;
            held.grow(matching.iter().map(PageKey::bytes).sum())?;
            keys.extend(matching);
            if length < CHUNK && !is_cut {
                keys.sort_unstable();
                return Ok(keys);
            }
        }
    }
}

/// All rows of a page, or the error that it must have fewer.
fn whole(found: FirstOf<Stored>) -> Result<Vec<Stored>, PageError> {
    match found.is_cut {
        false => Ok(found.rows),
        true => Err(PageError::TooLong {
            fitting: count_of(&found.rows),
        }),
    }
}

/// The keys beyond the edge, of keys in ascending order.
fn beyond<'k>(keys: &'k [PageKey], edge: Option<&Edge>, upwards: bool) -> &'k [PageKey] {
    let Some(edge) = edge else {
        return keys;
    };
    // The key at the edge itself is beyond it only if it is included, in either direction.
    let is_below =
        |key: &PageKey| key < &edge.key || (key == &edge.key && upwards != edge.including);
    let (below, above) = keys.split_at(keys.partition_point(is_below));
    if upwards { above } else { below }
}

/// The columns of [`StoredRow`].
type Columns = (Text, Text, BigInt, BigInt, BigInt, Text);

const COLUMNS: &str = "SELECT id, resource_type, version, created, modified, doc FROM resources";
const COUNT: &str = "SELECT count(*) FROM resources";

impl Search<'_> {
    /// The rows of a segment; `None` if the segment has no rows beyond the edge.
    pub fn select_sql(&self, segment: Segment, window: &Window) -> Option<Fragment> {
        let part = match window.edge {
            None => SegmentPart::All,
            Some(edge) => self.source.part(segment, edge, window.upwards),
        };
        if part == SegmentPart::None {
            return None;
        }
        let sql = match (&self.source, segment) {
            (SortSource::Rows { column, path }, Segment::Present) => self.rows_sql(column, path),
            (SortSource::Rows { path, .. }, Segment::Missing) => {
                self.without_rows_sql(COLUMNS, path)
            }
            (SortSource::Column(column), Segment::Missing) => {
                let sql = self.condition(COLUMNS).push(" AND ");
                sql.push(self.ordered(column.name, column.unindexed))
                    .push(" IS NULL")
            }
            (SortSource::Column(column), Segment::Present) if part == SegmentPart::All => {
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
                    .push(symbol(edge, window.upwards));
                sql.bind_text(edge.key.id.as_str())
            }
            SegmentPart::Beyond(edge) => beyond_value(sql, &by, edge, window.upwards),
        };
        Some(limited(sorted_by(sql, &by, window.upwards), window))
    }

    /// The statement for a chunk in the order of ids, whatever the order of the list.
    fn by_id_sql(&self, last: Option<&ResourceId>) -> Fragment {
        let window = Window {
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
        limited(sorted_by(sql, &["id"], true), &window)
    }

    /// The statement that counts the matches; those after the edge, in the order of ids.
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
            (SortSource::Column(column), _) => {
                let sql = self.condition(COUNT).push(" AND ");
                let is = match segment {
                    Segment::Present => " IS NOT NULL",
                    Segment::Missing => " IS NULL",
                };
                sql.push(self.ordered(column.name, column.unindexed))
                    .push(is)
            }
            (SortSource::Rows { path, .. }, Segment::Missing) => self.without_rows_sql(COUNT, path),
            (SortSource::Rows { path, .. }, Segment::Present) => {
                self.has_rows(self.condition(COUNT).push(" AND EXISTS ("), path)
            }
            (SortSource::Same(_) | SortSource::Documents, _) => self.count_sql(None),
        }
    }

    /// The columns that the segment is ordered by.
    fn order_by(&self, segment: Segment) -> Vec<&'static str> {
        match (&self.source, segment) {
            (SortSource::Column(column), Segment::Present) if column.unique => {
                vec![self.ordered(column.name, column.unindexed)]
            }
            // Also without a value: PostgreSQL uses an index for an order only with all its
            // columns.
            (SortSource::Column(column), _) => {
                vec![self.ordered(column.name, column.unindexed), "id"]
            }
            (SortSource::Rows { .. }, Segment::Present) => {
                vec!["sorted.value", "sorted.resource_id"]
            }
            _ => vec!["id"],
        }
    }

    /// The column of the order, without its index if the filter's index is used; see [`unindexed`].
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

    /// Joins resources to the rows that they are ordered by. Unless the filter is read first, these
    /// rows are, each leading to its resource. SQLite keeps that order because of CROSS. PostgreSQL
    /// has little statistics about the values of single paths and might read all resources; OFFSET
    /// prevents that.
    fn rows_sql(&self, column: &'static str, path: &str) -> Fragment {
        let sql = self
            .start()
            .push("SELECT id, resource_type, version, created, modified, doc FROM (SELECT resource_id, ")
            .push(column)
            .push(" AS value FROM attributes WHERE tenant_id = ")
            .bind(OwnedBind::BigInt(self.tenant.0))
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
                    .bind(OwnedBind::BigInt(self.tenant.0))
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
            .bind(OwnedBind::BigInt(self.tenant.0))
            .push(" AND path = ")
            .bind_text(path)
            .push(" AND resource_id = resources.id)")
    }

    fn start(&self) -> Fragment {
        match &self.plan.predicate {
            Some(predicate) if !predicate.is_cached() => Fragment::default(),
            _ => Fragment::default().cached(),
        }
    }

    fn condition(&self, start: &'static str) -> Fragment {
        self.with_condition(self.start().push(start))
    }

    fn with_condition(&self, sql: Fragment) -> Fragment {
        let sql = sql
            .push(" WHERE tenant_id = ")
            .bind(OwnedBind::BigInt(self.tenant.0))
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

/// The condition that a row is beyond the edge: one comparison of rows, which both databases find
/// in an index.
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

fn limited(sql: Fragment, window: &Window) -> Fragment {
    let big = |number| OwnedBind::BigInt(i64::try_from(number).unwrap_or(i64::MAX));
    // With a plain parameter as the limit, SQLite would prepare the statement each time.
    let sql = sql.push(" LIMIT 0 + ").bind(big(window.most));
    match window.skip {
        0 => sql,
        skip => sql.push(" OFFSET ").bind(big(skip)),
    }
}
