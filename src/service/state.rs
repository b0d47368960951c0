//! The state that the use cases share.

use std::sync::Arc;

use scim_core::Registry;

use crate::auth::Scope;
use crate::clock::Clock;
use crate::service::access::authenticator::Authenticator;
use crate::service::feed::listeners::Listeners;
use crate::service::query::{cursor, index_walk};
use crate::service::shared_statement::SharedStatement;
use crate::service::{Context, Error, Options};
use crate::store::query::coalesce::CoalescedReads;
use crate::store::{Conn, Store};

/// The parts that the use cases need, built once by [`crate::app`].
pub struct Service {
    pub store: Arc<Store>,
    pub reads: Arc<CoalescedReads>,
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
    pub options: Arc<Options>,
    pub walks: index_walk::Walks,
    pub cursors: cursor::Cursors,
    pub listeners: Listeners,
    pub authenticator: Authenticator,
    /// The check of [`Service::ready`], which any client may ask for.
    pub readiness: SharedStatement,
}

impl Service {
    /// Reads for a caller, within the tenant's share and a limited time. A caller that cannot write may be served by a replica; one that can
    /// always reads the primary, and so its own writes.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&mut Conn) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        if self.is_read_behind(context) {
            self.store.query_behind(context.tenant(), work).await
        } else {
            self.store.query(context.tenant(), work).await
        }
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Busy`].
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self
            .readiness
            .run(async || self.store.ready().await)
            .await?)
    }

    /// Returns whether a replica is asked first for this caller.
    pub(crate) fn is_read_behind(&self, context: &Context) -> bool {
        let scopes = context.principal.scopes;
        let writes = scopes.allow(Scope::Scim) || scopes.allow(Scope::Admin);
        self.store.has_replica() && !writes
    }
}
