//! The edits that the operations of a PATCH resolve to. [`super::apply`] carries them out.

use std::sync::Arc;

use serde_json::Value;

use super::undeclared::UndeclaredEdit;
use crate::Filter;
use crate::registry::AttrRef;
use crate::schema::Attribute;

/// One step on the document.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// Check that the id in the request is the resource's own.
    CheckId(String),
    Password(PasswordEdit),
    Attribute {
        /// Of the whole attribute, never of a sub-attribute.
        path: AttrRef,
        change: ValueEdit,
    },
    /// Remove all attributes of an extension.
    Clear(String),
    Undeclared(UndeclaredEdit),
}

/// A change of the password, which is no part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordEdit {
    /// Leave it.
    Keep,
    /// Remove it.
    Clear,
    /// Set it to this text, in clear.
    Set(String),
}

/// A change of one attribute or sub-attribute.
#[derive(Debug, Clone)]
pub(super) enum ValueEdit {
    Unassign,
    /// Singular and simple: unassign where the value is equal to this one.
    UnassignEqual(Value),
    /// Singular and simple.
    Set(Value),
    /// Singular and complex.
    Merge(Vec<SubEdit>),
    /// Multi-valued: add elements.
    Append(Vec<Value>),
    /// Multi-valued: these elements and no others.
    Elements(Vec<Value>),
    /// Multi-valued: remove the elements that hold all that one of these holds.
    RemoveListed(Vec<Value>),
    /// Multi-valued: one sub-attribute of each element.
    Each(Box<SubEdit>),
    /// Multi-valued: the elements that satisfy the filter.
    Where(Box<ElementSelection>),
}

/// A change of one sub-attribute.
pub(super) type SubEdit = (Arc<Attribute>, ValueEdit);

/// The elements that a filter finds, and what happens to them.
#[derive(Debug, Clone)]
pub(super) struct ElementSelection {
    /// The attribute, or the multi-valued sub-attribute, whose elements are meant.
    pub path: AttrRef,
    /// The filter, resolved.
    pub filter: Filter,
    pub step: ElementEdit,
    pub on_miss: OnMiss,
}

/// The change of each element that a filter finds.
#[derive(Debug, Clone)]
pub(super) enum ElementEdit {
    Remove,
    /// Remove those that also hold all that one of these holds.
    RemoveListed(Vec<Value>),
    Replace(Value),
    /// Leave them, and add this value to the list.
    Append(Value),
    Merge(Vec<SubEdit>),
}

/// The outcome if a filter finds no element.
#[derive(Debug, Clone)]
pub(super) enum OnMiss {
    Ignore,
    Refuse,
    Create(Value),
}

impl ValueEdit {
    /// Returns the value that the change gives to an attribute without one.
    pub(super) fn value(&self) -> Option<Value> {
        match self {
            Self::Set(value) => Some(value.clone()),
            Self::Append(values) | Self::Elements(values) => Some(Value::Array(values.clone())),
            Self::Unassign
            | Self::UnassignEqual(_)
            | Self::Merge(_)
            | Self::RemoveListed(_)
            | Self::Each(_)
            | Self::Where(_) => None,
        }
    }
}
