//! What an operation is refused with.

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

/// RFC 7644 section 3.5.2.2 gives a `remove` no value. To read one as "only these" or to read over it would be a guess, and the
/// wrong one empties a group.
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

/// A URN that is nearly that of a known schema would make an extension that nothing reads.
pub(super) fn near_miss(text: &str, known: &str) -> ScimError {
    ScimError::invalid_path(format!(
        "{text:?} is under no schema of the resource type, but nearly under {known:?}; correct the URN in the attribute mapping"
    ))
}

/// The start of a text, so that a detail stays readable.
pub(super) fn shortened(text: &str) -> String {
    const LETTERS: usize = 120;
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
