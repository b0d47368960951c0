//! The attributes that a restricted caller may read.
//!
//! Callers cannot filter or sort by an attribute that they may not read: the answer would reveal
//! it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use scim_core::field_mask::FieldMask;
//! use scim_core::{Compatibility, Registry, filter};
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let mask = FieldMask::new(Arc::from(["userName".to_owned(), "emails.value".to_owned()]));
//! let text = r#"userName sw "a" and title pr"#;
//! let filter = filter::parse(user, text, Compatibility::Strict)?;
//! let hidden = mask.hidden_in(user, &filter).expect("the title is hidden");
//! assert_eq!(hidden.key(), "title");
//! # Ok::<(), scim_core::ScimError>(())
//! ```

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::filter::Filter;
use crate::registry::{AttrRef, ResourceType};
use crate::schema::Attribute;

/// The part of `meta` that every caller may read. The rest moves with every change, also of
/// attributes that the caller may not read.
const META: [&str; 3] = ["resourceType", "created", "location"];

/// The attributes that a caller may read: names, paths such as `emails.value`, or the URN of a
/// whole schema. A name that a resource type does not have allows nothing there.
///
/// `id` and the parts of `meta` that never change may always be read. `schemas` is shown without
/// the extensions of which nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMask(Arc<[String]>);

impl FieldMask {
    /// Makes a mask of the names that may be read.
    pub fn new(names: Arc<[String]>) -> Self {
        Self(names)
    }

    /// Returns whether the whole value at the path may be read.
    pub fn allows(&self, rt: &ResourceType, path: &AttrRef) -> bool {
        let sub = path.sub.as_ref().map(|sub| sub.name.as_str());
        self.allows_sub(rt, &path.attribute, path.container.as_deref(), sub)
    }

    /// Returns whether some part of a top-level attribute may be read.
    pub fn allows_some(&self, rt: &ResourceType, attribute: &Attribute) -> bool {
        self.allows_sub(rt, attribute, None, None)
            || attribute
                .sub_attributes
                .iter()
                .any(|sub| self.allows_sub(rt, attribute, None, Some(&sub.name)))
    }

    /// Returns an attribute that the filter names and that may not be read.
    pub fn hidden_in(&self, rt: &ResourceType, filter: &Filter) -> Option<AttrRef> {
        match filter {
            Filter::And(terms) | Filter::Or(terms) => {
                terms.iter().find_map(|term| self.hidden_in(rt, term))
            }
            // The paths inside are complete.
            Filter::Not(inner) | Filter::Element { filter: inner, .. } => self.hidden_in(rt, inner),
            Filter::Present(path) | Filter::Compare { path, .. } => {
                (!self.allows(rt, path)).then(|| path.clone())
            }
        }
    }

    /// Removes from a resource what may not be read.
    pub fn apply(&self, rt: &ResourceType, resource: &mut Map<String, Value>) {
        resource.retain(|name, value| {
            if name == "schemas" {
                return true;
            }
            if let Some(path) = rt.attr_by_key(name).filter(|_| !name.contains(':')) {
                return self.keep(rt, &path.attribute, None, value);
            }
            let Some(extension) = rt.extension(name) else {
                return self.names_schema(name);
            };
            let Value::Object(container) = value else {
                return false;
            };
            container.retain(|name, value| {
                extension.schema.attribute(name).is_some_and(|attribute| {
                    self.keep(rt, attribute, Some(&extension.schema.id), value)
                })
            });
            !container.is_empty()
        });
        self.apply_to_schemas(rt, resource);
    }

    /// Removes the URNs of extensions that are no longer there: they would tell that the resource
    /// has some of their attributes.
    fn apply_to_schemas(&self, rt: &ResourceType, resource: &mut Map<String, Value>) {
        if self.lists("schemas", None) {
            return;
        }
        let shown: Vec<String> = resource
            .keys()
            .filter(|name| name.contains(':'))
            .cloned()
            .collect();
        if let Some(Value::Array(urns)) = resource.get_mut("schemas") {
            urns.retain(|urn| {
                urn.as_str()
                    .is_some_and(|urn| rt.is_core(urn) || shown.iter().any(|name| name == urn))
            });
        }
    }

