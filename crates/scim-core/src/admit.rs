//! Reads the JSON of a create or replace into a [`Document`].
//!
//! This is the only module, with [`crate::patch`], where names are matched ignoring case and types
//! are corrected; the rest of the crate trusts the result. [`Compatibility::Tolerant`] is the
//! default, because a rejected request stops a customer's provisioning (RFC 7644 sections 3.3 and
//! 3.5.1); for a strict tenant, values that would need correction are rejected first. The module
//! knows nothing of what is stored but the document that [`replace`] is given.
//!
//! ```
//! use scim_core::{Compatibility, Registry, admit};
//! use serde_json::json;
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//!
//! // Entra ID writes booleans as text; the schema makes them booleans.
//! let body = json!({ "USERNAME": "ada", "active": "True", "shoeSize": 38 });
//! let admitted = admit::admit(user, &body, Compatibility::Tolerant)?;
//! assert_eq!(admitted.document.0["userName"], "ada");
//! assert_eq!(admitted.document.0["active"], true);
//! assert_eq!(admitted.ignored, ["shoeSize"]);
//!
//! let error = admit::admit(user, &body, Compatibility::Strict).unwrap_err();
//! assert_eq!(error.kind.status(), 400);
//! # Ok::<(), scim_core::ScimError>(())
//! ```

pub use crate::validate::MAX_INDEXED_BYTES;

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::coerce::{Location, NullMeaning, into_password, set_once};
use crate::members::Member;
use crate::registry::{Extension, ResourceType};
use crate::schema::{Attribute, Mutability};
use crate::strict::ReadOnly;
use crate::validate::validate;
use crate::{Compatibility, Document, ScimError, coerce, members, name, patch, registry, strict};

/// The content of a create or replace, checked against a resource type.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// Without an `id`, whatever the client sent.
    pub document: Document,
    /// `None` where the body does not mention `members`.
    pub members: Option<Vec<Member>>,
    /// The password in clear, not checked against any policy; `None` if there is none or it is
    /// empty.
    pub password: Option<String>,
    /// `active` is null and the client is strict, so the attribute is unassigned and gets no
    /// default.
    pub active_cleared: bool,
    /// The names that no schema defines, as the client wrote them.
    pub ignored: Vec<String>,
}

/// Reads a resource as a client sends it with POST or PUT.
///
/// readOnly attributes are ignored. From a tolerant tenant, names are also read as a PATCH without
/// path reads them, attributes that no schema defines are left out, and undeclared extensions are
/// stored unchanged; from a strict one, both are errors. The result is complete and valid except
/// that uniqueness is not checked.
///
/// # Errors
/// `invalidSyntax` for a body that is not an object, names a member twice or lists wrong `schemas`;
/// `invalidValue` for a value of another type than the attribute's, or a required attribute that is
/// missing.
pub fn admit(
    rt: &ResourceType,
    body: &Value,
    compatibility: Compatibility,
) -> Result<Admitted, ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax(format!(
            "the body must be a JSON object with the attributes of a {}, not {}",
            rt.name,
            coerce::kind_of(body)
        )));
    };
    let mut draft = Draft {
        rt,
        compatibility,
        seen: HashSet::with_capacity(body.len()),
        listed: None,
        admitted: Admitted {
            document: Document(Map::with_capacity(body.len())),
            members: None,
            password: None,
            active_cleared: false,
            ignored: Vec::new(),
        },
        others: Vec::new(),
    };
    for (name, value) in body {
        draft.name(name, value)?;
    }
    let mut admitted = draft.complete()?;
    admitted.document.arrange(rt);
    validate(rt, &admitted.document)?;
    Ok(admitted)
}

/// Reads the resource that a POST creates: as [`admit`], with the [`defaults`] of a new resource.
///
/// # Errors
/// As [`admit`].
pub fn create(
    rt: &ResourceType,
    body: &Value,
    compatibility: Compatibility,
) -> Result<Admitted, ScimError> {
    let mut admitted = admit(rt, body, compatibility)?;
    defaults(rt, &mut admitted);
    Ok(admitted)
}

