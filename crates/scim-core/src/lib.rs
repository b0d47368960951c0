//! The pure core: text and values in, values and [`ScimError`] out.
//!
//! It does no IO, reads no clock and draws no random number, and must not know actix, diesel, tokio,
//! the configuration or the clock.

pub mod admit;
pub mod assigned;
pub mod bulk;
pub mod compatibility;
pub mod diff;
pub mod document;
pub mod error;
pub mod eval;
pub mod field_mask;
pub mod filter;
pub mod indexing;
pub mod members;
pub mod message;
pub mod name;
pub mod patch;
pub mod personal_data;
pub mod project;
pub mod registry;
pub mod render;
pub mod schema;
pub mod secrets;
pub mod sort;
pub mod version;
pub mod views;

pub use compatibility::Compatibility;
pub use document::Document;
pub use error::{ErrorKind, ScimError};
pub use filter::Filter;
pub use members::{Member, MemberEdit};
pub use name::Folded;
pub use registry::{Registry, ResourceType};
pub use version::{Precondition, Version};