    /// Returns whether the mask has this common attribute by its name.
    fn lists(&self, attribute: &str, sub: Option<&str>) -> bool {
        self.0.iter().any(|name| {
            let (first, rest) = match name.split_once('.') {
                Some((first, rest)) => (first, Some(rest)),
                None => (name.as_str(), None),
            };
            first.eq_ignore_ascii_case(attribute)
                && rest.is_none_or(|rest| sub.is_some_and(|sub| rest.eq_ignore_ascii_case(sub)))
        })
    }

    fn keep(
        &self,
        rt: &ResourceType,
        attribute: &Attribute,
        container: Option<&str>,
        value: &mut Value,
    ) -> bool {
        if self.allows_sub(rt, attribute, container, None) {
            return true;
        }
        let retain = |element: &mut Value| match element {
            Value::Object(subs) => {
                subs.retain(|name, _| self.allows_sub(rt, attribute, container, Some(name)));
                !subs.is_empty()
            }
            _ => false,
        };
        match value {
            Value::Array(elements) => {
                elements.retain_mut(retain);
                !elements.is_empty()
            }
            single => retain(single),
        }
    }

    fn allows_sub(
        &self,
        rt: &ResourceType,
        attribute: &Attribute,
        container: Option<&str>,
        sub: Option<&str>,
    ) -> bool {
        match attribute.name.as_str() {
            "id" if container.is_none() => return true,
            "meta" if container.is_none() => {
                return sub.is_some_and(|sub| META.contains(&sub)) || self.lists("meta", sub);
            }
            // A filter on it would find extensions by their hidden attributes.
            "schemas" if container.is_none() => return self.lists("schemas", sub),
            _ => {}
        }
        self.names_schema(container.unwrap_or(&rt.schema.id))
            || self.0.iter().any(|name| {
                rt.attr_by_key(name).is_some_and(|allowed| {
                    allowed.attribute.name == attribute.name
                        && allowed.container.as_deref() == container
                        && allowed
                            .sub
                            .as_ref()
                            .is_none_or(|found| sub == Some(found.name.as_str()))
                })
            })
    }

    fn names_schema(&self, urn: &str) -> bool {
        self.0.iter().any(|name| name.eq_ignore_ascii_case(urn))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Compatibility, Registry, filter};

