//! The OpenAPI document.

use crate::scim::Registry;

/// The document for the registry's types.
pub fn document(_registry: &Registry) -> utoipa::openapi::OpenApi {
    utoipa::openapi::OpenApi::default()
}
