//! A resource's own content as ordered JSON with canonical attribute names.

use serde_json::{Map, Value};

/// The stored part of a resource: everything but `meta`, `members`, `User.groups` and the password.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(pub Map<String, Value>);
