//! Requests that wait for changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::Principal;
use crate::service::Error;
use crate::service::access::known_caller::KnownCaller;
use crate::service::error::TooManyListeners;
use crate::settings::{number, seconds, settings};
use crate::store::engine::notify::Seen;
use crate::store::tables::changes;
use crate::store::{Store, StoreError, TenantId};

/// The most requests that may wait for changes at a time.
const MAX_LISTENERS: usize = 4096;
const MOST_LISTENERS: u64 = 4096;
/// How often a node asks for what other nodes and commands have written.
const REMOTE_POLL: Duration = Duration::from_millis(250);

settings! {
    /// How many requests may wait for changes at a time, and for how long.
    #[derive(Debug, Clone, Copy)]
    pub struct ListenerLimits {
        /// Requests of one token, or of one JWT subject, that wait for changes or stream them at a
        /// time. All tenants together have 4,096.
        pub of_token: usize = setting("token_listeners", number(1..=MOST_LISTENERS), 256),
        /// Requests of one tenant that wait for changes or stream them at a time. A tenant never has
        /// more than are free.
        pub of_tenant: usize = setting("tenant_listeners", number(1..=MOST_LISTENERS), 1024),
        /// Longest time for a stream of changes. Then it ends, and the client reconnects with its
        /// position.
        pub stream_lifetime: Duration = setting("stream_lifetime_s", seconds(1..=604_800), 3600),
    }
}

/// The requests that wait for changes.
#[derive(Debug, Clone)]
pub struct Listeners {
    limits: ListenerLimits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    of_tenant: HashMap<TenantId, usize>,
    of_caller: HashMap<KnownCaller, usize>,
}

/// One of the requests that wait; dropping it makes room for another one.
#[derive(Debug)]
struct Permit {
    counts: Arc<Mutex<Counts>>,
    caller: KnownCaller,
}

impl Listeners {
    /// Creates the limits, with no request that waits.
    pub fn new(limits: ListenerLimits) -> Self {
        Self {
            limits,
            counts: Arc::default(),
        }
    }

    /// Subscribes to the changes of the caller's tenant that come after this call.
    ///
    /// # Errors
    /// [`Error::TooManyListeners`] where too many requests of the caller wait already, and
    /// [`Error::Busy`] where too many of all callers do.
    pub(in crate::service) fn subscribe(
        &self,
        store: &Store,
        principal: &Principal,
    ) -> Result<Listener, Error> {
        let permit = self.acquire(KnownCaller::of(principal))?;
        Ok(Listener {
            _permit: permit,
            seen: store.notifier().subscribe(principal.tenant),
        })
    }

    fn acquire(&self, caller: KnownCaller) -> Result<Permit, Error> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.check(caller, self.limits)?;
        counts.total = counts.total.saturating_add(1);
        increment(&mut counts.of_tenant, caller.tenant);
        increment(&mut counts.of_caller, caller);
        Ok(Permit {
            counts: Arc::clone(&self.counts),
            caller,
        })
    }

    /// Returns when a stream that begins now ends.
    pub fn stream_end(&self) -> Instant {
        Instant::now() + self.limits.stream_lifetime
    }
}

impl Counts {
    fn check(&self, caller: KnownCaller, limits: ListenerLimits) -> Result<(), Error> {
        let free = MAX_LISTENERS.saturating_sub(self.total);
        if free == 0 {
            return Err(Error::Busy);
        }
        let of_caller = self.of_caller.get(&caller).copied().unwrap_or(0);
        if of_caller >= limits.of_token {
            return Err(Error::TooManyListeners(TooManyListeners::OfToken(
                of_caller,
            )));
        }
        // As many as are free, so that there is always one for the next tenant.
        let of_tenant = self.of_tenant.get(&caller.tenant).copied().unwrap_or(0);
        if of_tenant >= limits.of_tenant.min(free) {
            return Err(Error::TooManyListeners(TooManyListeners::OfTenant(
                of_tenant,
            )));
        }
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        decrement(&mut counts.of_tenant, self.caller.tenant);
        decrement(&mut counts.of_caller, self.caller);
    }
}

fn increment<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    let count = counts.entry(key).or_insert(0);
    *count = count.saturating_add(1);
}

fn decrement<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = counts.entry(key) {
        let left = entry.get().saturating_sub(1);
        if left == 0 {
            entry.remove();
        } else {
            entry.insert(left);
        }
    }
}

/// A request that waits for changes.
#[derive(Debug)]
pub struct Listener {
    /// The tenant's last change and access epoch.
    seen: watch::Receiver<Seen>,
    _permit: Permit,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Actor;

    fn caller(tenant: i64, name: &str) -> KnownCaller {
        KnownCaller::of(&Principal {
            tenant: TenantId(tenant),
            actor: Actor::Token(name.into()),
            scopes: crate::auth::Scopes::default(),
            fields: None,
            expires: None,
        })
    }

    fn fill(listeners: &Listeners, caller: KnownCaller) -> (Vec<Permit>, Error) {
        let mut held = Vec::new();
        loop {
            match listeners.acquire(caller) {
                Ok(permit) => held.push(permit),
                Err(error) => return (held, error),
            }
        }
    }

    fn limits(of_token: usize, of_tenant: usize) -> ListenerLimits {
        ListenerLimits {
            of_token,
            of_tenant,
            stream_lifetime: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_token_and_a_tenant_have_limits() {
        let listeners = Listeners::new(limits(3, 5));
        let (first, error) = fill(&listeners, caller(1, "a"));
        assert!(matches!(
            error,
            Error::TooManyListeners(TooManyListeners::OfToken(3))
        ));
        let (second, error) = fill(&listeners, caller(1, "b"));
        assert!(matches!(
            error,
            Error::TooManyListeners(TooManyListeners::OfTenant(5))
        ));
        let (other, _) = fill(&listeners, caller(2, "a"));
        assert_eq!((first.len(), second.len(), other.len()), (3, 2, 3));
        drop((first, second, other));
        let counts = listeners.counts.lock().unwrap();
        assert_eq!(counts.total, 0);
        assert!(counts.of_tenant.is_empty() && counts.of_caller.is_empty());
    }

    #[test]
    fn tenants_at_the_largest_limit_leave_some_for_the_next() {
        let listeners = Listeners::new(limits(MAX_LISTENERS, MAX_LISTENERS));
        let held: Vec<_> = (1..=4)
            .map(|tenant| fill(&listeners, caller(tenant, "a")).0)
            .collect();
        let counts: Vec<usize> = held.iter().map(Vec::len).collect();
        assert_eq!(counts, [2048, 1024, 512, 256]);
    }
}
