//! A resource type as it is declared, before it is checked and built.

use std::sync::Arc;

use super::{Extension, ResourceType, standard};
use crate::schema::Schema;

/// Whether clients may write the resources of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAccess {
    #[default]
    ReadWrite,
    /// Only the operator fills the type.
    ReadOnly,
}

/// The parts of a resource type. An operator's configuration adds to those of the standard.
#[derive(Debug, Clone)]
pub struct Blueprint {
    pub name: String,
    /// With the slash: `/Users`.
    pub endpoint: String,
    pub description: String,
    pub schema: Arc<Schema>,
    pub extensions: Vec<Extension>,
    /// The paths of the attributes that filters find by an index.
    pub indexed: Vec<String>,
    pub access: ClientAccess,
}

impl Blueprint {
    /// User with the enterprise extension, and Group.
    ///
    /// # Errors
    /// None but those that a test of the compiled-in files would find.
    pub fn standard() -> Result<Vec<Self>, String> {
        standard::blueprints()
    }

    /// Checks the parts and puts them together. The message of a fault is for the operator.
    ///
    /// # Errors
    /// What RFC 7643 does not allow, and what would clash.
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
