//! A change as readers of the feed get it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::store::tables::changes::ChangeKind;

/// A change of one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub seq: i64,
    #[serde(serialize_with = "serialize_kind")]
    pub kind: ChangeKind,
    #[serde(rename = "type")]
    pub resource_type: String,
    pub id: String,
    pub at: Timestamp,
    pub actor: String,
    /// The attributes that an update changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Difference>,
    /// The members that were added or removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The whole resource as it was created or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Map<String, Value>>,
    /// Whether an erasure removed its content.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

fn serialize_kind<S: Serializer>(kind: &ChangeKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// An attribute that changed; `None` is unassigned. A secret has neither value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// A resource of a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotItem {
    pub id: String,
    pub resource_type: String,
    pub resource: Map<String, Value>,
}
