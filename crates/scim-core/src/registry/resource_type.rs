//! A resource type: its schema, its extensions, and the resolution of names to its attributes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::access::ClientAccess;
use super::assignable::Assignable;
use super::attr::{AttrRef, paths};
use super::common::common;
use super::extension::Extension;
use crate::name;
use crate::schema::{Attribute, Mutability, Returned, Schema, Type, Uniqueness};

/// One resource type: `User` at `/Users`.
#[derive(Debug)]
pub struct ResourceType {
    /// The name: also `meta.resourceType`.
    pub name: String,
    /// With the slash: `/Users`.
    pub endpoint: String,
    /// A description for people.
    pub description: String,
    /// The core schema.
    pub schema: Arc<Schema>,
    /// The schema extensions.
    pub extensions: Vec<Extension>,
    /// The paths that a database indexes.
    pub indexed: Vec<AttrRef>,
    /// The access of clients to resources of this type.
    pub access: ClientAccess,
    /// The attributes whose values name resources of other types; of users only.
    pub assignable: Vec<Assignable>,
    /// The path at which users name this resource; of roles and entitlements only.
    pub assigned_at: Option<AttrRef>,
    returned_whole: bool,
    secrets: bool,
    on_request: bool,
    /// By key in lower case and by key as spelled; core keys also with the URN.
    lookup: HashMap<String, AttrRef>,
}

impl ResourceType {
    /// Checks and builds a resource type. No path is indexed yet.
    ///
    /// # Errors
    /// Returns a message for the operator if a schema file breaks RFC 7643 or clashes with another.
    pub fn new(
        name: &str,
        endpoint: &str,
        description: &str,
        schema: Arc<Schema>,
        extensions: Vec<Extension>,
    ) -> Result<Self, String> {
        let blame = |reason: String| format!("resource type {name:?}: {reason}");
        check_names(name, endpoint).map_err(blame)?;
        check_core(name, &schema).map_err(blame)?;
        check_extensions(&schema, &extensions).map_err(blame)?;
        let lookup = lookup(&schema, &extensions).map_err(blame)?;
        // Documents hold no password, so that one attribute does not count.
        let returned_whole = lookup.values().all(|path| {
            matches!(path.leaf().returned, Returned::Always | Returned::Default)
                || path.key() == "password"
        });
        let secrets = lookup
            .values()
            .any(|path| path.leaf().returned == Returned::Never && path.key() != "password");
        let on_request = lookup
            .values()
            .any(|path| path.leaf().returned == Returned::Request);
        Ok(Self {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            description: description.to_owned(),
            schema,
            extensions,
            indexed: Vec::new(),
            access: ClientAccess::ReadWrite,
            assignable: Vec::new(),
            assigned_at: None,
            returned_whole,
            secrets,
            on_request,
            lookup,
        })
    }

    /// Marks the paths that a database indexes, in place of those marked before. A unique attribute
    /// is always indexed.
    ///
    /// # Errors
    /// Returns a message for the operator if a path does not exist or cannot be indexed.
    pub fn index(mut self, keys: &[&str]) -> Result<Self, String> {
        let unique = self.unique();
        let indexed: Result<Vec<AttrRef>, String> = keys
            .iter()
            .map(|key| match self.attr_by_key(key) {
                Some(path) if path.leaf().is_complex() => Err(format!(
                    "{key:?} is complex: name one of its sub-attributes"
                )),
                Some(path) if self.is_relational(&path.attribute.name) => {
                    Err(format!("{key:?} is always indexed"))
                }
                Some(path) if path.is_list_in_list() => Err(format!(
                    "{key:?} has lists inside a list, which cannot be indexed; filters read the documents"
                )),
                Some(path) => Ok(path),
                None => Err(format!("{} has no attribute {key:?}", self.name)),
            })
            .collect();
        let mut indexed = indexed?;
        indexed.extend(unique);
        let mut seen = HashSet::new();
        indexed.retain(|path| seen.insert(path.clone()));
        self.indexed = indexed;
        Ok(self)
    }

    /// Returns the paths whose values no two resources may share, except those that have a column
    /// of their own.
    fn unique(&self) -> Vec<AttrRef> {
        let mut unique: Vec<AttrRef> = self
            .lookup
            .values()
            .filter(|path| path.leaf().uniqueness != Uniqueness::None)
            .filter(|path| !matches!(path.key(), "id" | "userName"))
            .cloned()
            .collect();
        unique.sort_by(|one, other| one.key().cmp(other.key()));
        unique.dedup();
        unique
    }

    /// Returns whether the attribute is the password, which is kept outside of documents.
    pub fn is_password(&self, container: Option<&str>, attribute: &Attribute) -> bool {
        container.is_none()
            && attribute.name == "password"
            && attribute.mutability == Mutability::WriteOnly
            && attribute.kind == Type::String
            && !attribute.multi_valued
    }

    /// Returns whether some attribute is returned only on request.
    pub fn has_returned_on_request(&self) -> bool {
        self.on_request
    }

    /// Returns whether documents hold values that are never returned.
    pub fn has_secrets(&self) -> bool {
        self.secrets
    }

