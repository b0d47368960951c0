//! The schemas and resource types that every installation has, read from the files in `schema/`.

use std::sync::{Arc, LazyLock};

use super::access::ClientAccess;
use super::blueprint::Blueprint;
use super::common::built_in;
use super::extension::Extension;
use crate::schema::Schema;

/// Returns the schemas of the discovery resources.
pub(super) fn discovery() -> &'static [Arc<Schema>] {
    &*DISCOVERY
}

static DISCOVERY: LazyLock<[Arc<Schema>; 3]> = LazyLock::new(|| {
    // Read without the checks: the schema of schemas nests complex attributes, the one exception
    // that RFC 7643 section 7 makes.
    [
        include_str!("../schema/service_provider_config.json"),
        include_str!("../schema/resource_type.json"),
        include_str!("../schema/schema.json"),
    ]
    .map(|text| Arc::new(built_in(text)))
});

/// Returns a schema that a resource type can name by its URN, ignoring letter case: those of Okta's
/// governance.
pub fn known_schema(urn: &str) -> Option<Arc<Schema>> {
    KNOWN
        .iter()
        .find(|schema| schema.id.eq_ignore_ascii_case(urn))
        .cloned()
}

static KNOWN: LazyLock<[Arc<Schema>; 2]> = LazyLock::new(|| {
    [
        include_str!("../schema/okta_role.json"),
        include_str!("../schema/okta_entitlement.json"),
    ]
    .map(|text| Arc::new(built_in(text)))
});

impl Blueprint {
    /// Returns the types that are always there, as operators extend them: User with the enterprise
    /// extension (RFC 7643 section 4.3), and Group.
    ///
    /// # Errors
    /// None but those that a test of the compiled-in files would find.
    pub fn standard() -> Result<Vec<Self>, String> {
        blueprints()
    }
}

fn blueprints() -> Result<Vec<Blueprint>, String> {
    let parse = |text| Schema::parse(text).map(Arc::new);
    let enterprise = Extension {
        schema: parse(include_str!("../schema/enterprise_user.json"))?,
        required: false,
    };
    let user = Blueprint {
        name: "User".to_owned(),
        endpoint: "/Users".to_owned(),
        description: "A person who uses applications.".to_owned(),
        schema: parse(include_str!("../schema/user.json"))?,
        extensions: vec![enterprise],
        indexed: [
            "emails.value",
            "emails.type",
            "phoneNumbers.value",
            "name.familyName",
            "name.givenName",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        ]
        .map(str::to_owned)
        .to_vec(),
        access: ClientAccess::ReadWrite,
    };
    let group = Blueprint {
        name: "Group".to_owned(),
        endpoint: "/Groups".to_owned(),
        description: "A group of users and other groups.".to_owned(),
        schema: parse(include_str!("../schema/group.json"))?,
        extensions: Vec::new(),
        indexed: Vec::new(),
        access: ClientAccess::ReadWrite,
    };
    Ok(vec![user, group])
}
