//! Health checks, metrics and the API documentation.

pub mod docs;
pub mod health;
pub mod observe;
pub mod route_metrics;
