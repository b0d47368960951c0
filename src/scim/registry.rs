//! Resource types, their schemas and extensions, and the resolution of names to attributes.
//!
//! Types and extensions come from schema files, the built-in ones too. Knows nothing of where they are stored.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::scim::name;
use crate::scim::schema::{Attribute, Mutability, Returned, Schema, Type, Uniqueness};

mod assignments;
mod blueprint;
mod standard;

pub use assignments::{Assignable, MAX_DESCRIPTION};
pub use blueprint::{Access, Blueprint};
pub use standard::{common, known_schema};

/// What SCIM itself has under the base URL; a resource type there could never be reached.
const ENDPOINTS_IN_USE: [&str; 5] = [
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/Schemas",
    "/Bulk",
    "/Me",
];

/// All resource types of the service.
#[derive(Debug)]
pub struct Registry {
    types: Vec<Arc<ResourceType>>,
    schemas: Vec<Arc<Schema>>,
}

impl Registry {
    /// User with the enterprise extension, and Group.
    pub fn standard() -> Self {
        match standard::blueprints().and_then(|all| Self::of(&all)) {
            Ok(registry) => registry,
            #[expect(clippy::panic, reason = "the files are compiled in; a test reads them")]
            Err(error) => panic!("the built-in schemas: {error}"),
        }
    }

    /// Builds every type. The message of a fault is for the operator.
    pub fn of(blueprints: &[Blueprint]) -> Result<Self, String> {
        let mut blueprints = blueprints.to_vec();
        let assigned = assignments::declared(&mut blueprints);
        let types: Result<Vec<ResourceType>, String> =
            blueprints.iter().map(Blueprint::build).collect();
        let mut types = types?;
        assignments::link(&mut types, assigned);
        Self::new(types)
    }

    /// Names and endpoints must be distinct, and one URN must mean one schema.
    pub fn new(types: Vec<ResourceType>) -> Result<Self, String> {
        let mut schemas: Vec<Arc<Schema>> = Vec::new();
        let mut taken = HashSet::new();
        for rt in &types {
            for (what, text) in [("name", &rt.name), ("endpoint", &rt.endpoint)] {
                if !taken.insert(text.to_ascii_lowercase()) {
                    return Err(format!("two resource types have the {what} {text:?}"));
                }
            }
            if ENDPOINTS_IN_USE
                .iter()
                .any(|own| rt.endpoint.eq_ignore_ascii_case(own))
            {
                return Err(format!(
                    "resource type {:?}: the endpoint {:?} is one of the service's own",
                    rt.name, rt.endpoint
                ));
            }
            for schema in rt.schemas() {
                let same_id = |other: &&Arc<Schema>| other.id.eq_ignore_ascii_case(&schema.id);
                match schemas.iter().find(same_id) {
                    None => schemas.push(Arc::clone(schema)),
                    Some(other) if other == schema => {}
                    Some(_) => return Err(format!("two schemas have the id {:?}", schema.id)),
                }
            }
        }
        let types = types.into_iter().map(Arc::new).collect();
        Ok(Self { types, schemas })
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|rt| rt.name == name)
    }

    /// `endpoint` has its slash: `/Users`.
    pub fn by_endpoint(&self, endpoint: &str) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|rt| rt.endpoint == endpoint)
    }

    pub fn types(&self) -> &[Arc<ResourceType>] {
        &self.types
    }

    /// Every schema once: those of the resource types in their order, then those of the discovery resources,
    /// since RFC 7643 section 7 wants a schema for each URN in use.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.iter().chain(standard::discovery().iter())
    }

    /// The schema with this URN, whatever its letter case.
    pub fn schema(&self, urn: &str) -> Option<&Arc<Schema>> {
        self.schemas()
            .find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }
}

/// One resource type: `User` at `/Users`.
#[derive(Debug)]
pub struct ResourceType {
    /// Also `meta.resourceType` and the value of the `resource_type` column.
    pub name: String,
    /// With the slash: `/Users`.
    pub endpoint: String,
    pub description: String,
    pub schema: Arc<Schema>,
    pub extensions: Vec<Extension>,
    /// The paths that have rows in the store's `attributes` table.
    pub indexed: Vec<AttrRef>,
    /// Whether clients may write resources of this type.
    pub access: Access,
    /// Of users: the attributes whose values name resources of other types.
    pub assignable: Vec<Assignable>,
    /// Of roles and entitlements: where users name them.
    pub assigned_at: Option<AttrRef>,
    returned_whole: bool,
    secrets: bool,
    on_request: bool,
    /// By key in lower case and by key as it is; core keys also with the URN.
    lookup: HashMap<String, AttrRef>,
}

#[derive(Debug, Clone)]
pub struct Extension {
    pub schema: Arc<Schema>,
    pub required: bool,
}

