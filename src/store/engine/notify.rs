//! Notifies subscribers that a tenant has new changes.
//!
//! The writer notifies after its commit, for this process. Other nodes of a PostgreSQL deployment
//! do not receive that, nor do they or the service on SQLite learn of tokens that a command
//! revokes. So each node polls the database, but only for the tenants with subscribers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::store::TenantId;

/// The subscriptions to the changes of one store.
#[derive(Debug, Default)]
pub struct ChangeNotifier(Mutex<Subscriptions>);

#[derive(Debug, Default)]
struct Subscriptions {
    tenants: HashMap<TenantId, watch::Sender<Seen>>,
    /// Changes with each commit of this process that has changes, of any tenant.
    commits: watch::Sender<()>,
    is_closed: bool,
}

/// The known state of a tenant. Subscribers are notified when it changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of the last change.
    last: i64,
    /// The access epoch.
    epoch: i64,
}

impl ChangeNotifier {
    /// Subscribes to the changes of a tenant, and to those of access to it, from now on.
    pub fn subscribe(&self, tenant: TenantId) -> watch::Receiver<Seen> {
        self.with(|state| {
            if state.is_closed {
                // Its sender is dropped at once.
                return watch::channel(Seen::default()).1;
            }
            let sender = state.tenants.entry(tenant);
            let sender = sender.or_insert_with(|| watch::channel(Seen::default()).0);
            sender.subscribe()
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
        self.update(tenant, |seen| seen.last = seen.last.max(seq));
    }

    /// Notifies of what any node or command has committed: the tenant's changes go up to `seq`, and
    /// its access epoch is `epoch`.
    pub fn notify_remote(&self, tenant: TenantId, seq: i64, epoch: i64) {
        self.update(tenant, |seen| {
            seen.last = seen.last.max(seq);
            seen.epoch = seen.epoch.max(epoch);
        });
    }

    fn update(&self, tenant: TenantId, edit: impl FnOnce(&mut Seen)) {
        self.with(|state| {
            let Some(sender) = state.tenants.get(&tenant) else {
                return;
            };
            if sender.receiver_count() == 0 {
                state.tenants.remove(&tenant);
                return;
            }
            sender.send_if_modified(|seen| {
                let before = *seen;
                edit(seen);
                *seen != before
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
        assert_eq!(one.borrow().last, 5);
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
        notifier.notify_remote(ONE, 1, 1);
        assert!(!commits.has_changed().unwrap());
        notifier.notify(ONE, 1);
        notifier.notify(OTHER, 1);
        assert!(commits.has_changed().unwrap());
        commits.borrow_and_update();
        assert!(!commits.has_changed().unwrap());
    }

    #[test]
    fn a_new_access_epoch_is_notified() {
        let notifier = ChangeNotifier::default();
        let mut seen = notifier.subscribe(ONE);
        notifier.notify_remote(ONE, 5, 1);
        seen.mark_unchanged();
        notifier.notify_remote(ONE, 5, 1);
        assert!(!seen.has_changed().unwrap());
        notifier.notify_remote(ONE, 5, 2);
        assert!(seen.has_changed().unwrap());
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
