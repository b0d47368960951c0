//! Lists: one page of the resources of one type or of several, in an order, and how many there are.
//!
//! What SQL can decide is asked for as it is; else the documents that are left are read, evaluated and put in order
//! here. It must not know how a place in a list is written down for clients, nor how a resource is shown.

mod documents;
mod order;
mod search;

use std::sync::Arc;

use scim_core::registry::AttrRef;
use scim_core::sort::{Order, SortKey};
use scim_core::{Filter, ResourceType, ScimError};

use crate::store::tables::resources::Stored;
use crate::store::{Conn, ResourceId, StoreError, TenantId};
use search::Search;

/// How many documents a filter may read where nobody says otherwise.
pub const SCAN_LIMIT: u64 = 200_000;

/// How many resources are read at a time, where many are.
const CHUNK: u64 = 500;

/// Which resources are asked for.
#[derive(Debug, Clone)]
pub struct PageQuery {
    pub kinds: Vec<Kind>,
    pub order: Order,
    pub start: Start,
    /// With [`Start::After`], how many match behind that place, where it is known: nobody has to count then.
    pub ahead: Option<u64>,
    /// At most so many rows; 0 asks for the total only.
    pub limit: u32,
    /// How many documents may be read to evaluate what SQL cannot: see [`SCAN_LIMIT`].
    pub scan_limit: u64,
    /// The URL that endpoints follow, without a slash at its end; filters on `meta.location` and `$ref` need it.
    pub base_url: String,
}

/// What is asked for of one resource type.
#[derive(Debug, Clone)]
pub struct Kind {
    pub rt: Arc<ResourceType>,
    pub filter: Option<Filter>,
    /// What they are ordered by; `None` where that is their id alone.
    pub sort: Option<AttrRef>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After so many matches. Its cost grows with the number.
    Index(u64),
    /// After this id, whether or not it is there, in the order of ids.
    After(ResourceId),
    /// At a place that another page told of, or at the first of all; the same cost wherever that is.
    Position(Option<PagePosition>),
}

/// A place in the list, and which way a page goes from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagePosition {
    pub way: Direction,
    pub edge: Edge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Onwards,
    Backwards,
}

/// Before or behind a resource, whether or not it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub key: Key,
    /// Whether the resource itself is on the page.
    pub including: bool,
}

/// What a list is ordered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub value: SortKey,
    pub id: ResourceId,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Stored>,
    /// How many resources match, on this page or not; with [`Start::After`] only those after the id. `None` where a
    /// page that begins at a place would have to count them.
    pub total: Option<u64>,
    /// Where the page before begins; for pages that begin at a place.
    pub previous: Option<PagePosition>,
    /// Where the page after begins; for pages that begin at a place.
    pub next: Option<PagePosition>,
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
    let searches = query.kinds.iter();
    let searches = searches.map(|kind| Search::new(conn, tenant, query, kind));
    let mut list = List {
        query,
        searches: searches.collect(),
    };
    match &query.start {
        Start::Index(skip) => list.by_index(conn, *skip),
        Start::After(id) => list.after(conn, id),
        Start::Position(place) => list.by_place(conn, place.as_ref()),
    }
}

/// A query and how to answer it for each of its types.
struct List<'a> {
    query: &'a PageQuery,
    searches: Vec<Search<'a>>,
}