impl ResourceType {
    /// Checks what a schema file can get wrong; the message is for the operator. Nothing is indexed yet.
    pub fn new(
        name: &str,
        endpoint: &str,
        description: &str,
        schema: Arc<Schema>,
        extensions: Vec<Extension>,
    ) -> Result<Self, String> {
        let blame = |reason: String| format!("resource type {name:?}: {reason}");
        if !name::is_attribute_name(name) {
            return Err(blame(
                "the name may hold letters and digits only".to_owned(),
            ));
        }
        if !endpoint
            .strip_prefix('/')
            .is_some_and(name::is_attribute_name)
        {
            return Err(blame(format!(
                "the endpoint {endpoint:?} must be one path segment, such as \"/Users\""
            )));
        }
        schema.check().map_err(blame)?;
        for attribute in &schema.attributes {
            if common().attribute(&attribute.name).is_some() {
                return Err(blame(format!(
                    "attribute {:?} is one that every resource has",
                    attribute.name
                )));
            }
        }
        for attribute in &schema.attributes {
            check_shape(name, attribute).map_err(blame)?;
        }
        let mut urns = HashSet::from([schema.id.to_ascii_lowercase()]);
        for extension in &extensions {
            extension.schema.check().map_err(blame)?;
            if !urns.insert(extension.schema.id.to_ascii_lowercase()) {
                return Err(blame(format!(
                    "schema {:?} is there twice",
                    extension.schema.id
                )));
            }
        }
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
            access: Access::ReadWrite,
            assignable: Vec::new(),
            assigned_at: None,
            returned_whole,
            secrets,
            on_request,
            lookup,
        })
    }

    /// Marks the paths that get rows in the store's index, in place of those marked before. A unique attribute
    /// always has them.
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

    /// The paths whose values no two resources may share, but for those that have a column of their own.
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

    /// Whether the attribute is the password that the service keeps as a hash, outside of documents.
    pub fn is_password(&self, container: Option<&str>, attribute: &Attribute) -> bool {
        container.is_none()
            && attribute.name == "password"
            && attribute.mutability == Mutability::WriteOnly
            && attribute.kind == Type::String
            && !attribute.multi_valued
    }

    /// Whether some attribute is returned only to those who ask for it.
    pub fn has_returned_on_request(&self) -> bool {
        self.on_request
    }

    /// Whether documents hold values that must never leave the service.
    pub fn has_secrets(&self) -> bool {
        self.secrets
    }

    /// Resolves a path as a client wrote it, whatever its letter case; the core URN may be left out.
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

    /// As [`Self::attr_by_key`], only to look at.
    pub fn find(&self, key: &str) -> Option<&AttrRef> {
        let found = self.lookup.get(key);
        // Most clients spell names as the schema does.
        found.or_else(|| self.lookup.get(&key.to_ascii_lowercase()))
    }

    /// The extension with this URN, whatever its letter case.
    pub fn extension(&self, urn: &str) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.schema.id.eq_ignore_ascii_case(urn))
    }

    /// Whether `urn` is the core schema's, whatever its letter case.
    pub fn is_core(&self, urn: &str) -> bool {
        self.schema.id.eq_ignore_ascii_case(urn)
    }

    /// Whether this top-level attribute is kept as rows of the store, never within a document:
    /// `Group.members` and the derived `User.groups`.
    pub fn is_relational(&self, name: &str) -> bool {
        let attribute = match self.name.as_str() {
            "User" => "groups",
            "Group" => "members",
            _ => return false,
        };
        attribute.eq_ignore_ascii_case(name)
    }

    /// Whether a client that asks for nothing in particular gets whole documents: no attribute is
    /// returned on request only, or never.
    pub fn is_returned_whole(&self) -> bool {
        self.returned_whole
    }

    /// The core schema, then the extensions.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        std::iter::once(&self.schema).chain(self.extensions.iter().map(|e| &e.schema))
    }
}

/// The attributes that the service keeps in columns of their own must be what it takes them for.
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

