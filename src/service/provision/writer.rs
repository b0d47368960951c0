//! The writer of one resource, and the steps that all writes share: read the resource, record the
//! change.

use std::sync::Arc;

use scim_core::registry::ClientAccess;
use scim_core::{Document, Precondition, ResourceType, indexing, secrets};

use crate::ids::{Actor, TenantId};
use crate::memory::{Reservation, weigh_large};
use crate::service::provision::document_limits::DocumentLimits;
use crate::service::{Context, Error, GroupNames, Options, Policy};
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources;
use crate::store::tables::resources::{NewResource, Stored};
use crate::store::{ResourceId, Tx};

/// The resource that a request writes, and the version that it must have.
pub struct WriteTarget {
    pub rt: Arc<ResourceType>,
    pub id: ResourceId,
    pub precondition: Precondition,
}

/// Rejects a write of a type that only the operator fills. No route leads to one, but a bulk
/// request may name any type.
pub(in crate::service) fn check_writable(rt: &ResourceType) -> Result<(), Error> {
    match rt.access {
        ClientAccess::ReadWrite => Ok(()),
        ClientAccess::ReadOnly => Err(Error::ReadOnly(rt.name.clone())),
    }
}

/// The writer of one resource: what every step of one write needs.
#[derive(Clone)]
pub(in crate::service) struct Writer {
    pub rt: Arc<ResourceType>,
    pub id: ResourceId,
    /// Microseconds since the epoch.
    pub at: i64,
    pub actor: Actor,
    pub group_names: GroupNames,
    policy: Policy,
}

impl Writer {
    pub fn new(context: &Context, rt: &Arc<ResourceType>, id: ResourceId) -> Self {
        Self {
            rt: Arc::clone(rt),
            id,
            at: context.at_us(),
            actor: context.principal.actor.clone(),
            group_names: context.policy.group_names,
            policy: context.policy,
        }
    }

    /// Returns the limits on the size of the resource.
    pub fn document_limits(&self, options: &Options) -> DocumentLimits {
        DocumentLimits::of(self.policy, options)
    }

    /// Logs the names in the request that no schema defines, so that an operator can find out why
    /// an attribute is missing.
    pub fn log_ignored(&self, names: &[String]) {
        const MOST_NAMES: usize = 20;
        const MOST_CHARS: usize = 120;
        if names.is_empty() {
            return;
        }
        // A filter within a name may contain personal data.
        let logged = |name: &String| -> String {
            let name = name.split('[').next().unwrap_or_default();
            name.chars()
                .take(MOST_CHARS)
                .flat_map(char::escape_debug)
                .collect()
        };
        let logged: Vec<String> = names.iter().take(MOST_NAMES).map(logged).collect();
        tracing::info!(
            resource.r#type = %self.rt.name,
            resource.id = %self.id.as_str(),
            attributes = logged.join(", "),
            count = names.len(),
            "ignored attributes that no schema defines"
        );
    }

    /// Returns the row of a resource that does not exist yet.
    pub fn new_resource(&self, document: &Document) -> NewResource {
        NewResource {
            id: self.id.clone(),
            resource_type: self.rt.name.clone(),
            at: self.at,
            hot: indexing::hot_columns(&self.rt, document),
            label: indexing::label(document),
            password_hash: None,
            doc: document.to_string(),
            rows: indexing::index_rows(&self.rt, document),
        }
    }

    pub fn read(&self, tx: &mut Tx<'_>) -> Result<Stored, Error> {
        let tenant = tx.tenant();
        resources::get(tx.conn(), tenant, &self.rt.name, &self.id)?
            .ok_or_else(|| Error::no_resource(&self.rt, &self.id))
    }

    /// Reads the resource if the precondition allows a write of its version. This happens within
    /// the unit of work, so that one of two concurrent writes with the same precondition fails.
    pub fn read_if(&self, tx: &mut Tx<'_>, precondition: &Precondition) -> Result<Stored, Error> {
        let stored = self.read(tx)?;
        if precondition.allows_write(stored.version) {
            Ok(stored)
        } else {
            Err(Error::PreconditionFailed(stored.version.into()))
        }
    }

    /// Reserves memory for a change of the stored document: as values, as it was and as it will be,
    /// and the differences.
    pub fn reserve_work(
        &self,
        options: &Options,
        tenant: TenantId,
        stored: &Stored,
    ) -> Result<Option<Reservation>, Error> {
        match weigh_large(&stored.doc) {
            0 => Ok(None),
            bytes => {
                let work = options.memory.reserve_work(tenant, bytes.saturating_mul(3));
                Ok(Some(work?))
            }
        }
    }

    pub fn append(&self, tx: &mut Tx<'_>, kind: ChangeKind, payload: String) {
        let payload = match kind {
            // Their payload is the document.
            ChangeKind::Created | ChangeKind::Deleted => secrets::strip_document(&self.rt, payload),
            _ => payload,
        };
        tx.append(Change {
            resource_id: self.id.clone(),
            resource_type: self.rt.name.as_str().into(),
            kind,
            at: self.at,
            actor: self.actor.clone(),
            payload: payload.into(),
        });
    }
}
