//! The declaration of a resource type, before it is checked and built.

use std::sync::Arc;

use super::access::ClientAccess;
use super::extension::Extension;
use super::resource_type::ResourceType;
use crate::schema::Schema;

/// The parts of a resource type. An operator's configuration adds to those of the standard.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The name, such as `User`.
    pub name: String,
    /// With the slash: `/Users`.
    pub endpoint: String,
    /// A description for people.
    pub description: String,
    /// The core schema.
    pub schema: Arc<Schema>,
    /// The schema extensions.
    pub extensions: Vec<Extension>,
    /// The paths of the attributes that filters find by an index.
    pub indexed: Vec<String>,
    /// The access of clients to resources of this type.
    pub access: ClientAccess,
}

impl Blueprint {
    /// Checks the parts and builds the type.
    ///
    /// # Errors
    /// Returns a message for the operator if the declaration breaks RFC 7643 or two parts clash.
    pub fn build(&self) -> Result<ResourceType, String> {
        let keys: Vec<&str> = self.indexed.iter().map(String::as_str).collect();
        let rt = ResourceType::new(
            &self.name,
            &self.endpoint,
            &self.description,
            Arc::clone(&self.schema),
            self.extensions.clone(),
        )?;
        let mut rt = rt.index(&keys)?;
        rt.access = self.access;
        Ok(rt)
    }
}