/// The attribute itself and its sub-attributes.
fn paths(attribute: &Arc<Attribute>, container: Option<&Arc<str>>) -> Vec<AttrRef> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(id: &str, attributes: &str) -> Arc<Schema> {
        let text = format!(r#"{{"id":"{id}","name":"X","attributes":{attributes}}}"#);
        Arc::new(Schema::parse(&text).unwrap())
    }

    fn extension(id: &str, attributes: &str) -> Extension {
        let schema = schema(id, attributes);
        Extension {
            schema,
            required: false,
        }
    }

    #[test]
    fn standard() {
        let registry = Registry::standard();
        let names: Vec<_> = registry.types().iter().map(|rt| rt.name.as_str()).collect();
        assert_eq!(names, ["User", "Group"]);
        let urns: Vec<_> = registry
            .schemas()
            .map(|schema| schema.id.as_str())
            .collect();
        assert_eq!(
            urns,
            [
                name::USER,
                name::ENTERPRISE_USER,
                name::GROUP,
                "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig",
                "urn:ietf:params:scim:schemas:core:2.0:ResourceType",
                "urn:ietf:params:scim:schemas:core:2.0:Schema",
            ]
        );
        let user = registry.by_endpoint("/Users").unwrap();
        assert_eq!(user.indexed.len(), 8);
        assert!(user.is_returned_whole());
        assert!(user.is_relational("Groups") && !user.is_relational("members"));
        assert!(registry.by_name("Group").unwrap().is_relational("members"));
        assert!(registry.schema(&name::USER.to_uppercase()).is_some());
        assert!(registry.schema("urn:x").is_none());
        for schema in registry.schemas() {
            for attribute in &schema.attributes {
                assert!(!attribute.description.is_empty(), "{}", attribute.name);
            }
        }
    }

    #[test]
    fn resolving() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            let found = user.attr_by_key(text);
            assert_eq!(found.as_ref().map(AttrRef::key), expected, "{text}");
        };
        let department = format!("{}:department", name::ENTERPRISE_USER);
        check("userName", Some("userName"));
        check("USERNAME", Some("userName"));
        check("name.GIVENname", Some("name.givenName"));
        check("groups.$REF", Some("groups.$ref"));
        check("ID", Some("id"));
        check("meta.lastmodified", Some("meta.lastModified"));
        check("schemas", Some("schemas"));
        check(
            "urn:ietf:params:scim:schemas:core:2.0:user:emails.type",
            Some("emails.type"),
        );
        check(
            "urn:ietf:params:scim:schemas:core:2.0:User:externalId",
            Some("externalId"),
        );
        check(&department, Some(&department));
        check(&department.to_uppercase(), Some(&department));
        check(name::ENTERPRISE_USER, None);
        check(name::USER, None);
        check("department", None);
        check("members", None);
        check("emails.value.x", None);
        check("urn:x:userName", None);
        check("", None);
    }

    #[test]
    fn resolving_what_the_parser_gives() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let path =
            |urn: Option<&str>, name: &str, sub: Option<&str>| scim_filter_parser::AttrPath {
                urn: urn.map(str::to_owned),
                name: name.to_owned(),
                sub: sub.map(str::to_owned),
            };
        let manager = user
            .attr(&path(Some(name::ENTERPRISE_USER), "MANAGER", Some("value")))
            .unwrap();
        assert_eq!(manager.container.as_deref(), Some(name::ENTERPRISE_USER));
        assert_eq!(manager.attribute.name, "manager");
        assert!(manager.leaf().case_exact);
        let emails = user.attr(&path(None, "emails", None)).unwrap();
        assert_eq!(emails.leaf().kind, Type::Complex);
        assert!(user.attr(&path(None, "emails", Some("type"))).is_some());
        assert!(
            user.attr(&path(Some(name::USER), "userName", None))
                .is_some()
        );
    }

    #[test]
    fn refused_types() {
        let check = |name: &str, endpoint: &str, core: Arc<Schema>, extensions, expected: &str| {
            let error = ResourceType::new(name, endpoint, "", core, extensions).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let core = || schema("urn:x:Core", r#"[{"name":"a"}]"#);
        check("A B", "/As", core(), vec![], "letters");
        check("A", "As", core(), vec![], "endpoint");
        check("A", "/As/b", core(), vec![], "endpoint");
        check(
            "A",
            "/As",
            schema("urn:x:Core", r#"[{"name":"ID"}]"#),
            vec![],
            "every resource",
        );
        check(
            "A",
            "/As",
            core(),
            vec![extension("urn:X:core", "[]")],
            "there twice",
        );
        let overlapping = vec![
            extension(
                "urn:x:e",
                r#"[{"name":"a","type":"complex","subAttributes":[{"name":"b"}]}]"#,
            ),
            extension("urn:x", r#"[{"name":"e"}]"#),
        ];
        assert!(ResourceType::new("A", "/As", "", core(), overlapping).is_ok());

        let good = || ResourceType::new("A", "/As", "", core(), vec![]).unwrap();
        assert!(good().index(&["b"]).unwrap_err().contains("no attribute"));
        assert!(good().index(&["meta"]).unwrap_err().contains("complex"));
        assert!(Registry::new(vec![good(), good()]).is_err());
        let other = schema("urn:x:Core", "[]");
        let other = ResourceType::new("B", "/Bs", "", other, vec![]).unwrap();
        assert!(Registry::new(vec![good(), other]).is_err());
    }
}
