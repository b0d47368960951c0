//! Replaces `bulkId:x` by the id in the data of an operation.
//!
//! A literal text stays a text: only attributes that the schema declares as references are resolved
//! (RFC 7644 section 3.7.2).

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::ScimError;
use crate::registry::ResourceType;
use crate::schema::{Attribute, Mutability, Type};

/// The prefix of the `bulkId` of another operation where an id is expected.
pub const PREFIX: &str = "bulkId:";

/// The resource that a `bulkId` refers to.
#[derive(Debug, Clone)]
pub struct KnownResource {
    /// The number of the operation that creates it.
    pub operation: usize,
    /// The id of the resource.
    pub id: String,
    /// The address of the resource to be.
    pub location: String,
}

/// Resolves the references of one operation and records them.
#[derive(Debug)]
pub struct References<'k> {
    known: &'k HashMap<String, KnownResource>,
    /// The operations that were referred to.
    pub used: BTreeSet<usize>,
    unknown: BTreeSet<String>,
}

impl<'k> References<'k> {
    /// Starts the resolution for one operation; `known` has the resources by `bulkId`.
    pub fn new(known: &'k HashMap<String, KnownResource>) -> Self {
        Self {
            known,
            used: BTreeSet::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Replaces references by ids in the body of a POST or PUT.
    pub fn resolve_resource(&mut self, rt: &ResourceType, body: &mut Value) {
        if let Value::Object(members) = body {
            self.attributes(rt, None, members);
        }
    }

    /// Replaces references by ids in the operations of a PATCH: in values, and in the filters of
    /// paths.
    pub fn resolve_patch(&mut self, rt: &ResourceType, body: &mut Value) {
        let operations = body
            .as_object_mut()
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.eq_ignore_ascii_case("Operations"))
            .filter_map(|(_, operations)| operations.as_array_mut())
            .flatten()
            .filter_map(Value::as_object_mut);
        for operation in operations {
            let mut path = None;
            let mut value = None;
            for (name, member) in operation.iter_mut() {
                if name.eq_ignore_ascii_case("path") {
                    path = member.as_str().is_some().then_some(member);
                } else if name.eq_ignore_ascii_case("value") {
                    value = Some(member);
                }
            }
            match (path, value) {
                (Some(Value::String(path)), value) => self.targeted(rt, path, value),
                (_, Some(Value::Object(members))) => self.attributes(rt, None, members),
                _ => {}
            }
        }
    }

    /// Returns the id of the resource that the `bulkId` refers to.
    pub fn id(&mut self, bulk_id: &str) -> Option<String> {
        match self.known.get(bulk_id) {
            Some(known) => {
                self.used.insert(known.operation);
                Some(known.id.clone())
            }
            None => {
                self.unknown.insert(bulk_id.to_owned());
                None
            }
        }
    }

    /// Returns the operations that were referred to.
    ///
    /// # Errors
    /// `invalidValue` if a `bulkId` did not resolve.
    pub fn finish(self) -> Result<BTreeSet<usize>, ScimError> {
        match self.unknown.first() {
            None => Ok(self.used),
            Some(bulk_id) => Err(ScimError::invalid_value(format!(
                "bulkId:{bulk_id} did not resolve: no POST of this request has this bulkId."
            ))),
        }
    }

    /// One operation of a PATCH with a path.
    fn targeted(&mut self, rt: &ResourceType, path: &mut String, value: Option<&mut Value>) {
        let (name, behind) = match path.split_once('[') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path.as_str(), None),
        };
        if let Some(urn) = rt.extension(name).map(|found| found.schema.id.clone()) {
            if let Some(Value::Object(members)) = value {
                self.attributes(rt, Some(&urn), members);
            }
            return;
        }
        let Some(target) = rt.attr_by_key(name) else {
            return;
        };
        let sub = behind
            .and_then(|rest| rest.rsplit_once("]."))
            .and_then(|(_, sub)| target.attribute.sub_attribute(sub));
        let sub = sub.or(target.sub.as_ref()).cloned();
        let attribute = std::sync::Arc::clone(&target.attribute);
        if behind.is_some() && refers(rt, &attribute) {
            *path = self.literals(path);
        }
        match (value, sub) {
            (None, _) => {}
            (Some(value), Some(sub)) => {
                if is_reference(rt, &attribute, &sub) {
                    self.texts(value);
                }
            }
            (Some(value), None) => self.value(rt, &attribute, value),
        }
    }

    /// The attributes of a resource, of an extension's container or of a PATCH without a path.
    fn attributes(
        &mut self,
        rt: &ResourceType,
        urn: Option<&str>,
        members: &mut Map<String, Value>,
    ) {
        for (name, value) in members {
            if let (None, Some(extension)) = (urn, rt.extension(name)) {
                if let Value::Object(members) = value {
                    self.attributes(rt, Some(&extension.schema.id), members);
                }
                continue;
            }
            if urn.is_none() && rt.is_core(name) {
                if let Value::Object(members) = value {
                    self.attributes(rt, None, members);
                }
                continue;
            }
            let key = urn
                .map(|urn| format!("{urn}:{name}"))
                .or_else(|| rt.with_colon(name));
            let Some(path) = rt.attr_by_key(key.as_deref().unwrap_or(name)) else {
                continue;
            };
            // A pathless PATCH may name what a path would: `manager.value`.
            match &path.sub {
                Some(sub) if is_reference(rt, &path.attribute, sub) => self.texts(value),
                Some(_) => {}
                None => self.value(rt, &path.attribute, value),
            }
        }
    }

    /// The value of one attribute: several, or one.
    fn value(&mut self, rt: &ResourceType, attribute: &Attribute, value: &mut Value) {
        match value {
            Value::Array(elements) => {
                for element in elements {
                    self.value(rt, attribute, element);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    if let Some(sub) = attribute.sub_attribute(name)
                        && is_reference(rt, attribute, sub)
                    {
                        self.texts(value);
                    }
                }
            }
            // Entra ID sends the id alone where a manager is to be set.
            text @ Value::String(_) if refers(rt, attribute) => self.texts(text),
            _ => {}
        }
    }

    /// A text that refers, or several.
    fn texts(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(resolved) = self.text(text) {
                    *text = resolved;
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.texts(element);
                }
            }
            _ => {}
        }
    }

    /// `bulkId:x` is the id; at the end of an address it is the end of the address.
    fn text(&mut self, text: &str) -> Option<String> {
        if let Some(bulk_id) = text.strip_prefix(PREFIX) {
            return self.id(bulk_id);
        }
        let (start, last) = text.rsplit_once('/')?;
        let bulk_id = last.strip_prefix(PREFIX)?;
        let id = self.id(bulk_id)?;
        let known = self.known.get(bulk_id)?;
        let is_relative = !start.contains("://");
        Some(if is_relative {
            known.location.clone()
        } else {
            format!("{start}/{id}")
        })
    }

    /// Every text in quotes that refers, within a path.
    fn literals(&mut self, path: &str) -> String {
        let opening = format!("\"{PREFIX}");
        let mut resolved = String::with_capacity(path.len());
        let mut rest = path;
        while let Some((before, after)) = rest.split_once(&opening) {
            let Some((bulk_id, after)) = after.split_once('"') else {
                break;
            };
            resolved.push_str(before);
            match self.id(bulk_id) {
                Some(id) => resolved.push_str(&format!("\"{id}\"")),
                None => resolved.push_str(&format!("{opening}{bulk_id}\"")),
            }
            rest = after;
        }
        resolved.push_str(rest);
        resolved
    }
}

