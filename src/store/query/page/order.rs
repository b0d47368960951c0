//! The sources of sort keys, and the segments in which an ordered list is read.

use scim_core::eval;
use scim_core::registry::{AttrRef, ResourceType};
use scim_core::schema::Type;
use scim_core::sort::SortKey;

use crate::store::engine::fragment::OwnedBind;
use crate::store::query::page::request::Edge;

/// The source of the sort keys of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum SortSource {
    /// All keys are the same, so the ids decide.
    Same(SortKey),
    /// A column of `resources`.
    Column(SortColumn),
    /// Rows of `attributes`, at most one per resource.
    Rows { path: String, column: &'static str },
    /// The documents; each has to be read.
    Documents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortColumn {
    pub name: &'static str,
    /// The column without its index; see [`crate::store::query::predicate::unindexed`].
    pub unindexed: &'static str,
    nullable: bool,
    /// Whether no two resources of the type have the same value.
    pub unique: bool,
    rank: u8,
}

/// A part of the list: first those with a value, then those without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    Present,
    Missing,
}

/// The resources of a segment that are beyond an edge.
#[derive(Debug, Clone, PartialEq)]
pub enum SegmentPart<'a> {
    All,
    None,
    /// Those beyond the edge, by value and id.
    Beyond(&'a Edge),
    /// Those beyond the edge, by id alone, since all have its value.
    BeyondId(&'a Edge),
}

impl SortSource {
    pub fn of(rt: &ResourceType, sort: Option<&AttrRef>) -> Self {
        let Some(path) = sort else {
            return Self::Same(SortKey::Missing);
        };
        if let Some(column) = column(path) {
            return Self::Column(column);
        }
        match path.key() {
            "id" => return Self::Same(SortKey::Missing),
            "meta.resourceType" => {
                return Self::Same(SortKey::Text(path.comparable(&rt.name).into_owned()));
            }
            _ => {}
        }
        let column = match path.leaf().kind {
            Type::String | Type::Reference | Type::Binary => "text",
            Type::Integer | Type::Decimal => "num",
            // Rows store booleans and times as numbers of less precision.
            Type::Boolean | Type::DateTime | Type::Complex => return Self::Documents,
        };
        // Rows do not store which of several values is the primary one.
        if path.is_multi_valued() || !rt.indexed.contains(path) {
            return Self::Documents;
        }
        Self::Rows {
            path: path.key().to_owned(),
            column,
        }
    }

    /// The segments in the order in which they are read.
    pub fn segments(&self, upwards: bool) -> &'static [Segment] {
        use Segment::{Missing, Present};
        match (self, upwards) {
            (Self::Same(SortKey::Missing), _) => &[Missing],
            (Self::Same(_) | Self::Documents, _) => &[Present],
            (Self::Column(column), _) if !column.nullable => &[Present],
            (Self::Column(_) | Self::Rows { .. }, true) => &[Present, Missing],
            (Self::Column(_) | Self::Rows { .. }, false) => &[Missing, Present],
        }
    }

    /// Returns the part of the segment beyond the edge.
    pub fn part<'e>(&self, segment: Segment, edge: &'e Edge, upwards: bool) -> SegmentPart<'e> {
        let value = &edge.key.value;
        let order = match self {
            Self::Same(own) => own.cmp(value),
            _ => self.rank(segment).cmp(&value.rank()),
        };
        if order.is_eq() {
            return match (self, segment) {
                (Self::Same(_), _) | (_, Segment::Missing) => SegmentPart::BeyondId(edge),
                (_, Segment::Present) => SegmentPart::Beyond(edge),
            };
        }
        if order.is_gt() == upwards {
            SegmentPart::All
        } else {
            SegmentPart::None
        }
    }

    /// See [`SortKey::rank`].
    fn rank(&self, segment: Segment) -> u8 {
        match (self, segment) {
            (_, Segment::Missing) => SortKey::Missing.rank(),
            (Self::Column(column), _) => column.rank,
            (Self::Rows { column: "num", .. }, _) => SortKey::Number(0.0).rank(),
            _ => SortKey::Text(String::new()).rank(),
        }
    }
}

/// The column with the comparable value of the attribute.
fn column(path: &AttrRef) -> Option<SortColumn> {
    let text = SortKey::Text(String::new()).rank();
    let instant = SortKey::Instant(0).rank();
    let plain = |name, unindexed, rank| SortColumn {
        name,
        unindexed,
        nullable: false,
        unique: false,
        rank,
    };
    let nullable = |name, unindexed, rank| SortColumn {
        nullable: true,
        ..plain(name, unindexed, rank)
    };
    let is = |kind: Type| path.leaf().kind == kind && !path.is_multi_valued();
    match path.key() {
        "meta.created" => Some(plain("created", "+created", instant)),
        "meta.lastModified" => Some(plain("modified", "+modified", instant)),
        "externalId" => Some(nullable("external_id", "+external_id", text)),
        "userName" if is(Type::String) => Some(SortColumn {
            unique: true,
            ..nullable("user_name", "+user_name", text)
        }),
        "displayName" if is(Type::String) => Some(nullable("display_name", "+display_name", text)),
        "active" if is(Type::Boolean) => {
            Some(nullable("active", "+active", SortKey::Bool(true).rank()))
        }
        _ => None,
    }
}

/// The value as a parameter; `None` for a boolean, which is written as text, and for a missing
/// value.
pub fn bind(value: &SortKey) -> Option<OwnedBind> {
    match value {
        SortKey::Number(number) => Some(OwnedBind::Double(*number)),
        SortKey::Instant(micros) => Some(OwnedBind::BigInt(*micros)),
        SortKey::Text(text) => Some(OwnedBind::Text(text.clone())),
        SortKey::Bool(_) | SortKey::Missing => None,
    }
}

/// Whether the list is ordered by this relational attribute, which needs the documents.
pub fn asks_for(sort: Option<&AttrRef>, name: &str) -> bool {
    sort.is_some_and(|path| path.container.is_none() && path.attribute.name == name)
}

/// Whether the filter mentions this attribute.
pub fn mentions(filter: Option<&scim_core::Filter>, name: &str) -> bool {
    filter.is_some_and(|filter| eval::mentions(filter, name))
}