impl List<'_> {
    fn by_index(&mut self, conn: &mut Conn, skip: u64) -> Result<Page, PageError> {
        let rows = self.rows_and_one(conn, Direction::Onwards, None, skip)?;
        let total = match self.known_total(&rows, skip) {
            Some(total) => total,
            None => self.count(conn)?,
        };
        Ok(self.page(rows, Some(total)))
    }

    fn after(&mut self, conn: &mut Conn, id: &ResourceId) -> Result<Page, PageError> {
        let edge = Edge {
            key: Key {
                value: SortKey::Missing,
                id: id.clone(),
            },
            including: false,
        };
        let rows = self.rows_and_one(conn, Direction::Onwards, Some(&edge), 0)?;
        let total = match self.known_total(&rows, 0) {
            Some(total) => total,
            None => match self.query.ahead {
                Some(ahead) => ahead,
                None => self.count_after(conn, &edge)?,
            },
        };
        Ok(self.page(rows, Some(total)))
    }

    fn by_place(
        &mut self,
        conn: &mut Conn,
        place: Option<&PagePosition>,
    ) -> Result<Page, PageError> {
        let (way, edge) = match place {
            Some(place) => (place.way, Some(&place.edge)),
            None => (Direction::Onwards, None),
        };
        let mut rows = self.rows_and_one(conn, way, edge, 0)?;
        let total = match place {
            None => match self.known_total(&rows, 0) {
                Some(total) => Some(total),
                None => Some(self.count(conn)?),
            },
            Some(_) if self.query.limit == 0 => Some(self.count(conn)?),
            Some(_) => self.free_total(conn)?,
        };
        if self.query.limit == 0 {
            return Ok(self.page(rows, total));
        }
        let is_more = count_of(&rows) > u64::from(self.query.limit);
        rows.truncate(usize::try_from(self.query.limit).unwrap_or(usize::MAX));
        let ahead = match rows.last() {
            Some(last) if is_more => Some(self.beyond(conn, last, way)?),
            _ => None,
        };
        let behind = match edge {
            Some(edge) => self.behind(conn, rows.first(), edge, way)?,
            None => None,
        };
        if way == Direction::Backwards {
            rows.reverse();
        }
        let (previous, next) = match way {
            Direction::Onwards => (behind, ahead),
            Direction::Backwards => (ahead, behind),
        };
        Ok(Page {
            rows,
            total,
            previous,
            next,
        })
    }

    /// Where a page goes on that way from behind this resource.
    fn beyond(
        &mut self,
        conn: &mut Conn,
        row: &Stored,
        way: Direction,
    ) -> Result<PagePosition, PageError> {
        let key = self.key(conn, row)?;
        let including = false;
        let edge = Edge { key, including };
        Ok(PagePosition { way, edge })
    }

    /// Where the page begins that was left behind: against the way, if anything is there.
    fn behind(
        &mut self,
        conn: &mut Conn,
        first: Option<&Stored>,
        edge: &Edge,
        way: Direction,
    ) -> Result<Option<PagePosition>, PageError> {
        let back = way.turned();
        let place = match first {
            Some(first) => self.beyond(conn, first, back)?,
            None => PagePosition {
                way: back,
                edge: Edge {
                    key: edge.key.clone(),
                    including: !edge.including,
                },
            },
        };
        let found = self.take(conn, back, Some(&place.edge), 0, 1)?;
        Ok((!found.is_empty()).then_some(place))
    }

    /// One row more tells whether that is all, and mostly it is: then nothing needs to be counted.
    fn rows_and_one(
        &mut self,
        conn: &mut Conn,
        way: Direction,
        edge: Option<&Edge>,
        skip: u64,
    ) -> Result<Vec<Stored>, PageError> {
        match u64::from(self.query.limit) {
            0 => Ok(Vec::new()),
            limit => self.take(conn, way, edge, skip, limit + 1),
        }
    }

    /// How many there are behind the start, where the rows, skipped or read, are all of them.
    fn known_total(&self, rows: &[Stored], skip: u64) -> Option<u64> {
        let limit = u64::from(self.query.limit);
        let found = count_of(rows);
        let is_all = limit > 0 && found <= limit && (found > 0 || skip == 0);
        is_all.then_some(skip + found)
    }

    fn page(&self, mut rows: Vec<Stored>, total: Option<u64>) -> Page {
        rows.truncate(usize::try_from(self.query.limit).unwrap_or(usize::MAX));
        Page {
            rows,
            total,
            previous: None,
            next: None,
        }
    }

    fn count(&mut self, conn: &mut Conn) -> Result<u64, PageError> {
        let mut total = 0;
        for search in &mut self.searches {
            total += search.count(conn)?;
        }
        Ok(total)
    }

    fn count_after(&mut self, conn: &mut Conn, edge: &Edge) -> Result<u64, PageError> {
        let mut total = 0;
        for search in &mut self.searches {
            total += search.count_after(conn, edge)?;
        }
        Ok(total)
    }

    fn free_total(&mut self, conn: &mut Conn) -> Result<Option<u64>, PageError> {
        let mut total = 0;
        for search in &mut self.searches {
            let Some(count) = search.free_count(conn)? else {
                return Ok(None);
            };
            total += count;
        }
        Ok(Some(total))
    }

    fn key(&self, conn: &mut Conn, row: &Stored) -> Result<Key, PageError> {
        let own = |search: &&Search| search.kind.rt.name == row.resource_type;
        match self.searches.iter().find(own) {
            Some(search) => search.key(conn, row),
            None => Ok(Key {
                value: SortKey::Missing,
                id: row.id.clone(),
            }),
        }
    }

    /// At most so many rows that way from the edge, the nearest first.
    fn take(
        &mut self,
        conn: &mut Conn,
        way: Direction,
        edge: Option<&Edge>,
        skip: u64,
        most: u64,
    ) -> Result<Vec<Stored>, PageError> {
        if let [only] = self.searches.as_mut_slice() {
            return only.take(conn, way, edge, skip, most);
        }
        let mut edge = edge.cloned();
        let mut left = skip;
        while left > 0 {
            if skip > self.query.scan_limit {
                return Err(search::too_deep(self.query.scan_limit).into());
            }
            let skipped = self.merged(conn, way, edge.as_ref(), left.min(CHUNK))?;
            let Some((key, _)) = skipped.last() else {
                return Ok(Vec::new());
            };
            edge = Some(Edge {
                key: key.clone(),
                including: false,
            });
            left = left.saturating_sub(u64::try_from(skipped.len()).unwrap_or(u64::MAX));
        }
        let rows = self.merged(conn, way, edge.as_ref(), most)?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The nearest of all types.
    fn merged(
        &mut self,
        conn: &mut Conn,
        way: Direction,
        edge: Option<&Edge>,
        most: u64,
    ) -> Result<Vec<(Key, Stored)>, PageError> {
        let mut all = Vec::new();
        for search in &mut self.searches {
            for row in search.take(conn, way, edge, 0, most)? {
                all.push((search.key(conn, &row)?, row));
            }
        }
        let upwards = way.is_up(self.query.order);
        all.sort_by(|(left, _), (right, _)| {
            let order = left.cmp(right);
            if upwards { order } else { order.reverse() }
        });
        all.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(all)
    }
}

impl Direction {
    fn turned(self) -> Self {
        match self {
            Self::Onwards => Self::Backwards,
            Self::Backwards => Self::Onwards,
        }
    }

    /// Whether keys grow that way.
    fn is_up(self, order: Order) -> bool {
        (self == Self::Onwards) == (order == Order::Ascending)
    }
}

fn count_of<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