/// Returns the document that a PUT of `incoming` makes of `current` (RFC 7644 section 3.5.1).
///
/// Attributes that `incoming` lacks become unassigned, except readOnly and immutable ones and a
/// user's `active`. If nothing changes, the result is equal to `current`, byte for byte.
///
/// # Errors
/// `mutability` if an immutable attribute would change, `invalidValue` if the result lacks a
/// required attribute.
pub fn replace(
    rt: &ResourceType,
    current: &Document,
    incoming: &Admitted,
) -> Result<Document, ScimError> {
    let mut document = incoming.document.clone();
    match current.0.get("id") {
        Some(id) => document.0.insert("id".to_owned(), id.clone()),
        None => document.0.shift_remove("id"),
    };
    let core = rt.schema.attributes.iter().map(|a| (None, a));
    let extended = rt.extensions.iter().flat_map(|extension| {
        let attributes = extension.schema.attributes.iter();
        attributes.map(|a| (Some(extension.schema.id.as_str()), a))
    });
    for (urn, attribute) in core.chain(extended).filter(|(_, a)| is_guarded(a)) {
        let before = current
            .container(urn)
            .and_then(|holder| holder.get(&attribute.name));
        let at = Location::root(&attribute.name);
        document.change(urn, &attribute.name, |after| {
            guarded(attribute, before, after, &at)
        })?;
    }
    if !incoming.active_cleared {
        keep_activity(rt, current, &mut document);
    }
    document.arrange(rt);
    validate(rt, &document)?;
    // Objects are equal whatever their order, so an echo in another order gives the same text.
    Ok(if document == *current {
        current.clone()
    } else {
        document
    })
}

/// Keeps `active` in a PUT that does not mention it: a user who has left is not let back in.
fn keep_activity(rt: &ResourceType, current: &Document, document: &mut Document) {
    if rt.schema.id == name::USER
        && !document.0.contains_key("active")
        && let Some(active) = current.0.get("active")
    {
        document.0.insert("active".to_owned(), active.clone());
    }
}

/// Adds the defaults of a new resource if the client sends none: a user is active, and the `type`
/// of an entitlement is the name of its resource type.
pub fn defaults(rt: &ResourceType, admitted: &mut Admitted) {
    let document = &mut admitted.document;
    let is_open = !admitted.active_cleared && !document.0.contains_key("active");
    if rt.schema.id == name::USER && is_open {
        document.0.insert("active".to_owned(), Value::Bool(true));
        document.arrange(rt);
    }
    if rt.schema.id == name::OKTA_ENTITLEMENT {
        document
            .0
            .insert("type".to_owned(), Value::from(rt.name.as_str()));
        document.arrange(rt);
    }
}

struct Draft<'a> {
    rt: &'a ResourceType,
    compatibility: Compatibility,
    /// Names in the schema's spelling, URNs in lower case.
    seen: HashSet<String>,
    /// The extensions that `schemas` lists, in their own spelling; `None` before `schemas` was
    /// seen.
    listed: Option<Vec<String>>,
    admitted: Admitted,
    /// The names that are neither an attribute nor an extension: full names, paths, undeclared
    /// extensions.
    others: Vec<(String, &'a Value)>,
}

impl<'a> Draft<'a> {
    fn name(&mut self, name: &str, value: &'a Value) -> Result<(), ScimError> {
        let common = || registry::common().attribute(name);
        if let Some(attribute) = self.rt.schema.attribute(name).or_else(common) {
            return self.attribute(attribute, value);
        }
        if let Some(extension) = self.rt.extension(name) {
            return self.extension(extension, name, value);
        }
        if self.compatibility.is_strict() {
            return Err(strict::unknown(self.rt, &name));
        }
        self.others.push((name.to_owned(), value));
        Ok(())
    }

