//! The attributes of a response: `attributes`, `excludedAttributes` and the `returned`
//! characteristic (RFC 7644 section 3.9, RFC 7643 section 7).
//!
//! Works on complete resources; knows nothing of where their parts come from.
//!
//! ```
//! use scim_core::Registry;
//! use scim_core::project::{Selection, project};
//! use serde_json::json;
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let mut resource = json!({
//!     "id": "1", "userName": "ada", "title": "Countess",
//!     "name": { "givenName": "Ada", "familyName": "Lovelace" },
//! });
//! let selection = Selection::parse(Some("title,name.givenName"), None)?;
//! project(user, resource.as_object_mut().expect("an object"), &selection);
//! assert_eq!(resource, json!({ "id": "1", "title": "Countess", "name": { "givenName": "Ada" } }));
//! # Ok::<(), scim_core::ScimError>(())
//! ```

#[cfg(test)]
mod tests;
mod undeclared;

use serde_json::{Map, Value};

use self::undeclared::{remove_named, retain_named};
use crate::ScimError;
use crate::field_mask::FieldMask;
use crate::registry::{AttrRef, ResourceType};
use crate::schema::{Attribute, Returned};

/// The attributes that a client asked for, within what it may read. Names are resolved later, since
/// a list may hold several types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    choice: Choice,
    /// The attributes that a write named in its body: those that are returned on request only are
    /// returned to it.
    sent: Vec<AttrRef>,
    /// Nothing beyond it is shown, whatever was asked for.
    mask: Option<FieldMask>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    All,
    /// These, and what is always returned.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Selection {
    /// Selects everything that is returned by default.
    pub fn all() -> Self {
        Self::of(Choice::All)
    }

    fn of(choice: Choice) -> Self {
        Self {
            choice,
            sent: Vec::new(),
            mask: None,
        }
    }

    /// Returns whether the mask, if there is one, allows the whole value at this path.
    pub fn may_show(&self, rt: &ResourceType, path: &AttrRef) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.allows(rt, path))
    }

    /// Shows nothing that the mask does not allow.
    #[must_use]
    pub fn within(self, mask: Option<FieldMask>) -> Self {
        Self { mask, ..self }
    }

    /// For the answer to a write with this body (RFC 7643 section 7, `returned`): what the client
    /// sent of the attributes that are returned on request.
    #[must_use]
    pub fn and_sent(mut self, rt: &ResourceType, body: &Value) -> Self {
        if rt.has_returned_on_request() {
            self.sent = sent(rt, body);
        }
        self
    }

    /// Parses the two query parameters: names separated by commas. An empty parameter means the
    /// same as none.
    ///
    /// # Errors
    /// `invalidValue` if both select attributes.
    pub fn parse(attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, ScimError> {
        let attributes = names(attributes);
        let excluded = names(excluded);
        match (attributes.is_empty(), excluded.is_empty()) {
            (true, true) => Ok(Self::all()),
            (false, true) => Ok(Self::of(Choice::Only(attributes))),
            (true, false) => Ok(Self::of(Choice::Except(excluded))),
            (false, false) => Err(ScimError::invalid_value(
                "Send either attributes or excludedAttributes, not both.",
            )),
        }
    }

    /// Returns the parameter that chose, and the names in it.
    pub fn named(&self) -> (&'static str, &[String]) {
        match &self.choice {
            Choice::All => ("", &[]),
            Choice::Only(names) => ("attributes", names),
            Choice::Except(names) => ("excludedAttributes", names),
        }
    }

    /// Returns whether no parameter selects attributes.
    pub fn is_all(&self) -> bool {
        self.choice == Choice::All && self.mask.is_none()
    }

    /// Returns whether a top-level attribute, such as `members`, is shown at least in part, so that
    /// the server has to load it.
    pub fn wants(&self, rt: &ResourceType, attribute: &str) -> bool {
        rt.find(attribute).is_some_and(|path| {
            let within = |mask: &FieldMask| mask.allows_some(rt, &path.attribute);
            Chosen::of(rt, self).shows(&path.attribute, None)
                && self.mask.as_ref().is_none_or(within)
        })
    }

    /// Returns whether everything that a document holds is shown, so that its text may be copied
    /// unread.
    pub fn shows_whole_document(&self, rt: &ResourceType) -> bool {
        let is_outside = |name: &String| {
            rt.find(name)
                .is_none_or(|path| rt.is_relational(path.key()))
        };
        match &self.choice {
            _ if self.mask.is_some() => false,
            Choice::All => true,
            Choice::Only(_) => false,
            Choice::Except(names) => names
                .iter()
                .all(|name| is_outside(name) && !name.contains(':')),
        }
    }
}

