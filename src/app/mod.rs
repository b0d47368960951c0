//! The whole service, built from the settings.

mod background;
mod build;
mod first_access;
mod issuers;
mod listen;
pub mod registry;
mod tls;

pub use build::App;