/// Returns whether the attribute, or its `value`, is the id of a resource.
fn refers(rt: &ResourceType, attribute: &Attribute) -> bool {
    if attribute.is_complex() {
        let mut assignable = rt.assignable.iter();
        let is_assignable = assignable.any(|one| one.attribute == attribute.name);
        is_assignable
            || attribute
                .sub_attribute("$ref")
                .is_some_and(|reference| names_resources(reference))
    } else {
        names_resources(attribute)
    }
}

fn is_reference(rt: &ResourceType, attribute: &Attribute, sub: &Attribute) -> bool {
    names_resources(sub)
        || (sub.name == "value" && refers(rt, attribute) && sub.mutability != Mutability::ReadOnly)
}

/// Returns whether the attribute refers to resources of this server, not to external ones (RFC 7643
/// section 7, `referenceTypes`).
fn names_resources(attribute: &Attribute) -> bool {
    attribute.kind == Type::Reference
        && attribute
            .reference_types
            .iter()
            .any(|kind| kind != "external" && kind != "uri")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Registry;

    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    fn known() -> HashMap<String, KnownResource> {
        [("u", "Users", 3), ("g", "Groups", 5)]
            .into_iter()
            .map(|(bulk_id, endpoint, operation)| {
                let id = format!("{bulk_id}-id");
                let location = format!("https://h/{endpoint}/{id}");
                (
                    bulk_id.to_owned(),
                    KnownResource {
                        operation,
                        id,
                        location,
                    },
                )
            })
            .collect()
    }

    fn check(rt: &str, patch: bool, body: Value, expected: Value, used: &[usize]) {
        let registry = Registry::standard();
        let rt = registry.by_name(rt).unwrap();
        let known = known();
        let mut references = References::new(&known);
        let mut resolved = body.clone();
        if patch {
            references.resolve_patch(rt, &mut resolved);
        } else {
            references.resolve_resource(rt, &mut resolved);
        }
        assert_eq!(resolved, expected, "{body}");
        assert!(references.used.iter().eq(used), "{body}");
    }

    // R7644-3.7.2-01
    #[test]
    fn members_and_managers() {
        check(
            "Group",
            false,
            json!({ "displayName": "x", "MEMBERS": [{ "Value": "bulkId:u" }, { "value": "bulkId:g" }, { "value": "7" }] }),
            json!({ "displayName": "x", "MEMBERS": [{ "Value": "u-id" }, { "value": "g-id" }, { "value": "7" }] }),
            &[3, 5],
        );
        check(
            "Group",
            false,
            json!({ "members": { "value": "bulkId:u", "$ref": "../Users/bulkId:u" } }),
            json!({ "members": { "value": "u-id", "$ref": "https://h/Users/u-id" } }),
            &[3],
        );
        check(
            "User",
            false,
            json!({ MANAGER: { "manager": { "value": "bulkId:u", "$ref": "https://o/v2/Users/bulkId:u" } } }),
            json!({ MANAGER: { "manager": { "value": "u-id", "$ref": "https://o/v2/Users/u-id" } } }),
            &[3],
        );
    }

    // R7644-3.7.2-03
    #[test]
    fn texts_stay_texts() {
        let body = json!({
            "userName": "bulkId:u", "displayName": "bulkId:g", "emails": [{ "value": "bulkId:u" }],
            "profileUrl": "bulkId:u", "photos": [{ "value": "bulkId:u" }], "roles": ["bulkId:u"],
            "members": [{ "display": "bulkId:u" }], MANAGER: { "department": "bulkId:u" },
            "urn:x:y": { "manager": { "value": "bulkId:u" } }, "unknown": "bulkId:u",
        });
        check("User", false, body.clone(), body, &[]);
        let body = json!({ "displayName": "bulkId:u", "members": [{ "display": "bulkId:u" }] });
        check("Group", false, body.clone(), body, &[]);
    }

    // R7644-3.7.2-01
    #[test]
    fn patches() {
        let patch = |operation: Value| json!({ "Operations": [operation] });
        let cases = [
            (
                "Group",
                json!({ "op": "add", "path": "members", "value": [{ "value": "bulkId:u" }] }),
                json!({ "op": "add", "path": "members", "value": [{ "value": "u-id" }] }),
            ),
            (
                "Group",
                json!({ "op": "add", "value": { "members": [{ "value": "bulkId:u" }] } }),
                json!({ "op": "add", "value": { "members": [{ "value": "u-id" }] } }),
            ),
            (
                "Group",
                json!({ "op": "remove", "Path": "members[value eq \"bulkId:u\" or value eq \"1\"]" }),
                json!({ "op": "remove", "Path": "members[value eq \"u-id\" or value eq \"1\"]" }),
            ),
            (
                "User",
                json!({ "op": "replace", "path": format!("{MANAGER}:manager.value"), "value": "bulkId:u" }),
                json!({ "op": "replace", "path": format!("{MANAGER}:manager.value"), "value": "u-id" }),
            ),
            (
                "User",
                json!({ "op": "replace", "path": format!("{MANAGER}:manager"), "value": "bulkId:u" }),
                json!({ "op": "replace", "path": format!("{MANAGER}:manager"), "value": "u-id" }),
            ),
            (
                "User",
                json!({ "op": "replace", "path": MANAGER, "value": { "manager": { "value": "bulkId:u" } } }),
                json!({ "op": "replace", "path": MANAGER, "value": { "manager": { "value": "u-id" } } }),
            ),
            (
                "User",
                json!({ "op": "add", "value": { format!("{MANAGER}:manager.value"): "bulkId:u" } }),
                json!({ "op": "add", "value": { format!("{MANAGER}:manager.value"): "u-id" } }),
            ),
            (
                "User",
                json!({ "op": "add", "value": { format!("{MANAGER}:manager.value"): ["bulkId:u"] } }),
                json!({ "op": "add", "value": { format!("{MANAGER}:manager.value"): ["u-id"] } }),
            ),
        ];
        for (rt, from, to) in cases {
            check(rt, true, patch(from), patch(to), &[3]);
        }
        for same in [
            json!({ "op": "replace", "path": "displayName", "value": "bulkId:u" }),
            json!({ "op": "replace", "path": "emails[value eq \"bulkId:u\"].display", "value": "bulkId:u" }),
            json!({ "op": "replace", "path": "nothing[", "value": "bulkId:u" }),
            json!({ "op": "replace", "path": 7, "value": "bulkId:u" }),
            json!({ "op": "add", "value": { format!("{MANAGER}:manager.displayName"): "bulkId:u" } }),
            json!("bulkId:u"),
        ] {
            check("User", true, patch(same.clone()), patch(same), &[]);
        }
    }

    #[test]
    fn roles_that_are_resources() {
        use crate::registry::{Blueprint, ClientAccess, known_schema};
        let mut blueprints = Blueprint::standard().unwrap();
        blueprints.push(Blueprint {
            name: "Role".to_owned(),
            endpoint: "/Roles".to_owned(),
            description: String::new(),
            schema: known_schema(crate::name::OKTA_ROLE).unwrap(),
            extensions: vec![],
            indexed: vec![],
            access: ClientAccess::ReadWrite,
        });
        let registry = Registry::of(&blueprints).unwrap();
        let known = known();
        let mut references = References::new(&known);
        let value = |text: &str| json!([{ "value": text }]);
        let body = |text: &str| {
            json!({ "roles": value(text), "entitlements": value("bulkId:g"),
                "emails": value("bulkId:g") })
        };
        let mut resolved = body("bulkId:u");
        references.resolve_resource(registry.by_name("User").unwrap(), &mut resolved);
        assert_eq!(resolved, body("u-id"));
    }

    #[test]
    fn unknown_bulk_ids_do_not_resolve() {
        let registry = Registry::standard();
        let known = known();
        let mut references = References::new(&known);
        let mut body = json!({ "members": [{ "value": "bulkId:u" }, { "value": "bulkId:" }] });
        references.resolve_resource(registry.by_name("Group").unwrap(), &mut body);
        let error = references.finish().unwrap_err();
        assert!(error.detail.contains("bulkId: did not resolve"), "{error}");
    }
}