fn names(parameter: Option<&str>) -> Vec<String> {
    parameter
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The attributes that the body of a write names: those of a resource, or of the operations of a
/// PATCH.
fn sent(rt: &ResourceType, body: &Value) -> Vec<AttrRef> {
    let mut found = Vec::new();
    let operations = body.as_object().into_iter().flatten();
    let operations = operations.filter(|(name, _)| name.eq_ignore_ascii_case("Operations"));
    let operations: Vec<&Value> = operations
        .filter_map(|(_, list)| list.as_array())
        .flatten()
        .collect();
    if operations.is_empty() {
        named_in(rt, None, body, &mut found);
    }
    for operation in operations {
        match operation.get("path").and_then(Value::as_str) {
            // Brackets choose among values; what is before and behind them is the attribute.
            Some(path) => {
                let name = path.split('[').next().unwrap_or_default();
                match rt.attr_by_key(name) {
                    Some(path) => found.push(path),
                    None => named_in(
                        rt,
                        Some(name),
                        operation.get("value").unwrap_or(&Value::Null),
                        &mut found,
                    ),
                }
            }
            None => named_in(
                rt,
                None,
                operation.get("value").unwrap_or(&Value::Null),
                &mut found,
            ),
        }
    }
    found
}

/// The attributes that an object names, in an extension's container or at the top.
fn named_in(rt: &ResourceType, urn: Option<&str>, object: &Value, found: &mut Vec<AttrRef>) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let key = match urn {
            Some(urn) => format!("{urn}:{name}"),
            None => name.clone(),
        };
        match rt.attr_by_key(&key) {
            Some(path) => found.push(path),
            None if urn.is_none() && rt.extension(name).is_some() => {
                named_in(rt, Some(name), value, found);
            }
            None if urn.is_none() && rt.is_core(name) => named_in(rt, None, value, found),
            None => found.extend(rt.with_colon(&key).and_then(|key| rt.attr_by_key(&key))),
        }
    }
}

/// Removes from a complete resource (with `meta`, `members` and `groups`) what the client did not
/// ask for and what is never returned. Names that the type does not have are ignored.
pub fn project(rt: &ResourceType, resource: &mut Map<String, Value>, selection: &Selection) {
    let chosen = Chosen::of(rt, selection);
    resource.retain(|name, value| {
        if let Some(path) = rt.attr_by_key(name).filter(|_| !name.contains(':')) {
            return chosen.keep(&path.attribute, None, value);
        }
        let Some(extension) = rt.extension(name) else {
            return chosen.keep_undeclared(name, value);
        };
        let Value::Object(container) = value else {
            return false;
        };
        container.retain(|name, value| {
            extension
                .schema
                .attribute(name)
                .is_some_and(|attribute| chosen.keep(attribute, Some(&extension.schema.id), value))
        });
        !container.is_empty()
    });
    if let Some(mask) = &selection.mask {
        mask.apply(rt, resource);
    }
}

/// A selection, resolved for one resource type.
struct Chosen<'a> {
    choice: &'a Choice,
    sent: &'a [AttrRef],
    paths: Vec<AttrRef>,
    /// URNs that were named as a whole: extensions, the core schema and undeclared ones; and
    /// attributes of undeclared extensions, by their full names.
    urns: Vec<&'a str>,
    core: &'a str,
}

impl<'a> Chosen<'a> {
    fn of(rt: &'a ResourceType, selection: &'a Selection) -> Self {
        let names: &[String] = match &selection.choice {
            Choice::All => &[],
            Choice::Only(names) | Choice::Except(names) => names,
        };
        let mut chosen = Self {
            choice: &selection.choice,
            sent: &selection.sent,
            paths: Vec::new(),
            urns: Vec::new(),
            core: &rt.schema.id,
        };
        for name in names {
            let corrected = || rt.with_colon(name).and_then(|key| rt.attr_by_key(&key));
            match rt.attr_by_key(name).or_else(corrected) {
                Some(path) => chosen.paths.push(path),
                None => chosen.urns.push(name),
            }
        }
        chosen
    }

    /// Returns whether the attribute is shown; what of it, [`Self::keep`] decides.
    fn shows(&self, attribute: &Attribute, container: Option<&str>) -> bool {
        match (attribute.returned, self.choice) {
            (Returned::Never, _) => false,
            (Returned::Always, _) => true,
            (Returned::Default, Choice::All) => true,
            (Returned::Default, Choice::Except(_)) => !self.names(attribute, container),
            (Returned::Request, Choice::All) => self.was_sent(attribute, None, container),
            (Returned::Request, Choice::Except(_)) => {
                self.was_sent(attribute, None, container) && !self.names(attribute, container)
            }
            (Returned::Request, Choice::Only(_)) => self
                .paths
                .iter()
                .any(|path| is_of(path, attribute, container)),
            (Returned::Default, Choice::Only(_)) => {
                self.names(attribute, container)
                    || self
                        .paths
                        .iter()
                        .any(|path| is_of(path, attribute, container))
            }
        }
    }

