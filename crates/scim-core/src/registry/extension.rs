//! An extension of a resource type.

use std::sync::Arc;

use crate::schema::Schema;

/// A schema extension of a resource type (RFC 7643 section 3.3).
#[derive(Debug, Clone)]
pub struct Extension {
    /// The schema of the extension's attributes, which are an object under its URN.
    pub schema: Arc<Schema>,
    /// Every resource must have the extension.
    pub required: bool,
}
