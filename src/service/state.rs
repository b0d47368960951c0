//! What the use cases share.

use std::sync::Arc;

use scim_core::Registry;

use crate::auth::Scope;
use crate::clock::Clock;
use crate::service::access::authenticator::Authenticator;
use crate::service::query::{cursor, index_walk};
use crate::service::{Context, Error, Options, feed};
use crate::store::query::coalesce::CoalescedReads;
use crate::store::{Conn, Store};

/// Everything that the use cases need, built once by [`crate::app`].
pub struct Service {
    pub store: Arc<Store>,
    pub reads: Arc<CoalescedReads>,
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
    pub options: Arc<Options>,
    pub walks: index_walk::Walks,
    pub cursors: cursor::Cursors,
    pub listeners: feed::Listeners,
    pub authenticator: Authenticator,
}

impl Service {
    /// Reads for a caller. One whose token cannot write has no write of its own to see, and is content with a
    /// replica; whoever can write sees the primary, always.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce(&mut Conn) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        if self.is_read_behind(context) {
            self.store.read_behind(work).await
        } else {
            self.store.read(work).await
        }
    }

    /// Whether a replica is asked first for this caller.
    pub(crate) fn is_read_behind(&self, context: &Context) -> bool {
        let scopes = context.principal.scopes;
        let writes = scopes.allow(Scope::Scim) || scopes.allow(Scope::Admin);
        self.store.has_replica() && !writes
    }
}
