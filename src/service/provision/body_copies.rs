//! The memory of what is made of a body: besides its values there are those of the document or of
//! the changes to one, until the body is dropped.

use scim_core::ResourceType;
use serde_json::Value;

use crate::memory::{Held, MemoryError};
use crate::service::Error;

/// Reserves memory for a copy of the body's values. Most of a large body of a group is members, and
/// a member is only its id and name then.
///
/// # Errors
/// There is no memory for it.
pub(in crate::service) fn reserve(body: &mut Held<Value>, rt: &ResourceType) -> Result<(), Error> {
    const MEMBERS_DIVISOR: usize = 6;
    let bytes = body.used_bytes();
    let copy = match rt.is_relational("members") {
        true => bytes.div_euclid(MEMBERS_DIVISOR),
        false => bytes,
    };
    grow(body, copy)
}

/// Reserves memory for the copies that a bulk request needs: its operations are prepared one by
/// one, and each drops its part of the body.
///
/// # Errors
/// There is no memory for it.
pub(in crate::service) fn reserve_bulk(body: &mut Held<Value>) -> Result<(), Error> {
    grow(body, body.used_bytes().div_euclid(4))
}

fn grow(body: &mut Held<Value>, bytes: usize) -> Result<(), Error> {
    body.grow(bytes).map_err(|error| match error {
        MemoryError::InUse => Error::Busy,
        MemoryError::TooLarge => Error::DocumentTooLarge(
            "The body holds more values than the service has memory for. Send fewer at once, or raise \
             `body_memory_bytes` in the service's configuration."
                .to_owned(),
        ),
    })
}
