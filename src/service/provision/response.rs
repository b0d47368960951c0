//! The response to a write.

use scim_core::project::Selection;
use scim_core::{ErrorKind, Version};

use crate::service::provision::representation;
use crate::service::provision::representation::{Renderer, Resource, Return, Written};
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
            memory: &options.memory,
        };
        if let Some(lookup) = renderer.lookup() {
            let key = LookupKey::Id(self.id.clone());
            let found = lookup.find_in(tx.conn(), tenant, &key)?;
            let found = found
                .resource
                .ok_or_else(|| Error::no_resource(&self.rt, &self.id))?;
            if form == Return::Minimal {
                return Ok(self.minimal(options, lookup.version(&found)));
            }
            let version = found.row.version;
            let rendered = lookup.render(found, tenant);
            return self.whole_or_minimal(options, version.into(), rendered);
        }
        let stored = self.read(tx)?;
        let conn = tx.conn();
        if form == Return::Minimal {
            let version = renderer.version(conn, tenant, &stored)?;
            return Ok(self.minimal(options, version));
        }
        let rendered = renderer.one(conn, tenant, &stored);
        self.whole_or_minimal(options, stored.version.into(), rendered)
    }

    /// Returns the resource, or only its address and version if there is no memory for it: the
    /// write itself has succeeded.
    pub fn whole_or_minimal(
        &self,
        options: &Options,
        version: Version,
        rendered: Result<Resource, Error>,
    ) -> Result<Written, Error> {
        match rendered {
            Ok(resource) => Ok(Written::Whole(resource)),
            Err(Error::Busy) => Ok(self.minimal(options, version)),
            Err(Error::Scim(error)) if error.kind == ErrorKind::TooMany => {
                Ok(self.minimal(options, version))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a response without the resource.
    pub fn minimal(&self, options: &Options, version: Version) -> Written {
        Written::Minimal {
            location: representation::location(&options.base_url, &self.rt, &self.id),
            version,
        }
    }
}
