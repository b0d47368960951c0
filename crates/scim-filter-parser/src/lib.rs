//! Parser, AST and printer for SCIM 2.0 filters and PATCH paths (RFC 7644 sections 3.4.2.2 and 3.5.2).

mod ast;

pub use ast::*;
