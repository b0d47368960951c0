//! Lists: one page of the resources of one type or of several, in an order, and how many there are.
//!
//! SQL answers what it can; otherwise the remaining documents are read, evaluated and sorted here.
//! This module must not know how a position is encoded for clients, nor how a resource is rendered.

mod documents;
mod limits;
mod order;
mod request;
mod search;

use scim_core::ScimError;
use scim_core::sort::SortKey;

use crate::store::tables::resources::Stored;
use crate::store::{Conn, ResourceId, StoreError, TenantId};
use limits::too_many;
use request::{CHUNK, count_of};
pub use request::{
    COST_LIMIT, Direction, Edge, Page, PageError, PageKey, PagePosition, PageQuery, SCAN_LIMIT,
    Start, TypeQuery,
};
use search::{Search, Window};

/// Returns one page of resources.
pub fn page(conn: &mut Conn, tenant: TenantId, query: &PageQuery) -> Result<Page, PageError> {
    let searches = query.kinds.iter();
    let searches = searches.map(|kind| Search::new(conn, tenant, query, kind));
    let mut list = List {
        query,
        searches: searches.collect(),
    };
    list.read(conn).map_err(|error| match error {
        PageError::Store(StoreError::OutOfTime) => list.too_slow().into(),
        error => error,
    })
}

/// A query and how to answer it for each of its types.
struct List<'a> {
    query: &'a PageQuery,
    searches: Vec<Search<'a>>,
}

