//! SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865) without I/O: the library under a SCIM server or client.
//!
//! Text and JSON values go in, values and [`ScimError`]s come out. The crate does no I/O, reads no
//! clock and draws no random number; HTTP, storage, ids and authorization are yours. Resource types
//! are data: a [`Registry`] is built from schema files, and User and Group have no code of their
//! own that another type would have to repeat.
//!
//! # Tour
//!
//! | you want to | use |
//! |---|---|
//! | declare resource types and schemas | [`registry`], [`schema`] |
//! | read the body of a POST or PUT | [`admit`] |
//! | read and apply a PATCH | [`patch`] |
//! | parse a filter and evaluate it | [`filter`], [`eval`] |
//! | sort | [`sort`] |
//! | show some attributes, hide others | [`project`], [`field_mask`], [`secrets`] |
//! | keep a resource with its `meta` | [`resource`] |
//! | write a resource as JSON | [`render`], [`views`] |
//! | write lists, errors and discovery | [`message`] |
//! | compare two documents | [`diff`] |
//! | check `If-Match` and `If-None-Match` | [`version`] |
//! | read a bulk request | [`bulk`] |
//! | index documents in a database | [`indexing`] |
//!
//! A resource is stored as a [`Document`]: ordered JSON with the schema's own spelling of names.
//! Members of groups and `meta` are never part of it. Documents are made by [`admit`] and
//! [`patch`], and everything else trusts them.
//!
//! ```
//! use scim_core::eval::{View, matches};
//! use scim_core::render::Meta;
//! use scim_core::{Compatibility, Registry, Timestamp, admit, filter};
//! use serde_json::json;
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//!
//! // A POST, in the letter case and types of a real client.
//! let body = json!({
//!     "username": "ada",
//!     "Active": "True",
//!     "emails": [{ "value": "ada@EXAMPLE.com" }],
//! });
//! let mut admitted = admit::admit(user, &body, Compatibility::Tolerant)?;
//! admitted.document.set_id("1");
//! let document = &admitted.document;
//! assert_eq!(document.id(), Some("1"));
//! assert_eq!(document.0["active"], true);
//! assert_eq!(document.0["emails"][0]["value"], "ada@example.com");
//!
//! // A query.
//! let text = r#"emails[value ew "@example.com"] and active eq true"#;
//! let filter = filter::parse(user, text, Compatibility::Tolerant)?;
//! let meta = Meta {
//!     resource_type: "User",
//!     created: Timestamp::UNIX_EPOCH,
//!     modified: Timestamp::UNIX_EPOCH,
//!     location: "https://example.com/scim/v2/Users/1",
//!     version: 1.into(),
//! };
//! assert!(matches(&filter, &View::new(document, &meta)));
//! # Ok::<(), scim_core::ScimError>(())
//! ```
//!
//! `examples/in_memory_server.rs` is a server of about 100 lines on this crate and actix-web.
//!
//! # Tolerant or strict
//!
//! Identity providers send text for booleans, single values for lists and names in any letter case.
//! Each function that reads a request takes a [`Compatibility`]: `Tolerant` understands these,
//! `Strict` accepts only what the standards allow.
//!
//! # Errors
//!
//! A [`ScimError`] has a [kind](ErrorKind) with the `scimType` and the HTTP status of the
//! standards, and a `detail` for the administrator of the identity provider. It never repeats a
//! value that could be a secret. Functions that read schema files return a `String` for the
//! operator instead.
//!
//! # Limits
//!
//! No input makes the crate panic. The depth of filters and of undeclared JSON, the length of
//! indexed text and the steps of a PATCH are bounded; the size of a body is for the caller to
//! bound.

#![warn(missing_docs)]

pub mod admit;
pub mod assigned;
pub mod bulk;
mod coerce;
pub mod compatibility;
pub mod diff;
pub mod document;
mod equality;
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
pub mod resource;
pub mod schema;
pub mod secrets;
pub mod sort;
mod strict;
#[cfg(test)]
mod test_cases;
mod validate;
pub mod version;
pub mod views;

pub use compatibility::Compatibility;
pub use document::Document;
pub use error::{ErrorKind, ScimError};
pub use filter::Filter;
/// The type of `meta.created` and `meta.lastModified`.
pub use jiff::Timestamp;
pub use members::{Member, MemberEdit};
pub use name::Folded;
pub use registry::{Registry, ResourceType};
pub use resource::Resource;
pub use version::{Precondition, Version};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
