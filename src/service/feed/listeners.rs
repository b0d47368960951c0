//! Requests that wait for changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::service::Error;
use crate::store::engine::notify::Seen;
use crate::store::tables::changes;
use crate::store::{Store, StoreError, TenantId};

/// The most requests that may wait for changes at a time.
const MAX_LISTENERS: usize = 4096;
/// How often a node asks for what other nodes and commands have written.
const REMOTE_POLL: Duration = Duration::from_millis(250);

/// The permits of requests that wait for changes.
#[derive(Debug, Clone)]
pub struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LISTENERS)))
    }
}

impl Listeners {
    /// Subscribes to the changes of a tenant that come after this call.
    ///
    /// # Errors
    /// [`Error::Busy`] where too many requests wait already.
    pub(in crate::service) fn subscribe(
        &self,
        store: &Store,
        tenant: TenantId,
    ) -> Result<Listener, Error> {
        let permits = Arc::clone(&self.0);
        Ok(Listener {
            _permit: permits.try_acquire_owned().map_err(|_| Error::Busy)?,
            seen: store.notifier().subscribe(tenant),
        })
    }
}

/// A request that waits for changes.
#[derive(Debug)]
pub struct Listener {
    /// The tenant's last change and access epoch.
    seen: watch::Receiver<Seen>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Waits until `deadline` for a change of a resource or of access to the tenant.
    pub async fn wait_until(&mut self, deadline: Instant) -> WaitOutcome {
        match tokio::time::timeout_at(deadline, self.seen.changed()).await {
            Ok(Ok(())) => WaitOutcome::Change,
            Ok(Err(_)) => WaitOutcome::End,
            Err(_) => WaitOutcome::Nothing,
        }
    }
}

/// The reason why [`Listener::wait_until`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    Change,
    /// The deadline has passed.
    Nothing,
    /// The service stops.
    End,
}

/// Polls the changes and access epochs that other nodes and commands have written and notifies this
/// node's listeners, until the service stops.
pub async fn poll_other_nodes(store: Arc<Store>) {
    loop {
        tokio::time::sleep(REMOTE_POLL).await;
        let tenants = store.notifier().subscribed_tenants();
        if tenants.is_empty() {
            continue;
        }
        let found = store
            .read(move |conn| {
                let reaches = tenants.into_iter().map(|tenant| {
                    let reach = changes::reach(conn, tenant)?;
                    Ok((tenant, reach))
                });
                reaches.collect::<Result<Vec<_>, StoreError>>()
            })
            .await;
        match found {
            Ok(found) => {
                for (tenant, reach) in found {
                    if let Some(reach) = reach {
                        let notifier = store.notifier();
                        notifier.notify_remote(tenant, reach.last, reach.epoch);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "cannot read the changes of other nodes"),
        }
    }
}