impl List<'_> {
    fn read(&mut self, conn: &mut Conn) -> Result<Page, PageError> {
        self.check_cost(conn)?;
        match &self.query.start {
            Start::Index(skip) => self.by_index(conn, *skip),
            Start::After(id) => self.after(conn, id),
            Start::Position(position) => self.by_position(conn, position.as_ref()),
        }
    }

    /// Rejects a filter that would cost too much, before it is evaluated.
    fn check_cost(&self, conn: &mut Conn) -> Result<(), PageError> {
        let mut cost: u64 = 0;
        for search in &self.searches {
            cost = cost.saturating_add(search.cost(conn)?);
            if cost > self.query.cost_limit {
                return Err(search.too_costly(cost).into());
            }
        }
        Ok(())
    }

    fn too_slow(&self) -> ScimError {
        match self.searches.first() {
            Some(search) => search.too_slow(),
            None => too_many("The list takes too long. Ask for a smaller page.".to_owned()),
        }
    }

    fn by_index(&mut self, conn: &mut Conn, skip: u64) -> Result<Page, PageError> {
        let window = Window {
            skip,
            ..self.window(Direction::Onwards, None)
        };
        let rows = self.take(conn, window)?;
        let total = match self.known_total(&rows, skip) {
            Some(total) => total,
            None => self.count(conn)?,
        };
        Ok(self.page(rows, Some(total)))
    }

    fn after(&mut self, conn: &mut Conn, id: &ResourceId) -> Result<Page, PageError> {
        let edge = Edge {
            key: PageKey {
                value: SortKey::Missing,
                id: id.clone(),
            },
            including: false,
        };
        let rows = self.take(conn, self.window(Direction::Onwards, Some(&edge)))?;
        let total = match self.known_total(&rows, 0) {
            Some(total) => total,
            None => match self.query.ahead {
                Some(ahead) => ahead,
                None => self.count_after(conn, &edge)?,
            },
        };
        Ok(self.page(rows, Some(total)))
    }

    fn by_position(
        &mut self,
        conn: &mut Conn,
        position: Option<&PagePosition>,
    ) -> Result<Page, PageError> {
        let (way, edge) = match position {
            Some(position) => (position.way, Some(&position.edge)),
            None => (Direction::Onwards, None),
        };
        let mut rows = self.take(conn, self.window(way, edge))?;
        let total = match position {
            None => match self.known_total(&rows, 0) {
                Some(total) => Some(total),
                None => Some(self.count(conn)?),
            },
            Some(_) if self.query.limit == 0 => Some(self.count(conn)?),
            Some(_) => self.uncounted_total(conn)?,
        };
        if self.query.limit == 0 {
            return Ok(self.page(rows, total));
        }
        let is_more = count_of(&rows) > u64::from(self.query.limit);
        rows.truncate(usize::try_from(self.query.limit).unwrap_or(usize::MAX));
        let ahead = match rows.last() {
            Some(last) if is_more => Some(self.position_beyond(conn, last, way)?),
            _ => None,
        };
        let behind = match edge {
            Some(edge) => self.position_behind(conn, rows.first(), edge, way)?,
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

    /// The rows of a page, and one more: it tells whether that is all. Mostly it is, and then
    /// nothing needs to be counted.
    fn window<'e>(&self, way: Direction, edge: Option<&'e Edge>) -> Window<'e> {
        let most = match u64::from(self.query.limit) {
            0 => 0,
            limit => limit + 1,
        };
        Window {
            edge,
            upwards: way.is_up(self.query.order),
            skip: 0,
            most,
        }
    }

    /// The position of the page that continues in this direction after the resource.
    fn position_beyond(
        &mut self,
        conn: &mut Conn,
        row: &Stored,
        way: Direction,
    ) -> Result<PagePosition, PageError> {
        let edge = Edge {
            key: self.key(conn, row)?,
            including: false,
        };
        Ok(PagePosition { way, edge })
    }

    /// The position of the page that goes the other way from the start of this one, if there is
    /// anything.
    fn position_behind(
        &mut self,
        conn: &mut Conn,
        first: Option<&Stored>,
        edge: &Edge,
        way: Direction,
    ) -> Result<Option<PagePosition>, PageError> {
        let back = way.turned();
        let position = match first {
            Some(first) => self.position_beyond(conn, first, back)?,
            None => PagePosition {
                way: back,
                edge: Edge {
                    key: edge.key.clone(),
                    including: !edge.including,
                },
            },
        };
        let window = Window {
            most: 1,
            ..self.window(back, Some(&position.edge))
        };
        let found = self.take(conn, window)?;
        Ok((!found.is_empty()).then_some(position))
    }

    /// How many there are from the start, if the rows, skipped or read, are all of them.
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

    /// The total, if it is known without counting.
    fn uncounted_total(&mut self, conn: &mut Conn) -> Result<Option<u64>, PageError> {
        let mut total = 0;
        for search in &mut self.searches {
            let Some(count) = search.uncounted_total(conn)? else {
                return Ok(None);
            };
            total += count;
        }
        Ok(Some(total))
    }

    fn key(&self, conn: &mut Conn, row: &Stored) -> Result<PageKey, PageError> {
        let own = |search: &&Search| search.kind.rt.name == row.resource_type;
        match self.searches.iter().find(own) {
            Some(search) => search.key(conn, row),
            None => Ok(PageKey {
                value: SortKey::Missing,
                id: row.id.clone(),
            }),
        }
    }

    /// The rows of the window, the nearest to its edge first.
    fn take(&mut self, conn: &mut Conn, window: Window<'_>) -> Result<Vec<Stored>, PageError> {
        if window.most == 0 {
            return Ok(Vec::new());
        }
        if let [only] = self.searches.as_mut_slice() {
            return only.take(conn, &window);
        }
        let mut edge = window.edge.cloned();
        let mut left = window.skip;
        let mut chunk = CHUNK;
        while left > 0 {
            if window.skip > self.query.scan_limit {
                return Err(limits::too_deep(self.query.scan_limit).into());
            }
            let skipped = Window {
                edge: edge.as_ref(),
                skip: 0,
                most: left.min(chunk),
                ..window
            };
            let skipped = match self.merged(conn, &skipped) {
                Err(PageError::TooLong { .. }) if chunk > 1 => {
                    chunk = chunk.div_euclid(4).max(1);
                    continue;
                }
                skipped => skipped?,
            };
            let Some((key, _)) = skipped.last() else {
                return Ok(Vec::new());
            };
            left = left.saturating_sub(count_of(&skipped));
            edge = Some(Edge {
                key: key.clone(),
                including: false,
            });
        }
        let rest = Window {
            edge: edge.as_ref(),
            skip: 0,
            ..window
        };
        let rows = self.merged(conn, &rest)?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The rows of the window, of all types together.
    fn merged(
        &mut self,
        conn: &mut Conn,
        window: &Window<'_>,
    ) -> Result<Vec<(PageKey, Stored)>, PageError> {
        let mut all = Vec::new();
        for search in &mut self.searches {
            for row in search.take(conn, window)? {
                all.push((search.key(conn, &row)?, row));
            }
        }
        all.sort_by(|(left, _), (right, _)| {
            let order = left.cmp(right);
            if window.upwards {
                order
            } else {
                order.reverse()
            }
        });
        all.truncate(usize::try_from(window.most).unwrap_or(usize::MAX));
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
