//! The schemas and resource types that every installation has, read from the files in `schema/`.

use std::sync::{Arc, LazyLock};

use super::{Extension, ResourceType};
use crate::scim::schema::Schema;

/// The attributes that every resource has (RFC 7643 section 3.1). Not a schema of its own to clients.
pub fn common() -> &'static Schema {
    &COMMON
}

static COMMON: LazyLock<Schema> = LazyLock::new(|| built_in(include_str!("../schema/common.json")));

/// The schemas of the resources that describe this service.
pub(super) fn discovery() -> &'static [Arc<Schema>] {
    &*DISCOVERY
}

static DISCOVERY: LazyLock<[Arc<Schema>; 3]> = LazyLock::new(|| {
    // Read without the checks: the schema of schemas nests complex attributes, the one exception that
    // RFC 7643 section 7 makes.
    [
        include_str!("../schema/service_provider_config.json"),
        include_str!("../schema/resource_type.json"),
        include_str!("../schema/schema.json"),
    ]
    .map(|text| Arc::new(built_in(text)))
});

#[expect(clippy::panic, reason = "the files are compiled in; a test reads them")]
fn built_in(text: &str) -> Schema {
    match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(error) => panic!("a built-in schema: {error}"),
    }
}

pub(super) fn types() -> Result<Vec<ResourceType>, String> {
    let parse = |text| Schema::parse(text).map(Arc::new);
    let enterprise = Extension {
        schema: parse(include_str!("../schema/enterprise_user.json"))?,
        required: false,
    };
    let user = ResourceType::new(
        "User",
        "/Users",
        "A person who uses applications.",
        parse(include_str!("../schema/user.json"))?,
        vec![enterprise],
    )?;
    let group = ResourceType::new(
        "Group",
        "/Groups",
        "A group of users and other groups.",
        parse(include_str!("../schema/group.json"))?,
        Vec::new(),
    )?;
    let user = user.index(&[
        "emails.value",
        "emails.type",
        "phoneNumbers.value",
        "name.familyName",
        "name.givenName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    ])?;
    Ok(vec![user, group])
}
