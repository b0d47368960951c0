//! Paths to attributes.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::name;
use crate::schema::{Attribute, Mutability, Returned, Type, Uniqueness};

/// A path to an attribute of one resource type, canonical in spelling and cheap to clone.
///
/// Two paths are equal when their keys are; comparing paths of two resource types is a mistake.
#[derive(Debug, Clone)]
pub struct AttrRef(Arc<AttrPath>);

/// The parts of an [`AttrRef`].
#[derive(Debug)]
pub struct AttrPath {
    /// Canonical text: `userName`, `emails.value`, `meta.created`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    pub key: String,
    /// The extension's URN, where the attribute lives in an extension's container.
    pub container: Option<Arc<str>>,
    /// The top-level attribute.
    pub attribute: Arc<Attribute>,
    /// The sub-attribute, if the path names one.
    pub sub: Option<Arc<Attribute>>,
    /// Whether no schema declares the attribute: see [`AttrRef::undeclared`].
    pub is_undeclared: bool,
}

impl AttrRef {
    /// Returns a path into an extension that no schema describes.
    ///
    /// Nothing is known of such an attribute, so it may have several values, which are compared
    /// exactly; a single value counts as a list of one. `kind` is the type of the values that are
    /// looked for. Documents spell the URN and the names as the first writer did, so they are
    /// matched ignoring ASCII case; only the key is canonical.
    pub fn undeclared(urn: &str, name: &str, sub: Option<&str>, kind: Type) -> Self {
        let key = match sub {
            None => format!("{urn}:{name}"),
            Some(sub) => format!("{urn}:{name}.{sub}"),
        };
        let attribute = match sub {
            None => untyped(name, kind),
            Some(_) => untyped(name, Type::Complex),
        };
        Self(Arc::new(AttrPath {
            key: key.to_ascii_lowercase(),
            container: Some(Arc::from(urn)),
            attribute: Arc::new(attribute),
            sub: sub.map(|sub| Arc::new(untyped(sub, kind))),
            is_undeclared: true,
        }))
    }

    /// Returns the path of the member `name` in one value of this undeclared attribute, as it may
    /// occur inside brackets: `type` in `urn:acme:x:list[type eq "t"]`.
    pub fn undeclared_member(&self, name: &str, kind: Type) -> Self {
        let mut attribute = Arc::clone(&self.attribute);
        if self.sub.is_none() {
            attribute = Arc::new(untyped(&self.attribute.name, Type::Complex));
        }
        Self(Arc::new(AttrPath {
            key: format!("{}.{}", self.key(), name.to_ascii_lowercase()),
            container: self.container.clone(),
            attribute,
            sub: Some(Arc::new(untyped(name, kind))),
            is_undeclared: true,
        }))
    }

    /// Returns the canonical text of the path.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// Returns the attribute that holds the value: the sub-attribute if the path names one.
    pub fn leaf(&self) -> &Attribute {
        self.0.sub.as_deref().unwrap_or(&self.0.attribute)
    }

    /// Whether the path can lead to several values: the attribute has several, or the sub-attribute
    /// has.
    pub fn is_multi_valued(&self) -> bool {
        self.attribute.multi_valued || self.leaf().multi_valued
    }

    /// Whether the path leads to lists inside the elements of a list: `places.tags`, where both
    /// have several values. The position of such a value does not show which element it belongs to.
    pub fn is_list_in_list(&self) -> bool {
        self.attribute.multi_valued && self.sub.as_ref().is_some_and(|sub| sub.multi_valued)
    }

    /// Whether the path names the `primary` flag of a multi-valued attribute, which RFC 7643
    /// section 2.4 takes for false where it is missing.
    pub fn is_primary_flag(&self) -> bool {
        !self.is_undeclared
            && self.attribute.multi_valued
            && self.sub.as_ref().is_some_and(|sub| {
                sub.kind == Type::Boolean && sub.name == "primary" && !sub.multi_valued
            })
    }

    /// Whether both paths name the same attribute, or sub-attributes of it.
    pub fn has_attribute_of(&self, other: &Self) -> bool {
        self.is_undeclared == other.is_undeclared
            && self.container == other.container
            && self.attribute.name == other.attribute.name
    }

    /// Returns a text value of this path in the form in which it is compared and indexed: unchanged
    /// if case counts, otherwise folded.
    ///
    /// Operands of filters, rows of the index and stored values must all go through here.
    pub fn comparable<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.leaf().name == "$ref" {
            name::without_version(text)
        } else if self.leaf().case_exact {
            Cow::Borrowed(text)
        } else if self.0.key == "userName" {
            Cow::Owned(name::fold_user_name(text).into_string())
        } else {
            Cow::Owned(name::fold(text).into_string())
        }
    }
}

impl fmt::Display for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl std::ops::Deref for AttrRef {
    type Target = AttrPath;
    fn deref(&self) -> &AttrPath {
        &self.0
    }
}

impl PartialEq for AttrRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for AttrRef {}

impl Hash for AttrRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

/// The attribute itself and its sub-attributes.
pub(super) fn paths(attribute: &Arc<Attribute>, container: Option<&Arc<str>>) -> Vec<AttrRef> {
    let key = match container {
        Some(urn) => format!("{urn}:{}", attribute.name),
        None => attribute.name.clone(),
    };
    let path = |key: String, sub: Option<&Arc<Attribute>>| {
        AttrRef(Arc::new(AttrPath {
            key,
            container: container.cloned(),
            attribute: Arc::clone(attribute),
            sub: sub.cloned(),
            is_undeclared: false,
        }))
    };
    let subs = attribute.sub_attributes.iter();
    let subs = subs.map(|sub| path(format!("{key}.{}", sub.name), Some(sub)));
    let mut paths: Vec<AttrRef> = subs.collect();
    paths.push(path(key, None));
    paths
}

/// Describes an attribute of which only the name is known.
fn untyped(name: &str, kind: Type) -> Attribute {
    Attribute {
        name: name.to_owned(),
        kind,
        multi_valued: true,
        description: String::new(),
        required: false,
        canonical_values: Vec::new(),
        case_exact: true,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        reference_types: Vec::new(),
        sub_attributes: Vec::new(),
    }
}