    /// Returns whether a write named the attribute, or this part of it.
    fn was_sent(
        &self,
        attribute: &Attribute,
        sub: Option<&Attribute>,
        container: Option<&str>,
    ) -> bool {
        self.sent.iter().any(|path| {
            is_of(path, attribute, container)
                && match (sub, path.sub.as_deref()) {
                    (Some(sub), Some(sent)) => sent.name == sub.name,
                    _ => true,
                }
        })
    }

    /// Returns whether the attribute was named itself, or with its whole schema.
    fn names(&self, attribute: &Attribute, container: Option<&str>) -> bool {
        let urn = container.unwrap_or(self.core);
        self.urns.iter().any(|name| name.eq_ignore_ascii_case(urn))
            || self
                .paths
                .iter()
                .any(|path| path.sub.is_none() && is_of(path, attribute, container))
    }

    fn names_sub(&self, attribute: &Attribute, sub: &Attribute, container: Option<&str>) -> bool {
        self.paths.iter().any(|path| {
            is_of(path, attribute, container)
                && path
                    .sub
                    .as_ref()
                    .is_some_and(|found| found.name == sub.name)
        })
    }

    fn shows_sub(&self, attribute: &Attribute, sub: &Attribute, container: Option<&str>) -> bool {
        let is_named = || self.names_sub(attribute, sub, container);
        match (sub.returned, self.choice) {
            (Returned::Never, _) => false,
            (Returned::Always, _) => true,
            (Returned::Default, Choice::All) => true,
            (Returned::Default, Choice::Except(_)) => !is_named(),
            (Returned::Request, Choice::All) => self.was_sent(attribute, Some(sub), container),
            (Returned::Request, Choice::Except(_)) => {
                self.was_sent(attribute, Some(sub), container) && !is_named()
            }
            (Returned::Request, Choice::Only(_)) => is_named(),
            (Returned::Default, Choice::Only(_)) => {
                // A complex attribute that is always returned and not named is shown as a whole.
                let has_named_sub = || {
                    self.paths
                        .iter()
                        .any(|path| path.sub.is_some() && is_of(path, attribute, container))
                };
                is_named() || self.names(attribute, container) || !has_named_sub()
            }
        }
    }

    /// Takes out of the value what is not shown; false where nothing remains.
    fn keep(&self, attribute: &Attribute, container: Option<&str>, value: &mut Value) -> bool {
        if !self.shows(attribute, container) {
            return false;
        }
        let retain = |element: &mut Value| match element {
            Value::Object(members) => {
                members.retain(|name, _| {
                    attribute
                        .sub_attribute(name)
                        .is_some_and(|sub| self.shows_sub(attribute, sub, container))
                });
                !members.is_empty()
            }
            _ => true,
        };
        match value {
            // An empty list of members is a fact worth telling.
            Value::Array(elements) if elements.is_empty() => true,
            Value::Array(elements) => {
                elements.retain_mut(retain);
                !elements.is_empty()
            }
            single => retain(single),
        }
    }

    /// An extension that no schema describes: as a whole, or the attributes that were named; false
    /// where nothing remains.
    fn keep_undeclared(&self, urn: &str, value: &mut Value) -> bool {
        let is_named = self.urns.iter().any(|name| name.eq_ignore_ascii_case(urn));
        let names: Vec<&str> = self
            .urns
            .iter()
            .filter_map(|name| {
                let (start, attribute) = name.split_at_checked(urn.len())?;
                let attribute = attribute.strip_prefix(':')?;
                start.eq_ignore_ascii_case(urn).then_some(attribute)
            })
            .collect();
        match (self.choice, value) {
            (Choice::All, _) => true,
            (Choice::Only(_), _) if is_named => true,
            (Choice::Except(_), _) if is_named => false,
            (Choice::Only(_), Value::Object(members)) => {
                retain_named(members, &names);
                !members.is_empty()
            }
            (Choice::Except(_), Value::Object(members)) => {
                remove_named(members, &names);
                !members.is_empty()
            }
            (Choice::Only(_), _) => false,
            (Choice::Except(_), _) => true,
        }
    }
}

/// Returns whether the path is the attribute or one of its sub-attributes.
fn is_of(path: &AttrRef, attribute: &Attribute, container: Option<&str>) -> bool {
    path.attribute.name == attribute.name && path.container.as_deref() == container
}
