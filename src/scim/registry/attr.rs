//! Paths to attributes.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::scim::name;
use crate::scim::schema::Attribute;

/// A path to an attribute of one resource type, canonical in spelling and cheap to clone.
///
/// Two paths are equal when their keys are; comparing paths of two resource types is a mistake.
#[derive(Debug, Clone)]
pub struct AttrRef(Arc<AttrPath>);

#[derive(Debug)]
pub struct AttrPath {
    /// Canonical text: `userName`, `emails.value`, `meta.created`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    pub key: String,
    /// The extension's URN, where the attribute lives in an extension's container.
    pub container: Option<Arc<str>>,
    pub attribute: Arc<Attribute>,
    pub sub: Option<Arc<Attribute>>,
}

impl AttrRef {
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The attribute that holds the value: the sub-attribute where the path names one.
    pub fn leaf(&self) -> &Attribute {
        self.0.sub.as_deref().unwrap_or(&self.0.attribute)
    }

    /// A text value of this path as it is compared and indexed: as it is where case counts, else folded.
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
        }))
    };
    let subs = attribute.sub_attributes.iter();
    let subs = subs.map(|sub| path(format!("{key}.{}", sub.name), Some(sub)));
    let mut paths: Vec<AttrRef> = subs.collect();
    paths.push(path(key, None));
    paths
}
