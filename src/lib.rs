//! Rollcall: a SCIM 2.0 provisioning service. ARCHITECTURE.md has the map.

pub mod scim;
pub mod store;
