//! The attributes that every resource has.

use std::sync::LazyLock;

use crate::schema::Schema;

/// Returns the attributes that every resource has (RFC 7643 section 3.1): `schemas`, `id`,
/// `externalId` and `meta`. Clients do not see them as a schema of its own.
pub fn common() -> &'static Schema {
    &COMMON
}

static COMMON: LazyLock<Schema> = LazyLock::new(|| built_in(include_str!("../schema/common.json")));

/// Reads a schema that is compiled in, without the checks.
#[expect(clippy::panic, reason = "the files are compiled in; a test reads them")]
pub(super) fn built_in(text: &str) -> Schema {
    match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(error) => panic!("a built-in schema: {error}"),
    }
}
