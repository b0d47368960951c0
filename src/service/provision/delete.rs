//! Deletes a resource (RFC 7644 section 3.6).
//!
//! [`delete`] is the whole path of one request. `Delete` is the part that a bulk request shares.

use scim_core::Precondition;
use serde_json::json;

use crate::auth::Scope;
use crate::service::provision::writer::{WriteTarget, Writer};
use crate::service::provision::{roles, writer};
use crate::service::{Context, Error, Service};
use crate::store::Tx;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources;
use crate::store::tables::resources::Stored;

/// Deletes a resource. A user or group also leaves the groups that it is in.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn delete(
    service: &Service,
    context: &Context,
    target: WriteTarget,
) -> Result<(), Error> {
    context.require(Scope::Scim)?;
    let delete = Delete::prepare(context, target);
    service
        .store
        .write(context.tenant(), move |tx| delete.run(tx))
        .await
}

/// A deletion, ready to run.
pub(in crate::service) struct Delete {
    writer: Writer,
    precondition: Precondition,
}

impl Delete {
    pub fn prepare(context: &Context, target: WriteTarget) -> Self {
        Self {
            writer: Writer::new(context, &target.rt, target.id),
            precondition: target.precondition,
        }
    }

    pub fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        writer::check_writable(&self.writer.rt)?;
        let stored = self.writer.read_if(tx, &self.precondition)?;
        remove(tx, &self.writer, stored)
    }
}

/// Deletes a stored resource, takes it out of its groups and, where it is a role, off the users who
/// have it.
pub(in crate::service) fn remove(
    tx: &mut Tx<'_>,
    writer: &Writer,
    stored: Stored,
) -> Result<(), Error> {
    let groups = resources::delete(tx, &writer.rt.name, &writer.id)?
        .map_or_else(Vec::new, |deleted| deleted.groups);
    resources::touch_many(tx, &groups, writer.at)?;
    for group in groups {
        tx.append(Change {
            resource_id: group,
            resource_type: "Group".into(),
            kind: ChangeKind::MemberRemoved,
            at: writer.at,
            actor: writer.actor.clone(),
            payload: json!({ "members": [{ "value": writer.id.as_str() }] })
                .to_string()
                .into(),
        });
    }
    writer.append(tx, ChangeKind::Deleted, stored.doc);
    roles::withdraw(tx, writer)
}
