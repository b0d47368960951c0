//! Roles and entitlements as Okta's governance reads them: types of their own, which users name in `roles` and
//! `entitlements`.
//!
//! Where no such type is declared, both attributes hold whatever a client writes.

use std::collections::BTreeMap;

use super::{Blueprint, ResourceType};
use crate::name;

/// Okta takes descriptions of so many characters.
pub const MAX_DESCRIPTION: usize = 1_000;

/// An attribute of users, and what its values name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignable {
    /// `roles` or `entitlements`.
    pub attribute: &'static str,
    /// The resource types that a value may be of.
    pub types: Vec<String>,
    /// Whether a value says its type too.
    pub tells_type: bool,
}

/// What of the blueprints users can be given; the paths that find who has it are indexed.
pub(super) fn declared(blueprints: &mut [Blueprint]) -> Vec<Assignable> {
    let mut types: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for blueprint in blueprints.iter() {
        let attribute = match blueprint.schema.id.as_str() {
            name::OKTA_ROLE => "roles",
            name::OKTA_ENTITLEMENT => "entitlements",
            _ => continue,
        };
        types
            .entry(attribute)
            .or_default()
            .push(blueprint.name.clone());
    }
    let user = blueprints
        .iter_mut()
        .find(|blueprint| blueprint.schema.id == name::USER);
    if let Some(user) = user {
        user.indexed
            .extend(types.keys().map(|attribute| format!("{attribute}.value")));
    }
    let assignable = types.into_iter().map(|(attribute, types)| Assignable {
        attribute,
        types,
        tells_type: attribute == "entitlements",
    });
    assignable.collect()
}

/// Tells each side of the other.
pub(super) fn link(types: &mut [ResourceType], assignable: Vec<Assignable>) {
    let user = types.iter().position(|rt| rt.schema.id == name::USER);
    let Some(user) = user.and_then(|index| types.get_mut(index)) else {
        return;
    };
    let mut paths = Vec::new();
    for one in &assignable {
        if let Some(path) = user.attr_by_key(&format!("{}.value", one.attribute)) {
            paths.extend(one.types.iter().map(|name| (name.clone(), path.clone())));
        }
    }
    user.assignable = assignable;
    for (name, path) in paths {
        if let Some(rt) = types.iter_mut().find(|rt| rt.name == name) {
            rt.assigned_at = Some(path);
        }
    }
}