    const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const EU: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn mask(names: &[&str]) -> FieldMask {
        FieldMask::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn check(names: &[&str], mut expected: Value) {
        let registry = Registry::standard();
        let mut user = json!({
            "schemas": [CORE, EU, "urn:x:Other"], "id": "1", "userName": "ada",
            "meta": {"resourceType": "User", "lastModified": "t", "version": "v"},
            "name": {"givenName": "Ada", "familyName": "Byron"},
            "emails": [{"value": "a@x", "type": "work"}, {"type": "home"}],
            "phoneNumbers": [{"value": "1"}],
            "groups": [],
            EU: {"department": "d", "manager": {"value": "m", "displayName": "M"}},
            "urn:x:Other": {"any": 1}
        });
        let members = expected.as_object_mut().unwrap();
        let urns = [CORE, EU, "urn:x:Other"];
        let shown = urns
            .into_iter()
            .filter(|urn| *urn == CORE || members.contains_key(*urn));
        let shown: Vec<&str> = shown.collect();
        for (name, value) in [
            ("schemas", json!(shown)),
            ("id", json!("1")),
            ("meta", json!({"resourceType": "User"})),
        ] {
            members.entry(name).or_insert(value);
        }
        mask(names).apply(
            registry.by_name("User").unwrap(),
            user.as_object_mut().unwrap(),
        );
        assert_eq!(user, expected, "{names:?}");
    }

    #[test]
    fn shown_attributes() {
        check(&["nope"], json!({}));
        check(
            &["USERNAME", "groups"],
            json!({"userName": "ada", "groups": []}),
        );
        check(&["name.givenName"], json!({"name": {"givenName": "Ada"}}));
        check(&["emails.value"], json!({"emails": [{"value": "a@x"}]}));
        check(
            &["urn:ietf:params:scim:schemas:core:2.0:User:name"],
            json!({"name": {"givenName": "Ada", "familyName": "Byron"}}),
        );
        check(
            &[&format!("{EU}:department")],
            json!({EU: {"department": "d"}}),
        );
        check(
            &[&format!("{EU}:manager.value")],
            json!({EU: {"manager": {"value": "m"}}}),
        );
        check(&["urn:X:other"], json!({"urn:x:Other": {"any": 1}}));
        check(&["department"], json!({}));
        check(
            &["urn:ietf:params:scim:schemas:core:2.0:User:active"],
            json!({}),
        );
    }

    #[test]
    fn metadata_that_moves_is_shown_only_by_name() {
        let whole = json!({"resourceType": "User", "lastModified": "t", "version": "v"});
        check(&["meta"], json!({ "meta": whole }));
        let version = json!({"resourceType": "User", "version": "v"});
        check(&["META.Version"], json!({ "meta": version }));
        let all = json!([CORE, EU, "urn:x:Other"]);
        check(&["schemas"], json!({ "schemas": all }));
    }

    #[test]
    fn filters_on_hidden_attributes() {
        let registry = Registry::standard();
        let rt = registry.by_name("User").unwrap();
        let mask = mask(&["userName", "name", "emails.value"]);
        let check = |text: &str, hidden: Option<&str>| {
            let found =
                mask.hidden_in(rt, &filter::parse(rt, text, Compatibility::Strict).unwrap());
            assert_eq!(found.as_ref().map(AttrRef::key), hidden, "{text}");
        };
        check(r#"userName eq "a" and id eq "b" and meta.created pr"#, None);
        check(r#"name.familyName sw "b" or emails co "x""#, None);
        check(r#"emails[value eq "x"]"#, None);
        check("emails pr", Some("emails"));
        check(
            r#"emails[type eq "work" and value eq "x"]"#,
            Some("emails.type"),
        );
        check("not (phoneNumbers pr)", Some("phoneNumbers"));
        check(
            r#"userName pr or phoneNumbers.value eq "1""#,
            Some("phoneNumbers.value"),
        );
        check("active eq true", Some("active"));
        check(r#"meta.version eq "v""#, Some("meta.version"));
        check(
            r#"meta.lastModified gt "2026-01-01T00:00:00Z""#,
            Some("meta.lastModified"),
        );
        check(&format!(r#"schemas eq "{EU}""#), Some("schemas"));
        check(
            &format!(r#"{EU}:department eq "d""#),
            Some(&format!("{EU}:department")),
        );
    }

    #[test]
    fn filters_on_undeclared_extensions() {
        let registry = Registry::standard();
        let rt = registry.by_name("User").unwrap();
        let check = |allowed: &str, text: &str, hidden: Option<&str>| {
            let filter = filter::parse(rt, text, Compatibility::Tolerant).unwrap();
            let found = mask(&["userName", allowed]).hidden_in(rt, &filter);
            assert_eq!(found.as_ref().map(AttrRef::key), hidden, "{allowed} {text}");
        };
        for (text, key) in [
            (r#"urn:acme:x:attr eq "v""#, "urn:acme:x:attr.value"),
            ("not (urn:acme:x:object.sub pr)", "urn:acme:x:object.sub"),
            (r#"urn:acme:x:list[type eq "t"]"#, "urn:acme:x:list.type"),
            ("urn:acme:x:list eq null", "urn:acme:x:list"),
        ] {
            check("urn:ACME:x", text, None);
            check("urn:acme:x:attr", text, Some(key));
            check("urn:acme", text, Some(key));
            check(EU, text, Some(key));
        }
        // An undeclared attribute is never taken for a declared one.
        check("name", "urn:acme:x:name pr", Some("urn:acme:x:name"));
        check("userName", "urn:acme:x:id pr", Some("urn:acme:x:id"));
    }

    #[test]
    fn attributes_to_load() {
        let registry = Registry::standard();
        let rt = registry.by_name("Group").unwrap();
        let members = &rt.attr_by_key("members").unwrap().attribute;
        assert!(mask(&["members.value"]).allows_some(rt, members));
        assert!(mask(&["members"]).allows_some(rt, members));
        assert!(!mask(&["displayName"]).allows_some(rt, members));
    }
}