    fn attribute(&mut self, attribute: &Attribute, value: &Value) -> Result<(), ScimError> {
        let name = attribute.name.as_str();
        let at = Location::root(name);
        if !self.seen.insert(name.to_owned()) {
            return Err(coerce::twice(&at));
        }
        if name == "schemas" {
            // It follows from what the document holds, so a tolerant tenant's clients may send
            // anything.
            if self.compatibility.is_strict() {
                self.listed = Some(listed_schemas(self.rt, value)?);
            }
            return Ok(());
        }
        if self.compatibility.is_strict() && attribute.mutability != Mutability::ReadOnly {
            strict::attribute(attribute, value, ReadOnly::Ignore, &at)?;
            // RFC 7644 section 3.3: null overrides the server's default.
            self.admitted.active_cleared |= name == "active" && value.is_null();
        }
        if attribute.mutability != Mutability::ReadOnly {
            let undefined = coerce::undefined(attribute, value, name);
            self.admitted.ignored.extend(undefined);
        }
        match attribute.mutability {
            Mutability::ReadOnly => {}
            _ if self.rt.is_relational(name) => {
                self.admitted.members = Some(members::parse(value, &at)?);
            }
            _ if self.rt.is_password(None, attribute) => {
                let password = coerce::attribute(attribute, value, &at)?;
                self.admitted.password = password.and_then(into_password);
            }
            Mutability::ReadWrite | Mutability::Immutable | Mutability::WriteOnly => {
                if let Some(value) = coerce::attribute(attribute, value, &at)? {
                    self.admitted.document.0.insert(name.to_owned(), value);
                }
            }
        }
        Ok(())
    }

    fn extension(
        &mut self,
        extension: &Extension,
        name: &str,
        value: &'a Value,
    ) -> Result<(), ScimError> {
        let at = Location::root(name);
        let urn = extension.schema.id.as_str();
        if self.compatibility.is_strict() {
            strict::extension(extension, value, ReadOnly::Ignore, &at)?;
        }
        if !self.seen.insert(urn.to_ascii_lowercase()) {
            return Err(coerce::twice(&at));
        }
        // A list of one is read as its element.
        let value = coerce::only(value);
        let attributes = extension_attributes(extension, value, &at)?;
        if !attributes.is_empty() {
            let document = &mut self.admitted.document.0;
            document.insert(urn.to_owned(), Value::Object(attributes));
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            match extension.schema.attribute(name) {
                Some(attribute) if attribute.is_complex() => {
                    let undefined = coerce::undefined(attribute, value, &format!("{urn}:{name}"));
                    self.admitted.ignored.extend(undefined);
                }
                Some(_) => {}
                None => self.others.push((format!("{urn}:{name}"), value)),
            }
        }
        Ok(())
    }

    /// Adds to the draft the attributes under other names.
    fn complete(self) -> Result<Admitted, ScimError> {
        if self.compatibility.is_strict() {
            self.check_listed()?;
        }
        let mut admitted = self.admitted;
        if self.others.is_empty() {
            return Ok(admitted);
        }
        let completed = patch::complete(self.rt, &mut admitted.document, &self.others)?;
        if !completed.members.is_empty() {
            let members = admitted.members.get_or_insert_default();
            let mut seen: HashSet<String> =
                members.iter().map(|member| member.value.clone()).collect();
            members.extend(
                completed
                    .members
                    .into_iter()
                    .filter(|member| seen.insert(member.value.clone())),
            );
        }
        admitted.password = completed.password.or(admitted.password);
        admitted.ignored.extend(completed.ignored);
        Ok(admitted)
    }

    /// RFC 7643 section 3: `schemas` names every schema whose attributes are there.
    fn check_listed(&self) -> Result<(), ScimError> {
        let Some(listed) = &self.listed else {
            return Err(schemas_fault(self.rt, "which is missing"));
        };
        let extensions = self.rt.extensions.iter();
        for urn in extensions.map(|extension| extension.schema.id.as_str()) {
            let is_there = self.seen.contains(&urn.to_ascii_lowercase());
            if is_there && !listed.iter().any(|listed| listed == urn) {
                return Err(ScimError::invalid_syntax(format!(
                    "schemas must hold \"{urn}\", whose attributes are there"
                )));
            }
        }
        Ok(())
    }
}

