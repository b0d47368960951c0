//! Rejects a second group with the name of another one, where the two could not be distinguished.

use scim_core::indexing::HotColumns;
use scim_core::{Document, ScimError, indexing};

use crate::service::provision::writer::Writer;
use crate::service::{Error, GroupNames};
use crate::store::tables::group_names;
use crate::store::{ResourceId, Tx};

/// Rejects a write that gives a group the `displayName` and `externalId` of another group, or,
/// where the tenant asks for unique names, the `displayName` alone. `before` is `None` for a
/// create.
///
/// Only a write that changes one of the two is rejected: groups that clash already can still be
/// edited. Must run inside the unit of work, where no other write of the tenant can come between
/// the check and the write.
///
/// # Errors
/// `uniqueness`, naming the other group.
pub(in crate::service) fn check(
    tx: &mut Tx<'_>,
    writer: &Writer,
    before: Option<&Document>,
    after: &HotColumns,
) -> Result<(), Error> {
    if writer.rt.name != "Group" {
        return Ok(());
    }
    let Some(name) = after.display_name.as_deref() else {
        return Ok(());
    };
    let before = before.map(|before| indexing::hot_columns(&writer.rt, before));
    let before = before.as_ref();
    let is_renamed = before.is_none_or(|before| before.display_name != after.display_name);
    let is_relinked = before.is_none_or(|before| before.external_id != after.external_id);
    let tenant = tx.tenant();
    let id = &writer.id;
    if writer.group_names == GroupNames::Unique && is_renamed {
        let other = group_names::by_name(tx.conn(), tenant, id, name)?;
        return other.map_or(Ok(()), |other| Err(name_taken(&other)));
    }
    match after.external_id.as_deref() {
        Some(external_id) if is_renamed || is_relinked => {
            let other = group_names::twin(tx.conn(), tenant, id, name, external_id)?;
            other.map_or(Ok(()), |other| Err(is_twin(&other)))
        }
        _ => Ok(()),
    }
}

fn name_taken(other: &ResourceId) -> Error {
    ScimError::uniqueness(format!(
        "A group with this displayName exists: id {}. Choose another displayName, or update or link that group.",
        other.as_str()
    ))
    .into()
}

fn is_twin(other: &ResourceId) -> Error {
    ScimError::uniqueness(format!(
        "A group with this displayName and externalId exists: id {}. Update or link that group instead of creating it again.",
        other.as_str()
    ))
    .into()
}
