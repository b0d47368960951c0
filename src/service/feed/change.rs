//! A change as readers of the feed get it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::store::tables::changes::ChangeKind;

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedChange)]
pub struct Change {
    /// One higher than that of the tenant's previous change.
    pub seq: i64,
    #[serde(serialize_with = "serialize_kind")]
    #[schema(
        value_type = String,
        pattern = "^(created|updated|activated|deactivated|deleted|member_added|member_removed|member_skipped|erased)$"
    )]
    pub kind: ChangeKind,
    /// The resource type: `User`, `Group`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The id of the resource. For a change of members, that of the group.
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The name of the token, or the subject of the access token, that made the change.
    pub actor: String,
    /// The attributes that differ: of `updated`, `activated` and `deactivated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Difference>,
    /// The long lists that differ, which are not among the attributes: of `updated`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListDifference>,
    /// The ids of the members that were added or removed: of `member_added` and `member_removed`.
    /// For `member_skipped`, those that are unknown here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The whole resource, without its members, groups and `meta`: of `created` and `deleted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub resource: Option<Map<String, Value>>,
    /// Whether the resource was erased, so that the change has no attributes, members or resource
    /// any more. Left out if it is false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub erased: bool,
}

fn serialize_kind<S: Serializer>(kind: &ChangeKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// An attribute that differs. Null is unassigned; of a secret both values are null.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedDifference)]
pub struct Difference {
    /// `title`, `name.givenName`, `emails`, or after the URN of an extension and a colon.
    pub path: String,
    #[schema(value_type = Value)]
    pub before: Option<Value>,
    #[schema(value_type = Value)]
    pub after: Option<Value>,
}

/// A long list that differs, by its elements. Take those of `removed` out of the list, add those of
/// `added` that are not in it, and set in those of `modified` what differs.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedListDifference)]
pub struct ListDifference {
    /// `emails`, or after the URN of an extension and a colon.
    pub path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub removed: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub added: Vec<Value>,
    /// Large elements, without long values that stay the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub modified: Vec<ModifiedElement>,
}

/// A large element that was modified.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = FeedModifiedElement)]
pub struct ModifiedElement {
    /// Sub-attributes that are the same before and after, to find it by. Long values are left out.
    #[schema(value_type = Object)]
    pub same: Map<String, Value>,
    /// The sub-attributes that differ, before.
    #[schema(value_type = Object)]
    pub before: Map<String, Value>,
    /// The sub-attributes that differ, after.
    #[schema(value_type = Object)]
    pub after: Map<String, Value>,
}

/// A resource, without its members, groups and `meta`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = FeedResource)]
pub struct SnapshotItem {
    pub id: String,
    #[serde(rename = "type")]
    pub resource_type: String,
    /// As text, because values take several times as much memory.
    #[schema(value_type = Object)]
    pub resource: Box<RawValue>,
}
