//! The errors with which operations are rejected.

use serde_json::Value;

use crate::{ErrorKind, ScimError};

pub(super) fn read_only(name: &str) -> ScimError {
    ScimError::new(
        ErrorKind::Mutability,
        format!("{name} is readOnly and cannot be changed"),
    )
}

pub(super) fn required(name: &str) -> ScimError {
    ScimError::mutability(format!("{name} is required and cannot be removed"))
}

/// RFC 7643 section 4.2: what a member says about itself is immutable.
pub(super) fn immutable() -> ScimError {
    ScimError::mutability(
        "the sub-attributes of a member are immutable: remove the member and add another",
    )
}

/// Rejects the value of a `remove`, which has none in RFC 7644 section 3.5.2.2. To read one as
/// "only these", or to ignore it, would be a guess, and the wrong one empties a group.
pub(super) fn no_value_to_remove(value: Option<&Value>, name: &str) -> Result<(), ScimError> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ScimError::invalid_value(format!(
            "remove takes no value; say in the path which values of {name} to remove"
        ))),
    }
}

pub(super) fn no_value(name: &str) -> ScimError {
    ScimError::invalid_value(format!("add and replace need a value for {name}"))
}

/// Rejects a URN that is nearly that of a known schema: it would make an extension that nothing
/// reads.
pub(super) fn near_miss(text: &str, known: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{text:?} is not under a schema of the resource type; did you mean {known:?}? Correct the URN in the attribute mapping"
    ))
}

/// Returns the start of a text, so that a detail stays readable.
pub(super) fn shortened(text: &str) -> String {
    const LETTERS: usize = 120;
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
