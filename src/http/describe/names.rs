//! The names that the document derives from a resource type.

use scim_core::ResourceType;
use scim_core::schema::{Mutability, Uniqueness};

/// The endpoint without its slash: `Users`. It is the tag and the plural in the ids of operations.
pub fn plural(rt: &ResourceType) -> &str {
    rt.endpoint.trim_start_matches('/')
}

/// The name of the component that POST and PUT take.
pub fn input(rt: &ResourceType) -> String {
    format!("{}Input", rt.name)
}

/// The name of the component of a page.
pub fn page_name(rt: &ResourceType) -> String {
    format!("{}List", rt.name)
}

/// The names of the components of a type.
pub fn components(name: &str) -> [String; 3] {
    ["", "Input", "List"].map(|end| format!("{name}{end}"))
}

/// The name of a type in a sentence.
pub fn noun(rt: &ResourceType) -> String {
    rt.name.to_lowercase()
}

/// Whether a write can conflict with another resource.
pub fn can_conflict(rt: &ResourceType) -> bool {
    let mut attributes = rt.schema.attributes.iter();
    // Two groups must not share both name and `externalId`, though neither attribute is unique.
    rt.name == "Group"
        || attributes
            .any(|a| a.uniqueness != Uniqueness::None && a.mutability != Mutability::ReadOnly)
}
