//! Resource types, their schemas and extensions, and the resolution of names to attributes.
//!
//! Types and extensions come from schema files, the built-in ones too. Knows nothing of where they
//! are stored.
//!
//! ```
//! use std::sync::Arc;
//!
//! use scim_core::registry::{Extension, Registry, ResourceType};
//! use scim_core::schema::Schema;
//!
//! let device = r#"{
//!     "id": "urn:example:Device", "name": "Device", "attributes": [
//!         { "name": "serial", "required": true, "uniqueness": "server" },
//!         { "name": "ports", "type": "complex", "multiValued": true, "subAttributes": [
//!             { "name": "value" }, { "name": "speed", "type": "integer" }] }]
//! }"#;
//! let lease = r#"{
//!     "id": "urn:example:Lease", "attributes": [{ "name": "until", "type": "dateTime" }]
//! }"#;
//! let core = Arc::new(Schema::parse(device)?);
//! let lease = Extension { schema: Arc::new(Schema::parse(lease)?), required: false };
//! let device = ResourceType::new("Device", "/Devices", "", core, vec![lease])?;
//! let registry = Registry::new(vec![device])?;
//!
//! let device = registry.by_endpoint("/Devices").expect("it is registered");
//! let path = device.attr_by_key("PORTS.Speed").expect("names have no letter case");
//! assert_eq!(path.key(), "ports.speed");
//! assert!(path.is_multi_valued());
//! assert!(device.attr_by_key("urn:example:lease:until").is_some());
//! # Ok::<(), String>(())
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use crate::schema::Schema;

mod access;
mod assignable;
mod assignments;
mod attr;
mod blueprint;
mod common;
mod extension;
mod resource_type;
mod spelling;
mod standard;

pub use access::ClientAccess;
pub use assignable::{Assignable, MAX_DESCRIPTION};
pub use attr::{AttrPath, AttrRef};
pub use blueprint::Blueprint;
pub use common::common;
pub use extension::Extension;
pub use resource_type::ResourceType;
pub use spelling::Referent;
pub use standard::known_schema;

/// The endpoints of SCIM itself; a resource type there could never be reached.
const ENDPOINTS_IN_USE: [&str; 5] = [
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/Schemas",
    "/Bulk",
    "/Me",
];

/// All resource types of a server.
#[derive(Debug)]
pub struct Registry {
    types: Vec<Arc<ResourceType>>,
    schemas: Vec<Arc<Schema>>,
}

impl Registry {
    /// Returns the registry of RFC 7643: User with the enterprise extension, and Group.
    pub fn standard() -> Self {
        match Blueprint::standard().and_then(|all| Self::of(&all)) {
            Ok(registry) => registry,
            #[expect(clippy::panic, reason = "the files are compiled in; a test reads them")]
            Err(error) => panic!("the built-in schemas: {error}"),
        }
    }

    /// Builds every type.
    ///
    /// # Errors
    /// Returns a message for the operator if a type breaks RFC 7643 or clashes with another.
    pub fn of(blueprints: &[Blueprint]) -> Result<Self, String> {
        let mut blueprints = blueprints.to_vec();
        let assigned = assignments::declared(&mut blueprints);
        let types: Result<Vec<ResourceType>, String> =
            blueprints.iter().map(Blueprint::build).collect();
        let mut types = types?;
        assignments::link(&mut types, assigned);
        Self::new(types)
    }

    /// Registers types that are built already.
    ///
    /// # Errors
    /// Returns a message for the operator: names and endpoints must be distinct, and one URN must
    /// mean one schema.
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

