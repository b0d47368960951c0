//! The operations of a `PatchOp` body, before their paths and values are resolved.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::coerce::{self, Location};
use crate::message::PATCH_OP;
use crate::{Compatibility, ScimError};

/// The operators of RFC 7644 section 3.5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Remove,
    Replace,
}

/// The operator and the value of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'a> {
    pub op: Op,
    pub value: Option<&'a Value>,
}

impl<'a> Action<'a> {
    /// Replaces the value.
    pub fn with_value(self, value: &'a Value) -> Self {
        Self {
            value: Some(value),
            ..self
        }
    }
}

/// Returns the list of operations in a `PatchOp` body.
pub(super) fn operations(
    body: &Value,
    compatibility: Compatibility,
) -> Result<&[Value], ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax(format!(
            "the body of a PATCH must be a JSON object with schemas and Operations, not {}",
            coerce::kind_of(body)
        )));
    };
    let [schemas, operations] = named(body, ["schemas", "Operations"])?;
    if compatibility.is_strict() {
        check_schemas(schemas)?;
    }
    match operations {
        // Entra ID's validator sends an empty list, and means what it says.
        Some(Value::Array(operations)) if !operations.is_empty() || !compatibility.is_strict() => {
            Ok(operations)
        }
        _ => Err(ScimError::invalid_syntax(
            "Operations of a PATCH must be a list of at least one operation",
        )),
    }
}

/// RFC 7644 section 3.5.2: the body names the PATCH message. A tolerant tenant's clients may leave
/// it out or name something else, since the method has said it already.
fn check_schemas(schemas: Option<&Value>) -> Result<(), ScimError> {
    let is_patch = |urn: &Value| {
        urn.as_str()
            .is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_OP))
    };
    let urns = schemas.and_then(Value::as_array);
    if urns.is_some_and(|urns| urns.iter().any(is_patch)) {
        return Ok(());
    }
    Err(ScimError::invalid_syntax(format!(
        "schemas of a PATCH must hold \"{PATCH_OP}\""
    )))
}

/// Returns the members of an object by name, ignoring case.
pub(super) fn named<'a, const N: usize>(
    object: &'a Map<String, Value>,
    names: [&str; N],
) -> Result<[Option<&'a Value>; N], ScimError> {
    let mut found = [None; N];
    for (key, value) in object {
        let mut slots = names.iter().zip(&mut found);
        if let Some((name, slot)) = slots.find(|(name, _)| name.eq_ignore_ascii_case(key))
            && slot.replace(value).is_some()
        {
            return Err(coerce::twice(&Location::root(name)));
        }
    }
    Ok(found)
}

/// Rejects two spellings of one name.
pub(super) fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), ScimError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(coerce::twice(&Location::root(name)));
        }
    }
    Ok(())
}
