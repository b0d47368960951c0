//! Notifies subscribers that a tenant has new changes.
//!
//! The writer notifies after its commit, for this process. Other nodes of a PostgreSQL deployment
//! do not receive that, so each node polls the database, but only for the tenants with subscribers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::store::TenantId;

/// The subscriptions to the changes of one store.
#[derive(Debug, Default)]
pub struct ChangeNotifier(Mutex<Subscriptions>);

#[derive(Debug, Default)]
struct Subscriptions {
    /// The number of each tenant's last known change.
    tenants: HashMap<TenantId, watch::Sender<i64>>,
    /// Changes with each commit of this process that has changes, of any tenant.
    commits: watch::Sender<()>,
    is_closed: bool,
}

impl ChangeNotifier {
    /// Subscribes to the changes of a tenant from now on.
    pub fn subscribe(&self, tenant: TenantId) -> watch::Receiver<i64> {
        self.with(|state| {
            if state.is_closed {
                // Its sender is dropped at once.
                return watch::channel(0).1;
            }
            let sender = state.tenants.entry(tenant);
            sender.or_insert_with(|| watch::channel(0).0).subscribe()
        })
    }

    /// Subscribes to the commits of this process, of all tenants. Several commits may be one
    /// notification.
    pub fn subscribe_to_commits(&self) -> watch::Receiver<()> {
        self.with(|state| state.commits.subscribe())
    }

    /// Notifies of a commit of this process: the tenant's changes go up to `seq`.
    pub fn notify(&self, tenant: TenantId, seq: i64) {
        self.with(|state| {
            state.commits.send_replace(());
        });
        self.notify_remote(tenant, seq);
    }

    /// Notifies that the tenant's changes go up to `seq`, whichever node committed them.
    pub fn notify_remote(&self, tenant: TenantId, seq: i64) {
        self.with(|state| {
            let Some(sender) = state.tenants.get(&tenant) else {
                return;
            };
            if sender.receiver_count() == 0 {
                state.tenants.remove(&tenant);
                return;
            }
            sender.send_if_modified(|last| {
                let is_new = *last < seq;
                *last = seq.max(*last);
                is_new
            });
        });
    }

    /// Returns the tenants that have subscribers.
    pub fn subscribed_tenants(&self) -> Vec<TenantId> {
        self.with(|state| {
            state
                .tenants
                .retain(|_, sender| sender.receiver_count() > 0);
            state.tenants.keys().copied().collect()
        })
    }

    /// Ends all subscriptions to tenants, because the service stops.
    pub fn close(&self) {
        self.with(|state| {
            state.is_closed = true;
            state.tenants.clear();
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Subscriptions) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);
    const OTHER: TenantId = TenantId(2);

    #[test]
    fn subscribers_are_notified_of_their_own_tenant_only() {
        let notifier = ChangeNotifier::default();
        notifier.notify(ONE, 1);
        let (one, other) = (notifier.subscribe(ONE), notifier.subscribe(OTHER));
        assert!(!one.has_changed().unwrap());
        notifier.notify(ONE, 5);
        notifier.notify(ONE, 4);
        assert_eq!(*one.borrow(), 5);
        assert!(!other.has_changed().unwrap());
        let mut subscribed = notifier.subscribed_tenants();
        subscribed.sort_unstable();
        assert_eq!(subscribed, [ONE, OTHER]);
        drop(one);
        assert_eq!(notifier.subscribed_tenants(), [OTHER]);
    }

    #[test]
    fn commits_of_every_tenant_are_notified_and_remote_changes_are_not() {
        let notifier = ChangeNotifier::default();
        let mut commits = notifier.subscribe_to_commits();
        notifier.notify_remote(ONE, 1);
        assert!(!commits.has_changed().unwrap());
        notifier.notify(ONE, 1);
        notifier.notify(OTHER, 1);
        assert!(commits.has_changed().unwrap());
        commits.borrow_and_update();
        assert!(!commits.has_changed().unwrap());
    }

    #[test]
    fn closing_ends_every_subscription() {
        let notifier = ChangeNotifier::default();
        let before = notifier.subscribe(ONE);
        notifier.close();
        assert!(before.has_changed().is_err());
        assert!(notifier.subscribe(ONE).has_changed().is_err());
        assert_eq!(notifier.subscribed_tenants(), []);
    }
}
