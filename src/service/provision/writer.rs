//! The steps that the writes of a resource share, within one unit of work.

use std::sync::Arc;

use scim_core::project::Selection;
use scim_core::{Precondition, ResourceType, Version, secrets};

use crate::service::provision::representation;
use crate::service::provision::representation::{Lookup, Return, Written};
use crate::service::{Context, Error, GroupNames, Options};
use crate::store::query::lookup::LookupKey;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources;
use crate::store::tables::resources::Stored;
use crate::store::{ResourceId, Tx};

/// What every step of one write shares.
#[derive(Clone)]
pub(in crate::service) struct Writer {
    pub rt: Arc<ResourceType>,
    pub id: ResourceId,
    /// Microseconds since the epoch.
    pub at: i64,
    pub actor: String,
    pub group_names: GroupNames,
}

impl Writer {
    pub fn new(context: &Context, rt: &Arc<ResourceType>, id: ResourceId) -> Self {
        Self {
            rt: Arc::clone(rt),
            id,
            at: context.at_us(),
            actor: context.principal.name.clone(),
            group_names: context.policy.group_names,
        }
    }

    /// Logs the names that the request has and no schema defines, so that an operator finds out
    /// why an attribute does not arrive.
    pub fn log_ignored(&self, names: &[String]) {
        const MOST_NAMES: usize = 20;
        const MOST_CHARS: usize = 120;
        if names.is_empty() {
            return;
        }
        // A filter in a name may hold what a person is called.
        let shown = |name: &String| -> String {
            let name = name.split('[').next().unwrap_or_default();
            name.chars()
                .take(MOST_CHARS)
                .flat_map(char::escape_debug)
                .collect()
        };
        let shown: Vec<String> = names.iter().take(MOST_NAMES).map(shown).collect();
        tracing::info!(
            resource.r#type = %self.rt.name,
            resource.id = %self.id.as_str(),
            attributes = shown.join(", "),
            count = names.len(),
            "ignored attributes that no schema defines"
        );
    }

    pub fn current(&self, tx: &mut Tx<'_>) -> Result<Stored, Error> {
        let tenant = tx.tenant();
        resources::get(tx.conn(), tenant, &self.rt.name, &self.id)?
            .ok_or_else(|| Error::no_resource(&self.rt, &self.id))
    }

    /// The same, where the request allows a write of the version that it meets. Within the unit of work, so that
    /// of two writers with the same condition one is too late.
    pub fn current_if(
        &self,
        tx: &mut Tx<'_>,
        precondition: &Precondition,
    ) -> Result<Stored, Error> {
        let stored = self.current(tx)?;
        if precondition.allows_write(stored.version) {
            Ok(stored)
        } else {
            Err(Error::PreconditionFailed(stored.version.into()))
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
            resource_type: self.rt.name.clone(),
            kind,
            at: self.at,
            actor: self.actor.clone(),
            payload,
        });
    }

    /// What the write is answered with, read after it.
    pub fn answer(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        selection: &Selection,
        answer: Return,
    ) -> Result<Written, Error> {
        let tenant = tx.tenant();
        let (conn, rt) = (tx.conn(), &self.rt);
        if let Some(lookup) = Lookup::of(rt, selection) {
            let found = lookup.find_in(conn, tenant, &LookupKey::Id(self.id.clone()))?;
            let found = found
                .resource
                .ok_or_else(|| Error::no_resource(rt, &self.id))?;
            return Ok(match answer {
                Return::Representation => Written::Whole(lookup.render(&options.base_url, found)),
                Return::Minimal => self.quiet(options, lookup.version(&found)),
            });
        }
        let stored = self.current(tx)?;
        let conn = tx.conn();
        match answer {
            Return::Representation => {
                representation::one(conn, tenant, &options.base_url, rt, stored, selection)
                    .map(Written::Whole)
            }
            Return::Minimal => {
                let version = representation::version(conn, tenant, rt, &stored, selection)?;
                Ok(self.quiet(options, version))
            }
        }
    }

    pub fn quiet(&self, options: &Options, version: Version) -> Written {
        Written::Quiet {
            location: representation::location(&options.base_url, &self.rt, &self.id),
            version,
        }
    }
}
