//! The response to a write.

use scim_core::Version;
use scim_core::project::Selection;

use crate::service::provision::representation;
use crate::service::provision::representation::{Renderer, Return, Written};
use crate::service::provision::writer::Writer;
use crate::service::{Error, Options};
use crate::store::Tx;
use crate::store::query::lookup::LookupKey;

impl Writer {
    /// Reads the resource after the write and returns the response.
    pub fn respond(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        selection: &Selection,
        form: Return,
    ) -> Result<Written, Error> {
        let tenant = tx.tenant();
        let renderer = Renderer {
            base_url: &options.base_url,
            rt: &self.rt,
            selection,
        };
        if let Some(lookup) = renderer.lookup() {
            let key = LookupKey::Id(self.id.clone());
            let found = lookup.find_in(tx.conn(), tenant, &key)?;
            let found = found
                .resource
                .ok_or_else(|| Error::no_resource(&self.rt, &self.id))?;
            return Ok(match form {
                Return::Representation => Written::Whole(lookup.render(found)),
                Return::Minimal => self.minimal(options, lookup.version(&found)),
            });
        }
        let stored = self.read(tx)?;
        let conn = tx.conn();
        Ok(match form {
            Return::Representation => Written::Whole(renderer.one(conn, tenant, &stored)?),
            Return::Minimal => self.minimal(options, renderer.version(conn, tenant, &stored)?),
        })
    }

    /// Returns a response without the resource.
    pub fn minimal(&self, options: &Options, version: Version) -> Written {
        Written::Minimal {
            location: representation::location(&options.base_url, &self.rt, &self.id),
            version,
        }
    }
}
