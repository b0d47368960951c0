//! The order of a list (RFC 7644 section 3.4.2.3): by one attribute, and among equals by id.
//!
//! The reference for a database's `ORDER BY`, as [`crate::eval`] is for its conditions. Resources
//! without a value come last; descending is the exact reverse of ascending. The module knows
//! nothing of SQL or of paging.

use std::cmp::Ordering;

use serde_json::Value;

use crate::eval::{View, attribute, elements, values_at};
use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Returned, Type, instant};
use crate::{Compatibility, ScimError};

/// The `sortOrder` of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The smallest first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

/// The sort key of one resource: ready to compare, and the greatest of all if it has no value.
#[derive(Debug, Clone)]
pub enum SortKey {
    /// False before true.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Microseconds since the epoch.
    Instant(i64),
    /// Folded unless the attribute is `caseExact`.
    Text(String),
    /// No value; comes last.
    Missing,
}

/// A sort key is put into cursors, and no index has longer ones. Texts that differ only later are
/// equals.
const LONGEST_BYTES: usize = 2_000;

impl Order {
    /// Reads `sortOrder`, in any letter case.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("ascending") {
            Ok(Self::Ascending)
        } else if text.eq_ignore_ascii_case("descending") {
            Ok(Self::Descending)
        } else {
            Err(ScimError::invalid_value(
                "sortOrder must be ascending or descending.",
            ))
        }
    }
}

/// Resolves `sortBy`; returns `None` if the type has no such attribute.
///
/// # Errors
/// `invalidValue` for a complex attribute without `value`, and for one that is never returned,
/// since the order would reveal its values.
pub fn resolve(
    rt: &ResourceType,
    sort_by: &str,
    compatibility: Compatibility,
) -> Result<Option<AttrRef>, ScimError> {
    let sort_by = sort_by.trim();
    let corrected = || match compatibility {
        Compatibility::Tolerant => rt.attr_by_key(&rt.with_colon(sort_by)?),
        Compatibility::Strict => None,
    };
    let Some(path) = rt.attr_by_key(sort_by).or_else(corrected) else {
        return Ok(None);
    };
    let is_never_returned = |returned| returned == Returned::Never;
    if is_never_returned(path.leaf().returned) || is_never_returned(path.attribute.returned) {
        return Err(ScimError::invalid_value(format!(
            "{path} cannot be sorted by, because it is never returned."
        )));
    }
    if !path.leaf().is_complex() {
        return Ok(Some(path));
    }
    // As in filters, `emails` means the value.
    rt.attr_by_key(&format!("{path}.value"))
        .map(Some)
        .ok_or_else(|| {
            let first = path.leaf().sub_attributes.first();
            ScimError::invalid_value(format!(
                "{path} is complex: sort by one of its sub-attributes, such as {path}.{}.",
                first.map_or("value", |sub| &sub.name)
            ))
        })
}

/// The key that orders the resource: of several values the primary one, else the first. The same
/// holds for the values of a sub-attribute that has several.
pub fn key(path: &AttrRef, view: &View) -> SortKey {
    let value = attribute(path, view);
    let elements = elements(value.as_deref());
    let key = |element: &Value| {
        let mut values = values_at(path, element).iter();
        values.find_map(|value| typed(path, value))
    };
    let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
    let mut primary = elements
        .iter()
        .filter(|_| path.attribute.multi_valued)
        .filter(is_primary);
    primary
        .find_map(key)
        .or_else(|| elements.iter().find_map(key))
        .unwrap_or(SortKey::Missing)
}

fn typed(path: &AttrRef, value: &Value) -> Option<SortKey> {
    match (path.leaf().kind, value) {
        (Type::Boolean, Value::Bool(value)) => Some(SortKey::Bool(*value)),
        (Type::Integer | Type::Decimal, Value::Number(number)) => {
            number.as_f64().map(SortKey::Number)
        }
        (Type::DateTime, Value::String(text)) => instant(text).map(SortKey::Instant),
        (Type::String | Type::Reference | Type::Binary, Value::String(text))
            if !text.is_empty() =>
        {
            let mut text = path.comparable(text).into_owned();
            text.truncate(text.floor_char_boundary(LONGEST_BYTES));
            Some(SortKey::Text(text))
        }
        _ => None,
    }
}

impl SortKey {
    /// The order of kinds: where several types are listed, their attributes of one name may be of
    /// several kinds.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
            Self::Missing => 4,
        }
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            // The sum makes one zero of the two that there are; JSON has no NaN.
            (Self::Number(left), Self::Number(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
            (Self::Instant(left), Self::Instant(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SortKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for SortKey {}
