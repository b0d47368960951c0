//! Checks the names of undeclared attributes: a path must be able to address them.

use serde_json::{Map, Value};

use crate::ScimError;
use crate::coerce::Location;
use crate::patch::operation::distinct;
use crate::patch::refuse::shortened;

/// Returns whether a path could address the name: not that of `urn:acme:x:` or `urn:acme:x:a b`.
pub(in crate::patch) fn is_name(name: &str, value: Option<&Value>) -> bool {
    let local = name.rsplit(':').next().unwrap_or_default();
    // An object may be meant for a container of its own, whose URN may have several dots.
    let may_be_urn = value.is_none_or(Value::is_object);
    !name.contains(char::is_whitespace)
        && !name.starts_with(':')
        && !local.is_empty()
        && (may_be_urn || is_addressable(local))
}

/// Rejects names of attributes and sub-attributes that no path could ever address.
pub(super) fn check_names(value: &Value, at: &Location) -> Result<(), ScimError> {
    let Value::Object(members) = value else {
        return check_sub_names(value, at);
    };
    distinct(members.keys().map(String::as_str))?;
    for (name, value) in members {
        check_name(name, at)?;
        check_sub_names(value, &at.name(name))?;
    }
    Ok(())
}

fn check_sub_names(value: &Value, at: &Location) -> Result<(), ScimError> {
    match value {
        Value::Object(members) => check_member_names(members, at),
        Value::Array(elements) => elements
            .iter()
            .filter_map(Value::as_object)
            .try_for_each(|members| check_member_names(members, at)),
        _ => Ok(()),
    }
}

fn check_member_names(members: &Map<String, Value>, at: &Location) -> Result<(), ScimError> {
    distinct(members.keys().map(String::as_str))?;
    members.keys().try_for_each(|name| check_name(name, at))
}

fn check_name(name: &str, at: &Location) -> Result<(), ScimError> {
    if is_addressable(name) {
        Ok(())
    } else {
        Err(not_addressable(&at.name(name).to_string()))
    }
}

fn is_addressable(name: &str) -> bool {
    let parts = name.split('.');
    parts.clone().count() <= 2
        && parts
            .into_iter()
            .all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
}

pub(in crate::patch) fn not_addressable(name: &str) -> ScimError {
    let name = shortened(name);
    ScimError::invalid_syntax(format!(
        "{name:?} is not a valid attribute name: no path could address it; correct the attribute mapping"
    ))
}