fn extension_attributes(
    extension: &Extension,
    value: &Value,
    at: &Location,
) -> Result<Map<String, Value>, ScimError> {
    match value {
        Value::Object(members) => {
            let attributes = &extension.schema.attributes;
            let named = coerce::named(attributes, members, NullMeaning::Unassign, at)?;
            Ok(named
                .into_iter()
                .filter_map(|(attribute, value)| Some((attribute.name.clone(), value?)))
                .collect())
        }
        Value::Null => Ok(Map::new()),
        Value::String(text) if text.is_empty() => Ok(Map::new()),
        Value::Array(elements) if elements.is_empty() => Ok(Map::new()),
        other => Err(ScimError::invalid_value(format!(
            "{at} must be an object with the attributes of the extension, not {}",
            coerce::kind_of(other)
        ))),
    }
}

/// Returns the extensions that `schemas` lists for a strict tenant: distinct URNs, the type's own
/// and those of its extensions (RFC 7643 section 3).
fn listed_schemas(rt: &ResourceType, value: &Value) -> Result<Vec<String>, ScimError> {
    let fault = |found: &str| schemas_fault(rt, found);
    let Value::Array(urns) = value else {
        return Err(fault("as a list of text"));
    };
    let mut names_core = false;
    let mut listed = Vec::new();
    for urn in urns {
        let urn = urn.as_str().ok_or_else(|| fault("as a list of text"))?;
        let again = match rt.extension(urn) {
            _ if rt.is_core(urn) => std::mem::replace(&mut names_core, true),
            Some(extension) => {
                let urn = &extension.schema.id;
                let again = listed.contains(urn);
                listed.push(urn.clone());
                again
            }
            None => return Err(fault("and no schema that the type does not have")),
        };
        if again {
            return Err(fault("and each schema once"));
        }
    }
    if names_core {
        Ok(listed)
    } else {
        Err(fault("which is missing"))
    }
}

fn schemas_fault(rt: &ResourceType, found: &str) -> ScimError {
    ScimError::invalid_syntax(format!(
        "schemas must hold \"{}\" for a {}, {found}",
        rt.schema.id, rt.name
    ))
}

/// Returns whether a replace depends on the old value.
fn is_guarded(attribute: &Attribute) -> bool {
    let is_guarded =
        |a: &Attribute| matches!(a.mutability, Mutability::ReadOnly | Mutability::Immutable);
    is_guarded(attribute)
        || (!attribute.multi_valued && attribute.sub_attributes.iter().any(|sub| is_guarded(sub)))
}

fn guarded(
    attribute: &Attribute,
    before: Option<&Value>,
    after: Option<Value>,
    at: &Location,
) -> Result<Option<Value>, ScimError> {
    match (attribute.mutability, before, after) {
        (Mutability::ReadOnly, before, _) => Ok(before.cloned()),
        (Mutability::Immutable, Some(before), Some(after)) if *before != after => Err(set_once(at)),
        (Mutability::Immutable, Some(before), None) => Ok(Some(before.clone())),
        (_, Some(Value::Object(before)), Some(Value::Object(mut after))) => {
            for sub in attribute
                .sub_attributes
                .iter()
                .filter(|sub| is_guarded(sub))
            {
                let old = before.get(&sub.name);
                let new = after.shift_remove(&sub.name);
                if let Some(value) = guarded(sub, old, new, &at.name(&sub.name))? {
                    after.insert(sub.name.clone(), value);
                }
            }
            Ok(Some(Value::Object(after)))
        }
        (_, _, after) => Ok(after),
    }
}

#[cfg(test)]
mod tests;
