//! Roles and entitlements as Okta's governance reads them: types of their own, which users name in
//! `roles` and `entitlements`.
//!
//! If no such type is declared, both attributes hold whatever a client writes.

use std::collections::BTreeMap;

use super::assignable::Assignable;
use super::blueprint::Blueprint;
use super::resource_type::ResourceType;
use crate::name;

/// Returns the attributes by which users refer to declared types; the paths that find their holders
/// are indexed.
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

/// Links users and the types that they refer to, in both directions.
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
