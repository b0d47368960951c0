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
    /// No schema declares the attribute: see [`AttrRef::undeclared`].
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

    /// Returns whether the path can lead to several values: the attribute has several, or the
    /// sub-attribute has.
    pub fn is_multi_valued(&self) -> bool {
        self.attribute.multi_valued || self.leaf().multi_valued
    }

    /// Returns whether the path leads to lists inside the elements of a list: `places.tags`, where
    /// both have several values. The position of such a value does not show which element it
    /// belongs to.
    pub fn is_list_in_list(&self) -> bool {
        self.attribute.multi_valued && self.sub.as_ref().is_some_and(|sub| sub.multi_valued)
    }

    /// Returns whether the path names the `primary` flag of a multi-valued attribute, which RFC
    /// 7643 section 2.4 takes for false where it is missing.
    pub fn is_primary_flag(&self) -> bool {
        !self.is_undeclared
            && self.attribute.multi_valued
            && self.sub.as_ref().is_some_and(|sub| {
                sub.kind == Type::Boolean && sub.name == "primary" && !sub.multi_valued
            })
    }

    /// Returns whether both paths name the same attribute, or sub-attributes of it.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Registry;
    use crate::name::ENTERPRISE_USER;
    use crate::registry::ResourceType;
    use crate::schema::Schema;

    const ATTRIBUTES: &str = r#"{"id": "urn:x:A", "attributes": [
        {"name": "a"}, {"name": "list", "multiValued": true},
        {"name": "one", "type": "complex", "subAttributes": [
            {"name": "value"}, {"name": "primary", "type": "boolean"},
            {"name": "tags", "multiValued": true}]},
        {"name": "many", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value"}, {"name": "primary", "type": "boolean"},
            {"name": "flag", "type": "boolean"}, {"name": "tags", "multiValued": true}]},
        {"name": "odd", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "primary"}]},
        {"name": "odder", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "primary", "type": "boolean", "multiValued": true}]}]}"#;

    #[test]
    fn lists_and_flags() {
        let schema = Arc::new(Schema::parse(ATTRIBUTES).unwrap());
        let rt = ResourceType::new("A", "/As", "", schema, vec![]).unwrap();
        let check = |key: &str, is_multi_valued: bool, is_list_in_list: bool, is_primary: bool| {
            let path = rt.attr_by_key(key).unwrap();
            let found = (
                path.is_multi_valued(),
                path.is_list_in_list(),
                path.is_primary_flag(),
            );
            assert_eq!(
                found,
                (is_multi_valued, is_list_in_list, is_primary),
                "{key}"
            );
        };
        check("a", false, false, false);
        check("list", true, false, false);
        check("one.value", false, false, false);
        check("one.primary", false, false, false);
        check("one.tags", true, false, false);
        check("many", true, false, false);
        check("many.value", true, false, false);
        check("many.primary", true, false, true);
        check("many.flag", true, false, false);
        check("many.tags", true, true, false);
        check("odd.primary", true, false, false);
        check("odder.primary", true, true, false);
        let undeclared = AttrRef::undeclared("urn:x:y", "many", Some("primary"), Type::Boolean);
        assert!(!undeclared.is_primary_flag());
    }

    #[test]
    fn equal_paths() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let path = |key: &str| user.attr_by_key(key).unwrap();
        let manager = path(&format!("{ENTERPRISE_USER}:manager"));
        let paths = HashSet::from([path("emails"), path("EMAILS"), path("emails.type")]);
        assert_eq!(paths.len(), 2);
        assert!(paths.contains(&path("emails.type")));
        assert_ne!(path("emails"), path("emails.type"));
        assert!(path("emails.type").has_attribute_of(&path("emails.value")));
        assert!(!path("emails").has_attribute_of(&path("phoneNumbers")));
        let department = path(&format!("{ENTERPRISE_USER}:department"));
        assert!(!manager.has_attribute_of(&department));
        let undeclared = |urn: &str| AttrRef::undeclared(urn, "manager", None, Type::String);
        assert!(!manager.has_attribute_of(&undeclared(ENTERPRISE_USER)));
        assert!(!undeclared("urn:x:y").has_attribute_of(&undeclared("urn:x:z")));
    }

    #[test]
    fn undeclared_paths() {
        let list = AttrRef::undeclared("urn:X:y", "List", None, Type::String);
        assert_eq!(list.to_string(), "urn:x:y:list");
        assert_eq!(list.leaf().kind, Type::String);
        let member = list.undeclared_member("Type", Type::Boolean);
        assert_eq!(member.key(), "urn:x:y:list.type");
        assert_eq!(member.attribute.kind, Type::Complex);
        assert_eq!(
            (&*member.leaf().name, member.leaf().kind),
            ("Type", Type::Boolean)
        );
        let sub = AttrRef::undeclared("urn:X:y", "List", Some("Sub"), Type::String);
        assert_eq!(sub.key(), "urn:x:y:list.sub");
        assert_eq!(sub.attribute.kind, Type::Complex);
        assert_eq!(
            sub.undeclared_member("a", Type::String).key(),
            "urn:x:y:list.sub.a"
        );
    }

    #[test]
    fn comparable_texts() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let check = |key: &str, text: &str, expected: &str| {
            let path = user.attr_by_key(key).unwrap();
            assert_eq!(path.comparable(text), expected, "{key}");
        };
        check("title", "Ｂｏｂ", "ｂｏｂ");
        check("userName", "Ｂｏｂ", "bob");
        check("externalId", "Bob", "Bob");
        check("groups.$ref", "https://h/v2/Groups/A", "https://h/Groups/A");
    }
}
