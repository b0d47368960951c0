//! The names of attributes as clients spell them: with or without a URN, with a dot in place of the
//! last colon, or with a URN that is nearly a known one.
//!
//! Knows schemas, not documents. Names with brackets are parsed elsewhere.

use super::attr::AttrRef;
use super::extension::Extension;
use super::resource_type::ResourceType;

/// The meaning of a name without brackets.
#[derive(Debug)]
pub enum Referent<'a> {
    /// A declared attribute or sub-attribute.
    Attribute(AttrRef),
    /// The core schema's URN alone.
    Core,
    /// An extension's URN alone.
    Extension(&'a Extension),
    /// An attribute that its schema does not define.
    Undefined,
    /// A URN that differs from this known one in its last segment, or an attribute under such a
    /// URN.
    NearMiss(&'a str),
    /// The URN of an extension that no schema describes, or an attribute under it.
    Undeclared,
}

/// The start of the URNs of all core schemas of RFC 7643.
const CORE: &str = "urn:ietf:params:scim:schemas:core:";

impl ResourceType {
    /// Resolves a name as tolerant tenants' clients write it.
    pub fn referent(&self, name: &str) -> Referent<'_> {
        if let Some(path) = self.attr_by_key(name) {
            return Referent::Attribute(path);
        }
        if self.is_core(name) {
            return Referent::Core;
        }
        if let Some(extension) = self.extension(name) {
            return Referent::Extension(extension);
        }
        if let Some(corrected) = self.with_colon(name) {
            return match self.attr_by_key(&corrected) {
                Some(path) => Referent::Attribute(path),
                None => Referent::Undefined,
            };
        }
        let is_owned = |urn: &str| after_urn(name, urn).is_some_and(|rest| rest.starts_with(':'));
        if !name.contains(':') || self.schemas().any(|schema| is_owned(&schema.id)) {
            return Referent::Undefined;
        }
        match self.known_urn_near(name) {
            Some(urn) => Referent::NearMiss(urn),
            None if after_urn(name, CORE).is_some() => Referent::Undefined,
            None => Referent::Undeclared,
        }
    }

    /// Returns the path with a colon between a known URN and the attribute, if the client wrote a
    /// dot: `urn:..:2.0:User.department`.
    pub fn with_colon(&self, path: &str) -> Option<String> {
        self.schemas().find_map(|schema| {
            let attribute = after_urn(path, &schema.id)?.strip_prefix('.')?;
            Some(format!("{}:{attribute}", schema.id))
        })
    }

    /// The known URN that the name, or the URN before its last colon, differs from only in the last
    /// segment, or lacks the last segment of: `..:enterprise:2.0:department` for
    /// `..:enterprise:2.0:User`.
    fn known_urn_near(&self, name: &str) -> Option<&str> {
        let owner = name.rsplit_once(':').map(|(owner, _)| owner);
        let urns = [Some(name), owner];
        self.schemas().find_map(|schema| {
            let (stem, _) = schema.id.rsplit_once(':')?;
            let is_near = |urn: &&str| {
                after_urn(urn, stem).is_some_and(|rest| {
                    let is_own_segment = rest.is_empty() || rest.starts_with([':', '.']);
                    is_own_segment && rest.matches(':').count() <= 1
                })
            };
            let is_any_near = urns.iter().flatten().any(is_near);
            is_any_near.then_some(schema.id.as_str())
        })
    }
}

/// Returns the text after the URN, whatever its letter case.
fn after_urn<'t>(text: &'t str, urn: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(urn.len())?;
    start.eq_ignore_ascii_case(urn).then_some(rest)
}

#[cfg(test)]
mod tests {
    use crate::Registry;
    use crate::name::{ENTERPRISE_USER, USER};

    use super::*;

    #[test]
    fn referents() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let check = |name: &str, expected: &str| {
            let found = match user.referent(name) {
                Referent::Attribute(path) => path.key().to_owned(),
                Referent::Core => "core".to_owned(),
                Referent::Extension(_) => "extension".to_owned(),
                Referent::Undefined => "undefined".to_owned(),
                Referent::NearMiss(urn) => format!("near {urn}"),
                Referent::Undeclared => "undeclared".to_owned(),
            };
            assert_eq!(found, expected, "{name}");
        };
        let department = format!("{ENTERPRISE_USER}:department");
        let near_enterprise = format!("near {ENTERPRISE_USER}");
        check("USERNAME", "userName");
        check("name.givenname", "name.givenName");
        check(&department, &department);
        check(&format!("{ENTERPRISE_USER}.Department"), &department);
        check(
            &format!("{ENTERPRISE_USER}.manager.value"),
            &format!("{ENTERPRISE_USER}:manager.value"),
        );
        check(&format!("{USER}.userName"), "userName");
        check(USER, "core");
        check(ENTERPRISE_USER, "extension");
        check("foo", "undefined");
        check("name.foo", "undefined");
        check("", "undefined");
        check(&format!("{USER}:team_role"), "undefined");
        check(&format!("{ENTERPRISE_USER}:foo"), "undefined");
        check(&format!("{ENTERPRISE_USER}.foo"), "undefined");
        check("urn:ietf:params:scim:schemas:core:1.0:title", "undefined");
        let stem = "urn:ietf:params:scim:schemas:extension:enterprise:2.0";
        for near in [
            "",
            ":department",
            ".department",
            ":Users:department",
            ":manager.value",
            ":Users",
        ] {
            check(&format!("{stem}{near}"), &near_enterprise);
        }
        check(&stem.to_uppercase(), &near_enterprise);
        check(
            "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
            &format!("near {USER}"),
        );
        check(&format!("{stem}:a:b:c"), "undeclared");
        check(
            "urn:ietf:params:scim:schemas:extension:enterprise:3.0:User:x",
            "undeclared",
        );
        check("urn:acme:x", "undeclared");
        check("urn:acme:x:a.b", "undeclared");
        check("acme:badge", "undeclared");
    }
}
