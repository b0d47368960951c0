//! A filter whose paths and operands have been checked against one resource type.
//!
//! [`resolve`] turns the parser's syntax into this form once; [`crate::scim::eval`] and the store's SQL both
//! read it, so that they can only agree.

use crate::scim::registry::AttrRef;

/// A resolved filter. Inside [`Filter::Element`] the paths are those of the element's sub-attributes.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(AttrRef),
    Compare {
        path: AttrRef,
        op: CompareOp,
        value: Operand,
    },
    /// `emails[type eq "work"]`: one element satisfies the whole inner filter.
    /// The paths inside are complete (`emails.type`), and are looked up in the one element.
    Element {
        path: AttrRef,
        filter: Box<Filter>,
    },
}

pub use scim_filter_parser::CompareOp;

/// The right side of a comparison, typed as its attribute demands.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Unassigned (RFC 7643 section 2.5: null, missing and `[]` are one state).
    Null,
    Bool(bool),
    /// Integer and decimal attributes.
    Number(f64),
    /// The text to compare with: folded by the attribute's own rule where it is `caseExact: false`, raw otherwise.
    Text(String),
    /// `dateTime` attributes: microseconds since the epoch.
    Instant(i64),
}
