//! Tells those who wait that a tenant has new changes.
//!
//! The writer rings after its commit, for this process. Other nodes of a PostgreSQL do not hear it; whoever runs the
//! node asks the database for them, but only for the tenants that somebody listens to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::store::TenantId;

/// One for a store.
#[derive(Debug, Default)]
pub struct ChangeNotifier(Mutex<Subscription>);

#[derive(Debug, Default)]
struct Subscription {
    /// The number of each tenant's last change, as far as it was told here.
    tenants: HashMap<TenantId, watch::Sender<i64>>,
    /// Moves with each commit of this process that has changes, whoever's they are.
    commits: watch::Sender<()>,
    is_closed: bool,
}

impl ChangeNotifier {
    /// Hears of every change that comes from now on.
    pub fn listen(&self, tenant: TenantId) -> watch::Receiver<i64> {
        self.with(|rope| {
            if rope.is_closed {
                // Its sender is gone at once.
                return watch::channel(0).1;
            }
            let sender = rope.tenants.entry(tenant);
            sender.or_insert_with(|| watch::channel(0).0).subscribe()
        })
    }

    /// Hears that something was committed here, of whichever tenant. Several commits may be one sound.
    pub fn listen_to_commits(&self) -> watch::Receiver<()> {
        self.with(|rope| rope.commits.subscribe())
    }

    /// A commit of this process: the tenant's changes go up to `seq`.
    pub fn ring(&self, tenant: TenantId, seq: i64) {
        self.with(|rope| {
            rope.commits.send_replace(());
        });
        self.echo(tenant, seq);
    }

    /// The tenant's changes go up to `seq`, wherever they were made.
    pub fn echo(&self, tenant: TenantId, seq: i64) {
        self.with(|rope| {
            let Some(sender) = rope.tenants.get(&tenant) else {
                return;
            };
            if sender.receiver_count() == 0 {
                rope.tenants.remove(&tenant);
                return;
            }
            sender.send_if_modified(|last| {
                let is_news = *last < seq;
                *last = seq.max(*last);
                is_news
            });
        });
    }

    /// The tenants that somebody listens to.
    pub fn listened(&self) -> Vec<TenantId> {
        self.with(|rope| {
            rope.tenants.retain(|_, sender| sender.receiver_count() > 0);
            rope.tenants.keys().copied().collect()
        })
    }

    /// Lets everybody go: the service stops.
    pub fn close(&self) {
        self.with(|rope| {
            rope.is_closed = true;
            rope.tenants.clear();
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Subscription) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);
    const OTHER: TenantId = TenantId(2);

    #[test]
    fn who_listens_hears_of_its_tenant_alone() {
        let bell = ChangeNotifier::default();
        bell.ring(ONE, 1);
        let (one, other) = (bell.listen(ONE), bell.listen(OTHER));
        assert!(!one.has_changed().unwrap());
        bell.ring(ONE, 5);
        bell.ring(ONE, 4);
        assert_eq!(*one.borrow(), 5);
        assert!(!other.has_changed().unwrap());
        let mut listened = bell.listened();
        listened.sort_unstable();
        assert_eq!(listened, [ONE, OTHER]);
        drop(one);
        assert_eq!(bell.listened(), [OTHER]);
    }

    #[test]
    fn commits_are_heard_whoever_made_them_and_echoes_are_not() {
        let bell = ChangeNotifier::default();
        let mut commits = bell.listen_to_commits();
        bell.echo(ONE, 1);
        assert!(!commits.has_changed().unwrap());
        bell.ring(ONE, 1);
        bell.ring(OTHER, 1);
        assert!(commits.has_changed().unwrap());
        commits.borrow_and_update();
        assert!(!commits.has_changed().unwrap());
    }

    #[test]
    fn who_listens_is_let_go_at_the_end() {
        let bell = ChangeNotifier::default();
        let before = bell.listen(ONE);
        bell.close();
        assert!(before.has_changed().is_err());
        assert!(bell.listen(ONE).has_changed().is_err());
        assert_eq!(bell.listened(), []);
    }
}
