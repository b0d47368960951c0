//! The query for a page, and the page.

use std::sync::Arc;

use scim_core::registry::AttrRef;
use scim_core::sort::{Order, SortKey};
use scim_core::{Filter, ResourceType, ScimError};

use crate::memory::{MemoryBudget, MemoryError};
use crate::store::tables::resources::Stored;
use crate::store::{ResourceId, StoreError};

/// How many documents a filter may read by default.
pub const SCAN_LIMIT: u64 = 200_000;

/// How many comparisons a filter may cost by default.
pub const COST_LIMIT: u64 = 4_000_000;

/// How many resources are read at a time.
pub const CHUNK: u64 = 500;

/// A query for a page.
#[derive(Debug, Clone)]
pub struct PageQuery {
    pub kinds: Vec<TypeQuery>,
    pub order: Order,
    pub start: Start,
    /// With [`Start::After`], how many match after the id, if that is known; otherwise they are
    /// counted.
    pub ahead: Option<u64>,
    /// The most rows; 0 asks for the total only.
    pub limit: u32,
    /// How many documents may be read to evaluate what SQL cannot; see [`SCAN_LIMIT`].
    pub scan_limit: u64,
    /// How many comparisons the filter may cost: those for one resource, times the resources of the
    /// type; see [`COST_LIMIT`].
    pub cost_limit: u64,
    /// The most bytes of documents on a page of several resources.
    pub page_bytes: usize,
    /// The memory for the work on large documents.
    pub memory: Arc<MemoryBudget>,
    /// The URL before each endpoint, without a slash at its end; filters on `meta.location` and
    /// `$ref` need it.
    pub base_url: String,
}

/// The part of a query for one resource type.
#[derive(Debug, Clone)]
pub struct TypeQuery {
    pub rt: Arc<ResourceType>,
    pub filter: Option<Filter>,
    /// The attribute that orders them; `None` for their id alone.
    pub sort: Option<AttrRef>,
}

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After this number of matches. The cost grows with the number.
    Index(u64),
    /// After this id, whether or not it exists, in the order of ids.
    After(ResourceId),
    /// At a position that another page returned, or at the first resource; at the same cost
    /// anywhere.
    Position(Option<PagePosition>),
}

/// A position in the list, and the direction of the page from there.
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

/// A point before or after a resource, whether or not the resource exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub key: PageKey,
    /// Whether the resource itself is on the page.
    pub including: bool,
}

/// The sort key of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageKey {
    pub value: SortKey,
    pub id: ResourceId,
}

impl PageKey {
    /// About the memory that the key takes.
    pub fn bytes(&self) -> usize {
        let text = match &self.value {
            SortKey::Text(text) => text.len(),
            _ => 0,
        };
        size_of::<Self>()
            .saturating_add(self.id.as_str().len())
            .saturating_add(text)
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<Stored>,
    /// How many resources match, on this page or not; with [`Start::After`] only those after the
    /// id. `None` where a page that starts at a position would have to count them.
    pub total: Option<u64>,
    /// The position of the previous page; for pages that start at a position.
    pub previous: Option<PagePosition>,
    /// The position of the next page; for pages that start at a position.
    pub next: Option<PagePosition>,
}

/// An error in place of a page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PageError {
    /// The query would read too many documents.
    #[error(transparent)]
    Scim(#[from] ScimError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The page would have more bytes than [`PageQuery::page_bytes`] allows; about as many
    /// resources fit.
    #[error("the page is too long, {fitting} resources fit")]
    TooLong { fitting: u64 },
}

impl From<diesel::result::Error> for PageError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Direction {
    pub fn turned(self) -> Self {
        match self {
            Self::Onwards => Self::Backwards,
            Self::Backwards => Self::Onwards,
        }
    }

    /// Whether keys grow in this direction.
    pub fn is_up(self, order: Order) -> bool {
        (self == Self::Onwards) == (order == Order::Ascending)
    }
}

pub fn count_of<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