    /// Resolves a parsed path, ignoring letter case; the core URN may be left out.
    ///
    /// An extension's URN alone is not an attribute: see [`Self::extension`].
    pub fn attr(&self, path: &scim_filter_parser::AttrPath) -> Option<AttrRef> {
        // The parser splits at the last colon, which may lie within a URN; the whole text decides.
        match (&path.urn, &path.sub) {
            (None, None) => self.attr_by_key(&path.name),
            (None, Some(sub)) => self.attr_by_key(&format!("{}.{sub}", path.name)),
            (Some(urn), None) => self.attr_by_key(&format!("{urn}:{}", path.name)),
            (Some(urn), Some(sub)) => self.attr_by_key(&format!("{urn}:{}.{sub}", path.name)),
        }
    }

    /// As [`Self::attr`], from text without brackets.
    pub fn attr_by_key(&self, key: &str) -> Option<AttrRef> {
        self.find(key).cloned()
    }

    /// As [`Self::attr_by_key`], without a clone.
    pub fn find(&self, key: &str) -> Option<&AttrRef> {
        let found = self.lookup.get(key);
        // Most clients spell names as the schema does.
        found.or_else(|| self.lookup.get(&key.to_ascii_lowercase()))
    }

    /// Returns the extension with this URN, ignoring letter case.
    pub fn extension(&self, urn: &str) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.schema.id.eq_ignore_ascii_case(urn))
    }

    /// Returns whether `urn` is the core schema's, ignoring letter case.
    pub fn is_core(&self, urn: &str) -> bool {
        self.schema.id.eq_ignore_ascii_case(urn)
    }

    /// Returns whether this top-level attribute is stored as rows, never within a document:
    /// `Group.members` and the derived `User.groups`.
    pub fn is_relational(&self, name: &str) -> bool {
        let attribute = match self.name.as_str() {
            "User" => "groups",
            "Group" => "members",
            _ => return false,
        };
        attribute.eq_ignore_ascii_case(name)
    }

    /// Returns whether a request without a selection gets whole documents: no attribute is returned
    /// on request only, or never.
    pub fn is_returned_whole(&self) -> bool {
        self.returned_whole
    }

    /// Returns the core schema, then the extensions.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        std::iter::once(&self.schema).chain(self.extensions.iter().map(|e| &e.schema))
    }
}

fn check_names(name: &str, endpoint: &str) -> Result<(), String> {
    if !name::is_attribute_name(name) {
        return Err("the name may hold letters and digits only".to_owned());
    }
    let segment = endpoint.strip_prefix('/');
    if !segment.is_some_and(name::is_attribute_name) {
        return Err(format!(
            "the endpoint {endpoint:?} must be one path segment, such as \"/Users\""
        ));
    }
    Ok(())
}

fn check_core(name: &str, schema: &Schema) -> Result<(), String> {
    schema.check()?;
    for attribute in &schema.attributes {
        if common().attribute(&attribute.name).is_some() {
            return Err(format!(
                "attribute {:?} is one that every resource has",
                attribute.name
            ));
        }
    }
    let mut attributes = schema.attributes.iter();
    attributes.try_for_each(|attribute| check_shape(name, attribute))
}

fn check_extensions(schema: &Schema, extensions: &[Extension]) -> Result<(), String> {
    let mut urns = HashSet::from([schema.id.to_ascii_lowercase()]);
    for extension in extensions {
        extension.schema.check()?;
        if !urns.insert(extension.schema.id.to_ascii_lowercase()) {
            return Err(format!("schema {:?} is there twice", extension.schema.id));
        }
    }
    Ok(())
}

/// Checks the attributes that have columns of their own: they must have the type of the column.
fn check_shape(name: &str, attribute: &Attribute) -> Result<(), String> {
    let single = |kind| attribute.kind == kind && !attribute.multi_valued;
    let (fits, due) = match attribute.name.to_ascii_lowercase().as_str() {
        "username" => (
            name == "User" && single(Type::String) && attribute.uniqueness != Uniqueness::None,
            "a user's, a single text, and unique",
        ),
        "displayname" => (single(Type::String), "a single text"),
        "active" => (single(Type::Boolean), "a single boolean"),
        _ => return Ok(()),
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "attribute {:?} must be {due}; call it something else",
            attribute.name
        ))
    }
}

fn lookup(schema: &Schema, extensions: &[Extension]) -> Result<HashMap<String, AttrRef>, String> {
    let mut lookup = HashMap::new();
    let core_attributes = common().attributes.iter().chain(&schema.attributes);
    for path in core_attributes.flat_map(|attribute| paths(attribute, None)) {
        let with_urn = format!("{}:{}", schema.id, path.key());
        add(&mut lookup, &with_urn, &path)?;
        add(&mut lookup, path.key(), &path)?;
    }
    for extension in extensions {
        let urn: Arc<str> = Arc::from(extension.schema.id.as_str());
        for attribute in &extension.schema.attributes {
            for path in paths(attribute, Some(&urn)) {
                add(&mut lookup, path.key(), &path)?;
            }
        }
    }
    Ok(lookup)
}

fn add(lookup: &mut HashMap<String, AttrRef>, key: &str, path: &AttrRef) -> Result<(), String> {
    for key in [key.to_owned(), key.to_ascii_lowercase()] {
        // Schemas whose URNs begin with one another could give two attributes one name.
        if lookup
            .insert(key, path.clone())
            .is_some_and(|other| other != *path)
        {
            return Err(format!("two attributes have the path {:?}", path.key()));
        }
    }
    Ok(())
}
