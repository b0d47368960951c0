//! Resource types, their schemas and extensions, and the resolution of names to attributes.

use std::sync::Arc;

use crate::scim::schema::{Attribute, Schema};

/// All resource types of the service.
#[derive(Debug)]
pub struct Registry {
    types: Vec<Arc<ResourceType>>,
}

/// One resource type: `User` at `/Users`.
#[derive(Debug)]
pub struct ResourceType {
    /// Also `meta.resourceType` and the value of the `resource_type` column.
    pub name: String,
    /// With the slash: `/Users`.
    pub endpoint: String,
    pub description: String,
    pub schema: Arc<Schema>,
    pub extensions: Vec<Extension>,
    /// The paths that have rows in the store's `attributes` table.
    pub indexed: Vec<AttrRef>,
    // the helper of the core adds private lookup tables here
}

#[derive(Debug)]
pub struct Extension {
    pub schema: Arc<Schema>,
    pub required: bool,
}

/// A path to an attribute of one resource type, canonical in spelling and cheap to clone.
#[derive(Debug, Clone)]
pub struct AttrRef(pub(super) Arc<AttrPath>);

#[derive(Debug)]
pub struct AttrPath {
    /// Canonical text: `userName`, `emails.value`, `meta.created`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    pub key: String,
    /// The extension's URN, where the attribute lives in an extension's container.
    pub container: Option<Arc<str>>,
    pub attribute: Arc<Attribute>,
    pub sub: Option<Arc<Attribute>>,
}

impl AttrRef {
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The attribute that holds the value: the sub-attribute where the path names one.
    pub fn leaf(&self) -> &Attribute {
        self.0.sub.as_deref().unwrap_or(&self.0.attribute)
    }
}

impl std::ops::Deref for AttrRef {
    type Target = AttrPath;
    fn deref(&self) -> &AttrPath {
        &self.0
    }
}

impl PartialEq for AttrRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}
