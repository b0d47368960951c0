//! Rollcall: a SCIM 2.0 provisioning service. ARCHITECTURE.md describes the modules.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod ids;
pub mod issuers;
pub mod memory;
pub mod service;
pub mod settings;
pub mod setup;
pub mod store;
pub mod telemetry;
pub mod webhooks;
