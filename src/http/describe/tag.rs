//! The groups of operations besides those of the resource types.

pub const DIRECTORY: &str = "Directory";
pub const ME: &str = "Me";
pub const BULK: &str = "Bulk";
pub const SEARCH: &str = "Search";
pub const DISCOVERY: &str = "Discovery";
pub const ADMINISTRATION: &str = "Administration";
pub const OPERATIONS: &str = "Operations";

/// The groups with their descriptions, in the order of the document.
pub const DESCRIBED: [(&str, &str); 7] = [
    (
        DIRECTORY,
        "Users and groups in plain JSON, for applications that do not speak SCIM.",
    ),
    (
        ME,
        "The caller's own user: the one that the subject of the access token names. `Location` has its permanent \
         address. The tokens of this service belong to no user, so they get 404.",
    ),
    (BULK, "Many operations in one request."),
    (SEARCH, "All resource types at once."),
    (
        DISCOVERY,
        "The features, resource types and schemas of the service.",
    ),
    (ADMINISTRATION, "Tenants, tokens and webhooks."),
    (OPERATIONS, "Health and metrics, for operators."),
];
