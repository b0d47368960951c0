//! Parser, syntax tree and printer for SCIM 2.0 filters and PATCH paths (RFC 7644 sections 3.4.2.2
//! and 3.5.2).
//!
//! The crate knows the grammar and nothing else: no schema, no attribute types, no evaluation. It
//! has no dependencies, never panics and bounds its work by a [length and a depth](Options).
//!
//! ```
//! use scim_filter_parser::{CompareOp, Filter, Value};
//!
//! let filter = Filter::parse(r#"userName EQ "bjensen" and not(active eq false)"#)?;
//! assert_eq!(filter.to_string(), r#"userName eq "bjensen" and not (active eq false)"#);
//!
//! let Filter::And(terms) = filter else { unreachable!() };
//! let Some(Filter::Compare(first)) = terms.first() else { unreachable!() };
//! assert_eq!(first.path.name, "userName");
//! assert_eq!(first.op, CompareOp::Eq);
//! assert_eq!(first.value, Value::String("bjensen".to_owned()));
//! # Ok::<(), scim_filter_parser::ParseError>(())
//! ```
//!
//! PATCH paths:
//!
//! ```
//! use scim_filter_parser::PatchPath;
//!
//! let path = PatchPath::parse(r#"addresses[type eq "work"].streetAddress"#)?;
//! assert_eq!(path.attr.name, "addresses");
//! assert!(path.filter.is_some());
//! assert_eq!(path.sub.as_deref(), Some("streetAddress"));
//! # Ok::<(), scim_filter_parser::ParseError>(())
//! ```
//!
//! Errors say where and what:
//!
//! ```
//! use scim_filter_parser::{ErrorKind, Filter, PatchPath};
//!
//! let error = PatchPath::parse("emails[").unwrap_err();
//! assert_eq!(error.to_string(), "expected a filter after `[` (at byte 7)");
//!
//! let error = Filter::parse(r#"userName regex "b.*""#).unwrap_err();
//! assert_eq!((error.kind, error.position), (ErrorKind::UnknownOperator, 9));
//! ```
//!
//! # Dialects
//!
//! [`Dialect::Tolerant`], the default, also takes what real clients send although the RFC's grammar
//! lacks it; [`Dialect::Strict`] refuses it. See [`Dialect`] for the list.
//!
//! ```
//! use scim_filter_parser::{Dialect, Filter, Options, parse_filter_with};
//!
//! let text = r#"emails[type eq 'work'].value co "@example.com""#;
//! assert!(Filter::parse(text).is_ok());
//!
//! let strict = Options { dialect: Dialect::Strict, ..Options::default() };
//! assert!(parse_filter_with(text, &strict).is_err());
//! # Ok::<(), scim_filter_parser::ParseError>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ast;
mod error;
mod lexer;
mod literal;
mod options;
mod parse;
mod path;
mod print;

pub use ast::*;
pub use error::{ErrorKind, ParseError};
pub use options::{DEPTH_CEILING, Dialect, Options};
pub use parse::{parse_attr_path_with, parse_filter_with, parse_path_with};

#[cfg(test)]
mod tests;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