    /// Returns the type of this name, such as `User`.
    pub fn by_name(&self, name: &str) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|rt| rt.name == name)
    }

    /// Returns the type at the endpoint, which begins with a slash: `/Users`.
    pub fn by_endpoint(&self, endpoint: &str) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|rt| rt.endpoint == endpoint)
    }

    /// Returns all resource types, in the order of their declaration.
    pub fn types(&self) -> &[Arc<ResourceType>] {
        &self.types
    }

    /// Returns every schema once: those of the resource types in their order, then those of the
    /// discovery resources, since RFC 7643 section 7 demands a schema for each URN in use.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.iter().chain(standard::discovery().iter())
    }

    /// Returns the schema with this URN, ignoring letter case.
    pub fn schema(&self, urn: &str) -> Option<&Arc<Schema>> {
        self.schemas()
            .find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name;
    use crate::schema::Type;

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

    fn build(attributes: &str) -> ResourceType {
        let core = schema("urn:x:Core", attributes);
        ResourceType::new("A", "/As", "", core, vec![]).unwrap()
    }

    #[test]
    fn attributes_with_columns() {
        let check = |name: &str, attribute: &str, is_ok: bool| {
            let core = schema("urn:x:Core", &format!("[{attribute}]"));
            let built = ResourceType::new(name, "/As", "", core, vec![]);
            assert_eq!(built.is_ok(), is_ok, "{name} {attribute}");
        };
        check(
            "User",
            r#"{"name": "userName", "uniqueness": "server"}"#,
            true,
        );
        check(
            "User",
            r#"{"name": "userName", "uniqueness": "global"}"#,
            true,
        );
        check("User", r#"{"name": "userName"}"#, false);
        check(
            "A",
            r#"{"name": "USERNAME", "uniqueness": "server"}"#,
            false,
        );
        check(
            "User",
            r#"{"name": "userName", "uniqueness": "server", "multiValued": true}"#,
            false,
        );
        check(
            "User",
            r#"{"name": "userName", "uniqueness": "server", "type": "integer"}"#,
            false,
        );
        check("A", r#"{"name": "displayName"}"#, true);
        check(
            "A",
            r#"{"name": "displayName", "multiValued": true}"#,
            false,
        );
        check("A", r#"{"name": "displayName", "type": "boolean"}"#, false);
        check("A", r#"{"name": "active", "type": "boolean"}"#, true);
        check("A", r#"{"name": "active"}"#, false);
        check(
            "A",
            r#"{"name": "active", "type": "boolean", "multiValued": true}"#,
            false,
        );
        check(
            "A",
            r#"{"name": "other", "type": "boolean", "multiValued": true}"#,
            true,
        );
    }

    #[test]
    fn endpoints_of_the_standard() {
        for (endpoint, is_ok) in [("/bulk", false), ("/Me", false), ("/Bulks", true)] {
            let core = schema("urn:x:Core", "[]");
            let rt = ResourceType::new("A", endpoint, "", core, vec![]).unwrap();
            assert_eq!(Registry::new(vec![rt]).is_ok(), is_ok, "{endpoint}");
        }
    }

    #[test]
    fn one_schema_of_two_types() {
        let rt = |name: &str, endpoint: &str, attributes: &str| {
            let core = schema("urn:x:Core", attributes);
            ResourceType::new(name, endpoint, "", core, vec![]).unwrap()
        };
        let registry = Registry::new(vec![rt("A", "/As", "[]"), rt("B", "/Bs", "[]")]).unwrap();
        let own = registry
            .schemas()
            .filter(|schema| schema.id == "urn:x:Core");
        assert_eq!(own.count(), 1);
        assert_eq!(registry.by_endpoint("/Bs").unwrap().name, "B");
        assert!(registry.by_endpoint("/bs").is_none());
        for (name, endpoint) in [("a", "/Bs"), ("B", "/as")] {
            let types = vec![rt("A", "/As", "[]"), rt(name, endpoint, "[]")];
            assert!(Registry::new(types).is_err(), "{name} {endpoint}");
        }
    }

    #[test]
    fn indexed_paths() {
        let attributes = r#"[{"name": "z", "uniqueness": "server"}, {"name": "room"},
            {"name": "b", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value", "uniqueness": "global"}, {"name": "tags", "multiValued": true}]}]"#;
        let check = |keys: &[&str], expected: &[&str]| {
            let rt = build(attributes).index(keys).unwrap();
            let found: Vec<_> = rt.indexed.iter().map(AttrRef::key).collect();
            assert_eq!(found, expected, "{keys:?}");
        };
        check(&[], &["b.value", "z"]);
        check(&["room", "Z", "room"], &["room", "z", "b.value"]);
        let error = build(attributes).index(&["b.tags"]).unwrap_err();
        assert!(error.contains("lists inside a list"), "{error}");
        let group = Blueprint {
            indexed: vec!["members.value".to_owned()],
            ..Blueprint::standard().unwrap().remove(1)
        };
        let error = group.build().unwrap_err();
        assert!(error.contains("always indexed"), "{error}");
    }

    #[test]
    fn passwords() {
        let check = |attribute: &str, container: Option<&str>, expected: bool| {
            let rt = build(&format!("[{attribute}]"));
            let found = rt.is_password(container, &rt.schema.attributes[0]);
            assert_eq!(found, expected, "{attribute}");
        };
        let never = r#""returned": "never", "mutability": "writeOnly""#;
        let password = format!(r#"{{"name": "password", {never}}}"#);
        check(&password, None, true);
        check(&password, Some("urn:x:E"), false);
        check(&format!(r#"{{"name": "secret", {never}}}"#), None, false);
        check(r#"{"name": "password"}"#, None, false);
        let integer = format!(r#"{{"name": "password", "type": "integer", {never}}}"#);
        check(&integer, None, false);
        let list = format!(r#"{{"name": "password", "multiValued": true, {never}}}"#);
        check(&list, None, false);
    }

    #[test]
    fn what_is_returned() {
        let check = |attribute: &str, whole: bool, on_request: bool, secrets: bool| {
            let rt = build(&format!("[{attribute}]"));
            let found = (
                rt.is_returned_whole(),
                rt.has_returned_on_request(),
                rt.has_secrets(),
            );
            assert_eq!(found, (whole, on_request, secrets), "{attribute}");
        };
        check(r#"{"name": "a"}"#, true, false, false);
        check(r#"{"name": "a", "returned": "always"}"#, true, false, false);
        check(
            r#"{"name": "a", "returned": "request"}"#,
            false,
            true,
            false,
        );
        check(r#"{"name": "a", "returned": "never"}"#, false, false, true);
        check(
            r#"{"name": "password", "returned": "never"}"#,
            true,
            false,
            false,
        );
    }

    #[test]
    fn schemas_of_a_type() {
        let core = schema("urn:x:Core", "[]");
        let extensions = vec![extension("urn:x:E", "[]")];
        let rt = ResourceType::new("A", "/As", "", core, extensions).unwrap();
        let urns: Vec<_> = rt.schemas().map(|schema| schema.id.as_str()).collect();
        assert_eq!(urns, ["urn:x:Core", "urn:x:E"]);
        assert!(rt.is_core("URN:x:core") && !rt.is_core("urn:x:E"));
        assert!(!rt.is_relational("members") && !rt.is_relational("groups"));
    }

    #[test]
    fn roles_and_entitlements() {
        assert!(known_schema("urn:x:Role").is_none());
        let blueprint = |name: &str, urn: &str| Blueprint {
            name: name.to_owned(),
            endpoint: format!("/{name}s"),
            description: String::new(),
            schema: known_schema(&urn.to_uppercase()).unwrap(),
            extensions: vec![],
            indexed: vec![],
            access: ClientAccess::ReadOnly,
        };
        let mut blueprints = Blueprint::standard().unwrap();
        blueprints.push(blueprint("Role", name::OKTA_ROLE));
        blueprints.push(blueprint("License", name::OKTA_ENTITLEMENT));
        blueprints.push(blueprint("Profile", name::OKTA_ENTITLEMENT));
        let registry = Registry::of(&blueprints).unwrap();
        let assignable = |attribute, types: &[&str], tells_type| Assignable {
            attribute,
            types: types.iter().map(|&name| name.to_owned()).collect(),
            tells_type,
        };
        let user = registry.by_name("User").unwrap();
        assert_eq!(
            user.assignable,
            [
                assignable("entitlements", &["License", "Profile"], true),
                assignable("roles", &["Role"], false),
            ]
        );
        let keys: Vec<_> = user.indexed.iter().map(AttrRef::key).collect();
        assert!(
            keys.ends_with(&["entitlements.value", "roles.value"]),
            "{keys:?}"
        );
        let assigned_at = |name: &str| {
            let rt = registry.by_name(name).unwrap();
            rt.assigned_at.as_ref().map(|path| path.key().to_owned())
        };
        assert_eq!(assigned_at("Role").as_deref(), Some("roles.value"));
        assert_eq!(
            assigned_at("Profile").as_deref(),
            Some("entitlements.value")
        );
        assert_eq!(assigned_at("Group"), None);
        assert_eq!(
            registry.by_name("Role").unwrap().access,
            ClientAccess::ReadOnly
        );
        let types = blueprints.split_off(2);
        assert!(Registry::of(&types).is_ok());
    }
}
